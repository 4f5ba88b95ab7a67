//! FLK208: in application mode the address needs --host before it.

use super::{Host, host, jobmanagers};
use crate::doctor::rule::{Check, rule};

rule! {
    /// In application mode the address needs --host before it
    ///
    /// ## Why it matters
    ///
    /// `jobmanager` takes the address as its first argument. `standalone-job` does not: what it does not know goes to
    /// the `main` method of the job. The JobManager announces `jobmanager.rpc.address` as if nothing had been given,
    /// and the job gets an argument that it did not ask for.
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
    ///         args: [standalone-job, $(POD_IP)]
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
    ///         args: [standalone-job, --host, $(POD_IP)]
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
    /// Write `args: [standalone-job, --host, $(POD_IP), ...]`.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/resource-providers/standalone/kubernetes/>
    /// - `StandaloneApplicationClusterConfigurationParserFactory`
    FLK208 "application-host-argument": Ha Warning, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for (cluster, member) in jobmanagers(cx) {
        let Some(mode) = cluster.mode else { continue };
        let Host::ToTheJob(word) = host(member, mode) else { continue };
        // What nothing expands is FLK207's.
        let name = word.text.trim_start_matches("$(").trim_end_matches(')');
        if member.env(name).is_none() && !member.has_env_from() {
            continue;
        }
        cx.report(
            member.in_container(&word.path),
            format!("{} goes to the job as an argument, and the JobManager does not announce it", word.text),
        )
        .help(format!("write --host before it: [standalone-job, --host, {}]", word.text));
    }
}
