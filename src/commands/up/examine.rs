//! The doctor before `up`: what is about to be applied, laid over what is there.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::cluster::discover::Scope;
use crate::cluster::preflight::Planned;
use crate::cluster::{Connection, survey};
use crate::doctor::control::{Control, ControlArgs};
use crate::doctor::engine;
use crate::doctor::model::Model;
use crate::doctor::rule::{Input, Rule, Severity};
use crate::doctor::snapshot::{Snapshot, SourceFile};
use crate::doctor::{place, source};
use crate::error::{Error, Kind, Result};
use crate::manifests::yaml;
use crate::output::Ui;

/// What of the cluster is looked at beside the files: nothing that only tells how something runs.
const INPUTS: [Input; 13] = [
    Input::Processes,
    Input::Rbac,
    // What the files give counts for more than what the API server says before they are applied.
    Input::Access,
    Input::ServiceAccounts,
    Input::Namespaces,
    Input::Services,
    Input::Ingresses,
    Input::NetworkPolicies,
    Input::Claims,
    Input::Quotas,
    Input::DisruptionBudgets,
    Input::Autoscalers,
    Input::HaMaps,
];
/// Rules about what accepts findings.
const OF_MARKS: [&str; 3] = ["FLK004", "FLK005", "FLK006"];
/// `up` does not wait longer for what may help it.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Ends the command where the files have errors, before anything is sent; shows their warnings, save those of the rules
/// in `said`, of which the command speaks itself.
///
/// # Errors
/// The files have errors.
pub(super) async fn examine(
    connection: &Connection,
    planned: &[Planned],
    folder: Option<&Path>,
    said: &[&str],
    ui: &Ui,
) -> Result<()> {
    let control = Control::new(&ControlArgs::default(), jiff::Zoned::now().date())?;
    let mut selected: Vec<&'static Rule> = control.rules();
    selected.retain(|rule| !rule.transient && rule.inputs.iter().all(|input| INPUTS.contains(input)));
    let mut snapshot = Snapshot::default();
    source::load(&mut snapshot, texts(planned, folder)?, &connection.namespace);
    let scope = Scope::Namespace(connection.namespace.clone());
    let inputs: BTreeSet<Input> = INPUTS.into_iter().collect();
    // Who may read nothing may still apply: then the files speak for themselves.
    if survey::read(connection, &scope, &inputs, &mut snapshot, TIMEOUT).await.is_err() {
        snapshot.live = None;
    }
    let model = Model::new(&snapshot);
    let mut errors = Vec::new();
    let outcome = engine::run(&snapshot, &model, &selected);
    let found = control.apply(&mut snapshot, outcome).findings;
    for finding in found.into_iter().filter(|one| one.suppressed.is_none()).map(|one| one.finding) {
        // What else is wrong in the namespace is no reason not to apply this; nor is what accepts nothing, of which less is
        // looked for here.
        if snapshot.object(finding.place.object).file.is_none() || OF_MARKS.contains(&finding.rule.code) {
            continue;
        }
        let at = place::locate(&snapshot, &finding.place);
        let line = at.line.map(|line| format!(":{line}")).unwrap_or_default();
        let text = format!(
            "{}{line}: {} ({} {}): {}",
            at.file.unwrap_or_default(),
            finding.message,
            finding.rule.code,
            finding.rule.name,
            finding.help
        );
        match finding.severity {
            Severity::Error => errors.push(text),
            Severity::Warning if !said.contains(&finding.rule.code) => ui.warn(text),
            Severity::Warning | Severity::Info => {}
        }
    }
    if errors.is_empty() {
        return Ok(());
    }
    let count = if errors.len() == 1 { "an error".to_owned() } else { format!("{} errors", errors.len()) };
    let error =
        Error::new(Kind::Unhealthy, format!("nothing was sent: the doctor found {count}\n  {}", errors.join("\n  ")));
    Err(error.hint("mend them, or apply all the same with --skip-doctor; more on a code: kubectl flink explain CODE"))
}

/// The files as the user knows them: his own, or the profile's.
pub(super) fn texts(planned: &[Planned], folder: Option<&Path>) -> Result<Vec<SourceFile>> {
    if let Some(folder) = folder {
        let paths: Vec<PathBuf> = planned.iter().map(|file| folder.join(&file.file)).collect();
        return source::gather(&paths);
    }
    let mut files = Vec::new();
    for file in planned {
        let documents: Vec<String> =
            file.objects.iter().map(|(target, _)| yaml::to_string(&target.object)).collect::<Result<_>>()?;
        files.push(SourceFile::new(file.file.clone(), documents.join("---\n")));
    }
    Ok(files)
}
