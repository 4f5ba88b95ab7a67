//! FLK410: managed memory and the state backend do not go together.

use crate::doctor::model::config::Entry;
use crate::doctor::rule::{Check, rule};

rule! {
    /// Managed memory is set aside and not used, or RocksDB does not keep to it
    ///
    /// ## Why it matters
    ///
    /// Of a TaskManager's memory 40 % is managed memory, for RocksDB, sorting in batch jobs and Python. With the backend
    /// `hashmap` state is on the heap, and a streaming job in Java leaves managed memory empty. With
    /// `state.backend.rocksdb.memory.managed: false` RocksDB takes memory that no option counts, until the kernel ends the
    /// process:
    ///
    /// ```text
    /// Last State: Terminated, Reason: OOMKilled, Exit Code: 137
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
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
    ///         env:
    ///         - {name: JOB_MANAGER_RPC_ADDRESS, value: flink-jobmanager}
    ///         - {name: FLINK_PROPERTIES, value: "state.backend.type: hashmap"}
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
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
    ///         env:
    ///         - {name: JOB_MANAGER_RPC_ADDRESS, value: flink-jobmanager}
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             state.backend.type: hashmap
    ///             taskmanager.memory.managed.fraction: 0.1
    /// ```
    ///
    /// ## Fix
    ///
    /// With `hashmap` set `taskmanager.memory.managed.fraction` as low as Python and batch jobs allow. With RocksDB leave
    /// `state.backend.rocksdb.memory.managed` at `true`.
    ///
    /// ## When to ignore
    ///
    /// Batch jobs and Python functions use managed memory with every state backend.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/memory/mem_tuning/>
    FLK410 "managed-memory-unused": Resources Info, reads [Processes]
}

const BACKEND: [&str; 2] = ["state.backend.type", "state.backend"];

fn check(cx: &mut Check<'_>) {
    let mut seen: Vec<String> = Vec::new();
    for (_, member) in cx.members() {
        let config = &member.config;
        let Some(backend) = config.get(&BACKEND).filter(|_| !member.is_jobmanager()) else { continue };
        let is = |entry: &Entry, value: &str| entry.value.trim().eq_ignore_ascii_case(value);
        let unmanaged = config.get(&["state.backend.rocksdb.memory.managed"]).filter(|entry| is(entry, "false"));
        let sized = config.entries().iter().any(|entry| entry.key.starts_with("taskmanager.memory.managed."))
            || config.get(&["taskmanager.memory.task.heap.size"]).is_some();
        let fixed = config.get(&["state.backend.rocksdb.memory.fixed-per-slot"]).is_some();
        let place = if is(backend, "hashmap") && !sized && config.open.is_none() {
            backend
        } else {
            match unmanaged.filter(|_| is(backend, "rocksdb") && !fixed) {
                Some(entry) => entry,
                None => continue,
            }
        };
        let id = format!("{:?}", place.place);
        if seen.contains(&id) {
            continue;
        }
        seen.push(id);
        if place.key == backend.key {
            cx.report(
                place.place.clone(),
                "40 % of Flink's memory is managed memory, which the hashmap backend does not use",
            )
            .help("set taskmanager.memory.managed.fraction, to 0 unless jobs are batch or Python");
        } else {
            cx.report(place.place.clone(), "RocksDB does not keep to managed memory, so nothing bounds what it takes")
                .help("leave state.backend.rocksdb.memory.managed at true")
                .symptom("Last State: Terminated, Reason: OOMKilled, Exit Code: 137");
        }
    }
}
