//! A report in the Static Analysis Results Interchange Format, version 2.1.0 (OASIS).

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};

use crate::doctor::control::By;
use crate::doctor::fix::Safety;
use crate::doctor::place::Location;
use crate::doctor::report::{Finding, Fix, ObjectName, Report, Skipped, docs};
use crate::doctor::rule::{Rule, Severity};
use crate::doctor::rules;

const SCHEMA: &str = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json";
/// What the fingerprint is made of; another name if that ever changes.
const FINGERPRINT: &str = "kubectlFlink/v1";

/// The log, with one run.
pub fn log(report: &Report) -> Value {
    let mut used: Vec<&'static Rule> = report.rules.clone();
    let others = report.findings.iter().map(|finding| finding.code).chain(report.skipped.iter().map(|skip| skip.code));
    used.extend(others.filter_map(rules::find));
    used.sort_by_key(|rule| rule.code);
    used.dedup_by_key(|rule| rule.code);
    let numbers: BTreeMap<&str, usize> = used.iter().enumerate().map(|(number, rule)| (rule.code, number)).collect();
    let mut driver = json!({
        "name": report.tool.name,
        "version": report.tool.version,
        "semanticVersion": report.tool.version,
        "rules": used.iter().map(|rule| descriptor(rule)).collect::<Vec<_>>(),
    });
    if let Some(home) = home() {
        driver["informationUri"] = json!(home);
    }
    let notifications: Vec<Value> = report.skipped.iter().map(|skip| notification(skip, &numbers)).collect();
    json!({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": driver},
            "columnKind": "unicodeCodePoints",
            "invocations": [{
                "executionSuccessful": !report.findings.iter().any(|finding| matches!(finding.code, "FLK001" | "FLK007")),
                "toolExecutionNotifications": notifications,
            }],
            "results": report.findings.iter().map(|finding| result(finding, &numbers)).collect::<Vec<_>>(),
            "properties": {"target": report.target.mode, "summary": report.summary},
        }],
    })
}

/// Where the project is, once it is somewhere.
fn home() -> Option<&'static str> {
    Some(env!("CARGO_PKG_REPOSITORY")).filter(|home| !home.is_empty())
}

fn level(severity: Severity) -> &'static str {
    match severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
        Severity::Info => "note",
    }
}

fn descriptor(rule: &Rule) -> Value {
    let mut value = json!({
        "id": rule.code,
        "name": pascal_case(rule.name),
        "shortDescription": {"text": rule.summary()},
        "fullDescription": {"text": format!("{}.", rule.summary())},
        "help": {"text": rule.text(), "markdown": rule.text()},
        "defaultConfiguration": {"level": level(rule.severity)},
        "properties": {"tags": [rule.group.name()]},
    });
    // A URI has to be absolute here.
    if let Some(home) = home() {
        value["helpUri"] = json!(format!("{}/blob/HEAD/{}", home.trim_end_matches('/'), docs(rule.code)));
    }
    value
}

/// `binding-namespace` as the format's own guidelines want it: `BindingNamespace`.
fn pascal_case(name: &str) -> String {
    let part =
        |part: &str| part.chars().take(1).flat_map(char::to_uppercase).chain(part.chars().skip(1)).collect::<String>();
    name.split('-').map(part).collect()
}

fn notification(skip: &Skipped, numbers: &BTreeMap<&str, usize>) -> Value {
    let mut rule = json!({"id": skip.code});
    if let Some(number) = numbers.get(skip.code) {
        rule["index"] = json!(number);
    }
    json!({
        "level": "note",
        "message": {"text": format!("{} could not check everything: {}", skip.code, skip.reason)},
        "associatedRule": rule,
    })
}

