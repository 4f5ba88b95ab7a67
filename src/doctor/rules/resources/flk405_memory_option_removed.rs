//! FLK405: the memory options that Flink 2 has forgotten.

use std::collections::BTreeSet;

use crate::doctor::rule::{Check, Severity, rule};

/// Removed in 2.0 (flink-core 1.20.1 and 2.2.1), with what is set today.
/// Memory options of before 1.10, and what to set instead.
pub const REMOVED: [(&str, &str); 8] = [
    ("jobmanager.heap.size", "jobmanager.memory.process.size"),
    ("jobmanager.heap.mb", "jobmanager.memory.process.size"),
    ("taskmanager.heap.size", "taskmanager.memory.process.size"),
    ("taskmanager.heap.mb", "taskmanager.memory.process.size"),
    ("taskmanager.network.memory.fraction", "taskmanager.memory.network.fraction"),
    ("taskmanager.network.memory.min", "taskmanager.memory.network.min"),
    ("taskmanager.network.memory.max", "taskmanager.memory.network.max"),
    ("taskmanager.network.numberOfBuffers", "taskmanager.memory.network.min"),
];

rule! {
    /// A memory option that Flink 2 no longer reads
    ///
    /// ## Why it matters
    ///
    /// Up to Flink 1.20 the memory options from before 1.11 were still read. Flink 2.0 ignores them without a word. Where
    /// nothing else sets the size, the process does not start:
    ///
    /// ```text
    /// Either required fine-grained memory (jobmanager.memory.heap.size), or Total Flink Memory size (Key: 'jobmanager.memory.flink.size' ...), or Total Process Memory size (Key: 'jobmanager.memory.process.size' ...) need to be configured explicitly.
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-jobmanager, namespace: flink}
    /// spec:
    ///   selector: {matchLabels: {app: flink}}
    ///   template:
    ///     metadata: {labels: {app: flink}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:2.1.0
    ///         args: [jobmanager]
    ///         env:
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             jobmanager.heap.size: 1024m
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-jobmanager, namespace: flink}
    /// spec:
    ///   selector: {matchLabels: {app: flink}}
    ///   template:
    ///     metadata: {labels: {app: flink}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:2.1.0
    ///         args: [jobmanager]
    ///         env:
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             jobmanager.memory.process.size: 1600m
    /// ```
    ///
    /// ## Fix
    ///
    /// Set `*.memory.process.size`, the size of the whole process, instead of the size of its heap.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/memory/mem_migration/>
    FLK405 "memory-option-removed": Resources Warning, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    let mut seen = BTreeSet::new();
    for (_, member) in cx.members() {
        let Some(version) = member.version.filter(|version| version.major() >= 2) else { continue };
        let own = if member.is_jobmanager() { "jobmanager." } else { "taskmanager." };
        for (key, instead) in REMOVED {
            let Some(entry) = member.config.get(&[key]) else { continue };
            // The other role's option stands in the same file and is that role's business.
            if !key.starts_with(own) || !seen.insert(format!("{:?}", entry.place)) {
                continue;
            }
            let memory = format!("{own}memory.");
            let sized = member.config.entries().iter().any(|entry| entry.key.starts_with(&memory));
            let fatal = key.contains(".heap.") && !sized && member.config.open.is_none();
            let severity = if fatal { Severity::Error } else { Severity::Warning };
            cx.report(entry.key_place.clone(), format!("{key} is ignored by Flink {version}"))
                .help(format!("set {instead} instead"))
                .severity(severity);
        }
    }
}
