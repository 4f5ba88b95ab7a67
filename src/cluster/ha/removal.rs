//! Takes jobs out of high-availability data, or removes it whole, so that a JobManager that starts meanwhile sees either
//! all of a job or nothing of it, and wins where it was first.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, ObjectMeta, PostParams, Preconditions};
use tokio::time::Instant;

use super::evidence::{still_crashing, unattended};
use super::verdict::{Situation, User};
use super::{HaState, backup, record, server_time, standstill, state_of};
use crate::cluster::access::{self, Right};
use crate::cluster::workload::Workload;
use crate::cluster::{Connection, FIELD_MANAGER, cleanup};
use crate::error::{Error, Result};
use crate::flink::ha::{
    APP_LABEL, HaMap, LEADER_ANNOTATION, LeaderRecord, MapKind, TYPE_LABEL, Target, cluster_config_map,
};

/// How much further than the API server's a JobManager's clock may be, and how long the removal may take: it judges by its
/// own clock whether our lease is over.
const CLOCKS: SignedDuration = SignedDuration::from_mins(11);

/// What the name begins with under which we hold a lease.
const HOLDER: &str = "kubectl-flink-";

/// What is to be removed of a cluster's data.
#[derive(Debug, Clone)]
pub struct Removal<'a> {
    /// The data, as it was judged.
    pub situation: &'a Situation,
    /// The jobs, and the applications of Flink 2.3, whose entries and ConfigMaps go.
    pub jobs: BTreeSet<String>,
    /// Nothing stays: the ConfigMaps that the jobs share go too.
    pub whole: bool,
}

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// ConfigMaps that are gone.
    pub config_maps: Vec<String>,
    /// Entries that were taken out of a ConfigMap that stays, as `CONFIGMAP/KEY`.
    pub entries: Vec<String>,
    /// Where the copy is.
    pub backup: Option<PathBuf>,
    /// The files that they pointed to: nobody else removes them.
    pub files: Vec<String>,
    /// Workloads that were stopped and started again.
    pub restarted: Vec<String>,
}

impl<'a> Removal<'a> {
    /// Everything.
    pub fn all(situation: &'a Situation) -> Self {
        Removal { situation, jobs: situation.judge().jobs.into_keys().collect(), whole: true }
    }

    /// What the caller needs for it.
    pub fn rights(&self) -> Vec<Right> {
        let namespace = Some(self.situation.state.namespace.as_str());
        let mut rights: Vec<Right> =
            ["get", "update", "delete"].into_iter().map(|verb| Right::new(verb, "", "configmaps", namespace)).collect();
        if self.situation.state.cluster_map().is_none() {
            rights.push(Right::new("create", "", "configmaps", namespace));
        }
        for user in self.situation.crashing() {
            rights.push(standstill::right(&user.workload));
            rights.push(Right::new("list", "", "pods", Some(user.workload.namespace())));
        }
        rights
    }

    /// Refuses before anything is changed if not everything can be.
    ///
    /// # Errors
    /// Rights are missing, or the API server does not answer.
    pub async fn preflight(&self, connection: &Connection) -> Result<()> {
        if let Some(user) = self.situation.crashing().find(|user| !standstill::is_possible(&user.workload)) {
            return Err(Error::could_not_run(format!("nothing was removed: {} cannot be scaled to 0", user.reference))
                .hint("delete it, or scale to 0 what makes it, and run the same command again"));
        }
        let denied = access::denied_to_caller(connection, self.rights()).await?;
        if denied.is_empty() {
            return Ok(());
        }
        let denied: Vec<_> = denied.iter().map(ToString::to_string).collect();
        Err(Error::could_not_run(format!(
            "nothing was removed: you lack rights in namespace {}: {}",
            self.situation.state.namespace,
            denied.join(", ")
        )))
    }

    /// Whether an entry of a shared ConfigMap belongs to one of the jobs.
    fn takes(&self, key: &str) -> bool {
        let id = match Target::of_key(key) {
            Some(Target::JobGraph(id) | Target::ExecutionPlan(id) | Target::Application(id)) => id,
            Some(Target::Checkpoint(_)) => return false,
            None => {
                // Who leads the job, and whether it runs (up to Flink 1.14).
                let of_job =
                    ["org.apache.flink.k8s.leader.job-", "org.apache.flink.k8s.leader.", "runningJobsRegistry-"];
                let Some(id) = of_job.iter().find_map(|prefix| key.strip_prefix(prefix)) else { return false };
                id.to_owned()
            }
        };
        self.jobs.contains(&id)
    }

