//! Flink's high-availability ConfigMaps: their names and what stands in them, by generation.
//!
//! Flink 1.12 to 1.14 keep one ConfigMap for each component that has a leader; from 1.15 on one election serves them all
//! and there is one ConfigMap for the cluster and one for each job. Both carry the labels of [`selector`], and so do
//! other ConfigMaps of a native cluster, so that only the name tells. (`KubernetesHaServices`,
//! `KubernetesLeaderElectionHaServices`, `Constants` in flink-kubernetes.)

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::Value;

/// The annotation that holds the lease, on every ConfigMap that a leader is elected with (`KubernetesLeaderElector`).
pub const LEADER_ANNOTATION: &str = "control-plane.alpha.kubernetes.io/leader";

/// The name of the cluster's ConfigMap from Flink 1.15 on, where the leader stands.
pub fn cluster_config_map(cluster_id: &str) -> String {
    format!("{cluster_id}-cluster-config-map")
}

/// The label selector for everything that Flink itself creates for this cluster-id. Never rely on
/// `configmap-type=high-availability`: Flink 2.0 stopped writing it.
pub fn selector(cluster_id: &str) -> String {
    format!("app={cluster_id},type=flink-native-kubernetes")
}

/// What a high-availability ConfigMap is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MapKind {
    /// `<id>-cluster-config-map`: the leader and the jobs, from Flink 1.15 on.
    Cluster,
    /// The checkpoints of the job with this id (32 hexadecimal digits): `<id>-<job>-config-map`, up to 1.14
    /// `<id>-<job>-jobmanager-leader`.
    Job(String),
    /// `<id>-{dispatcher,resourcemanager,restserver}-leader`, up to Flink 1.14.
    LegacyLeader,
}

/// Tells from its name whether a ConfigMap holds high-availability data of this cluster-id. The name of another
/// cluster's map never matches, also where that cluster's id begins with this one.
pub fn map_kind(cluster_id: &str, config_map_name: &str) -> Option<MapKind> {
    let rest = config_map_name.strip_prefix(cluster_id)?.strip_prefix('-')?;
    match rest {
        "cluster-config-map" => return Some(MapKind::Cluster),
        "dispatcher-leader" | "resourcemanager-leader" | "restserver-leader" => return Some(MapKind::LegacyLeader),
        _ => {}
    }
    let job = rest.strip_suffix("-config-map").or_else(|| rest.strip_suffix("-jobmanager-leader"))?;
    is_job_id(job).then(|| MapKind::Job(job.to_owned()))
}

/// Whether the text is a job id as Flink writes it: 32 hexadecimal digits in lower case (`AbstractID.toHexString`).
pub fn is_job_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

/// Who holds the lease, from [`LEADER_ANNOTATION`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderRecord {
    /// The leader's identity: a random UUID for each JobManager process, no pod name. None after a clean release.
    pub holder: Option<String>,
    /// How long the lease is good for after a renewal.
    pub lease_duration: Duration,
    /// When the holder became the leader, by the clock of its node.
    pub acquire_time: Option<Timestamp>,
    /// When the holder last renewed, by the clock of its node.
    pub renew_time: Option<Timestamp>,
    /// How often the leader has changed.
    pub transitions: u64,
}

impl LeaderRecord {
    /// Reads the annotation's value. None where it is not what Flink writes.
    pub fn parse(annotation: &str) -> Option<Self> {
        let record: Value = serde_json::from_str(annotation).ok()?;
        let time = |key: &str| record.get(key)?.as_str()?.parse().ok();
        Some(LeaderRecord {
            holder: record.get("holderIdentity")?.as_str().filter(|holder| !holder.is_empty()).map(str::to_owned),
            lease_duration: lease_duration(record.get("leaseDuration")?)?,
            acquire_time: time("acquireTime"),
            renew_time: time("renewTime"),
            transitions: record.get("leaderTransitions").and_then(Value::as_u64).unwrap_or_default(),
        })
    }

    /// How long ago the lease was renewed. Zero where the node's clock is ahead of `now`, None if it never was.
    pub fn age(&self, now: Timestamp) -> Option<Duration> {
        Some(Duration::try_from(now.duration_since(self.renew_time?)).unwrap_or_default())
    }

