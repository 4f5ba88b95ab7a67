//! FLK305: a range of ports where Flink or the Service takes one.

use super::{BLOB, PortOption, Ports, TASKMANAGER_RPC};
use crate::doctor::known::Known;
use crate::doctor::rule::{Check, rule};
use crate::flink::role::Mode;

rule! {
    /// A range of ports where native Kubernetes takes one port
    ///
    /// ## Why it matters
    ///
    /// In native mode Flink writes `blob.server.port` and `taskmanager.rpc.port` into the objects that it makes, and a container
    /// port is one number. The client, or the operator, refuses to deploy (`KubernetesUtils.parsePort`):
    ///
    /// ```text
    /// blob.server.port should be specified to a fixed port. Do not support a range of ports.
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: flink.apache.org/v1beta1
    /// kind: FlinkDeployment
    /// metadata: {name: session, namespace: flink}
    /// spec:
    ///   image: flink:1.20.5
    ///   flinkVersion: v1_20
    ///   serviceAccount: flink
    ///   flinkConfiguration:
    ///     blob.server.port: 50100-50200
    ///   jobManager: {resource: {memory: 2048m, cpu: 1}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: flink.apache.org/v1beta1
    /// kind: FlinkDeployment
    /// metadata: {name: session, namespace: flink}
    /// spec:
    ///   image: flink:1.20.5
    ///   flinkVersion: v1_20
    ///   serviceAccount: flink
    ///   flinkConfiguration:
    ///     blob.server.port: "6124"
    ///   jobManager: {resource: {memory: 2048m, cpu: 1}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    /// ```
    ///
    /// ## Fix
    ///
    /// Name one port, or leave the option out: native mode then uses 6124 and 6122.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/config/#hosts-and-ports>
    FLK305 "port-range": Network Error, reads [Processes]
}

/// The options that native mode reads as one number, with what it takes where they are not set.
const FIXED: [(PortOption, &str); 2] = [(BLOB, "6124"), (TASKMANAGER_RPC, "6122")];

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters().iter().filter(|cluster| cluster.mode.is_some_and(Mode::is_native)) {
        for (option, usual) in FIXED {
            let Known::Present(ports) = Ports::of(&cluster.config, option) else { continue };
            let Some(entry) = ports.entry.filter(|_| ports.is_range()) else { continue };
            cx.report(
                entry.place.clone(),
                format!("{} is {}, but native mode takes one port and no range", entry.key, entry.value),
            )
            .help(format!("name one port, such as {usual}"))
            .symptom(format!("{} should be specified to a fixed port. Do not support a range of ports.", entry.key));
        }
    }
}
