//! `kubectl flink down`: take a cluster down in reverse, and keep or remove its high-availability data knowingly.

mod decisions;
mod ha_storage;
mod report;

use std::collections::BTreeSet;
use std::time::Duration;

use clap::Args;
use k8s_openapi::api::core::v1::Namespace;

use self::decisions::{Flags, HaFate, Job, Jobs, Kept, Loss, Why, ha_fate, jobs_run};
use self::report::{ObjectReport, deleted, kept};
use super::Output;
use super::up::DryRun;
use crate::cluster::access::{self, Right};
use crate::cluster::delete::{self, Awaited, Found, Owned};
use crate::cluster::discover::{self, FlinkCluster};
use crate::cluster::ha::removal::{self, Removal, Removed};
use crate::cluster::ha::verdict::Situation;
use crate::cluster::ha::{self, HaState, Record};
use crate::cluster::{Connection, ConnectionArgs, status};
use crate::error::{Error, Result};
use crate::flink::cluster_id;
use crate::flink::rest::is_globally_terminal;
use crate::flink::role::Role;
use crate::manifests::{INSTANCE_LABEL, kind, name, reference};
use crate::output::Ui;

/// How long the JobManager may take to say which jobs run.
const ASK: Duration = Duration::from_secs(10);

/// Take a Flink cluster down
///
/// Deletes what `up` made, in reverse: the JobManagers first, so that no job fails for want of TaskManagers and Flink
/// keeps what it needs to recover it. Flink's high-availability ConfigMaps stay where the storage behind them outlives
/// the pods: the next `up` recovers the jobs. Volumes stay, unless --purge-volumes is given.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[command(after_long_help = "\
Examples:
  # The jobs are recovered by the next `up`, where the storage allows it
  kubectl flink down

  # What would be deleted?
  kubectl flink down prod -n streaming --dry-run

  # With all state, for good, without a question
  kubectl flink down prod -n streaming --purge-ha --purge-volumes --yes")]
pub struct DownArgs {
    /// Name of the cluster
    #[arg(default_value = "flink", value_parser = cluster_id::check)]
    pub name: String,
    /// Do not ask, also where jobs run or state is lost
    #[arg(short = 'y', long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
        default_missing_value = "true", action = clap::ArgAction::Set, hide_default_value = true,
        hide_possible_values = true)]
    pub yes: bool,
    /// Go on although it cannot be learnt whether jobs run
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
        default_missing_value = "true", action = clap::ArgAction::Set, hide_default_value = true,
        hide_possible_values = true)]
    pub force: bool,
    /// Keep Flink's high-availability ConfigMaps, whatever storage is behind them
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
        default_missing_value = "true", action = clap::ArgAction::Set, hide_default_value = true,
        hide_possible_values = true)]
    pub keep_ha: bool,
    /// Remove Flink's high-availability ConfigMaps: no job can be recovered from them any more
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
        default_missing_value = "true", action = clap::ArgAction::Set, hide_default_value = true,
        hide_possible_values = true)]
    pub purge_ha: bool,
    /// Delete the volumes that `up` made, with the checkpoints and savepoints on them
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
        default_missing_value = "true", action = clap::ArgAction::Set, hide_default_value = true,
        hide_possible_values = true)]
    pub purge_volumes: bool,
    /// Only say what would be deleted: `client` changes nothing, `server` lets the API server check it too
    #[arg(long, value_enum, value_name = "none|client|server", default_value = "none", hide_possible_values = true,
        num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    pub dry_run: DryRun,
    /// Wait until everything is gone; the JobManagers are waited for in any case
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true",
        default_missing_value = "true", action = clap::ArgAction::Set, hide_possible_values = true)]
    pub wait: bool,
    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = super::duration)]
    pub timeout: Duration,
    /// Print what was done, as one document or by name
    #[arg(short, long, value_enum, value_name = "json|yaml|name", hide_possible_values = true)]
    pub output: Option<Output>,
}

