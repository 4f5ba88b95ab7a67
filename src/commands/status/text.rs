//! The status of clusters as people read it: a block for one, a table for several.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;
use owo_colors::OwoColorize;

use crate::cluster::status::{ClusterStatus, Fault, HighAvailability, JobStatus, WorkloadStatus, age};
use crate::output::age::short;
use crate::output::table;

/// What stands for a thing that is not known, and for one that is not there.
const UNKNOWN: &str = "?";
const NONE: &str = "-";

/// The table of several clusters. Only the last column has colour: the widths of the others are counted in bytes that
/// are seen.
pub(super) fn table(items: &[ClusterStatus], namespaces: bool, wide: bool, now: Timestamp) -> String {
    let mut header = vec!["NAME", "MODE", "VERSION", "LEADER", "TASKMANAGERS", "SLOTS", "JOBS", "STORAGE"];
    if namespaces {
        header.insert(0, "NAMESPACE");
    }
    if wide {
        header.extend(["IMAGE", "CLUSTER-ID", "LEASE", "STANDBYS", "RESTARTS", "AGE", "MADE BY"]);
    }
    header.push("HEALTH");
    let row = |item: &ClusterStatus| {
        let mut row = if namespaces { vec![item.namespace.clone()] } else { Vec::new() };
        row.extend([
            item.name.clone(),
            item.mode.clone(),
            item.flink_version.clone().unwrap_or_else(|| UNKNOWN.to_owned()),
            item.leader.as_ref().map_or(no_leader(item), |leader| &leader.pod).to_owned(),
            task_managers(item),
            item.slots.map_or(UNKNOWN.to_owned(), |slots| format!("{}/{} free", slots.free, slots.total)),
            item.jobs.as_ref().map_or(UNKNOWN.to_owned(), |jobs| by_state(jobs)),
            item.high_availability.storage.to_string(),
        ]);
        if wide {
            let renewed = item.leader.as_ref().and_then(|leader| leader.lease_renewed);
            row.extend([
                item.image.clone(),
                item.cluster_id.clone().unwrap_or_else(|| NONE.to_owned()),
                renewed.map_or(NONE.to_owned(), |renewed| short(age(renewed, now))),
                item.standbys.len().to_string(),
                item.restarts.to_string(),
                item.created.map_or(UNKNOWN.to_owned(), |created| short(age(created, now))),
                item.made_by.clone(),
            ]);
        }
        row.push(health(item, true));
        row
    };
    table::render(&header, &items.iter().map(row).collect::<Vec<_>>())
}

/// The names, for scripts.
pub(super) fn names(items: &[ClusterStatus]) -> String {
    items.iter().fold(String::new(), |text, item| text + "flinkcluster/" + &item.name + "\n")
}

