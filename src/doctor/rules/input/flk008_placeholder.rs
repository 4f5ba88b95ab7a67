//! FLK008: a value that someone, or a template engine, was to fill in.

use std::collections::BTreeSet;

use super::super::config::is_flinks;
use crate::doctor::model::WORKLOADS;
use crate::doctor::model::config::Origin;
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::doctor::snapshot::ObjectId;
use crate::manifests::tree::{Node, escape};

rule! {
    /// A placeholder stands where a value should be
    ///
    /// ## Why it matters
    ///
    /// Files are looked at as they would be applied. `<your-bucket>`, `${TAG}` or `{{ .Values.storage }}` is then the name of a bucket, a
    /// tag or a folder, and what depends on it cannot be checked. The API server refuses some of them, and others fail only when
    /// Flink uses them:
    ///
    /// ```text
    /// Failed to apply default image tag "flink:${TAG}": couldn't parse image name "flink:${TAG}": invalid reference format
    /// ```
    ///
    /// Looked at are images, names, numbers and sizes of Flink's workloads, FlinkDeployments and FlinkSessionJobs, and the values of
    /// Flink's options. Not reported is what has a use there: variables in commands, arguments and environments, which a shell,
    /// Kubernetes or the entrypoint fills in, and the `<host>` of a metric's name.
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
    ///     execution.checkpointing.dir: s3://<your-bucket>/checkpoints
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
    ///     execution.checkpointing.dir: file:///opt/flink/checkpoints
    ///   jobManager: {resource: {memory: 2048m, cpu: 1}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    /// ```
    ///
    /// ## Fix
    ///
    /// Write the value. Render a template first, and look at what comes out:
    ///
    /// ```text
    /// helm template my-chart | kubectl flink doctor -f -
    /// kustomize build overlays/prod | envsubst | kubectl flink doctor -f -
    /// ```
    FLK008 "placeholder": Input Warning, reads [Processes]
}

/// Fields that are taken as they are, wherever they stand in a workload.
const FIELDS: [&str; 15] = [
    "name",
    "namespace",
    "image",
    "replicas",
    "parallelism",
    "serviceAccount",
    "serviceAccountName",
    "flinkVersion",
    "cpu",
    "memory",
    "claimName",
    "secretName",
    "containerPort",
    "jarURI",
    "deploymentName",
];

fn check(cx: &mut Check<'_>) {
    let mut found: Vec<(Place, String)> = Vec::new();
    for kind in WORKLOADS.iter().map(|(kind, _)| *kind).chain(["FlinkDeployment", "FlinkSessionJob"]) {
        for id in cx.of_kind(kind) {
            let object = cx.object(id);
            if object.file.is_some() && (kind.starts_with("Flink") || names_flink(&object.node)) {
                fields(id, &object.node, "", &mut found);
            }
        }
    }
    let resources = cx.clusters().iter().filter(|cluster| cluster.is_custom_resource()).map(|cluster| &cluster.config);
    for config in cx.members().into_iter().map(|(_, member)| &member.config).chain(resources) {
        // The names of metrics have their own `<host>`; commands may have anything.
        let open = |key: &str| key.starts_with("metrics.") || key.starts_with("env.");
        for entry in config.entries().into_iter().filter(|entry| entry.origin != Origin::Image && !open(&entry.key)) {
            let text = placeholder(&entry.value).filter(|text| !text.starts_with('$'));
            found.extend(text.map(|text| (entry.place.clone(), text.to_owned())));
        }
    }
    // To YAML this is a mapping, or nothing at all: there is no entry of it.
    let files = cx.model.config_files.iter();
    for file in files.filter(|file| file.text.contains("{{") && is_flinks(cx, file.object, &file.text)) {
        let mut start = 0;
        for line in file.text.split_inclusive('\n') {
            let text = placeholder(line).filter(|text| text.starts_with("{{") && !line.trim_start().starts_with('#'));
            if let Some(text) = text {
                let at = start + line.find(text).unwrap_or_default();
                found.push((file.place(at..at + text.len()), text.to_owned()));
            }
            start += line.len();
        }
    }
    // One placeholder may stand in many places of a file; a template that was not rendered is one mistake.
    let mut said = BTreeSet::new();
    for (place, text) in found {
        let file = cx.object(place.object).file;
        let is_word = text.starts_with('<');
        if file.is_none() || !said.insert((file, is_word.then(|| text.clone()))) {
            continue;
        }
        if is_word {
            cx.report(place, format!("{text} is a placeholder, which nobody has replaced"))
                .help("write the value that is meant");
        } else {
            cx.report(place, format!("{text} is a placeholder of a template, which was not rendered"))
                .help("render it first, with helm template, kustomize build or envsubst, and give what comes out");
        }
    }
}

/// Whether any image in it is of Flink: a workload with a placeholder for a number is none that can be read as a whole.
fn names_flink(node: &Node) -> bool {
    node.string_at("/image").is_some_and(|image| image.contains("flink"))
        || node.entries().iter().any(|(_, value)| names_flink(value))
        || node.items().iter().any(names_flink)
}

/// The fields with a placeholder in them.
fn fields(id: ObjectId, node: &Node, pointer: &str, found: &mut Vec<(Place, String)>) {
    for (key, value) in node.entries() {
        let Some(name) = key.text() else { continue };
        let pointer = format!("{pointer}/{}", escape(name));
        if let Some(text) = value.text().filter(|_| FIELDS.contains(&name)).and_then(placeholder) {
            found.push((Place::value(id, &pointer), text.to_owned()));
        }
        // Whatever stands in these is somebody else's to read.
        if !["annotations", "flinkConfiguration", "logConfiguration", "ingress"].contains(&name) {
            fields(id, value, &pointer, found);
        }
    }
    for (number, item) in node.items().iter().enumerate() {
        fields(id, item, &format!("{pointer}/{number}"), found);
    }
}

/// The first `<like-this>`, `${THIS}` or `{{ .This }}` in a text.
fn placeholder(text: &str) -> Option<&str> {
    let cut = |open: &str, close: &str| {
        let start = text.find(open)?;
        let end = start + text[start..].find(close)? + close.len();
        Some(&text[start..end])
    };
    let is_word = |text: &&str| {
        let word = &text[1..text.len() - 1];
        word.starts_with(|c: char| c.is_ascii_alphabetic())
            && word.chars().all(|c| c.is_ascii_alphanumeric() || " _.-".contains(c))
    };
    cut("{{", "}}").or_else(|| cut("${", "}")).or_else(|| cut("<", ">").filter(is_word))
}
