//! What a Flink cluster is doing, from its pods, its high-availability ConfigMaps and its REST API.

mod jobs;
mod model;

use std::collections::BTreeMap;
use std::time::Duration;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Pod;

pub(super) use self::jobs::compare;
pub use self::model::{
    ClusterStatus, Fault, HaCheckpoint, HaContents, HighAvailability, JobStatus, LastCheckpoint, Leader, Orphan, Slots,
    TaskManagers, WorkloadStatus,
};
use super::Connection;
use super::diagnose::{HaPlace, problems};
use super::discover::{FlinkCluster, Scope, ha_storage};
use super::flink_rest::{FlinkRest, RestError};
use super::ha::{self, HaState};
use super::health;
use super::workload::{is_alive, is_ready, rollout};
use crate::error::Error;
use crate::flink::ha::HaMap;
use crate::flink::rest::{Checkpoints, JobsOverview, Overview};
use crate::flink::storage::Storage;
use crate::flink::version::Version;

/// The details of so many jobs are asked for, one after the other on one connection.
const DETAILED_JOBS: usize = 20;

/// What the REST API says.
#[derive(Debug, Clone)]
pub(super) struct RestData {
    pub(super) overview: Overview,
    pub(super) jobs: JobsOverview,
    pub(super) checkpoints: Vec<(String, LastCheckpoint)>,
}

/// Why the REST API said nothing.
#[derive(Debug, Clone)]
pub(super) enum NoRest {
    /// There is no pod to ask.
    NoPod,
    /// Flink did not answer, which it should.
    Problem(String),
    /// It was this program that could not ask.
    NotChecked(String),
}

/// Learns the state of one cluster; `details` also asks for each job's last checkpoint. Never fails: what could not be
/// learnt is part of the answer.
pub async fn gather(
    connection: &Connection,
    cluster: &FlinkCluster,
    timeout: Duration,
    details: bool,
) -> ClusterStatus {
    let only = [cluster];
    let (ha, answers) = futures::join!(read_ha(connection, &only, timeout), ask(connection, cluster, timeout, details));
    status(cluster, &ha, answers)
}

/// The same of several clusters at the same time.
pub async fn gather_all(
    connection: &Connection,
    clusters: &[&FlinkCluster],
    timeout: Duration,
    details: bool,
) -> Vec<ClusterStatus> {
    let answers = clusters.iter().map(|cluster| ask(connection, cluster, timeout, details));
    let (ha, answers) = futures::join!(read_ha(connection, clusters, timeout), join_all(answers));
    clusters.iter().zip(answers).map(|(cluster, answers)| status(cluster, &ha, answers)).collect()
}

/// What Flink says, and why pods are missing.
async fn ask(
    connection: &Connection,
    cluster: &FlinkCluster,
    timeout: Duration,
    details: bool,
) -> (Result<RestData, NoRest>, Vec<Fault>) {
    futures::join!(read_rest(connection, cluster, timeout, details), read_causes(connection, cluster, timeout))
}

/// The high-availability data of clusters.
struct HaStates<'a> {
    /// By namespace; the error in words where it could not be read.
    read: BTreeMap<&'a str, Result<Vec<HaState>, String>>,
    /// When it was read: leases age while others are still being asked.
    at: Timestamp,
}

/// Reads each namespace once, whichever clusters keep their data there.
async fn read_ha<'a>(connection: &Connection, clusters: &[&'a FlinkCluster], timeout: Duration) -> HaStates<'a> {
    let mut ids: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (cluster, id) in clusters.iter().filter_map(|cluster| Some((cluster, ha_id(cluster)?))) {
        ids.entry(cluster.ha_namespace()).or_default().push(id);
    }
    let read = ids.into_iter().map(|(namespace, ids)| async move {
        let scope = Scope::Namespace(namespace.to_owned());
        let only = if let [id] = ids.as_slice() { Some(*id) } else { None };
        let states = match tokio::time::timeout(timeout, ha::read(connection, &scope, only)).await {
            Ok(read) => read.map_err(|error| error.message),
            Err(_) => Err(format!("the API server did not answer within {} s", timeout.as_secs_f64())),
        };
        (namespace, states)
    });
    HaStates { read: join_all(read).await.into_iter().collect(), at: Timestamp::now() }
}

