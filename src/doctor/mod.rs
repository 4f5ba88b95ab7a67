//! Finds what is wrong with Flink clusters, in files and live.
//!
//! A [`snapshot`] holds the objects, wherever they came from; a [`model`] says which of them make up a Flink cluster and what
//! its processes go by; each file of [`rules`] looks for one thing that can be wrong; the [`engine`] runs them all. Nothing
//! here does I/O: `cluster::survey` and [`source`] fill the snapshot, `output::findings` shows what came of it.

pub mod control;
pub mod engine;
pub mod finding;
pub mod fix;
pub mod known;
pub mod live;
pub mod log_lines;
pub mod model;
pub mod place;
pub mod private;
pub mod report;
pub mod rights;
pub mod rule;
pub mod rules;
pub mod snapshot;
pub mod source;