    /// Whether somebody holds the lease and has renewed it within its duration.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.holder.is_some() && self.age(now).is_some_and(|age| age <= self.lease_duration)
    }
}

/// Flink 1.x writes seconds (`15.000000000`), Flink 2.3 an ISO 8601 duration (`"PT15S"`).
fn lease_duration(value: &Value) -> Option<Duration> {
    match value {
        Value::Number(seconds) => Duration::try_from_secs_f64(seconds.as_f64()?).ok(),
        Value::String(text) => Duration::try_from(text.parse::<SignedDuration>().ok()?).ok(),
        _ => None,
    }
}

/// Where the leader's REST API answers, as the leader itself has announced it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestAddress {
    /// The pod's IP on Kubernetes, without the brackets of an IPv6 address.
    pub host: String,
    /// The port inside the pod.
    pub port: u16,
    /// Whether the scheme is `https` (`security.ssl.rest.enabled`).
    pub tls: bool,
}

impl RestAddress {
    /// Reads `http://10.1.2.3:8081`.
    pub fn parse(url: &str) -> Option<Self> {
        let (scheme, authority) = url.split_once("://")?;
        let tls = match scheme {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        let (host, port) = authority.trim_end_matches('/').rsplit_once(':')?;
        let host = host.strip_prefix('[').and_then(|h| h.strip_suffix(']')).unwrap_or(host);
        Some(RestAddress { host: host.to_owned(), port: port.parse().ok()?, tls })
    }
}

/// What the cluster's ConfigMap says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ClusterMap {
    /// The lease; None before the first election.
    pub leader: Option<LeaderRecord>,
    /// The leader's REST address. It outlives the leader: compare it with the pods that are there.
    pub rest: Option<RestAddress>,
    /// The ids of the jobs that a new leader would recover, sorted.
    pub jobs: Vec<String>,
}

/// Keys of jobs: `jobGraph-` up to Flink 1.20, `executionPlan-` from 2.0 on, which does not read the former.
const JOB_KEYS: [&str; 2] = ["jobGraph-", "executionPlan-"];

impl ClusterMap {
    /// Reads a ConfigMap of kind [`MapKind::Cluster`], or one of [`MapKind::LegacyLeader`], of which each has a part.
    pub fn read(map: &ConfigMap) -> Self {
        let data = map.data.as_ref();
        let value = |key: &str| data.and_then(|data| data.get(key)).map(String::as_str);
        let rest = value("org.apache.flink.k8s.leader.restserver")
            // `<session uuid>,<address>`
            .and_then(|entry| entry.split_once(',').map(|(_, address)| address))
            .or_else(|| value("address"))
            .and_then(RestAddress::parse);
        let keys = data.into_iter().flat_map(|data| data.keys());
        let mut jobs: Vec<String> = keys
            .filter_map(|key| JOB_KEYS.iter().find_map(|prefix| key.strip_prefix(prefix)))
            .filter(|id| is_job_id(id))
            .map(str::to_owned)
            .collect();
        jobs.sort();
        jobs.dedup();
        ClusterMap { leader: leader(map), rest, jobs }
    }
}

/// The lease that a ConfigMap carries.
pub fn leader(map: &ConfigMap) -> Option<LeaderRecord> {
    LeaderRecord::parse(map.metadata.annotations.as_ref()?.get(LEADER_ANNOTATION)?)
}