/// What a cluster's high-availability ConfigMaps go by; none where it has none.
fn ha_id(cluster: &FlinkCluster) -> Option<&str> {
    cluster.cluster_id.as_deref().filter(|_| cluster.has_kubernetes_ha())
}

impl HaStates<'_> {
    /// None where the cluster has no high availability in ConfigMaps.
    fn of(&self, cluster: &FlinkCluster) -> Result<Option<HaState>, String> {
        let namespace = cluster.ha_namespace();
        let (Some(id), Some(read)) = (ha_id(cluster), self.read.get(namespace)) else { return Ok(None) };
        let own = read.as_ref().map_err(Clone::clone)?.iter().find(|state| state.cluster_id == id);
        Ok(Some(own.cloned().unwrap_or_else(|| HaState {
            namespace: namespace.to_owned(),
            cluster_id: id.to_owned(),
            maps: Vec::new(),
            record: None,
        })))
    }
}

async fn read_rest(
    connection: &Connection,
    cluster: &FlinkCluster,
    timeout: Duration,
    details: bool,
) -> Result<RestData, NoRest> {
    let configuration = &cluster.configuration;
    if configuration.get("security.ssl.rest.enabled") == Some("true") {
        return Err(NoRest::NotChecked("the REST API is served over TLS, which is not supported".to_owned()));
    }
    // A port to bind to may be a range, of which nobody knows which it became.
    let port = [configuration.get("rest.bind-port"), configuration.first(&["rest.port", "web.port"])]
        .into_iter()
        .find_map(|port| port?.parse().ok())
        .unwrap_or(8081);
    let mut pods: Vec<&Pod> = cluster.jobmanager_pods.iter().filter(|pod| is_alive(pod) && has_ip(pod)).collect();
    pods.sort_by_key(|pod| !is_ready(pod));
    let mut outcome = Err(NoRest::NoPod);
    // Every JobManager answers, by asking the leader if need be, but one may be out of reach.
    let ask = async {
        for pod in pods {
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            let answer =
                ask_pod(connection, &cluster.namespace, name, port, details).await.map_err(|error| match error {
                    RestError::Election => {
                        NoRest::Problem("the JobManager waits for a leader to be elected".to_owned())
                    }
                    RestError::NoAnswer(_) | RestError::Flink { .. } => {
                        NoRest::Problem(format!("REST is not reachable: {error}"))
                    }
                    other => NoRest::NotChecked(in_full(other.into())),
                });
            // The first was the likeliest to answer: why it did not is what matters.
            if answer.is_ok() || matches!(outcome, Err(NoRest::NoPod)) {
                outcome = answer;
            }
            if outcome.is_ok() {
                break;
            }
        }
    };
    if tokio::time::timeout(timeout, ask).await.is_err() && outcome.is_err() {
        let seconds = timeout.as_secs_f64();
        outcome = Err(NoRest::Problem(format!("REST is not reachable: no answer within {seconds} s")));
    }
    outcome
}

async fn ask_pod(
    connection: &Connection,
    namespace: &str,
    pod: &str,
    port: u16,
    details: bool,
) -> Result<RestData, RestError> {
    let mut rest = FlinkRest::try_open(connection, namespace, pod, port).await?;
    let overview: Overview = rest.request(http::Method::GET, "/overview", None).await?;
    let mut jobs: JobsOverview = rest.request(http::Method::GET, "/jobs/overview", None).await?;
    jobs.jobs.sort_by_key(|job| std::cmp::Reverse(job.start_time));
    let mut checkpoints = Vec::new();
    let asked = jobs.jobs.iter().filter(|_| details).take(DETAILED_JOBS);
    for job in asked {
        // A job may be gone by now, and a batch job has none: neither is worth a word.
        let answer: Result<Checkpoints, _> =
            rest.request(http::Method::GET, &format!("/jobs/{}/checkpoints", job.jid), None).await;
        if let Some(last) = answer.ok().and_then(|checkpoints| checkpoints.latest.completed) {
            let completed = Timestamp::from_millisecond(last.latest_ack_timestamp).ok();
            // In angle brackets Flink says that it is nowhere but in its memory.
            let path = last.external_path.filter(|path| !path.starts_with('<'));
            checkpoints.push((job.jid.clone(), LastCheckpoint { id: last.id, completed, path }));
        }
    }
    Ok(RestData { overview, jobs, checkpoints })
}

