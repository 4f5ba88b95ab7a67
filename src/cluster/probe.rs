//! Looks at files as Flink sees them, which nothing outside of the cluster can: from short pods like those of a workload.
//!
//! A shell looks at local paths; all else is Flink's own file systems, with the plugins, configuration and credentials that
//! the cluster has (plugin/probe). The pods are deleted in any case; where even that cannot be, they end by themselves.

mod answer;
mod pod;
mod run;

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::fmt;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use k8s_openapi::api::core::v1::PersistentVolumeClaim;
use kube::Api;
use tokio::time::Instant;

use self::answer::Answer;
pub use self::pod::claim_name;
use self::pod::{Task, Verb};
use self::run::{Heard, Probe};
use super::Connection;
use super::access::{self, Right};
use super::workload::Workload;
use crate::error::Result;
use crate::flink::storage::{self, Storage};

/// Paths of one pod: more would not fit into its arguments.
const AT_ONCE: usize = 1000;

/// What was seen of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// It is there.
    There,
    /// It is not there; the folder that it lay in is.
    Gone,
    /// Nor is the folder that it lay in: perhaps this is the wrong volume or bucket. In an object store a folder is there as
    /// long as something is in it.
    FolderGone,
    /// It could not be found out, for this reason.
    Unknown(String),
}

/// Whether two workloads have a folder in common.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Sharing {
    /// The TaskManager reads what the JobManager writes.
    Shared {
        /// The file that the JobManager could then not delete, and why: there Flink could not clean up.
        left: Option<(String, String)>,
    },
    /// The JobManager has written this file, and for the TaskManager it is not there.
    NotShared {
        /// The file.
        file: String,
    },
    /// It could not be found out.
    Failed {
        /// What failed.
        step: Step,
        /// Why.
        why: String,
    },
}

/// A step of [`shared`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Writing as the JobManager.
    Write,
    /// Reading as the TaskManager.
    Read,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::Write => "writing as the JobManager",
            Step::Read => "reading as the TaskManager",
        })
    }
}

/// Looks, from a pod like the JobManager's, which of the paths are there. Every path has its answer: why one could not be
/// had, the pod's not starting among it, is that path's answer.
///
/// Paths without a scheme are the pod's own, as all are that Flink has written into its high-availability data. What lies
/// in the JobManager's pod itself and on no volume is not seen from another pod, and unknown. On a `hostPath` volume without a
/// node selector the pod may see another node's folder.
///
/// # Errors
/// The caller lacks the rights for it, the pod is refused, or the server cannot be reached.
pub async fn look(
    connection: &Connection,
    jobmanager: &Workload,
    paths: &[String],
    timeout: Duration,
    progress: impl Fn(&str),
) -> Result<BTreeMap<String, Presence>> {
    let mut seen = BTreeMap::new();
    let (mut own, mut others) = (Vec::new(), Vec::new());
    for path in paths {
        match (is_pod_local(jobmanager, path), storage::local_path(path)) {
            (true, _) => {
                let why = "it is kept in the JobManager's pod itself (pod-local), where no other pod sees it";
                seen.insert(path.clone(), Presence::Unknown(why.to_owned()));
            }
            (false, Some(_)) => own.push(path),
            (false, None) => others.push(path),
        }
    }
    let asked: Vec<&String> = own.into_iter().chain(others).collect();
    if asked.is_empty() {
        return Ok(seen);
    }
    check_rights(connection, jobmanager, false).await?;
    let group = random();
    let deadline = Instant::now() + timeout;
    for paths in asked.chunks(AT_ONCE) {
        let (own, others) = split(paths.iter().map(|path| path.as_str()));
        let task = Task {
            verb: Verb::Look,
            token: "-",
            own,
            others,
            seconds: left(deadline),
            group: &group,
            full_size: false,
        };
        let mut probe = Probe::start(connection, jobmanager, &task, deadline).await?;
        let Heard { answers, why } = probe.hear(|answers| answers.len() >= paths.len(), &progress).await?;
        probe.delete().await;
        let mut presences: BTreeMap<usize, Presence> = answers.into_iter().filter_map(presence).collect();
        for (number, path) in paths.iter().enumerate() {
            let unknown = || Presence::Unknown(why.clone());
            seen.insert((*path).clone(), presences.remove(&number).unwrap_or_else(unknown));
        }
    }
    Ok(seen)
}

