//! `kubectl flink doctor`: finds what is wrong with Flink clusters, in files and live.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use tokio::time::Instant;

use crate::cluster::discover::Scope;
use crate::cluster::{Connection, ConnectionArgs, survey};
use crate::doctor::control::{Control, ControlArgs};

use crate::doctor::engine::Skipped;
use crate::doctor::fix::{Mended, Safety, mend};
use crate::doctor::model::Model;
use crate::doctor::private::Private;
use crate::doctor::report::{Mode, Report, Target};
use crate::doctor::rule::{Group, Input, Rule};
use crate::doctor::snapshot::{Snapshot, SourceFile};
use crate::doctor::{engine, source};
use crate::error::{Error, Kind, Result};
use crate::output::findings::{self, DoctorOutputArgs};
use crate::output::{Ui, diff};

/// Between two looks of `--wait`.
const INTERVAL: Duration = Duration::from_secs(2);

/// Find what is wrong with Flink clusters, in files and live, and say how to mend it
///
/// Looks at the clusters of the namespace, whoever made them, or with -f only at files, without a kubeconfig and without a
/// network. Changes nothing. Exits with 1 if there are errors (see --fail-on), with 3 if not everything could be looked at.
#[derive(Debug, Clone, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
#[command(after_long_help = "\
Examples:
  # Why does this cluster not start?
  kubectl flink doctor -n streaming

  # In a pull request
  kubectl flink doctor -f manifests/ -o sarif=doctor.sarif

  # What will be wrong once these files are applied?
  kubectl flink doctor -f manifests/ --overlay

  # What Helm makes
  helm template my-chart | kubectl flink doctor -f -

  # Mend what can be mended in the files
  kubectl flink doctor -f manifests/ --fix --write")]
pub struct DoctorArgs {
    /// Cluster to look at [default: all of the namespace]
    #[arg(conflicts_with = "files")]
    pub name: Option<String>,
    /// Look in all namespaces
    #[arg(short = 'A', long)]
    pub all_namespaces: bool,
    /// Look at files instead of a cluster: manifests, flink-conf.yaml, config.yaml, log4j*.properties, a folder with all
    /// below it, or - for standard input; repeatable
    #[arg(short = 'f', long = "filename", value_name = "PATH")]
    pub files: Vec<PathBuf>,
    /// Look at the cluster as it will be once the files are applied
    #[arg(long, requires = "files")]
    pub overlay: bool,
    /// Time to wait for the cluster's answers, like 10s or 2m
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = super::duration)]
    pub timeout: Duration,
    /// Look again until what may settle by itself has settled, for at most this long, or 5m
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "5m",
        value_parser = super::duration, conflicts_with = "files")]
    pub wait: Option<Duration>,
    /// Show how the files can be mended; with --write mend them. Of a cluster: print the commands that mend it
    #[arg(long, help_heading = "Fixes")]
    pub fix: bool,
    /// Show the changes, as --fix alone does
    #[arg(long, requires = "fix", conflicts_with = "write", help_heading = "Fixes")]
    pub diff: bool,
    /// Write the changes into the files
    #[arg(long, requires = "fix", requires = "files", help_heading = "Fixes")]
    pub write: bool,
    /// With the fixes that change how something behaves
    #[arg(long, requires = "fix", help_heading = "Fixes")]
    pub unsafe_fixes: bool,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become help text")]
    pub control: ControlArgs,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become help text")]
    pub output: DoctorOutputArgs,
}

/// Runs the command.
///
/// # Errors
/// Something is wrong with a cluster or a file, or it could not be found out.
pub async fn run(args: &DoctorArgs, connection: &ConnectionArgs, ui: &Ui) -> Result<()> {
    let control = Control::new(&args.control, jiff::Zoned::now().date())?;
    let specs = args.output.specs()?;
    let files = source::gather_with(&args.files, &mut |text| ui.note(text))?;
    let namespace = connection.namespace.clone().unwrap_or_default();
    if args.fix && !args.files.is_empty() && !args.overlay {
        return mend_files(args, &control, files, &namespace, ui);
    }
    let connection = if args.files.is_empty() || args.overlay { Some(connection.connect().await?) } else { None };
    let look = Look { args, control: &control, connection: connection.as_ref(), namespace: &namespace };
    let seen = look.until_settled(files, ui).await?;
    if connection.is_some() && seen.report.summary.clusters == 0 {
        let what = if args.all_namespaces {
            "No Flink cluster found".to_owned()
        } else {
            format!("No Flink cluster in namespace {}", seen.report.target.namespaces.join(", "))
        };
        ui.note(what + if seen.unseen.is_empty() { "." } else { ", as far as could be seen." });
    }

    if args.fix {
        for finding in seen.report.open() {
            if let Some(command) = &finding.command {
                ui.data(format_args!("# {} {}: {}\n{command}\n", finding.code, finding.name, finding.message))?;
            }
        }
    } else {
        findings::write(&seen.report, &specs, ui)?;
    }
    verdict(seen.exit_code)
}

