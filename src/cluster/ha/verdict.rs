//! What high-availability data is still good for, judged from what was learnt. No I/O.
//!
//! The order of caution: whatever may belong to a JobManager that runs is *live*; whatever may bring a job back is
//! *recoverable*; only what is proven to lead nowhere is *dead*; what neither holds jobs nor checkpoints is *leftover*;
//! the rest is *unknown*.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::{PersistentVolumeClaimVolumeSource, PodSpec, Volume};
use serde::Serialize;

use super::HaState;
use super::record::Record;
use crate::cluster::probe::{self, Presence};
use crate::cluster::workload::Workload;
use crate::flink::ha::{HaMap, MapKind, Pointer};
use crate::flink::log::Unrecoverable;
use crate::flink::storage::{self, Storage};
use crate::manifests::secrets;

/// The label by which a node selector names one node.
const HOST_LABEL: &str = "kubernetes.io/hostname";

/// What is to be thought of a ConfigMap, or of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum Verdict {
    /// No job stands in it, and no checkpoint.
    Leftover,
    /// What it points to is proven to be gone.
    Dead,
    /// Neither is proven.
    Unknown,
    /// No cluster runs on it, and what it points to may still be there.
    Recoverable,
    /// A JobManager runs on it.
    Live,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Verdict::Leftover => "leftover",
            Verdict::Dead => "dead",
            Verdict::Unknown => "unknown",
            Verdict::Recoverable => "recoverable",
            Verdict::Live => "live",
        })
    }
}

/// A verdict with the facts that it rests on, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Judged {
    /// The verdict.
    pub verdict: Verdict,
    /// What it rests on.
    pub why: String,
}

impl Judged {
    fn new(verdict: Verdict, why: impl Into<String>) -> Self {
        // Old Hadoop file systems take their key in the path.
        Judged { verdict, why: secrets::hide_in_addresses(&why.into()) }
    }
}

/// A pod of a JobManager that has not ended.
#[derive(Debug, Clone, PartialEq)]
pub struct SeenPod {
    /// Its name.
    pub name: String,
    /// When it was made, by the API server's clock.
    pub created: Option<Timestamp>,
    /// What it does.
    pub state: PodState,
}

/// What a JobManager's pod does.
#[derive(Debug, Clone, PartialEq)]
pub enum PodState {
    /// It runs, or may do so, with the reason in words.
    Alive(String),
    /// It starts again and again, and ends because a job cannot be recovered.
    CrashesOnRecovery(Unrecoverable),
}

/// What goes by a cluster-id: the workload of its JobManagers.
#[derive(Debug, Clone)]
pub struct User {
    /// What makes the pods.
    pub workload: Workload,
    /// `deployment/x`.
    pub reference: String,
    /// Who made it, where that is an operator's resource.
    pub operator: Option<String>,
    /// What its pods were made from before: the entries may be older than the workload's present form. Or why that is not
    /// known.
    pub earlier: Result<Vec<PodSpec>, String>,
    /// `high-availability.storageDir`, where it is known.
    pub storage_dir: Option<String>,
    /// `fs.default-scheme`, if that is not the local file system: paths without a scheme are in this one.
    pub default_scheme: Option<String>,
    /// Its pods that have not ended.
    pub pods: Vec<SeenPod>,
    /// Why there may be pods that were not seen.
    pub pods_unseen: Option<String>,
}

/// What was seen of the lease in the time in which a living leader renews it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lease {
    /// There is none: no leader was ever elected, or the ConfigMap with it is gone.
    None,
    /// Somebody has written it; in which ConfigMap.
    Renewed(String),
    /// Nobody has written it for so long.
    Still(Duration),
    /// It was not watched.
    NotWatched,
}

/// A resource of the Flink Kubernetes Operator, or of a like one, of the name of the cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operator {
    /// There is none.
    None,
    /// It is this one, in words: `flinkdeployment/x, which is suspended`.
    Resource(String),
    /// It is not known, with the reason.
    Unknown(String),
}

/// Everything that the verdicts on one cluster's data rest on.
#[derive(Debug, Clone)]
pub struct Situation {
    /// The ConfigMaps.
    pub state: HaState,
    /// What goes by the cluster-id.
    pub users: Vec<User>,
    /// The lease.
    pub lease: Lease,
    /// The operator's resource.
    pub operator: Operator,
    /// Why something may go by the cluster-id that was not seen.
    pub unseen: Option<String>,
    /// What a probe has seen of the files, by path.
    pub seen: BTreeMap<String, Presence>,
}