/// Runs the command.
///
/// # Errors
/// Every failure that the exit codes of [`crate::error::Kind`] tell apart.
pub async fn run(args: &DownArgs, connection: &ConnectionArgs, ui: &Ui) -> Result<()> {
    if args.keep_ha && args.purge_ha {
        return Err(Error::usage("--keep-ha and --purge-ha exclude each other"));
    }
    let connection = connection.connect().await?;
    let step = ui.step("Reading what is there");
    let plan = Plan::make(args, &connection).await?;
    if plan.is_empty() {
        drop(step);
        ui.note(format_args!("No cluster {} in namespace {}.", args.name, connection.namespace));
    } else {
        step.done(format_args!("Cluster {} in namespace {}: {}", args.name, connection.namespace, plan.summary()));
    }
    plan.advise(ui);
    if let Jobs::Unknown(why) = &plan.jobs
        && !args.force
        && args.dry_run == DryRun::None
    {
        return Err(Error::could_not_run(format!("nothing was deleted: it is not known whether jobs run: {why}"))
            .hint("take it down nevertheless: --force"));
    }
    plan.preflight().await?;
    if args.dry_run == DryRun::None {
        plan.consent(ui).await?;
    }
    let mut done = Vec::new();
    match plan.execute(ui, &mut done).await {
        Ok(staying) => plan.close(ui, &done, &staying),
        Err(error) => {
            let error = plan.stopped(error, &done);
            plan.report(ui, done)?;
            return Err(error);
        }
    }
    plan.report(ui, done)
}

/// Everything that was found, and what is to be done about it.
struct Plan<'a> {
    args: &'a DownArgs,
    connection: &'a Connection,
    found: Found,
    /// What made the JobManagers of an earlier attempt, whose pods may not be gone yet.
    dying: Vec<(String, String)>,
    jobs: Jobs,
    storage: Record,
    cluster_id: String,
    ha_namespace: String,
    ha: HaState,
    fate: HaFate,
    own_namespace: Option<Namespace>,
}

impl<'a> Plan<'a> {
    async fn make(args: &'a DownArgs, connection: &'a Connection) -> Result<Self> {
        let scope = discover::Scope::Namespace(connection.namespace.clone());
        let (found, discovery, own_namespace) = futures::try_join!(
            delete::find(connection, &args.name),
            discover::clusters(connection, &scope),
            delete::own_namespace(connection),
        )?;
        if let Some(unlisted) =
            found.not_listed.iter().find(|plural| matches!(plural.as_str(), "deployments" | "configmaps"))
        {
            return Err(Error::could_not_run(format!(
                "nothing was deleted: you may not list {unlisted} in namespace {}",
                connection.namespace
            )));
        }
        let is_ours = |cluster: &FlinkCluster| {
            let jobmanager = (cluster.jobmanager.kind.as_str(), cluster.jobmanager.name.as_str());
            found.objects.iter().any(|owned| (kind(&owned.object), name(&owned.object)) == jobmanager)
        };
        let (mut own, others): (Vec<_>, Vec<_>) = discovery.clusters.into_iter().partition(is_ours);
        // Pods whose Deployment is gone, which the garbage collector has not come to yet: left by an earlier attempt.
        let is_dying = |cluster: &FlinkCluster| {
            let jobmanager = &cluster.jobmanager;
            jobmanager.kind == "Deployment"
                && jobmanager.deployment.is_none()
                && jobmanager.label(INSTANCE_LABEL) == Some(args.name.as_str())
        };
        let (dying, others): (Vec<_>, Vec<_>) = others.into_iter().partition(is_dying);
        let dying = dying.into_iter().map(|cluster| (cluster.jobmanager.kind, cluster.jobmanager.name)).collect();
        if own.len() > 1 {
            let jobmanagers: Vec<_> = own.iter().map(|cluster| cluster.jobmanager.name.as_str()).collect();
            return Err(Error::could_not_run(format!(
                "nothing was deleted: more than one JobManager carries the labels of cluster {}: {}",
                args.name,
                jobmanagers.join(", ")
            ))
            .hint("delete them with kubectl, each before its TaskManagers"));
        }
        let cluster = own.pop();
        let configuration = ha_storage::configuration(&found);
        let setting = |key: &str| configuration.as_ref().and_then(|configuration| configuration.get(key));
        let cluster_id = cluster.as_ref().and_then(|cluster| cluster.cluster_id.as_deref());
        let cluster_id = cluster_id.or(setting("kubernetes.cluster-id")).unwrap_or(&args.name).to_owned();
        let ha_namespace = match (&cluster, &configuration) {
            (Some(cluster), _) if cluster.has_kubernetes_ha() => cluster.ha_namespace(),
            (None, Some(_)) => setting("kubernetes.namespace").unwrap_or(&connection.namespace),
            _ => &connection.namespace,
        }
        .to_owned();
        let (jobs, ha) = futures::join!(
            running_jobs(connection, cluster.as_ref()),
            ha::state_of(connection, &ha_namespace, &cluster_id)
        );
        let ha = ha?;
        let in_use_by = others
            .iter()
            .find(|other| other.cluster_id.as_ref() == Some(&cluster_id) && other.ha_namespace() == ha_namespace)
            .map(|other| {
                format!("{}/{}, made by {}", other.jobmanager.kind.to_lowercase(), other.jobmanager.name, other.made_by)
            });
        let storage =
            ha_storage::storage_of(args, connection, &found, cluster.as_ref(), configuration.as_ref(), &ha).await;
        let claims: Vec<&str> =
            found.objects.iter().filter(|owned| owned.is_claim()).map(|owned| name(&owned.object)).collect();
        let flags = Flags { keep_ha: args.keep_ha, purge_ha: args.purge_ha, purge_volumes: args.purge_volumes };
        let fate = match ha_fate(&storage.storage, flags, &claims, in_use_by.as_deref()) {
            // There is nothing to disagree about.
            Err(_) if ha.maps.is_empty() && in_use_by.is_none() => HaFate::Kept(Kept::Unknown),
            fate => fate?,
        };
        Ok(Plan { args, connection, found, dying, jobs, storage, cluster_id, ha_namespace, ha, fate, own_namespace })
    }

