//! FLK229: a JobManager that is not started again.

use super::{is_on, jobmanagers};
use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::manifests::tree::Node;

rule! {
    /// A JobManager that is not started again
    ///
    /// ## Why it matters
    ///
    /// High availability recovers the jobs in the next JobManager. A Job (`batch/v1`) with `backoffLimit: 0` makes no
    /// next one: after the first failure of the container or the node it counts as failed.
    ///
    /// ```text
    /// Warning  BackoffLimitExceeded  job-controller  Job has reached the specified backoff limit
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: batch/v1
    /// kind: Job
    /// metadata:
    ///   name: flink-jobmanager
    ///   namespace: flink
    /// spec:
    ///   backoffLimit: 0
    ///   template:
    ///     metadata: {labels: {app: flink, component: jobmanager}}
    ///     spec:
    ///       restartPolicy: Never
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [standalone-job, --host, $(POD_IP), --job-classname, com.example.Main]
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
    /// apiVersion: batch/v1
    /// kind: Job
    /// metadata:
    ///   name: flink-jobmanager
    ///   namespace: flink
    /// spec:
    ///   template:
    ///     metadata: {labels: {app: flink, component: jobmanager}}
    ///     spec:
    ///       restartPolicy: OnFailure
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [standalone-job, --host, $(POD_IP), --job-classname, com.example.Main]
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
    /// Leave `backoffLimit` out, or set it high, and use `restartPolicy: OnFailure`.
    ///
    /// ## References
    ///
    /// - <https://kubernetes.io/docs/concepts/workloads/controllers/job/#pod-backoff-failure-policy>
    FLK229 "job-never-restarted": Ha Warning, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for (cluster, member) in jobmanagers(cx) {
        if member.workload.kind != "Job" || member.workload.finished || !is_on(&cluster.config) {
            continue;
        }
        let node = &cx.object(member.object).node;
        if node.at("/spec/backoffLimit").and_then(Node::text) == Some("0") {
            let place = Place::value(member.object, "/spec/backoffLimit");
            cx.report(
                place.clone(),
                "the JobManager's Job is not started again after a failure, which high availability is for",
            )
            .help("leave backoffLimit out, or set it high, and use restartPolicy: OnFailure")
            .symptom("Job has reached the specified backoff limit")
            .fix(Fix::new("take backoffLimit out", Safety::Unsafe, Edit::RemoveLine(place)));
        }
    }
}