/// The verdicts on one cluster's data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// On each ConfigMap, in the order of [`HaState::maps`].
    pub maps: Vec<Judged>,
    /// On each job, and each application of Flink 2.3, by its id.
    pub jobs: BTreeMap<String, Judged>,
}

impl Situation {
    /// Data that nothing goes by any more, as `down` knows.
    pub fn unattended(state: HaState) -> Self {
        let (users, operator) = (Vec::new(), Operator::None);
        Situation { state, users, lease: Lease::NotWatched, operator, unseen: None, seen: BTreeMap::new() }
    }

    /// Why a cluster lives on this data; none where none does.
    pub fn live(&self) -> Option<String> {
        let pods = || self.users.iter().flat_map(|user| &user.pods);
        let alive = pods().find_map(|pod| match &pod.state {
            PodState::Alive(why) => Some(format!("pod/{} {why}", pod.name)),
            PodState::CrashesOnRecovery(_) => None,
        });
        if alive.is_some() {
            return alive;
        }
        match &self.lease {
            // One that ends at each recovery has taken the lease before.
            Lease::Renewed(map) if pods().next().is_none() => {
                Some(format!("a JobManager that was not found here writes the lease in configmap/{map}"))
            }
            _ => None,
        }
    }

    /// Judges every ConfigMap and every job.
    pub fn judge(&self) -> Judgement {
        let live = self.live();
        let mut jobs: BTreeMap<String, Judged> =
            self.ids().into_iter().map(|id| (id.clone(), self.job(&id, live.as_deref()))).collect();
        let maps = self
            .state
            .maps
            .iter()
            .map(|map| match &map.kind {
                MapKind::Job(job) => self.withheld(map, live.as_deref()).unwrap_or_else(|| jobs[job].clone()),
                MapKind::Cluster | MapKind::LegacyLeader => self.shared_map(map, live.as_deref(), &jobs),
            })
            .collect();
        if live.is_none() {
            // What the ConfigMap may not lose, its job does not lose either.
            for map in &self.state.maps {
                if let (MapKind::Job(job), Some(judged)) = (&map.kind, self.withheld(map, None)) {
                    jobs.insert(job.clone(), judged);
                }
            }
        }
        Judgement { maps, jobs }
    }

    /// Jobs and applications, by their ids.
    fn ids(&self) -> BTreeSet<String> {
        let of_maps = self.state.jobs().into_iter().map(str::to_owned);
        let of_entries = self.shared_pointers().filter_map(|pointer| pointer.target.id().map(str::to_owned));
        of_maps.chain(of_entries).collect()
    }

    fn shared_pointers(&self) -> impl Iterator<Item = &Pointer> {
        let shared = self.state.maps.iter().filter(|map| !matches!(map.kind, MapKind::Job(_)));
        shared.flat_map(|map| &map.pointers)
    }

    /// What a job begins with, and its checkpoints.
    fn pointers(&self, id: &str) -> impl Iterator<Item = &Pointer> {
        let entries = self.shared_pointers().filter(move |pointer| pointer.target.id() == Some(id));
        entries.chain(self.state.job_map(id).into_iter().flat_map(|map| &map.pointers))
    }

    /// Reasons that have nothing to do with what stands in a ConfigMap.
    fn withheld(&self, map: &HaMap, live: Option<&str>) -> Option<Judged> {
        if let Some(why) = live {
            return Some(Judged::new(Verdict::Live, why));
        }
        if let Some(owner) = &map.owner {
            return Some(Judged::new(Verdict::Recoverable, format!("it belongs to {owner}, with which it goes")));
        }
        self.operators()
    }

    /// What an operator looks after is left to it.
    fn operators(&self) -> Option<Judged> {
        let resource = self.operators_resource()?;
        Some(Judged::new(Verdict::Recoverable, format!("it is left to the operator of {resource}")))
    }

    /// The operator's resource that this data belongs to.
    pub fn operators_resource(&self) -> Option<&str> {
        match &self.operator {
            Operator::Resource(resource) => Some(resource),
            _ => self.users.iter().find_map(|user| user.operator.as_deref()),
        }
    }

