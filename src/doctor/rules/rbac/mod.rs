//! Service accounts and their rights.

pub mod flk101_binding_namespace;
