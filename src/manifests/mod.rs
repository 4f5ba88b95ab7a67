//! The embedded manifests, the user's own numbered files, and typed edits on both.

pub mod yaml;
