//! The only code that talks to an API server.

pub mod connect;

pub use connect::{Connection, ConnectionArgs};

/// The field manager of everything that this program writes.
pub const FIELD_MANAGER: &str = "kubectl-flink";
