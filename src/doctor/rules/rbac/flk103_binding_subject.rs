//! FLK103: a binding whose subject is not quite the Flink pods' account.

use super::{accounts, wrong_subjects};
use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::manifests::tree::Node;

rule! {
    /// A binding names another service account than the pods run under
    ///
    /// ## Why it matters
    ///
    /// Accounts of the same name in two namespaces are two accounts. Where the subject of a binding has the wrong namespace, or a
    /// name that no account has, the API server takes the binding, and the pods still have no rights:
    ///
    /// ```text
    /// configmaps "flink-cluster-config-map" is forbidden: User "system:serviceaccount:flink:flink" cannot list resource "configmaps" in API group "" in the namespace "flink"
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
    /// subjects: [{kind: ServiceAccount, name: flink, namespace: default}]
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
    /// Write the name and the namespace of the pods' account into `subjects`.
    ///
    /// ## References
    ///
    /// - <https://kubernetes.io/docs/reference/access-authn-authz/rbac/>
    FLK103 "binding-subject": Rbac Error, reads [Processes, Rbac, ServiceAccounts]
}

fn check(cx: &mut Check<'_>) {
    for account in accounts(cx) {
        for (id, number, namespace_is_wrong) in wrong_subjects(cx, &account) {
            let binding = cx.object(id);
            let key = if namespace_is_wrong { "namespace" } else { "name" };
            let wanted = if namespace_is_wrong { account.namespace } else { account.name };
            let place = Place::value(id, format!("/subjects/{number}/{key}"));
            let written = binding.node.at(&place.pointer).and_then(Node::text).unwrap_or_default();
            let is = if namespace_is_wrong {
                format!("service account {} of namespace {written}", account.name)
            } else {
                format!("service account {written}, which is not there")
            };
            let message =
                format!("{} {} is for {is}, and the pods run as {}", binding.kind, binding.name, account.title());
            let fix = Fix::new(
                format!("set the subject's {key}"),
                Safety::Safe,
                Edit::Replace(place.clone(), wanted.to_owned()),
            );
            cx.report(place, message)
                .help(format!("set the subject's {key} to {wanted}"))
                .related(account.place.clone(), "the account of the pods")
                .fix(fix);
        }
    }
}
