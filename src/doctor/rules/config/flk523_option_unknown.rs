//! FLK523: options that no Flink has.

use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::rule::{Check, rule};
use crate::flink::options;

rule! {
    /// An option is misspelt: no Flink version has it, and one has it almost so
    ///
    /// ## Why it matters
    ///
    /// Flink reads the options that it knows and says nothing of the others. A letter too much, and the option has its default.
    ///
    /// The names are those of Flink's own classes of 1.16 to 2.3. Only what differs from one of them in a letter or two is
    /// reported: anything else may be a job's own option, or a plugin's.
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: flink.apache.org/v1beta1
    /// kind: FlinkDeployment
    /// metadata: {name: orders}
    /// spec:
    ///   image: flink:1.20.5
    ///   flinkVersion: v1_20
    ///   serviceAccount: flink
    ///   flinkConfiguration:
    ///     taskmanager.numberOfTaskSlot: "2"
    ///   jobManager: {resource: {memory: 2048m, cpu: 1}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: flink.apache.org/v1beta1
    /// kind: FlinkDeployment
    /// metadata: {name: orders}
    /// spec:
    ///   image: flink:1.20.5
    ///   flinkVersion: v1_20
    ///   serviceAccount: flink
    ///   flinkConfiguration:
    ///     taskmanager.numberOfTaskSlots: "2"
    ///   jobManager: {resource: {memory: 2048m, cpu: 1}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    /// ```
    ///
    /// ## Fix
    ///
    /// Write the name that was meant.
    FLK523 "option-unknown": Config Warning, reads [Processes]
}

/// Below these anyone may add names: reporters, variables, other libraries.
const OPEN: [&str; 13] = [
    "metrics.reporter.",
    "traces.reporter.",
    "events.reporter.",
    "env.",
    "containerized.",
    "s3.",
    "fs.",
    "hadoop.",
    "flink.hadoop.",
    "kubernetes.operator.",
    "$internal.",
    "security.",
    // The entrypoint of the images sets it, whatever Flink makes of it.
    "query.server.port",
];

fn check(cx: &mut Check<'_>) {
    for (config, _) in super::configs(cx) {
        for entry in super::written(config) {
            if options::find(&entry.key).is_some() || OPEN.iter().any(|start| entry.key.starts_with(start)) {
                continue;
            }
            let Some(meant) = options::nearest(&entry.key) else { continue };
            let whole = super::whole_key(cx, entry);
            let finding =
                cx.report(entry.key_place.clone(), format!("Flink has no option {}: {meant} is meant", entry.key));
            finding.help(format!("write {meant}"));
            if let Some(place) = whole {
                finding.fix(Fix::new(format!("write {meant}"), Safety::Unsafe, Edit::Replace(place, meant.to_owned())));
            }
        }
    }
}
