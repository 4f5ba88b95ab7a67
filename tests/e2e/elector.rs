//! What a JobManager does to its high-availability ConfigMaps, with Flink's own requests and without Flink.
//!
//! `KubernetesLeaderElector` with fabric8's `LeaderElector` and `ConfigMapLock`: read, judge by its own clock, write with
//! the resource version that was read. Who leads reads the jobs' entries and then each job's checkpoints, and dies where a
//! ConfigMap of its own is gone ("somebody has interfered with Flink's operation").

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use kubectl_flink::flink::ha::{LEADER_ANNOTATION, LeaderRecord, leader};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::handle::handle;

/// `high-availability.kubernetes.leader-election.lease-duration` and `retry-period`, short ones.
pub const LEASE: Duration = Duration::from_secs(1);
const RETRY: Duration = Duration::from_millis(300);

/// Which Flink it is, as far as its requests differ.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Era {
    /// A ConfigMap for each component, renewed by PUT.
    V1_14,
    /// One for the cluster, renewed by PUT.
    V1_17,
    /// Renewed by PATCH.
    V1_20,
    /// The same, with other keys and without a label.
    V2,
}

impl Era {
    pub const ALL: [Era; 4] = [Era::V1_14, Era::V1_17, Era::V1_20, Era::V2];

    /// The ConfigMaps by which a leader is elected; the one with the jobs first.
    pub fn leaders(self, id: &str) -> Vec<String> {
        match self {
            Era::V1_14 => vec![format!("{id}-dispatcher-leader"), format!("{id}-restserver-leader")],
            _ => vec![format!("{id}-cluster-config-map")],
        }
    }

    pub fn job_map(self, id: &str, job: &str) -> String {
        let suffix = if self == Era::V1_14 { "jobmanager-leader" } else { "config-map" };
        format!("{id}-{job}-{suffix}")
    }

    pub fn entry(self) -> &'static str {
        if self == Era::V2 { "executionPlan-" } else { "jobGraph-" }
    }

    fn labels(self, id: &str) -> Value {
        match self {
            Era::V2 => json!({"app": id, "type": "flink-native-kubernetes"}),
            _ => json!({"app": id, "type": "flink-native-kubernetes", "configmap-type": "high-availability"}),
        }
    }

    fn lease(self, holder: &str, acquired: Timestamp, renewed: Timestamp) -> String {
        let duration = if self == Era::V2 { json!("PT1S") } else { json!(LEASE.as_secs_f64()) };
        json!({
            "holderIdentity": holder, "leaseDuration": duration, "acquireTime": format!("{acquired:.6}"),
            "renewTime": format!("{renewed:.6}"), "leaderTransitions": 0
        })
        .to_string()
    }

    /// What a cluster has left that was killed an hour ago: its jobs, each with the storage that its files are on.
    pub fn left_by(self, id: &str, jobs: &BTreeMap<String, String>) -> Vec<ConfigMap> {
        let hour_ago = Timestamp::now() - SignedDuration::from_hours(1);
        let map = |name: &str, lease: bool, data: Value| -> ConfigMap {
            let annotations =
                if lease { json!({LEADER_ANNOTATION: self.lease("killed", hour_ago, hour_ago)}) } else { json!({}) };
            let metadata = json!({"name": name, "labels": self.labels(id), "annotations": annotations});
            serde_json::from_value(json!({"metadata": metadata, "data": data})).unwrap()
        };
        let mut maps = Vec::new();
        for (job, storage) in jobs {
            let checkpoints = json!({
                "checkpointID-0000000000000000006": handle(&format!("{storage}/completedCheckpoint6")),
                "checkpointID-0000000000000000007": handle(&format!("{storage}/completedCheckpoint7")),
                "counter": "8"
            });
            maps.push(map(&self.job_map(id, job), self == Era::V1_14, checkpoints));
        }
        for (number, name) in self.leaders(id).iter().enumerate() {
            let entries = jobs.iter().filter(|_| number == 0);
            let data: serde_json::Map<String, Value> = entries
                .map(|(job, storage)| {
                    (format!("{}{job}", self.entry()), handle(&format!("{storage}/submitted{job}")).into())
                })
                .collect();
            maps.push(map(name, true, data.into()));
        }
        maps
    }
}

/// A JobManager.
pub struct Elector {
    pub api: Api<ConfigMap>,
    pub id: String,
    pub era: Era,
    /// How far its clock is ahead.
    pub ahead: SignedDuration,
    /// The job that it starts of its own, in application mode: it needs no entry to look for its checkpoints.
    pub application: Option<String>,
}

/// What became of it.
#[derive(Debug, Default)]
pub struct Life {
    /// When it became the leader.
    pub led: Option<Instant>,
    /// The jobs that it has started, with the number of checkpoints that it found.
    pub started: BTreeMap<String, usize>,
    /// What must not happen to it.
    pub wrong: Vec<String>,
}

