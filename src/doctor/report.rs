//! What a run says, as it is written: one model behind every format.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use sha2::{Digest, Sha256};

use super::control::{Controlled, Judged, Suppression};
use super::fix::{self, Safety};
use super::model::Model;
use super::place::{self, Location};
use super::private::Private;
use super::rule::{Group, Rule, Severity};
use super::rules;
use super::snapshot::{ObjectId, Snapshot};

/// The version of the format. What it promises is in docs/schema/doctor-v1.json.
pub const SCHEMA: &str = "kubectl-flink/doctor/v1";

/// Everything that a run says.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: &'static str,
    /// This program.
    pub tool: Tool,
    /// What was looked at.
    pub target: Target,
    /// The numbers.
    pub summary: Summary,
    /// What is wrong, the accepted too.
    pub findings: Vec<Finding>,
    /// What could not be checked.
    pub skipped: Vec<Skipped>,
    /// The rules that looked.
    #[serde(skip)]
    pub rules: Vec<&'static Rule>,
    /// The clusters that were looked at.
    #[serde(skip)]
    pub clusters: Vec<ClusterName>,
}

/// This program.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Tool {
    /// Its name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// Where the objects came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Files alone.
    #[default]
    Files,
    /// A running cluster.
    Live,
    /// Files over a running cluster.
    Overlay,
}

/// What was looked at.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Target {
    /// Where the objects came from.
    pub mode: Mode,
    /// The context of the kubeconfig.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
    /// The namespaces that were asked for; none stands for all that the files have.
    pub namespaces: Vec<String>,
    /// How many documents the files had.
    #[serde(skip)]
    pub documents: usize,
    /// How many files there were.
    #[serde(skip)]
    pub files: usize,
}

/// The numbers of a run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Errors that nobody accepted.
    pub errors: usize,
    /// Warnings that nobody accepted.
    pub warnings: usize,
    /// Infos that nobody accepted.
    pub infos: usize,
    /// Findings that somebody accepted.
    pub suppressed: usize,
    /// Rules that could not check everything.
    pub not_checked: usize,
    /// Clusters that were looked at.
    pub clusters: usize,
    /// Documents in the files.
    pub documents: usize,
    /// Files.
    pub files: usize,
}

/// A cluster's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterName {
    /// Its namespace; empty where the files do not say.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl std::fmt::Display for ClusterName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.namespace.is_empty() { f.write_str(&self.name) } else { write!(f, "{}/{}", self.namespace, self.name) }
    }
}

/// An object's name. A bare file has the kind `File`; what is about this program has none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ObjectName {
    /// Its kind.
    pub kind: String,
    /// Its namespace; empty where it has none or the files do not say.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl std::fmt::Display for ObjectName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let parts = [&self.kind, &self.namespace, &self.name].into_iter().filter(|part| !part.is_empty());
        f.write_str(&parts.map(String::as_str).collect::<Vec<_>>().join("/"))
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The rule's code.
    pub code: &'static str,
    /// The rule's name.
    pub name: &'static str,
    /// The rule's group.
    pub group: Group,
    /// How bad it is.
    pub severity: Severity,
    /// The cause.
    pub message: String,
    /// What to do.
    pub help: String,
    /// What a log or an event shows of it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub symptom: Option<String>,
    /// The cluster; none where it is nobody's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster: Option<ClusterName>,
    /// The object.
    pub object: ObjectName,
    /// Where.
    pub location: Location,
    /// Other places that have to do with it.
    pub related: Vec<Related>,
    /// How to mend it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<Fix>,
    /// A command that mends it in a running cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The rule's documentation, in this program's repository.
    pub docs: String,
    /// The same for the same finding, wherever its lines move.
    pub fingerprint: String,
    /// Who accepted it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub suppressed: Option<Suppression>,
    /// The line of the file.
    #[serde(skip)]
    pub frame: Option<Frame>,
}

