//! FLK412: a memory size that Flink cannot read.

use std::collections::BTreeSet;

use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::model::config::Entry;
use crate::doctor::rule::{Check, rule};
use crate::flink::memory::MemorySize;

rule! {
    /// A memory size with a unit that Flink does not have
    ///
    /// ## Why it matters
    ///
    /// Flink reads a whole number and one of its own units: `b`, `k`, `m`, `g`, `t` and their long forms. `Mi` and `Gi` are
    /// Kubernetes's, and mean what `m` and `g` mean to Flink. The process does not start:
    ///
    /// ```text
    /// Could not parse value '1600Mi' for key 'jobmanager.memory.process.size'.
    /// Memory size unit 'mi' does not match any of the recognized units: (b | bytes) / (k | kb | kibibytes) / (m | mb | mebibytes) / (g | gb | gibibytes) / (t | tb | tebibytes)
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-jobmanager, namespace: flink}
    /// spec:
    ///   selector: {matchLabels: {app: flink}}
    ///   template:
    ///     metadata: {labels: {app: flink}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    ///         env:
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             jobmanager.memory.process.size: 1600Mi
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-jobmanager, namespace: flink}
    /// spec:
    ///   selector: {matchLabels: {app: flink}}
    ///   template:
    ///     metadata: {labels: {app: flink}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    ///         env:
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             jobmanager.memory.process.size: 1600m
    /// ```
    ///
    /// ## Fix
    ///
    /// Write `1600m` for `1600Mi`, `2g` for `2Gi`, `1536m` for `1.5g`.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/config/#basic-setup>
    FLK412 "memory-unit": Resources Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    let mut seen = BTreeSet::new();
    for (_, member) in cx.members() {
        let own = if member.is_jobmanager() { "jobmanager." } else { "taskmanager." };
        for entry in member.config.entries() {
            let Some(why) = problem(entry).filter(|_| entry.key.starts_with(own)) else { continue };
            if !seen.insert(format!("{:?}", entry.place)) {
                continue;
            }
            let (key, value) = (&entry.key, &entry.value);

            let finding = cx.report(entry.place.clone(), format!("{key}: {why}"));
            finding.symptom(format!("Could not parse value '{value}' for key '{key}'."));
            match meant(value) {
                Some(meant) => {
                    let edit = Edit::Replace(entry.place.clone(), meant.clone());
                    finding.help(format!("write {meant}"));
                    finding.fix(Fix::new(format!("write {meant}"), Safety::Safe, edit));
                }
                None => {
                    finding.help("write a whole number and one of b, k, m, g, t");
                }
            }
        }
    }
}

/// Why Flink cannot read the value of an option that is a memory size; none for other options and good values.
pub(super) fn problem(entry: &Entry) -> Option<String> {
    let memory = entry.key.starts_with("jobmanager.memory.") || entry.key.starts_with("taskmanager.memory.");
    let sized = [".size", ".min", ".max", ".segment-size"].iter().any(|end| entry.key.ends_with(end));
    if !memory || !sized || !entry.is_literal() {
        return None;
    }
    entry.value.parse::<MemorySize>().err()
}

/// The size that a Kubernetes quantity, or one with a fraction, stands for, as Flink writes it.
fn meant(value: &str) -> Option<String> {
    let value = value.trim();
    let end = value.find(|c: char| !c.is_ascii_digit() && c != '.')?;
    let (number, unit) = value.split_at(end);
    let binary = match unit.trim().trim_end_matches(['i', 'I', 'b', 'B']).to_ascii_lowercase().as_str() {
        "k" => "Ki",
        "m" => "Mi",
        "g" => "Gi",
        "t" => "Ti",
        _ => return None,
    };
    let size = format!("{number}{binary}").parse::<crate::flink::quantity::Quantity>().ok()?;
    let bytes: u64 = size.to_string().parse().ok()?;
    Some(MemorySize::of_bytes(bytes).to_string())
}
