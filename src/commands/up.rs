//! `kubectl flink up`: apply the manifests in numeric order, and wait until the cluster serves.

mod examine;
mod probe;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};
use kube::api::DynamicObject;
use serde::Serialize;

use super::{Output, decide};
use crate::cluster::apply::{self, ApplyOptions, Outcome, Target};
use crate::cluster::facts::{Facts, NamespaceState};
use crate::cluster::preflight::{self, Live, Planned};
use crate::cluster::wait::{self, Serving};
use crate::cluster::{Connection, ConnectionArgs, discover};
use crate::error::{Error, Kind, Result};
use crate::flink::cluster_id;
use crate::flink::ha_storage::HaStorage;
use crate::manifests::options::{Expose, Options};
use crate::manifests::session_ha::Profile;
use crate::manifests::{self, INSTANCE_LABEL, MANAGED_BY, ManifestFile, kind, name, reference, yaml};
use crate::output::{Ui, diff, document};

/// Bring a highly available Flink session cluster up
///
/// Applies the profile's manifests in the order of their numbers (server-side apply), then waits until the JobManagers
/// and TaskManagers run, a leader is elected, and Flink's REST API answers with every TaskManager. Options that are not
/// given keep what the last `up` of this cluster recorded.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[command(after_long_help = "\
Examples:
  # A cluster named `flink` in the namespace of the context
  kubectl flink up

  # State in S3, credentials from a Secret, a standby JobManager, in a namespace of its own
  kubectl flink up prod -n streaming --ha-storage s3://bucket/flink --env-from-secret s3-credentials --jobmanagers 2

  # One more TaskManager; everything else stays as it is
  kubectl flink up --taskmanagers 3

  # What would change?
  kubectl flink up --slots 4 --diff

  # Your own numbered files
  kubectl flink up -f ./manifests")]
pub struct UpArgs {
    /// Name of the cluster: Flink's cluster-id, and what its objects' names begin with
    #[arg(default_value = "flink", value_parser = cluster_id::check)]
    pub name: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become help text")]
    pub options: Options,
    /// Apply the numbered files of this folder instead of the embedded ones
    #[arg(short = 'f', long = "filename", value_name = "DIR")]
    pub folder: Option<PathBuf>,
    /// Forget what the last up recorded: every option that is not given has its default
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
        default_missing_value = "true", action = clap::ArgAction::Set, hide_default_value = true,
        hide_possible_values = true)]
    pub reset: bool,
    /// Only say what would happen: `client` changes nothing, `server` lets the API server check it too
    #[arg(long, value_enum, value_name = "none|client|server", default_value = "none", hide_possible_values = true,
        num_args = 0..=1, require_equals = true, default_missing_value = "client")]
    pub dry_run: DryRun,
    /// Show what would change and change nothing; exit code 1 if something would
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
        default_missing_value = "true", action = clap::ArgAction::Set, hide_default_value = true,
        hide_possible_values = true)]
    pub diff: bool,
    /// Wait until the cluster serves
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "true",
        default_missing_value = "true", action = clap::ArgAction::Set, hide_possible_values = true)]
    pub wait: bool,
    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "5m", value_parser = super::duration)]
    pub timeout: Duration,
    /// Take over fields that another field manager owns
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
        default_missing_value = "true", action = clap::ArgAction::Set, hide_default_value = true,
        hide_possible_values = true)]
    pub force_conflicts: bool,
    /// Apply although the doctor finds errors
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
        default_missing_value = "true", action = clap::ArgAction::Set, hide_default_value = true,
        hide_possible_values = true)]
    pub skip_doctor: bool,
    /// Before Flink starts, let a short pod like the JobManager's write to the storage, and one like a TaskManager's read it
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
        default_missing_value = "true", action = clap::ArgAction::Set, hide_default_value = true,
        hide_possible_values = true)]
    pub probe: bool,
    /// Print what was done, as one document or by name
    #[arg(short, long, value_enum, value_name = "json|yaml|name", hide_possible_values = true)]
    pub output: Option<Output>,
}

/// `--dry-run`, as kubectl has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum DryRun {
    /// Do it.
    None,
    /// Send nothing.
    Client,
    /// Let the server check it and store nothing.
    Server,
}

