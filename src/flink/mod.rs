//! What Flink is: names, versions, configuration, memory, HA state, REST answers. No I/O.

pub mod config;
pub mod ha;
pub mod rest;
pub mod role;
