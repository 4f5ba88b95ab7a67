//! FLK403: a configuration that says nothing of memory.

use super::{memory_limit, process_size_key};
use crate::doctor::fix::{Fix, Safety};
use crate::doctor::model::Member;
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::doctor::rules::config::reads_another_file;

/// Any of these is enough for a JobManager (`JobManagerProcessUtils`, and the names before Flink 1.11).
const JOBMANAGER: [&str; 5] = [
    "jobmanager.memory.process.size",
    "jobmanager.memory.flink.size",
    "jobmanager.memory.heap.size",
    "jobmanager.heap.size",
    "jobmanager.heap.mb",
];
/// Any of these is enough for a TaskManager, the third one with the managed memory.
const TASKMANAGER: [&str; 5] = [
    "taskmanager.memory.process.size",
    "taskmanager.memory.flink.size",
    "taskmanager.memory.task.heap.size",
    "taskmanager.heap.size",
    "taskmanager.heap.mb",
];

rule! {
    /// A configuration sets no memory size, without which Flink does not start
    ///
    /// ## Why it matters
    ///
    /// Flink has no default for the size of its processes. The image's own configuration sets 1600m and 1728m, but a
    /// ConfigMap mounted over it takes its place. The container ends at once with exit code 1:
    ///
    /// ```text
    /// Either required fine-grained memory (jobmanager.memory.heap.size), or Total Flink Memory size (Key: 'jobmanager.memory.flink.size' ...), or Total Process Memory size (Key: 'jobmanager.memory.process.size' ...) need to be configured explicitly.
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: ConfigMap
    /// metadata: {name: flink-config, namespace: flink}
    /// data:
    ///   config.yaml: |
    ///     jobmanager.rpc.address: flink-jobmanager
    ///     blob.server.port: 6124
    /// ---
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
    ///         volumeMounts: [{name: config, mountPath: /opt/flink/conf}]
    ///       volumes: [{name: config, configMap: {name: flink-config}}]
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: ConfigMap
    /// metadata: {name: flink-config, namespace: flink}
    /// data:
    ///   config.yaml: |
    ///     jobmanager.rpc.address: flink-jobmanager
    ///     blob.server.port: 6124
    ///     jobmanager.memory.process.size: 1600m
    /// ---
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
    ///         volumeMounts: [{name: config, mountPath: /opt/flink/conf}]
    ///       volumes: [{name: config, configMap: {name: flink-config}}]
    /// ```
    ///
    /// ## Fix
    ///
    /// Add `jobmanager.memory.process.size` and `taskmanager.memory.process.size`, not above the memory limits of the
    /// containers.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/memory/mem_setup/>
    FLK403 "memory-not-set": Resources Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for (_, member) in cx.members() {
        let Some(file) = member.config.file.map(|number| &cx.model.config_files[number]) else { continue };
        let keys = if member.is_jobmanager() { JOBMANAGER } else { TASKMANAGER };
        // A line that names the option and is not read is wrong in another way.
        let named = file.text.lines().any(|line| {
            let line = line.split('#').next().unwrap_or_default();
            keys.iter().any(|key| line.contains(key))
        });
        let known = member.config.known(&keys);
        // A file that is not read (FLK504, FLK505) may set it.
        let named = named || reads_another_file(cx, member);
        if named || file.entries.is_empty() || !cx.absent(&known) {
            continue;
        }
        let key = process_size_key(member);
        let role = member.role_name();
        let value = fitting(member);
        let place = if file.pointer.is_empty() { file.place(0..0) } else { Place::key(file.object, &file.pointer) };
        cx.report(place, format!("{} sets no memory size for the {role}, such as {key}", file.name))
            .help(format!("add {key}: {value}"))
            .symptom("Total Process Memory size (Key: '".to_owned() + key + "' ...) need to be configured explicitly.")
            .related(member.in_container("volumeMounts"), format!("the {role} that reads it"))
            .fix(Fix::add_option(file, key, &value, Safety::Safe));
    }
}

/// What fits into the container; without a limit what the image's own configuration has.
fn fitting(member: &Member) -> String {
    let usual = if member.is_jobmanager() { "1600m" } else { "1728m" };
    let limit = memory_limit(member).and_then(|(_, text, _)| {
        let (number, factor) =
            text.strip_suffix("Mi").map(|n| (n, 1)).or_else(|| Some((text.strip_suffix("Gi")?, 1024)))?;
        Some(number.parse::<u64>().ok()? * factor)
    });
    limit.map_or_else(|| usual.to_owned(), |mebibytes| format!("{mebibytes}m"))
}
