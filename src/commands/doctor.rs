//! `kubectl flink doctor`: finds what is wrong with Flink clusters, in files and live.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::cluster::discover::Scope;
use crate::cluster::{ConnectionArgs, survey};
use crate::doctor::engine::{self, Outcome};
use crate::doctor::model::Model;
use crate::doctor::place;
use crate::doctor::rule::{Input, Rule};
use crate::doctor::rules;
use crate::doctor::snapshot::Snapshot;
use crate::doctor::source;
use crate::error::{Error, Kind, Result};
use crate::output::Ui;

/// Find what is wrong with Flink clusters, in files and live, and say how to mend it
///
/// Without -f it reads the cluster; with -f only the files, without a kubeconfig and without a network. It changes nothing.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// Cluster to look at [default: all of the namespace]
    #[arg(conflicts_with = "files")]
    pub name: Option<String>,
    /// Look in all namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Look at these files instead: manifests, flink-conf.yaml, config.yaml, log4j*.properties; a folder with all in it, - for
    /// standard input
    #[arg(short = 'f', long = "filename", value_name = "PATH")]
    pub files: Vec<PathBuf>,
    /// Look at the cluster as it will be when the files are applied
    #[arg(long, requires = "files")]
    pub overlay: bool,
    /// Time to wait for the cluster's answers, like 10s or 2m
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = super::duration)]
    pub timeout: Duration,
}

/// Runs the command.
///
/// # Errors
/// Something is wrong with a cluster or a file, or it could not be found out.
pub async fn run(args: &DoctorArgs, connection: &ConnectionArgs, ui: &Ui) -> Result<()> {
    let rules: Vec<&'static Rule> = rules::ALL.to_vec();
    let (snapshot, model, outcome) = look(args, connection, &rules).await?;
    for finding in &outcome.findings {
        let at = place::locate(&snapshot, &finding.place);
        ui.data(format_args!(
            "{}:{} {} {} {} {} ({})\n  fix: {}\n",
            at.file.unwrap_or_default(),
            at.line.unwrap_or_default(),
            finding.severity,
            finding.rule.code,
            snapshot.object(finding.place.object).reference(),
            finding.message,
            at.path,
            finding.help
        ))?;
    }
    ui.note(format_args!(
        "{} clusters, {} findings, {} not checked",
        model.clusters.len(),
        outcome.findings.len(),
        outcome.skipped.len()
    ));
    if outcome.findings.is_empty() { Ok(()) } else { Err(Error::new(Kind::Unhealthy, "")) }
}

/// Reads what there is, and runs the rules on it.
async fn look(
    args: &DoctorArgs,
    connection: &ConnectionArgs,
    rules: &[&'static Rule],
) -> Result<(Snapshot, Model, Outcome)> {
    let mut snapshot = Snapshot::default();
    if !args.files.is_empty() {
        let files = source::gather(&args.files)?;
        source::load(&mut snapshot, files, connection.namespace.as_deref().unwrap_or_default());
    }
    if args.files.is_empty() || args.overlay {
        let connection = connection.connect().await?;
        let scope = if args.all_namespaces { Scope::All } else { Scope::Namespace(connection.namespace.clone()) };
        let inputs: BTreeSet<Input> = rules.iter().flat_map(|rule| rule.inputs).copied().collect();
        survey::read(&connection, &scope, &inputs, &mut snapshot, args.timeout).await?;
    }
    let model = Model::new(&snapshot);
    let outcome = engine::run(&snapshot, &model, rules);
    Ok((snapshot, model, outcome))
}
