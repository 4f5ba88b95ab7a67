//! FLK230: standby JobManagers that may be on the node of the leader.

use super::{is_on, is_pinned, jobmanagers};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};

rule! {
    /// Standby JobManagers that may be on the node of the leader
    ///
    /// ## Why it matters
    ///
    /// A standby saves the time that a new pod takes. It saves nothing where it dies with the leader, and Kubernetes
    /// places the pods of a Deployment on one node if that suits it.
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
    ///   replicas: 2
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
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata:
    ///   name: flink-jobmanager
    ///   namespace: flink
    /// spec:
    ///   replicas: 2
    ///   selector: {matchLabels: {app: flink, component: jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink, component: jobmanager}}
    ///     spec:
    ///       topologySpreadConstraints:
    ///       - {maxSkew: 1, topologyKey: kubernetes.io/hostname, whenUnsatisfiable: ScheduleAnyway, labelSelector: {matchLabels: {app: flink, component: jobmanager}}}
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
    /// Add `topologySpreadConstraints` with `topologyKey: kubernetes.io/hostname`, or a `podAntiAffinity`, to the
    /// JobManagers.
    ///
    /// ## References
    ///
    /// - <https://kubernetes.io/docs/concepts/scheduling-eviction/topology-spread-constraints/>
    FLK230 "standbys-together": Ha Info, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for (cluster, member) in jobmanagers(cx) {
        let spec = member.spec();
        let apart = spec.topology_spread_constraints.is_some()
            || spec.affinity.as_ref().is_some_and(|affinity| affinity.pod_anti_affinity.is_some());
        // Kept together on purpose, for a volume of one node.
        if member.workload.replicas > 1 && is_on(&cluster.config) && !apart && !is_pinned(&spec) {
            cx.report(
                Place::value(member.object, "/spec/replicas"),
                format!("nothing keeps the {} JobManagers on different nodes", member.workload.replicas),
            )
            .help("add topologySpreadConstraints or a podAntiAffinity with topologyKey kubernetes.io/hostname");
        }
    }
}
