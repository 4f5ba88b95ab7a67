//! FLK713: a field that the operator's resources do not have.

use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::manifests::tree::Node;

rule! {
    /// A field of a FlinkDeployment or FlinkSessionJob is misspelt, or stands in the wrong part
    ///
    /// ## Why it matters
    ///
    /// The API server drops the fields that the operator's CustomResourceDefinition does not have. `kubectl apply` refuses them
    /// since Kubernetes 1.27; other clients, and `--validate=false`, lose them at most with a warning, and what the field says
    /// has no effect:
    ///
    /// ```text
    /// Error from server (BadRequest): error when creating "basic.yaml": FlinkDeployment in version "v1beta1" cannot be handled as a FlinkDeployment: strict decoding error: unknown field "spec.flinkConfigurations"
    /// ```
    ///
    /// The fields are those of the operator up to 1.15. Only what is like one of them, or has the name of one in another part, is
    /// reported: anything else may be of a later version. What lies in `podTemplate` is not looked at.
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
    ///   flinkConfigurations:
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
    /// Write the name that was meant, or move the field to the part that has it.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-kubernetes-operator-docs-stable/docs/custom-resource/reference/>
    FLK713 "operator-field-unknown": Operator Warning, reads [Processes]
}

/// A part of a resource, with the fields that it may have.
type Fields = (&'static str, &'static [&'static str]);

const ROLE: &[&str] = &["resource", "replicas", "podTemplate"];
const RESOURCE: &[&str] = &["cpu", "memory", "ephemeralStorage"];
const JOB: Fields = (
    "/spec/job",
    &[
        "jarURI",
        "parallelism",
        "entryClass",
        "args",
        "state",
        "upgradeMode",
        "savepointTriggerNonce",
        "checkpointTriggerNonce",
        "initialSavepointPath",
        "initialStateReference",
        "allowNonRestoredState",
        "savepointRedeployNonce",
        "autoscalerResetNonce",
    ],
);
const INGRESS: Fields = ("/spec/ingress", &["template", "className", "annotations", "labels", "tls"]);
/// `FlinkDeploymentSpec` and what is below it.
const DEPLOYMENT: &[Fields] = &[
    (
        "/spec",
        &[
            "image",
            "imagePullPolicy",
            "serviceAccount",
            "flinkVersion",
            "flinkConfiguration",
            "logConfiguration",
            "ingress",
            "podTemplate",
            "jobManager",
            "taskManager",
            "job",
            "restartNonce",
            "mode",
        ],
    ),
    ("/spec/jobManager", ROLE),
    ("/spec/jobManager/resource", RESOURCE),
    ("/spec/taskManager", ROLE),
    ("/spec/taskManager/resource", RESOURCE),
    JOB,
    INGRESS,
];
/// `FlinkSessionJobSpec` and what is below it.
const SESSION_JOB: &[Fields] = &[("/spec", &["deploymentName", "flinkConfiguration", "job", "restartNonce"]), JOB];

/// A field that is not there, and what may be meant.
pub(super) struct Unknown {
    pointer: String,
    /// The field of the same part that is almost the same.
    near: Option<&'static str>,
    /// Else those of the same name in other parts.
    elsewhere: Vec<String>,
}

/// The fields of a resource that are misspelt or in the wrong part.
pub(super) fn unknown_fields(kind: &str, node: &Node) -> Vec<Unknown> {
    let parts = if kind == "FlinkSessionJob" { SESSION_JOB } else { DEPLOYMENT };
    let mut found = Vec::new();
    for (part, fields) in parts {
        for (key, _) in node.at(part).map(Node::entries).unwrap_or_default() {
            let Some(name) = key.text().filter(|name| !fields.contains(name)) else { continue };
            let pointer = format!("{part}/{name}");
            let near = fields.iter().filter_map(|known| Some((distance(name, known)?, *known)));
            let near = near.min().map(|(_, known)| known);
            // What an Ingress has is too common a name.
            let others = parts.iter().filter(|(other, fields)| *other != INGRESS.0 && fields.contains(&name));
            let mut elsewhere: Vec<String> = others.map(|(other, _)| format!("{other}/{name}")).collect();
            if elsewhere.iter().any(|other| other.starts_with(&format!("{part}/"))) && *part != "/spec" {
                elsewhere.retain(|other| other.starts_with(&format!("{part}/")));
            }
            if near.is_some() || !elsewhere.is_empty() {
                found.push(Unknown { pointer, near, elsewhere });
            }
        }
    }
    found
}

/// How far a name is from a field, where it is near: letters may be of another case, words joined by `-` or `_`.
fn distance(name: &str, known: &str) -> Option<usize> {
    let plain = |text: &str| text.replace(['-', '_'], "").to_ascii_lowercase();
    // As a pod's specification has it.
    if (name, known) == ("serviceAccountName", "serviceAccount") {
        return Some(0);
    }
    let distance = strsim::osa_distance(&plain(name), &plain(known));
    (distance <= known.len().div_ceil(4).min(2)).then_some(distance)
}

/// `spec.job.args`
fn dotted(pointer: &str) -> String {
    pointer.trim_start_matches('/').replace('/', ".")
}

fn check(cx: &mut Check<'_>) {
    for kind in ["FlinkDeployment", "FlinkSessionJob"] {
        for id in cx.of_kind(kind) {
            for Unknown { pointer, near, elsewhere } in unknown_fields(kind, &cx.object(id).node) {
                let (field, place) = (dotted(&pointer), Place::key(id, pointer));
                let finding = cx.report(place.clone(), format!("a {kind} has no field {field}"));
                finding.symptom(format!("strict decoding error: unknown field \"{field}\""));
                if let Some(near) = near {
                    let fix = Fix::new(format!("write {near}"), Safety::Unsafe, Edit::Replace(place, near.to_owned()));
                    finding.help(format!("did you mean {near}?")).fix(fix);
                } else {
                    let elsewhere: Vec<String> = elsewhere.iter().map(|pointer| dotted(pointer)).collect();
                    finding.help(format!("did you mean {}?", elsewhere.join(" or ")));
                }
            }
        }
    }
}
