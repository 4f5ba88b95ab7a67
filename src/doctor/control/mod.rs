//! What the user wants of a run: which rules, how bad each is, and which findings were looked at and accepted.
//!
//! A finding is accepted in one of three places, each time with a reason: in the project's settings ([`settings`]), by an
//! annotation of its object, or by a comment at its line ([`marks`]). Accepted findings stay in the report.

pub mod marks;
pub mod select;
pub mod settings;

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use jiff::civil::Date;

use self::marks::{Mark, Scope};
use self::select::Selection;
use self::settings::Settings;
use super::engine::{self, Outcome, Skipped};
use super::finding::Finding;
use super::place::{self, Location, Place};
use super::rule::{Group, Rule, Severity};
use super::rules;
use super::snapshot::Snapshot;
use crate::error::Result;

/// From which severity on findings fail the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum FailOn {
    /// Errors.
    Error,
    /// Errors and warnings.
    Warning,
    /// Any finding.
    Info,
    /// No finding.
    Never,
}

impl FailOn {
    /// Whether a finding of this severity fails the run.
    pub fn includes(self, severity: Severity) -> bool {
        match self {
            FailOn::Error => severity >= Severity::Error,
            FailOn::Warning => severity >= Severity::Warning,
            FailOn::Info => true,
            FailOn::Never => false,
        }
    }
}

/// The flags that say what a run looks for and what fails it.
#[derive(Debug, Clone, Args)]
pub struct ControlArgs {
    /// Look only for these: groups, codes, beginnings of codes or names, as `kubectl flink rules` lists them, repeatable
    #[arg(long, value_name = "RULE", value_delimiter = ',', help_heading = "Rules")]
    pub select: Vec<String>,
    /// Do not look for these, repeatable
    #[arg(long, value_name = "RULE", value_delimiter = ',', help_heading = "Rules")]
    pub ignore: Vec<String>,
    /// Show only findings that are at least this bad
    #[arg(long, value_name = "SEVERITY", value_enum, default_value_t = Severity::Info, help_heading = "Rules")]
    pub min_severity: Severity,
    /// Exit with 1 if there is a finding that is at least this bad
    #[arg(long, value_name = "SEVERITY", value_enum, default_value_t = FailOn::Error, help_heading = "Rules")]
    pub fail_on: FailOn,
    /// Exit with 3 if something could not be checked
    #[arg(long, help_heading = "Rules")]
    pub strict: bool,
    /// Settings [default: the nearest .kubectl-flink.yaml, here or above, up to the repository's top]
    #[arg(long, value_name = "FILE", help_heading = "Rules")]
    pub config: Option<PathBuf>,
}

impl Default for ControlArgs {
    fn default() -> Self {
        ControlArgs {
            select: Vec::new(),
            ignore: Vec::new(),
            min_severity: Severity::Info,
            fail_on: FailOn::Error,
            strict: false,
            config: None,
        }
    }
}

/// What the user wants, read and checked.
#[derive(Debug)]
pub struct Control {
    selection: Selection,
    settings: Settings,
    min_severity: Severity,
    fail_on: FailOn,
    strict: bool,
    today: Date,
}

/// A finding, and who accepted it.
#[derive(Debug)]
pub struct Judged {
    /// The finding.
    pub finding: Finding,
    /// Who accepted it, and why.
    pub suppressed: Option<Suppression>,
}

/// Who accepted a finding, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Suppression {
    /// Where that is written.
    pub by: By,
    /// Why.
    pub reason: String,
}

/// Where it is written that a finding is accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum By {
    /// In the settings.
    Config,
    /// In an annotation of the object.
    Annotation,
    /// In a comment at the line.
    Comment,
}

/// A run's findings under the user's control.
#[derive(Debug, Default)]
pub struct Controlled {
    /// What is wrong, the accepted too, in the order in which it is shown.
    pub findings: Vec<Judged>,
    /// What could not be checked.
    pub skipped: Vec<Skipped>,
    /// The rules that looked.
    pub rules: Vec<&'static Rule>,
    /// A document could not be read, or a rule failed.
    pub broken: bool,
}

impl Control {
    /// Reads the flags and the settings; `today` decides what has expired.
    ///
    /// # Errors
    /// A flag or the settings name what is not there.
    pub fn new(args: &ControlArgs, today: Date) -> Result<Self> {
        let settings = Settings::find(args.config.as_deref())?;
        Control::with(args, settings, today)
    }

