//! FLK201: high availability without a storage directory does not start.

use super::{STORAGE_DIR, TYPE, file_of, is_on};
use crate::doctor::fix::{Fix, Safety};
use crate::doctor::rule::{Check, rule};

rule! {
    /// High availability without a storage directory does not start
    ///
    /// ## Why it matters
    ///
    /// A high-availability ConfigMap only points to files: jobs, checkpoints and jars are in
    /// `high-availability.storageDir`. Without it the process ends as it starts:
    ///
    /// ```text
    /// Configuration is missing the mandatory parameter: Key: 'high-availability.storageDir'
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
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             kubernetes.cluster-id: flink
    ///             kubernetes.namespace: flink
    ///             high-availability.type: kubernetes
    ///             high-availability.cluster-id: flink.flink
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
    /// Set `high-availability.storageDir` to a folder that every JobManager and TaskManager reaches and that outlives
    /// them: an object store, or a volume that is mounted in all of them.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/ha/kubernetes_ha/>
    /// - `HighAvailabilityServicesUtils.getClusterHighAvailableStoragePath`
    FLK201 "storage-dir-missing": Ha Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        let Some(switch) = cluster.config.get(&TYPE).filter(|_| is_on(&cluster.config)) else { continue };
        if !cx.absent(&cluster.config.known(&STORAGE_DIR)) {
            continue;
        }
        let file = file_of(cx, &cluster.config);
        let finding = cx.report(
            switch.key_place.clone(),
            format!("high availability is on ({}: {}) without high-availability.storageDir", switch.key, switch.value),
        );
        finding
            .help(
                "set high-availability.storageDir to a folder that every pod of the cluster reaches and that \
                   outlives them",
            )
            .symptom("Configuration is missing the mandatory parameter: Key: 'high-availability.storageDir'");
        if let Some(file) = file {
            finding.fix(Fix::add_option(file, "high-availability.storageDir", "s3://BUCKET/ha", Safety::Placeholder));
        }
    }
}
