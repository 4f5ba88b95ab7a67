//! Finds the Flink clusters of a namespace or of all, whoever made them.
//!
//! Two rounds of requests: everything that makes pods, then the ConfigMaps that their Flink containers read. A cluster is
//! a JobManager; the TaskManagers that belong to it are found by what their configuration says, not by their names.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::api::ListParams;
use kube::{Api, Client, Resource};
use serde::de::DeserializeOwned;

use super::Connection;
use super::access::is_forbidden;
use super::membership::{self, Member, configuration_files, ha_type, has_kubernetes_ha};
use super::paging;
use super::workload::{Workload, controller, is_alive};
use crate::error::{Error, Result};
use crate::flink::config::{self, Configuration};
use crate::flink::role::{Mode, Process, Role};
use crate::flink::storage::{self, Storage};

/// Where to look.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// One namespace.
    Namespace(String),
    /// Every namespace.
    All,
}

/// What was found, and what could not be looked at.
#[derive(Debug, Clone, Default)]
pub struct Discovery {
    /// The clusters, by namespace and name.
    pub clusters: Vec<FlinkCluster>,
    /// Kinds of objects that the user may not list: there may be clusters among them.
    pub not_checked: Vec<String>,
    /// Why no cluster has its pods, where they may not be listed.
    pub pods_unseen: Option<String>,
    /// Nothing at all may be listed.
    refused: Option<Error>,
}

/// A Flink cluster as its Kubernetes objects describe it.
#[derive(Debug, Clone)]
pub struct FlinkCluster {
    /// Its namespace.
    pub namespace: String,
    /// What the user calls it.
    pub name: String,
    /// `kubernetes.cluster-id`, where something goes by it: high availability in ConfigMaps, or native mode.
    pub cluster_id: Option<String>,
    /// How it is run.
    pub mode: Mode,
    /// Who made it: `kubectl-flink`, `FlinkDeployment/x`, `Helm release x`, `native session`, `manifests`.
    pub made_by: String,
    /// What makes its JobManager's pods.
    pub jobmanager: Workload,
    /// What makes its TaskManagers' pods; nothing in native mode, where the JobManager does.
    pub taskmanagers: Vec<Workload>,
    /// What its JobManager goes by: configuration file, environment and `-D` arguments.
    pub configuration: Configuration,
    /// Where the file came from, `configmap/NAME`; none where it is the image's own.
    pub configuration_source: Option<String>,
    /// Why the configuration file is not known, where there is one.
    pub configuration_unknown: Option<String>,
    /// Its JobManager's pods.
    pub jobmanager_pods: Vec<Pod>,
    /// Its TaskManagers' pods.
    pub taskmanager_pods: Vec<Pod>,
}

impl FlinkCluster {
    /// The namespace of its high-availability ConfigMaps: not that of its pods, unless it is told so.
    pub fn ha_namespace(&self) -> &str {
        self.configuration.get("kubernetes.namespace").unwrap_or("default")
    }

    /// Whether it keeps its high-availability data in ConfigMaps.
    pub fn has_kubernetes_ha(&self) -> bool {
        has_kubernetes_ha(&self.configuration)
    }
}

/// `high-availability.storageDir`, by its names.
pub fn ha_storage_dir(configuration: &Configuration) -> Option<&str> {
    configuration.first(&["high-availability.storageDir", "high-availability.zookeeper.storageDir"])
}

/// `fs.default-scheme`, without a slash at its end, unless it is the local file system.
pub fn default_scheme(configuration: &Configuration) -> Option<&str> {
    let scheme = configuration.get("fs.default-scheme").filter(|scheme| !scheme.starts_with("file:"))?;
    Some(scheme.trim_end_matches('/'))
}

/// Where a cluster keeps the files that its high-availability data points to.
pub fn ha_storage(cluster: &FlinkCluster) -> Storage {
    let ha = ha_type(&cluster.configuration);
    if ha.is_none_or(|ha| ha.eq_ignore_ascii_case("none")) {
        return if cluster.configuration_unknown.is_some() { Storage::Unknown } else { Storage::None };
    }
    let Some(dir) = ha_storage_dir(&cluster.configuration) else { return Storage::None };
    if let Some(scheme) = default_scheme(&cluster.configuration).filter(|_| dir.starts_with('/')) {
        return Storage::Uri(format!("{scheme}{dir}"));
    }
    match &cluster.jobmanager.template.spec {
        Some(spec) => storage::behind(spec, &cluster.jobmanager.process.container, dir),
        None => Storage::Unknown,
    }
}

/// Finds the clusters. A kind of object that may not be listed is noted, and the rest goes on.
///
/// # Errors
/// Nothing at all may be listed, or the API server does not answer.
pub async fn clusters(connection: &Connection, scope: &Scope) -> Result<Discovery> {
    let mut discovery = visible_clusters(connection, scope).await?;
    discovery.refused.take().map_or(Ok(discovery), Err)
}

