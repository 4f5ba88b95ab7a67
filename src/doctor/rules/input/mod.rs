//! FLK0: the input itself, the suppressions in it, and this program.

pub mod flk001_unreadable;
pub mod flk002_key_twice;
pub mod flk003_object_twice;
pub mod flk004_suppression_unused;
pub mod flk005_suppression_unknown;
pub mod flk006_suppression_expired;
pub mod flk007_rule_failed;
pub mod flk008_placeholder;
