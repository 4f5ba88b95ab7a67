//! Gathers what verdicts rest on: ConfigMaps, workloads and pods, logs of those that crash, operators' resources, and
//! whether the lease moves.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use futures::StreamExt;
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod, PodSpec};
use kube::api::{Api, ApiResource, DynamicObject, ListParams, LogParams};

use super::removal;
use super::standstill::Resting;
use super::verdict::{Lease, Operator, PodState, SeenPod, Situation, User};
use super::{HaState, read, server_time, state_of, watch};
use crate::cluster::Connection;
use crate::cluster::access::{self, PARALLEL, is_forbidden};
use crate::cluster::discover::{self, Discovery, FlinkCluster, Scope};
use crate::cluster::paging;
use crate::cluster::probe::{self, Presence};
use crate::cluster::workload::{self, Workload, has_ended, is_ready};
use crate::error::{Error, Result};
use crate::flink::ha::MapKind;
use crate::flink::log::{recovered, unrecoverable};
use crate::flink::storage::{self, Storage};

/// Enough of a log to hold the end of a JobManager, and the line in which it names its ConfigMap.
const LOG_LINES: i64 = 2000;

/// What is looked at.
#[derive(Debug, Clone)]
pub struct Look {
    /// Where.
    pub scope: Scope,
    /// Only the data of this cluster-id.
    pub cluster_id: Option<String>,
}

/// What was found, and what could not be looked at.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// By namespace and cluster-id.
    pub situations: Vec<Situation>,
    /// Workloads that another command has stopped and not started again so far.
    pub resting: Vec<Resting>,
    /// What could not be seen, in words.
    pub not_checked: Vec<String>,
    /// When it was seen, by the API server's clock.
    pub now: Timestamp,
}

/// A command that has taken a lease or stopped a workload is done with it, or was ended by force, after this long.
const AT_WORK: SignedDuration = SignedDuration::from_secs(30);

impl Found {
    /// For how long it is to be supposed that another command like this is at work on it; none where none seems to be.
    pub fn in_use_for(&self) -> Option<Duration> {
        let now = self.now;
        let leases = self.situations.iter().filter_map(|situation| removal::taken(&situation.state, now));
        let stops = self.resting.iter().filter_map(|resting| Some(now.duration_since(resting.since?)));
        let youngest = leases.chain(stops).filter(|age| !age.is_negative()).min()?;
        Duration::try_from(AT_WORK - youngest).ok().filter(|left| !left.is_zero())
    }
}

/// Gathers everything. Where no pod shows that a cluster lives, its lease is watched for as long as a leader would take
/// to renew it; `progress` is told what is being waited for.
///
/// # Errors
/// ConfigMaps may not be read, or the API server does not answer.
pub async fn situations(connection: &Connection, look: &Look, progress: impl Fn(&str)) -> Result<Found> {
    let states = read(connection, &look.scope, look.cluster_id.as_deref()).await?;
    gather(connection, &look.scope, look.cluster_id.as_deref(), states, progress).await
}

/// The same for one cluster-id, also where it has no data: what goes by it, and whether it lives.
///
/// # Errors
/// See [`situations`].
pub async fn situation_of(
    connection: &Connection,
    namespace: &str,
    cluster_id: &str,
    progress: impl Fn(&str),
) -> Result<Situation> {
    let scope = Scope::Namespace(namespace.to_owned());
    let states = vec![state_of(connection, namespace, cluster_id).await?];
    let found = gather(connection, &scope, Some(cluster_id), states, progress).await?;
    found.situations.into_iter().next().ok_or_else(|| Error::could_not_run("the cluster has gone while it was read"))
}

/// Data whose JobManagers are known to be gone, once it is seen that no other one lives on it.
///
/// # Errors
/// One does, or the API server does not answer.
pub async fn unattended(connection: &Connection, state: HaState, progress: impl Fn(&str)) -> Result<Situation> {
    let mut alone = [Situation::unattended(state)];
    watch_leases(connection, &mut alone, progress).await?;
    let [situation] = alone;
    match &situation.lease {
        Lease::Renewed(map) => Err(Error::could_not_run(format!(
            "nothing was removed: another JobManager, which was not found here, writes the lease in configmap/{map}"
        ))
        .hint("find it: kubectl get pods -A")),
        _ => Ok(situation),
    }
}

