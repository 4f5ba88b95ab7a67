//! The only code that talks to an API server.

pub mod access;
pub mod apply;
pub mod cleanup;
pub mod connect;
mod credentials;
pub mod delete;
pub mod diagnose;
pub mod discover;
pub mod facts;
pub mod flink_rest;
pub mod ha;
mod health;
mod kubeconfig;
pub mod membership;
mod oidc;
mod paging;
pub mod preflight;
pub mod probe;
mod proxy;
pub mod status;
pub mod survey;
pub mod wait;
pub mod workload;

pub use connect::{Connection, ConnectionArgs};

/// The field manager of everything that this program writes.
pub const FIELD_MANAGER: &str = "kubectl-flink";