/// All about one cluster.
pub(super) fn block(item: &ClusterStatus, now: Timestamp) -> String {
    let ago = |then: Timestamp| format!("{} ago", short(age(then, now)));
    let unknown = || UNKNOWN.to_owned();
    let mut text = Lines::default();
    text.line("Name", &item.name);
    text.line("Namespace", &item.namespace);
    text.line("Mode", format!("{}, made by {}", item.mode, item.made_by));
    let version = item.flink_version.clone().unwrap_or_else(unknown);
    text.line("Flink", format!("{version} (image {})", item.image));
    text.line("Created", item.created.map_or_else(unknown, ago));
    text.line("Restarts", item.restarts);
    text.line("Health", health(item, false));

    text.heading("JobManager");
    text.line("  Workload", workload(&item.job_manager));
    match &item.leader {
        Some(leader) => {
            let node = leader.node.as_ref().map(|node| format!(" on {node}")).unwrap_or_default();
            text.line("  Leader", format!("{}{node}", leader.pod));
            if let Some(renewed) = leader.lease_renewed {
                let changes = leader.transitions.unwrap_or_default();
                let changes = format!("{changes} change{} of leader", if changes == 1 { "" } else { "s" });
                text.line("  Lease", format!("renewed {}, {changes}", ago(renewed)));
            }
        }
        None => text.line("  Leader", no_leader(item)),
    }
    text.line("  Standbys", if item.standbys.is_empty() { "none".to_owned() } else { item.standbys.join(", ") });

    text.heading("TaskManagers");
    for task_managers in &item.task_manager_workloads {
        text.line("  Workload", workload(task_managers));
    }
    if item.task_manager_workloads.is_empty() {
        text.line("  Pods", format!("{} ready", item.task_managers.ready));
    }
    let registered = item.task_managers.registered.map_or_else(unknown, |count| count.to_string());
    let expected = item.task_managers.expected.map(|count| format!(" of {count}")).unwrap_or_default();
    text.line("  Registered", registered + &expected);
    text.line("  Slots", item.slots.map_or_else(unknown, |slots| format!("{} free of {}", slots.free, slots.total)));

    let ha = &item.high_availability;
    text.heading("High availability");
    text.line("  Type", ha.kind.as_deref().unwrap_or(UNKNOWN));
    if let Some(id) = &item.cluster_id {
        text.line("  Cluster-id", id);
    }
    if let Some(map) = &ha.config_map {
        text.line("  ConfigMap", map);
    }
    if let Some(dir) = &ha.storage_dir {
        // Of a URI the kind of storage is the URI.
        let storage = ha.storage.to_string();
        text.line("  Storage", if *dir == storage { storage } else { format!("{storage} ({dir})") });
    }
    if let Some(jobs) = &ha.jobs {
        let ignored = ha.contents.ignored.iter().flatten().count();
        let written = ha.contents.generation.map_or_else(String::new, |generation| format!("{generation}, "));
        let jobs = jobs.len().saturating_sub(ignored);
        text.line("  HA state", format!("{written}{jobs} job{} to recover", if jobs == 1 { "" } else { "s" }));
        for deviation in deviations(ha, item.jobs.is_some(), now) {
            text.push(&format!("    {deviation}\n"));
        }
    }

    text.heading("Jobs");
    match item.jobs.as_deref() {
        None => text.push("  not known\n"),
        Some([]) => text.push("  none\n"),
        Some(jobs) => text.push(&table::render(
            &["ID", "NAME", "STATE", "DURATION", "LAST CHECKPOINT"],
            &jobs.iter().map(|job| job_row(job, now)).collect::<Vec<_>>(),
        )),
    }
    text.faults(&item.problems);
    text.list("Notes", &item.notes);
    text.list("Not checked", &item.not_checked);
    text.text
}

/// The jobs in the high-availability ConfigMaps that are not as Flink says, each with its last checkpoint. Where Flink
/// does not answer those are all.
fn deviations(ha: &HighAvailability, answers: bool, now: Timestamp) -> Vec<String> {
    let contents = &ha.contents;
    let among = |list: &Option<Vec<String>>, job: &String| list.iter().flatten().any(|one| one == job);
    let line = |job: &str, what: &str| {
        let last = contents.checkpoints.iter().flatten().find(|last| last.job == job);
        let last = last.map_or(String::new(), |last| {
            let when = last.written.map(|at| format!(", {} ago", short(age(at, now)))).unwrap_or_default();
            format!(" (checkpoint {}{when})", last.id)
        });
        format!("{job} {what}{last}")
    };
    let recorded = ha.jobs.iter().flatten().filter_map(|job| match answers {
        _ if among(&contents.ignored, job) => Some(line(job, "is ignored by this version")),
        _ if among(&contents.not_in_rest, job) => Some(line(job, "does not run")),
        true => None,
        false => Some(line(job, "is to be recovered")),
    });
    let running = contents.not_in_ha.iter().flatten().map(|job| line(job, "runs and is not to be recovered"));
    let orphans = contents.orphans.iter().flatten().map(|orphan| line(&orphan.job, "is known to nobody"));
    recorded.chain(running).chain(orphans).collect()
}

/// Lines of keys and values; the values stand in one column.
#[derive(Default)]
struct Lines {
    text: String,
}

impl Lines {
    const WIDTH: usize = 14;

    fn line(&mut self, key: &str, value: impl std::fmt::Display) {
        let line = format!("{:<width$}{value}", format!("{key}:"), width = Self::WIDTH);
        self.push(&format!("{}\n", line.trim_end()));
    }

    fn heading(&mut self, heading: &str) {
        self.push(&format!("\n{}\n", format_args!("{heading}:").bold()));
    }

    fn list(&mut self, heading: &str, items: &[String]) {
        if !items.is_empty() {
            self.heading(heading);
            for item in items {
                self.push(&format!("  - {item}\n"));
            }
        }
    }

    fn faults(&mut self, faults: &[Fault]) {
        let lines = faults.iter().map(|fault| match &fault.hint {
            Some(hint) => format!("{}\n    {} {hint}", fault.message, "hint:".cyan()),
            None => fault.message.clone(),
        });
        self.list("Problems", &lines.collect::<Vec<_>>());
    }