/// What an `up` did, for `-o json|yaml`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report {
    api_version: &'static str,
    kind: &'static str,
    name: String,
    namespace: String,
    dry_run: bool,
    objects: Vec<ObjectReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    serving: Option<Serving>,
}

#[derive(Debug, Clone, Serialize)]
#[serde(rename_all = "camelCase")]
struct ObjectReport {
    file: String,
    kind: String,
    name: String,
    outcome: &'static str,
}

impl ObjectReport {
    fn new(file: &Planned, target: &Target, outcome: Outcome) -> Self {
        ObjectReport {
            file: file.file.clone(),
            kind: kind(&target.object).to_owned(),
            name: name(&target.object).to_owned(),
            outcome: outcome.word(),
        }
    }
}

/// Runs the command.
///
/// # Errors
/// Every failure that the exit codes of [`Kind`] tell apart.
pub async fn run(args: &UpArgs, connection: &ConnectionArgs, ui: &Ui) -> Result<()> {
    let given = args.options.clone().normalized()?;
    // Bad files and bad options are refused before a server is asked anything.
    let own_files = args.folder.as_deref().map(|folder| own_files(folder, args, &given, connection)).transpose()?;
    if own_files.is_none() {
        Profile::by_default(&args.name, "default", given.clone()).files()?;
    }

    let connection = connection.connect().await?;
    let step = ui.step("Reading what is there");
    let facts = decide::facts(&connection, &args.name).await?;
    let (files, profile) = if let Some(files) = own_files {
        (files, None)
    } else {
        let profile = decide::profile(&connection, &facts, &args.name, given, args.reset).await?;
        (profile.files()?, Some(profile))
    };
    let planned = preflight::plan(&connection, files, &facts.namespace).await?;
    if let Some(profile) = &profile {
        decide::check(&connection, &facts, profile, &planned, &step).await?;
    }
    if !args.skip_doctor {
        // `advise` says that state is in the pods.
        let is_pod_local = profile.as_ref().is_some_and(|profile| profile.storage == HaStorage::PodLocal);
        let said: &[&str] = if is_pod_local { &["FLK203", "FLK204"] } else { &[] };
        examine::examine(&connection, &planned, args.folder.as_deref(), said, ui).await?;
    }
    let storage = if args.probe { probe::storage(&connection, &planned, args.folder.as_deref()).await? } else { None };
    step.done(format_args!(
        "Kubernetes {}, namespace {}: you may do what this takes",
        facts.server_version, connection.namespace
    ));
    if let Some(profile) = &profile {
        advise(ui, profile, &facts);
    }

    let up = Up { args, ui, connection: &connection, namespace: facts.namespace.clone() };
    if args.diff {
        return up.diff(&planned).await;
    }
    if args.dry_run != DryRun::None {
        let objects = up.dry_run(&planned).await?;
        return up.report(objects, None);
    }
    let objects = Box::pin(up.apply(&planned, storage)).await?;
    let serving = if args.wait { Some(up.wait(profile.as_ref(), &planned).await?) } else { None };
    if let Some(serving) = &serving {
        up.next_steps(serving);
    }
    up.report(objects, serving)
}