/// The same for who can go on where nothing at all may be listed: what was refused is noted.
///
/// # Errors
/// The API server does not answer.
pub async fn visible_clusters(connection: &Connection, scope: &Scope) -> Result<Discovery> {
    let client = &connection.client;
    let (deployments, sets, jobs, pods) = futures::join!(
        list::<Deployment>(client, scope),
        list::<StatefulSet>(client, scope),
        list::<Job>(client, scope),
        list::<Pod>(client, scope),
    );
    let mut found = Listing::default();
    let mut workloads = Vec::new();
    workloads.extend(found.take(deployments)?.into_iter().filter_map(Workload::of_deployment));
    workloads.extend(found.take(sets)?.into_iter().filter_map(Workload::of_stateful_set));
    workloads.extend(found.take(jobs)?.into_iter().filter_map(Workload::of_job));
    let pods_unseen = pods.as_ref().err().filter(|error| is_forbidden(error)).map(ToString::to_string);
    let pods: Vec<(Pod, Process)> = (found.take(pods)?.into_iter())
        .filter_map(|pod| Process::of(pod.spec.as_ref()?).map(|process| (pod, process)))
        .collect();
    let refused = found.refused.filter(|_| found.not_checked.len() == 4);
    workloads.extend(of_unread_controllers(&workloads, &pods));
    let maps = configuration_maps(client, &workloads).await?;
    Ok(Discovery { clusters: assemble(workloads, &pods, &maps), not_checked: found.not_checked, pods_unseen, refused })
}

#[derive(Default)]
struct Listing {
    not_checked: Vec<String>,
    refused: Option<Error>,
}

impl Listing {
    fn take<T>(&mut self, listed: Result<Vec<T>, kube::Error>) -> Result<Vec<T>> {
        match listed {
            Err(kube::Error::Api(status)) if status.code == 403 => {
                self.not_checked.push(status.message.clone());
                self.refused.get_or_insert(kube::Error::Api(status).into());
                Ok(Vec::new())
            }
            other => Ok(other?),
        }
    }
}

async fn list<K>(client: &Client, scope: &Scope) -> Result<Vec<K>, kube::Error>
where
    K: Resource<DynamicType = (), Scope = kube::core::NamespaceResourceScope>
        + Clone
        + DeserializeOwned
        + std::fmt::Debug,
{
    let api: Api<K> = match scope {
        Scope::Namespace(namespace) => Api::namespaced(client.clone(), namespace),
        Scope::All => Api::all(client.clone()),
    };
    let mut items = Vec::new();
    paging::each(ListParams::default(), async |params| api.list(params).await, |item| items.push(item)).await?;
    Ok(items)
}

/// Pods on their own, and pods of controllers that were not read: what can be told of them from the pods.
fn of_unread_controllers(workloads: &[Workload], pods: &[(Pod, Process)]) -> Vec<Workload> {
    let mut groups: BTreeMap<(String, String, String), Vec<Pod>> = BTreeMap::new();
    for (pod, process) in pods {
        let known = process.role == Role::NativeTaskManager || workloads.iter().any(|workload| workload.owns(pod));
        if let (false, true, Some((kind, name))) = (known, is_alive(pod), controller(pod)) {
            let namespace = pod.metadata.namespace.clone().unwrap_or_default();
            groups.entry((namespace, kind, name)).or_default().push(pod.clone());
        }
    }
    groups.into_iter().filter_map(|((_, kind, name), pods)| Workload::of_pods(&kind, &name, &pods)).collect()
}

/// A namespace and the name of a ConfigMap in it.
pub(super) type MapId = (String, String);
/// The ConfigMaps that were asked for; an error in words where one could not be read.
pub(super) type Maps = BTreeMap<MapId, Result<ConfigMap, String>>;

async fn configuration_maps(client: &Client, workloads: &[Workload]) -> Result<Maps> {
    let wanted: BTreeSet<MapId> = (workloads.iter())
        .flat_map(|workload| {
            let files = configuration_files(workload).0;
            files.into_iter().map(|file| (workload.namespace().to_owned(), file.map))
        })
        .collect();
    let read = wanted.into_iter().map(|(namespace, name)| async move {
        let map = Api::<ConfigMap>::namespaced(client.clone(), &namespace).get(&name).await;
        ((namespace, name), map)
    });
    let mut maps = Maps::new();
    for (id, map) in join_all(read).await {
        let map = match map {
            Ok(map) => Ok(map),
            Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404) => Err(status.message.clone()),
            Err(error) => return Err(error.into()),
        };
        maps.insert(id, map);
    }
    Ok(maps)
}

