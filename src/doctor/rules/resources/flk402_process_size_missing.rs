//! FLK402: only Flink's share of the memory is set, and the whole is more than the limit.

use super::{memory_limit, process_size_key, size};
use crate::doctor::model::Member;
use crate::doctor::model::config::Entry;
use crate::doctor::rule::{Check, Severity, rule};
use crate::flink::memory::MemorySize;
use crate::flink::quantity::Quantity;
use crate::flink::version::Version;

rule! {
    /// Flink's memory without the JVM's own is set, and both together are more than the limit
    ///
    /// ## Why it matters
    ///
    /// `*.memory.flink.size` and the heap sizes leave out what the JVM needs for itself: metaspace (256m) and overhead (a
    /// tenth, 192m at least). Flink adds these to the size of the process. Where the container's limit has no room for
    /// them, the kernel ends the process when it fills up:
    ///
    /// ```text
    /// Last State: Terminated, Reason: OOMKilled, Exit Code: 137
    /// ```
    ///
    /// The options that are added up are `flink.size`, else `jobmanager.memory.heap.size`, or `taskmanager.memory.task.heap.size` with
    /// `managed.size`. Of the names from before Flink 1.11, `jobmanager.heap.size` and `taskmanager.heap.size`, or `.mb`, which Flink reads
    /// before 2.0, only the heap is compared: one that is as large as the limit is an error.
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
    ///     taskmanager.memory.flink.size: 1536m
    /// ---
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-taskmanager, namespace: flink}
    /// spec:
    ///   selector: {matchLabels: {app: flink}}
    ///   template:
    ///     metadata: {labels: {app: flink}}
    ///     spec:
    ///       containers:
    ///       - name: taskmanager
    ///         image: flink:1.20.5
    ///         args: [taskmanager]
    ///         resources: {limits: {memory: 1536Mi}}
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
    ///     taskmanager.memory.process.size: 1536m
    /// ---
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-taskmanager, namespace: flink}
    /// spec:
    ///   selector: {matchLabels: {app: flink}}
    ///   template:
    ///     metadata: {labels: {app: flink}}
    ///     spec:
    ///       containers:
    ///       - name: taskmanager
    ///         image: flink:1.20.5
    ///         args: [taskmanager]
    ///         resources: {limits: {memory: 1536Mi}}
    ///         volumeMounts: [{name: config, mountPath: /opt/flink/conf}]
    ///       volumes: [{name: config, configMap: {name: flink-config}}]
    /// ```
    ///
    /// ## Fix
    ///
    /// Replace `flink.size` and the heap sizes by `process.size`, with the container's limit for its value.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/memory/mem_tuning/#configure-memory-for-containers>
    FLK402 "process-size-missing": Resources Warning, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for (cluster, member) in cx.members() {
        if cluster.operator.is_some() || cluster.mode.is_some_and(crate::flink::role::Mode::is_native) {
            continue;
        }
        let key = process_size_key(member);
        // With a process size too, Flink checks that they fit.
        if member.config.get(&[key]).is_some() || member.config.open.is_some() {
            continue;
        }
        let Some((place, text, limit)) = memory_limit(member) else { continue };
        let Some((entry, flink)) = flink_size(member) else {
            if let Some((entry, heap)) = old_heap(member).filter(|(_, heap)| limit <= Quantity::whole(*heap)) {
                let heap = MemorySize::of_bytes(heap);
                cx.report(
                    entry.key_place.clone(),
                    format!(
                        "{} gives the {} a heap of {heap}, and the limit {text} leaves the JVM nothing beside it",
                        entry.key,
                        member.role_name()
                    ),
                )
                .severity(Severity::Error)
                .help(format!("set {key} instead, to the container's limit"))
                .symptom("Last State: Terminated, Reason: OOMKilled, Exit Code: 137")
                .related(place, format!("the limit is {text}"));
            }
            continue;
        };
        let process = process_of(member, flink);
        if limit >= Quantity::whole(process.bytes()) {
            continue;
        }
        cx.report(
            entry.key_place.clone(),
            format!(
                "with {} {} the {} process takes {} with the JVM's own memory, more than the limit {text}",
                entry.key,
                entry.value,
                member.role_name(),
                process.rounded()
            ),
        )
        .help(format!("set {key} instead, to the container's limit"))
        .symptom("Last State: Terminated, Reason: OOMKilled, Exit Code: 137")
        .related(place, format!("the limit is {text}"));
    }
}

/// Flink's own memory, from the option that sets it (`TaskExecutorFlinkMemoryUtils`, `JobManagerFlinkMemoryUtils`).
fn flink_size(member: &Member) -> Option<(&Entry, u64)> {
    let of = |key: &str| size(member, key).map(|(entry, size)| (entry, size.bytes()));
    let or = |key: &str, mebibytes: u64| of(key).map_or(mebibytes << 20, |(_, bytes)| bytes);
    if member.is_jobmanager() {
        let heap = || {
            let (entry, heap) = of("jobmanager.memory.heap.size")?;
            Some((entry, heap + or("jobmanager.memory.off-heap.size", 128)))
        };
        return of("jobmanager.memory.flink.size").or_else(heap);
    }
    of("taskmanager.memory.flink.size").or_else(|| {
        let (entry, heap) = of("taskmanager.memory.task.heap.size")?;
        let (_, managed) = of("taskmanager.memory.managed.size")?;
        let framework = or("taskmanager.memory.framework.heap.size", 128);
        let off_heap =
            or("taskmanager.memory.framework.off-heap.size", 128) + or("taskmanager.memory.task.off-heap.size", 0);
        // Without the network's share, which comes on top.
        Some((entry, heap + managed + framework + off_heap))
    })
}

/// The heap, or for a TaskManager from 1.10 on the heap with all else of Flink's, by its names before Flink 2.
fn old_heap(member: &Member) -> Option<(&Entry, u64)> {
    if member.version.is_some_and(|version| version >= Version::new(2, 0, 0)) {
        return None;
    }
    let prefix = if member.is_jobmanager() { "jobmanager.heap" } else { "taskmanager.heap" };
    let of_size = size(member, &format!("{prefix}.size")).map(|(entry, size)| (entry, size.bytes()));
    of_size.or_else(|| {
        let entry = member.config.get(&[&format!("{prefix}.mb")])?;
        Some((entry, entry.value.trim().parse::<u64>().ok()? << 20))
    })
}

/// The process of this much Flink memory: metaspace on top, and an overhead that is a fraction of the whole.
fn process_of(member: &Member, flink: u64) -> MemorySize {
    let prefix = if member.is_jobmanager() { "jobmanager.memory" } else { "taskmanager.memory" };
    let or = |key: &str, mebibytes: u64| {
        size(member, &format!("{prefix}.{key}")).map_or(mebibytes << 20, |(_, size)| size.bytes())
    };
    let inner = flink + or("jvm-metaspace.size", 256);
    let fraction = match member.config.value(&format!("{prefix}.jvm-overhead.fraction")) {
        None => inner / 9,
        // Another fraction than a tenth: only its minimum is sure.
        Some(_) => 0,
    };
    MemorySize::of_bytes(inner + fraction.min(or("jvm-overhead.max", 1024)).max(or("jvm-overhead.min", 192)))
}