/// Why pods are missing or not ready, of those workloads that lack some.
async fn read_causes(connection: &Connection, cluster: &FlinkCluster, timeout: Duration) -> Vec<Fault> {
    let none = Deployment::default();
    let mut ask = Vec::new();
    let taskmanagers = cluster.taskmanagers.iter().map(|workload| (workload, &cluster.taskmanager_pods));
    for (workload, pods) in std::iter::once((&cluster.jobmanager, &cluster.jobmanager_pods)).chain(taskmanagers) {
        // An update that is stuck leaves the old pods ready.
        let updating = workload.deployment.as_deref().and_then(rollout);
        if !workload.finished && (workload.ready < workload.replicas || updating.is_some()) {
            let pods: Vec<Pod> = pods.iter().filter(|pod| workload.owns(pod)).cloned().collect();
            ask.push((workload.deployment.as_deref().unwrap_or(&none), pods));
        }
    }
    if cluster.mode.is_native() {
        let pods = cluster.taskmanager_pods.iter().filter(|pod| is_alive(pod) && !is_ready(pod));
        ask.push((&none, pods.cloned().collect()));
    }
    let ha = HaPlace { namespace: cluster.ha_namespace(), cluster_id: ha_id(cluster) };
    let asked = ask.iter().map(|(deployment, pods)| problems(connection, &cluster.namespace, ha, deployment, pods));
    let found = tokio::time::timeout(timeout, join_all(asked)).await.unwrap_or_default();
    found.into_iter().flatten().map(Fault::from).collect()
}

/// An error with its hints, which say what the user lacks.
fn in_full(error: Error) -> String {
    error.hints.into_iter().fold(error.message, |text, hint| text + "; " + &hint)
}

fn has_ip(pod: &Pod) -> bool {
    pod.status.as_ref().is_some_and(|status| status.pod_ip.is_some())
}

/// The pod of the leader: the one whose address is announced, or without high availability the one that is ready.
pub(super) fn leader_pod<'a>(cluster: &'a FlinkCluster, ha: Option<&HaState>) -> Option<&'a Pod> {
    let alive: Vec<&Pod> = cluster.jobmanager_pods.iter().filter(|pod| is_alive(pod)).collect();
    let Some(ha) = ha else {
        // Of several only the election knows, and where it is not in ConfigMaps it is not seen from here.
        let known = cluster.configuration_unknown.is_none() && !cluster.has_kubernetes_ha() && alive.len() == 1;
        return alive.first().copied().filter(|pod| known && is_ready(pod));
    };
    let map = ha.leader_map()?;
    let host = &map.rest.as_ref()?.host;
    map.lease.as_ref()?.holder.as_ref()?;
    alive.into_iter().find(|pod| pod.status.as_ref().and_then(|status| status.pod_ip.as_ref()) == Some(host))
}

