//! Why the pods of a Deployment do not start, said in one line with what to do about it.
//!
//! Statuses come first: they are at hand. Logs and events are read only where a status leaves the cause open, and where
//! they may not be read the problem says so instead of keeping silent.

mod sight;

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Event, PersistentVolumeClaim, Pod};
use kube::Api;
use kube::api::{ListParams, LogParams};

use self::sight::{Ask, Sighting};
use crate::cluster::Connection;
use crate::cluster::workload;
use crate::error::Error;
use crate::flink::ha::{HaMap, LostJob};
use crate::flink::log::{Telling, shorten, telling};

/// Why something does not start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// What has the problem: `pod/x`, `deployment/x`, `persistentvolumeclaim/x`.
    pub object: String,
    /// Kubernetes' word for it: `ImagePullBackOff`, `Unschedulable`, `FailedCreate`, ...
    pub reason: String,
    /// What is wrong, in the words of whoever found it, with the telling line of the container's log.
    pub message: String,
    /// What to do; empty where nothing better is known than the message.
    pub hint: String,
    /// It does not go away by itself.
    pub terminal: bool,
    /// How long a terminal problem has to stand before it is believed.
    pub grace: Duration,
}

impl Problem {
    fn new(object: String, reason: &str, message: String) -> Self {
        let reason = reason.to_owned();
        Problem { object, reason, message, hint: String::new(), terminal: false, grace: Duration::ZERO }
    }

    /// Adds what the log of a container says of its end.
    fn tell(&mut self, telling: &Telling) {
        self.message = format!("{}: {}", self.message, telling.line);
        if let Some(hint) = telling.hint {
            self.hint = format!("{hint}; {}", self.hint);
        }
        self.terminal |= telling.lasting;
    }

    /// It may be over when pods that are being replaced have made room.
    pub fn lacks_room(&self) -> bool {
        self.message.contains("exceeded quota") || self.message.contains("Insufficient")
    }

    /// The container did not end by itself: 143 is SIGTERM, and Flink, which catches it, ends with 239 then.
    fn ended_by_signal(&self) -> bool {
        ["exit code 143", "exit code 137", "exit code 239"].iter().any(|code| self.message.contains(code))
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.object, self.reason)?;
        if self.message.is_empty() { Ok(()) } else { write!(f, ": {}", self.message) }
    }
}

/// Whether the statuses alone show a problem, so that [`problems`] is worth its requests at once.
pub fn suspicious(deployment: &Deployment, pods: &[Pod]) -> bool {
    !sight::deployment(deployment).is_empty() || pods.iter().filter_map(sight::pod).any(|seen| seen.ask != Ask::Events)
}

/// Where the high-availability data of a cluster is.
#[derive(Debug, Clone, Copy)]
pub struct HaPlace<'a> {
    /// The namespace of its ConfigMaps.
    pub namespace: &'a str,
    /// `kubernetes.cluster-id`; none without high availability.
    pub cluster_id: Option<&'a str>,
}

/// Finds what keeps a Deployment's pods from starting. `pods` are those of its selector; the ones that an update is
/// about to replace are left out. The causes come before the symptoms.
pub async fn problems(
    connection: &Connection,
    namespace: &str,
    ha: HaPlace<'_>,
    deployment: &Deployment,
    pods: &[Pod],
) -> Vec<Problem> {
    let reader = Reader { connection, namespace, ha };
    let mut sightings: Vec<(&Pod, Sighting)> = pods.iter().filter_map(|pod| Some((pod, sight::pod(pod)?))).collect();
    let hash = if sightings.is_empty() { None } else { reader.current_hash(deployment).await };
    sightings.retain(|(pod, _)| {
        let label = pod.metadata.labels.as_ref().and_then(|labels| labels.get("pod-template-hash"));
        hash.is_none() || label == hash.as_ref()
    });
    let mut found = sight::deployment(deployment);
    for (pod, sighting) in sightings {
        found.extend(reader.read(pod, sighting).await);
    }
    found.sort_by_key(|problem| !problem.terminal);
    found
}

/// Finds what keeps a pod that nothing makes from starting. The causes come before the symptoms.
pub async fn of_pod(connection: &Connection, namespace: &str, pod: &Pod) -> Vec<Problem> {
    let Some(sighting) = sight::pod(pod) else { return Vec::new() };
    let ha = HaPlace { namespace, cluster_id: None };
    let mut found = Reader { connection, namespace, ha }.read(pod, sighting).await;
    found.sort_by_key(|problem| !problem.terminal);
    found
}

