//! FLK203: a storage directory inside the pod is lost with the pod.

use super::{STORAGE_DIR, is_on, jobmanagers, literal, pod_local};
use crate::doctor::rule::{Check, Severity, rule};

rule! {
    /// A storage directory inside the pod is lost with the pod
    ///
    /// ## Why it matters
    ///
    /// The high-availability ConfigMaps outlive the JobManager and point to files in `high-availability.storageDir`.
    /// Where that is the container's own file system, or an `emptyDir`, the next pod finds the pointers and not the
    /// files. It ends with exit code 239, and so does every pod after it:
    ///
    /// ```text
    /// org.apache.flink.util.FlinkException: Could not recover job with job id 7601318e4ccd7281759507f40830fea9.
    /// Could not retrieve submitted JobGraph from state handle under jobGraph-7601318e4ccd7281759507f40830fea9. This indicates that the retrieved state handle is broken. Try cleaning the state handle store.
    /// java.io.FileNotFoundException: /tmp/flink-ha/default/submittedJobGraph1b6d2c3b5a2e (No such file or directory)
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
    ///             high-availability.storageDir: file:///tmp/ha
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
    /// Set `high-availability.storageDir` to an object store, or mount a PersistentVolumeClaim there, in every
    /// JobManager. Where the pods crash already, the pointers have to go too: the jobs are lost.
    ///
    /// ## When to ignore
    ///
    /// On a cluster for trying things out, whose jobs may be lost. An `emptyDir` at that folder is a warning only:
    /// somebody chose it, and it lives through restarts of the container.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/ha/kubernetes_ha/>
    /// - `SessionDispatcherLeaderProcess`, `DefaultJobGraphStore`
    FLK203 "storage-local-to-pod": Ha Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for (cluster, member) in jobmanagers(cx) {
        let Some(entry) = literal(&cluster.config, &STORAGE_DIR).filter(|_| is_on(&cluster.config)) else { continue };
        let Some((where_it_is, mounted)) = pod_local(member, entry) else { continue };
        let finding = cx.report(
            entry.place.clone(),
            format!("high-availability.storageDir {} is in {where_it_is}, and lost with the pod", entry.value),
        );
        finding
            .help("use an object store such as s3://BUCKET/ha, or mount a PersistentVolumeClaim there")
            .symptom("java.io.FileNotFoundException: .../submittedJobGraph... (No such file or directory)")
            .related(member.in_container("volumeMounts"), "what is mounted");
        // Somebody chose that; it lives at least as long as the pod, through restarts of its containers.
        if mounted {
            finding.severity(Severity::Warning);
        }
    }
}