    /// The ConfigMaps of which something goes.
    fn maps<'s>(&'s self, state: &'s HaState) -> impl Iterator<Item = &'s HaMap> {
        state.maps.iter().filter(|map| match &map.kind {
            MapKind::Job(job) => self.jobs.contains(job),
            MapKind::Cluster | MapKind::LegacyLeader => {
                self.whole || map.pointers.iter().any(|pointer| self.takes(&pointer.key))
            }
        })
    }
}

/// Removes it: stops JobManagers that crash on it, writes a copy to `folder` (none: no copy), takes the lease and the
/// entries in one write, then the ConfigMaps one by one, each only as it was seen, and starts the JobManagers again.
///
/// Whatever is interrupted is finished by doing the same again: without its entries a job's ConfigMap is one that the
/// cluster does not know, and the workload says how many pods it had.
///
/// # Errors
/// A JobManager has taken the lease or changed the data, the copy cannot be written, pods do not end until `deadline`, or
/// what the API server says. Nothing that was not seen before is removed.
pub async fn remove(
    connection: &Connection,
    removal: &Removal<'_>,
    folder: Option<&Path>,
    deadline: Instant,
    progress: impl Fn(&str),
) -> Result<Removed> {
    let users: Vec<&User> = removal.situation.crashing().collect();
    let judged = &removal.situation.state;
    if users.is_empty() {
        return take_out(connection, removal, judged, folder, &progress).await;
    }
    let mut stopped = Vec::new();
    let at_rest = async {
        // Time has passed since it was judged: there was a question to answer.
        still_crashing(connection, removal.situation).await?;
        for user in &users {
            progress(&format!("{} is scaled to 0", user.reference));
            stopped.push(Stopped { connection: connection.clone(), workload: Some(user.workload.clone()) });
            standstill::rest(connection, user, deadline, |left| progress(&format!("waiting for the end of {left}")))
                .await?;
        }
        // Each start has taken the lease: from here on nobody writes it any more.
        let state = state_of(connection, &judged.namespace, &judged.cluster_id).await?;
        for seen in removal.maps(judged) {
            let now = state.maps.iter().find(|map| map.name == seen.name);
            if now.is_none_or(|now| now.uid != seen.uid || now.pointers != seen.pointers) {
                return Err(changed(&seen.name));
            }
        }
        // Another JobManager of the same id would take over now.
        unattended(connection, state, &progress).await.map(|situation| situation.state)
    };
    let outcome = match at_rest.await {
        Ok(state) => take_out(connection, removal, &state, folder, &progress).await,
        Err(error) => Err(error),
    };
    let mut restarted = Vec::new();
    for (stopped, user) in stopped.into_iter().zip(&users) {
        if let Err(error) = stopped.resume().await {
            let (reference, namespace) = (&user.reference, user.workload.namespace());
            let error = outcome.err().unwrap_or(error);
            return Err(error.hint(format!(
                "{reference} is still scaled to 0; run the same command again, or: kubectl scale {reference} \
                 -n {namespace} --replicas={}",
                user.workload.replicas
            )));
        }
        restarted.push(user.reference.clone());
    }
    outcome.map(|removed| Removed { restarted, ..removed })
}

/// A workload that was stopped for the removal.
struct Stopped {
    connection: Connection,
    /// None once it is started again.
    workload: Option<Workload>,
}

impl Stopped {
    async fn resume(mut self) -> Result<()> {
        if let Some(workload) = &self.workload {
            standstill::resume(&self.connection, workload, workload.replicas).await?;
        }
        self.workload = None;
        Ok(())
    }
}

/// Also when the command is broken off.
impl Drop for Stopped {
    fn drop(&mut self) {
        let Some(workload) = self.workload.take() else { return };
        let connection = self.connection.clone();
        cleanup::begin(async move {
            let _ = standstill::resume(&connection, &workload, workload.replicas).await;
        });
    }
}

