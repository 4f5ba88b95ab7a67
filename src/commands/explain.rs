//! `kubectl flink explain`: what a rule of the doctor is about, from the program itself.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::io::{self, BufRead};

use clap::{Args, ValueEnum};
use owo_colors::OwoColorize;
use serde::Serialize;

use crate::doctor::control::select;
use crate::doctor::log_lines::{self, LogLine};
use crate::doctor::report::docs;
use crate::doctor::rule::{Group, Rule, Severity};
use crate::doctor::rules;
use crate::error::{Error, Result};
use crate::flink::log::shorten;
use crate::output::{Ui, document};

/// Explain what the doctor's rules find: why it matters, an example, and how to mend it
///
/// Given a line of a log instead of a rule, it says which rules are about it. From the program itself: no cluster is asked
/// anything.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "\
Examples:
  # What a finding means
  kubectl flink explain FLK101

  # By its name, as Markdown
  kubectl flink explain binding-namespace -o markdown

  # Which rule is about this line?
  kubectl flink explain 'Could not recover job with job id 7601318e4ccd7281759507f40830fea9'

  # And about those of a log?
  kubectl logs deployment/flink-jobmanager --previous | kubectl flink explain -")]
pub struct ExplainArgs {
    /// Codes or names of rules, as `kubectl flink rules` lists them; or a line of a log; or `-` for a log on standard input
    #[arg(required = true, value_name = "RULE")]
    pub rules: Vec<String>,
    /// Output format [default: text for a terminal]
    #[arg(short, long, value_enum, value_name = "FORMAT", help_heading = "Output options")]
    pub output: Option<Output>,
}

/// `-o` of explain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// The Markdown of docs/rules.
    Markdown,
    /// A JSON list.
    Json,
}

/// A rule as data.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RuleInfo {
    code: &'static str,
    name: &'static str,
    group: Group,
    severity: Severity,
    summary: &'static str,
    live: bool,
    docs: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    explanation: Option<String>,
}

