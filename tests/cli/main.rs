//! What a user types and sees where no cluster is needed: the real program, in a clean environment.
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

mod clean_ha;
mod completion;
mod connection;
mod doctor;
mod help;
mod help_doctor;
mod refused;
mod render;
mod streams;
mod support;
mod version;
