//! `kubectl flink status`: what the Flink clusters are doing, and what is wrong with them.

mod text;

use std::time::Duration;

use clap::{Args, ValueEnum};
use jiff::Timestamp;
use serde::Serialize;

use crate::cluster::discover::{self, Discovery, FlinkCluster, Scope};
use crate::cluster::status::{ClusterStatus, gather_all};
use crate::cluster::{Connection, ConnectionArgs};
use crate::error::{Error, Kind, Result};
use crate::output::live::Live;
use crate::output::{Ui, document};

/// Between two looks of `--watch`.
const INTERVAL: Duration = Duration::from_secs(2);

/// Show leader, pods, slots, jobs and high-availability data of Flink clusters
///
/// Works on every Flink cluster of the namespace, whoever made it. Asks Flink itself through the API server, so that no
/// port needs to be open. Exits with 1 if something is not healthy, with 3 if that could not be found out.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "\
Examples:
  # Every Flink cluster of the namespace, whoever made it
  kubectl flink status

  # In all namespaces, with more columns
  kubectl flink status -A -o wide

  # One cluster, again and again
  kubectl flink status prod -n streaming --watch

  # What is wrong, for a script
  kubectl flink status -o json | jq '.items[] | select(.healthy | not) | .problems'")]
pub struct StatusArgs {
    /// Cluster to show [default: all of the namespace]
    pub name: Option<String>,
    /// Look in all namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Output format
    #[arg(short, long, value_name = "FORMAT")]
    pub output: Option<Format>,
    /// Show it again every 2 seconds; where the output is no terminal, at each change
    #[arg(short, long)]
    pub watch: bool,
    /// Time to wait for the cluster's answers, like 10s or 2m
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = super::duration)]
    pub timeout: Duration,
}

impl StatusArgs {
    /// The output is for programs: also nothing is a document.
    fn is_document(&self) -> bool {
        matches!(self.output, Some(Format::Json | Format::Yaml))
    }
}

/// What `-o` offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A table with more columns
    Wide,
    /// One JSON document
    Json,
    /// One YAML document
    Yaml,
    /// Names only
    Name,
}

/// Runs the command.
///
/// # Errors
/// A cluster is not healthy, or it could not be found out whether it is.
pub async fn run(args: &StatusArgs, connection: &ConnectionArgs, ui: &Ui) -> Result<()> {
    let connection = connection.connect().await?;
    if args.watch {
        return watch(args, &connection, ui).await;
    }
    let list = look(args, &connection).await?;
    warn(&list, args, ui);
    if list.items.is_empty() && !args.is_document() {
        ui.note(nothing_found(args, &connection));
        return Ok(());
    }
    ui.data(list.render(args)?)?;
    list.verdict()
}

/// Until Ctrl-C. What goes wrong with one look may go right with the next.
async fn watch(args: &StatusArgs, connection: &Connection, ui: &Ui) -> Result<()> {
    let (mut live, mut known) = (Live::new(), None);
    let separator = if args.output == Some(Format::Yaml) { "---\n" } else { "\n" };
    loop {
        let (text, essence) = match look(args, connection).await {
            Ok(list) if list.items.is_empty() && !args.is_document() => {
                (nothing_found(args, connection) + "\n", Err(String::new()))
            }
            Ok(list) => (list.render(args)?, Ok(list.essence())),
            Err(error) if known.is_none() => return Err(error),
            Err(error) => (format!("{}\n", error.message), Err(error.message)),
        };
        if live.redraws() || known.as_ref() != Some(&essence) {
            live.show(ui, &text, separator)?;
            known = Some(essence);
        }
        tokio::time::sleep(INTERVAL).await;
    }
}

/// What `-o json` prints.
#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct StatusList {
    api_version: &'static str,
    kind: &'static str,
    items: Vec<ClusterStatus>,
    /// Where there may be clusters that were not seen.
    not_checked: Vec<String>,
}

async fn look(args: &StatusArgs, connection: &Connection) -> Result<StatusList> {
    let scope = if args.all_namespaces { Scope::All } else { Scope::Namespace(connection.namespace.clone()) };
    let found = tokio::time::timeout(args.timeout, discover::clusters(connection, &scope)).await.map_err(|_| {
        let seconds = args.timeout.as_secs_f64();
        Error::could_not_run(format!("the API server did not answer within {seconds} s"))
            .hint("wait longer with --timeout")
    })??;
    let clusters = chosen(&found, args, connection)?;
    let details = args.is_document() || (args.output.is_none() && clusters.len() == 1);
    let items = gather_all(connection, &clusters, args.timeout, details).await;
    Ok(StatusList { api_version: "kubectl-flink/v1", kind: "StatusList", items, not_checked: found.not_checked })
}