/// What the user should know of the choices, most important first.
fn advise(ui: &Ui, profile: &Profile, facts: &Facts) {
    match &profile.storage {
        HaStorage::PodLocal => ui.warn(
            "state is kept in the pods themselves (pod-local): when the JobManager's pod goes, its jobs are lost. \
             Mend it with --ha-storage s3://BUCKET/FOLDER (or gs, abfs, hdfs, oss) or --ha-storage pvc:NAME",
        ),
        HaStorage::Claim(_) if profile.single_node => ui.note(format_args!(
            "Storage: volume {}, for one node at a time: survives the loss of pods, not of the node.",
            profile.claim().unwrap_or_default(),
        )),
        HaStorage::HostPath(dir) if profile.options.node_selector.is_empty() => ui.warn(format_args!(
            "{dir} is a directory of whatever node the pods run on: add --node-selector kubernetes.io/hostname=NODE"
        )),
        HaStorage::Uri(uri) if uri.starts_with("hdfs:") => {
            ui.warn("Flink's image has no Hadoop classes: hdfs:// needs an image that has (--image)");
        }
        _ => {}
    }
    if matches!(profile.options.expose, Some(Expose::NodePort(_) | Expose::LoadBalancer)) {
        ui.warn(
            "Flink's web UI has no login: whoever reaches it can run any code in the pods. Put an authenticating proxy \
             before it, or use --expose cluster-ip",
        );
    }
    for key in profile.secrets_in_configuration() {
        ui.warn(format_args!("-D {key} puts a secret into a ConfigMap: better --env-from-secret SECRET"));
    }
    if let (Some(autoscaler), Some(_)) = (&facts.autoscaler, profile.autoscaled_taskmanagers) {
        ui.note(format_args!(
            "horizontalpodautoscaler/{autoscaler} decides how many TaskManagers there are: left as they are."
        ));
    }
}

/// The user's own files, labelled so that `down` finds their objects again.
fn own_files(folder: &Path, args: &UpArgs, given: &Options, connection: &ConnectionArgs) -> Result<Vec<ManifestFile>> {
    if *given != Options::default() || args.reset {
        return Err(Error::usage("-f takes the files as they are: options of the profile cannot be given with it")
            .hint("kubectl flink render --to DIR writes files with these options to begin from"));
    }
    let mut files = manifests::read_folder(folder)?;
    for file in &mut files {
        for object in file.objects.iter_mut().filter(|object| kind(object) != "Namespace") {
            let what = reference(object);
            let metadata = &mut object.metadata;
            if let (Some(wanted), Some(own)) = (&connection.namespace, &metadata.namespace)
                && wanted != own
            {
                return Err(Error::usage(format!(
                    "{}/{}: the namespace of {what} is {own}, not {wanted}",
                    folder.display(),
                    file.name
                ))
                .hint("leave -n out, or the namespace in the file"));
            }
            let labels = metadata.labels.get_or_insert_default();
            let manager = labels.entry(MANAGED_BY.0.to_owned()).or_insert_with(|| MANAGED_BY.1.to_owned());
            if manager != MANAGED_BY.1 {
                return Err(Error::usage(format!(
                    "{}/{}: {what} is managed by {manager}, as its label {} says",
                    folder.display(),
                    file.name,
                    MANAGED_BY.0
                )));
            }
            labels.entry(INSTANCE_LABEL.to_owned()).or_insert_with(|| args.name.clone());
        }
    }
    Ok(files)
}

/// An `up` that knows what it is to do.
struct Up<'a> {
    args: &'a UpArgs,
    ui: &'a Ui,
    connection: &'a Connection,
    namespace: NamespaceState,
}

