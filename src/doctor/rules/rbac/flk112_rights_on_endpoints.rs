//! FLK112: rights on Endpoints, which Flink does not use.

use super::{Account, accounts, shortages};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::doctor::snapshot::ObjectId;
use crate::manifests::tree::Node;

rule! {
    /// A Role for Flink grants rights on endpoints, which Flink does not use
    ///
    /// ## Why it matters
    ///
    /// Guides for other programs elect a leader in Endpoints. Flink has used ConfigMaps from the first release with Kubernetes high
    /// availability on (`ConfigMapLock` in `KubernetesLeaderElector`). Who may write Endpoints can send the traffic of any Service of
    /// the namespace somewhere else, and whoever submits a job has the rights of the account.
    ///
    /// ```console
    /// resources: ["endpoints"]
    /// ```
    ///
    /// Where the rights on configmaps are missing for it, that is FLK105, and this is silent.
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: rbac.authorization.k8s.io/v1
    /// kind: Role
    /// metadata: {name: flink, namespace: flink}
    /// rules:
    /// - apiGroups: [""]
    ///   resources: [configmaps, endpoints]
    ///   verbs: [get, list, watch, create, update, patch, delete]
    /// ---
    /// apiVersion: rbac.authorization.k8s.io/v1
    /// kind: RoleBinding
    /// metadata: {name: flink, namespace: flink}
    /// subjects: [{kind: ServiceAccount, name: flink, namespace: flink}]
    /// roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: flink}
    /// ---
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-jobmanager, namespace: flink}
    /// spec:
    ///   selector: {matchLabels: {app: flink}}
    ///   template:
    ///     metadata: {labels: {app: flink}}
    ///     spec:
    ///       serviceAccountName: flink
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    ///         env:
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             high-availability.type: kubernetes
    ///             kubernetes.namespace: flink
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: rbac.authorization.k8s.io/v1
    /// kind: Role
    /// metadata: {name: flink, namespace: flink}
    /// rules:
    /// - apiGroups: [""]
    ///   resources: [configmaps]
    ///   verbs: [get, list, watch, create, update, patch, delete]
    /// ---
    /// apiVersion: rbac.authorization.k8s.io/v1
    /// kind: RoleBinding
    /// metadata: {name: flink, namespace: flink}
    /// subjects: [{kind: ServiceAccount, name: flink, namespace: flink}]
    /// roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: flink}
    /// ---
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-jobmanager, namespace: flink}
    /// spec:
    ///   selector: {matchLabels: {app: flink}}
    ///   template:
    ///     metadata: {labels: {app: flink}}
    ///     spec:
    ///       serviceAccountName: flink
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    ///         env:
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             high-availability.type: kubernetes
    ///             kubernetes.namespace: flink
    /// ```
    ///
    /// ## Fix
    ///
    /// Take `endpoints` out of the Role.
    ///
    /// ## When to ignore
    ///
    /// Where a job itself works with Endpoints.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/ha/kubernetes_ha/>
    FLK112 "rights-on-endpoints": Rbac Warning, reads [Processes, Rbac, Access, ServiceAccounts]
}

fn check(cx: &mut Check<'_>) {
    let lacking: Vec<ObjectId> = shortages(cx).iter().filter_map(|shortage| shortage.lack.role()).collect();
    let mut seen: Vec<ObjectId> = Vec::new();
    for account in accounts(cx).into_iter().filter(Account::has_kubernetes_ha) {
        for role in account.roles(cx) {
            let object = cx.object(role);
            let rules = object.node.get("rules").map(Node::items).unwrap_or_default();
            let found = rules.iter().enumerate().find_map(|(number, rule)| {
                let resources = rule.get("resources").map(Node::items).unwrap_or_default();
                Some((number, resources.iter().position(|item| item.text() == Some("endpoints"))?))
            });
            let Some((rule, item)) = found.filter(|_| !lacking.contains(&role) && !seen.contains(&role)) else {
                continue;
            };
            // The roles for people grant a lot; FLK110 looks at them.
            if crate::doctor::rights::is_built_in(&object.name) {
                continue;
            }
            seen.push(role);
            let message = format!("{} {} grants endpoints, and Flink uses only configmaps", object.kind, object.name);
            cx.report(Place::value(role, format!("/rules/{rule}/resources/{item}")), message)
                .help("take endpoints out of the rule's resources")
                .related(
                    account.place.clone(),
                    format!("the {}'s account, which has these rights", account.role_name()),
                )
                .cluster(&account.cluster.namespace, &account.cluster.name);
        }
    }
}