    /// The same with settings that were read elsewhere.
    ///
    /// # Errors
    /// A flag names what is not there.
    pub fn with(args: &ControlArgs, settings: Settings, today: Date) -> Result<Self> {
        Ok(Control {
            selection: Selection::new(&args.select, &args.ignore)?,
            settings,
            min_severity: args.min_severity,
            fail_on: args.fail_on,
            strict: args.strict,
            today,
        })
    }

    /// The rules that are to look.
    pub fn rules(&self) -> Vec<&'static Rule> {
        rules::ALL.iter().copied().filter(|rule| self.selection.includes(rule)).collect()
    }

    /// Judges what the rules found: accepted findings are marked, severities are the user's, and marks that accept nothing
    /// are findings themselves. The settings' file is added to the snapshot, so that it can be shown.
    pub fn apply(&self, snapshot: &mut Snapshot, outcome: Outcome) -> Controlled {
        let file = self.settings.file.as_ref().map(|(name, text)| {
            let known = snapshot.files().iter().position(|file| file.name == *name);
            known.unwrap_or_else(|| snapshot.add_file(super::snapshot::SourceFile::new(name, text)))
        });
        let mut marks = marks::in_files(snapshot, file);
        marks.extend(marks::in_annotations(snapshot));
        marks.extend(self.settings.marks(file));
        let live = snapshot.live.is_some();
        let rules: Vec<&'static Rule> = self.rules().into_iter().filter(|rule| live || !rule.live).collect();
        let mut judge = Judge { control: self, snapshot, marks, used: Vec::new(), judged: Vec::new() };
        judge.used = vec![false; judge.marks.len()];
        let broken = !snapshot.unreadable.is_empty() || !outcome.failed.is_empty();
        judge.add(outcome.findings);
        let failed = outcome.failed.iter().map(|(code, said)| {
            let place = Place::value(Snapshot::nowhere(), "");
            let message = format!("rule {code} failed: {}", said.lines().next().unwrap_or_default());
            let mut finding = Finding::new(&rules::input::flk007_rule_failed::RULE, place, message, None);
            finding.help("report it with the input; until it is mended: --ignore CODE".replace("CODE", code));
            finding
        });
        judge.add(failed.collect());
        judge.add(judge.bad_marks());
        judge.add(judge.unused_marks(&rules, &outcome.skipped));
        let judged = judge.judged;
        let mut findings = self.shown(judged);
        engine::sort(snapshot, &mut findings, |one| &one.finding);
        Controlled { findings, skipped: outcome.skipped, rules, broken }
    }

    fn shown(&self, judged: Vec<Judged>) -> Vec<Judged> {
        judged
            .into_iter()
            .filter(|one| self.selection.includes(one.finding.rule) && one.finding.severity >= self.min_severity)
            .collect()
    }

    /// The exit code of a run. `incomplete` says that something was not looked at although it was asked for: a timeout.
    pub fn exit_code(&self, controlled: &Controlled, incomplete: bool) -> u8 {
        let counted =
            controlled.findings.iter().filter(|one| one.suppressed.is_none() && !one.finding.rule.is_broken());
        let worst = counted.map(|one| one.finding.severity).max();
        exit_code(worst, self.fail_on, controlled.broken || incomplete, !controlled.skipped.is_empty(), self.strict)
    }
}

/// The exit code of a run, the same for every format: 1 if there is a finding that fails it; else 3 if not everything could
/// be looked at (a document that cannot be read, a rule that failed, a timeout; with `strict` also facts that are not known);
/// else 0.
pub fn exit_code(worst: Option<Severity>, fail_on: FailOn, broken: bool, unknown: bool, strict: bool) -> u8 {
    use crate::error::Kind;
    if worst.is_some_and(|worst| fail_on.includes(worst)) {
        Kind::Unhealthy.exit_code()
    } else if broken || (strict && unknown) {
        Kind::CouldNotRun.exit_code()
    } else {
        0
    }
}

/// A part of what the rule reads could not be read.
fn refused(snapshot: &Snapshot, rule: &Rule) -> bool {
    let reads = |kind: &str| rule.inputs.iter().any(|input| input.kinds().contains(&kind));
    snapshot.coverage.refusals().any(|(kind, _)| reads(kind))
}

struct Judge<'a> {
    control: &'a Control,
    snapshot: &'a Snapshot,
    marks: Vec<Mark>,
    used: Vec<bool>,
    judged: Vec<Judged>,
}

