//! `kubectl flink explain`: what a rule of the doctor is about, from the program itself.

use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use owo_colors::OwoColorize;
use serde::Serialize;

use crate::doctor::control::select;
use crate::doctor::report::docs;
use crate::doctor::rule::{Group, Rule, Severity};
use crate::error::Result;
use crate::output::{Ui, document};

/// Explain what the doctor's rules find: why it matters, an example, and how to mend it
///
/// From the program itself: no cluster is asked anything.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "\
Examples:
  # What a finding means
  kubectl flink explain FLK101

  # By its name, as Markdown
  kubectl flink explain binding-namespace -o markdown")]
pub struct ExplainArgs {
    /// Codes or names of rules, as `kubectl flink rules` lists them
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
/// There is no such rule.
pub fn run(args: &ExplainArgs, ui: &Ui) -> Result<()> {
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
