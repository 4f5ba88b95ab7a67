//! FLK708: a FlinkDeployment without a service account, or with one that is not there.

use super::{is_template, resources, whole};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};

rule! {
    /// A FlinkDeployment names no service account, or one that does not exist
    ///
    /// ## Why it matters
    ///
    /// The operator starts Flink's pods under `spec.serviceAccount` and refuses a resource without it (`DefaultValidator`):
    ///
    /// ```text
    /// spec.serviceAccount must be defined. If you use helm, its value should be the same with the name of jobServiceAccount.
    /// ```
    ///
    /// The operator's chart makes an account `flink` in the namespaces that it watches. In another namespace the pods are refused:
    ///
    /// ```text
    /// error looking up service account flink/flink: serviceaccount "flink" not found
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: flink.apache.org/v1beta1
    /// kind: FlinkDeployment
    /// metadata: {name: basic, namespace: flink}
    /// spec:
    ///   image: flink:1.20.5
    ///   flinkVersion: v1_20
    ///   jobManager: {resource: {memory: 2048m, cpu: 1}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: flink.apache.org/v1beta1
    /// kind: FlinkDeployment
    /// metadata: {name: basic, namespace: flink}
    /// spec:
    ///   image: flink:1.20.5
    ///   flinkVersion: v1_20
    ///   serviceAccount: flink
    ///   jobManager: {resource: {memory: 2048m, cpu: 1}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    /// ```
    ///
    /// ## Fix
    ///
    /// Set `spec.serviceAccount`, and have an account of that name, with the rights that FLK105 and FLK111 name, in the namespace.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-kubernetes-operator-docs-stable/docs/operations/rbac/>
    FLK708 "operator-service-account": Operator Error, reads [Processes, ServiceAccounts]
}

fn check(cx: &mut Check<'_>) {
    for resource in whole(cx).into_iter().filter(|resource| !resource.has("/spec/serviceAccount")) {
        cx.report(Place::key(resource.id, "/spec"), "spec.serviceAccount is not set, and the operator refuses that")
            .help("set spec.serviceAccount, with the operator's chart to flink")
            .symptom("spec.serviceAccount must be defined.");
    }
    for resource in resources(cx) {
        let Some(name) = resource.text("/spec/serviceAccount").filter(|name| !name.is_empty() && !is_template(name))
        else {
            continue;
        };
        let namespace = &resource.cluster.namespace;
        let account = cx.find("ServiceAccount", namespace, name);
        // Of accounts that are not in the files nothing is said: the operator's chart makes them.
        if name != "default" && account.is_absent() {
            cx.report(
                resource.at("/spec/serviceAccount"),
                format!("service account {name} does not exist in namespace {namespace}"),
            )
            .help(format!("create it in namespace {namespace} with a Role, or name one that is there"))
            .symptom(format!(
                "error looking up service account {namespace}/{name}: serviceaccount \"{name}\" not found"
            ));
        }
    }
}