impl Judge<'_> {
    /// Gives each finding the user's severity, and marks what is accepted.
    fn add(&mut self, findings: Vec<Finding>) {
        for mut finding in findings {
            if let Some(severity) = self.control.settings.severity(finding.rule) {
                finding.severity = severity;
            }
            let location = place::locate(self.snapshot, &finding.place);
            let mut suppressed = None;
            for (number, mark) in self.marks.iter().enumerate() {
                if mark.is_valid(self.control.today) && self.accepts(mark, &finding, &location) {
                    self.used[number] = true;
                    suppressed.get_or_insert_with(|| Suppression { by: mark.by, reason: mark.reason.clone() });
                }
            }
            self.judged.push(Judged { finding, suppressed });
        }
    }

    fn accepts(&self, mark: &Mark, finding: &Finding, location: &Location) -> bool {
        if mark.rule.is_none_or(|rule| rule.code != finding.rule.code) {
            return false;
        }
        match &mark.scope {
            Scope::Object(object) => *object == finding.place.object,
            Scope::Line(file, line) => {
                location.span.is_some_and(|(number, _)| number == *file) && location.line == Some(*line)
            }
            Scope::Matching(filter) => filter.matches(self.snapshot.object(finding.place.object), location),
            Scope::Nothing => false,
        }
    }

    /// Marks that cannot do what they are for: FLK005 and FLK006.
    fn bad_marks(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        for mark in &self.marks {
            if let Some(wrong) = mark.wrong() {
                let rule = &rules::input::flk005_suppression_unknown::RULE;
                let mut finding = Finding::new(rule, mark.place.clone(), wrong.message, None);
                finding.help(wrong.help);
                found.push(finding);
            } else if let Some(until) = mark.until.filter(|until| *until < self.control.today) {
                let rule = &rules::input::flk006_suppression_expired::RULE;
                let message = format!("this accepted {} until {until}, which is over", mark.code);
                let mut finding = Finding::new(rule, mark.place.clone(), message, None);
                finding.help("mend what it accepted, or set a later date");
                found.push(finding);
            }
        }
        found
    }

    /// Something else than marks is wrong in the namespace of a mark's object.
    fn has_worse(&self, mark: &Mark) -> bool {
        let namespace = |place: &Place| self.snapshot.object(place.object).namespace.as_str();
        self.judged.iter().any(|one| {
            let real = one.suppressed.is_none() && one.finding.severity > Severity::Info;
            real && !is_of_marks(one.finding.rule) && namespace(&one.finding.place) == namespace(&mark.place)
        })
    }

    /// Marks that accept nothing, of rules that did look: FLK004.
    fn unused_marks(&self, rules: &[&'static Rule], skipped: &[Skipped]) -> Vec<Finding> {
        let mut found = Vec::new();
        for (mark, used) in self.marks.iter().zip(&self.used) {
            // What is found in the text of a file is not found in the object that was made of it.
            let text = mark.place.object;
            let in_text = |rule: &Rule| rule.group != Group::Input || self.snapshot.object(text).file.is_some();
            let looked = |rule: &Rule| {
                let told = rule.code != rules::input::flk004_suppression_unused::RULE.code;
                told && in_text(rule)
                    && !refused(self.snapshot, rule)
                    && rules.iter().any(|one| one.code == rule.code)
                    && !skipped.iter().any(|s| s.code == rule.code)
            };
            let misplaced = matches!(mark.scope, Scope::Nothing);
            // An entry of the settings may name a group: one of its rules is enough.
            let of_group = mark.by == By::Config;
            let same = |(other, used): (&Mark, &bool)| *used && other.by == By::Config && other.place == mark.place;
            let together = of_group && self.marks.iter().zip(&self.used).any(same);
            let said = of_group && found.iter().any(|finding: &Finding| finding.place == mark.place);
            if *used || together || said || mark.wrong().is_some() || !mark.is_valid(self.control.today) {
                continue;
            }
            if !mark.rule.is_some_and(looked) && !misplaced {
                continue;
            }
            // Its rule may be silent because of something worse: what is needless is told once that is mended.
            if !misplaced && !of_group && self.has_worse(mark) {
                continue;
            }
            let rule = &rules::input::flk004_suppression_unused::RULE;
            let (message, help) = if misplaced {
                let message = format!("the annotation for {} is on the pods, where it has no effect", mark.code);
                (message, "move it to the annotations of the object itself")
            } else {
                (format!("there is no {} here to accept", mark.code), "remove it")
            };
            let mut finding = Finding::new(rule, mark.place.clone(), message, None);
            finding.help(help);
            found.push(finding);
        }
        found
    }
}

/// The rule is about suppressions.
fn is_of_marks(rule: &Rule) -> bool {
    use rules::input::{flk004_suppression_unused, flk005_suppression_unknown, flk006_suppression_expired};
    let codes =
        [&flk004_suppression_unused::RULE, &flk005_suppression_unknown::RULE, &flk006_suppression_expired::RULE];
    codes.iter().any(|one| one.code == rule.code)
}
