//! FLK218: a file-system plugin that only the JobManager or only the TaskManagers have.

use super::{has_plugin, plugins_for, plugins_place, remote_folders};
use crate::doctor::rule::{Check, rule};

rule! {
    /// A file-system plugin that only the JobManager or only the TaskManagers have
    ///
    /// ## Why it matters
    ///
    /// The JobManager writes the metadata of a checkpoint and its own high-availability data, the TaskManagers write
    /// the state and fetch the jars. Both need the plugin for the file system. The side without it fails when it first
    /// needs it:
    ///
    /// ```text
    /// org.apache.flink.core.fs.UnsupportedFileSystemSchemeException: Could not find a file system implementation for scheme 's3'.
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata:
    ///   name: flink-jobmanager
    ///   namespace: flink
    /// spec:
    ///   selector: {matchLabels: {app: flink, component: jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink, component: jobmanager}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager, $(POD_IP)]
    ///         env:
    ///         - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    ///         - {name: ENABLE_BUILT_IN_PLUGINS, value: flink-s3-fs-presto-1.20.5.jar}
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             kubernetes.cluster-id: flink
    ///             kubernetes.namespace: flink
    ///             high-availability.type: kubernetes
    ///             high-availability.cluster-id: flink.flink
    ///             high-availability.storageDir: s3://flink/ha
    ///             execution.checkpointing.dir: s3://flink/checkpoints
    /// ---
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata:
    ///   name: flink-taskmanager
    ///   namespace: flink
    /// spec:
    ///   selector: {matchLabels: {app: flink, component: taskmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink, component: taskmanager}}
    ///     spec:
    ///       containers:
    ///       - name: taskmanager
    ///         image: flink:1.20.5
    ///         args: [taskmanager]
    ///         env:
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             kubernetes.cluster-id: flink
    ///             kubernetes.namespace: flink
    ///             high-availability.type: kubernetes
    ///             high-availability.cluster-id: flink.flink
    ///             high-availability.storageDir: s3://flink/ha
    ///             execution.checkpointing.dir: s3://flink/checkpoints
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata:
    ///   name: flink-jobmanager
    ///   namespace: flink
    /// spec:
    ///   selector: {matchLabels: {app: flink, component: jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink, component: jobmanager}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager, $(POD_IP)]
    ///         env:
    ///         - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    ///         - {name: ENABLE_BUILT_IN_PLUGINS, value: flink-s3-fs-presto-1.20.5.jar}
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             kubernetes.cluster-id: flink
    ///             kubernetes.namespace: flink
    ///             high-availability.type: kubernetes
    ///             high-availability.cluster-id: flink.flink
    ///             high-availability.storageDir: s3://flink/ha
    ///             execution.checkpointing.dir: s3://flink/checkpoints
    /// ---
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata:
    ///   name: flink-taskmanager
    ///   namespace: flink
    /// spec:
    ///   selector: {matchLabels: {app: flink, component: taskmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink, component: taskmanager}}
    ///     spec:
    ///       containers:
    ///       - name: taskmanager
    ///         image: flink:1.20.5
    ///         args: [taskmanager]
    ///         env:
    ///         - {name: ENABLE_BUILT_IN_PLUGINS, value: flink-s3-fs-presto-1.20.5.jar}
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             kubernetes.cluster-id: flink
    ///             kubernetes.namespace: flink
    ///             high-availability.type: kubernetes
    ///             high-availability.cluster-id: flink.flink
    ///             high-availability.storageDir: s3://flink/ha
    ///             execution.checkpointing.dir: s3://flink/checkpoints
    /// ```
    ///
    /// ## Fix
    ///
    /// Set `ENABLE_BUILT_IN_PLUGINS` to the same value in the JobManager and in the TaskManagers.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/filesystems/overview/>
    FLK218 "plugin-on-one-side": Ha Warning, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        let Some(jobmanager) = cx.model.jobmanager(cluster) else { continue };
        let mut said = Vec::new();
        for (entry, scheme) in remote_folders(&cluster.config) {
            if plugins_for(scheme).is_empty() {
                continue;
            }
            for taskmanager in cx.model.taskmanagers(cluster) {
                let both = (has_plugin(cx, jobmanager, scheme), has_plugin(cx, taskmanager, scheme));
                let (has, lacks) = match both {
                    (Ok(true), Ok(false)) => (jobmanager, taskmanager),
                    (Ok(false), Ok(true)) => (taskmanager, jobmanager),
                    _ => continue,
                };
                if said.contains(&lacks.object) {
                    continue;
                }
                said.push(lacks.object);
                let message = format!(
                    "the {} has a plugin for {scheme}:// and the {} has none",
                    has.role_name(),
                    lacks.role_name()
                );
                let there = plugins_place(cx, has);
                cx.report(plugins_place(cx, lacks), message)
                    .help(format!("set ENABLE_BUILT_IN_PLUGINS as in the {}", has.role_name()))
                    .symptom(format!("Could not find a file system implementation for scheme '{scheme}'"))
                    .related(there, "here it is enabled")
                    .related(entry.place.clone(), "what needs it");
            }
        }
    }
}
