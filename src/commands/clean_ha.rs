//! `kubectl flink clean-ha`: show the high-availability data that clusters have left, and remove what is of no use.

mod report;
mod selection;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use self::report::{Outcome, Report};
use self::selection::{Choice, Jobs, Selection};
use super::Output;
use super::up::DryRun;
use crate::cluster::discover::Scope;
use crate::cluster::ha::removal::{self, Removed};
use crate::cluster::ha::restore::Restored;
use crate::cluster::ha::standstill::Resting;
use crate::cluster::ha::verdict::{Judgement, Situation};
use crate::cluster::ha::{self, Found, Look, backup, restore, standstill};
use crate::cluster::probe::Presence;
use crate::cluster::{Connection, ConnectionArgs, delete};
use crate::error::{Error, Result};
use crate::output::Ui;

/// Show and remove high-availability data that clusters have left behind
///
/// Flink's high-availability ConfigMaps outlive its clusters, and the next JobManager of the same
/// cluster-id recovers what stands in them, or dies of it: `Could not recover job with job id ...`.
/// Each gets one of five verdicts, with the reason:
///
///   live         a JobManager runs on it: never removed
///   recoverable  a job or checkpoint may still be there: removed with --include-recoverable
///   dead         what it points to is proven to be gone: removed
///   leftover     no job stands in it, and no checkpoint: removed
///   unknown      neither is proven: removed with --force; --probe may find out
///
/// Nothing is removed before it was confirmed and a copy was written. A cluster that starts
/// meanwhile wins.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[command(
    verbatim_doc_comment,
    after_long_help = "\
Examples:
  # What is there, in this namespace?
  kubectl flink clean-ha --dry-run

  # The JobManager dies of a job that cannot be recovered: take this job out, the others stay
  kubectl flink clean-ha flink --job 7601318e4ccd7281759507f40830fea9

  # Look on the storage which files are gone, and remove what points to them
  kubectl flink clean-ha flink --probe --yes

  # Put back what was removed
  kubectl flink clean-ha --restore flink-ha-default-flink-20261121T081500Z.yaml"
)]
pub struct CleanHaArgs {
    /// Cluster-id whose data to look at [default: all of the namespace]
    pub name: Option<String>,
    /// Look in all namespaces
    #[arg(short = 'A', long, conflicts_with = "restore")]
    pub all_namespaces: bool,
    /// Only this job of the cluster; repeatable. `dead`: all that are proven so
    #[arg(long, value_name = "ID", value_parser = selection::job, requires = "name", conflicts_with = "restore")]
    pub job: Vec<String>,
    /// Remove recoverable data too: its jobs are lost, but for the copy
    #[arg(long, conflicts_with = "restore")]
    pub include_recoverable: bool,
    /// Remove data of which it is not known whether it is of use
    #[arg(long, conflicts_with = "restore")]
    pub force: bool,
    /// Look, from a pod with the cluster's volumes and plugins, which of the files are there
    #[arg(long, conflicts_with = "restore")]
    pub probe: bool,
    /// Do not ask
    #[arg(short = 'y', long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
        default_missing_value = "true", action = clap::ArgAction::Set, hide_default_value = true,
        hide_possible_values = true)]
    pub yes: bool,
    /// Only say what would be done; `server` also checks that you may
    #[arg(long, value_enum, value_name = "none|client|server", default_value = "none", hide_possible_values = true,
        num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    pub dry_run: DryRun,
    /// Folder for the copy of what is removed
    #[arg(long, value_name = "DIR", default_value = ".")]
    pub backup_dir: PathBuf,
    /// Put back the copy in this file
    #[arg(long, value_name = "FILE", conflicts_with = "name")]
    pub restore: Option<PathBuf>,
    /// How long to wait for pods to end, and for the probe
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = super::duration)]
    pub timeout: Duration,
    /// Print what was found and done as one document, or the names of what was removed
    #[arg(short, long, value_enum, value_name = "json|yaml|name", hide_possible_values = true)]
    pub output: Option<Output>,
}

