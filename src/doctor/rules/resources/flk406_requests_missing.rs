//! FLK406: a quota asks for requests or limits that a container does not have.

use k8s_openapi::api::core::v1::Container;

use super::containers;
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::manifests::tree::Node;

rule! {
    /// A ResourceQuota asks for a request or limit that a container does not have
    ///
    /// ## Why it matters
    ///
    /// Where a ResourceQuota counts CPU or memory, the API server refuses every pod of the namespace that does not say how
    /// much it takes. The Deployment is made, its pods are not:
    ///
    /// ```text
    /// Error creating: pods "flink-jobmanager-5ddb4cf9cb-" is forbidden: failed quota: tight: must specify limits.cpu for: jobmanager
    /// ```
    ///
    /// A limit stands in for a request, and a LimitRange of the namespace for both.
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: ResourceQuota
    /// metadata: {name: tight, namespace: flink}
    /// spec: {hard: {limits.cpu: "8"}}
    /// ---
    /// apiVersion: v1
    /// kind: LimitRange
    /// metadata: {name: memory, namespace: flink}
    /// spec: {limits: [{type: Container, default: {memory: 2Gi}}]}
    /// ---
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-jobmanager, namespace: flink}
    /// spec:
    ///   selector: {matchLabels: {app: flink}}
    ///   template:
    ///     metadata: {labels: {app: flink}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    ///         resources: {limits: {memory: 1600Mi}}
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: ResourceQuota
    /// metadata: {name: tight, namespace: flink}
    /// spec: {hard: {limits.cpu: "8"}}
    /// ---
    /// apiVersion: v1
    /// kind: LimitRange
    /// metadata: {name: cpu, namespace: flink}
    /// spec: {limits: [{type: Container, default: {cpu: "2"}}]}
    /// ---
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-jobmanager, namespace: flink}
    /// spec:
    ///   selector: {matchLabels: {app: flink}}
    ///   template:
    ///     metadata: {labels: {app: flink}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    ///         resources: {limits: {memory: 1600Mi}}
    /// ```
    ///
    /// ## Fix
    ///
    /// Set what the quota asks for in every container of the pod, also in init containers; or add a LimitRange with defaults.
    ///
    /// ## References
    ///
    /// - <https://kubernetes.io/docs/concepts/policy/resource-quotas/>
    FLK406 "requests-missing": Resources Error, reads [Processes, Quotas]
}

fn check(cx: &mut Check<'_>) {
    for (_, member) in cx.members() {
        let namespace = member.workload.namespace();
        let quotas: Vec<_> = (cx.of_kind_in("ResourceQuota", namespace).into_iter())
            .filter(|id| !is_scoped(&cx.object(*id).node))
            .collect();
        let Some(quota) = quotas.first() else { continue };
        let ranges = cx.of_kind_in("LimitRange", namespace);
        // A LimitRange that is not in the files could give what is missing.
        if ranges.is_empty() && !cx.has_all("LimitRange", namespace) {
            continue;
        }
        let nodes: Vec<&Node> = ranges.iter().map(|id| &cx.object(*id).node).collect();
        let hard: Vec<&str> = (quotas.iter())
            .flat_map(|id| cx.object(*id).node.at("/spec/hard").map(Node::entries).unwrap_or_default())
            .filter_map(|(key, _)| key.text())
            .collect();
        for (path, container) in containers(member) {
            let missing: Vec<&str> = NEEDS
                .into_iter()
                .filter(|(names, what, resource)| {
                    names.iter().any(|name| hard.contains(name)) && !has(container, what, resource, &nodes)
                })
                .map(|(names, ..)| names[0])
                .collect();
            if missing.is_empty() {
                continue;
            }
            let (missing, name) = (missing.join(" and "), &container.name);
            let quota_name = &cx.object(*quota).name;
            cx.report(
                member.in_spec(&format!("{path}/name")),
                format!("container {name} has no {missing}, which ResourceQuota {quota_name} asks for"),
            )
            .help(format!("set {missing} in its resources"))
            .symptom(format!("is forbidden: failed quota: {quota_name}: must specify"))
            .related(Place::value(*quota, "/spec/hard"), "the quota");
        }
    }
}

/// What a quota may count, by its names, and what a container has to have for it.
const NEEDS: [(&[&str], &str, &str); 4] = [
    (&["requests.cpu", "cpu"], "requests", "cpu"),
    (&["requests.memory", "memory"], "requests", "memory"),
    (&["limits.cpu"], "limits", "cpu"),
    (&["limits.memory"], "limits", "memory"),
];

/// It counts only some of the pods.
fn is_scoped(quota: &Node) -> bool {
    quota.at("/spec/scopes").is_some() || quota.at("/spec/scopeSelector").is_some()
}

/// A container has it itself, or a LimitRange gives it. A default limit is a default request too.
fn has(container: &Container, what: &str, resource: &str, ranges: &[&Node]) -> bool {
    let own = container.resources.as_ref();
    let limits = own.and_then(|own| own.limits.as_ref()).is_some_and(|all| all.contains_key(resource));
    let requests = own.and_then(|own| own.requests.as_ref()).is_some_and(|all| all.contains_key(resource));
    let given = |key: &str| {
        let items = ranges.iter().flat_map(|range| range.at("/spec/limits").map(Node::items).unwrap_or_default());
        items.filter(|item| item.string_at("/type") == Some("Container")).any(|item| {
            let max = item.at(&format!("/max/{resource}")).is_some();
            item.at(&format!("/{key}/{resource}")).is_some() || max
        })
    };
    limits || given("default") || (what == "requests" && (requests || given("defaultRequest")))
}