    fn job(&self, id: &str, live: Option<&str>) -> Judged {
        if let Some(why) = live {
            return Judged::new(Verdict::Live, why);
        }
        if let Some(judged) = self.operators() {
            return judged;
        }
        let pointers: Vec<&Pointer> = self.pointers(id).collect();
        if pointers.is_empty() {
            if let Operator::Unknown(why) = &self.operator {
                return Judged::new(Verdict::Unknown, format!("an operator may have suspended the job: {why}"));
            }
            let known = if self.state.cluster_map().is_some() {
                "the cluster's ConfigMap does not know the job"
            } else {
                "the cluster's ConfigMap is gone"
            };
            return Judged::new(Verdict::Leftover, format!("it has no checkpoint, and {known}"));
        }
        // One that may be there is enough to bring something of the job back.
        let mut judged = pointers.iter().map(|pointer| self.pointer(id, pointer));
        let first = judged.next().unwrap_or_else(|| Judged::new(Verdict::Unknown, ""));
        judged.fold(first, |worst, next| if next.verdict > worst.verdict { next } else { worst })
    }

    /// Whether what one entry points to is still there.
    fn pointer(&self, id: &str, pointer: &Pointer) -> Judged {
        let Some(path) = &pointer.path else {
            return Judged::new(Verdict::Unknown, format!("what {} points to cannot be read from it", pointer.key));
        };
        match self.seen.get(&self.in_full(path)) {
            Some(Presence::There) => return Judged::new(Verdict::Recoverable, format!("{path} is there")),
            Some(Presence::Gone) if self.users.iter().any(|user| !user.sees_the_same(&self.users[0], path)) => {
                let why =
                    format!("the probe did not find {path} for one of several workloads, which have other storage");
                return Judged::new(Verdict::Unknown, why);
            }
            Some(Presence::Gone) => {
                return match self.users.iter().find_map(|user| user.may_be_elsewhere(path)) {
                    Some(why) => {
                        let why = format!("the probe did not find {path}, which may be elsewhere: {why}");
                        Judged::new(Verdict::Unknown, why)
                    }
                    None => Judged::new(Verdict::Dead, format!("the probe found that {path} is gone")),
                };
            }
            Some(Presence::FolderGone) => {
                let why = format!("the probe found not even the folder of {path}: is it the storage that was used?");
                return Judged::new(Verdict::Unknown, why);
            }
            Some(Presence::Unknown(why)) => {
                return Judged::new(Verdict::Unknown, format!("the probe could not see {path}: {why}"));
            }
            None => {}
        }
        if storage::local_path(path).is_none() {
            return Judged::new(Verdict::Recoverable, format!("{path} may still be there"));
        }
        // Several workloads of one id would each have to have lost it.
        let written = self.state.job_map(id).and_then(|map| map.written);
        let of_users = self.users.iter().map(|user| user.keeps(id, path, written));
        if let Some(judged) = of_users.max_by_key(|judged| judged.verdict) {
            return judged;
        }
        match &self.state.record {
            Some(Record { storage: Storage::PodLocal, dir: Some(dir) }) if storage::is_in(path, dir) => {
                let why = format!("`down` has recorded that {path} was in the pods, which are gone");
                Judged::new(Verdict::Dead, why)
            }
            Some(Record {
                storage: storage @ (Storage::Uri(_) | Storage::Claim { .. } | Storage::HostPath { .. }),
                ..
            }) => {
                let why = format!("{path} may still be there: `down` has recorded that it was on {storage}");
                Judged::new(Verdict::Recoverable, why)
            }
            _ => {
                let why = format!("nothing is left that tells what was mounted over {path}");
                Judged::new(Verdict::Unknown, why)
            }
        }
    }

    /// The verdict on a ConfigMap that several jobs share.
    fn shared_map(&self, map: &HaMap, live: Option<&str>, jobs: &BTreeMap<String, Judged>) -> Judged {
        if let Some(judged) = self.withheld(map, live) {
            return judged;
        }
        let ids = map.pointers.iter().filter_map(|pointer| pointer.target.id());
        let worst = ids.filter_map(|id| Some((id, jobs.get(id)?))).max_by_key(|(_, judged)| judged.verdict);
        if let Some((id, judged)) = worst {
            return Judged::new(judged.verdict, format!("job {id}: {}", judged.why));
        }
        if let Some(user) = self.users.first() {
            let scaled = if user.workload.replicas == 0 { ", scaled to 0," } else { "" };
            return Judged::new(Verdict::Recoverable, format!("{}{scaled} goes by it", user.reference));
        }
        match (&self.operator, &self.unseen) {
            (Operator::Unknown(why), _) => Judged::new(Verdict::Unknown, format!("an operator may go by it: {why}")),
            (_, Some(why)) => Judged::new(Verdict::Unknown, format!("something may go by it: {why}")),
            _ => Judged::new(Verdict::Leftover, "no job stands in it, and nothing goes by it"),
        }
    }