/// A line of a file with a part that is marked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// The line.
    pub text: String,
    /// The bytes of the line that are marked.
    pub marked: std::ops::Range<usize>,
}

/// Another place that has to do with a finding.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Related {
    /// What it has to do with it.
    pub message: String,
    /// The object.
    pub object: ObjectName,
    /// Where.
    pub location: Location,
    /// The line of the file.
    #[serde(skip)]
    pub frame: Option<Frame>,
}

/// How a finding is mended.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Fix {
    /// What it does.
    pub title: String,
    /// Who may make it.
    pub applicability: Safety,
    /// The edits; none where they are shown as a command, cannot be made in this text, or would show a secret.
    pub edits: Vec<TextEdit>,
    /// `--fix` can make it.
    #[serde(skip)]
    pub possible: bool,
}

/// A change of a file.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TextEdit {
    /// The file.
    pub file: String,
    /// The first line, from 1.
    pub start_line: usize,
    /// The first column, in characters, from 1.
    pub start_column: usize,
    /// The line of the character behind the end.
    pub end_line: usize,
    /// The column of the character behind the end.
    pub end_column: usize,
    /// What stands there afterwards.
    pub text: String,
}

/// A rule that could not check everything.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Skipped {
    /// The rule's code.
    pub code: &'static str,
    /// The rule's name.
    pub name: &'static str,
    /// Why.
    pub reason: String,
}

impl Report {
    /// Writes down what came of a run.
    pub fn new(snapshot: &Snapshot, model: &Model, controlled: Controlled, target: Target) -> Self {
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        let silent = controlled.findings.is_empty() && controlled.skipped.is_empty();
        let private = if silent { Private::default() } else { Private::new(snapshot, model) };
        let findings = controlled.findings.into_iter().map(|judged| finding(snapshot, &private, judged, &mut seen));
        let findings: Vec<Finding> = findings.collect();
        let skipped: BTreeSet<Skipped> = controlled
            .skipped
            .into_iter()
            .map(|skip| {
                let name = rules::find(skip.code).map_or("", |rule| rule.name);
                Skipped { code: skip.code, name, reason: private.say(&skip.reason) }
            })
            .collect();
        let skipped: Vec<Skipped> = skipped.into_iter().collect();
        let clusters: BTreeSet<ClusterName> = model
            .clusters
            .iter()
            .map(|cluster| ClusterName { namespace: cluster.namespace.clone(), name: cluster.name.clone() })
            .collect();
        let count = |severity| {
            let open = findings.iter().filter(|finding| finding.suppressed.is_none());
            open.filter(|finding| finding.severity == severity).count()
        };
        let summary = Summary {
            errors: count(Severity::Error),
            warnings: count(Severity::Warning),
            infos: count(Severity::Info),
            suppressed: findings.iter().filter(|finding| finding.suppressed.is_some()).count(),
            not_checked: skipped.iter().map(|skip| skip.code).collect::<BTreeSet<_>>().len(),
            clusters: clusters.len(),
            documents: target.documents,
            files: target.files,
        };
        let tool = Tool { name: "kubectl-flink", version: env!("CARGO_PKG_VERSION") };
        let clusters = clusters.into_iter().collect();
        Report { schema: SCHEMA, tool, target, summary, findings, skipped, rules: controlled.rules, clusters }
    }

    /// The findings that nobody accepted.
    pub fn open(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| finding.suppressed.is_none())
    }
}

/// The page of a rule's documentation in the repository.
pub fn docs(code: &str) -> String {
    format!("docs/rules/{code}.md")
}

fn object_name(snapshot: &Snapshot, id: ObjectId) -> ObjectName {
    let object = snapshot.object(id);
    ObjectName { kind: object.kind.clone(), namespace: object.namespace.clone(), name: object.name.clone() }
}

