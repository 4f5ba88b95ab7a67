//! FLK223: flink 1.18 does not lead again after it has lost its lease.

use super::{Services, jobmanagers, services};
use crate::doctor::known::Known;
use crate::doctor::rule::{Check, rule};
use crate::flink::version::Version;

rule! {
    /// Flink 1.18 does not lead again after it has lost its lease
    ///
    /// ## Why it matters
    ///
    /// In Flink 1.18.0 and 1.18.1 a JobManager that loses its lease, because the API server was slow or away for a
    /// while, never asks for it again. With no standby the cluster has no leader from then on, while its pod is ready:
    ///
    /// ```text
    /// Service temporarily unavailable due to an ongoing leader election. Please refresh.
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
    ///         image: flink:1.18.1
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
    ///         image: flink:1.19.3
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
    /// Use Flink 1.19 or later. Until then, restart the JobManager when it happens.
    ///
    /// ## References
    ///
    /// - <https://issues.apache.org/jira/browse/FLINK-34007>
    FLK223 "elector-lost": Ha Warning, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for (cluster, member) in jobmanagers(cx) {
        let affected = Version::new(1, 18, 0)..Version::new(1, 18, 2);
        let Some(version) = member.version.filter(|version| affected.contains(version)) else { continue };
        if services(&cluster.config) == Known::Present(Services::Kubernetes) {
            cx.report(
                member.in_container("image"),
                format!("Flink {version} has no leader any more once its JobManager has lost the lease"),
            )
            .help("use Flink 1.19 or later")
            .symptom("Service temporarily unavailable due to an ongoing leader election. Please refresh.");
        }
    }
}
