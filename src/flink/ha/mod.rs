//! Flink's high-availability ConfigMaps: their names and what stands in them, by generation.
//!
//! Flink 1.12 to 1.14 keep one ConfigMap for each component that has a leader; from 1.15 on one election serves them all
//! and there is one ConfigMap for the cluster and one for each job. Both carry [`APP_LABEL`] and [`TYPE_LABEL`], and so do
//! other ConfigMaps of a native cluster, so that only the name tells. (`KubernetesHaServices`,
//! `KubernetesLeaderElectionHaServices`, `Constants` in flink-kubernetes.)

mod lease;
mod lost_job;
mod map;
mod pointer;

use k8s_openapi::api::core::v1::ConfigMap;

pub use self::lease::{DEFAULT_LEASE_DURATION, DEFAULT_RETRY_PERIOD, LEADER_ANNOTATION, LeaderRecord, leader};
pub use self::lost_job::LostJob;
pub use self::map::{Generation, HaMap, is_flinks_key, is_leaders_key};
pub use self::pointer::{Pointer, Target};

/// The label of the cluster-id on everything that Flink itself creates.
pub const APP_LABEL: &str = "app";
/// The label that everything has that Flink itself creates, on standalone clusters too. `configmap-type=high-availability`
/// is no help: Flink 2.0 stopped writing it.
pub const TYPE_LABEL: (&str, &str) = ("type", "flink-native-kubernetes");
/// What the keys begin with under which a leader announces itself, from Flink 1.15 on.
const LEADER_KEY: &str = "org.apache.flink.k8s.leader.";

/// The name of the cluster's ConfigMap from Flink 1.15 on, where the leader stands.
pub fn cluster_config_map(cluster_id: &str) -> String {
    format!("{cluster_id}-cluster-config-map")
}

/// The name of a job's ConfigMap from Flink 1.15 on.
pub fn job_config_map(cluster_id: &str, job: &str) -> String {
    format!("{cluster_id}-{job}-config-map")
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

/// What a ConfigMap's name says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MapName {
    /// The cluster that it belongs to.
    pub cluster_id: String,
    /// What it is for.
    pub kind: MapKind,
}

impl MapName {
    /// Reads the name of a high-availability ConfigMap; none for other names. No name belongs to two clusters: what
    /// follows the cluster-id has a fixed form, so that an id may itself look like part of it.
    pub fn parse(config_map_name: &str) -> Option<MapName> {
        let leaders = ["-dispatcher-leader", "-resourcemanager-leader", "-restserver-leader"];
        let (cluster_id, kind) = if let Some(id) = config_map_name.strip_suffix("-cluster-config-map") {
            (id, MapKind::Cluster)
        } else if let Some(id) = leaders.iter().find_map(|end| config_map_name.strip_suffix(end)) {
            (id, MapKind::LegacyLeader)
        } else {
            let of_job = ["-config-map", "-jobmanager-leader"];
            let (id, job) = of_job.iter().find_map(|end| config_map_name.strip_suffix(end))?.rsplit_once('-')?;
            (id, MapKind::Job(Some(job).filter(|job| is_job_id(job))?.to_owned()))
        };
        (!cluster_id.is_empty()).then(|| MapName { cluster_id: cluster_id.to_owned(), kind })
    }
}

/// Whether the text is a job id as Flink writes it: 32 hexadecimal digits in lower case (`AbstractID.toHexString`).
pub fn is_job_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
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

    /// What a ConfigMap says of it: the cluster's, up to Flink 1.14 the REST server's.
    fn announced(map: &ConfigMap) -> Option<Self> {
        let data = map.data.as_ref()?;
        // `<session uuid>,<address>`
        let entry = data.get(&format!("{LEADER_KEY}restserver")).and_then(|entry| entry.split_once(','));
        RestAddress::parse(entry.map_or_else(|| data.get("address").map(String::as_str), |(_, address)| Some(address))?)
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

impl ClusterMap {
    /// Reads a ConfigMap of kind [`MapKind::Cluster`], or one of [`MapKind::LegacyLeader`], of which each has a part.
    pub fn read(map: &ConfigMap) -> Self {
        let keys = map.data.iter().flat_map(|data| data.keys());
        let mut jobs: Vec<String> = keys.filter_map(|key| Target::of_key(key)?.job().map(str::to_owned)).collect();
        jobs.sort();
        jobs.dedup();
        ClusterMap { leader: leader(map), rest: RestAddress::announced(map), jobs }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    const JOB: &str = "7601318e4ccd7281759507f40830fea9";

    /// What a ConfigMap is for, if it is of this cluster.
    fn map_kind(cluster_id: &str, name: &str) -> Option<MapKind> {
        MapName::parse(name).filter(|name| name.cluster_id == cluster_id).map(|name| name.kind)
    }

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

    /// Ids that look like other parts of a name.
    fn ids() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            "[a-z][a-z0-9]{0,6}",
            "[0-9a-f]{32}",
            Just("cluster".to_owned()),
            Just("config".to_owned()),
            Just("map".to_owned()),
            Just("dispatcher-leader".to_owned()),
            Just("cluster-config-map".to_owned()),
            Just("config-map".to_owned()),
        ];
        prop::collection::vec(part, 1..4).prop_map(|parts| parts.join("-"))
    }

    proptest! {
        #[test]
        fn every_name_is_read_as_it_was_made(id in ids(), job in "[0-9a-f]{32}") {
            let parsed = |name: String| MapName::parse(&name);
            let is = |kind| Some(MapName { cluster_id: id.clone(), kind });
            prop_assert_eq!(parsed(cluster_config_map(&id)), is(MapKind::Cluster));
            prop_assert_eq!(parsed(job_config_map(&id, &job)), is(MapKind::Job(job.clone())));
            prop_assert_eq!(parsed(format!("{id}-{job}-jobmanager-leader")), is(MapKind::Job(job.clone())));
            for component in ["dispatcher", "resourcemanager", "restserver"] {
                prop_assert_eq!(parsed(format!("{id}-{component}-leader")), is(MapKind::LegacyLeader));
            }
        }

        #[test]
        fn a_name_belongs_to_one_cluster(one in ids(), other in ids(), job in "[0-9a-f]{32}") {
            prop_assume!(one != other);
            for name in [cluster_config_map(&one), job_config_map(&one, &job), format!("{one}-restserver-leader")] {
                prop_assert_eq!(map_kind(&other, &name), None);
            }
        }

        #[test]
        fn any_name_is_read(name in "\\PC{0,80}") {
            let _ = MapName::parse(&name);
        }
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
}
