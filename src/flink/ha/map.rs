//! A high-availability ConfigMap, with what stands in it.

use std::fmt;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use serde::Serialize;

use super::lease::{self, LEADER_ANNOTATION, LeaderRecord};
use super::pointer::{Pointer, Target};
use super::{APP_LABEL, LEADER_KEY, MapKind, MapName, RestAddress, TYPE_LABEL, is_job_id};

/// The label that Flink wrote up to 1.20.
const CONFIG_MAP_TYPE: (&str, &str) = ("configmap-type", "high-availability");

/// Which versions of Flink write such ConfigMaps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub enum Generation {
    /// A ConfigMap for each component that has a leader.
    #[serde(rename = "1.12-1.14")]
    V1_12,
    /// One for the cluster, whose jobs' leaders stand under `org.apache.flink.k8s.leader.JOB`.
    #[serde(rename = "1.15-1.18")]
    V1_15,
    /// Either the one before or the one after: there is nothing in it that tells.
    #[serde(rename = "1.15-1.20")]
    V1,
    /// The leaders of jobs stand under `org.apache.flink.k8s.leader.job-JOB`.
    #[serde(rename = "1.19-1.20")]
    V1_19,
    /// No label `configmap-type`, and `executionPlan-` instead of `jobGraph-`.
    #[serde(rename = "2.x")]
    V2,
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Generation::V1_12 => "Flink 1.12 to 1.14",
            Generation::V1_15 => "Flink 1.15 to 1.18",
            Generation::V1 => "Flink 1.15 to 1.20",
            Generation::V1_19 => "Flink 1.19 to 1.20",
            Generation::V2 => "Flink 2.0 or later",
        })
    }
}

/// A ConfigMap that holds high-availability data.
#[derive(Debug, Clone, PartialEq)]
pub struct HaMap {
    /// Its name.
    pub name: String,
    /// Tells it from a later one of the same name.
    pub uid: String,
    /// Changes with each write.
    pub resource_version: String,
    /// The cluster that it belongs to.
    pub cluster_id: String,
    /// What it is for.
    pub kind: MapKind,
    /// The lease that a leader holds or has held.
    pub lease: Option<LeaderRecord>,
    /// The leader's REST address. It outlives the leader: compare it with the pods that are there.
    pub rest: Option<RestAddress>,
    /// Who has announced itself in it: `restserver`, `job-JOB`, up to Flink 1.18 `JOB`.
    pub leaders: Vec<String>,
    /// The entries that point to files, by key.
    pub pointers: Vec<Pointer>,
    /// When it was made, by the API server's clock.
    pub created: Option<Timestamp>,
    /// When it was last written, by the API server's clock.
    pub written: Option<Timestamp>,
    /// It is on its way out.
    pub terminating: bool,
    /// Who owns it, where somebody does: `Kind/name`. Flink sets no owner.
    pub owner: Option<String>,
    /// Who writes such.
    pub generation: Generation,
}

impl HaMap {
    /// Reads a ConfigMap; none where it is not Flink's high-availability data. The name decides. What other people call
    /// their ConfigMaps is not for us to know, so that Flink's labels, lease or keys have to be there too, its `app`
    /// label may not name another cluster, and an entry that Flink does not write makes it somebody else's.
    pub fn read(map: &ConfigMap) -> Option<HaMap> {
        let metadata = &map.metadata;
        let MapName { cluster_id, kind } = MapName::parse(metadata.name.as_deref()?)?;
        let label = |key: &str| metadata.labels.as_ref()?.get(key).map(String::as_str);
        if label(APP_LABEL).is_some_and(|app| app != cluster_id) {
            return None;
        }
        let data = || map.data.iter().flatten();
        let is_flinks = label(TYPE_LABEL.0) == Some(TYPE_LABEL.1)
            || metadata.annotations.as_ref().is_some_and(|all| all.contains_key(LEADER_ANNOTATION))
            || data().next().is_some();
        if !is_flinks || map.binary_data.is_some() || !data().all(|(key, _)| is_flinks_key(key)) {
            return None;
        }
        let pointers: Vec<Pointer> = data().filter_map(|(key, value)| Pointer::read(key, value)).collect();
        let lease = lease::leader(map);
        let typed = label(TYPE_LABEL.0).is_some();
        let plans = |pointer: &Pointer| matches!(pointer.target, Target::ExecutionPlan(_) | Target::Application(_));
        let leaders: Vec<String> =
            data().filter_map(|(key, _)| key.strip_prefix(LEADER_KEY).map(str::to_owned)).collect();
        let old = label(CONFIG_MAP_TYPE.0) == Some(CONFIG_MAP_TYPE.1)
            || pointers.iter().any(|pointer| matches!(pointer.target, Target::JobGraph(_)));
        let is_legacy = kind == MapKind::LegacyLeader
            || (metadata.name.as_deref()).is_some_and(|name| name.ends_with("-jobmanager-leader"));
        let generation = if is_legacy {
            Generation::V1_12
        } else if pointers.iter().any(plans) || (typed && !old) {
            Generation::V2
        } else if leaders.iter().any(|of| of.starts_with("job-")) {
            Generation::V1_19
        } else if leaders.iter().any(|of| is_job_id(of)) {
            Generation::V1_15
        } else {
            Generation::V1
        };
        let written = metadata.managed_fields.iter().flatten().filter_map(|entry| Some(entry.time.as_ref()?.0)).max();
        let created = metadata.creation_timestamp.as_ref().map(|time| time.0);
        let owner = metadata.owner_references.iter().flatten().next();
        Some(HaMap {
            name: metadata.name.clone()?,
            uid: metadata.uid.clone().unwrap_or_default(),
            resource_version: metadata.resource_version.clone().unwrap_or_default(),
            cluster_id,
            kind,
            lease,
            rest: RestAddress::announced(map),
            leaders,
            pointers,
            created,
            written: written.or(created),
            terminating: metadata.deletion_timestamp.is_some(),
            owner: owner.map(|owner| format!("{}/{}", owner.kind, owner.name)),
            generation,
        })
    }

