//! The running cluster: its pods, its leader, its jobs.

pub mod flk601_container_not_starting;
pub mod flk602_container_crashing;
pub mod flk603_out_of_memory;
pub mod flk604_job_not_recoverable;
pub mod flk605_pod_not_scheduled;
pub mod flk606_pod_not_created;
pub mod flk607_volume_not_mounted;
pub mod flk608_no_leader;
pub mod flk609_leader_changes_often;
pub mod flk610_rest_silent;
pub mod flk611_taskmanagers_not_registered;
pub mod flk612_job_failing;
pub mod flk613_checkpoints_failing;
pub mod flk614_checkpoint_overdue;
pub mod flk615_checkpointing_off;
pub mod flk616_savepoint_directory_missing;
pub mod flk617_disruption_budget_blocks;
pub mod flk618_rollout_stuck;
pub mod flk619_probe_failing;
pub mod flk620_job_waits_for_slots;

use k8s_openapi::api::core::v1::{ContainerStatus, Pod};

use crate::cluster::workload::is_alive;
use crate::doctor::live;
use crate::doctor::model::{Cluster, Member};
use crate::doctor::rule::Check;
use crate::doctor::snapshot::ObjectId;
use crate::manifests::tree::Node;

/// A pod that lives, of a member of a cluster.
struct Running<'a> {
    cluster: &'a Cluster,
    member: &'a Member,
    object: ObjectId,
    pod: Pod,
}

impl Running<'_> {
    fn name(&self) -> &str {
        self.pod.metadata.name.as_deref().unwrap_or_default()
    }

    /// The statuses of its containers, each with the pointer to it.
    fn containers(&self) -> Vec<(String, &ContainerStatus)> {
        let status = self.pod.status.as_ref();
        let all = |list: Option<&Vec<ContainerStatus>>| list.map_or(0, Vec::len);
        let (init, main) = (
            status.and_then(|status| status.init_container_statuses.as_ref()),
            status.and_then(|status| status.container_statuses.as_ref()),
        );
        let pointers = (0..all(init)).map(|n| format!("/status/initContainerStatuses/{n}"));
        let pointers = pointers.chain((0..all(main)).map(|n| format!("/status/containerStatuses/{n}")));
        pointers.zip(init.into_iter().flatten().chain(main.into_iter().flatten())).collect()
    }
}

/// The living pods of every cluster.
fn pods<'a>(cx: &Check<'a>) -> Vec<Running<'a>> {
    let all: Vec<(ObjectId, Pod)> =
        cx.of_kind("Pod").into_iter().filter_map(|id| Some((id, cx.object(id).typed::<Pod>()?))).collect();
    let mut running = Vec::new();
    for (cluster, member) in cx.members() {
        let own = all.iter().filter(|(id, pod)| *id == member.object || member.workload.owns(pod));
        running.extend(own.filter(|(_, pod)| is_alive(pod)).map(|(object, pod)| Running {
            cluster,
            member,
            object: *object,
            pod: pod.clone(),
        }));
    }
    running
}

/// What the container of a pod said last, where it was read.
fn log_of<'a>(cx: &Check<'a>, pod: &Running<'_>, container: &str) -> Option<&'a str> {
    let id = cx.find(live::LOG, &pod.cluster.namespace, &format!("{}.{container}", pod.name())).present()?;
    cx.object(id).node.string_at("/spec/text")
}

/// What Flink's REST API answered, of each cluster that was asked.
fn answers<'a>(cx: &Check<'a>) -> Vec<(&'a Cluster, &'a Member, &'a Node)> {
    let mut answers = Vec::new();
    for cluster in cx.clusters() {
        let Some(jobmanager) = cx.model.jobmanager(cluster) else { continue };
        if let Some(id) = cx.find(live::REST, &cluster.namespace, &jobmanager.workload.name).present()
            && let Some(spec) = cx.object(id).node.get("spec")
        {
            answers.push((cluster, jobmanager, spec));
        }
    }
    answers
}

/// The jobs of an answer: id, name, state.
fn jobs(answer: &Node) -> Vec<(&str, &str, &str)> {
    answer
        .get("jobs")
        .map(Node::items)
        .unwrap_or_default()
        .iter()
        .map(|job| {
            let of = |key: &str| job.get(key).and_then(Node::text).unwrap_or_default();
            (of("jid"), of("name"), of("state"))
        })
        .collect()
}

/// A number of an answer.
fn number(node: &Node, pointer: &str) -> Option<i64> {
    node.at(pointer)?.text()?.parse().ok()
}