/// Runs the command.
///
/// # Errors
/// Every failure that the exit codes of [`crate::error::Kind`] tell apart.
pub async fn run(args: &CleanHaArgs, connection: &ConnectionArgs, ui: &Ui) -> Result<()> {
    let connection = connection.connect().await?;
    if let Some(file) = &args.restore {
        return put_back(args, file, &connection, ui).await;
    }
    let scope = if args.all_namespaces { Scope::All } else { Scope::Namespace(connection.namespace.clone()) };
    let look = Look { scope, cluster_id: args.name.clone() };
    let mut found = gather(&look, args.dry_run != DryRun::None, &connection, ui).await?;
    if args.probe {
        probe(args, &mut found, &connection, ui).await?;
    }
    let judged: Vec<(&Situation, Judgement)> =
        found.situations.iter().map(|situation| (situation, situation.judge())).collect();
    let mut report = Report::new(&judged, &found.not_checked, args.dry_run != DryRun::None);
    if args.output.is_none() {
        ui.data(report.text(found.now, args.all_namespaces))?;
    }
    for what in &found.not_checked {
        ui.warn(format_args!("not checked: {what}"));
    }
    let jobs = Jobs::given(&args.job);
    // What an earlier command has removed before it was interrupted is not there any more.
    let is_interrupted = |(situation, _): &(&Situation, _)| removal::taken(&situation.state, found.now).is_some();
    if found.resting.is_empty() && !judged.iter().any(is_interrupted) {
        if judged.is_empty() {
            nothing_there(args, &connection)?;
        }
        jobs.known(&judged)?;
    }
    if judged.is_empty() {
        ui.note(format_args!("No high-availability ConfigMaps {}.", place(args, &connection)));
    }
    let selections: Vec<Selection<'_>> = judged
        .iter()
        .map(|(situation, judgement)| {
            let choice = Choice { jobs: &jobs, recoverable: args.include_recoverable, unknown: args.force };
            Selection::make(situation, judgement, &choice)
        })
        .collect::<Result<_>>()?;
    let left: Vec<_> = selections.iter().flat_map(|selection| selection.left.iter().copied()).collect();
    let work: Vec<&Selection<'_>> = selections.iter().filter(|selection| !selection.is_empty()).collect();
    for line in selection::summary(&left) {
        ui.note(line);
    }
    if work.is_empty() {
        if !judged.is_empty() {
            ui.note("Nothing is to be removed.");
        }
        let resumed = resume(&found, args, &connection, ui).await;
        report.print(args.output, ui)?;
        return resumed;
    }
    if args.dry_run != DryRun::Client {
        for selection in &work {
            selection.removal().preflight(&connection).await?;
        }
    }
    if args.dry_run != DryRun::None {
        for selection in &work {
            ui.note(format_args!("Would remove {}", selection.sentence()));
            report.done(selection.situation, &selection.removal().expected(), Outcome::WouldRemove);
        }
        return report.print(args.output, ui);
    }
    consent(args, &work, ui).await?;
    let mut failure: Option<Error> = None;
    for selection in &work {
        let mut removed = Removed::default();
        let outcome = remove(args, selection, &connection, ui, &mut removed).await;
        report.done(selection.situation, &removed, Outcome::Removed);
        // One cluster has nothing to do with another.
        if let Some(earlier) = outcome.err().and_then(|error| failure.replace(error)) {
            ui.error(&earlier);
        }
    }
    let resumed = resume(&found, args, &connection, ui).await;
    if let Some(earlier) = resumed.err().and_then(|error| failure.replace(error)) {
        ui.error(&earlier);
    }
    report.print(args.output, ui)?;
    failure.map_or(Ok(()), Err)
}