    /// The jobs that a new leader would recover from it, sorted.
    pub fn jobs(&self) -> Vec<&str> {
        let mut jobs: Vec<&str> = self.pointers.iter().filter_map(|pointer| pointer.target.job()).collect();
        jobs.sort_unstable();
        jobs.dedup();
        jobs
    }

    /// Whether the job stands in it: to be recovered, or with a leader.
    pub fn knows(&self, job: &str) -> bool {
        self.jobs().contains(&job) || self.leaders.iter().any(|of| of.strip_prefix("job-").unwrap_or(of) == job)
    }

    /// The jobs in it that a leader of this major version of Flink passes over, without a word: the other one has written
    /// them. Sorted.
    pub fn passed_over_by(&self, major: u32) -> Vec<&str> {
        let is_read = |job: &str| {
            self.pointers.iter().any(|pointer| match &pointer.target {
                Target::JobGraph(own) => major < 2 && own == job,
                Target::ExecutionPlan(own) => major >= 2 && own == job,
                Target::Application(_) | Target::Checkpoint(_) => false,
            })
        };
        self.jobs().into_iter().filter(|job| !is_read(job)).collect()
    }

    /// Whether applications stand in it (from Flink 2.3 on), whose jobs it does not name.
    pub fn has_applications(&self) -> bool {
        self.pointers.iter().any(|pointer| matches!(pointer.target, Target::Application(_)))
    }

    /// The newest checkpoint that it points to.
    pub fn latest_checkpoint(&self) -> Option<(u64, &Pointer)> {
        let number = |pointer: &Pointer| match pointer.target {
            Target::Checkpoint(number) => Some(number),
            _ => None,
        };
        self.pointers.iter().filter_map(|pointer| Some((number(pointer)?, pointer))).max_by_key(|(number, _)| *number)
    }
}

/// Keys of Flink's, of every generation (`Constants`, `KubernetesCheckpointIDCounter`, `KubernetesRunningJobsRegistry`,
/// `KubernetesLeaderElectionDriver`).
pub fn is_flinks_key(key: &str) -> bool {
    matches!(key, "address" | "sessionId" | "counter")
        || key.starts_with(LEADER_KEY)
        || key.strip_prefix("runningJobsRegistry-").is_some_and(is_job_id)
        || Target::of_key(key).is_some()
}

