//! FLK710: a resource without what the operator cannot do without.

use super::flk713_operator_field_unknown::unknown_fields;
use super::whole;
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::manifests::tree::Node;

rule! {
    /// A FlinkDeployment or FlinkSessionJob lacks a field that the operator needs
    ///
    /// ## Why it matters
    ///
    /// The operator needs `spec.flinkVersion` of a FlinkDeployment, and `spec.deploymentName` and `spec.job` of a FlinkSessionJob. It
    /// refuses a resource without them (`DefaultValidator`), or where the admission webhook is off, leaves it as it is and writes an
    /// event:
    ///
    /// ```text
    /// Flink Version must be defined.
    /// The job spec should not be empty
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
    ///   serviceAccount: flink
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
    /// Add the field.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-kubernetes-operator-docs-stable/docs/custom-resource/reference/>
    FLK710 "operator-spec-missing": Operator Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for resource in whole(cx).into_iter().filter(|resource| !resource.has("/spec/flinkVersion")) {
        cx.report(Place::key(resource.id, "/spec"), "spec.flinkVersion is not set, and the operator refuses that")
            .help("set spec.flinkVersion to the minor version of the image, as in v1_20")
            .symptom("Flink Version must be defined.");
    }
    for id in cx.of_kind("FlinkSessionJob") {
        if !unknown_fields("FlinkSessionJob", &cx.object(id).node).is_empty() {
            continue;
        }
        let has = |pointer: &str| cx.object(id).node.at(pointer).is_some_and(|node| !Node::is_null(node));
        // A patch has one of the two, and nothing else that would be missed.
        let (missing, symptom) = match (has("/spec/deploymentName"), has("/spec/job")) {
            (true, false) => ("job", "The job spec should not be empty"),
            (false, true) if has("/spec/job/jarURI") => ("deploymentName", "The FlinkDeployment name: null is invalid"),
            _ => continue,
        };
        cx.report(Place::key(id, "/spec"), format!("spec.{missing} is not set, and the operator refuses that"))
            .help(format!("set spec.{missing}"))
            .symptom(symptom);
    }
}