fn status(
    cluster: &FlinkCluster,
    states: &HaStates<'_>,
    (rest, causes): (Result<RestData, NoRest>, Vec<Fault>),
) -> ClusterStatus {
    let (ha, now, data) = (states.of(cluster), states.at, rest.as_ref().ok());
    let flink_version = (data.map(|rest| rest.overview.flink_version.as_str()))
        .or_else(|| cluster.jobmanager.process.version())
        .map(str::to_owned);
    let state = ha.as_ref().ok().and_then(Option::as_ref);
    let high_availability = high_availability(cluster, state, data, flink_version.as_deref(), now);
    let verdict = health::judge(cluster, causes, &ha, &rest, &high_availability.contents, now);
    let (ha, rest) = (state, data);
    let leader = leader_pod(cluster, ha);
    let leader_known = leader.is_some() || ha.is_some() || !cluster.jobmanager_pods.iter().any(is_alive);
    let name = |pod: &Pod| pod.metadata.name.clone().unwrap_or_default();
    let record = ha.and_then(HaState::leader_map).and_then(|map| map.lease.as_ref());
    let standbys = (cluster.jobmanager_pods.iter().filter(|pod| is_alive(pod) && is_ready(pod) && leader_known))
        .filter(|pod| leader.is_none_or(|leader| leader.metadata.uid != pod.metadata.uid))
        .map(name)
        .collect();
    let jobs = rest.map(|rest| rest.jobs.jobs.iter().map(|job| job_status(job, rest, ha)).collect());
    let overview = rest.map(|rest| &rest.overview);
    let created = cluster.jobmanager.metadata.creation_timestamp.as_ref();
    ClusterStatus {
        namespace: cluster.namespace.clone(),
        name: cluster.name.clone(),
        cluster_id: cluster.cluster_id.clone(),
        mode: cluster.mode.to_string(),
        made_by: cluster.made_by.clone(),
        flink_version,
        image: cluster.jobmanager.process.image.clone(),
        created: created.map(|time| time.0),
        job_manager: (&cluster.jobmanager).into(),
        task_manager_workloads: cluster.taskmanagers.iter().map(Into::into).collect(),
        leader: leader.map(|pod| Leader {
            pod: name(pod),
            node: pod.spec.as_ref().and_then(|spec| spec.node_name.clone()),
            lease_renewed: record.and_then(|record| record.renew_time),
            transitions: record.map(|record| record.transitions),
        }),
        leader_known,
        standbys,
        task_managers: TaskManagers {
            registered: overview.map(|overview| overview.taskmanagers),
            expected: (!cluster.mode.is_native()).then(|| cluster.taskmanagers.iter().map(|tm| tm.replicas).sum()),
            ready: cluster.taskmanager_pods.iter().filter(|pod| is_alive(pod) && is_ready(pod)).count(),
        },
        slots: overview.map(|overview| Slots { free: overview.slots_available, total: overview.slots_total }),
        jobs,
        restarts: cluster.jobmanager_pods.iter().chain(&cluster.taskmanager_pods).map(restarts).sum(),
        high_availability,
        finished: cluster.jobmanager.finished,
        healthy: verdict.problems.is_empty(),
        problems: verdict.problems,
        notes: verdict.notes,
        not_checked: verdict.not_checked,
    }
}

fn job_status(job: &crate::flink::rest::JobSummary, rest: &RestData, ha: Option<&HaState>) -> JobStatus {
    let from_rest = rest.checkpoints.iter().find(|(id, _)| *id == job.jid).map(|(_, checkpoint)| checkpoint.clone());
    let from_ha = || {
        let (id, _) = ha?.job_map(&job.jid)?.latest_checkpoint()?;
        Some(LastCheckpoint { id, completed: None, path: None })
    };
    JobStatus {
        id: job.jid.clone(),
        name: job.name.clone(),
        state: job.state.clone(),
        duration_ms: job.duration,
        last_checkpoint: from_rest.or_else(from_ha),
    }
}

fn high_availability(
    cluster: &FlinkCluster,
    ha: Option<&HaState>,
    rest: Option<&RestData>,
    version: Option<&str>,
    now: Timestamp,
) -> HighAvailability {
    let kind = match cluster.configuration.first(&["high-availability.type", "high-availability"]) {
        _ if cluster.has_kubernetes_ha() => Some("kubernetes".to_owned()),
        Some(kind) => Some(kind.to_ascii_lowercase()),
        None => cluster.configuration_unknown.is_none().then(|| "none".to_owned()),
    };
    let storage = ha_storage(cluster);
    let dir = match storage {
        Storage::None => None,
        _ => cluster.configuration.first(&["high-availability.storageDir", "high-availability.zookeeper.storageDir"]),
    };
    HighAvailability {
        kind,
        storage_dir: dir.map(str::to_owned),
        storage,
        config_map: ha.and_then(HaState::leader_map).map(|map| format!("{}/{}", cluster.ha_namespace(), map.name)),
        jobs: ha
            .map(|ha| ha.cluster_map().map(HaMap::jobs).unwrap_or_default().into_iter().map(str::to_owned).collect()),
        contents: ha.map(|ha| compare(ha, rest, version.and_then(Version::lenient), now)).unwrap_or_default(),
    }
}

fn restarts(pod: &Pod) -> i32 {
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    statuses.map(|status| status.restart_count).sum()
}

/// How long ago `then` was; clocks that are ahead of ours make it no less than zero.
pub fn age(then: Timestamp, now: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then).max(SignedDuration::ZERO)).unwrap_or_default()
}
