//! FLK709: logging files that the operator refuses.

use super::resources;
use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::manifests::tree::{Node, escape};

rule! {
    /// logConfiguration has a file that the operator does not take
    ///
    /// ## Why it matters
    ///
    /// The operator takes `log4j-console.properties` and `logback-console.xml`, which Flink reads in containers, and refuses a
    /// resource with any other key (`DefaultValidator`):
    ///
    /// ```text
    /// Invalid log config key: log4j.properties. Allowed keys are [logback-console.xml, log4j-console.properties]
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: flink.apache.org/v1beta1
    /// kind: FlinkDeployment
    /// metadata: {name: basic, namespace: flink}
    /// spec:
    ///   image: flink:1.20.5
    ///   flinkVersion: v1_20
    ///   serviceAccount: flink
    ///   jobManager: {resource: {memory: 2048m, cpu: 1}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    ///   logConfiguration:
    ///     log4j.properties: |
    ///       rootLogger.level = INFO
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: flink.apache.org/v1beta1
    /// kind: FlinkDeployment
    /// metadata: {name: basic, namespace: flink}
    /// spec:
    ///   image: flink:1.20.5
    ///   flinkVersion: v1_20
    ///   serviceAccount: flink
    ///   jobManager: {resource: {memory: 2048m, cpu: 1}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    ///   logConfiguration:
    ///     log4j-console.properties: |
    ///       rootLogger.level = INFO
    /// ```
    ///
    /// ## Fix
    ///
    /// Rename the key, or take it out.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-kubernetes-operator-docs-stable/docs/operations/metrics-logging/>
    FLK709 "operator-log-keys": Operator Error, reads [Processes]
}

const TAKEN: [&str; 2] = ["log4j-console.properties", "logback-console.xml"];

fn check(cx: &mut Check<'_>) {
    for resource in resources(cx) {
        let entries = resource.node.at("/spec/logConfiguration").map(Node::entries).unwrap_or_default();
        let has = |name: &str| entries.iter().any(|(key, _)| key.text() == Some(name));
        for key in entries.iter().filter_map(|(key, _)| key.text()).filter(|key| !TAKEN.contains(key)) {
            let place = Place::key(resource.id, format!("/spec/logConfiguration/{}", escape(key)));
            let meant = if key.contains("logback") { TAKEN[1] } else { TAKEN[0] };
            let finding = cx
                .report(place.clone(), format!("the operator does not take {key} in logConfiguration"))
                .help(format!("name it {meant}, or take it out"))
                .symptom(format!("Invalid log config key: {key}."));
            if !has(meant) && key.starts_with("log") {
                finding.fix(Fix::new(format!("name it {meant}"), Safety::Safe, Edit::Replace(place, meant.to_owned())));
            }
        }
    }
}
