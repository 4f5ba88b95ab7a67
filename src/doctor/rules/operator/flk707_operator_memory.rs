//! FLK707: memory of a FlinkDeployment that is missing or cannot be read.

use super::{is_template, option, resources, whole};
use crate::doctor::known::Known;
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::flink::memory::MemorySize;

rule! {
    /// The memory of a FlinkDeployment is missing, or no size
    ///
    /// ## Why it matters
    ///
    /// The operator reads `spec.jobManager.resource.memory` and `spec.taskManager.resource.memory` as Flink writes sizes (`2048m`, `2g`)
    /// or else as Kubernetes does (`2Gi`), and refuses what is neither (`DefaultValidator`):
    ///
    /// ```text
    /// JobManager resource memory parse error
    /// JobManager resource memory must be defined using `spec.jobManager.resource.memory`
    /// ```
    ///
    /// A `m` is Flink's mebibyte here, not the thousandth of Kubernetes.
    ///
    /// The operator looks at its own defaults too, which its chart keeps in the ConfigMap `flink-operator-config`. Where that is not
    /// among what is looked at, nothing is said to be missing.
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
    ///   jobManager: {resource: {memory: 1.5g, cpu: 1}}
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
    ///   jobManager: {resource: {memory: 1536m, cpu: 1}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    /// ```
    ///
    /// ## Fix
    ///
    /// Write a whole number with `m` or `g`, or a Kubernetes quantity such as `1536Mi`.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-kubernetes-operator-docs-stable/docs/custom-resource/reference/>
    FLK707 "operator-memory": Operator Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for resource in resources(cx) {
        for part in ["jobManager", "taskManager"] {
            let pointer = format!("/spec/{part}/resource/memory");
            let Some(text) = resource.text(&pointer).filter(|text| !text.is_empty() && !is_template(text)) else {
                continue;
            };
            if text.parse::<MemorySize>().is_err() && !is_quantity(text) {
                cx.report(resource.at(&pointer), format!("{text:?} is no size that the operator can read"))
                    .help("write 2048m or 2g as Flink does, or 2Gi as Kubernetes does")
                    .symptom("resource memory parse error");
            }
        }
    }
    for resource in whole(cx) {
        for (part, prefix) in [("jobManager", "jobmanager"), ("taskManager", "taskmanager")] {
            let heap = if part == "jobManager" { "heap.size" } else { "task.heap.size" };
            let keys = ["process.size", "flink.size", heap].map(|key| format!("{prefix}.memory.{key}"));
            let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
            if resource.has(&format!("/spec/{part}/resource/memory")) {
                continue;
            }
            let size: Known<String> = option(cx, &resource, &keys);
            if cx.absent(&size) {
                let pointer = format!("/spec/{part}");
                let place = if resource.has(&pointer) {
                    Place::key(resource.id, pointer)
                } else {
                    Place::key(resource.id, "/spec")
                };
                cx.report(place, format!("the {part} has no memory"))
                    .help(format!("set spec.{part}.resource.memory, for example 2048m"))
                    .symptom(format!("resource memory must be defined using `spec.{part}.resource.memory`"));
            }
        }
    }
}

/// A quantity of Kubernetes: a decimal number, and a suffix or an exponent.
fn is_quantity(text: &str) -> bool {
    let digits = text.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.');
    let number = &text[..text.len() - digits.len()];
    let suffixes = ["", "n", "u", "m", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei"];
    let exponent = digits.strip_prefix(['e', 'E']).is_some_and(|power| power.parse::<i8>().is_ok());
    number.parse::<f64>().is_ok() && (suffixes.contains(&digits) || exponent)
}