/// The highest id among the completed checkpoints that a job's ConfigMap points to: its keys are `checkpointID-` and 19
/// digits (`KubernetesCheckpointStoreUtil`).
pub fn latest_checkpoint(job_map: &ConfigMap) -> Option<u64> {
    let keys = job_map.data.as_ref()?.keys();
    keys.filter_map(|key| key.strip_prefix("checkpointID-")?.parse().ok()).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const JOB: &str = "7601318e4ccd7281759507f40830fea9";

    #[test]
    fn names_of_every_generation() {
        let kind = |name: &str| map_kind("flink", name);
        assert_eq!(cluster_config_map("flink"), "flink-cluster-config-map");
        assert_eq!(kind("flink-cluster-config-map"), Some(MapKind::Cluster));
        assert_eq!(kind(&format!("flink-{JOB}-config-map")), Some(MapKind::Job(JOB.into())));
        assert_eq!(kind(&format!("flink-{JOB}-jobmanager-leader")), Some(MapKind::Job(JOB.into())));
        for component in ["dispatcher", "resourcemanager", "restserver"] {
            assert_eq!(kind(&format!("flink-{component}-leader")), Some(MapKind::LegacyLeader));
        }
    }

    #[test]
    fn names_of_other_things() {
        for name in [
            "flink-config",
            "flink-config-flink",
            "pod-template-flink",
            "hadoop-config-flink",
            "autoscaler-flink",
            "flink-2-cluster-config-map",
            "flinkcluster-config-map",
            "flink-cluster-cluster-config-map",
            "my-flink-cluster-config-map",
            "flink-7601318E4CCD7281759507F40830FEA9-config-map",
            "flink-b-7601318e4ccd7281759507f40830fea9-config-map",
            "flink-7601318e-config-map",
            "flink",
            "flink-",
            "",
        ] {
            assert_eq!(map_kind("flink", name), None, "{name}");
        }
    }

    #[test]
    fn leases_of_both_generations() {
        let old = r#"{"holderIdentity":"c8e02db4","leaseDuration":15.000000000,"acquireTime":"2026-11-20T12:24:04.215229Z","renewTime":"2026-11-20T12:24:09.287668Z","leaderTransitions":3}"#;
        let new = r#"{"holderIdentity":"","leaseDuration":"PT8S","acquireTime":"2026-11-20T12:24:47.810261Z","renewTime":"2026-11-20T12:24:52.916004Z","leaderTransitions":0}"#;
        let old = LeaderRecord::parse(old).unwrap();
        assert_eq!(old.holder.as_deref(), Some("c8e02db4"));
        assert_eq!((old.lease_duration, old.transitions), (Duration::from_secs(15), 3));
        let at = |seconds: i64| old.renew_time.unwrap() + SignedDuration::from_secs(seconds);
        assert!(old.is_fresh(at(15)) && old.is_fresh(at(-60)) && !old.is_fresh(at(16)));
        let new = LeaderRecord::parse(new).unwrap();
        assert_eq!((new.lease_duration, &new.holder), (Duration::from_secs(8), &None));
        assert!(!new.is_fresh(new.renew_time.unwrap()));
        assert_eq!(LeaderRecord::parse("no json"), None);
    }

    #[test]
    fn addresses() {
        let parsed = |host: &str, port, tls| Some(RestAddress { host: host.into(), port, tls });
        assert_eq!(RestAddress::parse("http://10.244.0.2:8081"), parsed("10.244.0.2", 8081, false));
        assert_eq!(RestAddress::parse("https://[fd00::2]:443"), parsed("fd00::2", 443, true));
        assert_eq!(RestAddress::parse("pekko.tcp://flink@10.244.0.2:6123/user/rpc/dispatcher_0"), None);
    }

    fn map(data: &Value) -> ConfigMap {
        serde_json::from_value(json!({ "metadata": { "name": "x" }, "data": data })).unwrap()
    }

    #[test]
    fn cluster_maps() {
        let read = |data: Value| ClusterMap::read(&map(&data));
        let graph = format!("jobGraph-{JOB}");
        let plan = format!("executionPlan-{JOB}");
        let key = "org.apache.flink.k8s.leader.restserver";
        for job in [graph, plan] {
            let read = read(json!({ job: "rO0ABX", key: "58c169d7-12ef,http://10.244.0.6:8081" }));
            assert_eq!(read.jobs, [JOB]);
            assert_eq!(read.rest, RestAddress::parse("http://10.244.0.6:8081"));
        }
        let legacy = read(json!({ "address": "http://10.244.0.6:8081", "sessionId": "58c169d7" }));
        assert_eq!(legacy.rest.unwrap().port, 8081);
        assert_eq!(read(json!({})), ClusterMap::default());
    }

    #[test]
    fn checkpoints() {
        let two = map(&json!({
            "checkpointID-0000000000000000009": "rO0", "checkpointID-0000000000000000012": "rO0", "counter": "13" }));
        assert_eq!(latest_checkpoint(&two), Some(12));
        assert_eq!(latest_checkpoint(&map(&json!({ "counter": "1" }))), None);
    }
}
