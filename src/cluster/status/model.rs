//! What `status` knows of a cluster, as `-o json` shows it.

use jiff::Timestamp;
use serde::Serialize;

use crate::cluster::diagnose::Problem;
use crate::cluster::workload::Workload;
use crate::flink::ha::Generation;
use crate::flink::storage::Storage;

/// A cluster's state. What could not be learnt is none, and [`ClusterStatus::not_checked`] says why.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ClusterStatus {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// `kubernetes.cluster-id`, if it has one.
    pub cluster_id: Option<String>,
    /// How it is run.
    pub mode: String,
    /// Who made it.
    pub made_by: String,
    /// The version that the JobManager says, else that of its image's tag.
    pub flink_version: Option<String>,
    /// The JobManager's image.
    pub image: String,
    /// When its JobManager's workload was made.
    pub created: Option<Timestamp>,
    /// What makes the JobManager's pods.
    pub job_manager: WorkloadStatus,
    /// What makes the TaskManagers' pods; empty in native mode.
    pub task_manager_workloads: Vec<WorkloadStatus>,
    /// Who leads.
    pub leader: Option<Leader>,
    /// Whether there is no leader where none is named; otherwise it is not known.
    pub leader_known: bool,
    /// JobManager pods that would take over.
    pub standbys: Vec<String>,
    /// The TaskManagers.
    pub task_managers: TaskManagers,
    /// The slots.
    pub slots: Option<Slots>,
    /// The jobs, the newest first.
    pub jobs: Option<Vec<JobStatus>>,
    /// How often containers of its pods have been restarted.
    pub restarts: i32,
    /// What outlives a JobManager.
    pub high_availability: HighAvailability,
    /// It was there for one application, which has ended.
    pub finished: bool,
    /// Nothing is wrong, as far as could be checked.
    pub healthy: bool,
    /// What is wrong, the causes before their consequences.
    pub problems: Vec<Fault>,
    /// What is not wrong now and may become so.
    pub notes: Vec<String>,
    /// What could not be checked, and why.
    pub not_checked: Vec<String>,
}

/// Something that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// What.
    pub message: String,
    /// What to do about it, where more is known than the message says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hint: Option<String>,
}

impl From<String> for Fault {
    fn from(message: String) -> Self {
        Fault { message, hint: None }
    }
}

impl From<Problem> for Fault {
    fn from(problem: Problem) -> Self {
        Fault { message: problem.to_string(), hint: Some(problem.hint).filter(|hint| !hint.is_empty()) }
    }
}

/// A workload's pods.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct WorkloadStatus {
    /// Its kind, as in a manifest.
    pub kind: String,
    /// Its name.
    pub name: String,
    /// How many of its pods are ready.
    pub ready: i32,
    /// How many there should be.
    pub replicas: i32,
}

impl From<&Workload> for WorkloadStatus {
    fn from(workload: &Workload) -> Self {
        let Workload { kind, name, ready, replicas, .. } = workload;
        WorkloadStatus { kind: kind.clone(), name: name.clone(), ready: *ready, replicas: *replicas }
    }
}

/// The JobManager that leads.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Leader {
    /// Its pod.
    pub pod: String,
    /// The pod's node.
    pub node: Option<String>,
    /// When it renewed its lease; none without high availability.
    pub lease_renewed: Option<Timestamp>,
    /// How often the leader has changed; none without high availability.
    pub transitions: Option<u64>,
}

/// The TaskManagers.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TaskManagers {
    /// How many the JobManager knows.
    pub registered: Option<u32>,
    /// How many there should be; in native mode the JobManager decides that as jobs come and go.
    pub expected: Option<i32>,
    /// How many pods are ready.
    pub ready: usize,
}

/// Task slots.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Slots {
    /// Not used by a job.
    pub free: u32,
    /// All.
    pub total: u32,
}

/// A job.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct JobStatus {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its state, in Flink's words.
    pub state: String,
    /// For how long it has run.
    pub duration_ms: i64,
    /// Its last completed checkpoint.
    pub last_checkpoint: Option<LastCheckpoint>,
}

/// A completed checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LastCheckpoint {
    /// Its number.
    pub id: u64,
    /// When it was complete, where the JobManager could be asked.
    pub completed: Option<Timestamp>,
    /// Where it lies, likewise.
    pub path: Option<String>,
}

/// What outlives a JobManager, and where.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HighAvailability {
    /// `kubernetes`, `zookeeper`, `none`; none where the configuration is not known.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// `high-availability.storageDir`.
    pub storage_dir: Option<String>,
    /// What is behind it.
    pub storage: Storage,
    /// The namespace and name of the ConfigMap that holds the leader, where there is one.
    pub config_map: Option<String>,
    /// The jobs in the ConfigMaps: those that a new leader would recover, and [`HaContents::ignored`].
    pub jobs: Option<Vec<String>>,
    /// What else the ConfigMaps say.
    #[serde(flatten)]
    pub contents: HaContents,
}

/// How what stands in high-availability ConfigMaps compares with what Flink says. All of it is none where the cluster has
/// none, or they could not be read.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct HaContents {
    /// Which versions of Flink have written them.
    pub generation: Option<Generation>,
    /// The jobs that a new leader passes over, because another major version of Flink has written them.
    pub ignored: Option<Vec<String>>,
    /// The other jobs in them that Flink does not know; none also where it did not answer, or has just begun to.
    pub not_in_rest: Option<Vec<String>>,
    /// The jobs that run and that a new leader would not recover; none also where Flink did not answer.
    pub not_in_ha: Option<Vec<String>>,
    /// ConfigMaps of jobs that neither the cluster's ConfigMap nor Flink knows.
    pub orphans: Option<Vec<Orphan>>,
    /// The last checkpoint of each job that has one in its ConfigMap.
    pub checkpoints: Option<Vec<HaCheckpoint>>,
}

/// A ConfigMap of a job that nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Orphan {
    /// Its name.
    pub config_map: String,
    /// The job.
    pub job: String,
}

/// What a job's ConfigMap says of its last checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HaCheckpoint {
    /// The job.
    pub job: String,
    /// The checkpoint's number.
    pub id: u64,
    /// The file in `high-availability.storageDir` that tells where the checkpoint lies; none where that cannot be read.
    pub path: Option<String>,
    /// When the ConfigMap was last written.
    pub written: Option<Timestamp>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ha_data_is_one_object() {
        let ha = HighAvailability {
            kind: Some("kubernetes".to_owned()),
            storage_dir: None,
            storage: Storage::PodLocal,
            config_map: None,
            jobs: Some(Vec::new()),
            contents: HaContents { generation: Some(Generation::V1_19), ..HaContents::default() },
        };
        let expected = serde_json::json!({
            "type": "kubernetes", "storageDir": null, "storage": {"kind": "podLocal"}, "configMap": null, "jobs": [],
            "generation": "1.19-1.20", "ignored": null, "notInRest": null, "notInHa": null, "orphans": null,
            "checkpoints": null
        });
        assert_eq!(serde_json::to_value(ha).unwrap(), expected);
    }
}
