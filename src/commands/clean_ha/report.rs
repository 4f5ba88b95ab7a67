//! What was found and done, for people and for programs.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use owo_colors::OwoColorize;
use serde::Serialize;

use crate::cluster::ha::removal::Removed;
use crate::cluster::ha::restore::{Copy, Restored};
use crate::cluster::ha::verdict::{Judged, Judgement, Lease, Situation, Verdict};
use crate::commands::Output;
use crate::error::Result;
use crate::flink::ha::{Generation, HaMap, MapKind, Pointer};
use crate::manifests::secrets;
use crate::output::age::short;
use crate::output::{Ui, document};

/// What became of a ConfigMap.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) enum Outcome {
    Kept,
    Removed,
    WouldRemove,
}

/// `-o json|yaml`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Report<'a> {
    api_version: &'static str,
    kind: &'static str,
    dry_run: bool,
    items: Vec<Item<'a>>,
    /// What could not be looked at.
    not_checked: &'a [String],
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Item<'a> {
    namespace: &'a str,
    cluster_id: &'a str,
    /// Which versions of Flink write such data.
    generation: Generation,
    lease: Option<LeaseReport<'a>>,
    /// The workloads that go by the cluster-id.
    workloads: Vec<&'a str>,
    config_maps: Vec<MapReport<'a>>,
    jobs: BTreeMap<&'a str, &'a Judged>,
    /// Entries that were taken out of a ConfigMap that stays, as `CONFIGMAP/KEY`.
    removed_entries: Vec<String>,
    /// Where the copy of what was removed is.
    #[serde(skip_serializing_if = "Option::is_none")]
    backup: Option<String>,
    /// Files that nothing points to any more.
    files_left: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct LeaseReport<'a> {
    holder: Option<&'a str>,
    acquired: Option<Timestamp>,
    renewed: Option<Timestamp>,
    transitions: u64,
    /// `renewed` while it was watched, `still`, or `notWatched`.
    seen: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct MapReport<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    job: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_checkpoint: Option<Checkpoint>,
    /// When it was last written, by the API server's clock.
    written: Option<Timestamp>,
    pointers: Vec<PointerReport<'a>>,
    #[serde(flatten)]
    judged: &'a Judged,
    outcome: Outcome,
}

#[derive(Debug, Serialize)]
struct Checkpoint {
    id: u64,
    path: Option<String>,
}

#[derive(Debug, Serialize)]
struct PointerReport<'a> {
    key: &'a str,
    path: Option<String>,
}

impl<'a> Report<'a> {
    pub(super) fn new(
        judged: &'a [(&'a Situation, Judgement)],
        not_checked: &'a [String],
        dry_run: bool,
    ) -> Report<'a> {
        let items = judged.iter().map(|(situation, judgement)| Item::new(situation, judgement)).collect();
        Report { api_version: "kubectl-flink/v1", kind: "HaReport", dry_run, items, not_checked }
    }

    /// Writes down what became of one cluster's data.
    pub(super) fn done(&mut self, situation: &Situation, removed: &Removed, outcome: Outcome) {
        let is_it = |item: &&mut Item<'_>| {
            item.namespace == situation.state.namespace && item.cluster_id == situation.state.cluster_id
        };
        let Some(item) = self.items.iter_mut().find(is_it) else { return };
        for map in &mut item.config_maps {
            if removed.config_maps.iter().any(|name| name == map.name) {
                map.outcome = outcome;
            }
        }
        item.removed_entries.clone_from(&removed.entries);
        item.files_left = removed.files.iter().map(|file| secrets::hide_in_addresses(file)).collect();
        item.backup = removed.backup.as_ref().map(|path| path.display().to_string());
    }

    /// Prints the document that was asked for.
    pub(super) fn print(&self, output: Option<Output>, ui: &Ui) -> Result<()> {
        match output {
            None => Ok(()),
            Some(Output::Name) => {
                let maps = self.items.iter().flat_map(|item| &item.config_maps);
                let gone = maps.filter(|map| map.outcome != Outcome::Kept);
                ui.data(gone.fold(String::new(), |text, map| text + "configmap/" + map.name + "\n"))
            }
            Some(Output::Json) => ui.data(document::render(self, document::Format::Json)?),
            Some(Output::Yaml) => ui.data(document::render(self, document::Format::Yaml)?),
        }
    }

    /// What was found, for people.
    pub(super) fn text(&self, now: Timestamp, namespaces: bool) -> String {
        let mut text = String::new();
        for item in &self.items {
            if !text.is_empty() {
                text.push('\n');
            }
            item.write(&mut text, now, namespaces);
        }
        text
    }
}

