//! `kubectl flink rules`: the rules of the doctor, and what a user has to be allowed for a run.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use super::explain::{RuleInfo, log_line_table};
use crate::doctor::control::select;
use crate::doctor::rule::{Group, Right, Rule};
use crate::doctor::rules::ALL;
use crate::error::Result;
use crate::manifests::yaml;
use crate::output::{Ui, document, table};

/// List the doctor's rules
///
/// From the program itself: no cluster is asked anything.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "\
Examples:
  # All rules
  kubectl flink rules

  # Those on high availability
  kubectl flink rules --group ha

  # The rights that `kubectl flink doctor` needs in a namespace
  kubectl flink rules --rbac | kubectl apply -n streaming -f -")]
pub struct RulesArgs {
    /// Only these: input, rbac, ha, network, resources, config, runtime or operator; codes, beginnings of codes or names too,
    /// repeatable
    #[arg(long, value_name = "GROUP", value_delimiter = ',')]
    pub group: Vec<String>,
    /// Print the smallest Role and ClusterRole with which the doctor can read what these rules look at
    #[arg(long, conflicts_with = "output")]
    pub rbac: bool,
    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT", default_value_t = Output::Table, help_heading = "Output options")]
    pub output: Output,
}

/// `-o` of rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// A table.
    Table,
    /// A JSON list, with the documentation.
    Json,
    /// The table of docs/rules/README.md.
    Markdown,
    /// The table of docs/troubleshooting.md: lines of logs, with the rule of each.
    LogLines,
}

/// Runs the command.
///
/// # Errors
/// There is no such group.
pub fn run(args: &RulesArgs, ui: &Ui) -> Result<()> {
    let mut wanted: BTreeSet<&str> = BTreeSet::new();
    for name in &args.group {
        wanted.extend(select::check(name)?.iter().map(|rule| rule.code));
    }
    let chosen: Vec<&'static Rule> =
        ALL.iter().copied().filter(|rule| args.group.is_empty() || wanted.contains(rule.code)).collect();
    if args.rbac {
        return ui.data(rbac(&chosen)?);
    }
    match args.output {
        Output::Table => {
            let row = |rule: &&Rule| {
                let live = if rule.live { "live" } else { "" };
                [rule.code, rule.name, &rule.severity.to_string(), rule.group.name(), live, rule.summary()]
                    .map(str::to_owned)
                    .to_vec()
            };
            let rows: Vec<Vec<String>> = chosen.iter().map(row).collect();
            ui.data(table::render(&["CODE", "NAME", "SEVERITY", "GROUP", "ONLY", "FINDS"], &rows))
        }
        Output::Json => {
            let infos: Vec<RuleInfo> = chosen.iter().map(|rule| RuleInfo::new(rule, true)).collect();
            ui.data(document::render(&infos, document::Format::Json)?)
        }
        Output::Markdown => ui.data(index(&chosen)),
        Output::LogLines => ui.data(log_line_table(&chosen)),
    }
}

/// A table for each group, as it is in docs/rules/README.md.
pub fn index(rules: &[&'static Rule]) -> String {
    let mut text =
        "# Rules\n\nWhat `kubectl flink doctor` looks for. `kubectl flink explain CODE` shows the same pages.\n"
            .to_owned();
    for group in Group::ALL {
        let of: Vec<&&Rule> = rules.iter().filter(|rule| rule.group == group).collect();
        if of.is_empty() {
            continue;
        }
        let _ = write!(
            text,
            "\n## {} (`{}`)\n\n| Code | Name | Severity | Finds |\n|---|---|---|---|\n",
            group.title(),
            group.name()
        );
        for rule in of {
            let live = if rule.live { ", live" } else { "" };
            let summary = rule.summary().replace('|', "\\|");
            let _ =
                writeln!(text, "| [{0}]({0}.md) | {1} | {2}{live} | {summary} |", rule.code, rule.name, rule.severity);
        }
    }
    text
}

/// What stands above the ClusterRole.
const OPTIONAL: &str = "\
# Optional: without it, what it lets be read is not checked. Bind it with a ClusterRoleBinding.
";

/// The rights for what these rules read: a Role for each namespace, and a ClusterRole for what is in none.
fn rbac(rules: &[&'static Rule]) -> Result<String> {
    let rights: BTreeSet<Right> =
        rules.iter().flat_map(|rule| rule.inputs).flat_map(|input| input.rights()).copied().collect();
    let role = |kind: &str, cluster: bool| -> Value {
        let mut verbs: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
        for right in rights.iter().filter(|right| right.cluster == cluster) {
            verbs.entry((right.group, right.resource)).or_default().insert(right.verb);
        }
        // Resources of one group with the same verbs are one rule.
        let mut together: BTreeMap<(&str, BTreeSet<&str>), Vec<&str>> = BTreeMap::new();
        for ((group, resource), verbs) in verbs {
            together.entry((group, verbs)).or_default().push(resource);
        }
        let rules: Vec<Value> = together
            .into_iter()
            .map(|((group, verbs), resources)| json!({"apiGroups": [group], "resources": resources, "verbs": verbs}))
            .collect();
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": kind,
            "metadata": {"name": "kubectl-flink-doctor"},
            "rules": rules,
        })
    };
    let mut text = String::new();
    for (kind, cluster) in [("Role", false), ("ClusterRole", true)] {
        if rights.iter().any(|right| right.cluster == cluster) {
            let separator = match cluster {
                true if !text.is_empty() => format!("---\n{OPTIONAL}"),
                true => OPTIONAL.to_owned(),
                false => String::new(),
            };
            let _ = write!(text, "{separator}{}", yaml::to_string(&role(kind, cluster))?);
        }
    }
    Ok(text)
}