fn frame(snapshot: &Snapshot, private: &Private, location: &Location) -> Option<Frame> {
    let (number, span) = location.span?;
    let file = snapshot.file(number);
    let line = file.line(file.line_of(span.start as usize));
    let within = |at: u32| (at as usize).clamp(line.start, line.end) - line.start;
    let marked = within(span.start)..within(span.end);
    let (text, marked) = private.line(number, file, &line, &marked);
    Some(Frame { text, marked })
}

fn finding(snapshot: &Snapshot, private: &Private, judged: Judged, seen: &mut BTreeMap<String, usize>) -> Finding {
    let Judged { finding, suppressed } = judged;
    let location = place::locate(snapshot, &finding.place);
    let object = object_name(snapshot, finding.place.object);
    let frame_of = frame(snapshot, private, &location);
    let related = finding.related.iter().map(|(place, message)| {
        let location = place::locate(snapshot, place);
        let frame = frame(snapshot, private, &location);
        Related { message: private.say(message), object: object_name(snapshot, place.object), location, frame }
    });
    let marked = frame_of.as_ref().and_then(|frame| frame.text.get(frame.marked.clone())).unwrap_or_default();
    let fingerprint = fingerprint(finding.rule.code, &object, &location, marked, seen);
    let command = finding.command.clone().or_else(|| {
        let live = snapshot.object(finding.place.object).file.is_none();
        finding.fix.as_ref().filter(|_| live).and_then(|fix| fix::command(snapshot, fix))
    });
    let command = command.and_then(|command| without_secrets(private, command));
    Finding {
        code: finding.rule.code,
        name: finding.rule.name,
        group: finding.rule.group,
        severity: finding.severity,
        symptom: finding.symptom.map(|symptom| private.say(&symptom)),
        cluster: finding.cluster.map(|(namespace, name)| ClusterName { namespace, name }),
        related: related.collect(),
        fix: finding.fix.as_ref().map(|fix| written(snapshot, private, fix)),
        message: private.say(&finding.message),
        help: private.say(&finding.help),
        object,
        location,
        command,
        docs: docs(finding.rule.code),
        fingerprint,
        suppressed,
        frame: frame_of,
    }
}

/// With `***` in it, a command would write that: then the user edits.
fn without_secrets(private: &Private, command: String) -> Option<String> {
    if private.say(&command) == command {
        return Some(command);
    }
    let (what, _) = command.strip_prefix("kubectl patch ")?.split_once(" --type")?;
    Some(format!("kubectl edit {what}"))
}

fn written(snapshot: &Snapshot, private: &Private, fix: &fix::Fix) -> Fix {
    let edits = fix::resolve(snapshot, fix).unwrap_or_default();
    let possible = !edits.is_empty();
    // Without its secret an edit would be another one.
    let secret = edits.iter().any(|change| private.is_in_change(change.file, &change.range, &change.text));
    let edits = if secret { Vec::new() } else { edits };
    let edit = |change: fix::Change| {
        let file = snapshot.file(change.file);
        let ((start_line, start_column), (end_line, end_column)) =
            (file.position(change.range.start), file.position(change.range.end));
        TextEdit { file: file.name.clone(), start_line, start_column, end_line, end_column, text: change.text }
    };
    let edits = edits.into_iter().map(edit).collect();
    Fix { title: private.say(&fix.title), applicability: fix.safety, edits, possible }
}

/// Of the rule, the object, the path, and of a line in a configuration file what is marked in it: not of the line's number,
/// which changes with every edit above it.
fn fingerprint(
    code: &str,
    object: &ObjectName,
    location: &Location,
    marked: &str,
    seen: &mut BTreeMap<String, usize>,
) -> String {
    let mut digest = Sha256::new();
    for part in [code, &object.kind, &object.namespace, &object.name, &location.path, marked] {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    let number = seen.entry(format!("{:x}", digest.clone().finalize())).or_default();
    *number += 1;
    if *number > 1 {
        digest.update(number.to_string().as_bytes());
    }
    let text = format!("{:x}", digest.finalize());
    text[..32].to_owned()
}