/// Looks which of the files are there, from a pod like those of the first workload that goes by the cluster-id. Without one
/// nothing tells what such a pod would have mounted, and nothing is looked at: then false.
///
/// # Errors
/// Rights are missing, the pod is refused, or the API server does not answer.
pub async fn look_at_files(
    connection: &Connection,
    situation: &mut Situation,
    timeout: Duration,
    progress: impl Fn(&str),
) -> Result<bool> {
    let Some(user) = situation.users.first() else { return Ok(false) };
    let workload = user.workload.clone();
    situation.seen = probe::look(connection, &workload, &situation.files(), timeout, progress).await?;
    doubt_younger_claims(connection, &workload, situation).await?;
    Ok(true)
}

/// What is not on a claim that was made after a job's last checkpoint was on another one: nothing is known of that.
async fn doubt_younger_claims(connection: &Connection, workload: &Workload, situation: &mut Situation) -> Result<()> {
    let api: Api<PersistentVolumeClaim> = Api::namespaced(connection.client.clone(), workload.namespace());
    let Some(spec) = &workload.template.spec else { return Ok(()) };
    let mut made: BTreeMap<String, Option<Timestamp>> = BTreeMap::new();
    for map in &situation.state.maps {
        for pointer in &map.pointers {
            let Some(path) = &pointer.path else { continue };
            let Storage::Claim { name } = storage::behind(spec, &workload.process.container, path) else { continue };
            let name = probe::claim_name(workload, &name);
            if !made.contains_key(&name) {
                let claim = access::known(api.get_metadata_opt(&name).await)?.flatten();
                made.insert(name.clone(), claim.and_then(|claim| Some(claim.metadata.creation_timestamp?.0)));
            }
            // A shared ConfigMap is written with each lease: an entry in it may be as old as itself.
            let written = if matches!(map.kind, MapKind::Job(_)) { map.written } else { map.created };
            let younger = made[&name].zip(written).is_none_or(|(made, written)| written < made);
            if let Some(seen) = situation.seen.get_mut(path).filter(|seen| younger && **seen == Presence::Gone) {
                *seen = Presence::Unknown(format!("claim {name} may have been made after it was written"));
            }
        }
    }
    Ok(())
}

/// What is left of a cluster's data when its JobManagers have ended: judged before that.
pub async fn after_its_end(connection: &Connection, cluster: &FlinkCluster, state: HaState) -> Situation {
    Situation { users: vec![user_without_pods(connection, cluster).await], ..Situation::unattended(state) }
}

async fn gather(
    connection: &Connection,
    scope: &Scope,
    cluster_id: Option<&str>,
    states: Vec<HaState>,
    progress: impl Fn(&str),
) -> Result<Found> {
    let (clusters, operators) =
        futures::join!(discover::visible_clusters(connection, scope), operators(connection, scope));
    let mut found = Found::default();
    // Without a look at pods the lease decides alone.
    let Discovery { clusters, not_checked, pods_unseen, .. } = clusters?;
    let unseen = not_checked.first().cloned();
    found.not_checked.extend(not_checked);
    let operators = operators?;
    if let Operators::Unknown(why) = &operators {
        found.not_checked.push(why.clone());
    }
    // Logs are read of pods that crash, of which there may be some in each cluster.
    let look_at = |state: HaState| {
        let own = clusters.iter().filter(|cluster| goes_by(cluster, &state)).map(|cluster| user(connection, cluster));
        let own: Vec<_> = own.collect();
        async move { (state, futures::future::join_all(own).await) }
    };
    let looked: Vec<_> = futures::stream::iter(states).map(look_at).buffered(PARALLEL).collect().await;
    for (state, mut users) in looked {
        for user in &mut users {
            user.pods_unseen.clone_from(&pods_unseen);
        }
        let operator = operators.of(&state);
        let unseen = unseen.clone();
        found.situations.push(Situation { users, operator, unseen, ..Situation::unattended(state) });
    }
    watch_leases(connection, &mut found.situations, progress).await?;
    // When all was seen: that takes as long as a lease.
    found.now = server_time(connection).await?;
    let is_asked_for = |cluster: &&FlinkCluster| cluster_id.is_none_or(|id| cluster.cluster_id.as_deref() == Some(id));
    let asked_for = clusters.iter().filter(is_asked_for);
    found.resting = asked_for.filter_map(|cluster| Resting::read(&cluster.jobmanager, found.now)).collect();
    Ok(found)
}