/// Whether what a pod like the JobManager's writes into `dir`, one like the TaskManager's reads: a small file with a random
/// name, which is deleted afterwards. The folder is made where it is not there, as Flink would.
///
/// Where a claim has no volume yet, the pods ask for as much as the workloads': the volume is made where the first pod goes,
/// and the others must fit there.
///
/// # Errors
/// The caller lacks the rights for it, a pod is refused, or the server cannot be reached.
pub async fn shared(
    connection: &Connection,
    jobmanager: &Workload,
    taskmanager: &Workload,
    dir: &str,
    timeout: Duration,
    progress: impl Fn(&str),
) -> Result<Sharing> {
    let token = random();
    let file = format!("{}/kubectl-flink-probe-{token}", dir.trim_end_matches('/'));
    if [jobmanager, taskmanager].into_iter().any(|workload| is_pod_local(workload, &file)) {
        return Ok(Sharing::NotShared { file });
    }
    check_rights(connection, jobmanager, true).await?;
    let full_size = has_unbound_claim(connection, jobmanager).await;
    let deadline = Instant::now() + timeout;
    let (own, others) = split([file.as_str()]);
    let task = |verb| Task {
        verb,
        token: &token,
        own: own.clone(),
        others: others.clone(),
        seconds: left(deadline),
        group: &token,
        full_size,
    };
    let failed = |step, why| Ok(Sharing::Failed { step, why });

    let mut writer = Probe::start(connection, jobmanager, &task(Verb::Hold), deadline).await?;
    let heard =
        writer.hear(|answers| !answers.is_empty(), |what| progress(&format!("{}: {what}", Step::Write))).await?;
    match heard.answers.into_iter().next() {
        Some((_, Answer::Written)) => {}
        Some((_, Answer::Unknown(why))) => return failed(Step::Write, why),
        _ => return failed(Step::Write, heard.why),
    }
    let mut reader = Probe::start(connection, taskmanager, &task(Verb::Read), deadline).await?;
    let heard = reader.hear(|answers| !answers.is_empty(), |what| progress(&format!("{}: {what}", Step::Read))).await?;
    reader.delete().await;
    let left = writer.end().await.into_iter().find_map(|(_, answer)| match answer {
        Answer::NotDeleted(why) => Some((file.clone(), why)),
        _ => None,
    });
    match heard.answers.into_iter().next() {
        Some((_, Answer::Read)) => Ok(Sharing::Shared { left }),
        Some((_, Answer::Gone | Answer::FolderGone)) => Ok(Sharing::NotShared { file }),
        Some((_, Answer::Unknown(why))) => failed(Step::Read, why),
        _ => failed(Step::Read, heard.why),
    }
}

fn presence((number, answer): (usize, Answer)) -> Option<(usize, Presence)> {
    let presence = match answer {
        Answer::There => Presence::There,
        Answer::Gone => Presence::Gone,
        Answer::FolderGone => Presence::FolderGone,
        Answer::Unknown(why) => Presence::Unknown(why),
        Answer::Written | Answer::Read | Answer::Deleted | Answer::NotDeleted(_) => return None,
    };
    Some((number, presence))
}

/// Whether the path lies in the workload's pods themselves, on no volume that another pod could have.
pub fn is_pod_local(workload: &Workload, path: &str) -> bool {
    let spec = workload.template.spec.as_ref();
    spec.is_some_and(|spec| storage::behind(spec, &workload.process.container, path) == Storage::PodLocal)
}

/// Local paths, as the shell takes them, and what is Flink's.
fn split<'a>(paths: impl IntoIterator<Item = &'a str>) -> (Vec<String>, Vec<String>) {
    let (mut own, mut others) = (Vec::new(), Vec::new());
    for path in paths {
        match storage::local_path(path) {
            Some(local) => own.push(format!("/{}", local.trim_matches('/'))),
            None => others.push(path.to_owned()),
        }
    }
    (own, others)
}

/// Whether a claim of the workload waits for its first pod. One that may not be read is taken to have its volume.
async fn has_unbound_claim(connection: &Connection, workload: &Workload) -> bool {
    let claims: Api<PersistentVolumeClaim> =
        Api::namespaced(connection.client.clone(), namespace(connection, workload));
    let volumes = workload.template.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    for claim in volumes.filter_map(|volume| volume.persistent_volume_claim.as_ref()) {
        if let Ok(found) = claims.get(&claim.claim_name).await
            && found.status.and_then(|status| status.phase).as_deref() == Some("Pending")
        {
            return true;
        }
    }
    false
}

/// Whether the caller may do what this takes: make a pod, see and delete it; for [`shared`], which has to hear of the first
/// step before the second, also read its log.
///
/// # Errors
/// Rights are missing, all of which are named.
pub async fn check_rights(connection: &Connection, workload: &Workload, needs_log: bool) -> Result<()> {
    let namespace = namespace(connection, workload);
    let right = |verb: &str, resource: &str| Right::new(verb, "", resource, Some(namespace));
    let mut rights = ["create", "get", "delete"].map(|verb| right(verb, "pods")).to_vec();
    if needs_log {
        rights.push(right("get", "pods/log"));
    }
    access::require(connection, rights, "the storage cannot be looked at").await.map_err(|error| {
        error.hint(
            "a short pod looks, with the service account and the volumes of the cluster: ask for these, or do without",
        )
    })
}

/// Where the workload's pods are.
fn namespace<'a>(connection: &'a Connection, workload: &'a Workload) -> &'a str {
    Some(workload.namespace()).filter(|namespace| !namespace.is_empty()).unwrap_or(&connection.namespace)
}

/// Whole seconds until then, at least one.
fn left(deadline: Instant) -> u32 {
    let seconds = deadline.saturating_duration_since(Instant::now()).as_secs();
    u32::try_from(seconds).unwrap_or(u32::MAX).max(1)
}

/// Ten characters that nobody else has.
fn random() -> String {
    // The standard library's hash maps are seeded with the system's randomness.
    format!("{:016x}", RandomState::new().build_hasher().finish())[..10].to_owned()
}

#[cfg(test)]
#[path = "probe/tests.rs"]
mod tests;
