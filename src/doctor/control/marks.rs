//! Annotations and comments by which findings are accepted.

use jiff::civil::Date;

use super::By;
use super::select::similar;
use super::settings::Filter;
use crate::doctor::model::WORKLOADS;
use crate::doctor::place::Place;
use crate::doctor::rule::Rule;
use crate::doctor::rules;
use crate::doctor::snapshot::{ObjectId, Snapshot, SourceFile};
use crate::manifests::tree;

/// `kubectl-flink/ignore.FLK101: reason` among an object's annotations.
pub const ANNOTATION: &str = "kubectl-flink/ignore.";
/// `# kubectl-flink: ignore FLK101 -- reason`, behind the line or above it.
const COMMENT: &str = "kubectl-flink:";

/// One rule, accepted in one place.
#[derive(Debug, Clone)]
pub struct Mark {
    /// What it names, as it is written.
    pub code: String,
    /// The rule of that code or name.
    pub rule: Option<&'static Rule>,
    /// Why; empty where none is given.
    pub reason: String,
    /// The last day on which it counts.
    pub until: Option<Date>,
    /// What it accepts.
    pub scope: Scope,
    /// What kind of mark it is.
    pub by: By,
    /// Where it is.
    pub place: Place,
}

/// What a mark accepts.
#[derive(Debug, Clone)]
pub enum Scope {
    /// Findings in an object.
    Object(ObjectId),
    /// Findings in a line, from 1, of a file.
    Line(usize, usize),
    /// Findings that a filter of the settings takes.
    Matching(Filter),
    /// Nothing: it stands where nobody reads it.
    Nothing,
}

/// Why a mark cannot do what it is for.
#[derive(Debug)]
pub struct Wrong {
    /// The cause.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl Mark {
    /// It names a rule, has a reason and has not expired.
    pub fn is_valid(&self, today: Date) -> bool {
        self.rule.is_some() && !self.reason.is_empty() && self.until.is_none_or(|until| until >= today)
    }

    /// Why it cannot do what it is for.
    pub fn wrong(&self) -> Option<Wrong> {
        if self.rule.is_none() {
            let message = if self.code.is_empty() {
                "this names no rule to accept".to_owned()
            } else {
                format!("there is no rule {:?} to accept", self.code)
            };
            let help = similar(&self.code).map(|similar| format!("did you mean {similar}?"));
            return Some(Wrong { message, help: help.unwrap_or("see all rules: kubectl flink rules".to_owned()) });
        }
        let message = || format!("this accepts {} without a reason, and so does not count", self.code);
        let help = match self.by {
            By::Comment => format!("write the reason behind two dashes: # {COMMENT} ignore {} -- REASON", self.code),
            By::Annotation | By::Config => "give the reason".to_owned(),
        };
        self.reason.is_empty().then(|| Wrong { message: message(), help })
    }
}

/// The comments of all files, but the one of the settings.
pub fn in_files(snapshot: &Snapshot, settings: Option<usize>) -> Vec<Mark> {
    let mut marks = Vec::new();
    for (number, file) in snapshot.files().iter().enumerate() {
        if Some(number) != settings {
            in_file(number, file, &mut marks);
        }
    }
    marks
}

fn in_file(number: usize, file: &SourceFile, marks: &mut Vec<Mark>) {
    for (at, _) in file.text.match_indices(COMMENT) {
        let line = file.line_of(at);
        let range = file.line(line);
        let before = &file.text[range.start..at];
        let Some(hash) = before.trim_end().strip_suffix('#') else { continue };
        // In the middle of a word a number sign begins no comment.
        if !hash.is_empty() && !hash.ends_with([' ', '\t']) {
            continue;
        }
        let rest = &file.text[at + COMMENT.len()..range.end];
        let Some(rest) = rest.trim().strip_prefix("ignore") else { continue };
        if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
            continue;
        }
        let target = if hash.trim().is_empty() { line_below(file, line) } else { line };
        let (codes, reason) = rest.split_once("--").unwrap_or((rest, ""));
        let place = Place::within(Snapshot::file_object(number), "", range.start + hash.len()..range.end);
        let mut names: Vec<&str> = codes.split([',', ' ', '\t']).filter(|code| !code.is_empty()).collect();
        if names.is_empty() {
            names.push("");
        }
        for code in names {
            marks.push(Mark {
                code: code.to_owned(),
                rule: rules::find(code),
                reason: reason.trim().to_owned(),
                until: None,
                scope: Scope::Line(number, target + 1),
                by: By::Comment,
                place: place.clone(),
            });
        }
    }
}

/// The next line that is no comment.
fn line_below(file: &SourceFile, line: usize) -> usize {
    let mut below = line + 1;
    while file.line(below).start < file.text.len() && file.text[file.line(below)].trim_start().starts_with('#') {
        below += 1;
    }
    below
}

/// The annotations of all objects.
pub fn in_annotations(snapshot: &Snapshot) -> Vec<Mark> {
    let mut marks = Vec::new();
    for id in snapshot.objects() {
        annotations(snapshot, id, "/metadata/annotations", &mut marks);
        let kind = &snapshot.object(id).kind;
        if kind != "Pod" && WORKLOADS.iter().any(|(workload, _)| workload == kind) {
            annotations(snapshot, id, "/spec/template/metadata/annotations", &mut marks);
        }
    }
    marks
}

fn annotations(snapshot: &Snapshot, id: ObjectId, pointer: &str, marks: &mut Vec<Mark>) {
    let Some(node) = snapshot.object(id).node.at(pointer) else { return };
    for (key, value) in node.entries() {
        let Some(code) = key.text().and_then(|key| key.strip_prefix(ANNOTATION)) else { continue };
        let key = tree::escape(key.text().unwrap_or_default());
        marks.push(Mark {
            code: code.to_owned(),
            rule: rules::find(code),
            reason: value.text().unwrap_or_default().trim().to_owned(),
            until: None,
            scope: if pointer == "/metadata/annotations" { Scope::Object(id) } else { Scope::Nothing },
            by: By::Annotation,
            place: Place::key(id, format!("{pointer}/{key}")),
        });
    }
}