/// Watches the leases of those that no pod shows to be alive.
///
/// # Errors
/// ConfigMaps may not be read, or the API server does not answer.
async fn watch_leases(connection: &Connection, situations: &mut [Situation], progress: impl Fn(&str)) -> Result<()> {
    let open: Vec<usize> = (0..situations.len()).filter(|index| situations[*index].live().is_none()).collect();
    let states: Vec<&HaState> = open.iter().map(|index| &situations[*index].state).collect();
    let left = |left: Duration| progress(&format!("does a leader renew its lease? {} s", left.as_secs() + 1));
    let leases = watch::watch(connection, &states, left).await?;
    for (index, lease) in open.into_iter().zip(leases) {
        situations[index].lease = lease;
    }
    Ok(())
}

/// A cluster goes by the id, as its configuration says; in native mode also without high availability.
fn goes_by(cluster: &FlinkCluster, state: &HaState) -> bool {
    let native_namespace = cluster.mode.is_native() && cluster.namespace == state.namespace;
    cluster.cluster_id.as_ref() == Some(&state.cluster_id)
        && (cluster.ha_namespace() == state.namespace || native_namespace)
}

async fn user(connection: &Connection, cluster: &FlinkCluster) -> User {
    let mut user = user_without_pods(connection, cluster).await;
    let all = cluster.jobmanager_pods.iter();
    // One that is being deleted may still be writing.
    for pod in all.filter(|pod| !has_ended(pod)) {
        user.pods.push(SeenPod {
            name: pod.metadata.name.clone().unwrap_or_default(),
            created: pod.metadata.creation_timestamp.as_ref().map(|time| time.0),
            state: pod_state(connection, &cluster.namespace, pod, &user.workload.process.container).await,
        });
    }
    user
}

async fn user_without_pods(connection: &Connection, cluster: &FlinkCluster) -> User {
    let workload = cluster.jobmanager.clone();
    User {
        reference: format!("{}/{}", workload.kind.to_lowercase(), workload.name),
        operator: Some(cluster.made_by.clone()).filter(|made_by| made_by.starts_with("Flink") && made_by.contains('/')),
        earlier: earlier(connection, &workload).await,
        storage_dir: discover::ha_storage_dir(&cluster.configuration).map(str::to_owned),
        default_scheme: discover::default_scheme(&cluster.configuration).map(str::to_owned),
        workload,
        pods: Vec::new(),
        pods_unseen: None,
    }
}

/// What a Deployment's pods were made from before: its old ReplicaSets, if they may be listed and all of them are kept.
///
/// # Errors
/// They may not be listed, or there is no telling: why, in words.
async fn earlier(connection: &Connection, workload: &Workload) -> Result<Vec<PodSpec>, String> {
    let Some(deployment) = &workload.deployment else {
        // A Job's pods are made from one template. A StatefulSet's earlier ones are in ControllerRevisions, which are not read.
        let is_one = workload.kind == "Job" || workload.metadata.generation == Some(1);
        let unknown = || format!("what {}'s pods had before is not looked at", workload.kind);
        return if is_one { Ok(Vec::new()) } else { Err(unknown()) };
    };
    let sets = workload::replica_sets(connection, deployment).await.map_err(|error| error.message)?;
    match workload::lost_revision(deployment, &sets) {
        Some(number) => Err(format!("the ReplicaSet of its revision {number} is gone, which would tell")),
        None => Ok(sets.into_iter().filter_map(|set| set.spec?.template?.spec).collect()),
    }
}

/// The pods of the workloads that go by this data, as they are now: a JobManager that has come up meanwhile, or a workload
/// that has become another, makes what was judged void.
///
/// # Errors
/// They are not what they were, or the API server does not answer.
pub(super) async fn still_crashing(connection: &Connection, judged: &Situation) -> Result<()> {
    let own = judged.users.iter().map(|user| user.workload.namespace());
    let places: BTreeSet<&str> = own.chain([judged.state.namespace.as_str()]).collect();
    let mut clusters = Vec::new();
    for place in places {
        clusters.extend(discover::clusters(connection, &Scope::Namespace(place.to_owned())).await?.clusters);
    }
    for cluster in clusters.iter().filter(|cluster| goes_by(cluster, &judged.state)) {
        let now = user(connection, cluster).await;
        let alive = now.pods.iter().find_map(|pod| match &pod.state {
            PodState::Alive(why) => Some(format!("pod/{} {why}", pod.name)),
            PodState::CrashesOnRecovery(_) => None,
        });
        let same = judged.users.iter().any(|user| user.workload.template == now.workload.template);
        if let Some(why) = alive.or_else(|| (!same).then(|| format!("{} has been changed", now.reference))) {
            return Err(Error::could_not_run(format!("nothing was removed: {why}, since it was judged"))
                .hint("look again: run the same command once more"));
        }
    }
    Ok(())
}

