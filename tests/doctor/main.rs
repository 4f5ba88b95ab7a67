//! Every rule against its fixtures, its documentation and the others.
//!
//! `tests/doctor/FLKnnn/` has inputs whose names begin with `fail` or `pass`: a file, or a folder of files. In a comment on a
//! line of its own, `#~ FLK101` says that the next line that is no such comment has to have that finding. All rules run on
//! every input, and no finding may be left over. A name that ends in `.live.yaml` stands for a running cluster of which
//! everything is known; `#~ unknown: Role RoleBinding` takes kinds out of that. `#~ skip: FLK101` says that this rule could
//! not check something. `#~ panic` adds a rule that fails. A folder may have a `.kubectl-flink.yaml`; the day is 2026-01-01.
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

mod control;
mod edits;
mod fixes;
mod fixtures;
mod fuzz;
mod own;
mod reports;
mod rules;
mod schema;
