//! Gathers what verdicts rest on: ConfigMaps, workloads and pods, logs of those that crash, operators' resources, and
//! whether the lease moves.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::apps::v1::ReplicaSet;
use k8s_openapi::api::core::v1::{Pod, PodSpec};
use kube::api::{Api, ApiResource, DynamicObject, ListParams, LogParams};
use kube::core::Selector;

use super::verdict::{Lease, Operator, PodState, SeenPod, Situation, User};
use super::{HaState, read, standstill, state_of, watch};
use crate::cluster::Connection;
use crate::cluster::access::{PARALLEL, is_forbidden};
use crate::cluster::discover::{self, FlinkCluster, PAGE, Scope};
use crate::cluster::probe;
use crate::cluster::workload::{Workload, has_ended, is_ready};
use crate::error::{Error, Result};
use crate::flink::log::unrecoverable;

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
    /// Workloads that an earlier command has stopped and not started again, with how many pods they had.
    pub resting: Vec<(Workload, i32)>,
    /// What could not be seen, in words.
    pub not_checked: Vec<String>,
}

/// Gathers everything. Where no pod shows that a cluster lives, its lease is watched for as long as a leader would take
/// to renew it; `progress` is told what is being waited for.
///
/// # Errors
/// ConfigMaps may not be read, or the API server does not answer.
pub async fn situations(connection: &Connection, look: &Look, progress: impl Fn(&str)) -> Result<Found> {
    let states = read(connection, &look.scope, look.cluster_id.as_deref()).await?;
    gather(connection, &look.scope, states, progress).await
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
    let found = gather(connection, &scope, states, progress).await?;
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
    situation.seen = probe::look(connection, &user.workload, &situation.files(), timeout, progress).await?;
    Ok(true)
}

async fn gather(
    connection: &Connection,
    scope: &Scope,
    states: Vec<HaState>,
    progress: impl Fn(&str),
) -> Result<Found> {
    let (clusters, operators) = futures::join!(discover::clusters(connection, scope), operators(connection, scope));
    let mut found = Found::default();
    let (clusters, pods_unseen) = match clusters {
        Ok(discovery) => {
            found.not_checked.extend(discovery.not_checked);
            (discovery.clusters, discovery.pods_unseen)
        }
        // Without a look at pods the lease decides alone.
        Err(error) => {
            found.not_checked.push(error.message);
            (Vec::new(), None)
        }
    };
    found.resting = (clusters.iter())
        .filter_map(|cluster| Some((cluster.jobmanager.clone(), standstill::resting(&cluster.jobmanager)?)))
        .collect();
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
        found.situations.push(Situation { state, users, lease: Lease::NotWatched, operator, seen: BTreeMap::new() });
    }
    watch_leases(connection, &mut found.situations, progress).await?;
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
    let workload = cluster.jobmanager.clone();
    let mut pods = Vec::new();
    let all = cluster.jobmanager_pods.iter();
    // One that is being deleted may still be writing.
    for pod in all.filter(|pod| !has_ended(pod)) {
        pods.push(SeenPod {
            name: pod.metadata.name.clone().unwrap_or_default(),
            created: pod.metadata.creation_timestamp.as_ref().map(|time| time.0),
            state: pod_state(connection, &cluster.namespace, pod, &workload.process.container).await,
        });
    }
    User {
        reference: format!("{}/{}", workload.kind.to_lowercase(), workload.name),
        operator: Some(cluster.made_by.clone()).filter(|made_by| made_by.starts_with("Flink") && made_by.contains('/')),
        earlier: earlier(connection, &workload).await,
        storage_dir: discover::ha_storage_dir(&cluster.configuration).map(str::to_owned),
        default_scheme: discover::default_scheme(&cluster.configuration).map(str::to_owned),
        workload,
        pods,
        pods_unseen: None,
    }
}

/// What a Deployment's pods were made from before: its old ReplicaSets, if they may be listed.
async fn earlier(connection: &Connection, workload: &Workload) -> Vec<PodSpec> {
    let Some(deployment) = &workload.deployment else { return Vec::new() };
    let api: Api<ReplicaSet> = Api::namespaced(connection.client.clone(), workload.namespace());
    let selector = deployment.spec.as_ref().and_then(|spec| Selector::try_from(spec.selector.clone()).ok());
    let Some(selector) = selector else { return Vec::new() };
    let sets = api.list(&ListParams::default().labels_from(&selector)).await;
    let is_own = |set: &ReplicaSet| {
        let mut owners = set.metadata.owner_references.iter().flatten();
        owners.any(|owner| Some(&owner.uid) == deployment.metadata.uid.as_ref())
    };
    let sets = sets.map(|list| list.items).unwrap_or_default();
    sets.into_iter().filter(is_own).filter_map(|set| set.spec?.template?.spec).collect()
}

/// The pods of the workloads that go by this data, as they are now: a JobManager that has come up meanwhile, or a workload
/// that has become another, makes what was judged void.
///
/// # Errors
/// They are not what they were, or the API server does not answer.
pub(super) async fn still_crashing(connection: &Connection, judged: &Situation) -> Result<()> {
    let scope = Scope::Namespace(judged.state.namespace.clone());
    let clusters = discover::clusters(connection, &scope).await?.clusters;
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
    let params = LogParams {
        container: Some(container.to_owned()),
        previous: !ended,
        tail_lines: Some(LOG_LINES),
        ..LogParams::default()
    };
    let api: Api<Pod> = Api::namespaced(connection.client.clone(), namespace);
    let name = pod.metadata.name.as_deref().unwrap_or_default();
    match api.logs(name, &params).await {
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
    let mut params = ListParams::default().limit(PAGE);
    let mut all = BTreeMap::new();
    loop {
        let page = match api.list(&params).await {
            Ok(page) => page,
            // Not a Status: the API server does not know the group at all.
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(Operators::Known(all)),
            Err(error) if is_forbidden(&error) => {
                // Whoever may not list a kind is refused also where the API server does not have it.
                let groups = connection.client.list_api_groups().await;
                let served = groups.map_or(true, |list| list.groups.iter().any(|group| group.name == resource.group));
                return Ok(if served { Operators::Unknown(Error::from(error).message) } else { Operators::Known(all) });
            }
            Err(error) => return Err(error.into()),
        };
        for object in page.items {
            let name = object.metadata.name.clone().unwrap_or_default();
            let suspended =
                object.data.pointer("/spec/job/state").and_then(|state| state.as_str()) == Some("suspended");
            let state = if suspended { ", which is suspended" } else { "" };
            let namespace = object.metadata.namespace.unwrap_or_default();
            all.insert((namespace, name.clone()), format!("flinkdeployment/{name}{state}"));
        }
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => return Ok(Operators::Known(all)),
        }
    }
}