/// What a workload's Flink goes by, from the ConfigMaps that were read.
fn member(workload: Workload, maps: &Maps) -> Member {
    let (files, writable) = configuration_files(&workload);
    let (mut configuration, mut from, mut unknown) = (Configuration::default(), None, None);
    for file in files {
        match maps.get(&(workload.namespace().to_owned(), file.map.clone())) {
            Some(Ok(map)) => {
                let Some(text) = map.data.as_ref().and_then(|data| data.get(&file.key)) else { continue };
                let origin = format!("configmap/{} {}", file.map, file.key);
                match Configuration::read(&origin, file.name, text) {
                    Ok(read) => configuration = read,
                    Err(error) => unknown = Some(error.message),
                }
                from = Some(file.map);
                break;
            }
            Some(Err(error)) => unknown = Some(error.clone()),
            None => {}
        }
    }
    // The entrypoint adds these to the file, which it cannot where the file is a ConfigMap's.
    if writable {
        if let Some(address) = &workload.process.rpc_address {
            configuration.set("jobmanager.rpc.address", address);
        }
        let properties = workload.process.properties.as_deref().unwrap_or_default();
        if let Ok(properties) = Configuration::read("FLINK_PROPERTIES", config::LEGACY_FILE, properties) {
            properties.iter().for_each(|(key, value)| configuration.set(key, value));
        }
    }
    for (key, value) in &workload.process.dynamic {
        configuration.set(key, value);
    }
    Member { workload, configuration, map: from, unknown }
}

/// Puts clusters together from what was read.
pub(super) fn assemble(workloads: Vec<Workload>, pods: &[(Pod, Process)], maps: &Maps) -> Vec<FlinkCluster> {
    let members: Vec<Member> = workloads.into_iter().map(|workload| member(workload, maps)).collect();
    let groups = membership::clusters(&members);
    let mut members: Vec<Option<Member>> = members.into_iter().map(Some).collect();
    let mut clusters: Vec<_> = groups
        .into_iter()
        .filter_map(|(jobmanager, taskmanagers)| {
            let taskmanagers = taskmanagers.into_iter().filter_map(|tm| Some(members[tm].take()?.workload)).collect();
            cluster(members[jobmanager].take()?, taskmanagers, pods)
        })
        .collect();
    clusters.sort_by(|a, b| (&a.namespace, &a.name).cmp(&(&b.namespace, &b.name)));
    clusters
}

fn cluster(member: Member, taskmanagers: Vec<Workload>, pods: &[(Pod, Process)]) -> Option<FlinkCluster> {
    let Role::JobManager(mode) = member.workload.process.role else { return None };
    let workload = &member.workload;
    let cluster_id =
        if mode.is_native() { Some(workload.name.clone()) } else { member.cluster_id().map(str::to_owned) };
    let made_by = workload.made_by();
    let instance = workload.label("app.kubernetes.io/instance");
    let name = match (&made_by, instance, &cluster_id) {
        (Some(made_by), Some(instance), _) if made_by == super::FIELD_MANAGER => instance,
        (_, _, Some(id)) => id,
        _ => workload.name.strip_suffix("-jobmanager").unwrap_or(&workload.name),
    };
    let is_ours = |pod: &Pod, process: &Process| match process.role {
        Role::TaskManager => taskmanagers.iter().any(|taskmanager| taskmanager.owns(pod)),
        Role::NativeTaskManager => {
            let app = pod.metadata.labels.as_ref().and_then(|labels| labels.get("app"));
            pod.metadata.namespace.as_deref() == Some(workload.namespace()) && app == cluster_id.as_ref()
        }
        Role::JobManager(_) | Role::HistoryServer => false,
    };
    // In native mode the Deployment owns the TaskManagers' pods too.
    let leads = |pod: &Pod, process: &Process| matches!(process.role, Role::JobManager(_)) && workload.owns(pod);
    Some(FlinkCluster {
        namespace: workload.namespace().to_owned(),
        name: name.to_owned(),
        mode,
        made_by: made_by.unwrap_or_else(|| if mode.is_native() { mode.to_string() } else { "manifests".to_owned() }),
        jobmanager_pods: pods.iter().filter(|(pod, process)| leads(pod, process)).map(|(pod, _)| pod.clone()).collect(),
        taskmanager_pods: pods
            .iter()
            .filter(|(pod, process)| is_ours(pod, process))
            .map(|(pod, _)| pod.clone())
            .collect(),
        configuration_source: member.map.map(|map| format!("configmap/{map}")),
        configuration_unknown: member.unknown,
        configuration: member.configuration,
        cluster_id,
        jobmanager: member.workload,
        taskmanagers,
    })
}

#[cfg(test)]
mod tests;