/// Reads what statuses do not say.
struct Reader<'a> {
    connection: &'a Connection,
    namespace: &'a str,
    ha: HaPlace<'a>,
}

impl Reader<'_> {
    fn api<K>(&self) -> Api<K>
    where
        K: kube::Resource<DynamicType = (), Scope = k8s_openapi::NamespaceResourceScope>,
    {
        Api::namespaced(self.connection.client.clone(), self.namespace)
    }

    /// What stands behind a sighting of this pod; nothing where it turns out to be none.
    async fn read(&self, pod: &Pod, Sighting { mut problem, ask }: Sighting) -> Vec<Problem> {
        let mut found = Vec::new();
        match ask {
            Ask::Nothing => {}
            Ask::Log { container, previous } => {
                let name = pod.metadata.name.as_deref().unwrap_or_default();
                match self.read_log(&mut problem, name, &container, previous).await {
                    Some(lost) => self.read_lost_job(&mut problem, lost, pod, &container).await,
                    None if problem.ended_by_signal() => self.read_killing(&mut problem, pod).await,
                    None => {}
                }
            }
            Ask::Scheduling => found.extend(self.read_scheduling(&mut problem, pod).await),
            Ask::Events => {
                if !self.read_events(&mut problem, pod).await {
                    return found;
                }
            }
        }
        found.push(problem);
        found
    }

    /// The template hash of the pods that the Deployment wants now; None where it cannot be told.
    async fn current_hash(&self, deployment: &Deployment) -> Option<String> {
        let revision = workload::revision(&deployment.metadata)?;
        let sets = workload::replica_sets(self.connection, deployment).await.ok()?;
        let current = sets.into_iter().find(|set| workload::revision(&set.metadata) == Some(revision))?;
        current.metadata.labels?.remove("pod-template-hash")
    }

    /// Adds what the container said before it ended, and returns the job that it could not recover.
    async fn read_log(&self, problem: &mut Problem, pod: &str, container: &str, previous: bool) -> Option<LostJob> {
        let container = Some(container.to_owned());
        let params = LogParams { container, previous, tail_lines: Some(500), ..LogParams::default() };
        let log = match self.api::<Pod>().logs(pod, &params).await {
            Ok(log) => log,
            Err(error) => {
                let cause = Error::from(error).message;
                problem.message = format!("{} (its log could not be read: {cause})", problem.message);
                return None;
            }
        };
        // The kubelet sends this as the log itself when the container is gone already.
        if log.starts_with("unable to retrieve container logs") {
            return None;
        }
        let lost = LostJob::of_log(&log, self.ha.namespace, self.ha.cluster_id);
        if lost.is_none() {
            problem.tell(&telling(&log)?);
        }
        lost
    }

    /// Says which job it is, and what mends it. ConfigMaps that may not be read tell no less than none.
    async fn read_lost_job(&self, problem: &mut Problem, mut lost: LostJob, pod: &Pod, container: &str) {
        let (namespace, names) = lost.config_maps();
        let api: Api<ConfigMap> = Api::namespaced(self.connection.client.clone(), namespace);
        let maps = futures::future::join_all(names.iter().map(|name| api.get_opt(name))).await;
        for map in maps.into_iter().filter_map(|map| HaMap::read(&map.ok()??)) {
            lost.learn(&map);
        }
        problem.message = format!("{}: {}", problem.message, lost.message());
        problem.hint = lost.remedy(self.namespace, &pod.spec.clone().unwrap_or_default(), container);
        problem.terminal = true;
    }

    /// A container that the kubelet ended for a failed probe says nothing of it in its log; the events do.
    async fn read_killing(&self, problem: &mut Problem, pod: &Pod) {
        let Ok(events) = self.events(pod.metadata.uid.as_deref()).await else { return };
        let killing = |event: &&Event| {
            event.reason.as_deref() == Some("Killing")
                && event.message.as_deref().is_some_and(|message| message.contains(" probe"))
        };
        let Some(event) = events.iter().rev().find(killing) else { return };
        "ProbeFailed".clone_into(&mut problem.reason);
        problem.message = shorten(event.message.as_deref().unwrap_or_default());
        problem.hint =
            "Flink did not open its port in time: give it more CPU (--jobmanager-cpu, --taskmanager-cpu), and \
                        see its log: kubectl logs --previous"
                .into();
    }

    /// Looks whether a node is on its way, and whether the pod's claims have a problem of their own.
    async fn read_scheduling(&self, problem: &mut Problem, pod: &Pod) -> Option<Problem> {
        match self.events(pod.metadata.uid.as_deref()).await {
            // Reasons of the cluster autoscaler and of Karpenter.
            Ok(events) => {
                let coming = |event: &&Event| matches!(event.reason.as_deref(), Some("TriggeredScaleUp" | "Nominated"));
                if events.iter().any(|event| coming(&event)) {
                    problem.terminal = false;
                    problem.hint = "the cluster is adding a node for it: wait longer (--timeout)".into();
                }
            }
            Err(cause) => problem.message = format!("{} (its events could not be read: {cause})", problem.message),
        }
        if !problem.message.contains("PersistentVolumeClaim") {
            return None;
        }
        let volumes = pod.spec.as_ref()?.volumes.iter().flatten();
        for claim in volumes.filter_map(|volume| volume.persistent_volume_claim.as_ref()) {
            if let Ok(claim) = self.api::<PersistentVolumeClaim>().get(&claim.claim_name).await
                && let Some(found) = self.read_claim(&claim).await
            {
                return Some(found);
            }
        }
        None
    }

    async fn read_claim(&self, claim: &PersistentVolumeClaim) -> Option<Problem> {
        let name = claim.metadata.name.as_deref().unwrap_or_default();
        if claim.status.as_ref().and_then(|status| status.phase.as_deref()) == Some("Bound") {
            return None;
        }
        let events = self.events(claim.metadata.uid.as_deref()).await.unwrap_or_default();
        let event = events
            .iter()
            .rev()
            .find(|event| matches!(event.reason.as_deref(), Some("ProvisioningFailed" | "FailedBinding")))?;
        let message = event.message.clone().unwrap_or_default();
        let reason = event.reason.as_deref().unwrap_or_default();
        let mut problem = Problem::new(format!("persistentvolumeclaim/{name}"), reason, shorten(&message));
        // Nobody will make a volume without a storage class, or of one that does not exist; a provisioner tries again.
        problem.terminal = reason == "FailedBinding" || message.contains("not found");
        problem.grace = Duration::from_secs(5);
        problem.hint = if problem.terminal {
            "set storageClassName to a class of this cluster: kubectl get storageclass".into()
        } else {
            "see what its provisioner says: kubectl describe pvc".into()
        };
        Some(problem)
    }

    /// Says what the pod's newest warning says; false where there is none.
    async fn read_events(&self, problem: &mut Problem, pod: &Pod) -> bool {
        let events = match self.events(pod.metadata.uid.as_deref()).await {
            Ok(events) => events,
            Err(cause) => {
                problem.message = format!("{} (its events could not be read: {cause})", problem.message);
                return true;
            }
        };
        let Some(event) = events.iter().rev().find(|event| event.type_.as_deref() == Some("Warning")) else {
            return false;
        };
        let message = event.message.as_deref().unwrap_or_default();
        let reason = event.reason.clone().unwrap_or_default();
        // A volume that another node still holds comes free by itself; a ConfigMap that is not there does not appear.
        problem.terminal = reason == "FailedMount" && message.contains("not found");
        problem.grace = Duration::from_secs(5);
        problem.hint = match reason.as_str() {
            "FailedMount" if problem.terminal => "create what the message names, or correct the pod's volumes",
            "FailedMount" | "FailedAttachVolume" => "the volume is not there yet: kubectl describe pod, kubectl get pv",
            "FailedCreatePodSandBox" => "the node cannot set up the pod's network: see the node and its CNI plugin",
            _ => "",
        }
        .into();
        (problem.reason, problem.message) = (reason, shorten(message));
        true
    }

    /// The events of an object, oldest first.
    async fn events(&self, uid: Option<&str>) -> Result<Vec<Event>, String> {
        let params = ListParams::default().fields(&format!("involvedObject.uid={}", uid.unwrap_or_default()));
        let mut events = self.api::<Event>().list(&params).await.map_err(|e| Error::from(e).message)?.items;
        events.sort_by_key(|event| {
            let last = event.last_timestamp.as_ref().map(|time| time.0);
            last.or(event.event_time.as_ref().map(|time| time.0)).or(event
                .metadata
                .creation_timestamp
                .as_ref()
                .map(|t| t.0))
        });
        Ok(events)
    }
}