impl Elector {
    /// Lives until then.
    pub async fn live(&self, until: impl Fn(&Life) -> bool) -> Life {
        let me = format!("{:x}", std::ptr::from_ref(self).addr());
        let mut life = Life::default();
        let mut held: BTreeMap<String, String> = BTreeMap::new();
        let mut jobs: BTreeMap<String, String> = BTreeMap::new();
        let leaders = self.era.leaders(&self.id);
        loop {
            for name in &leaders {
                match self.elect(name, &me, held.get(name)).await {
                    Ok(Some(uid)) => {
                        held.insert(name.clone(), uid);
                    }
                    Ok(None) => {}
                    Err(wrong) => life.wrong.push(wrong),
                }
            }
            // It would have ended with a fatal error.
            if !life.wrong.is_empty() {
                return life;
            }
            if held.len() == leaders.len() {
                if life.led.is_none() {
                    jobs = self.recover(&leaders[0], &mut life).await;
                    life.led = Some(Instant::now());
                }
                for (name, uid) in &jobs {
                    if self.get(name).await.is_none_or(|map| map.metadata.uid.as_ref() != Some(uid)) {
                        life.wrong.push(format!("configmap/{name} vanished while its job was running"));
                    }
                }
            }
            if until(&life) {
                return life;
            }
            sleep(RETRY).await;
        }
    }

    async fn get(&self, name: &str) -> Option<ConfigMap> {
        self.api.get_opt(name).await.unwrap()
    }

    /// `LeaderElector.tryAcquireOrRenew`: the uid of the ConfigMap in which it leads, none where it does not; an error where
    /// it did before and does no longer.
    async fn elect(&self, name: &str, me: &str, held: Option<&String>) -> Result<Option<String>, String> {
        let now = Timestamp::now() + self.ahead;
        let lost = |how: &str| match held {
            Some(_) => Err(format!("configmap/{name} {how} while it held the lease")),
            None => Ok(None),
        };
        let Some(mut map) = self.get(name).await else {
            if held.is_some() {
                return lost("vanished");
            }
            let annotations = json!({LEADER_ANNOTATION: self.era.lease(me, now, now)});
            let metadata = json!({"name": name, "labels": self.era.labels(&self.id), "annotations": annotations});
            let map = serde_json::from_value(json!({"metadata": metadata})).unwrap();
            return match self.api.create(&PostParams::default(), &map).await {
                Ok(map) => Ok(map.metadata.uid),
                Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(None),
                Err(error) => panic!("{error}"),
            };
        };
        if held.is_some() && held != map.metadata.uid.as_ref() {
            return lost("was made anew");
        }
        let record: Option<LeaderRecord> = leader(&map);
        let holder = record.as_ref().and_then(|record| record.holder.as_deref());
        let over = record.as_ref().and_then(|record| record.renew_time).is_none_or(|renewed| now > renewed + LEASE);
        if holder.is_some_and(|holder| holder != me) && (held.is_some() || !over) {
            return lost(&format!("was taken by {}", holder.unwrap_or_default()));
        }
        let acquired =
            record.as_ref().filter(|_| holder == Some(me)).and_then(|record| record.acquire_time).unwrap_or(now);
        let lease = self.era.lease(me, acquired, now);
        let written = if matches!(self.era, Era::V1_14 | Era::V1_17) {
            map.metadata.annotations.get_or_insert_default().insert(LEADER_ANNOTATION.to_owned(), lease);
            self.api.replace(name, &PostParams::default(), &map).await
        } else {
            let patch = json!({"metadata": {
                "resourceVersion": map.metadata.resource_version, "annotations": {LEADER_ANNOTATION: lease}
            }});
            self.api.patch(name, &PatchParams::default(), &Patch::Merge(&patch)).await
        };
        match written {
            Ok(map) => Ok(map.metadata.uid),
            // Somebody has written meanwhile: it looks again.
            Err(kube::Error::Api(status)) if status.is_conflict() => Ok(None),
            Err(kube::Error::Api(status)) if status.is_not_found() => lost("vanished"),
            Err(error) => panic!("{error}"),
        }
    }

    /// Starts what the entries name, and the application, from the newest checkpoint that there is. Gives back the ConfigMaps
    /// of the jobs that run.
    async fn recover(&self, leaders: &str, life: &mut Life) -> BTreeMap<String, String> {
        let Some(map) = self.get(leaders).await else {
            life.wrong.push(format!("configmap/{leaders} vanished before its leader had read it"));
            return BTreeMap::new();
        };
        let keys = map.data.iter().flatten().map(|(key, _)| key);
        let entries: Vec<String> =
            keys.filter_map(|key| key.strip_prefix(self.era.entry()).map(str::to_owned)).collect();
        let mut running = BTreeMap::new();
        for job in entries.iter().chain(&self.application) {
            let name = self.era.job_map(&self.id, job);
            let Some(map) = self.get(&name).await else {
                if entries.contains(job) {
                    life.wrong.push(format!("job {job} was recovered without its configmap/{name}"));
                }
                life.started.insert(job.clone(), 0);
                continue;
            };
            let checkpoints = map.data.iter().flatten().filter(|(key, _)| key.starts_with("checkpointID-")).count();
            life.started.insert(job.clone(), checkpoints);
            running.insert(name, map.metadata.uid.unwrap());
        }
        running
    }
}
