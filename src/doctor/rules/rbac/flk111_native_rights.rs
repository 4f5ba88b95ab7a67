//! FLK111: a native JobManager that cannot make its TaskManagers.

use super::{Account, Lack, Right, accounts, has_other_cause, join, lack, missing};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};

rule! {
    /// A native JobManager's service account may not make its TaskManagers
    ///
    /// ## Why it matters
    ///
    /// In native mode the JobManager makes a pod for each TaskManager, watches it and takes it away
    /// (`KubernetesResourceManagerDriver`). As the pods' owner it names its own Deployment, which it has to get, and `flink list` in
    /// the pod gets the Service `ID-rest`. Without those rights jobs wait for slots, or the JobManager ends:
    ///
    /// ```text
    /// pods is forbidden: User "system:serviceaccount:flink:flink" cannot create resource "pods" in API group "" in the namespace "flink"
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
    ///   resources: [pods]
    ///   verbs: [get, list, watch]
    /// - apiGroups: [""]
    ///   resources: [services, configmaps]
    ///   verbs: [get, list, watch, create, update, patch, delete]
    /// - apiGroups: [apps]
    ///   resources: [deployments]
    ///   verbs: [get, list, watch, delete]
    /// ---
    /// apiVersion: rbac.authorization.k8s.io/v1
    /// kind: RoleBinding
    /// metadata: {name: flink, namespace: flink}
    /// subjects: [{kind: ServiceAccount, name: flink, namespace: flink}]
    /// roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: flink}
    /// ---
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: my-session, namespace: flink}
    /// spec:
    ///   selector: {matchLabels: {app: my-session}}
    ///   template:
    ///     metadata: {labels: {app: my-session}}
    ///     spec:
    ///       serviceAccountName: flink
    ///       containers:
    ///       - name: flink-main-container
    ///         image: flink:1.20.5
    ///         command: [/docker-entrypoint.sh]
    ///         args: [bash, -c, kubernetes-jobmanager.sh kubernetes-session]
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
    ///   resources: [pods]
    ///   verbs: [get, list, watch, create, delete]
    /// - apiGroups: [""]
    ///   resources: [services, configmaps]
    ///   verbs: [get, list, watch, create, update, patch, delete]
    /// - apiGroups: [apps]
    ///   resources: [deployments]
    ///   verbs: [get, list, watch, delete]
    /// ---
    /// apiVersion: rbac.authorization.k8s.io/v1
    /// kind: RoleBinding
    /// metadata: {name: flink, namespace: flink}
    /// subjects: [{kind: ServiceAccount, name: flink, namespace: flink}]
    /// roleRef: {apiGroup: rbac.authorization.k8s.io, kind: Role, name: flink}
    /// ---
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: my-session, namespace: flink}
    /// spec:
    ///   selector: {matchLabels: {app: my-session}}
    ///   template:
    ///     metadata: {labels: {app: my-session}}
    ///     spec:
    ///       serviceAccountName: flink
    ///       containers:
    ///       - name: flink-main-container
    ///         image: flink:1.20.5
    ///         command: [/docker-entrypoint.sh]
    ///         args: [bash, -c, kubernetes-jobmanager.sh kubernetes-session]
    /// ```
    ///
    /// ## Fix
    ///
    /// Bind the account to a Role with get, list, watch, create and delete on pods, get on services, and get on deployments of the
    /// API group `apps`; with high availability also with the rights on configmaps that FLK105 names.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/resource-providers/native_kubernetes/#rbac>
    FLK111 "native-rights": Rbac Error, reads [Processes, Rbac, Access, ServiceAccounts]
}

/// What `KubernetesResourceManagerDriver` and `Fabric8FlinkKubeClient` ask for, that first whose lack is seen first.
const NEEDS: [Right; 7] = [
    ("create", "", "pods"),
    ("list", "", "pods"),
    ("watch", "", "pods"),
    ("get", "", "pods"),
    ("delete", "", "pods"),
    ("get", "apps", "deployments"),
    ("get", "", "services"),
];

fn check(cx: &mut Check<'_>) {
    for account in accounts(cx).into_iter().filter(Account::is_native) {
        let missing = missing(cx, &account, &NEEDS, account.namespace);
        if missing.is_empty() || has_other_cause(cx, &account) {
            continue;
        }
        let what = |resource: &str| {
            let verbs: Vec<&str> = missing.iter().filter(|right| right.2 == resource).map(|right| right.0).collect();
            (!verbs.is_empty()).then(|| format!("{} {resource}", join(&verbs)))
        };
        let all: Vec<String> = ["pods", "deployments", "services"].into_iter().filter_map(what).collect();
        let list = all.join(", ");
        let lack = lack(cx, &account, &missing);
        let place = match lack {
            Lack::Verbs(role, number) => Place::value(role, format!("/rules/{number}/verbs")),
            Lack::Group(role, number) => Place::value(role, format!("/rules/{number}/apiGroups")),
            Lack::Rule(role) | Lack::Endpoints(role, _) => Place::value(role, "/rules"),
            Lack::Role(binding) => Place::value(binding, "/roleRef/name"),
            Lack::Unbound => account.place.clone(),
        };
        let message = match lack {
            Lack::Unbound => format!("no binding gives {} the rights of a native JobManager: {list}", account.title()),
            _ => format!("{} of a native JobManager may not {list}", account.title()),
        };
        let maps = lack == Lack::Unbound && account.has_kubernetes_ha();
        let maps = if maps { ", and for high availability everything on configmaps" } else { "" };
        let (verb, group, resource) = missing[0];
        let (namespace, name) = (account.namespace, account.name);
        let finding = cx
            .report(place, message)
            .help(format!("bind the account to a Role that lets it {list}{maps}"))
            .symptom(format!(
                "User \"system:serviceaccount:{namespace}:{name}\" cannot {verb} resource \"{resource}\" in API group \
                 \"{group}\" in the namespace \"{namespace}\""
            ))
            .cluster(&account.cluster.namespace, &account.cluster.name);
        if lack != Lack::Unbound {
            finding.related(account.place.clone(), "the JobManager's account");
        }
    }
}
