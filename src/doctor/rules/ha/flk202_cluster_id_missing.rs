//! FLK202: kubernetes high availability without a cluster-id does not start.

use super::{CLUSTER_ID, Services, TYPE, file_of, is_standalone, services};
use crate::doctor::fix::{Fix, Safety};
use crate::doctor::known::Known;
use crate::doctor::rule::{Check, rule};
use crate::flink::cluster_id;

rule! {
    /// Kubernetes high availability without a cluster-id does not start
    ///
    /// ## Why it matters
    ///
    /// The names of the high-availability ConfigMaps begin with `kubernetes.cluster-id`. In native mode the client sets
    /// it; a standalone cluster has to, and `high-availability.cluster-id`, which names a folder on the storage, does
    /// not stand in for it:
    ///
    /// ```text
    /// Caused by: java.lang.IllegalArgumentException: Configuration option 'kubernetes.cluster-id' is not set.
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
    /// Set `kubernetes.cluster-id` to the same name in the configuration of the JobManager and of its TaskManagers, and
    /// to another one for each cluster of the namespace.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/ha/kubernetes_ha/>
    /// - `Fabric8FlinkKubeClient`, which reads the option
    FLK202 "cluster-id-missing": Ha Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        let Some(switch) = cluster.config.get(&TYPE) else { continue };
        // A native cluster has its own from the client, a FlinkDeployment from the operator.
        if services(&cluster.config) != Known::Present(Services::Kubernetes)
            || cluster.operator.is_some()
            || !(cluster.mode.is_none() || is_standalone(cluster))
            || !cx.absent(&cluster.config.known(&[CLUSTER_ID]))
        {
            continue;
        }
        let file = file_of(cx, &cluster.config);
        let folder = cluster.config.get(&["high-availability.cluster-id"]);
        let finding = cx.report(
            switch.key_place.clone(),
            "Kubernetes high availability is on and kubernetes.cluster-id is not set",
        );
        finding
            .help("set kubernetes.cluster-id, the same for the JobManager and its TaskManagers")
            .symptom("java.lang.IllegalArgumentException: Configuration option 'kubernetes.cluster-id' is not set.");
        if let Some(folder) = folder {
            finding.related(folder.place.clone(), "this only names the folder on the storage");
        }
        if let Some(file) = file
            && cluster_id::check(&cluster.name).is_ok()
        {
            finding.fix(Fix::add_option(file, CLUSTER_ID, &cluster.name, Safety::Unsafe));
        }
    }
}
