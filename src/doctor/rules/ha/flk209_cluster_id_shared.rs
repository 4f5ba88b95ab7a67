//! FLK209: two clusters with one cluster-id take each other for standbys.

use super::{CLUSTER_ID, is_one_cluster, jobmanagers, literal, share_cluster_id};
use crate::doctor::model::{Cluster, Member};
use crate::doctor::rule::{Check, rule};

rule! {
    /// Two clusters with one cluster-id take each other for standbys
    ///
    /// ## Why it matters
    ///
    /// JobManagers with the same `kubernetes.cluster-id` in the same namespace compete for one lease in one ConfigMap.
    /// One of two clusters leads, the other stands by, and when that changes the jobs of the one are recovered by the
    /// other, with its jars and its TaskManagers.
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
    ///             high-availability.storageDir: s3://flink/ha
    ///             execution.checkpointing.dir: s3://flink/checkpoints
    /// ---
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata:
    ///   name: other-jobmanager
    ///   namespace: flink
    /// spec:
    ///   selector: {matchLabels: {app: other, component: jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: other, component: jobmanager}}
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
    /// ---
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata:
    ///   name: other-jobmanager
    ///   namespace: flink
    /// spec:
    ///   selector: {matchLabels: {app: other, component: jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: other, component: jobmanager}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager, $(POD_IP)]
    ///         env:
    ///         - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             kubernetes.cluster-id: other
    ///             kubernetes.namespace: flink
    ///             high-availability.type: kubernetes
    ///             high-availability.cluster-id: other
    ///             high-availability.storageDir: s3://flink/ha
    ///             execution.checkpointing.dir: s3://flink/checkpoints
    /// ```
    ///
    /// ## Fix
    ///
    /// Give each cluster of a namespace a `kubernetes.cluster-id` of its own, and `high-availability.cluster-id` with
    /// it.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/ha/kubernetes_ha/>
    FLK209 "cluster-id-shared": Ha Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    let alive = |(_, member): &(&Cluster, &Member)| !member.workload.finished && member.workload.replicas > 0;
    let all: Vec<(&Cluster, &Member)> = jobmanagers(cx).into_iter().filter(alive).collect();
    for (number, (cluster, member)) in all.iter().enumerate() {
        let other = all[..number]
            .iter()
            .find(|(other, _)| share_cluster_id(other, cluster) && !is_one_cluster(other, cluster, cx));
        let (Some((other, other_member)), Some(entry)) = (other, literal(&cluster.config, &[CLUSTER_ID])) else {
            continue;
        };
        let finding = cx.report(
            entry.place.clone(),
            format!(
                "{} and {} both have kubernetes.cluster-id {}: they elect one leader between them",
                other_member.workload.name, member.workload.name, entry.value
            ),
        );
        finding.help("give each cluster a kubernetes.cluster-id of its own, and a high-availability.cluster-id");
        if let Some(entry) = literal(&other.config, &[CLUSTER_ID]) {
            finding.related(entry.place.clone(), "the other cluster has it here");
        }
    }
}
