//! The high-availability data of clusters: read it, judge what it is still good for, remove it, put it back.

pub mod backup;
mod evidence;
pub mod record;
pub mod removal;
pub mod restore;
pub mod standstill;
pub mod verdict;
mod watch;

use std::collections::BTreeMap;

use futures::StreamExt;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::ListParams;
use kube::core::PartialObjectMeta;

pub use self::evidence::{Found, Look, after_its_end, look_at_files, situation_of, situations, unattended};
pub use self::record::Record;
use super::Connection;
use super::access::PARALLEL;
use super::discover::Scope;
use super::paging;
use crate::error::Result;
use crate::flink::ha::{APP_LABEL, Generation, HaMap, MapKind, MapName, TYPE_LABEL};

/// The high-availability ConfigMaps of one cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct HaState {
    /// Their namespace.
    pub namespace: String,
    /// `kubernetes.cluster-id`.
    pub cluster_id: String,
    /// The ConfigMaps, by name.
    pub maps: Vec<HaMap>,
    /// What `down` has recorded of the storage, where no leader has been elected since.
    pub record: Option<Record>,
}

impl HaState {
    /// Nothing, of this cluster-id.
    pub fn empty(namespace: &str, cluster_id: &str) -> Self {
        HaState { namespace: namespace.to_owned(), cluster_id: cluster_id.to_owned(), maps: Vec::new(), record: None }
    }

    /// The ConfigMap with the jobs' entries: the cluster's, up to Flink 1.14 the dispatcher's.
    pub fn cluster_map(&self) -> Option<&HaMap> {
        self.maps.iter().find(|map| match map.kind {
            MapKind::Cluster => true,
            MapKind::LegacyLeader => map.name.ends_with("-dispatcher-leader"),
            MapKind::Job(_) => false,
        })
    }

    /// The ConfigMap in which the leader of the REST API stands: the cluster's, up to Flink 1.14 the REST server's.
    pub fn leader_map(&self) -> Option<&HaMap> {
        self.maps.iter().find(|map| match map.kind {
            MapKind::Cluster => true,
            MapKind::LegacyLeader => map.name.ends_with("-restserver-leader"),
            MapKind::Job(_) => false,
        })
    }

    /// The ConfigMap of a job.
    pub fn job_map(&self, job: &str) -> Option<&HaMap> {
        self.maps.iter().find(|map| matches!(&map.kind, MapKind::Job(id) if id == job))
    }

    /// The jobs that they tell of: those that a leader would recover, and those that have a ConfigMap; sorted.
    pub fn jobs(&self) -> Vec<&str> {
        let shared = self.maps.iter().filter(|map| !matches!(map.kind, MapKind::Job(_)));
        let recorded = shared.flat_map(HaMap::jobs);
        let own = self.maps.iter().filter_map(|map| match &map.kind {
            MapKind::Job(job) => Some(job.as_str()),
            _ => None,
        });
        let mut jobs: Vec<&str> = recorded.chain(own).collect();
        jobs.sort_unstable();
        jobs.dedup();
        jobs
    }

    /// Which versions of Flink have written them.
    pub fn generation(&self) -> Generation {
        let known = self.maps.iter().map(|map| map.generation).filter(|generation| *generation != Generation::V1);
        known.max().unwrap_or(Generation::V1)
    }
}

/// Reads the high-availability ConfigMaps of a namespace or of all, or those of one cluster-id.
///
/// Those that carry the label are listed with what is in them, page by page. Tools that copy objects may have
/// dropped labels: of all others the names are listed, and those whose name says so are read one by one.
///
/// # Errors
/// ConfigMaps may not be listed, or the API server does not answer.
pub async fn read(connection: &Connection, scope: &Scope, cluster_id: Option<&str>) -> Result<Vec<HaState>> {
    let api: Api<ConfigMap> = match scope {
        Scope::Namespace(namespace) => Api::namespaced(connection.client.clone(), namespace),
        Scope::All => Api::all(connection.client.clone()),
    };
    let (label, value) = cluster_id.map_or(TYPE_LABEL, |id| (APP_LABEL, id));
    let is_it = |name: &str| {
        MapName::parse(name).is_some_and(|parsed| cluster_id.is_none_or(|wanted| parsed.cluster_id == wanted))
    };
    let mut states: BTreeMap<(String, String), HaState> = BTreeMap::new();
    let mut take = |map: &ConfigMap| {
        let Some(read) = HaMap::read(map).filter(|read| is_it(&read.name)) else { return };
        let namespace = map.metadata.namespace.clone().unwrap_or_default();
        let state = states
            .entry((namespace, read.cluster_id.clone()))
            .or_insert_with_key(|(namespace, id)| HaState::empty(namespace, id));
        if state.maps.iter().all(|other| other.name != read.name) {
            state.record = state.record.take().or_else(|| record::recorded(map));
            state.maps.push(read);
        }
    };
    let mut names = Vec::new();
    let by_name = |map: PartialObjectMeta<ConfigMap>| {
        if let Some(name) = map.metadata.name.filter(|name| is_it(name)) {
            names.push((map.metadata.namespace.unwrap_or_default(), name));
        }
    };
    futures::try_join!(
        paging::each(
            ListParams::default().labels(&format!("{label}={value}")),
            async |params| api.list(params).await,
            |map: ConfigMap| take(&map)
        ),
        paging::each(
            ListParams::default().labels(&format!("{label}!={value}")),
            async |params| api.list_metadata(params).await,
            by_name
        ),
    )?;
    let get = |(namespace, name): (String, String)| async move {
        Api::<ConfigMap>::namespaced(connection.client.clone(), &namespace).get_opt(&name).await
    };
    let found: Vec<_> = futures::stream::iter(names).map(get).buffered(PARALLEL).collect().await;
    for map in found {
        map?.iter().for_each(&mut take);
    }
    let mut states: Vec<HaState> = states.into_values().collect();
    for state in &mut states {
        state.maps.sort_by(|a, b| a.name.cmp(&b.name));
    }
    Ok(states)
}

/// Reads the high-availability ConfigMaps of one cluster; there may be none.
///
/// # Errors
/// See [`read`].
pub async fn state_of(connection: &Connection, namespace: &str, cluster_id: &str) -> Result<HaState> {
    let found = read(connection, &Scope::Namespace(namespace.to_owned()), Some(cluster_id)).await?;
    Ok(found.into_iter().next().unwrap_or_else(|| HaState::empty(namespace, cluster_id)))
}

/// The API server's clock, from the `Date` of an answer; this machine's where it has none.
///
/// # Errors
/// The API server does not answer.
pub async fn server_time(connection: &Connection) -> Result<Timestamp> {
    let request = http::Request::get("/version").body(kube::client::Body::empty());
    let Ok(request) = request else { return Ok(Timestamp::now()) };
    let answer = connection.client.send(request).await?;
    let date = answer.headers().get(http::header::DATE).and_then(|date| date.to_str().ok());
    let time = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok());
    Ok(time.map_or_else(Timestamp::now, |time| time.timestamp()))
}
