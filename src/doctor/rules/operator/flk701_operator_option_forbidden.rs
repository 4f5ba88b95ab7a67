//! FLK701: an option that the operator sets itself.

use super::resources;
use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::rule::{Check, rule};

rule! {
    /// A FlinkDeployment sets an option that belongs to the operator
    ///
    /// ## Why it matters
    ///
    /// The operator takes `kubernetes.namespace`, `kubernetes.cluster-id` and `high-availability.cluster-id` from the resource's own
    /// namespace and name, and refuses a resource that sets them (`DefaultValidator`):
    ///
    /// ```text
    /// error when creating "basic.yaml": admission webhook "flinkoperator.flink.apache.org" denied the request: Forbidden Flink config key: kubernetes.cluster-id
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
    ///   serviceAccount: flink
    ///   flinkConfiguration:
    ///     kubernetes.cluster-id: basic
    ///     taskmanager.numberOfTaskSlots: "2"
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
    ///   flinkConfiguration:
    ///     taskmanager.numberOfTaskSlots: "2"
    ///   jobManager: {resource: {memory: 2048m, cpu: 1}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    /// ```
    ///
    /// ## Fix
    ///
    /// Take the option out.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-kubernetes-operator-docs-stable/docs/custom-resource/reference/>
    FLK701 "operator-option-forbidden": Operator Error, reads [Processes]
}

/// `DefaultValidator.FORBIDDEN_CONF_KEYS`
const FORBIDDEN: [&str; 3] = ["kubernetes.namespace", "kubernetes.cluster-id", "high-availability.cluster-id"];

fn check(cx: &mut Check<'_>) {
    for resource in resources(cx) {
        for key in FORBIDDEN {
            let Some(entry) = resource.cluster.config.get(&[key]) else { continue };
            let own = if key == "kubernetes.namespace" { "metadata.namespace" } else { "metadata.name" };
            let flat = entry.place.pointer == format!("/spec/flinkConfiguration/{key}");
            let finding = cx
                .report(entry.key_place.clone(), format!("{key} is set by the operator, from {own}, and refused here"))
                .help(format!("take {key} out"))
                .symptom(format!("Forbidden Flink config key: {key}"));
            if flat {
                finding.fix(Fix::new(
                    format!("take {key} out"),
                    Safety::Safe,
                    Edit::RemoveLine(entry.key_place.clone()),
                ));
            }
        }
    }
}
