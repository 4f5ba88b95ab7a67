//! FLK002: two entries of one mapping with the same key.

use std::collections::BTreeSet;

use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::doctor::snapshot::{BARE_FILE, Snapshot};
use crate::manifests::tree::{self, Node};

rule! {
    /// A key stands twice in one mapping
    ///
    /// ## Why it matters
    ///
    /// kubectl takes the last of the two and drops the other without a word. Other tools, such as Kustomize, refuse the file:
    ///
    /// ```text
    /// mapping key "replicas" already defined at line 6
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: Service
    /// metadata: {name: flink-jobmanager, namespace: flink}
    /// spec:
    ///   type: ClusterIP
    ///   selector: {app: flink}
    ///   ports: [{name: rpc, port: 6123}]
    ///   type: NodePort
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: Service
    /// metadata: {name: flink-jobmanager, namespace: flink}
    /// spec:
    ///   selector: {app: flink}
    ///   ports: [{name: rpc, port: 6123}]
    ///   type: NodePort
    /// ```
    ///
    /// ## Fix
    ///
    /// Remove the one that is not meant. The last one is what runs today. Keys inside of a Flink configuration have a rule of their
    /// own, FLK508.
    FLK002 "key-twice": Input Warning, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    let snapshot = cx.snapshot();
    for id in snapshot.objects() {
        let object = snapshot.object(id);
        let Some(number) = object.file.filter(|_| object.kind != BARE_FILE && has_twice(&object.node)) else {
            continue;
        };
        let mut found = Vec::new();
        look(&object.node, "", &mut found);
        // What an alias repeats is one mistake.
        let mut seen = BTreeSet::new();
        found.retain(|twice| seen.insert(twice.first.0.span));
        for Twice { first: (key, value), pointer } in found {
            let file = snapshot.file(number);
            let (start, end) = (key.span.start as usize, value.span.end as usize);
            let line = file.line_of(start);
            let first = Place::within(Snapshot::file_object(number), "", key.span.range());
            let text = key.text().unwrap_or_default();
            let finding = cx
                .report(Place::key(id, pointer), format!("key {text:?} stands twice here, first in line {}", line + 1))
                .help("remove the one that is not meant; the last one counts")
                .related(first.clone(), "the first, which does not count");
            let range = file.line(line);
            if value.text().is_some() && file.text[range.start..start].trim().is_empty() && end <= range.end {
                let title = format!("remove the first {text}, which does not count");
                finding.fix(Fix::new(title, Safety::Safe, Edit::RemoveLine(first)));
            }
        }
    }
}

struct Twice<'a> {
    first: (&'a Node, &'a Node),
    pointer: String,
}

/// Whether there is anything to look for: of thousands of objects few have it.
fn has_twice(node: &Node) -> bool {
    let entries = node.entries();
    let again = |number: usize, key: &Node| entries[..number].iter().any(|(other, _)| other.text() == key.text());
    entries.iter().enumerate().any(|(number, (key, value))| again(number, key) || has_twice(value))
        || node.items().iter().any(has_twice)
}

fn look<'a>(node: &'a Node, pointer: &str, found: &mut Vec<Twice<'a>>) {
    let entries = node.entries();
    for (number, (key, value)) in entries.iter().enumerate() {
        let Some(text) = key.text() else { continue };
        let is_last = !entries[number + 1..].iter().any(|(other, _)| other.text() == Some(text));
        let pointer = || format!("{pointer}/{}", tree::escape(text));
        let earlier = entries[..number].iter().rev().find(|(other, _)| other.text() == Some(text));
        if let Some((first, value)) = earlier.filter(|_| is_last && text != "<<") {
            found.push(Twice { first: (first, value), pointer: pointer() });
        }
        if is_last && value.text().is_none() {
            look(value, &pointer(), found);
        }
    }
    for (number, item) in node.items().iter().enumerate() {
        look(item, &format!("{pointer}/{number}"), found);
    }
}
