//! FLK404: a process whose parts are larger than the whole.

use super::{process_size_key, size};
use crate::doctor::model::Member;
use crate::doctor::rule::{Check, Severity, rule};
use crate::flink::memory::{check_jobmanager, check_taskmanager};

rule! {
    /// The parts of a process need more memory than the process has
    ///
    /// ## Why it matters
    ///
    /// Of `process.size` Flink first takes metaspace (256m) and JVM overhead (192m or more), then what each of its own parts
    /// has to have. If they do not fit, the start script refuses and the container ends with exit code 1:
    ///
    /// ```text
    /// Sum of configured JVM Metaspace (256.000mb (268435456 bytes)) and JVM Overhead (192.000mb (201326592 bytes)) exceed configured Total Process Memory (300.000mb (314572800 bytes)).
    /// ```
    ///
    /// With Flink's defaults a JobManager needs 704m, a TaskManager 984m. A JobManager with less than 128m of heap starts
    /// with a warning, and runs out of memory with its first jobs.
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
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    ///         env:
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             jobmanager.memory.process.size: 300m
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
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    ///         env:
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             jobmanager.memory.process.size: 1024m
    /// ```
    ///
    /// ## Fix
    ///
    /// Raise `process.size` with the container's limit, or lower the parts that the message names.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/memory/mem_setup_tm/>
    FLK404 "sizes-do-not-fit": Resources Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for (_, member) in cx.members() {
        let key = process_size_key(member);
        let Some((entry, _)) = size(member, key).filter(|_| is_plain(member)) else { continue };
        let configuration = member.config.configuration();
        let checked =
            if member.is_jobmanager() { check_jobmanager(&configuration) } else { check_taskmanager(&configuration) };
        let Err(why) = checked else { continue };
        let severity = if why.contains("for the heap") { Severity::Warning } else { Severity::Error };
        let least = if member.is_jobmanager() { "704m" } else { "984m" };
        cx.report(entry.place.clone(), why)
            .help(format!("raise {key} and the container's limit: with Flink's defaults {least} is the least"))
            .severity(severity);
    }
}

/// Every size can be read, and none is set that says how the parts are divided: Flink then computes another way.
fn is_plain(member: &Member) -> bool {
    let prefix = if member.is_jobmanager() { "jobmanager.memory." } else { "taskmanager.memory." };
    let dividing = ["flink.size", "jobmanager.memory.heap.size", "task.heap.size"];
    member.config.entries().iter().filter(|entry| entry.key.starts_with(prefix)).all(|entry| {
        let readable = super::flk412_memory_unit::problem(entry).is_none() && entry.is_literal();
        readable && !dividing.iter().any(|key| entry.key.ends_with(key))
    })
}
