//! FLK110: more rights than Flink uses, for everyone who can submit a job.

use super::accounts;
use crate::doctor::known::Known;
use crate::doctor::place::Place;
use crate::doctor::rights;
use crate::doctor::rule::{Check, rule};
use crate::doctor::snapshot::ObjectId;
use crate::manifests::tree::Node;

rule! {
    /// The service account of Flink's pods has far more rights than Flink uses
    ///
    /// ## Why it matters
    ///
    /// The code of jobs runs in these pods, and the token of the account lies in their file system. Whoever can submit a job has the
    /// account's rights. Flink's own guide for native mode binds the ClusterRole `edit`, which is quick to try out and lets a job
    /// read every Secret of the namespace, or with a ClusterRoleBinding of the whole cluster:
    ///
    /// ```console
    /// kubectl create clusterrolebinding flink-role-binding-default --clusterrole=edit --serviceaccount=default:default
    /// ```
    ///
    /// High availability takes configmaps only; native mode also pods, services and deployments of its own namespace.
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: rbac.authorization.k8s.io/v1
    /// kind: RoleBinding
    /// metadata: {name: flink, namespace: flink}
    /// subjects: [{kind: ServiceAccount, name: flink, namespace: flink}]
    /// roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: edit}
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
    /// Bind a Role of the pods' namespace that grants configmaps, and for native mode pods, services and deployments. `kubectl flink
    /// render` writes one.
    ///
    /// ## When to ignore
    ///
    /// In a namespace that holds nothing but this cluster and none of whose Secrets a job must not see.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/resource-providers/native_kubernetes/#rbac>
    /// - <https://kubernetes.io/docs/concepts/security/rbac-good-practices/>
    FLK110 "rights-too-wide": Rbac Warning, reads [Processes, Rbac]
}

fn check(cx: &mut Check<'_>) {
    let mut seen: Vec<ObjectId> = Vec::new();
    for account in accounts(cx) {
        for (id, role) in account.bindings(cx).named {
            let binding = cx.object(id);
            let (kind, name) = rights::role_ref(&binding.node);
            let built_in = kind == "ClusterRole" && matches!(name, "cluster-admin" | "admin" | "edit");
            let of_role = match role {
                Known::Present(role) if !built_in => wide_rule(cx, role).map(|number| (role, number)),
                _ => None,
            };
            if !(built_in || of_role.is_some()) || seen.contains(&id) {
                continue;
            }
            seen.push(id);
            let reach = match binding.kind.as_str() {
                "ClusterRoleBinding" => "in every namespace".to_owned(),
                _ if binding.namespace.is_empty() => "in the namespace".to_owned(),
                _ => format!("in namespace {}", binding.namespace),
            };
            let (place, what) = match of_role {
                Some((role, number)) => (Place::value(role, format!("/rules/{number}/resources")), "every resource"),
                None if name == "cluster-admin" => (Place::value(id, "/roleRef/name"), "everything"),
                None => (Place::value(id, "/roleRef/name"), "nearly everything, Secrets included,"),
            };
            let needs = if account.is_native() { "configmaps, pods, services and deployments" } else { "configmaps" };
            cx.report(place, format!("{kind} {name} gives {} {what} {reach}, and so every job", account.title()))
                .help(format!("bind a Role that grants {needs} in the namespace of the pods"))
                .related(account.place.clone(), format!("the {}'s account", account.role_name()))
                .cluster(&account.cluster.namespace, &account.cluster.name);
        }
    }
}

/// The rule of a role that is for every resource of the core group, or lets its holder make rights.
fn wide_rule(cx: &Check<'_>, role: ObjectId) -> Option<usize> {
    let rules = cx.object(role).node.get("rules").map(Node::items).unwrap_or_default();
    rules.iter().position(|rule| {
        let has = |key: &str, wanted: &str| {
            rule.get(key).map(Node::items).unwrap_or_default().iter().any(|item| item.text() == Some(wanted))
        };
        let core = rights::lists(rule, "apiGroups", "");
        (core && has("resources", "*")) || (core && has("verbs", "*") && has("resources", "secrets"))
    })
}
