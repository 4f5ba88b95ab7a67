//! What a Flink cluster is doing, from its pods, its high-availability ConfigMaps and its REST API.

mod model;

use std::time::Duration;

use futures::future::join_all;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Api;
use kube::api::ListParams;

pub use self::model::{
    ClusterStatus, Fault, HighAvailability, JobStatus, LastCheckpoint, Leader, Slots, TaskManagers, WorkloadStatus,
};
use super::Connection;
use super::diagnose::problems;
use super::discover::{FlinkCluster, ha_storage};
use super::flink_rest::{FlinkRest, RestError};
use super::health::{self, Verdict};
use super::workload::{is_alive, is_ready, rollout};
use crate::error::Error;
use crate::flink::ha::{self, ClusterMap, MapKind};
use crate::flink::rest::{Checkpoints, JobsOverview, Overview};
use crate::flink::storage::Storage;

/// The details of so many jobs are asked for, one after the other on one connection.
const DETAILED_JOBS: usize = 20;

/// What the high-availability ConfigMaps say.
#[derive(Debug, Clone, Default)]
pub(super) struct HaData {
    pub(super) map: Option<String>,
    pub(super) cluster: ClusterMap,
    /// Checkpoint numbers by job.
    pub(super) checkpoints: Vec<(String, u64)>,
}

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
    let (ha, rest, causes) = futures::join!(
        read_ha(connection, cluster, timeout),
        read_rest(connection, cluster, timeout, details),
        read_causes(connection, cluster, timeout)
    );
    let now = Timestamp::now();
    let verdict = health::judge(cluster, causes, &ha, &rest, now);
    status(cluster, ha.ok().flatten(), rest.as_ref().ok(), verdict)
}

/// None where the cluster has no high availability in ConfigMaps; the error in words where it could not be read.
async fn read_ha(connection: &Connection, cluster: &FlinkCluster, timeout: Duration) -> Result<Option<HaData>, String> {
    let Some(id) = cluster.cluster_id.as_deref().filter(|_| cluster.has_kubernetes_ha()) else { return Ok(None) };
    let api: Api<ConfigMap> = Api::namespaced(connection.client.clone(), cluster.ha_namespace());
    let read = async {
        let mut maps = api.list(&ListParams::default().labels(&ha::selector(id))).await?.items;
        if maps.is_empty() {
            // Tools that copy objects may drop labels.
            maps.extend(api.get_opt(&ha::cluster_config_map(id)).await?);
        }
        Ok::<_, kube::Error>(maps)
    };
    match tokio::time::timeout(timeout, read).await {
        Ok(Ok(maps)) => Ok(Some(ha_data(id, &maps))),
        Ok(Err(error)) => Err(Error::from(error).message),
        Err(_) => Err(format!("the API server did not answer within {} s", timeout.as_secs_f64())),
    }
}

fn ha_data(id: &str, maps: &[ConfigMap]) -> HaData {
    let mut data = HaData::default();
    for map in maps {
        let name = map.metadata.name.as_deref().unwrap_or_default();
        match ha::map_kind(id, name) {
            Some(MapKind::Cluster) => {
                data.cluster = ClusterMap::read(map);
                data.map = Some(name.to_owned());
            }
            // Each has a part: the REST server's its address, the dispatcher's the jobs.
            Some(MapKind::LegacyLeader) => {
                let part = ClusterMap::read(map);
                if name.ends_with("-restserver-leader") {
                    (data.cluster.leader, data.cluster.rest) = (part.leader, part.rest);
                    data.map = Some(name.to_owned());
                }
                data.cluster.jobs.extend(part.jobs);
            }
            Some(MapKind::Job(job)) => {
                let read = ha::HaMap::read(map);
                let latest = read.as_ref().and_then(ha::HaMap::latest_checkpoint);
                data.checkpoints.extend(latest.map(|(number, _)| (job, number)));
            }
            None => {}
        }
    }
    data
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
    let asked = ask.iter().map(|(deployment, pods)| problems(connection, &cluster.namespace, deployment, pods));
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
pub(super) fn leader_pod<'a>(cluster: &'a FlinkCluster, ha: Option<&HaData>) -> Option<&'a Pod> {
    let alive: Vec<&Pod> = cluster.jobmanager_pods.iter().filter(|pod| is_alive(pod)).collect();
    let Some(ha) = ha else {
        // Of several only the election knows, and where it is not in ConfigMaps it is not seen from here.
        let known = cluster.configuration_unknown.is_none() && !cluster.has_kubernetes_ha() && alive.len() == 1;
        return alive.first().copied().filter(|pod| known && is_ready(pod));
    };
    let host = &ha.cluster.rest.as_ref()?.host;
    ha.cluster.leader.as_ref()?.holder.as_ref()?;
    alive.into_iter().find(|pod| pod.status.as_ref().and_then(|status| status.pod_ip.as_ref()) == Some(host))
}

fn status(cluster: &FlinkCluster, ha: Option<HaData>, rest: Option<&RestData>, verdict: Verdict) -> ClusterStatus {
    let leader = leader_pod(cluster, ha.as_ref());
    let leader_known = leader.is_some() || ha.is_some() || !cluster.jobmanager_pods.iter().any(is_alive);
    let name = |pod: &Pod| pod.metadata.name.clone().unwrap_or_default();
    let record = ha.as_ref().and_then(|ha| ha.cluster.leader.as_ref());
    let standbys = (cluster.jobmanager_pods.iter().filter(|pod| is_alive(pod) && is_ready(pod) && leader_known))
        .filter(|pod| leader.is_none_or(|leader| leader.metadata.uid != pod.metadata.uid))
        .map(name)
        .collect();
    let jobs = rest.map(|rest| rest.jobs.jobs.iter().map(|job| job_status(job, rest, ha.as_ref())).collect());
    let overview = rest.map(|rest| &rest.overview);
    let created = cluster.jobmanager.metadata.creation_timestamp.as_ref();
    ClusterStatus {
        namespace: cluster.namespace.clone(),
        name: cluster.name.clone(),
        cluster_id: cluster.cluster_id.clone(),
        mode: cluster.mode.to_string(),
        made_by: cluster.made_by.clone(),
        flink_version: (overview.map(|overview| overview.flink_version.as_str()))
            .or_else(|| cluster.jobmanager.process.version())
            .map(str::to_owned),
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
        high_availability: high_availability(cluster, ha),
        finished: cluster.jobmanager.finished,
        healthy: verdict.problems.is_empty(),
        problems: verdict.problems,
        notes: verdict.notes,
        not_checked: verdict.not_checked,
    }
}

fn job_status(job: &crate::flink::rest::JobSummary, rest: &RestData, ha: Option<&HaData>) -> JobStatus {
    let from_rest = rest.checkpoints.iter().find(|(id, _)| *id == job.jid).map(|(_, checkpoint)| checkpoint.clone());
    let from_ha = || {
        let (_, id) = ha?.checkpoints.iter().find(|(id, _)| *id == job.jid)?;
        Some(LastCheckpoint { id: *id, completed: None, path: None })
    };
    JobStatus {
        id: job.jid.clone(),
        name: job.name.clone(),
        state: job.state.clone(),
        duration_ms: job.duration,
        last_checkpoint: from_rest.or_else(from_ha),
    }
}

fn high_availability(cluster: &FlinkCluster, ha: Option<HaData>) -> HighAvailability {
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
        config_map: ha.as_ref().and_then(|ha| Some(format!("{}/{}", cluster.ha_namespace(), ha.map.as_ref()?))),
        jobs: ha.map(|ha| ha.cluster.jobs),
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