    fn is_empty(&self) -> bool {
        self.found.objects.iter().all(Owned::is_claim)
    }

    fn summary(&self) -> String {
        let jobs = match &self.jobs {
            Jobs::Known(jobs) if jobs.is_empty() => "no job runs".to_owned(),
            Jobs::Known(jobs) => jobs_run(jobs.len()),
            Jobs::Unknown(_) => "it is not known whether jobs run".to_owned(),
        };
        let maps = match self.ha.maps.len() {
            0 => String::new(),
            1 => ", 1 HA ConfigMap".to_owned(),
            maps => format!(", {maps} HA ConfigMaps"),
        };
        format!("{} objects{maps}, {jobs}", self.found.objects.len())
    }

    /// What is not touched, and why.
    fn advise(&self, ui: &Ui) {
        for (object, owner) in &self.found.foreign {
            ui.warn(format_args!("{object} carries the labels of this cluster and belongs to {owner}: not touched"));
        }
        if !self.found.not_listed.is_empty() {
            ui.warn(format_args!(
                "you may not list these, so that any of this cluster stay: {}",
                self.found.not_listed.join(", ")
            ));
        }
    }

    /// The objects that are deleted, in order.
    fn goes(&self) -> impl Iterator<Item = &Owned> {
        self.found.objects.iter().filter(|owned| self.args.purge_volumes || !owned.is_claim())
    }

    fn claims_that_go(&self) -> Vec<&str> {
        self.goes().filter(|owned| owned.is_claim()).map(|owned| name(&owned.object)).collect()
    }

    fn removes_ha(&self) -> bool {
        matches!(self.fate, HaFate::Removed(_))
    }

    /// Refuses before anything is deleted if not everything can be.
    async fn preflight(&self) -> Result<()> {
        let namespace = Some(self.connection.namespace.as_str());
        let right = |owned: &Owned| Right::new("delete", &owned.resource.group, &owned.resource.plural, namespace);
        let mut rights: Vec<Right> = self.goes().map(right).collect();
        if self.goes().any(Owned::makes_pods) {
            rights.push(Right::new("list", "", "pods", namespace));
        }
        if self.removes_ha() && !self.ha.maps.is_empty() {
            rights.extend(Removal::all(&Situation::unattended(self.ha.clone())).rights());
        }
        access::require(self.connection, rights, "nothing was deleted").await
    }

