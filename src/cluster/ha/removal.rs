//! Takes jobs out of high-availability data, or removes it whole, so that a JobManager that starts meanwhile sees either
//! all of a job or nothing of it, and wins where it was first.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{DeleteParams, ObjectMeta, PostParams, Preconditions};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::evidence::{still_crashing, unattended};
use super::verdict::{Situation, User};
use super::{HaState, backup, record, server_time, standstill, state_of};
use crate::cluster::access::{self, Right};
use crate::cluster::workload::Workload;
use crate::cluster::{Connection, FIELD_MANAGER, cleanup};
use crate::error::{Error, Result};
use crate::flink::ha::{
    APP_LABEL, HaMap, LEADER_ANNOTATION, LeaderRecord, MapKind, Pointer, TYPE_LABEL, cluster_config_map,
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

impl Removed {
    /// Nothing is gone.
    pub fn is_empty(&self) -> bool {
        self.config_maps.is_empty() && self.entries.is_empty()
    }
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
    /// A JobManager cannot be stopped without harm, rights are missing, or the API server does not answer.
    pub async fn preflight(&self, connection: &Connection) -> Result<()> {
        for user in self.situation.crashing() {
            standstill::check(&user.workload).map_err(|error| error.context("nothing was removed"))?;
        }
        access::require(connection, self.rights(), "nothing was removed").await
    }

    /// Whether an entry of a shared ConfigMap belongs to one of the jobs.
    fn takes(&self, key: &str) -> bool {
        is_of(key).is_some_and(|id| self.jobs.contains(id))
    }

    /// Whether a ConfigMap goes with all that stands in it.
    fn takes_all_of(&self, map: &HaMap) -> bool {
        match &map.kind {
            MapKind::Job(job) => self.jobs.contains(job),
            MapKind::Cluster | MapKind::LegacyLeader => self.whole,
        }
    }

    /// The entries that go of a ConfigMap that stays.
    fn entries<'s>(&'s self, map: &'s HaMap) -> impl Iterator<Item = &'s Pointer> {
        map.pointers.iter().filter(|pointer| !self.takes_all_of(map) && self.takes(&pointer.key))
    }

    /// The ConfigMaps of which something goes.
    fn maps<'s>(&'s self, state: &'s HaState) -> impl Iterator<Item = &'s HaMap> {
        state.maps.iter().filter(|map| self.takes_all_of(map) || self.entries(map).next().is_some())
    }

    /// What goes, as it would be said afterwards.
    pub fn expected(&self) -> Removed {
        let mut expected = Removed::default();
        for map in self.maps(&self.situation.state) {
            if self.takes_all_of(map) {
                expected.config_maps.push(map.name.clone());
            }
            expected.entries.extend(self.entries(map).map(|pointer| format!("{}/{}", map.name, pointer.key)));
            expected.files.extend(self.files(map));
        }
        expected
    }

    /// The files of the jobs that entries of this ConfigMap point to, and that may be there.
    fn files(&self, map: &HaMap) -> impl Iterator<Item = String> {
        let goes = |pointer: &&Pointer| {
            let job = match &map.kind {
                MapKind::Job(job) => Some(job.as_str()),
                MapKind::Cluster | MapKind::LegacyLeader => pointer.target.id(),
            };
            job.is_some_and(|job| self.jobs.contains(job) && !self.situation.is_gone(job, pointer))
        };
        map.pointers.iter().filter(goes).filter_map(|pointer| pointer.path.clone())
    }
}

/// The job or application that an entry of a shared ConfigMap belongs to.
fn is_of(key: &str) -> Option<&str> {
    // What a leader begins with, who leads the job, and whether it runs (up to Flink 1.14).
    let prefixes = [
        "jobGraph-",
        "executionPlan-",
        "application-",
        "org.apache.flink.k8s.leader.job-",
        "org.apache.flink.k8s.leader.",
        "runningJobsRegistry-",
    ];
    prefixes.iter().find_map(|prefix| key.strip_prefix(prefix))
}

/// Removes it: stops JobManagers that crash on it, writes a copy to `folder` (none: no copy), takes the lease and the
/// entries in one write, then the ConfigMaps one by one, each only as it was seen, and starts the JobManagers again.
/// `removed` is told what is gone, also where the rest fails.
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
    removed: &mut Removed,
) -> Result<()> {
    let users: Vec<&User> = removal.situation.crashing().collect();
    let judged = &removal.situation.state;
    if users.is_empty() {
        return take_out(connection, removal, judged, folder, &progress, removed).await;
    }
    let mut stopped = Vec::new();
    let at_rest = async {
        // Time has passed since it was judged: there was a question to answer.
        still_crashing(connection, removal.situation).await?;
        for user in &users {
            progress(&format!("{} is stopped", user.reference));
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
        Ok(state) => take_out(connection, removal, &state, folder, &progress, removed).await,
        Err(error) => Err(error),
    };
    for (stopped, user) in stopped.into_iter().zip(&users) {
        if let Err(error) = stopped.resume().await {
            return Err(outcome.err().unwrap_or(error).hint(format!(
                "{} is still stopped; run the same command again, or: {}",
                user.reference,
                standstill::command(&user.workload, user.workload.replicas)
            )));
        }
        removed.restarted.push(user.reference.clone());
    }
    outcome
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
    removed: &mut Removed,
) -> Result<()> {
    let api: Api<ConfigMap> = Api::namespaced(connection.client.clone(), &state.namespace);
    progress("reading them once more");
    let mut maps: Vec<(&HaMap, ConfigMap)> = Vec::new();
    for seen in removal.maps(state) {
        let Some(map) = api.get_opt(&seen.name).await? else { continue };
        as_seen(seen, &map)?;
        maps.push((seen, map));
    }
    if maps.is_empty() {
        return Ok(());
    }
    if let Some(folder) = folder {
        // The cluster's comes last: it leads to the others.
        maps.sort_by_key(|(seen, _)| !matches!(seen.kind, MapKind::Job(_)));
        let copy = |(seen, map): &(&HaMap, ConfigMap)| {
            backup::copy(map, |key| removal.takes_all_of(seen) || removal.takes(key))
        };
        let copies: Vec<ConfigMap> = maps.iter().map(copy).collect();
        removed.backup = Some(backup::write(folder, &state.namespace, &state.cluster_id, &copies)?);
    }
    let files: Vec<String> = maps.iter().flat_map(|(seen, _)| removal.files(seen)).collect();
    let mut held = match take_lease(&api, connection, removal, state, &mut maps, removed, progress).await {
        Ok(held) => held,
        Err(NotTaken { error, unchanged }) => {
            if let Some(path) = removed.backup.take_if(|_| unchanged) {
                // It has what is still there.
                let _ = std::fs::remove_file(path);
            }
            return Err(error);
        }
    };
    removed.files = files;
    let outcome = delete_all(&api, removal, state, &maps, &mut held, removed, progress).await;
    if outcome.is_ok() && held.end == End::Nothing {
        return Ok(());
    }
    let ended = held.let_go().await.map_err(|error| {
        error.hint(
            "the lease may still be taken, and then no JobManager leads for 11 minutes: the same command gives it back",
        )
    });
    match (outcome, ended) {
        (Err(error), Err(of_lease)) => Err(of_lease.hints.into_iter().fold(error, Error::hint)),
        (outcome, ended) => outcome.and(ended.map(drop)),
    }
}

/// The lease could not be taken.
struct NotTaken {
    error: Error,
    /// Nothing has been written, for certain.
    unchanged: bool,
}

impl<E: Into<Error>> From<E> for NotTaken {
    fn from(error: E) -> Self {
        NotTaken { error: error.into(), unchanged: true }
    }
}

/// Takes the lease, and in the same write the entries: who reads the one without us has read the others before. Of `maps`
/// that one is taken.
async fn take_lease(
    api: &Api<ConfigMap>,
    connection: &Connection,
    removal: &Removal<'_>,
    state: &HaState,
    maps: &mut Vec<(&HaMap, ConfigMap)>,
    removed: &mut Removed,
    progress: &impl Fn(&str),
) -> Result<Held, NotTaken> {
    let name = state.cluster_map().map_or_else(|| cluster_config_map(&state.cluster_id), |map| map.name.clone());
    progress(&format!("taking the lease in configmap/{name}"));
    let own = maps.iter().position(|(seen, _)| seen.name == name).map(|index| maps.remove(index).1);
    let own = match (own, state.cluster_map()) {
        (None, Some(seen)) => {
            // Nothing of it goes, or it has gone since.
            let map = api.get_opt(&name).await?.ok_or_else(|| changed(&name))?;
            as_seen(seen, &map)?;
            Some(map)
        }
        (own, _) => own,
    };
    let existed = own.is_some();
    let mut map = own.unwrap_or_else(|| blank(&name, &state.namespace, &state.cluster_id));
    let before = map.metadata.annotations.as_ref().and_then(|all| all.get(LEADER_ANNOTATION));
    let now = server_time(connection).await?;
    let given_back = || LeaderRecord::taken_by("", now, before.map(String::as_str));
    let end = if existed { End::GiveBack(given_back()) } else { End::Delete };
    let holder = format!("{HOLDER}{}", std::process::id());
    let lease = LeaderRecord::taken_by(&holder, now + CLOCKS, before.map(String::as_str));
    set_lease(&mut map, lease.clone());
    let entries = strip(&mut map, removal);
    let write = {
        let (api, name) = (api.clone(), name.clone());
        async move {
            if existed {
                api.replace(&name, &written_by_us(), &map).await
            } else {
                api.create(&written_by_us(), &map).await
            }
        }
    };
    // A request that is broken off may be carried out all the same: this one goes on when the command is.
    let mut held = Held { api: api.clone(), name, lease, end, writing: Some(tokio::spawn(write)), map: None, entries };
    match held.written().await {
        Ok(()) => Ok(held),
        Err(kube::Error::Api(status))
            if status.is_conflict() || status.is_already_exists() || status.is_not_found() =>
        {
            held.end = End::Nothing;
            Err(changed(&held.name).into())
        }
        Err(error) => {
            let error = Error::from(error);
            let entries = held.entries.clone();
            // An answer that was lost is no refusal.
            let error = if matches!(held.let_go().await, Ok(true)) {
                removed.entries = entries;
                error
            } else {
                // It may still be under way.
                error.hint("it is not known what was removed: run the same command again")
            };
            Err(NotTaken { error, unchanged: false })
        }
    }
}

/// Takes the jobs' entries out of a shared ConfigMap; gives them as `CONFIGMAP/KEY`.
fn strip(map: &mut ConfigMap, removal: &Removal<'_>) -> Vec<String> {
    let name = map.metadata.name.clone().unwrap_or_default();
    let data = map.data.get_or_insert_default();
    let entries = data.keys().filter(|key| removal.takes(key)).map(|key| format!("{name}/{key}")).collect();
    data.retain(|key, _| !removal.takes(key));
    entries
}

/// What follows when the lease is ours.
async fn delete_all(
    api: &Api<ConfigMap>,
    removal: &Removal<'_>,
    state: &HaState,
    maps: &[(&HaMap, ConfigMap)],
    held: &mut Held,
    removed: &mut Removed,
    progress: &impl Fn(&str),
) -> Result<()> {
    let own = held.map.as_ref();
    let whole = removal.whole && own.and_then(HaMap::read).is_none_or(|map| map.pointers.is_empty());
    removed.entries.clone_from(&held.entries);
    for (seen, map) in maps {
        let name = &seen.name;
        progress(&format!("configmap/{name}"));
        if removal.takes_all_of(seen) {
            delete(api, name, &map.metadata).await?;
            removed.config_maps.push(name.clone());
        } else {
            let mut map = map.clone();
            let entries = strip(&mut map, removal);
            api.replace(name, &written_by_us(), &map).await?;
            removed.entries.extend(entries);
        }
    }
    let existed = state.cluster_map().is_some();
    if whole || !existed {
        progress(&format!("configmap/{}", held.name));
        if let Some(own) = own {
            delete(api, &held.name, &own.metadata).await?;
        }
        held.end = End::Nothing;
        if existed {
            // They have gone with it.
            removed.entries.drain(..held.entries.len());
            removed.config_maps.push(held.name.clone());
        }
    }
    Ok(())
}

/// How a lease of ours is ended.
#[derive(Debug, Clone, PartialEq, Eq)]
enum End {
    /// As a JobManager does that ends in order: with this lease.
    GiveBack(String),
    /// Together with the ConfigMap, which was made for it.
    Delete,
    /// It is not ours, or is ended.
    Nothing,
}

/// A lease that is being taken, or is ours.
struct Held {
    api: Api<ConfigMap>,
    name: String,
    /// As it is written.
    lease: String,
    end: End,
    /// The write, until it is answered.
    writing: Option<JoinHandle<kube::Result<ConfigMap>>>,
    /// The ConfigMap as it was written.
    map: Option<ConfigMap>,
    /// What went with the same write, as `CONFIGMAP/KEY`.
    entries: Vec<String>,
}

impl Held {
    /// Waits for the write.
    async fn written(&mut self) -> kube::Result<()> {
        if let Some(writing) = &mut self.writing {
            let answer = writing.await;
            self.writing = None;
            self.map = Some(answer.map_err(|error| kube::Error::Service(Box::new(error)))??);
        }
        Ok(())
    }

    /// Ends it. One that has taken the lease meanwhile keeps it. Whether it was ours.
    async fn let_go(mut self) -> Result<bool> {
        let was_ours = release(&self.api, &self.name, &self.lease, &self.end).await?;
        self.end = End::Nothing;
        Ok(was_ours)
    }
}

/// Also when the command is broken off: nobody could lead until the lease is over.
impl Drop for Held {
    fn drop(&mut self) {
        let end = std::mem::replace(&mut self.end, End::Nothing);
        if end == End::Nothing {
            return;
        }
        let (api, name, lease, writing) =
            (self.api.clone(), self.name.clone(), self.lease.clone(), self.writing.take());
        cleanup::begin(async move {
            if let Some(writing) = writing {
                let _ = writing.await;
            }
            let _ = release(&api, &name, &lease, &end).await;
        });
    }
}

/// Ends a lease, if it is still the one; whether it was.
async fn release(api: &Api<ConfigMap>, name: &str, lease: &str, end: &End) -> Result<bool> {
    // Who writes something else in it meanwhile does not lead.
    for _ in 0..3 {
        let Some(map) = api.get_opt(name).await? else { return Ok(false) };
        let now = map.metadata.annotations.as_ref().and_then(|all| all.get(LEADER_ANNOTATION));
        if now.map(String::as_str) != Some(lease) {
            return Ok(false);
        }
        let ended = match end {
            End::GiveBack(lease) => write_back(api, map, lease.clone()).await?,
            End::Delete => delete(api, name, &map.metadata).await.is_ok(),
            End::Nothing => true,
        };
        if ended {
            return Ok(true);
        }
    }
    Err(changed(name))
}

/// How long ago another command like this took the lease; none where nobody did. By the API server's clock, both.
pub fn taken(state: &HaState, now: Timestamp) -> Option<SignedDuration> {
    let lease = state.maps.iter().filter_map(ours).find_map(|lease| lease.renew_time)?;
    Some(now.duration_since(lease - CLOCKS))
}

/// The lease of a ConfigMap, if a command like this has it.
fn ours(map: &HaMap) -> Option<&LeaderRecord> {
    map.lease.as_ref().filter(|lease| lease.holder.as_deref().is_some_and(|holder| holder.starts_with(HOLDER)))
}

/// Gives back a lease that a command which was ended by force has left; whether there was one.
///
/// # Errors
/// The ConfigMap may not be written, or the API server does not answer.
pub async fn give_back_forgotten(connection: &Connection, state: &HaState) -> Result<bool> {
    let Some(seen) = state.maps.iter().find(|map| ours(map).is_some()) else { return Ok(false) };
    let api: Api<ConfigMap> = Api::namespaced(connection.client.clone(), &state.namespace);
    let Some(map) = api.get_opt(&seen.name).await? else { return Ok(false) };
    if as_seen(seen, &map).is_err() {
        return Ok(false);
    }
    let before = map.metadata.annotations.as_ref().and_then(|all| all.get(LEADER_ANNOTATION));
    let lease = LeaderRecord::taken_by("", server_time(connection).await?, before.map(String::as_str));
    write_back(&api, map, lease).await
}

/// Whether it was written: not if somebody has written it meanwhile.
async fn write_back(api: &Api<ConfigMap>, mut map: ConfigMap, lease: String) -> Result<bool> {
    set_lease(&mut map, lease);
    match api.replace(map.metadata.name.as_deref().unwrap_or_default(), &written_by_us(), &map).await {
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => Ok(false),
        written => Ok(written.map(|_| true)?),
    }
}

fn written_by_us() -> PostParams {
    PostParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PostParams::default() }
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

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::flink::ha::Target;

    const ONE: &str = "7601318e4ccd7281759507f40830fea9";
    const OTHER: &str = "852dfba09b17b909e3d7272e6fa2506c";

    fn state(maps: &[(&str, Value, Value)]) -> HaState {
        let map = |(name, annotations, data): &(&str, Value, Value)| {
            let map = json!({"metadata": {"name": name, "annotations": annotations}, "data": data});
            HaMap::read(&serde_json::from_value(map).unwrap()).unwrap()
        };
        HaState { maps: maps.iter().map(map).collect(), ..HaState::empty("default", "flink") }
    }

    #[test]
    fn keys_of_a_job() {
        for key in ["jobGraph-", "executionPlan-", "application-", "runningJobsRegistry-"] {
            assert_eq!(is_of(&format!("{key}{ONE}")), Some(ONE));
        }
        for key in ["org.apache.flink.k8s.leader.", "org.apache.flink.k8s.leader.job-"] {
            assert_eq!(is_of(&format!("{key}{ONE}")), Some(ONE));
        }
        assert_eq!(is_of("checkpointID-0000000000000000012"), None);
        assert_eq!(Target::of_key("counter"), None);
    }

    /// Of data of two generations, what other jobs share with the one that goes stays.
    #[test]
    fn what_is_shared_stays() {
        let graphs = json!({ format!("jobGraph-{ONE}"): "rO0ABX", format!("jobGraph-{OTHER}"): "rO0ABX" });
        let job = format!("flink-{ONE}-config-map");
        let state = state(&[
            ("flink-cluster-config-map", json!({}), graphs.clone()),
            ("flink-dispatcher-leader", json!({}), graphs),
            (&job, json!({}), json!({"counter": "3"})),
        ]);
        assert_eq!(state.jobs(), [ONE, OTHER]);
        let situation = Situation::unattended(state);
        let removal = Removal { situation: &situation, jobs: [ONE.to_owned()].into(), whole: false };
        let expected = removal.expected();
        assert_eq!(expected.config_maps, [job]);
        let entry = |map: &str| format!("flink-{map}/jobGraph-{ONE}");
        assert_eq!(expected.entries, [entry("cluster-config-map"), entry("dispatcher-leader")]);
        assert_eq!(Removal::all(&situation).expected().config_maps.len(), 3);
    }

    #[test]
    fn how_long_ago_a_lease_was_taken() {
        let now: Timestamp = "2026-11-20T12:00:00Z".parse().unwrap();
        let of = |holder: &str| {
            let lease = LeaderRecord::taken_by(holder, now + CLOCKS, None);
            taken(
                &state(&[("flink-cluster-config-map", json!({ LEADER_ANNOTATION: lease }), json!({}))]),
                now + SignedDuration::from_secs(7),
            )
        };
        assert_eq!(of("kubectl-flink-12"), Some(SignedDuration::from_secs(7)));
        assert_eq!(of("c8e02db4"), None);
        assert_eq!(of(""), None);
    }
}