impl RuleInfo {
    pub(super) fn new(rule: &Rule, explanation: bool) -> Self {
        RuleInfo {
            code: rule.code,
            name: rule.name,
            group: rule.group,
            severity: rule.severity,
            summary: rule.summary(),
            live: rule.live,
            docs: docs(rule.code),
            explanation: explanation.then(|| rule.text()),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// There is no such rule, or none is about the log.
pub fn run(args: &ExplainArgs, ui: &Ui) -> Result<()> {
    if let [one] = args.rules.as_slice() {
        if one == "-" {
            return log_lines(io::stdin().lock(), args.output, ui);
        }
        // A line can be a single word, as a rule's name is.
        let is_line = || one.trim().contains(' ') || !log_lines::like(&log_lines::all(), one).is_empty();
        if rules::find(one).is_none() && is_line() {
            return log_lines(one.as_bytes(), args.output, ui);
        }
    }
    let rules = args.rules.iter().map(|name| select::one(name)).collect::<Result<Vec<&'static Rule>>>()?;
    match args.output {
        None => ui.data(rules.iter().map(|rule| terminal(rule)).collect::<Vec<_>>().join("\n")),
        Some(Output::Markdown) => ui.data(rules.iter().map(|rule| page(rule)).collect::<Vec<_>>().join("\n")),
        Some(Output::Json) => {
            let infos: Vec<RuleInfo> = rules.iter().map(|rule| RuleInfo::new(rule, true)).collect();
            ui.data(document::render(&infos, document::Format::Json)?)
        }
    }
}

/// A line of a log with the rules that are about it.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Match {
    /// In the log, from 1.
    line: usize,
    text: String,
    rules: Vec<RuleInfo>,
}

/// Says which rules are about the lines of a log: each combination of rules once, where it is seen first.
fn log_lines(log: impl BufRead, output: Option<Output>, ui: &Ui) -> Result<()> {
    if output == Some(Output::Markdown) {
        return Err(Error::usage("-o markdown is for rules, not for lines of a log").hint("use -o json"));
    }
    let known = log_lines::all();
    let mut seen = BTreeSet::new();
    let mut matches = Vec::new();
    for (number, line) in (1..).zip(log.split(b'\n')) {
        let line = line.map_err(|error| Error::usage(format!("standard input cannot be read: {error}")))?;
        // Jobs write what they like, and a log may be cut within a character.
        let line = String::from_utf8_lossy(&line);
        let found = log_lines::like(&known, &line);
        let codes: Vec<&str> = found.iter().map(|known| known.rule.code).collect();
        if found.is_empty() || !seen.insert(codes) {
            continue;
        }
        let rules = found.into_iter().map(|known| RuleInfo::new(known.rule, false)).collect();
        matches.push(Match { line: number, text: shorten(line.trim()), rules });
    }
    let outcome = if matches.is_empty() {
        Err(Error::unhealthy("no rule is about this")
            .hint("a line is looked up whole, as it stands in the log")
            .hint("look at the cluster itself: kubectl flink doctor"))
    } else {
        Ok(())
    };
    if output == Some(Output::Json) {
        ui.data(document::render(&matches, document::Format::Json)?)?;
        return outcome;
    }
    outcome?;
    let mut text = String::new();
    for Match { line, text: said, rules } in &matches {
        let _ = writeln!(text, "{} {said}", format!("{line}:").dimmed());
        for rule in rules {
            let _ = writeln!(text, "  {}  {}", rule.code.bold(), rule.summary);
        }
    }
    ui.data(text)?;
    ui.note("More on one of them: kubectl flink explain CODE");
    Ok(())
}

/// The table of docs/troubleshooting.md: each line with its rule.
pub fn log_line_table(rules: &[&'static Rule]) -> String {
    let mut text = "\
# Troubleshooting by log line

What Flink, Kubernetes and their tools say, and the rule that is about it. Names and numbers are examples.
`kubectl flink explain 'LINE'` finds the rules of a line, and `kubectl logs ... | kubectl flink explain -` those of a log;
`kubectl flink doctor` looks at the cluster itself.
"
    .to_owned();
    for group in Group::ALL {
        let is_of = |line: &LogLine| line.rule.group == group && rules.iter().any(|rule| rule.code == line.rule.code);
        let of: Vec<_> = log_lines::all().into_iter().filter(is_of).collect();
        if of.is_empty() {
            continue;
        }
        let _ = write!(text, "\n## {}\n\n| Line | Rule |\n|---|---|\n", group.title());
        for line in of {
            let rule = line.rule;
            // A backtick in a code span ends it.
            let said = line.text.replace('|', "\\|").replace('`', "'");
            let _ =
                writeln!(text, "| `{said}` | [{0}](rules/{0}.md) {1} |", rule.code, rule.summary().replace('|', "\\|"));
        }
    }
    text
}

/// A rule's page, as it is in docs/rules.
pub fn page(rule: &Rule) -> String {
    let text = rule.text();
    let body = text.split_once('\n').map_or("", |(_, body)| body).trim_start();
    let live = if rule.live { ", running clusters only" } else { "" };
    let about = format!("`{}`, {}, {}{live}", rule.name, rule.severity, rule.group.name());
    format!("# {}: {}\n\n{about}\n\n{body}", rule.code, rule.summary())
}

/// The same for a terminal: headings in bold, code set in.
fn terminal(rule: &Rule) -> String {
    let mut text = String::new();
    let mut in_code = false;
    for line in page(rule).lines() {
        if let Some(header) = line.strip_prefix("```") {
            in_code = !in_code;
            if let Some((_, file)) = header.split_once(' ') {
                let _ = writeln!(text, "    {}", format!("# {file}").dimmed());
            }
        } else if in_code {
            let _ = writeln!(text, "{}", format!("    {line}").trim_end().cyan());
        } else if line.starts_with('#') {
            let _ = writeln!(text, "{}", line.trim_start_matches(['#', ' ']).bold());
        } else {
            let _ = writeln!(text, "{}", line.replace('`', ""));
        }
    }
    text
}
