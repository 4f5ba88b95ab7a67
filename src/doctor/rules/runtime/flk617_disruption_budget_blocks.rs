//! FLK617: A PodDisruptionBudget never lets a Flink pod be moved.

use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::manifests::tree::Node;

rule! {
    /// A PodDisruptionBudget never lets a Flink pod be moved
    ///
    /// ## Why it matters
    ///
    /// With `minAvailable` as large as the number of pods, or `maxUnavailable: 0`, no pod may ever be evicted: `kubectl drain` waits for
    /// ever, and so does the upgrade of the nodes.
    ///
    /// ```text
    /// error when evicting pods/"flink-jobmanager-5d9c7b6f4-aaaaa" -n "flink" (will retry after 5s): Cannot evict pod as it would violate the pod's disruption budget.
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
    ///   generation: 2
    /// spec:
    ///   replicas: 1
    ///   selector: {matchLabels: {app: flink, component: jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink, component: jobmanager}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    ///         env:
    ///         - {name: JOB_MANAGER_RPC_ADDRESS, value: flink-jobmanager}
    /// ---
    /// apiVersion: policy/v1
    /// kind: PodDisruptionBudget
    /// metadata: {name: flink, namespace: flink}
    /// spec:
    ///   minAvailable: 1
    ///   selector: {matchLabels: {app: flink, component: jobmanager}}
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
    ///   generation: 2
    /// spec:
    ///   replicas: 1
    ///   selector: {matchLabels: {app: flink, component: jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink, component: jobmanager}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    ///         env:
    ///         - {name: JOB_MANAGER_RPC_ADDRESS, value: flink-jobmanager}
    /// ---
    /// apiVersion: policy/v1
    /// kind: PodDisruptionBudget
    /// metadata: {name: flink, namespace: flink}
    /// spec:
    ///   maxUnavailable: 1
    ///   selector: {matchLabels: {app: flink, component: jobmanager}}
    /// ```
    ///
    /// ## Fix
    ///
    /// Set `maxUnavailable: 1`. With high availability the job goes on from its last checkpoint on another node.
    FLK617 "disruption-budget-blocks": Runtime Warning, reads [Processes, DisruptionBudgets]
}

fn check(cx: &mut Check<'_>) {
    for id in cx.of_kind("PodDisruptionBudget") {
        let budget = cx.object(id);
        let Some(labels) = budget.node.at("/spec/selector/matchLabels") else { continue };
        if budget.node.at("/spec/selector/matchExpressions").is_some() {
            continue;
        }
        let covered = cx.members().into_iter().find(|(_, member)| {
            let own = member.workload.template.metadata.as_ref().and_then(|metadata| metadata.labels.as_ref());
            let has = |key: &Node, value: &Node| {
                key.text()
                    .zip(value.text())
                    .is_some_and(|(k, v)| own.is_some_and(|own| own.get(k).is_some_and(|o| o == v)))
            };
            member.workload.namespace() == budget.namespace
                && labels.entries().iter().all(|(key, value)| has(key, value))
        });
        let Some((cluster, member)) = covered else { continue };
        let number =
            |pointer: &str| budget.node.at(pointer).and_then(Node::text).and_then(|text| text.parse::<i32>().ok());
        let all = |pointer: &str, text: &str| budget.node.at(pointer).and_then(Node::text) == Some(text);
        let least = number("/spec/minAvailable");
        // A budget over JobManager and TaskManagers together counts all of their pods.
        let alone = labels
            .entries()
            .iter()
            .any(|(key, _)| matches!(key.text(), Some("component" | "app.kubernetes.io/component")));
        let pointer = if least
            .is_some_and(|least| alone && member.workload.replicas > 0 && least >= member.workload.replicas)
            || all("/spec/minAvailable", "100%")
        {
            "/spec/minAvailable"
        } else if number("/spec/maxUnavailable") == Some(0) || all("/spec/maxUnavailable", "0%") {
            "/spec/maxUnavailable"
        } else {
            continue;
        };
        let (namespace, name) = (cluster.namespace.clone(), cluster.name.clone());
        cx.report(
            Place::value(id, pointer),
            format!("PodDisruptionBudget {} never lets a pod of {name} be evicted", budget.name),
        )
        .help("set maxUnavailable: 1 instead")
        .symptom("Cannot evict pod as it would violate the pod's disruption budget.")
        .cluster(&namespace, &name);
    }
}
