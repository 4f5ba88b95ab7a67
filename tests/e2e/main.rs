//! The real cluster: what `up`, `status`, `render` and `down` do to a real API server, real pods and real Flink.
//!
//! `cargo xtask test` makes the cluster (tests/testbed) and runs these; see [`support`] for what they want to know of it.
//! Where nothing names a cluster, every one of them fails: a tier that did not run shall not look green.
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::similar_names,
    clippy::unused_self,
    clippy::format_push_string,
    clippy::format_collect,
    clippy::print_stderr,
    clippy::allow_attributes,
    unreachable_pub,
    missing_docs,
    reason = "tests"
)]

mod apply;
mod clean_ha;
mod completion;
mod connection;
mod desk;
mod doctor;
mod doctor_live;
mod documents;
mod down;
mod elector;
mod failover;
mod faults;
mod flink;
mod guide;
mod ha;
#[path = "../ha/handle.rs"]
mod handle;
mod ids;
mod oidc;
mod probe;
mod races;
mod render;
mod rights;
mod status;
mod support;
mod up;