/// Reads everything, and shows that it does.
async fn gather(look: &Look, dry_run: bool, connection: &Connection, ui: &Ui) -> Result<Found> {
    let step = ui.step("Reading high-availability data");
    let mut found = ha::situations(connection, look, |what| step.progress(what)).await?;
    // Two that mend the same would be in each other's way.
    while let Some(left) = found.in_use_for().filter(|_| !dry_run) {
        step.progress(format_args!("another clean-ha is at work on it; looking again in {} s", left.as_secs() + 1));
        tokio::time::sleep(left).await;
        found = ha::situations(connection, look, |what| step.progress(what)).await?;
    }
    let maps: usize = found.situations.iter().map(|situation| situation.state.maps.len()).sum();
    let plural = |count: usize| if count == 1 { "" } else { "s" };
    let clusters = found.situations.len();
    step.done(format_args!(
        "{maps} high-availability ConfigMap{} of {clusters} cluster{}",
        plural(maps),
        plural(clusters)
    ));
    Ok(found)
}

/// `--probe`
async fn probe(args: &CleanHaArgs, found: &mut Found, connection: &Connection, ui: &Ui) -> Result<()> {
    for situation in &mut found.situations {
        if situation.live().is_some() || situation.files().is_empty() {
            continue;
        }
        let what = format!("{} in namespace {}", situation.state.cluster_id, situation.state.namespace);
        let step = ui.step(format!("Looking at the files of {what}"));
        if ha::look_at_files(connection, situation, args.timeout, |what| step.progress(what)).await? {
            let there = situation.seen.values().filter(|seen| **seen == Presence::There).count();
            step.done(format_args!("{there} of {} files of {what} are there", situation.seen.len()));
        } else {
            drop(step);
            ui.warn(format_args!(
                "the files of {what} are not looked at: no workload is left that tells what its pods have mounted"
            ));
        }
    }
    Ok(())
}

fn place(args: &CleanHaArgs, connection: &Connection) -> String {
    let of = args.name.as_ref().map_or(String::new(), |name| format!("of cluster-id {name} "));
    if args.all_namespaces {
        format!("{of}in any namespace")
    } else {
        format!("{of}in namespace {}", connection.namespace)
    }
}

/// Whoever names a job expects it to be there.
fn nothing_there(args: &CleanHaArgs, connection: &Connection) -> Result<()> {
    if args.job.iter().all(|job| job == selection::ALL_DEAD) {
        return Ok(());
    }
    Err(Error::usage(format!("there are no high-availability ConfigMaps {}", place(args, connection)))
        .hint("they are in the namespace that Flink's option kubernetes.namespace names: look with -A"))
}

/// Asks, or wants `--yes`.
async fn consent(args: &CleanHaArgs, work: &[&Selection<'_>], ui: &Ui) -> Result<()> {
    if args.yes {
        return Ok(());
    }
    let sentences: Vec<String> = work.iter().map(|selection| selection.sentence()).collect();
    if !ui.can_prompt() {
        return Err(Error::usage("nothing was removed: --yes is not given")
            .hint(format!("it would remove {}", sentences.join("; ")))
            .hint("go on: the same command with --yes"));
    }
    for sentence in &sentences {
        ui.note(format_args!("To be removed: {sentence}"));
    }
    let confirmed = if work.iter().any(|selection| selection.loses) {
        // What may be lost is not confirmed in passing.
        let expected = match work {
            [one] => one.situation.state.cluster_id.clone(),
            _ => format!("remove {}", work.len()),
        };
        ui.warn("jobs that could still be recovered are given up, but for the copy");
        ui.ask(format_args!("Type {expected:?} to go on: ")).await? == expected
    } else {
        ui.confirm("Remove it?").await?
    };
    if confirmed { Ok(()) } else { Err(Error::could_not_run("not confirmed: nothing was removed")) }
}

/// Removes one cluster's selection, and says what became of it.
async fn remove(
    args: &CleanHaArgs,
    selection: &Selection<'_>,
    connection: &Connection,
    ui: &Ui,
    removed: &mut Removed,
) -> Result<()> {
    let state = &selection.situation.state;
    let what = format!("{} in namespace {}", state.cluster_id, state.namespace);
    // Before the step, whose line is gone when this speaks.
    let mut begun = Begun { removed, ui, ended: false };
    let step = ui.step(format!("Removing high-availability data of {what}"));
    let deadline = delete::deadline(args.timeout);
    let removal = selection.removal();
    let progress = |what: &str| step.progress(what);
    let outcome =
        removal::remove(connection, &removal, Some(&args.backup_dir), deadline, progress, begun.removed).await;
    begun.ended = true;
    if let Err(error) = outcome {
        step.failed();
        return Err(begun.so_far().into_iter().fold(error, Error::hint).context(what));
    }
    drop(begun);
    step.done(format_args!("Removed of {what}: {}", report::removed(removed)));
    if let Some(path) = &removed.backup {
        ui.note(format_args!("  the copy: {0}; put it back: kubectl flink clean-ha --restore {0}", path.display()));
    }
    for workload in &removed.restarted {
        ui.note(format_args!("  {workload} is started again"));
    }
    for line in report::files_left(&removed.files) {
        ui.note(format_args!("  {line}"));
    }
    Ok(())
}

/// A removal that can be broken off: then too it is said where the copy is.
struct Begun<'a> {
    removed: &'a mut Removed,
    ui: &'a Ui,
    ended: bool,
}