impl<'a> Item<'a> {
    fn new(situation: &'a Situation, judgement: &'a Judgement) -> Self {
        let state = &situation.state;
        let record = state.cluster_map().and_then(|map| map.lease.as_ref());
        Item {
            namespace: &state.namespace,
            cluster_id: &state.cluster_id,
            generation: state.generation(),
            lease: record.map(|lease| LeaseReport {
                holder: lease.holder.as_deref(),
                acquired: lease.acquire_time,
                renewed: lease.renew_time,
                transitions: lease.transitions,
                seen: match situation.lease {
                    Lease::Renewed(_) => "renewed",
                    Lease::Still(_) | Lease::None => "still",
                    Lease::NotWatched => "notWatched",
                },
            }),
            workloads: situation.users.iter().map(|user| user.reference.as_str()).collect(),
            config_maps: state
                .maps
                .iter()
                .zip(&judgement.maps)
                .map(|(map, judged)| MapReport::new(map, judged))
                .collect(),
            jobs: judgement.jobs.iter().map(|(id, judged)| (id.as_str(), judged)).collect(),
            removed_entries: Vec::new(),
            backup: None,
            files_left: Vec::new(),
        }
    }

    fn write(&self, text: &mut String, now: Timestamp, namespaces: bool) {
        let of = if namespaces { format!(" in namespace {}", self.namespace) } else { String::new() };
        let _ = writeln!(text, "{}{of}: {}", self.cluster_id.bold(), self.facts(now));
        for map in &self.config_maps {
            let verdict = match map.judged.verdict {
                Verdict::Live => format!("{:<11}", map.judged.verdict).green().to_string(),
                Verdict::Recoverable => format!("{:<11}", map.judged.verdict).cyan().to_string(),
                Verdict::Unknown => format!("{:<11}", map.judged.verdict).yellow().to_string(),
                Verdict::Dead | Verdict::Leftover => format!("{:<11}", map.judged.verdict).red().to_string(),
            };
            let _ = writeln!(text, "  {verdict}  {}", map.name);
            for line in map.lines(now) {
                let _ = writeln!(text, "               {line}");
            }
        }
    }

    fn facts(&self, now: Timestamp) -> String {
        let ago = |time: Option<Timestamp>| time.map_or("at an unknown time".to_owned(), |time| ago(time, now));
        let lease = match &self.lease {
            None => "no leader so far".to_owned(),
            Some(LeaseReport { holder: Some(holder), acquired, transitions, .. }) => {
                format!("leader {holder} since {} ({} before it)", ago(*acquired), transitions)
            }
            Some(LeaseReport { renewed, .. }) => format!("no leader since {}", ago(*renewed)),
        };
        let workloads = match self.workloads.as_slice() {
            [] => "no workload".to_owned(),
            workloads => workloads.join(", "),
        };
        format!("{}, {workloads}, {lease}", self.generation)
    }
}

impl<'a> MapReport<'a> {
    fn new(map: &'a HaMap, judged: &'a Judged) -> Self {
        let job = match &map.kind {
            MapKind::Job(job) => Some(job.as_str()),
            MapKind::Cluster | MapKind::LegacyLeader => None,
        };
        let latest = map.latest_checkpoint();
        let pointers = map.pointers.iter();
        MapReport {
            name: &map.name,
            job,
            last_checkpoint: latest.map(|(id, pointer)| Checkpoint { id, path: shown(pointer) }),
            written: map.written,
            pointers: pointers.map(|pointer| PointerReport { key: &pointer.key, path: shown(pointer) }).collect(),
            judged,
            outcome: Outcome::Kept,
        }
    }

    fn lines(&self, now: Timestamp) -> Vec<String> {
        let mut lines = Vec::new();
        let written = self.written.map_or(String::new(), |written| format!(", written {}", ago(written, now)));
        match (&self.last_checkpoint, self.job) {
            (Some(Checkpoint { id, path }), _) => {
                lines.push(format!("checkpoint {id}{written}: {}", path.as_deref().unwrap_or(UNREADABLE)));
            }
            (None, Some(_)) => lines.push(format!("no checkpoint{written}")),
            (None, None) => {
                lines.extend(
                    self.pointers
                        .iter()
                        .map(|pointer| format!("{}: {}", pointer.key, pointer.path.as_deref().unwrap_or(UNREADABLE))),
                );
            }
        }
        lines.push(self.judged.why.clone());
        lines
    }
}

