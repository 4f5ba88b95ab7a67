//! What was done, for people and for programs.

use serde::Serialize;

use super::decisions::{HaFate, Job, Jobs, Kept, jobs_of};
use super::{Output, Plan};
use crate::cluster::ha::HaState;
use crate::commands::up::DryRun;
use crate::error::Result;
use crate::flink::storage::Storage;
use crate::output::{Ui, document};

/// What a `down` did, for `-o json|yaml`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    api_version: &'static str,
    kind: &'static str,
    name: &'a str,
    namespace: &'a str,
    dry_run: bool,
    /// The jobs that ran; none where that could not be learnt.
    jobs: Option<&'a [Job]>,
    objects: Vec<ObjectReport>,
}

#[derive(Debug, Clone, Serialize)]
pub(super) struct ObjectReport {
    pub(super) kind: String,
    pub(super) name: String,
    /// `deleted` or `kept`.
    pub(super) outcome: &'static str,
}

impl Plan<'_> {
    /// What stays, what it is good for, and how to remove it.
    pub(super) fn close(&self, ui: &Ui, done: &[ObjectReport], ha: &HaState) {
        let Plan { args, connection, .. } = self;
        let verb = if self.in_earnest() { "stay" } else { "would stay" };
        let again = |flags: &str| format!("kubectl flink down {} -n {} {flags}", args.name, connection.namespace);
        let claims: Vec<_> = done
            .iter()
            .filter(|report| report.kind == "PersistentVolumeClaim" && report.outcome == "kept")
            .map(|report| report.name.as_str())
            .collect();
        if let HaFate::Kept(why) = &self.fate
            && !ha.maps.is_empty()
        {
            let storage = &self.storage.storage;
            match (why, ha.jobs().len()) {
                (Kept::InUse(other), _) => ui.note(format_args!("The HA ConfigMaps {verb}: {other} uses them.")),
                (Kept::Unknown, jobs) => ui.warn(format_args!(
                    "{} HA ConfigMaps with {} {verb}: it is not known what storage is behind them. If it is gone, \
                     the next `up` crashes; remove them: {}",
                    ha.maps.len(),
                    jobs_of(jobs),
                    again("--purge-ha")
                )),
                (Kept::Asked, jobs) if *storage == Storage::PodLocal => ui.warn(format_args!(
                    "the HA ConfigMaps with {} {verb} although what they point to was in the pods: the next `up` \
                     crashes on them. Remove them: {}",
                    jobs_of(jobs),
                    again("--purge-ha")
                )),
                (Kept::Asked, jobs) if *storage == Storage::Unknown => ui.note(format_args!(
                    "The HA ConfigMaps with {} {verb}: it is not known what storage is behind them. Remove them: {}",
                    jobs_of(jobs),
                    again("--purge-ha")
                )),
                (Kept::Asked | Kept::Durable, 0) => ui.note(format_args!(
                    "The HA ConfigMaps {verb}, with no job in them. Remove them: {}",
                    again("--purge-ha")
                )),
                (Kept::Asked | Kept::Durable, jobs) => ui.note(format_args!(
                    "The HA ConfigMaps {verb}: the next `up` recovers {} from {storage}, which must stay until then. \
                     Remove them: {}",
                    jobs_of(jobs),
                    again("--purge-ha")
                )),
            }
        }
        if !claims.is_empty() {
            let what = if claims.len() == 1 { "claim" } else { "claims" };
            let flags = if ha.maps.is_empty() { "--purge-volumes" } else { "--purge-volumes --purge-ha" };
            ui.note(format_args!("Volumes {verb}: {what} {}. Delete them: {}", claims.join(", "), again(flags)));
        }
    }

    pub(super) fn report(&self, ui: &Ui, objects: Vec<ObjectReport>) -> Result<()> {
        let format = match self.args.output {
            None if self.in_earnest() => return Ok(()),
            None => {
                let mode = if self.args.dry_run == DryRun::Server { "server dry run" } else { "dry run" };
                let lines =
                    objects.iter().map(|report| format!("{} {} ({mode})\n", report.reference(), report.outcome));
                return ui.data(lines.collect::<String>());
            }
            Some(Output::Name) => {
                let gone = objects.iter().filter(|report| report.outcome == "deleted");
                let names: Vec<_> = gone.map(|report| report.reference() + "\n").collect();
                return ui.data(names.concat());
            }
            Some(Output::Json) => document::Format::Json,
            Some(Output::Yaml) => document::Format::Yaml,
        };
        let report = Report {
            api_version: "kubectl-flink/v1",
            kind: "DownReport",
            name: &self.args.name,
            namespace: &self.connection.namespace,
            dry_run: !self.in_earnest(),
            jobs: match &self.jobs {
                Jobs::Known(jobs) => Some(jobs),
                Jobs::Unknown(_) => None,
            },
            objects,
        };
        ui.data(document::render(&report, format)?)
    }
}

impl ObjectReport {
    pub(super) fn reference(&self) -> String {
        format!("{}/{}", self.kind.to_lowercase(), self.name)
    }
}

pub(super) fn deleted(kind: &str, name: &str) -> ObjectReport {
    ObjectReport { kind: kind.to_owned(), name: name.to_owned(), outcome: "deleted" }
}

pub(super) fn kept(kind: &str, name: &str) -> ObjectReport {
    ObjectReport { outcome: "kept", ..deleted(kind, name) }
}
