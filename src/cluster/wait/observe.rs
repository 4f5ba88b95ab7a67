//! One look at a cluster, and what it shows.

use jiff::Timestamp;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Api;
use kube::api::ListParams;
use kube::core::Selector;

use super::{Target, not_verified};
use crate::cluster::Connection;
use crate::cluster::workload::{is_alive, is_ready, replicas, rollout};
use crate::error::{Error, Result};
use crate::flink::ha::{self, ClusterMap, RestAddress};

/// Whether a look found what is waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Look<T> {
    /// It is there.
    Found(T),
    /// It is not; what is being waited for, to stand after "waiting for".
    Missing(String),
}

/// A Deployment with the pods of its selector.
#[derive(Debug)]
pub(super) struct Deployed {
    pub deployment: Deployment,
    pub pods: Vec<Pod>,
}

impl Deployed {
    async fn read(connection: &Connection, namespace: &str, name: &str) -> Result<Self, kube::Error> {
        let deployments: Api<Deployment> = Api::namespaced(connection.client.clone(), namespace);
        let deployment = deployments.get(name).await?;
        let selector = deployment.spec.as_ref().map(|spec| spec.selector.clone()).unwrap_or_default();
        // The API server accepts no Deployment whose selector does not parse.
        let selector = Selector::try_from(selector).map_err(|e| kube::Error::Service(e.into()))?;
        let pods: Api<Pod> = Api::namespaced(connection.client.clone(), namespace);
        let pods = pods.list(&ListParams::default().labels_from(&selector)).await?.items;
        Ok(Deployed { deployment, pods })
    }

    /// The Deployment's status is about its present specification.
    pub(super) fn is_observed(&self) -> bool {
        let status = self.deployment.status.as_ref();
        status.and_then(|status| status.observed_generation) >= self.deployment.metadata.generation
    }

    /// Old pods are still there, or on their way out.
    pub(super) fn is_replacing(&self) -> bool {
        let status = self.deployment.status.as_ref();
        let old = status.is_some_and(|status| status.replicas > status.updated_replicas);
        old || self.pods.iter().any(|pod| pod.metadata.deletion_timestamp.is_some())
    }

    fn name(&self) -> &str {
        self.deployment.metadata.name.as_deref().unwrap_or_default()
    }

    fn replicas(&self) -> i32 {
        replicas(&self.deployment)
    }
}

/// The HA ConfigMap, as far as it was read.
#[derive(Debug)]
enum Map {
    /// The cluster has no high availability.
    None,
    Absent,
    Forbidden(Error),
    Read(ClusterMap),
}

/// Everything that one look shows.
#[derive(Debug)]
pub(super) struct Observation {
    jobmanager: Deployed,
    taskmanager: Option<Deployed>,
    map: Map,
    map_name: String,
}

impl Observation {
    /// Looks, with all requests at once.
    pub(super) async fn take(connection: &Connection, target: &Target) -> Result<Self, kube::Error> {
        let namespace = &target.namespace;
        let map_name = target.cluster_id.as_deref().map(ha::cluster_config_map).unwrap_or_default();
        let jobmanager = Deployed::read(connection, namespace, &target.jobmanager);
        let taskmanager = async {
            match &target.taskmanager {
                Some(name) => Deployed::read(connection, namespace, name).await.map(Some),
                None => Ok(None),
            }
        };
        let map = async {
            if target.cluster_id.is_none() {
                return Ok(Map::None);
            }
            let maps: Api<ConfigMap> = Api::namespaced(connection.client.clone(), namespace);
            match maps.get_opt(&map_name).await {
                Ok(Some(map)) => Ok(Map::Read(ClusterMap::read(&map))),
                Ok(None) => Ok(Map::Absent),
                Err(kube::Error::Api(status)) if status.code == 403 => {
                    Ok(Map::Forbidden(kube::Error::Api(status).into()))
                }
                Err(error) => Err(error),
            }
        };
        let (jobmanager, taskmanager, map) = tokio::try_join!(jobmanager, taskmanager, map)?;
        Ok(Observation { jobmanager, taskmanager, map, map_name })
    }

    pub(super) fn workloads(&self) -> impl Iterator<Item = &Deployed> {
        std::iter::once(&self.jobmanager).chain(&self.taskmanager)
    }

