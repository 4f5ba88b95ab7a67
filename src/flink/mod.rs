//! What Flink is: names, versions, configuration, memory, HA state, REST answers. No I/O.

pub mod cluster_id;
pub mod config;
pub mod duration;
pub mod ha;
pub mod ha_storage;
pub mod log;
pub mod memory;
pub mod options;
pub mod properties;
pub mod quantity;
pub mod rest;
pub mod role;
pub mod storage;
pub mod version;
