//! FLK101: a RoleBinding of the Flink pods' account in another namespace.

use std::collections::HashMap;

use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::model::{Cluster, Member};
use crate::doctor::place::Place;
use crate::doctor::rights;
use crate::doctor::rule::{Check, rule};
use crate::flink::role::Mode;
use crate::manifests::tree::Node;

rule! {
    /// A RoleBinding in another namespace than the pods grants them nothing
    ///
    /// ## Why it matters
    ///
    /// With high availability in ConfigMaps, and in native mode, Flink's processes need rights in the namespace of their pods. A
    /// RoleBinding grants rights in its own namespace and nowhere else, whatever namespace its subjects are in. If that
    /// namespace does not exist, the API server refuses the file; if it does, the JobManager fails at its first request:
    ///
    /// ```text
    /// configmaps "flink-cluster-config-map" is forbidden: User "system:serviceaccount:flink:flink" cannot list resource "configmaps" in API group "" in the namespace "flink"
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: rbac.authorization.k8s.io/v1
    /// kind: RoleBinding
    /// metadata: {name: flink, namespace: rabbitmq}
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
    /// ## Fix
    ///
    /// Set `metadata.namespace` of the RoleBinding to the pods' namespace. Its Role has to be there too.
    ///
    /// ## References
    ///
    /// - <https://kubernetes.io/docs/reference/access-authn-authz/rbac/#rolebinding-and-clusterrolebinding>
    FLK101 "binding-namespace": Rbac Error, reads [Processes, Rbac]
}

fn check(cx: &mut Check<'_>) {
    let mut accounts: HashMap<(&str, &str), (&Cluster, &Member)> = HashMap::new();
    for (cluster, member) in cx.members().into_iter().filter(|(cluster, member)| needs_rights(cluster, member)) {
        let account = (member.workload.namespace(), member.service_account());
        accounts.entry(account).or_insert((cluster, member));
    }
    for id in cx.of_kind("RoleBinding") {
        let binding = cx.object(id);
        for subject in binding.node.get("subjects").map(Node::items).unwrap_or_default() {
            let text = |key: &str| subject.get(key).and_then(Node::text).unwrap_or_default();
            let (namespace, account) = (text("namespace"), text("name"));
            if text("kind") != "ServiceAccount" || namespace.is_empty() || namespace == binding.namespace {
                continue;
            }
            let Some((cluster, member)) = accounts.get(&(namespace, account)) else { continue };
            // An account may have rights in several namespaces, as long as it has some in its own, or need none there:
            // FLK107 looks at a `kubernetes.namespace` that is not the pods'.
            let elsewhere = &binding.namespace;
            let meant = member.config.value("kubernetes.namespace") == Some(elsewhere);
            if meant || !rights::bindings(cx.snapshot(), namespace, account, namespace).named.is_empty() {
                continue;
            }
            let place = Place::value(id, "/metadata/namespace");
            let title = format!("move RoleBinding {} to {namespace}", binding.name);
            let fix = Fix::new(title, Safety::Unsafe, Edit::Replace(place.clone(), namespace.to_owned()));
            cx.report(
                place,
                format!(
                    "RoleBinding {} is in namespace {elsewhere}, where it grants service account {account} of {namespace} \
                     nothing for its own pods",
                    binding.name
                ),
            )
            .help(format!("set metadata.namespace to {namespace}, and have its Role there"))
            .related(member.in_spec("serviceAccountName"), "the pods that need the rights")
            .fix(fix)
            .cluster(&cluster.namespace, &cluster.name);
            break;
        }
    }
}

/// Whether a process asks anything of the API server. Without high availability an account may be bound elsewhere for the jobs'
/// sake alone.
fn needs_rights(cluster: &Cluster, member: &Member) -> bool {
    member.config.has_kubernetes_ha() || member.config.open.is_some() || cluster.mode.is_some_and(Mode::is_native)
}
