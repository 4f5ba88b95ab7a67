//! FLK711: resources in a pod template that Flink writes over.

use super::resources;
use crate::doctor::rule::{Check, rule};
use crate::manifests::tree::Node;

rule! {
    /// Memory and CPU of the main container in a pod template are not used
    ///
    /// ## Why it matters
    ///
    /// Flink sets the memory and the CPU of `flink-main-container` from its own options, and writes over what the pod template says
    /// (`InitJobManagerDecorator`, `InitTaskManagerDecorator`). The operator fills those options from `spec.jobManager.resource` and
    /// `spec.taskManager.resource`. Whoever raises the limit in the template sees the pod end as before:
    ///
    /// ```text
    /// OOMKilled
    /// ```
    ///
    /// Ephemeral storage and other resources of the template are kept.
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
    ///   jobManager: {resource: {memory: 2048m, cpu: 1}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    ///   podTemplate:
    ///     spec:
    ///       containers:
    ///       - name: flink-main-container
    ///         resources: {limits: {memory: 4Gi, cpu: "2"}}
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
    ///   jobManager: {resource: {memory: 4096m, cpu: 2}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    /// ```
    ///
    /// ## Fix
    ///
    /// Set `spec.jobManager.resource` and `spec.taskManager.resource`. Limits above the requests are made by the options
    /// `kubernetes.jobmanager.memory.limit-factor`, `kubernetes.taskmanager.cpu.limit-factor` and the like.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/resource-providers/native_kubernetes/#fields-overwritten-by-flink>
    FLK711 "operator-template-resources": Operator Warning, reads [Processes]
}

/// The container of a pod template that Flink runs in (`Constants.MAIN_CONTAINER_NAME`).
const MAIN: &str = "flink-main-container";

fn check(cx: &mut Check<'_>) {
    for resource in resources(cx) {
        for (template, part) in [
            ("/spec/podTemplate", "jobManager.resource and spec.taskManager.resource"),
            ("/spec/jobManager/podTemplate", "jobManager.resource"),
            ("/spec/taskManager/podTemplate", "taskManager.resource"),
        ] {
            let containers =
                resource.node.at(&format!("{template}/spec/containers")).map(Node::items).unwrap_or_default();
            let main = containers.iter().position(|one| one.get("name").and_then(Node::text) == Some(MAIN));
            let Some(number) = main else { continue };
            let base = format!("{template}/spec/containers/{number}/resources");
            let written = ["limits", "requests"].into_iter().flat_map(|kind| [(kind, "memory"), (kind, "cpu")]);
            let first = written.map(|(kind, what)| (format!("{base}/{kind}/{what}"), what));
            let Some((pointer, what)) = first.into_iter().find(|(pointer, _)| resource.has(pointer)) else { continue };
            cx.report(resource.at(&pointer), format!("Flink writes over the {what} of {MAIN} in a pod template"))
                .help(format!("set it in spec.{part}, and a limit above it with the limit-factor options"));
        }
    }
}