/// The clusters of this name: its own, its cluster-id's, or its JobManager's.
fn chosen<'a>(found: &'a Discovery, args: &StatusArgs, connection: &Connection) -> Result<Vec<&'a FlinkCluster>> {
    let Some(name) = &args.name else { return Ok(found.clusters.iter().collect()) };
    let is_it = |cluster: &&FlinkCluster| {
        [Some(&cluster.name), cluster.cluster_id.as_ref(), Some(&cluster.jobmanager.name)].contains(&Some(name))
    };
    let clusters: Vec<_> = found.clusters.iter().filter(is_it).collect();
    if !clusters.is_empty() {
        return Ok(clusters);
    }
    let place =
        if args.all_namespaces { "any namespace".to_owned() } else { format!("namespace {}", connection.namespace) };
    // Where not everything could be seen it may be there all the same.
    let kind = if found.not_checked.is_empty() { Kind::Unhealthy } else { Kind::CouldNotRun };
    let mut error = Error::new(kind, format!("no Flink cluster {name:?} found in {place}"));
    error.hints.extend(found.not_checked.iter().map(|what| format!("not checked: {what}")));
    let full_name = |cluster: &FlinkCluster| {
        if args.all_namespaces { format!("{}/{}", cluster.namespace, cluster.name) } else { cluster.name.clone() }
    };
    let others: Vec<_> = found.clusters.iter().map(full_name).collect();
    Err(match others.is_empty() {
        true if args.all_namespaces => error,
        true => error.hint("look in another namespace with -n, or in all with -A"),
        false => error.hint(format!("there is: {}", others.join(", "))),
    })
}

fn nothing_found(args: &StatusArgs, connection: &Connection) -> String {
    if args.all_namespaces {
        return "No Flink clusters found.".to_owned();
    }
    format!("No Flink clusters found in {} namespace.", connection.namespace)
}

fn warn(list: &StatusList, args: &StatusArgs, ui: &Ui) {
    if !args.is_document() {
        list.not_checked.iter().for_each(|what| ui.warn(format_args!("not checked: {what}")));
    }
}

impl StatusList {
    fn render(&self, args: &StatusArgs) -> Result<String> {
        let now = Timestamp::now();
        Ok(match (args.output, self.items.as_slice()) {
            (Some(Format::Json), _) => document::render(self, document::Format::Json)?,
            (Some(Format::Yaml), _) => document::render(self, document::Format::Yaml)?,
            (Some(Format::Name), items) => text::names(items),
            (None, [item]) => text::block(item, now),
            (wide, items) => text::table(items, args.all_namespaces, wide.is_some(), now),
        })
    }

    /// What is left when everything is taken away that changes while nothing happens.
    fn essence(&self) -> Vec<ClusterStatus> {
        let mut items = self.items.clone();
        for item in &mut items {
            item.leader.iter_mut().for_each(|leader| leader.lease_renewed = None);
            item.high_availability.contents.checkpoints = None;
            for job in item.jobs.iter_mut().flatten() {
                (job.duration_ms, job.last_checkpoint) = (0, None);
            }
        }
        items
    }

    /// The outcome, the same for every format. A fault outweighs what is not known.
    fn verdict(&self) -> Result<()> {
        let name = |item: &ClusterStatus| format!("{:?} in namespace {}", item.name, item.namespace);
        let unhealthy: Vec<_> = self.items.iter().filter(|item| !item.healthy).collect();
        let unknown: Vec<_> = self.items.iter().filter(|item| !item.not_checked.is_empty()).collect();
        match (unhealthy.as_slice(), unknown.as_slice()) {
            ([], []) => Ok(()),
            ([], [item]) => {
                Err(Error::could_not_run(format!("not everything of Flink cluster {} could be checked", name(item))))
            }
            ([], items) => {
                Err(Error::could_not_run(format!("not everything of {} Flink clusters could be checked", items.len())))
            }
            ([item], _) => Err(Error::unhealthy(format!("Flink cluster {} is not healthy", name(item)))),
            (items, _) => {
                Err(Error::unhealthy(format!("{} of {} Flink clusters are not healthy", items.len(), self.items.len())))
            }
        }
    }
}