fn result(finding: &Finding, numbers: &BTreeMap<&str, usize>) -> Value {
    let mut said = format!("{}.", finding.message);
    if !finding.help.is_empty() {
        said = format!("{said} Fix: {}.", finding.help);
    }
    let mut properties = Map::new();
    properties.insert("object".to_owned(), json!(finding.object));
    if let Some(cluster) = &finding.cluster {
        properties.insert("cluster".to_owned(), json!(cluster.to_string()));
    }
    if let Some(command) = &finding.command {
        properties.insert("command".to_owned(), json!(command));
    }
    let mut value = json!({
        "ruleId": finding.code,
        "level": level(finding.severity),
        "message": {"text": said},
        "locations": [location(&finding.object, &finding.location)],
        "partialFingerprints": {FINGERPRINT: finding.fingerprint},
        "properties": properties,
    });
    if let Some(number) = numbers.get(finding.code) {
        value["ruleIndex"] = json!(number);
    }
    let related: Vec<Value> = finding
        .related
        .iter()
        .enumerate()
        .map(|(number, related)| {
            let mut value = location(&related.object, &related.location);
            value["id"] = json!(number + 1);
            value["message"] = json!({"text": related.message});
            value
        })
        .collect();
    if !related.is_empty() {
        value["relatedLocations"] = json!(related);
    }
    // What a person has to fill in is no fix that an editor may make.
    if let Some(fix) =
        finding.fix.as_ref().filter(|fix| !fix.edits.is_empty() && fix.applicability != Safety::Placeholder)
    {
        value["fixes"] = json!([fix_of(fix)]);
    }
    value["suppressions"] = match &finding.suppressed {
        Some(suppression) => json!([{
            "kind": if suppression.by == By::Config { "external" } else { "inSource" },
            "status": "accepted",
            "justification": suppression.reason,
        }]),
        None => json!([]),
    };
    value
}

/// In a file with its region; every place with its object, which is all that a running cluster has.
fn location(object: &ObjectName, place: &Location) -> Value {
    let mut value = json!({});
    if let Some(file) = place.file.as_deref().filter(|file| *file != "<stdin>") {
        let mut physical = json!({"artifactLocation": {"uri": uri(file)}});
        if let (Some(line), Some(column)) = (place.line, place.column) {
            physical["region"] = json!({
                "startLine": line,
                "startColumn": column,
                "endLine": place.end_line.unwrap_or(line),
                "endColumn": place.end_column.unwrap_or(column),
            });
        }
        value["physicalLocation"] = physical;
    }
    if !object.kind.is_empty() {
        let mut logical = json!({"name": object.name, "kind": "resource", "fullyQualifiedName": object.to_string()});
        if !place.path.is_empty() {
            logical["fullyQualifiedName"] = json!(format!("{object}: {}", place.path));
        }
        value["logicalLocations"] = json!([logical]);
    }
    value
}

fn fix_of(fix: &Fix) -> Value {
    let mut changes: BTreeMap<&str, Vec<Value>> = BTreeMap::new();
    for edit in &fix.edits {
        changes.entry(&edit.file).or_default().push(json!({
            "deletedRegion": {
                "startLine": edit.start_line,
                "startColumn": edit.start_column,
                "endLine": edit.end_line,
                "endColumn": edit.end_column,
            },
            "insertedContent": {"text": edit.text},
        }));
    }
    let changes: Vec<Value> = changes
        .into_iter()
        .map(|(file, replacements)| json!({"artifactLocation": {"uri": uri(file)}, "replacements": replacements}))
        .collect();
    json!({"description": {"text": fix.title}, "artifactChanges": changes})
}

/// A path as a URI reference: relative where the path is.
fn uri(path: &str) -> String {
    let path = path.replace('\\', "/");
    let path = path.strip_prefix("./").unwrap_or(&path);
    let mut uri = String::new();
    for byte in path.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' | b'@' | b'+' | b'=' | b',' => {
                uri.push(char::from(byte));
            }
            _ => {
                let _ = write!(uri, "%{byte:02X}");
            }
        }
    }
    if uri.starts_with('/') { format!("file://{uri}") } else { uri }
}
