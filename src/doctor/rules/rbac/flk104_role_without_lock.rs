//! FLK104: a Role without `lock`.

use super::{Account, accounts, shortages};
use crate::doctor::place::Place;
use crate::doctor::rights;
use crate::doctor::rule::{Check, rule};
use crate::manifests::tree::Node;

rule! {
    /// A Role for high availability does not have the verb lock, which some guides ask for
    ///
    /// ## Why it matters
    ///
    /// It does not: `lock` is no verb of Kubernetes. No request is ever checked for it, and Flink, whose leader election is called
    /// a `ConfigMapLock`, works with get, list, watch, create, update, patch and delete. FLK105 and FLK106 say whether those are
    /// there. This is here for those who compare their Role with a guide that lists `lock`, and for rules of a company that ask
    /// for it.
    ///
    /// ```text
    /// ConfigMapLock: flink - flink-cluster-config-map
    /// ```
    ///
    /// ## Example
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
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: rbac.authorization.k8s.io/v1
    /// kind: Role
    /// metadata: {name: flink, namespace: flink}
    /// rules:
    /// - apiGroups: [""]
    ///   resources: [configmaps]
    ///   verbs: [get, list, watch, create, update, patch, delete, lock]
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
    /// Nothing has to be done. Whoever adds `lock` needs it, or the verb `escalate`: the API server refuses a Role that grants
    /// what its creator does not have.
    ///
    /// ## When to ignore
    ///
    /// Always, unless someone insists on the verb: annotate the Role with `kubectl-flink/ignore.FLK104` and a reason.
    ///
    /// ## References
    ///
    /// - <https://kubernetes.io/docs/reference/access-authn-authz/authorization/#request-verb-resource>
    FLK104 "role-without-lock": Rbac Info, reads [Processes, Rbac, Access, ServiceAccounts]
}

fn check(cx: &mut Check<'_>) {
    let lacking: Vec<_> = shortages(cx).iter().filter_map(|shortage| shortage.lack.role()).collect();
    for account in accounts(cx).into_iter().filter(Account::has_kubernetes_ha) {
        for role in account.roles(cx) {
            // What FLK105 and FLK106 ask for comes first.
            let rules = cx.object(role).node.get("rules").map(Node::items).unwrap_or_default();
            let elects = |rule: &Node| {
                let has = |key: &str, wanted: &str| rights::lists(rule, key, wanted);
                has("resources", "configmaps") && has("apiGroups", "") && has("verbs", "update")
            };
            let Some(number) = rules.iter().position(elects).filter(|_| !lacking.contains(&role)) else { continue };
            if rights::lists(&rules[number], "verbs", "lock") {
                continue;
            }
            let object = cx.object(role);
            let message = format!(
                "{} {} does not have lock, which is no verb of Kubernetes and not needed",
                object.kind, object.name
            );
            cx.report(Place::value(role, format!("/rules/{number}/verbs")), message)
                .help("leave it as it is, and ignore this with a reason; or add lock where a guide must be followed")
                .cluster(&account.cluster.namespace, &account.cluster.name);
        }
    }
}
