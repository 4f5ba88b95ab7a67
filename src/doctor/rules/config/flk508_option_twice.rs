//! FLK508: options that are set twice in one file.

use crate::doctor::model::config::ConfigFile;
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, Severity, rule};
use crate::manifests::tree::Node;

rule! {
    /// An option is set twice in one configuration file
    ///
    /// ## Why it matters
    ///
    /// In `config.yaml` no key may be there twice, on whatever level: Flink does not start (`YamlParserUtils`).
    ///
    /// ```text
    /// org.snakeyaml.engine.v2.exceptions.YamlEngineException: while constructing a mapping ... found duplicate key rest.port  in reader, line 42, column 1
    /// Exception in thread "main" java.lang.RuntimeException: Error parsing YAML configuration.
    /// ```
    ///
    /// In `flink-conf.yaml`, and where `config.yaml` has an option once in one piece and once nested, the later one counts and
    /// the earlier one does nothing, which is a warning here.
    ///
    /// ## Example
    ///
    /// ```yaml config.yaml
    /// jobmanager.memory.process.size: 1600m
    /// rest.port: 8081
    /// rest.port: 8082
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml config.yaml
    /// jobmanager.memory.process.size: 1600m
    /// rest.port: 8082
    /// ```
    ///
    /// ## Fix
    ///
    /// Keep the one that is meant.
    FLK508 "option-twice": Config Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for file in super::config_files(cx) {
        let mut keys = Vec::new();
        if let Some(tree) = &file.tree {
            duplicates(file, tree, &mut keys);
        }
        for (first, second, key) in &keys {
            cx.report(second.clone(), format!("config.yaml has the key {key} twice, and Flink does not read it then"))
                .help("remove one of the two")
                .symptom(format!("YamlEngineException: while constructing a mapping found duplicate key {key}"))
                .related(first.clone(), "the first one");
        }
        if keys.is_empty() {
            overridden(cx, file);
        }
    }
}

/// Keys that a mapping has twice: both places, and the key.
fn duplicates(file: &ConfigFile, mapping: &Node, found: &mut Vec<(Place, Place, String)>) {
    let entries = mapping.entries();
    for (number, (key, value)) in entries.iter().enumerate() {
        let same = |(other, _): &&(Node, Node)| key.text().is_some() && other.text() == key.text();
        if let Some((first, _)) = entries[..number].iter().find(same) {
            let (first, second) = (file.place(first.span.range()), file.place(key.span.range()));
            found.push((first, second, key.text().unwrap_or_default().to_owned()));
        }
        duplicates(file, value, found);
    }
}

/// Options of which a later line goes before an earlier one.
fn overridden(cx: &mut Check<'_>, file: &ConfigFile) {
    for (number, entry) in file.entries.iter().enumerate() {
        let Some(first) = file.entries[..number].iter().rfind(|other| other.key == entry.key) else { continue };
        let same = first.value == entry.value;
        let message = if same {
            format!("{} is set twice, to {:?} both times", entry.key, entry.value)
        } else {
            format!("{} is set twice: {:?} counts, {:?} does nothing", entry.key, entry.value, first.value)
        };
        cx.report(entry.key_place.clone(), message)
            .help("remove the one that is not meant")
            .severity(if same { Severity::Info } else { Severity::Warning })
            .related(first.key_place.clone(), "the earlier one");
    }
}