/// The part that changes the ConfigMaps.
async fn take_out(
    connection: &Connection,
    removal: &Removal<'_>,
    state: &HaState,
    folder: Option<&Path>,
    progress: &impl Fn(&str),
) -> Result<Removed> {
    let api: Api<ConfigMap> = Api::namespaced(connection.client.clone(), &state.namespace);
    progress("reading them once more");
    let mut maps: BTreeMap<String, ConfigMap> = BTreeMap::new();
    for seen in removal.maps(state) {
        let Some(map) = api.get_opt(&seen.name).await? else { continue };
        as_seen(seen, &map)?;
        maps.insert(seen.name.clone(), map);
    }
    if maps.is_empty() {
        return Ok(Removed::default());
    }
    let is_shared = |name: &str| {
        let kind = state.maps.iter().find(|map| map.name == name).map(|map| &map.kind);
        !matches!(kind, Some(MapKind::Job(_)))
    };
    let mut removed = Removed::default();
    for map in maps.values().filter_map(HaMap::read) {
        for pointer in &map.pointers {
            let job = match (&pointer.target, &map.kind) {
                (Target::JobGraph(id) | Target::ExecutionPlan(id) | Target::Application(id), _) => id,
                (Target::Checkpoint(_), MapKind::Job(job)) => job,
                (Target::Checkpoint(_), _) => continue,
            };
            if removal.jobs.contains(job) && !removal.situation.is_gone(job, pointer) {
                removed.files.extend(pointer.path.clone());
            }
        }
    }
    if let Some(folder) = folder {
        // The cluster's comes last: it leads to the others.
        let (shared, of_jobs): (Vec<_>, Vec<_>) = maps.iter().partition(|(name, _)| is_shared(name));
        let copies: Vec<ConfigMap> = (of_jobs.into_iter().chain(shared))
            .map(|(name, map)| backup::copy(map, |key| !is_shared(name) || removal.whole || removal.takes(key)))
            .collect();
        removed.backup = Some(backup::write(folder, &state.namespace, &state.cluster_id, &copies)?);
    }
    let outcome = delete_all(&api, connection, removal, state, maps, &mut removed, progress).await;
    outcome.map_err(|error| match &removed.backup {
        Some(path) => error.hint(format!("the copy is in {}", path.display())),
        None => error,
    })?;
    Ok(removed)
}

async fn delete_all(
    api: &Api<ConfigMap>,
    connection: &Connection,
    removal: &Removal<'_>,
    state: &HaState,
    mut maps: BTreeMap<String, ConfigMap>,
    removed: &mut Removed,
    progress: &impl Fn(&str),
) -> Result<()> {
    // The lease, and in the same write the entries: who reads the one without us has read the others before.
    let holder = format!("{HOLDER}{}", std::process::id());
    let name = state.cluster_map().map_or_else(|| cluster_config_map(&state.cluster_id), |map| map.name.clone());
    progress(&format!("taking the lease in configmap/{name}"));
    let own = match (maps.remove(&name), state.cluster_map()) {
        (Some(map), _) => Some(map),
        // Nothing of it goes, or it has gone since.
        (None, Some(seen)) => {
            let map = api.get_opt(&name).await?.ok_or_else(|| changed(&name))?;
            as_seen(seen, &map)?;
            Some(map)
        }
        (None, None) => None,
    };
    let existed = own.is_some();
    let mut map = own.unwrap_or_else(|| blank(&name, &state.namespace, &state.cluster_id));
    let before = map.metadata.annotations.as_ref().and_then(|all| all.get(LEADER_ANNOTATION));
    let now = server_time(connection).await?;
    let given_back = LeaderRecord::taken_by("", now, before.map(String::as_str));
    let lease = LeaderRecord::taken_by(&holder, now + CLOCKS, before.map(String::as_str));
    set_lease(&mut map, lease);
    let data = map.data.get_or_insert_default();
    let entries: Vec<String> = data.keys().filter(|key| removal.takes(key)).cloned().collect();
    data.retain(|key, _| !removal.takes(key));
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    let written = if existed { api.replace(&name, &params, &map).await } else { api.create(&params, &map).await };
    let mut held = match written {
        Ok(map) => Held { api: api.clone(), map, given_back: Some(given_back) },
        Err(kube::Error::Api(status))
            if status.is_conflict() || status.is_already_exists() || status.is_not_found() =>
        {
            return Err(changed(&name));
        }
        Err(error) => return Err(error.into()),
    };
    let whole = removal.whole && HaMap::read(&held.map).is_none_or(|map| map.pointers.is_empty());
    if !whole {
        removed.entries.extend(entries.iter().map(|key| format!("{name}/{key}")));
    }
    let deleted = async {
        for (name, map) in &maps {
            progress(&format!("configmap/{name}"));
            delete(api, name, &map.metadata).await?;
            removed.config_maps.push(name.clone());
        }
        if whole || !existed {
            progress(&format!("configmap/{name}"));
            delete(api, &name, &held.map.metadata).await?;
            if existed {
                removed.config_maps.push(name.clone());
            }
        }
        Ok(())
    };
    let deleted = deleted.await;
    if deleted.is_ok() && (whole || !existed) {
        held.given_back = None;
        return Ok(());
    }
    deleted.and(held.give_back().await)
}