    /// Whether what an entry of this job points to is proven to be gone.
    pub fn is_gone(&self, job: &str, pointer: &Pointer) -> bool {
        self.pointer(job, pointer).verdict == Verdict::Dead
    }

    /// Jobs and applications of which something may be in a volume of pods that are stopped before anything is changed: it
    /// goes with them.
    pub fn in_pods(&self) -> BTreeSet<String> {
        let there = |user: &&User| !user.pods.is_empty() || user.pods_unseen.is_some();
        let stopped: Vec<&User> = self.crashing().filter(there).collect();
        let may_be = |id: &str, pointer: &Pointer| {
            let in_volume = |user: &&User| {
                let path = pointer.path.as_deref().or(user.storage_dir.as_deref());
                path.is_some_and(|path| user.has_in_pods(path))
            };
            stopped.iter().any(in_volume) && !self.is_gone(id, pointer)
        };
        let mut ids = self.ids();
        ids.retain(|id| self.pointers(id).any(|pointer| may_be(id, pointer)));
        ids
    }

    /// The files on storage that outlives pods, which a probe can look at.
    pub fn files(&self) -> Vec<String> {
        let pointers = self.state.maps.iter().flat_map(|map| &map.pointers);
        let paths: BTreeSet<&String> = pointers.filter_map(|pointer| pointer.path.as_ref()).collect();
        let outlives = |path: &&String| !self.users.iter().any(|user| user.storage(path) == Storage::PodLocal);
        paths.into_iter().filter(outlives).map(|path| self.in_full(path)).collect()
    }

    /// A path with its scheme, where it is in the default file system.
    fn in_full(&self, path: &str) -> String {
        let scheme = self.users.iter().find_map(|user| user.scheme_of(path));
        scheme.map_or(path.to_owned(), |scheme| format!("{scheme}{path}"))
    }

    /// The workloads that have to be at rest before anything is changed: those that are to have pods.
    pub fn crashing(&self) -> impl Iterator<Item = &User> {
        self.users.iter().filter(|user| user.workload.replicas > 0 && !user.workload.finished && !user.workload.failed)
    }
}

impl User {
    /// The file system, other than the local one, of a path that does not name its own.
    fn scheme_of(&self, path: &str) -> Option<&str> {
        self.default_scheme.as_deref().filter(|_| path.starts_with('/'))
    }

    /// What is behind a path in its pods.
    fn storage(&self, path: &str) -> Storage {
        if let Some(scheme) = self.scheme_of(path) {
            return Storage::Uri(format!("{scheme}{path}"));
        }
        let spec = self.workload.template.spec.as_ref();
        spec.map_or(Storage::Unknown, |spec| storage::behind(spec, &self.workload.process.container, path))
    }

    /// Whether a path is in a volume that lasts as long as the pod. What is in the container lasts as long as the process.
    fn has_in_pods(&self, path: &str) -> bool {
        let local = storage::local_path(path).unwrap_or(path);
        let is_mounted = |(spec, container)| storage::mounted_at(spec, container, local).is_some();
        self.storage(path) == Storage::PodLocal && self.workload.flink_container().is_some_and(is_mounted)
    }

    /// What was behind a path in pods of earlier revisions.
    fn earlier(&self, path: &str) -> impl Iterator<Item = Storage> {
        let specs = self.earlier.iter().flatten();
        specs.map(move |spec| storage::behind(spec, &self.workload.process.container, path))
    }

    /// It is on no volume of the pods.
    fn is_remote(&self, path: &str) -> bool {
        storage::local_path(path).is_none() || self.scheme_of(path).is_some()
    }

    /// Which file a path is in such pods: the volume, whatever they call it, and the path on it; of a folder of the node, the
    /// node too that they are bound to. The same volume shows another folder where it is mounted otherwise. None where it
    /// differs from pod to pod.
    fn place(&self, spec: &PodSpec, path: &str) -> Option<(Volume, String, Option<String>)> {
        let container = spec.containers.iter().find(|container| container.name == self.workload.process.container)?;
        let mounted = storage::mounted_at(spec, container, storage::local_path(path)?)?;
        // Of several pods each has a claim of its own from the template.
        let of_template = || {
            let claim_name = probe::claim_name(&self.workload, mounted.name);
            let claim = PersistentVolumeClaimVolumeSource { claim_name, read_only: None };
            let is_one = self.workload.replicas <= 1;
            is_one.then(|| Volume { persistent_volume_claim: Some(claim), ..Volume::default() })
        };
        let volume = mounted.volume.cloned().or_else(of_template)?;
        let node = || spec.node_name.clone().or_else(|| spec.node_selector.as_ref()?.get(HOST_LABEL).cloned());
        let node = volume.host_path.as_ref().and_then(|_| node());
        // A `subPathExpr`: nobody knows here what its variables stand for.
        let is_known = !mounted.path.contains("$(");
        is_known.then(|| (Volume { name: String::new(), ..volume }, mounted.path, node))
    }