async fn pod_state(connection: &Connection, namespace: &str, pod: &Pod, container: &str) -> PodState {
    let alive = |why: &str| PodState::Alive(why.to_owned());
    if pod.metadata.deletion_timestamp.is_some() {
        return alive("is on its way out, and not gone");
    }
    if is_ready(pod) {
        return alive("is ready");
    }
    let statuses = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    let Some(status) = statuses.into_iter().find(|status| status.name == container) else {
        return alive("is about to start");
    };
    let ended = status.state.as_ref().is_some_and(|state| state.terminated.is_some());
    if status.restart_count == 0 && !ended {
        return alive("is starting");
    }
    let api: Api<Pod> = Api::namespaced(connection.client.clone(), namespace);
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    let log = async |previous: bool| {
        let params = LogParams {
            container: Some(container.to_owned()),
            previous,
            tail_lines: Some(LOG_LINES),
            ..LogParams::default()
        };
        api.logs(name, &params).await
    };
    let running = status.state.as_ref().is_some_and(|state| state.running.is_some());
    if running && log(false).await.is_ok_and(|log| recovered(&log)) {
        return alive("has recovered its jobs");
    }
    match log(!ended).await {
        Ok(log) => match unrecoverable(&log) {
            Some(failure) => PodState::CrashesOnRecovery(failure),
            None => alive("starts again and again, and its log names no job that could not be recovered"),
        },
        Err(error) => {
            alive(&format!("starts again and again, and its log cannot be read: {}", Error::from(error).message))
        }
    }
}

/// The operator's resources, by namespace and name, with what is to be said of each.
enum Operators {
    Known(BTreeMap<(String, String), String>),
    Unknown(String),
}

impl Operators {
    fn of(&self, state: &HaState) -> Operator {
        match self {
            Operators::Known(all) => match all.get(&(state.namespace.clone(), state.cluster_id.clone())) {
                Some(resource) => Operator::Resource(resource.clone()),
                None => Operator::None,
            },
            Operators::Unknown(why) => Operator::Unknown(why.clone()),
        }
    }
}

/// Reads the FlinkDeployments: their name is the cluster-id of their cluster.
async fn operators(connection: &Connection, scope: &Scope) -> Result<Operators> {
    let resource = ApiResource {
        group: "flink.apache.org".to_owned(),
        version: "v1beta1".to_owned(),
        api_version: "flink.apache.org/v1beta1".to_owned(),
        kind: "FlinkDeployment".to_owned(),
        plural: "flinkdeployments".to_owned(),
    };
    let client = connection.client.clone();
    let api: Api<DynamicObject> = match scope {
        Scope::Namespace(namespace) => Api::namespaced_with(client, namespace, &resource),
        Scope::All => Api::all_with(client, &resource),
    };
    let mut all = BTreeMap::new();
    let take = |object: DynamicObject| {
        let name = object.metadata.name.clone().unwrap_or_default();
        let suspended = object.data.pointer("/spec/job/state").and_then(|state| state.as_str()) == Some("suspended");
        let state = if suspended { ", which is suspended" } else { "" };
        let namespace = object.metadata.namespace.unwrap_or_default();
        all.insert((namespace, name.clone()), format!("flinkdeployment/{name}{state}"));
    };
    match paging::each(ListParams::default(), async |params| api.list(params).await, take).await {
        Ok(()) => Ok(Operators::Known(all)),
        // Not a Status: the API server does not know the group at all.
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(Operators::Known(all)),
        Err(error) if is_forbidden(&error) => {
            // Whoever may not list a kind is refused also where the API server does not have it.
            let groups = connection.client.list_api_groups().await;
            let served = groups.map_or(true, |list| list.groups.iter().any(|group| group.name == resource.group));
            Ok(if served { Operators::Unknown(Error::from(error).message) } else { Operators::Known(all) })
        }
        Err(error) => Err(error.into()),
    }
}