/// A lease that is ours.
struct Held {
    api: Api<ConfigMap>,
    /// The ConfigMap as we have written it.
    map: ConfigMap,
    /// The lease as it is given back; none once it is, or the ConfigMap has gone.
    given_back: Option<String>,
}

impl Held {
    /// Gives it back as a JobManager does that ends in order. One that has taken it meanwhile keeps it.
    async fn give_back(mut self) -> Result<()> {
        if let Some(lease) = self.given_back.clone() {
            write_back(&self.api, self.map.clone(), lease).await?;
        }
        self.given_back = None;
        Ok(())
    }
}

/// Also when the command is broken off: nobody could lead until the lease is over.
impl Drop for Held {
    fn drop(&mut self) {
        let Some(lease) = self.given_back.take() else { return };
        let (api, map) = (self.api.clone(), self.map.clone());
        cleanup::begin(async move {
            let _ = write_back(&api, map, lease).await;
        });
    }
}

/// Gives back a lease that a command which was ended by force has left; whether there was one.
///
/// # Errors
/// The ConfigMap may not be written, or the API server does not answer.
pub async fn give_back_forgotten(connection: &Connection, state: &HaState) -> Result<bool> {
    let is_ours = |map: &&HaMap| {
        let holder = map.lease.as_ref().and_then(|lease| lease.holder.as_deref());
        holder.is_some_and(|holder| holder.starts_with(HOLDER))
    };
    let Some(seen) = state.maps.iter().find(is_ours) else { return Ok(false) };
    let api: Api<ConfigMap> = Api::namespaced(connection.client.clone(), &state.namespace);
    let Some(map) = api.get_opt(&seen.name).await? else { return Ok(false) };
    if as_seen(seen, &map).is_err() {
        return Ok(false);
    }
    let before = map.metadata.annotations.as_ref().and_then(|all| all.get(LEADER_ANNOTATION));
    let lease = LeaderRecord::taken_by("", server_time(connection).await?, before.map(String::as_str));
    write_back(&api, map, lease).await?;
    Ok(true)
}

async fn write_back(api: &Api<ConfigMap>, mut map: ConfigMap, lease: String) -> Result<()> {
    set_lease(&mut map, lease);
    let params = PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() };
    match api.replace(map.metadata.name.as_deref().unwrap_or_default(), &params, &map).await {
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => Ok(()),
        written => Ok(written.map(drop)?),
    }
}

fn set_lease(map: &mut ConfigMap, lease: String) {
    record::carry_over(map, &lease);
    map.metadata.annotations.get_or_insert_default().insert(LEADER_ANNOTATION.to_owned(), lease);
}

/// What is removed has to be what was judged, to the last write: a lease that has moved is a JobManager that lives.
fn as_seen(seen: &HaMap, now: &ConfigMap) -> Result<()> {
    let metadata = &now.metadata;
    let same =
        metadata.uid.as_ref() == Some(&seen.uid) && metadata.resource_version.as_ref() == Some(&seen.resource_version);
    if same { Ok(()) } else { Err(changed(&seen.name)) }
}

fn changed(name: &str) -> Error {
    Error::could_not_run(format!(
        "nothing was removed: configmap/{name} has changed since it was judged: a JobManager may have started"
    ))
    .hint("look again: run the same command once more")
}

/// Deletes a ConfigMap as it was seen; one that has gone meanwhile is as good.
async fn delete(api: &Api<ConfigMap>, name: &str, seen: &ObjectMeta) -> Result<()> {
    let preconditions = Some(Preconditions { uid: seen.uid.clone(), resource_version: seen.resource_version.clone() });
    match api.delete(name, &DeleteParams { preconditions, ..DeleteParams::default() }).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(kube::Error::Api(status)) if status.is_conflict() => Err(Error::could_not_run(format!(
            "configmap/{name} was not removed: it has changed meanwhile: a JobManager has started"
        ))
        .hint("look again: run the same command once more")),
        Err(error) => Err(error.into()),
    }
}

/// A cluster's ConfigMap as a JobManager makes it, to hold the lease where there is none.
fn blank(name: &str, namespace: &str, cluster_id: &str) -> ConfigMap {
    let labels = [(APP_LABEL, cluster_id), TYPE_LABEL];
    ConfigMap {
        metadata: ObjectMeta {
            name: Some(name.to_owned()),
            namespace: Some(namespace.to_owned()),
            labels: Some(labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect()),
            ..ObjectMeta::default()
        },
        ..ConfigMap::default()
    }
}