    /// How many TaskManagers there should be; None where Flink starts them itself.
    pub(super) fn desired_taskmanagers(&self) -> Option<u32> {
        self.taskmanager.as_ref().map(|workload| u32::try_from(workload.replicas()).unwrap_or_default())
    }

    /// Whether every Deployment is rolled out, with the number of pods in words.
    pub(super) fn rolled_out(&self) -> Look<String> {
        let missing: Vec<String> = self
            .workloads()
            .filter_map(|workload| Some(format!("{} ({})", workload.name(), rollout(&workload.deployment)?)))
            .collect();
        if !missing.is_empty() {
            return Look::Missing(missing.join(" and "));
        }
        let count = |count: i32, what: &str| format!("{count} {what}{}", if count == 1 { "" } else { "s" });
        let mut pods = count(self.jobmanager.replicas(), "JobManager");
        if let Some(taskmanager) = &self.taskmanager {
            pods = format!("{pods} and {}", count(taskmanager.replicas(), "TaskManager"));
        }
        Look::Found(pods)
    }

    /// The leader, if it is one of the pods that are there.
    ///
    /// # Errors
    /// The HA ConfigMap may not be read.
    pub(super) fn leader(&self, lease: &mut Lease) -> Result<Look<Leader>> {
        let missing = |what: String| Ok(Look::Missing(what));
        let live = || self.jobmanager.pods.iter().filter(|pod| is_alive(pod));
        let map = match &self.map {
            Map::Read(map) => map,
            Map::Absent => return missing(format!("an election (ConfigMap {} is not there yet)", self.map_name)),
            Map::Forbidden(error) => return Err(not_verified(error)),
            Map::None => {
                return Ok(match live().find(|pod| is_ready(pod)) {
                    Some(pod) => Look::Found(Leader { pod: name(pod), address: declared_address(pod) }),
                    None => Look::Missing("a JobManager that is ready".to_owned()),
                });
            }
        };
        let (Some(record), Some(address)) = (&map.leader, &map.rest) else {
            return missing("an election".to_owned());
        };
        if record.holder.is_none() {
            return missing("an election (the former leader has released its lease)".to_owned());
        }
        let Some(pod) = live().find(|pod| ips(pod).any(|ip| ip == address.host)) else {
            return missing(format!("an election (the leader at {} is no longer there)", address.host));
        };
        // An IP can be given again to another pod. Clocks of this machine and of the nodes differ, so the lease is
        // compared with the pod's own start, or has to change while we look.
        let started = pod.status.as_ref().and_then(|status| status.start_time.as_ref()).map(|time| time.0);
        let acquired_by_it = record.acquire_time.zip(started).is_some_and(|(acquired, started)| acquired >= started);
        if !acquired_by_it && !lease.was_renewed(record.renew_time) {
            return missing(format!("pod {} to renew its lease", name(pod)));
        }
        Ok(Look::Found(Leader { pod: name(pod), address: address.clone() }))
    }
}

/// The leader's pod and the address of its REST API.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Leader {
    pub pod: String,
    pub address: RestAddress,
}

/// Remembers the lease of the first look.
#[derive(Debug, Default)]
pub(super) struct Lease {
    first: Option<Timestamp>,
}

impl Lease {
    fn was_renewed(&mut self, renewed: Option<Timestamp>) -> bool {
        renewed.is_some_and(|renewed| *self.first.get_or_insert(renewed) != renewed)
    }
}

fn name(pod: &Pod) -> String {
    pod.metadata.name.clone().unwrap_or_default()
}

fn ips(pod: &Pod) -> impl Iterator<Item = &str> {
    pod.status.iter().flat_map(|status| {
        let all = status.pod_ips.iter().flatten().map(|ip| ip.ip.as_str());
        all.chain(status.pod_ip.as_deref())
    })
}

