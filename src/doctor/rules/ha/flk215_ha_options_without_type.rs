//! FLK215: options of high availability without the option that turns it on.

use super::{TYPE, stray_option};
use crate::doctor::rule::{Check, rule};

rule! {
    /// Options of high availability without the option that turns it on
    ///
    /// ## Why it matters
    ///
    /// `high-availability.storageDir` and the like do nothing by themselves: without `high-availability.type` there is
    /// no election, no ConfigMap and no recovery. Nothing says so, until the JobManager is replaced and its jobs are
    /// gone.
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
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             kubernetes.cluster-id: flink
    ///             kubernetes.namespace: flink
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
    /// Set `high-availability.type: kubernetes` (before Flink 1.17 `high-availability: kubernetes`), or take the other
    /// options out. Where it is off on purpose, `high-availability.type: none` says so.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/ha/kubernetes_ha/>
    FLK215 "ha-options-without-type": Ha Warning, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        let Some(entry) = stray_option(&cluster.config).filter(|_| !cluster.is_custom_resource()) else { continue };
        let key = cluster.version.map_or(TYPE[0], |version| version.name_of(TYPE[0]));
        cx.report(entry.key_place.clone(), format!("{} is set and {key} is not: high availability is off", entry.key))
            .help(format!("set {key} to kubernetes or zookeeper, or to none if it is meant to be off"));
    }
}
