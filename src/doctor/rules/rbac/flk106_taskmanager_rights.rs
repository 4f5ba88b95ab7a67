//! FLK106: TaskManagers that may not read who leads.

use super::{report, shortages};
use crate::doctor::rule::{Check, rule};

rule! {
    /// The TaskManagers' service account may not read the ConfigMaps of high availability
    ///
    /// ## Why it matters
    ///
    /// With `high-availability.type: kubernetes` a TaskManager learns from a ConfigMap who leads: it gets, lists and watches it
    /// (`KubernetesLeaderRetrievalDriver`). Flink's example manifests name a service account in the JobManager's Deployment only.
    /// The TaskManagers then run as `default`, never find a JobManager, and jobs wait for slots:
    ///
    /// ```text
    /// configmaps "flink-cluster-config-map" is forbidden: User "system:serviceaccount:flink:default" cannot list resource "configmaps" in API group "" in the namespace "flink"
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
    /// metadata: {name: flink-taskmanager, namespace: flink}
    /// spec:
    ///   selector: {matchLabels: {app: flink}}
    ///   template:
    ///     metadata: {labels: {app: flink}}
    ///     spec:
    ///       serviceAccountName: default
    ///       containers:
    ///       - name: taskmanager
    ///         image: flink:1.20.5
    ///         args: [taskmanager]
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
    /// metadata: {name: flink-taskmanager, namespace: flink}
    /// spec:
    ///   selector: {matchLabels: {app: flink}}
    ///   template:
    ///     metadata: {labels: {app: flink}}
    ///     spec:
    ///       serviceAccountName: flink
    ///       containers:
    ///       - name: taskmanager
    ///         image: flink:1.20.5
    ///         args: [taskmanager]
    ///         env:
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             high-availability.type: kubernetes
    ///             kubernetes.namespace: flink
    /// ```
    ///
    /// ## Fix
    ///
    /// Set `serviceAccountName` of the TaskManagers' pods to an account that may get, list and watch configmaps: the JobManager's,
    /// or better one that may do only that, since the code of jobs runs under it.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/ha/kubernetes_ha/>
    /// - <https://issues.apache.org/jira/browse/FLINK-20664>
    FLK106 "taskmanager-rights": Rbac Error, reads [Processes, Rbac, Access, ServiceAccounts]
}

fn check(cx: &mut Check<'_>) {
    for shortage in shortages(cx).iter().filter(|shortage| !shortage.account.leads()) {
        report(cx, shortage);
    }
}
