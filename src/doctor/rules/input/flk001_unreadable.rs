//! FLK001: a document that is no YAML, or no Kubernetes object.

use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::doctor::snapshot::Snapshot;

rule! {
    /// A document cannot be read
    ///
    /// ## Why it matters
    ///
    /// What cannot be read was not checked, and kubectl does not apply it either:
    ///
    /// ```text
    /// error: error parsing manifest.yaml: error converting YAML to JSON: yaml: line 2: mapping values are not allowed in this context
    /// ```
    ///
    /// A run with such a document never ends with exit code 0, whatever `--fail-on` says.
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: ConfigMap
    /// metadata: {name: flink, namespace: flink
    /// data: {}
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: ConfigMap
    /// metadata: {name: flink, namespace: flink}
    /// data: {}
    /// ```
    ///
    /// ## Fix
    ///
    /// Mend the document at the place that is named. It is often the line above: a bracket or a quote that is not closed, a tab in
    /// the indentation, a template that was not rendered.
    FLK001 "unreadable": Input Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for unreadable in &cx.snapshot().unreadable {
        let file = cx.snapshot().file(unreadable.file);
        let at = unreadable.error.at.min(file.text.len());
        // What is missing at the end is shown in the last line that has something.
        let at = if at == file.text.len() { file.text.trim_end().len() } else { at };
        let place = Place::within(Snapshot::file_object(unreadable.file), "", at..at);
        let template = file.text.contains("{{");
        let help = if template {
            "render the template first, with helm template for instance, and give what comes out".to_owned()
        } else {
            format!("see what kubectl makes of it: kubectl create --dry-run=client -f {}", file.name)
        };
        cx.report(place, format!("this document cannot be read: {}", unreadable.error.message)).help(help);
    }
}