impl Up<'_> {
    /// Applies file after file; stops at the first that fails, and says what was and was not applied. The storage is probed
    /// when all is there that its pods need, and none of the cluster's own.
    async fn apply(&self, planned: &[Planned], mut storage: Option<probe::Storage>) -> Result<Vec<ObjectReport>> {
        let mut reports = Vec::new();
        for (index, file) in planned.iter().enumerate() {
            if let Err(error) = self.apply_file(file, &mut reports, &mut storage).await {
                return Err(stopped(error, planned, index, &reports));
            }
        }
        Ok(reports)
    }

    async fn apply_file(
        &self,
        file: &Planned,
        reports: &mut Vec<ObjectReport>,
        storage: &mut Option<probe::Storage>,
    ) -> Result<()> {
        let doing = format!("Applying {}", file.file);
        let (first, mut step) = (reports.len(), self.ui.step(doing.clone()));
        for (target, live) in &file.objects {
            if makes_pods(&target.object)
                && let Some(storage) = storage.take()
            {
                // The file's own line comes when all of it is applied.
                drop(step);
                Box::pin(probe::run(self.connection, self.ui, &storage, self.args.timeout)).await?;
                step = self.ui.step(doing.clone());
            }
            match self.apply_object(target, live).await {
                Ok(outcome) => reports.push(ObjectReport::new(file, target, outcome)),
                Err(error) => {
                    step.failed();
                    return Err(error);
                }
            }
        }
        step.done(format_args!("{}: {}", file.file, summary(&reports[first..])));
        Ok(())
    }

    async fn apply_object(&self, target: &Target, live: &Live) -> Result<Outcome> {
        let options = ApplyOptions { force: self.args.force_conflicts, dry_run: false };
        if kind(&target.object) != "Namespace" {
            Ok(apply::apply(self.connection, target, live.object(), options).await?.outcome)
        } else if self.namespace == NamespaceState::Missing {
            apply::create(self.connection, target, options).await
        } else {
            Ok(Outcome::Unchanged)
        }
    }

    /// What would happen. In a namespace that is not there yet, the server cannot check what goes into it.
    async fn dry_run(&self, planned: &[Planned]) -> Result<Vec<ObjectReport>> {
        let ask_server = self.args.dry_run == DryRun::Server;
        let mut reports = Vec::new();
        let mut unchecked = 0;
        for file in planned {
            for (target, live) in &file.objects {
                let is_namespace = kind(&target.object) == "Namespace";
                let checkable = ask_server && (is_namespace || self.namespace != NamespaceState::Missing);
                let options = ApplyOptions { force: self.args.force_conflicts, dry_run: true };
                let outcome = match (checkable, is_namespace) {
                    (true, true) if self.namespace == NamespaceState::Missing => {
                        apply::create(self.connection, target, options).await?
                    }
                    (true, false) => apply::apply(self.connection, target, live.object(), options).await?.outcome,
                    (_, true) if self.namespace != NamespaceState::Missing => Outcome::Unchanged,
                    _ => {
                        unchecked += usize::from(ask_server);
                        if live.object().is_some() { Outcome::Configured } else { Outcome::Created }
                    }
                };
                if self.args.output.is_none() {
                    let mode = if checkable { "server dry run" } else { "dry run" };
                    self.ui.data(format_args!("{} {} ({mode})\n", reference(&target.object), outcome.word()))?;
                }
                reports.push(ObjectReport::new(file, target, outcome));
            }
        }
        if unchecked > 0 {
            self.ui.note(format_args!(
                "namespace {} is not there yet: {unchecked} objects were checked here only, not by the server (their \
                 shape, the options, what you may do); quotas and admission were not.",
                self.connection.namespace
            ));
        }
        Ok(reports)
    }

    /// Shows what would change; a difference is exit code 1.
    async fn diff(&self, planned: &[Planned]) -> Result<()> {
        let options = ApplyOptions { force: self.args.force_conflicts, dry_run: true };
        let mut different = false;
        for (target, live) in planned.iter().flat_map(|file| &file.objects) {
            let exists = self.namespace != NamespaceState::Missing;
            let (before, after) = match kind(&target.object) {
                "Namespace" if exists => continue,
                _ if !exists => (None, target.object.clone()),
                _ => {
                    let result = apply::apply(self.connection, target, live.object(), options).await;
                    let applied = result.map_err(|error| Error { kind: Kind::CouldNotRun, ..error })?;
                    (applied.before, applied.after)
                }
            };
            let before = before.map(|object| yaml::to_string(&apply::content(&object))).transpose()?;
            let after = yaml::to_string(&apply::content(&after))?;
            let text = diff::unified(&reference(&target.object), &before.unwrap_or_default(), &after);
            different |= !text.is_empty();
            self.ui.data(text)?;
        }
        if different { Err(Error::new(Kind::Unhealthy, "")) } else { Ok(()) }
    }

    async fn wait(&self, profile: Option<&Profile>, planned: &[Planned]) -> Result<Serving> {
        let target = match profile {
            Some(profile) => wait::Target {
                namespace: self.connection.namespace.clone(),
                cluster_id: Some(profile.name.clone()),
                jobmanager: profile.jobmanager(),
                taskmanager: Some(profile.taskmanager()),
                slots: Some(profile.slots().into()),
            },
            None => self.applied_cluster(planned).await?,
        };
        wait::until_serving(self.connection, self.ui, &target, self.args.timeout).await
    }

    /// The cluster that the user's own files made: the one whose JobManager is among their objects.
    async fn applied_cluster(&self, planned: &[Planned]) -> Result<wait::Target> {
        let mut deployments =
            planned.iter().flat_map(|file| &file.objects).filter(|(t, _)| kind(&t.object) == "Deployment");
        let namespace = deployments.clone().next().and_then(|(target, _)| target.namespace.clone());
        let namespace = namespace.unwrap_or_else(|| self.connection.namespace.clone());
        let found = discover::clusters(self.connection, &discover::Scope::Namespace(namespace.clone())).await?;
        let cluster = found
            .clusters
            .into_iter()
            .find(|cluster| deployments.any(|(target, _)| name(&target.object) == cluster.jobmanager.name))
            .ok_or_else(|| {
                Error::could_not_run("applied, but not verified: no Deployment among these files starts a JobManager")
                    .hint("leave the waiting out: --wait=false")
            })?;
        Ok(wait::Target {
            namespace,
            cluster_id: cluster.cluster_id.clone(),
            jobmanager: cluster.jobmanager.name.clone(),
            taskmanager: cluster.taskmanagers.first().map(|workload| workload.name.clone()),
            slots: cluster.configuration.get("taskmanager.numberOfTaskSlots").map_or(Some(1), |n| n.parse().ok()),
        })
    }

    fn next_steps(&self, serving: &Serving) {
        let name = if self.args.name == "flink" { String::new() } else { format!(" {}", self.args.name) };
        let namespace = &self.connection.namespace;
        self.ui.note(format_args!(
            "\nNext:\n  kubectl flink status{name} -n {namespace}\n  kubectl port-forward -n {namespace} {} 8081   # then \
             http://localhost:8081",
            format_args!("pod/{}", serving.leader),
        ));
    }

    fn report(&self, objects: Vec<ObjectReport>, serving: Option<Serving>) -> Result<()> {
        let format = match self.args.output {
            None => return Ok(()),
            Some(Output::Name) => {
                let names = objects.iter().map(|object| format!("{}/{}\n", object.kind.to_lowercase(), object.name));
                return self.ui.data(names.collect::<String>());
            }
            Some(Output::Json) => document::Format::Json,
            Some(Output::Yaml) => document::Format::Yaml,
        };
        let report = Report {
            api_version: "kubectl-flink/v1",
            kind: "UpReport",
            name: self.args.name.clone(),
            namespace: self.connection.namespace.clone(),
            dry_run: self.args.dry_run != DryRun::None,
            objects,
            serving,
        };
        self.ui.data(document::render(&report, format)?)
    }
}

