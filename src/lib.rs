//! `kubectl flink`: brings up, watches and takes down highly available Apache Flink clusters on Kubernetes.
//!
//! One direction of dependency: commands → (cluster, manifests, output) → flink. See ARCHITECTURE.md.

pub mod cluster;
pub mod commands;
pub mod doctor;
pub mod error;
pub mod flink;
pub mod manifests;
pub mod output;