    fn push(&mut self, text: &str) {
        self.text.push_str(text);
    }
}

fn no_leader(item: &ClusterStatus) -> &'static str {
    if item.leader_known { NONE } else { UNKNOWN }
}

fn workload(workload: &WorkloadStatus) -> String {
    let WorkloadStatus { kind, name, ready, replicas } = workload;
    format!("{}/{name}, {ready}/{replicas} ready", kind.to_lowercase())
}

fn task_managers(item: &ClusterStatus) -> String {
    let registered = item.task_managers.registered.map_or(UNKNOWN.to_owned(), |count| count.to_string());
    match item.task_managers.expected {
        Some(expected) => format!("{registered}/{expected}"),
        None => registered,
    }
}

fn health(item: &ClusterStatus, with_reason: bool) -> String {
    let reason = match item.problems.as_slice() {
        [] => String::new(),
        _ if !with_reason => String::new(),
        [fault] => format!(": {}", shortened(&fault.message)),
        [first, others @ ..] => format!(": {} (+{})", shortened(&first.message), others.len()),
    };
    if !item.healthy {
        format!("{}{reason}", "Unhealthy".red())
    } else if !item.not_checked.is_empty() {
        format!("{}", "Unknown".yellow())
    } else if item.finished {
        "Finished".to_owned()
    } else {
        format!("{}", "Healthy".green())
    }
}

/// What fits a table; all of it stands in the block of that one cluster.
fn shortened(message: &str) -> String {
    const LENGTH: usize = 100;
    match message.char_indices().nth(LENGTH) {
        Some((end, _)) => format!("{}…", message[..end].trim_end()),
        None => message.to_owned(),
    }
}

/// `2 running, 1 failed`.
fn by_state(jobs: &[JobStatus]) -> String {
    let mut states: BTreeMap<&str, usize> = BTreeMap::new();
    for job in jobs {
        *states.entry(&job.state).or_default() += 1;
    }
    // Running jobs are what most look for; the rest by name.
    let running = states.remove_entry("RUNNING");
    let parts: Vec<_> =
        running.into_iter().chain(states).map(|(state, count)| format!("{count} {}", state.to_lowercase())).collect();
    if parts.is_empty() { NONE.to_owned() } else { parts.join(", ") }
}

fn job_row(job: &JobStatus, now: Timestamp) -> Vec<String> {
    let checkpoint = job.last_checkpoint.as_ref().map_or(NONE.to_owned(), |last| {
        let when = last.completed.map(|at| format!(", {} ago", short(age(at, now)))).unwrap_or_default();
        let path = last.path.as_ref().map(|path| format!(", {path}")).unwrap_or_default();
        format!("{}{when}{path}", last.id)
    });
    let duration = Duration::from_millis(job.duration_ms.try_into().unwrap_or_default());
    vec![job.id.clone(), job.name.clone(), job.state.clone(), short(duration), checkpoint]
}

#[cfg(test)]
mod tests {
    use crate::cluster::status::{HaCheckpoint, HaContents, Orphan};
    use crate::flink::storage::Storage;

    use super::*;

    #[test]
    fn jobs_that_deviate() {
        let now: Timestamp = "2026-01-01T00:01:00Z".parse().unwrap();
        let jobs = |ids: &[&str]| Some(ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>());
        let written = "2026-01-01T00:00:00Z".parse().ok();
        let mut ha = HighAvailability {
            kind: None,
            storage_dir: None,
            storage: Storage::None,
            config_map: None,
            jobs: jobs(&["a", "b"]),
            contents: HaContents {
                checkpoints: Some(vec![HaCheckpoint { job: "b".to_owned(), id: 12, path: None, written }]),
                ..HaContents::default()
            },
        };
        assert!(deviations(&ha, true, now).is_empty());
        let unanswered = ["a is to be recovered", "b is to be recovered (checkpoint 12, 60s ago)"];
        assert_eq!(deviations(&ha, false, now), unanswered);
        ha.contents.ignored = jobs(&["a"]);
        ha.contents.not_in_rest = jobs(&["b"]);
        ha.contents.orphans = Some(vec![Orphan { config_map: "x-c-config-map".to_owned(), job: "c".to_owned() }]);
        let all = ["a is ignored by this version", "b does not run (checkpoint 12, 60s ago)", "c is known to nobody"];
        assert_eq!(deviations(&ha, true, now), all);
    }
}