impl Begun<'_> {
    /// What has been done.
    fn so_far(&self) -> Vec<String> {
        let gone =
            (!self.removed.is_empty()).then(|| format!("removed before that: {}", report::removed(self.removed)));
        let copy = self.removed.backup.as_ref().map(|path| format!("the copy is in {}", path.display()));
        gone.into_iter().chain(copy).collect()
    }
}

impl Drop for Begun<'_> {
    fn drop(&mut self) {
        if !self.ended {
            self.so_far().iter().for_each(|line| self.ui.warn(line));
        }
    }
}

/// Sets right what a command that was ended by force has left: workloads that it has stopped, and its lease.
async fn resume(found: &Found, args: &CleanHaArgs, connection: &Connection, ui: &Ui) -> Result<()> {
    for situation in &found.situations {
        let state = &situation.state;
        if args.dry_run == DryRun::None && removal::give_back_forgotten(connection, state).await? {
            ui.note(format_args!("The lease of {} is given back: an earlier command had kept it", state.cluster_id));
        }
    }
    for Resting { workload, replicas, .. } in &found.resting {
        let reference = format!("{}/{}", workload.kind.to_lowercase(), workload.name);
        if args.dry_run == DryRun::None {
            standstill::resume(connection, workload, *replicas).await?;
            ui.note(format_args!("{reference} is started again: an earlier command had stopped it"));
        } else {
            ui.note(format_args!("Would start {reference} again, which an earlier command has stopped"));
        }
    }
    Ok(())
}

/// `--restore`.
async fn put_back(args: &CleanHaArgs, file: &Path, connection: &Connection, ui: &Ui) -> Result<()> {
    let copies = restore::by_cluster(backup::read(file, &connection.namespace)?);
    let dry_run = args.dry_run != DryRun::None;
    let mut report = report::RestoreReport::new(file, dry_run);
    for copy in &copies {
        let step = ui.step(format!("Putting back {} in namespace {}", copy.cluster_id, copy.namespace));
        let (namespace, id) = (&copy.namespace, &copy.cluster_id);
        let there = ha::situation_of(connection, namespace, id, |what| step.progress(what)).await?;
        let mut restored = Restored::default();
        let outcome = restore::restore(connection, copy, &there, dry_run, &mut restored).await;
        report.add(copy, &restored);
        if let Err(mut error) = outcome {
            step.failed();
            if !restored.is_empty() {
                error = error.hint(format!("put back before that: {}", report::restored(&restored)));
            }
            report.print(args.output, ui)?;
            return Err(error);
        }
        let verb = if dry_run { "Would put back" } else { "Put back" };
        step.done(format_args!("{verb} {id} in namespace {namespace}: {}", report::restored(&restored)));
    }
    if !dry_run {
        ui.note("The next JobManager of this cluster-id recovers the jobs.");
    }
    report.print(args.output, ui)
}