/// Where a JobManager serves REST that announces it nowhere: the port that is named so, else Flink's default.
fn declared_address(pod: &Pod) -> RestAddress {
    let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
    let mut ports = containers.flat_map(|container| container.ports.iter().flatten());
    let named = ports.find(|port| matches!(port.name.as_deref(), Some("rest" | "webui" | "ui" | "web")));
    let port = named.and_then(|port| u16::try_from(port.container_port).ok()).unwrap_or(8081);
    RestAddress { host: ips(pod).next().unwrap_or_default().to_owned(), port, tls: false }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn deployment(status: &Value) -> Deployment {
        let object = json!({
            "metadata": { "name": "flink-jobmanager", "generation": 2 },
            "spec": { "replicas": 2, "selector": {}, "template": {} },
            "status": status,
        });
        serde_json::from_value(object).unwrap()
    }

    #[test]
    fn rollout_by_kubectls_rule() {
        let missing = |generation, all, updated, available| {
            rollout(&deployment(
                &json!({ "observedGeneration": generation, "replicas": all, "updatedReplicas": updated,
                "availableReplicas": available }),
            ))
        };
        assert_eq!(missing(2, 2, 2, 2), None);
        assert_eq!(missing(1, 2, 2, 2).unwrap(), "its controller has not seen it yet");
        assert_eq!(missing(2, 2, 1, 2).unwrap(), "1 of 2 updated");
        assert_eq!(missing(2, 3, 2, 3).unwrap(), "1 old ones to end");
        assert_eq!(missing(2, 2, 2, 1).unwrap(), "1 of 2 available");
        assert!(rollout(&deployment(&json!({}))).is_some());
    }

    const LEASE: &str = r#"{"holderIdentity":"a","leaseDuration":8.0,"acquireTime":"2026-11-20T12:00:05Z","renewTime":"2026-11-20T12:00:RRZ","leaderTransitions":0}"#;

    fn look(pod: &Value, map: Map, lease: &mut Lease) -> Result<Look<Leader>> {
        let pods = vec![serde_json::from_value(pod.clone()).unwrap()];
        let jobmanager = Deployed { deployment: deployment(&json!({})), pods };
        Observation { jobmanager, taskmanager: None, map, map_name: "flink-cluster-config-map".into() }.leader(lease)
    }

    fn pod(started: &str) -> Value {
        json!({ "metadata": { "name": "jm" },
            "status": { "phase": "Running", "podIP": "10.0.0.1", "startTime": started } })
    }

    fn map(ip: &str, renewed: &str) -> Map {
        let leader = ha::LeaderRecord::parse(&LEASE.replace("RR", renewed));
        let rest = RestAddress::parse(&format!("http://{ip}:8081"));
        Map::Read(ClusterMap { leader, rest, jobs: Vec::new() })
    }

    fn is_found(look: &Result<Look<Leader>>) -> bool {
        matches!(look, Ok(Look::Found(_)))
    }

    #[test]
    fn the_leader_is_a_pod_that_is_there() {
        let lease = &mut Lease::default();
        let here = pod("2026-11-20T12:00:00Z");
        assert!(is_found(&look(&here, map("10.0.0.1", "06"), lease)));
        assert!(!is_found(&look(&here, map("10.0.0.2", "06"), lease)));
        let mut leaving = here.clone();
        leaving["metadata"]["deletionTimestamp"] = json!("2026-11-20T12:01:00Z");
        assert!(!is_found(&look(&leaving, map("10.0.0.1", "06"), lease)));
        assert!(look(&here, Map::Forbidden(Error::could_not_run("no")), lease).is_err());
        assert!(!is_found(&look(&here, Map::Absent, lease)));
    }

    #[test]
    fn a_lease_from_before_the_pod_has_to_be_renewed() {
        let lease = &mut Lease::default();
        let later = pod("2026-11-20T12:30:00Z");
        assert!(!is_found(&look(&later, map("10.0.0.1", "06"), lease)));
        assert!(!is_found(&look(&later, map("10.0.0.1", "06"), lease)));
        assert!(is_found(&look(&later, map("10.0.0.1", "07"), lease)));
    }

    #[test]
    fn without_high_availability_a_ready_jobmanager_leads() {
        let mut ready = pod("2026-11-20T12:00:00Z");
        assert!(!is_found(&look(&ready, Map::None, &mut Lease::default())));
        ready["status"]["conditions"] = json!([{ "type": "Ready", "status": "True" }]);
        ready["spec"] =
            json!({ "containers": [{ "name": "jm", "ports": [{ "name": "rest", "containerPort": 9081 }] }] });
        let Ok(Look::Found(leader)) = look(&ready, Map::None, &mut Lease::default()) else { panic!() };
        assert_eq!(leader.address.port, 9081);
    }
}