/// What the report has said is not said again.
fn verdict(code: u8) -> Result<()> {
    let kinds = [Kind::Unhealthy, Kind::CouldNotRun];
    match kinds.into_iter().find(|kind| kind.exit_code() == code) {
        Some(kind) => Err(Error::new(kind, "")),
        None => Ok(()),
    }
}

/// One look at everything, as often as it takes.
struct Look<'a> {
    args: &'a DoctorArgs,
    control: &'a Control,
    connection: Option<&'a Connection>,
    namespace: &'a str,
}

/// What a look saw.
struct Seen {
    report: Report,
    exit_code: u8,
    /// The names of the rules whose findings may settle by themselves.
    settling: BTreeSet<&'static str>,
    /// Why clusters may be there that were not seen; empty where one was seen, or all could be.
    unseen: Vec<String>,
}

impl Look<'_> {
    /// With `--wait` looks again while there are findings that may settle by themselves.
    async fn until_settled(&self, files: Vec<SourceFile>, ui: &Ui) -> Result<Seen> {
        let Some(wait) = self.args.wait else {
            let step = self.connection.is_some().then(|| ui.step("Looking"));
            let seen = self.once(files).await;
            drop(step);
            return seen;
        };
        let (step, deadline) = (ui.step("Looking until it has settled"), Instant::now() + wait);
        loop {
            // It does not go with files.
            let seen = self.once(Vec::new()).await?;
            if seen.settling.is_empty() || Instant::now() + INTERVAL > deadline {
                return Ok(seen);
            }
            step.progress(Vec::from_iter(seen.settling).join(", "));
            tokio::time::sleep(INTERVAL).await;
        }
    }

    async fn once(&self, files: Vec<SourceFile>) -> Result<Seen> {
        let mut snapshot = Snapshot::default();
        let count = files.len();
        let default_namespace = match self.connection {
            Some(connection) => &connection.namespace,
            None => self.namespace,
        };
        let loaded = source::load(&mut snapshot, files, default_namespace);
        let mut target = Target { documents: loaded.documents, files: count, ..Target::default() };
        let mut in_time = true;
        if let Some(connection) = self.connection {
            let scope =
                if self.args.all_namespaces { Scope::All } else { Scope::Namespace(connection.namespace.clone()) };
            let inputs: BTreeSet<Input> = self.control.rules().iter().flat_map(|rule| rule.inputs).copied().collect();
            in_time = survey::read(connection, &scope, &inputs, &mut snapshot, self.args.timeout).await?;
            target.mode = if self.args.overlay { Mode::Overlay } else { Mode::Live };
            target.context = Some(connection.context.clone()).filter(|context| !context.is_empty());
            if let Scope::Namespace(namespace) = scope {
                target.namespaces.push(namespace);
            }
        }
        let model = Model::new(&snapshot);
        let mut unseen: Vec<String> = Vec::new();
        if model.clusters.is_empty() {
            let refused = snapshot.coverage.refusals().filter(|(kind, _)| survey::WORKLOADS.contains(kind));
            unseen.extend(refused.map(|(_, why)| why.to_owned()));
        }
        let mut outcome = engine::run(&snapshot, &model, &self.control.rules());
        outcome.skipped.extend(not_read(&snapshot, &self.control.rules(), &outcome.skipped));
        if let Some(name) = &self.args.name
            && !model.clusters.iter().any(|cluster| cluster.name == *name)
        {
            return Err(no_such_cluster(name, &model, &target, &unseen));
        }
        let mut controlled = self.control.apply(&mut snapshot, outcome);
        if let Some(name) = &self.args.name {
            // Only now: what accepts a finding of another cluster is not unused.
            let of_it = |cluster: &Option<(String, String)>| cluster.as_ref().is_some_and(|(_, own)| own == name);
            controlled.findings.retain(|one| of_it(&one.finding.cluster));
        }
        let exit_code = self.control.exit_code(&controlled, !in_time || !unseen.is_empty());
        let settling = (controlled.findings.iter())
            .filter(|one| one.suppressed.is_none() && one.finding.rule.transient)
            .map(|one| one.finding.rule.name)
            .collect();
        let report = Report::new(&snapshot, &model, controlled, target);
        Ok(Seen { report, exit_code, settling, unseen })
    }
}