/// Said in place of a path.
const UNREADABLE: &str = "its file cannot be read from it";

fn shown(pointer: &Pointer) -> Option<String> {
    pointer.path.as_deref().map(secrets::hide_in_addresses)
}

fn ago(then: Timestamp, now: Timestamp) -> String {
    let age = Duration::try_from(now.duration_since(then)).unwrap_or_default();
    format!("{} ago", short(age))
}

/// What was removed, in words: `2 ConfigMaps (a, b) and 1 entry (a/jobGraph-...)`.
pub(super) fn removed(removed: &Removed) -> String {
    let many = |what: (&str, &str), names: &[String]| match names {
        [] => None,
        [one] => Some(format!("{} {one}", what.0)),
        names => Some(format!("{} {} ({})", names.len(), what.1, names.join(", "))),
    };
    let maps = many(("ConfigMap", "ConfigMaps"), &removed.config_maps);
    let parts: Vec<String> = maps.into_iter().chain(many(("entry", "entries"), &removed.entries)).collect();
    if parts.is_empty() { "nothing, it was gone already".to_owned() } else { parts.join(" and ") }
}

/// What was put back, in words.
pub(super) fn restored(restored: &Restored) -> String {
    let parts: Vec<String> =
        [("made", &restored.config_maps), ("added", &restored.entries), ("there already", &restored.unchanged)]
            .into_iter()
            .filter(|(_, names)| !names.is_empty())
            .map(|(what, names)| format!("{what} {}", names.join(", ")))
            .collect();
    parts.join("; ")
}

/// The folders in which files lie that nothing points to any more, and how to remove them.
pub(super) fn files_left(files: &[String]) -> Vec<String> {
    let mut folders: BTreeMap<&str, usize> = BTreeMap::new();
    for file in files {
        *folders.entry(file.rsplit_once('/').map_or(file.as_str(), |(folder, _)| folder)).or_default() += 1;
    }
    let line = |(folder, count): (&str, usize)| {
        let files = if count == 1 { "1 file may still be".to_owned() } else { format!("{count} files may still be") };
        let tool = match folder.split_once(':').map(|(scheme, _)| scheme) {
            Some("s3" | "s3a" | "s3p") => "aws s3 rm --recursive",
            Some("gs") => "gcloud storage rm --recursive",
            Some("abfs" | "abfss" | "wasb" | "wasbs") => "az storage fs directory delete",
            Some("hdfs") => "hdfs dfs -rm -r",
            Some("oss") => "ossutil rm -r",
            _ => "rm, in a pod that has the volume",
        };
        let folder = secrets::hide_in_addresses(folder);
        format!("{files} in {folder}: remove them, once no job of this cluster is wanted any more, with {tool}")
    };
    folders.into_iter().map(line).collect()
}

/// `-o json|yaml` of `--restore`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RestoreReport {
    api_version: &'static str,
    kind: &'static str,
    dry_run: bool,
    file: String,
    items: Vec<RestoredItem>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct RestoredItem {
    namespace: String,
    cluster_id: String,
    created: Vec<String>,
    added_entries: Vec<String>,
    unchanged: Vec<String>,
}

impl RestoreReport {
    pub(super) fn new(file: &Path, dry_run: bool) -> Self {
        let file = file.display().to_string();
        RestoreReport { api_version: "kubectl-flink/v1", kind: "HaRestoreReport", dry_run, file, items: Vec::new() }
    }

    pub(super) fn add(&mut self, copy: &Copy, restored: &Restored) {
        self.items.push(RestoredItem {
            namespace: copy.namespace.clone(),
            cluster_id: copy.cluster_id.clone(),
            created: restored.config_maps.clone(),
            added_entries: restored.entries.clone(),
            unchanged: restored.unchanged.clone(),
        });
    }

    pub(super) fn print(&self, output: Option<Output>, ui: &Ui) -> Result<()> {
        match output {
            None => Ok(()),
            Some(Output::Name) => {
                let maps = self.items.iter().flat_map(|item| &item.created);
                ui.data(maps.fold(String::new(), |text, name| text + "configmap/" + name + "\n"))
            }
            Some(Output::Json) => ui.data(document::render(self, document::Format::Json)?),
            Some(Output::Yaml) => ui.data(document::render(self, document::Format::Yaml)?),
        }
    }
}
