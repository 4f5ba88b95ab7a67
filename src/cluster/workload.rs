//! What makes a cluster's pods: a Deployment, StatefulSet or Job, or pods that nothing makes, seen alike.

use std::collections::BTreeSet;

use k8s_openapi::api::apps::v1::{Deployment, ReplicaSet, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use k8s_openapi::api::core::v1::{Container, Pod, PodSpec, PodTemplateSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{Api, ListParams};
use kube::core::Selector;

use super::Connection;
use crate::error::{Error, Result};
use crate::flink::role::Process;

/// The annotation with the number of a Deployment's template, on it and on that template's ReplicaSet.
const REVISION: &str = "deployment.kubernetes.io/revision";
/// The numbers that a ReplicaSet had before: going back to a template gives it a new one.
const REVISION_HISTORY: &str = "deployment.kubernetes.io/revision-history";

/// Something that keeps Flink pods running.
#[derive(Debug, Clone)]
pub struct Workload {
    /// Its kind as a manifest writes it; `Pod` for a pod that nothing makes.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// Its metadata; only name and namespace where it was known from its pods alone.
    pub metadata: ObjectMeta,
    /// How many pods there should be.
    pub replicas: i32,
    /// How many of them are ready.
    pub ready: i32,
    /// A Job that has completed: no pods are expected any more.
    pub finished: bool,
    /// A Job that has failed for good: its pods are not made again.
    pub failed: bool,
    /// Of a StatefulSet, whether it deletes its pods' claims, with all that is on them, when it is scaled down
    /// (`persistentVolumeClaimRetentionPolicy.whenScaled`). None where it was known from its pods alone.
    pub deletes_claims: Option<bool>,
    /// What its pods are made from.
    pub template: PodTemplateSpec,
    /// The Flink process in that template.
    pub process: Process,
    /// The Deployment itself, if it is one: its conditions tell why pods are missing.
    pub deployment: Option<Box<Deployment>>,
}

impl Workload {
    /// The workload of a Deployment, if its pods run Flink.
    pub fn of_deployment(deployment: Deployment) -> Option<Workload> {
        let spec = deployment.spec.as_ref()?;
        let ready = deployment.status.as_ref().and_then(|status| status.ready_replicas);
        let (template, replicas) = (spec.template.clone(), spec.replicas.unwrap_or(1));
        let mut workload = Self::new("Deployment", deployment.metadata.clone(), template, replicas, ready)?;
        workload.deployment = Some(Box::new(deployment));
        Some(workload)
    }

    /// The workload of a StatefulSet, if its pods run Flink.
    pub fn of_stateful_set(set: StatefulSet) -> Option<Workload> {
        let spec = set.spec?;
        let ready = set.status.and_then(|status| status.ready_replicas);
        let replicas = spec.replicas.unwrap_or(1);
        let mut workload = Self::new("StatefulSet", set.metadata, spec.template, replicas, ready)?;
        let of_claims = spec.persistent_volume_claim_retention_policy.and_then(|policy| policy.when_scaled);
        let has_claims = spec.volume_claim_templates.is_some_and(|templates| !templates.is_empty());
        workload.deletes_claims = Some(has_claims && of_claims.as_deref() == Some("Delete"));
        Some(workload)
    }

    /// The workload of a Job, if its pods run Flink.
    pub fn of_job(job: Job) -> Option<Workload> {
        let spec = job.spec?;
        let status = job.status.unwrap_or_default();
        let replicas = if spec.suspend == Some(true) { 0 } else { spec.parallelism.unwrap_or(1) };
        let mut workload = Self::new("Job", job.metadata, spec.template, replicas, status.ready)?;
        let is = |type_: &str| {
            let mut conditions = status.conditions.iter().flatten();
            conditions.any(|condition| condition.type_ == type_ && condition.status == "True")
        };
        (workload.finished, workload.failed) = (is("Complete"), is("Failed"));
        Some(workload)
    }

    /// What is known of a workload from its pods, all of one controller, where it cannot be read or is of another kind.
    pub fn of_pods(kind: &str, name: &str, pods: &[Pod]) -> Option<Workload> {
        let pod = pods.first()?;
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            namespace: pod.metadata.namespace.clone(),
            labels: pod.metadata.labels.clone(),
            creation_timestamp: pod.metadata.creation_timestamp.clone(),
            ..ObjectMeta::default()
        };
        let template = PodTemplateSpec { metadata: Some(pod.metadata.clone()), spec: pod.spec.clone() };
        let count = |pods: usize| i32::try_from(pods).unwrap_or(i32::MAX);
        let ready = count(pods.iter().filter(|pod| is_ready(pod)).count());
        Self::new(kind, metadata, template, count(pods.len()), Some(ready))
    }

    fn new(
        kind: &str,
        metadata: ObjectMeta,
        template: PodTemplateSpec,
        replicas: i32,
        ready: Option<i32>,
    ) -> Option<Workload> {
        let process = Process::of(template.spec.as_ref()?)?;
        Some(Workload {
            kind: kind.to_owned(),
            name: metadata.name.clone()?,
            replicas,
            ready: ready.unwrap_or(0),
            finished: false,
            failed: false,
            deletes_claims: None,
            deployment: None,
            template,
            process,
            metadata,
        })
    }

    /// Its namespace.
    pub fn namespace(&self) -> &str {
        self.metadata.namespace.as_deref().unwrap_or_default()
    }

    /// The pods' specification, with the container that runs Flink.
    pub fn flink_container(&self) -> Option<(&PodSpec, &Container)> {
        let spec = self.template.spec.as_ref()?;
        Some((spec, spec.containers.iter().find(|container| container.name == self.process.container)?))
    }

    /// A label of the workload.
    pub fn label(&self, key: &str) -> Option<&str> {
        self.metadata.labels.as_ref()?.get(key).map(String::as_str)
    }

    /// Who made it, in words, where something says so: this plugin, an operator's resource, a Helm release.
    pub fn made_by(&self) -> Option<String> {
        if self.label("app.kubernetes.io/managed-by") == Some(super::FIELD_MANAGER) {
            return Some(super::FIELD_MANAGER.to_owned());
        }
        if let Some(owner) = self.metadata.owner_references.iter().flatten().next() {
            return Some(format!("{}/{}", owner.kind, owner.name));
        }
        let annotation = |key: &str| self.metadata.annotations.as_ref()?.get(key);
        if annotation("flinkdeployment.flink.apache.org/generation").is_some() {
            // The operator names the Deployments after its resource, the TaskManagers' with a suffix.
            return Some(format!("FlinkDeployment/{}", self.name.trim_end_matches("-taskmanager")));
        }
        annotation("meta.helm.sh/release-name").map(|release| format!("Helm release {release}"))
    }

    /// Whether this pod is one of its own.
    pub fn owns(&self, pod: &Pod) -> bool {
        pod.metadata.namespace == self.metadata.namespace
            && controller(pod).is_some_and(|(kind, name)| kind == self.kind && name == self.name)
    }
}

/// How many pods a Deployment wants.
pub(super) fn replicas(deployment: &Deployment) -> i32 {
    deployment.spec.as_ref().and_then(|spec| spec.replicas).unwrap_or(1)
}

/// What is missing until a Deployment is rolled out, by the rule of `kubectl rollout status`; None when it is.
pub(super) fn rollout(deployment: &Deployment) -> Option<String> {
    let wanted = replicas(deployment);
    let status = deployment.status.clone().unwrap_or_default();
    let count = |count: Option<i32>| count.unwrap_or_default();
    let (all, updated, available) =
        (count(status.replicas), count(status.updated_replicas), count(status.available_replicas));
    if status.observed_generation < deployment.metadata.generation {
        return Some("its controller has not seen it yet".to_owned());
    }
    if updated != wanted {
        return Some(format!("{updated} of {wanted} updated"));
    }
    if all > updated {
        return Some(format!("{} old ones to end", all - updated));
    }
    (available != wanted).then(|| format!("{available} of {wanted} available"))
}

/// The ReplicaSets of a Deployment: what its pods are and were made from.
///
/// # Errors
/// They may not be listed, or the selector is not understood.
pub async fn replica_sets(connection: &Connection, deployment: &Deployment) -> Result<Vec<ReplicaSet>> {
    let selector = deployment.spec.as_ref().and_then(|spec| Selector::try_from(spec.selector.clone()).ok());
    let selector = selector.ok_or_else(|| Error::could_not_run("its selector is not understood"))?;
    let namespace = deployment.metadata.namespace.as_deref().unwrap_or_default();
    let api: Api<ReplicaSet> = Api::namespaced(connection.client.clone(), namespace);
    let mut sets = api.list(&ListParams::default().labels_from(&selector)).await?.items;
    sets.retain(|set| {
        let mut owners = set.metadata.owner_references.iter().flatten();
        owners.any(|owner| Some(&owner.uid) == deployment.metadata.uid.as_ref())
    });
    Ok(sets)
}

/// The number of a Deployment's template, or of the template of a ReplicaSet, as it stands there.
pub(super) fn revision(metadata: &ObjectMeta) -> Option<&str> {
    metadata.annotations.as_ref()?.get(REVISION).map(String::as_str)
}

/// The first revision of a Deployment of which none of its ReplicaSets is left: it keeps `revisionHistoryLimit` old ones.
pub fn lost_revision(deployment: &Deployment, sets: &[ReplicaSet]) -> Option<u64> {
    let numbers = |metadata: &ObjectMeta| -> BTreeSet<u64> {
        let history = metadata.annotations.as_ref().and_then(|annotations| annotations.get(REVISION_HISTORY));
        let lists = revision(metadata).into_iter().chain(history.map(String::as_str));
        lists.flat_map(|list| list.split(',')).filter_map(|number| number.trim().parse().ok()).collect()
    };
    let kept: BTreeSet<u64> = sets.iter().flat_map(|set| numbers(&set.metadata)).collect();
    let latest = numbers(&deployment.metadata).last().max(kept.last()).copied()?;
    (1..=latest).find(|number| !kept.contains(number))
}

/// What makes this pod: kind and name. A ReplicaSet stands for its Deployment, whose name is the ReplicaSet's without
/// the template's hash; a pod without a controller stands for itself.
pub fn controller(pod: &Pod) -> Option<(String, String)> {
    let owner = pod.metadata.owner_references.iter().flatten().find(|owner| owner.controller == Some(true));
    let Some(owner) = owner else { return Some(("Pod".to_owned(), pod.metadata.name.clone()?)) };
    let hash = pod.metadata.labels.as_ref().and_then(|labels| labels.get("pod-template-hash"));
    if owner.kind == "ReplicaSet"
        && let Some(hash) = hash
        && let Some(name) = owner.name.strip_suffix(hash.as_str()).and_then(|name| name.strip_suffix('-'))
    {
        return Some(("Deployment".to_owned(), name.to_owned()));
    }
    Some((owner.kind.clone(), owner.name.clone()))
}

/// The pod passes its readiness probe, as its status says.
pub fn is_ready(pod: &Pod) -> bool {
    let conditions = pod.status.iter().flat_map(|status| status.conditions.iter().flatten());
    conditions.into_iter().any(|condition| condition.type_ == "Ready" && condition.status == "True")
}

/// None of its containers will ever run again.
pub fn has_ended(pod: &Pod) -> bool {
    matches!(pod.status.as_ref().and_then(|status| status.phase.as_deref()), Some("Succeeded" | "Failed"))
}

/// The pod is not on its way out and has not ended.
pub fn is_alive(pod: &Pod) -> bool {
    pod.metadata.deletion_timestamp.is_none() && !has_ended(pod)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn revisions_that_are_gone() {
        let metadata = |revision: &str, history: &str| {
            let annotations = json!({ REVISION: revision, REVISION_HISTORY: history });
            json!({"metadata": {"annotations": annotations}})
        };
        let lost = |revision: &str, sets: &[(&str, &str)]| {
            let set = |(revision, history): &(&str, &str)| serde_json::from_value(metadata(revision, history)).unwrap();
            let sets: Vec<ReplicaSet> = sets.iter().map(set).collect();
            lost_revision(&serde_json::from_value(metadata(revision, "")).unwrap(), &sets)
        };
        assert_eq!(lost("1", &[("1", "")]), None);
        assert_eq!(lost("3", &[("1", ""), ("3", ""), ("2", "")]), None);
        // Back to the first, to the second, and to the first again.
        assert_eq!(lost("5", &[("5", "1,3"), ("4", "2")]), None);
        assert_eq!(lost("5", &[("5", "3"), ("4", "2")]), Some(1));
        assert_eq!(lost("3", &[("3", ""), ("1", "")]), Some(2));
        assert_eq!(lost("2", &[]), Some(1));
        // No controller has seen it so far, or one that was asked later has gone on.
        assert_eq!(lost("", &[]), None);
        assert_eq!(lost("", &[("2", "")]), Some(1));
        assert_eq!(lost("1", &[("1", ""), ("2", "")]), None);
        assert_eq!(lost("9223372036854775807", &[("1", "")]), Some(2));
    }

    #[test]
    fn a_pods_controller() {
        let pod = |owner: serde_json::Value| -> Pod {
            serde_json::from_value(json!({"metadata": {
                "name": "p", "labels": {"pod-template-hash": "77c58dd58"}, "ownerReferences": owner
            }}))
            .unwrap()
        };
        let owner = |kind: &str, name: &str| json!([{"apiVersion": "v1", "kind": kind, "name": name, "uid": "u", "controller": true}]);
        let is = |kind: &str, name: &str| Some((kind.to_owned(), name.to_owned()));
        assert_eq!(controller(&pod(owner("ReplicaSet", "flink-tm-77c58dd58"))), is("Deployment", "flink-tm"));
        assert_eq!(controller(&pod(owner("ReplicaSet", "rollout-1"))), is("ReplicaSet", "rollout-1"));
        assert_eq!(controller(&pod(owner("StatefulSet", "jm"))), is("StatefulSet", "jm"));
        assert_eq!(controller(&pod(json!([]))), is("Pod", "p"));
    }
}