    /// Asks, or wants `--yes`, where jobs run or state is lost.
    async fn consent(&self, ui: &Ui) -> Result<()> {
        let jobs: &[Job] = match &self.jobs {
            Jobs::Known(jobs) => jobs,
            Jobs::Unknown(_) => &[],
        };
        let recoverable = matches!(self.fate, HaFate::Kept(Kept::Durable | Kept::Asked));
        let forgotten = match self.fate {
            // What is on pod-local storage is gone with the pods, whatever is asked for here.
            HaFate::Removed(Why::PodLocal) | HaFate::Kept(_) => Vec::new(),
            HaFate::Removed(_) => self.ha.jobs(),
        };
        let claims = self.claims_that_go();
        let sentences = Loss { jobs, recoverable, forgotten: &forgotten, claims: &claims }.sentences();
        if sentences.is_empty() || self.args.yes {
            return Ok(());
        }
        let savepoint = "to keep a job's state in a savepoint, stop it first: Flink's REST API, POST /jobs/ID/stop";
        if !ui.can_prompt() {
            let error = Error::usage(format!("nothing was deleted, --yes is not given: {}", sentences.join("; ")))
                .hint(format!("go on: {} --yes", self.command()));
            return Err(if jobs.is_empty() { error } else { error.hint(savepoint) });
        }
        for sentence in &sentences {
            ui.warn(sentence);
        }
        if !jobs.is_empty() {
            ui.note(format_args!("({savepoint})"));
        }
        let question = format!("Take cluster {} in namespace {} down?", self.args.name, self.connection.namespace);
        if ui.confirm(question).await? {
            Ok(())
        } else {
            Err(Error::could_not_run("not confirmed: nothing was deleted"))
        }
    }

    /// The command as it was given, as far as it decides what is lost.
    fn command(&self) -> String {
        let DownArgs { name, force, keep_ha, purge_ha, purge_volumes, .. } = self.args;
        let mut command = format!("kubectl flink down {name} -n {}", self.connection.namespace);
        for (given, flag) in [
            (force, " --force"),
            (keep_ha, " --keep-ha"),
            (purge_ha, " --purge-ha"),
            (purge_volumes, " --purge-volumes"),
        ] {
            if *given {
                command.push_str(flag);
            }
        }
        command
    }

    /// Deletes everything in order, and writes down in `done` what became of each object; gives the HA ConfigMaps that
    /// stay.
    async fn execute(&self, ui: &Ui, done: &mut Vec<ObjectReport>) -> Result<HaState> {
        let deadline = delete::deadline(self.args.timeout);
        let (workloads, rest): (Vec<&Owned>, Vec<&Owned>) = self.goes().partition(|owned| owned.makes_pods());
        let is_jobmanager = |owned: &&Owned| {
            owned.workload().is_some_and(|workload| matches!(workload.process.role, Role::JobManager(_)))
        };
        let (jobmanagers, workers): (Vec<_>, Vec<_>) = workloads.into_iter().partition(is_jobmanager);
        // Also where none is left: the pods of an earlier attempt may still be on their way out.
        self.end(ui, "JobManagers", &jobmanagers, true, deadline, done).await?;
        self.end(ui, "TaskManagers", &workers, self.args.wait, deadline, done).await?;
        let staying = self.end_ha(ui, deadline, done).await?;
        let (claims, rest): (Vec<_>, Vec<_>) = rest.into_iter().partition(|owned| owned.is_claim());
        for (what, objects) in [("what the pods used", rest), ("volumes", claims)] {
            if objects.is_empty() {
                continue;
            }
            let step = ui.step(format!("Deleting {what}"));
            for owned in &objects {
                step.progress(reference(&owned.object));
                self.delete(owned, done).await?;
            }
            if self.args.wait && self.in_earnest() {
                delete::objects_gone(self.connection, &objects, deadline).await?;
            }
            let list: Vec<_> = objects.iter().map(|owned| reference(&owned.object)).collect();
            step.done(format_args!("{}: {}", self.deleted(), list.join(", ")));
        }
        for owned in self.found.objects.iter().filter(|owned| owned.is_claim() && !self.args.purge_volumes) {
            done.push(kept("PersistentVolumeClaim", name(&owned.object)));
        }
        self.end_namespace(ui, deadline, done).await?;
        Ok(staying)
    }

    fn in_earnest(&self) -> bool {
        self.args.dry_run == DryRun::None
    }