/// What could not be read of a cluster, for the rules that read it, unless one of them has said so. What is of no namespace
/// few may read: there the rules say where it matters.
fn not_read(snapshot: &Snapshot, rules: &[&'static Rule], said: &[Skipped]) -> Vec<Skipped> {
    let mut all = Vec::new();
    for (kind, why) in snapshot.coverage.refusals() {
        if survey::OF_NO_NAMESPACE.contains(&kind) || said.iter().any(|skip| skip.reason.contains(why)) {
            continue;
        }
        let reads = |rule: &Rule| match kind {
            "FlinkDeployment" => rule.group == Group::Operator,
            // All rules read the kinds of processes: those of a kind of their own are meant.
            "Pod" => rule.inputs.contains(&Input::Pods),
            kind => rule.inputs.iter().any(|input| input.kinds().contains(&kind)),
        };
        let concerned = rules.iter().filter(|rule| rule.group != Group::Input && reads(rule));
        all.extend(concerned.map(|rule| Skipped { code: rule.code, reason: why.to_owned() }));
    }
    all
}

fn no_such_cluster(name: &str, model: &Model, target: &Target, unseen: &[String]) -> Error {
    let place = match target.namespaces.first() {
        Some(namespace) => format!("namespace {namespace}"),
        None => "any namespace".to_owned(),
    };
    let known: Vec<&str> = model.clusters.iter().map(|cluster| cluster.name.as_str()).collect();
    let error = Error::could_not_run(format!("no Flink cluster {name:?} in {place}"));
    if let Some(why) = unseen.first() {
        return error.hint(format!("it may be there and not be seen: {why}"));
    }
    if known.is_empty() {
        error.hint("look in another one: -n NAMESPACE, -A")
    } else {
        error.hint(format!("there is: {}", known.join(", ")))
    }
}

/// Shows how the files can be mended, or mends them.
fn mend_files(args: &DoctorArgs, control: &Control, files: Vec<SourceFile>, namespace: &str, ui: &Ui) -> Result<()> {
    let look = |files: Vec<SourceFile>| {
        let mut snapshot = Snapshot::default();
        source::load(&mut snapshot, files, namespace);
        let model = Model::new(&snapshot);
        let outcome = engine::run(&snapshot, &model, &control.rules());
        let controlled = control.apply(&mut snapshot, outcome);
        (snapshot, controlled)
    };
    let texts: Vec<(String, String)> = files.into_iter().map(|file| (file.name, file.text)).collect();
    let allow = if args.unsafe_fixes { Safety::Unsafe } else { Safety::Safe };
    let mended = mend(&texts, allow, |files| {
        let (snapshot, controlled) = look(files);
        let open = controlled.findings.into_iter().filter(|one| one.suppressed.is_none());
        (snapshot, open.map(|one| one.finding).collect())
    });
    for (name, before, after) in &mended.files {
        match (args.write, name.as_str()) {
            (true, "<stdin>") => ui.data(after)?,
            (true, name) => write(Path::new(name), after)?,
            (false, name) => ui.data(diff::of_file(name, before, after))?,
        }
    }
    let private = Private::of_texts(texts.iter().map(|(_, text)| text.as_str()));
    say(&mended, &private, args.write, ui);
    let changed = |name: &str| mended.files.iter().find(|(other, ..)| other == name).map(|(_, _, after)| after);
    let left = texts.iter().map(|(name, text)| SourceFile::new(name.clone(), changed(name).unwrap_or(text).clone()));
    let (_, controlled) = look(left.collect());
    let open = controlled.findings.iter().filter(|one| one.suppressed.is_none()).count();
    if open > 0 {
        ui.note(format_args!("{open} findings are left; see them without --fix."));
    }
    verdict(control.exit_code(&controlled, false))
}

fn say(mended: &Mended, private: &Private, written: bool, ui: &Ui) {
    for made in &mended.made {
        let done = if written { "mended" } else { "would mend" };
        ui.note(format_args!("{done} {} in {}: {}", made.code, made.file, private.say(&made.title)));
    }
    for dropped in &mended.dropped {
        ui.note(format_args!("not made, {}: {}: {}", dropped.code, private.say(&dropped.title), dropped.why));
    }
    if mended.made.is_empty() && mended.dropped.is_empty() {
        ui.note("Nothing here can be mended by an edit.");
    }
}

/// Replaces a file at once: whoever reads it meanwhile sees the old text or the new one.
fn write(path: &Path, text: &str) -> Result<()> {
    let cannot = |error: std::io::Error| Error::could_not_run(format!("cannot write {}: {error}", path.display()));
    // A link stays one.
    let path = fs::canonicalize(path).map_err(cannot)?;
    let mut beside = path.clone().into_os_string();
    beside.push(".kubectl-flink");
    fs::write(&beside, text).map_err(cannot)?;
    let permissions = fs::metadata(&path).map_err(cannot)?.permissions();
    fs::set_permissions(&beside, permissions).map_err(cannot)?;
    fs::rename(&beside, &path).map_err(|error| {
        let _ = fs::remove_file(&beside);
        cannot(error)
    })
}
