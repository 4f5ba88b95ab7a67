//! FLK105: a JobManager that may not do with ConfigMaps what high availability does.

use super::{report, shortages};
use crate::doctor::rule::{Check, rule};

rule! {
    /// The JobManager's service account lacks rights that high availability needs
    ///
    /// ## Why it matters
    ///
    /// With `high-availability.type: kubernetes` the JobManager elects its leader in ConfigMaps and keeps its jobs and checkpoints
    /// there. It lists and watches them (`KubernetesSharedInformer`), gets and creates them (`KubernetesLeaderElector`), updates and
    /// deletes them (`KubernetesStateHandleStore`), all in the namespace `kubernetes.namespace`. From Flink 1.18 on the lease is
    /// renewed with `patch`, which the example in Flink's documentation leaves out.
    ///
    /// Without `list` or `watch` the JobManager ends and is restarted for ever:
    ///
    /// ```text
    /// configmaps "flink-cluster-config-map" is forbidden: User "system:serviceaccount:flink:default" cannot list resource "configmaps" in API group "" in the namespace "flink"
    /// ```
    ///
    /// Without `get` or `create` it runs and never becomes ready. Without `update` it ends with exit code 239. Without `patch` it
    /// serves, and loses the leadership each time that the lease runs out, with every job restarted:
    ///
    /// ```text
    /// Exception occurred while releasing lock 'ConfigMapLock: flink - flink-cluster-config-map'
    /// Failure executing: PATCH at: https://10.96.0.1:443/api/v1/namespaces/flink/configmaps/flink-cluster-config-map
    /// ```
    ///
    /// Without `delete` the ConfigMaps of jobs that have ended stay.
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
    ///   verbs: [get, list, watch, create, update, delete]
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
    /// Bind the JobManager's account, in the namespace of its pods, to a Role that grants get, list, watch, create, update, patch
    /// and delete on configmaps. A JobManager that has been leader without `patch` keeps its successor from becoming ready: scale
    /// the Deployment to 0 before it gets its rights.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/ha/kubernetes_ha/>
    /// - <https://issues.apache.org/jira/browse/FLINK-31997>
    /// - <https://kubernetes.io/docs/reference/access-authn-authz/rbac/>
    FLK105 "jobmanager-rights": Rbac Error, reads [Processes, Rbac, Access, ServiceAccounts]
}

fn check(cx: &mut Check<'_>) {
    for shortage in shortages(cx).iter().filter(|shortage| shortage.account.leads()) {
        report(cx, shortage);
    }
}