    fn place_now(&self, path: &str) -> Option<(Volume, String, Option<String>)> {
        self.place(self.workload.template.spec.as_ref()?, path)
    }

    /// What a probe finds for one of them holds for the other.
    fn sees_the_same(&self, other: &User, path: &str) -> bool {
        // Claims of one name in two namespaces are two.
        let here = |user: &User| (user.workload.namespace().to_owned(), user.place_now(path));
        self.storage(path) == other.storage(path) && (self.is_remote(path) || here(self) == here(other))
    }

    /// Why what a probe does not find now may be where it was.
    fn may_be_elsewhere(&self, path: &str) -> Option<String> {
        if self.is_remote(path) {
            return None;
        }
        let Some(now) = self.place_now(path) else {
            return Some(format!("which folder it is differs from pod to pod of {}", self.reference));
        };
        if let (Volume { host_path: Some(_), .. }, _, None) = now {
            return Some("the probe may have looked at another node's folder".to_owned());
        }
        let moved = |specs: &Vec<PodSpec>| specs.iter().any(|spec| self.place(spec, path).as_ref() != Some(&now));
        match &self.earlier {
            Err(why) => Some(why.clone()),
            Ok(specs) => {
                moved(specs).then(|| format!("an earlier revision of {} had other storage there", self.reference))
            }
        }
    }

    /// Whether a file of this path may still be there, as this workload's pods would see it. `written` is when the job has
    /// last had a checkpoint.
    fn keeps(&self, job: &str, path: &str, written: Option<Timestamp>) -> Judged {
        match self.storage(path) {
            Storage::PodLocal => {}
            Storage::None | Storage::Unknown => {
                let why = format!("it is not known what {} has mounted over {path}", self.reference);
                return Judged::new(Verdict::Unknown, why);
            }
            storage => {
                let why = format!("{path} may still be there: on {storage}, as {} has it", self.reference);
                return Judged::new(Verdict::Recoverable, why);
            }
        }
        // What was written under another configuration was perhaps on a volume that is no longer mounted.
        if let Some(dir) = self.storage_dir.as_deref().filter(|dir| !storage::is_in(path, dir)) {
            let why = format!(
                "{path} is not in {dir}, which {} has now: it is not known what was mounted there",
                self.reference
            );
            return Judged::new(Verdict::Unknown, why);
        }
        let in_pod = self.has_in_pods(path);
        if let Some(storage) = self.earlier(path).find(|storage| *storage != Storage::PodLocal) {
            let why =
                format!("{path} may still be there: an earlier revision of {} had it on {storage}", self.reference);
            return Judged::new(Verdict::Unknown, why);
        }
        if let Err(why) = &self.earlier {
            let why = format!("{path} may have been on storage that {} has no more: {why}", self.reference);
            return Judged::new(Verdict::Unknown, why);
        }
        if let Some(why) = self.pods_unseen.as_ref().filter(|_| in_pod) {
            let why = format!("{path} may be in a volume of {}'s pods, which may be there: {why}", self.reference);
            return Judged::new(Verdict::Unknown, why);
        }
        // None of these pods has run the job: it has missed the file, or was made after the job's last word.
        let strange = self.pods.iter().all(|pod| match &pod.state {
            PodState::CrashesOnRecovery(failure) => {
                let missed = failure.job == job && failure.gone;
                missed || written.zip(pod.created).is_some_and(|(written, created)| written < created)
            }
            PodState::Alive(_) => false,
        });
        if in_pod && !strange {
            let why = format!("{path} may be in a volume of {}'s pods, which are still there", self.reference);
            return Judged::new(Verdict::Unknown, why);
        }
        let why = format!("{path} was in a pod that is gone: {} has no volume that outlives its pods", self.reference);
        Judged::new(Verdict::Dead, why)
    }
}