/// Keys under which a leader announces itself: they say nothing once it has gone.
pub fn is_leaders_key(key: &str) -> bool {
    matches!(key, "address" | "sessionId") || key.starts_with(LEADER_KEY)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::super::pointer::tests::handle;
    use super::*;

    const JOB: &str = "7601318e4ccd7281759507f40830fea9";

    fn read(name: &str, labels: &Value, data: &Value) -> Option<HaMap> {
        HaMap::read(
            &serde_json::from_value(json!({"metadata": {"name": name, "labels": labels}, "data": data})).unwrap(),
        )
    }

    #[test]
    fn what_is_not_flinks() {
        let flinks = json!({"app": "flink", "type": "flink-native-kubernetes"});
        let name = "flink-cluster-config-map";
        assert!(read(name, &flinks, &json!({})).is_some());
        assert!(read(name, &json!({}), &json!({"org.apache.flink.k8s.leader.restserver": "x,http://a:1"})).is_some());
        // A name that anybody may have chosen.
        assert!(read(name, &json!({}), &json!({})).is_none());
        assert!(read(name, &flinks, &json!({"settings.yaml": "a: b"})).is_none());
        assert!(read("flink-config", &flinks, &json!({"config.yaml": "a: b"})).is_none());
        // A native cluster of the name `x-cluster-config-map` has this one for its configuration.
        let native = json!({"app": "x-cluster-config-map", "type": "flink-native-kubernetes"});
        assert!(read("flink-config-x-cluster-config-map", &native, &json!({})).is_none());
    }

    #[test]
    fn generations() {
        let new = json!({"app": "flink", "type": "flink-native-kubernetes"});
        let old = json!({"app": "flink", "type": "flink-native-kubernetes", "configmap-type": "high-availability"});
        let of = |name: &str, labels: &Value, data: Value| read(name, labels, &data).unwrap().generation;
        let cluster = "flink-cluster-config-map";
        let leader = |of: &str| format!("org.apache.flink.k8s.leader.{of}");
        assert_eq!(of("flink-dispatcher-leader", &old, json!({"address": "x"})), Generation::V1_12);
        assert_eq!(of(&format!("flink-{JOB}-jobmanager-leader"), &old, json!({})), Generation::V1_12);
        assert_eq!(of(cluster, &old, json!({ leader(JOB): "x" })), Generation::V1_15);
        assert_eq!(of(cluster, &old, json!({ leader(&format!("job-{JOB}")): "x" })), Generation::V1_19);
        assert_eq!(of(cluster, &old, json!({ leader("dispatcher"): "x" })), Generation::V1);
        assert_eq!(of(cluster, &new, json!({ leader(&format!("job-{JOB}")): "x" })), Generation::V2);
        assert_eq!(of(cluster, &old, json!({ format!("executionPlan-{JOB}"): "x" })), Generation::V2);
        assert_eq!(of(cluster, &new, json!({ format!("jobGraph-{JOB}"): "x" })), Generation::V1);
        assert_eq!(of(cluster, &new, json!({ format!("application-{JOB}"): "x" })), Generation::V2);
    }

    #[test]
    fn checkpoints_and_jobs() {
        let labels = json!({"app": "flink", "type": "flink-native-kubernetes"});
        let map = read(
            &format!("flink-{JOB}-config-map"),
            &labels,
            &json!({
                "checkpointID-0000000000000000009": handle("file:/data/ha/completedCheckpoint9"),
                "checkpointID-0000000000000000012": handle("file:/data/ha/completedCheckpoint12"),
                "counter": "13"
            }),
        )
        .unwrap();
        let (number, pointer) = map.latest_checkpoint().unwrap();
        assert_eq!((number, pointer.path.as_deref()), (12, Some("file:/data/ha/completedCheckpoint12")));
        assert!(map.jobs().is_empty());
        let graph = json!({ format!("jobGraph-{JOB}"): handle("file:/x"), format!("executionPlan-{JOB}"): "rO0ABX" });
        let map = read("flink-cluster-config-map", &labels, &graph).unwrap();
        assert_eq!(map.jobs(), [JOB]);
        assert_eq!((map.passed_over_by(1).len(), map.passed_over_by(2).len()), (0, 0));
        assert_eq!(map.pointers.iter().filter(|pointer| pointer.path.is_none()).count(), 1);
    }

    #[test]
    fn jobs_of_the_other_major_version() {
        let (labels, other) = (json!({}), "852dfba09b17b909e3d7272e6fa2506c");
        let jobs = json!({ format!("jobGraph-{JOB}"): "rO0ABX", format!("executionPlan-{other}"): "rO0ABX" });
        let map = read("flink-cluster-config-map", &labels, &jobs).unwrap();
        assert_eq!((map.passed_over_by(1), map.passed_over_by(2)), (vec![other], vec![JOB]));
        assert!(!map.has_applications() && map.knows(JOB) && !map.knows("0"));
        for of in [format!("job-{JOB}"), JOB.to_owned()] {
            let led = json!({ format!("org.apache.flink.k8s.leader.{of}"): "x" });
            assert!(read("flink-cluster-config-map", &labels, &led).unwrap().knows(JOB));
        }
    }
}