    fn deleted(&self) -> &'static str {
        if self.in_earnest() { "Deleted" } else { "Would delete" }
    }

    async fn delete(&self, owned: &Owned, done: &mut Vec<ObjectReport>) -> Result<()> {
        if self.args.dry_run != DryRun::Client {
            delete::delete(self.connection, owned, self.args.dry_run == DryRun::Server)
                .await
                .map_err(|error| error.context(format_args!("cannot delete {}", reference(&owned.object))))?;
        }
        done.push(deleted(kind(&owned.object), name(&owned.object)));
        Ok(())
    }

    /// Deletes workloads, and waits until their pods are gone.
    async fn end(
        &self,
        ui: &Ui,
        what: &str,
        workloads: &[&Owned],
        wait: bool,
        deadline: tokio::time::Instant,
        done: &mut Vec<ObjectReport>,
    ) -> Result<()> {
        let jobmanagers = what == "JobManagers";
        let step = ui.step(format!("Ending {what}"));
        for owned in workloads {
            self.delete(owned, done).await?;
        }
        let list: Vec<_> = workloads.iter().map(|owned| reference(&owned.object)).collect();
        let list = list.join(", ");
        if wait && self.in_earnest() && (jobmanagers || !workloads.is_empty()) {
            let awaited = Awaited {
                controllers: workloads
                    .iter()
                    .map(|owned| (kind(&owned.object).to_owned(), name(&owned.object).to_owned()))
                    .chain(self.dying.iter().filter(|_| jobmanagers).cloned())
                    .collect(),
                dying_jobmanagers_of: jobmanagers.then(|| self.args.name.clone()),
                ended_too: true,
            };
            let gone = delete::pods_gone(self.connection, &awaited, deadline, |left| step.progress(left)).await;
            if let Err(error) = gone {
                step.failed();
                return Err(error.context(format_args!("{what} do not end within the timeout")));
            }
        }
        if !workloads.is_empty() {
            let gone = if wait && self.in_earnest() { ", and their pods are gone" } else { "" };
            step.done(format_args!("{}: {list}{gone}", self.deleted()));
        }
        Ok(())
    }

    async fn end_ha(&self, ui: &Ui, deadline: tokio::time::Instant, done: &mut Vec<ObjectReport>) -> Result<HaState> {
        let state = if self.in_earnest() {
            // The JobManager may have changed them until its end.
            ha::state_of(self.connection, &self.ha_namespace, &self.cluster_id).await?
        } else {
            self.ha.clone()
        };
        let names: Vec<String> = state.maps.iter().map(|map| map.name.clone()).collect();
        if !self.removes_ha() {
            if self.in_earnest() && !matches!(self.fate, HaFate::Kept(Kept::InUse(_))) {
                // It only helps a later clean-ha: whoever may not write it has taken the cluster down all the same.
                if let Err(error) = ha::record::leave(self.connection, &state, &self.storage).await {
                    ui.warn(format_args!(
                        "what storage is behind the HA ConfigMaps is not noted on them: {}",
                        error.message
                    ));
                }
            }
            done.extend(names.iter().map(|name| kept("ConfigMap", name)));
            return Ok(state);
        }
        let step = ui.step("Removing the HA ConfigMaps");
        let removed = if self.in_earnest() && !names.is_empty() {
            let progress = |what: &str| step.progress(what);
            let mut removed = Removed::default();
            let outcome = async {
                let situation = ha::unattended(self.connection, state, progress).await?;
                removal::remove(self.connection, &Removal::all(&situation), None, deadline, progress, &mut removed)
                    .await
            };
            if let Err(error) = outcome.await {
                step.failed();
                done.extend(removed.config_maps.iter().map(|name| deleted("ConfigMap", name)));
                return Err(error.context("the HA ConfigMaps"));
            }
            removed.config_maps
        } else {
            names
        };
        if !removed.is_empty() {
            let why = match self.fate {
                HaFate::Removed(Why::PodLocal) => ": what they pointed to was in the pods",
                HaFate::Removed(Why::VolumeGoes) => ": what they pointed to is on the volume that goes",
                _ => "",
            };
            step.done(format_args!("{}: configmap/{}{why}", self.deleted(), removed.join(", configmap/")));
        }
        done.extend(removed.iter().map(|name| deleted("ConfigMap", name)));
        Ok(HaState { maps: Vec::new(), ..self.ha.clone() })
    }

    /// Deletes the namespace if `up` created it and nobody has anything in it any more.
    async fn end_namespace(&self, ui: &Ui, deadline: tokio::time::Instant, done: &mut Vec<ObjectReport>) -> Result<()> {
        let Some(namespace) = &self.own_namespace else { return Ok(()) };
        let what = &self.connection.namespace;
        let step = ui.step(format!("Looking what else is in namespace {what}"));
        let leaving: BTreeSet<String> = if self.in_earnest() {
            BTreeSet::new()
        } else {
            done.iter().filter(|report| report.outcome == "deleted").map(ObjectReport::reference).collect()
        };
        // What stays knowingly needs no search.
        let staying = done.iter().filter(|report| report.outcome == "kept").map(ObjectReport::reference).collect();
        let known = delete::Contents { staying, ..delete::Contents::default() };
        let obstacle = match known.obstacle().filter(|_| self.ha_namespace == *what) {
            Some(obstacle) => Some(obstacle),
            None if !self.args.wait => Some("with --wait=false it is not seen whether all is gone from it".to_owned()),
            None => delete::contents(self.connection, &leaving, self.in_earnest()).await?.obstacle(),
        };
        if let Some(obstacle) = obstacle {
            step.done(format_args!("Kept: namespace/{what}: {obstacle}"));
            done.push(kept("Namespace", what));
            return Ok(());
        }
        step.progress("deleting it");
        if self.args.dry_run != DryRun::Client {
            let right = Right::new("delete", "", "namespaces", None);
            if !access::denied_to_caller(self.connection, vec![right]).await?.is_empty() {
                step.done(format_args!("Kept: namespace/{what}: it is empty, and you may not delete it"));
                done.push(kept("Namespace", what));
                return Ok(());
            }
            let deadline = (self.args.wait && self.in_earnest()).then_some(deadline);
            delete::delete_namespace(self.connection, namespace, !self.in_earnest(), deadline).await?;
        }
        step.done(format_args!("{}: namespace/{what}", self.deleted()));
        done.push(deleted("Namespace", what));
        Ok(())
    }

    /// An error that says how far it came.
    fn stopped(&self, error: Error, done: &[ObjectReport]) -> Error {
        let gone: Vec<_> =
            done.iter().filter(|report| report.outcome == "deleted").map(ObjectReport::reference).collect();
        let left: Vec<_> =
            self.goes().map(|owned| reference(&owned.object)).filter(|object| !gone.contains(object)).collect();
        let before =
            if gone.is_empty() { "nothing was deleted".to_owned() } else { format!("deleted: {}", gone.join(", ")) };
        let after = if left.is_empty() { String::new() } else { format!("; not deleted: {}", left.join(", ")) };
        error.hint(format!("{before}{after}. Run the same command again to go on"))
    }
}

/// Which jobs run, from Flink itself, else from what its HA data says would be recovered.
async fn running_jobs(connection: &Connection, cluster: Option<&FlinkCluster>) -> Jobs {
    // Without a JobManager nothing runs, whatever its data says.
    let Some(cluster) = cluster else { return Jobs::Known(Vec::new()) };
    let status = status::gather(connection, cluster, ASK, false).await;
    if let Some(jobs) = status.jobs {
        let running = jobs.into_iter().filter(|job| !is_globally_terminal(&job.state));
        let job = |job: status::JobStatus| Job { id: job.id, name: Some(job.name), state: Some(job.state) };
        return Jobs::Known(running.map(job).collect());
    }
    if let Some(recorded) = status.high_availability.jobs {
        return Jobs::Known(recorded.into_iter().map(|id| Job { id, name: None, state: None }).collect());
    }
    if cluster.jobmanager.replicas == 0 && cluster.jobmanager_pods.is_empty() {
        return Jobs::Known(Vec::new());
    }
    let why = status.not_checked.into_iter().next().or_else(|| status.problems.into_iter().next().map(|p| p.message));
    Jobs::Unknown(why.unwrap_or_else(|| "the JobManager does not answer".to_owned()))
}
