//! FLK102: a binding of the Flink pods' account to a role that is not there.

use super::accounts;
use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::place::Place;
use crate::doctor::rights::{self, Mistaken};
use crate::doctor::rule::{Check, rule};

rule! {
    /// A binding grants a role that does not exist
    ///
    /// ## Why it matters
    ///
    /// The API server takes a RoleBinding whose role is not there, and grants nothing by it. A Role has to be in the namespace of
    /// its binding; one of the same name in another namespace does not count, and neither does a ClusterRole where the binding
    /// says Role. The JobManager fails at its first request:
    ///
    /// ```text
    /// configmaps "flink-cluster-config-map" is forbidden: User "system:serviceaccount:flink:flink" cannot list resource "configmaps" in API group "" in the namespace "flink": RBAC: role.rbac.authorization.k8s.io "flink" not found
    /// ```
    ///
    /// In files alone this is reported only where they have the role that was probably meant: one of the same name elsewhere or of
    /// the other kind, or a Role in the same namespace that no binding names.
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: rbac.authorization.k8s.io/v1
    /// kind: Role
    /// metadata: {name: flink, namespace: default}
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
    /// Have the Role in the binding's namespace, or name the one that is there. `roleRef` cannot be changed: delete the binding
    /// and create it anew.
    ///
    /// ## References
    ///
    /// - <https://kubernetes.io/docs/reference/access-authn-authz/rbac/>
    FLK102 "role-missing": Rbac Error, reads [Processes, Rbac]
}

fn check(cx: &mut Check<'_>) {
    for account in accounts(cx) {
        for (id, role) in account.bindings(cx).named {
            if !cx.absent(&role) {
                continue;
            }
            let binding = cx.object(id);
            let (kind, name) = rights::role_ref(&binding.node);
            let at = |path: &str| Place::value(id, format!("/roleRef/{path}"));
            let namespace = &binding.namespace;
            let mistaken = rights::mistaken_role(cx.snapshot(), id);
            let title = format!("{} {} grants {kind} {name}", binding.kind, binding.name);
            let (message, help, fix, related) = match mistaken {
                Some(Mistaken::Elsewhere(role)) => {
                    let place = Place::value(role, "/metadata/namespace");
                    let edit = Edit::Replace(place.clone(), namespace.clone());
                    (
                        format!(
                            "{title} of namespace {namespace}, and that Role is in namespace {}",
                            cx.object(role).namespace
                        ),
                        format!("set metadata.namespace of Role {name} to {namespace}"),
                        Some(Fix::new(format!("move the Role to namespace {namespace}"), Safety::Unsafe, edit)),
                        Some((place, "the Role of that name")),
                    )
                }
                Some(Mistaken::IsRole) => (
                    format!("{title}, and {name} is a Role"),
                    "set roleRef.kind to Role".to_owned(),
                    Some(Fix::new("set roleRef.kind", Safety::Safe, Edit::Replace(at("kind"), "Role".to_owned()))),
                    None,
                ),
                Some(Mistaken::IsClusterRole) => (
                    format!("{title}, and {name} is a ClusterRole"),
                    "set roleRef.kind to ClusterRole".to_owned(),
                    Some(Fix::new(
                        "set roleRef.kind",
                        Safety::Safe,
                        Edit::Replace(at("kind"), "ClusterRole".to_owned()),
                    )),
                    None,
                ),
                Some(Mistaken::Unbound(role)) => {
                    let meant = &cx.object(role).name;
                    let edit = Edit::Replace(at("name"), meant.clone());
                    (
                        format!("{title}, which is not there, while no binding grants Role {meant}"),
                        format!("set roleRef.name to {meant}"),
                        Some(Fix::new(format!("grant Role {meant}"), Safety::Unsafe, edit)),
                        Some((Place::object(role), "the Role that no binding names")),
                    )
                }
                None => (
                    format!(
                        "{title}, which does not exist{}",
                        super::of_namespace(if kind == "Role" { namespace } else { "" })
                    ),
                    format!("create {kind} {name}, or bind another one"),
                    None,
                    None,
                ),
            };
            let finding = cx
                .report(at("name"), message)
                .help(help)
                .symptom(format!("RBAC: {}.rbac.authorization.k8s.io \"{name}\" not found", kind.to_lowercase()));
            finding.related(account.place.clone(), "the pods that need the rights");
            if let Some((place, text)) = related {
                finding.related(place, text);
            }
            if let Some(fix) = fix {
                finding.fix(fix);
            }
        }
    }
}