/// Whether applying it starts pods.
fn makes_pods(object: &DynamicObject) -> bool {
    matches!(kind(object), "Deployment" | "StatefulSet" | "DaemonSet" | "ReplicaSet" | "Job" | "CronJob" | "Pod")
}

/// `2 created, 1 unchanged`.
fn summary(reports: &[ObjectReport]) -> String {
    let count = |outcome: Outcome| {
        let count = reports.iter().filter(|report| report.outcome == outcome.word()).count();
        (count > 0).then(|| format!("{count} {}", outcome.word()))
    };
    let counts: Vec<_> =
        [Outcome::Created, Outcome::Configured, Outcome::Unchanged].into_iter().filter_map(count).collect();
    counts.join(", ")
}

/// An error that says how far it came.
fn stopped(error: Error, planned: &[Planned], at: usize, reports: &[ObjectReport]) -> Error {
    let changed: Vec<_> = reports
        .iter()
        .filter(|report| report.outcome != Outcome::Unchanged.word())
        .map(|report| format!("{}/{}", report.kind.to_lowercase(), report.name))
        .collect();
    let applied = if changed.is_empty() {
        "nothing was changed before it".to_owned()
    } else {
        format!("applied before it: {}", changed.join(", "))
    };
    let not_applied: Vec<_> = planned[at + 1..].iter().map(|file| file.file.as_str()).collect();
    let rest =
        if not_applied.is_empty() { String::new() } else { format!("; not applied: {}", not_applied.join(", ")) };
    error
        .context(format_args!("stopped at {}", planned[at].file))
        .hint(format!("{applied}{rest}. Run the same command again to go on"))
}
