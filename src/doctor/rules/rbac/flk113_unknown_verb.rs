//! FLK113: verbs that Kubernetes does not have.

use super::accounts;
use crate::doctor::place::Place;
use crate::doctor::rights;
use crate::doctor::rule::{Check, rule};
use crate::doctor::snapshot::ObjectId;
use crate::manifests::tree::Node;

rule! {
    /// A Role for Flink has a verb that Kubernetes does not have
    ///
    /// ## Why it matters
    ///
    /// The API server takes any word for a verb, and grants nothing by one that no request has. `edit` is the name of a ClusterRole
    /// and a command of kubectl; as a verb it does nothing, and what was meant, update and patch, is missing:
    ///
    /// ```text
    /// Failure executing: PUT at: .../configmaps/flink-cluster-config-map. Message: ... cannot update resource "configmaps"
    /// ```
    ///
    /// Whether the account lacks rights for it is what FLK105 and FLK106 say. `lock`, which some guides ask for, is FLK104's.
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
    ///   verbs: [get, list, watch, create, edit, update, patch, delete]
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
    /// Write update and patch for `edit`, get for `read`, update for `write`; verbs are in small letters.
    ///
    /// ## References
    ///
    /// - <https://kubernetes.io/docs/reference/access-authn-authz/authorization/#determine-the-request-verb>
    FLK113 "unknown-verb": Rbac Warning, reads [Processes, Rbac]
}

/// The verbs of requests for resources, `*`, and those that only the authorizer knows.
const VERBS: [&str; 16] = [
    "get",
    "list",
    "watch",
    "create",
    "update",
    "patch",
    "delete",
    "deletecollection",
    "*",
    "proxy",
    "use",
    "bind",
    "escalate",
    "impersonate",
    "approve",
    "lock",
];

fn check(cx: &mut Check<'_>) {
    let mut seen: Vec<ObjectId> = Vec::new();
    for account in accounts(cx) {
        for role in account.roles(cx) {
            if seen.contains(&role) {
                continue;
            }
            seen.push(role);
            let object = cx.object(role);
            for (rule, node) in object.node.get("rules").map(Node::items).unwrap_or_default().iter().enumerate() {
                // Other API groups may have verbs of their own.
                if !rights::lists(node, "apiGroups", "") && !rights::lists(node, "apiGroups", "apps") {
                    continue;
                }
                for (number, verb) in node.get("verbs").map(Node::items).unwrap_or_default().iter().enumerate() {
                    let Some(verb) = verb.text().filter(|verb| !VERBS.contains(verb)) else { continue };
                    let message =
                        format!("{} {} grants {verb:?}, which is no verb of Kubernetes", object.kind, object.name);
                    cx.report(Place::value(role, format!("/rules/{rule}/verbs/{number}")), message)
                        .help(instead(verb))
                        .cluster(&account.cluster.namespace, &account.cluster.name);
                }
            }
        }
    }
}

fn instead(verb: &str) -> String {
    let small = verb.to_ascii_lowercase();
    match small.as_str() {
        "edit" | "modify" | "write" => "write update and patch instead".to_owned(),
        "read" | "view" => "write get, list and watch instead".to_owned(),
        "remove" => "write delete instead".to_owned(),
        small if VERBS.contains(&small) => format!("write {small}: verbs are in small letters"),
        _ => format!("take {verb:?} out"),
    }
}
