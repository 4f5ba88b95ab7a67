//! Flink's REST answers, as far as this program reads them.
//!
//! Every version adds fields, so unknown ones are skipped, and what came later than 1.12 is optional. (The message
//! classes of `org.apache.flink.runtime.rest.messages`.)

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// `GET /overview`: the cluster in numbers (`ClusterOverviewWithVersion`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct Overview {
    /// TaskManagers that are registered with the leader.
    pub taskmanagers: u32,
    /// Slots of all registered TaskManagers.
    pub slots_total: u32,
    /// Slots that no job uses.
    pub slots_available: u32,
    /// Jobs that are not in a globally terminal state, whatever the name says.
    pub jobs_running: u32,
    /// Jobs that have finished, as far as the leader remembers them.
    pub jobs_finished: u32,
    /// Jobs that were cancelled, as far as the leader remembers them.
    pub jobs_cancelled: u32,
    /// Jobs that have failed, as far as the leader remembers them.
    pub jobs_failed: u32,
    /// The version of the JobManager: `1.20.5`.
    pub flink_version: String,
}

/// `GET /jobs/overview`: running and remembered jobs (`MultipleJobsDetails`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct JobsOverview {
    /// In no particular order.
    pub jobs: Vec<JobSummary>,
}

/// One job of [`JobsOverview`] (`JobDetails`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct JobSummary {
    /// 32 hexadecimal digits.
    pub jid: String,
    /// As given in the program.
    pub name: String,
    /// A `JobStatus`: `RUNNING`, `RESTARTING`, `FINISHED`, ...
    pub state: String,
    /// Milliseconds since the epoch.
    pub start_time: i64,
    /// Milliseconds since the epoch, -1 while the job runs.
    pub end_time: i64,
    /// Milliseconds.
    pub duration: i64,
    /// Number of tasks by state, with their sum as `total`.
    #[serde(default)]
    pub tasks: BTreeMap<String, u32>,
}

impl JobsOverview {
    /// The number of jobs in each state.
    pub fn jobs_by_state(&self) -> BTreeMap<&str, usize> {
        let mut states = BTreeMap::new();
        for job in &self.jobs {
            *states.entry(job.state.as_str()).or_default() += 1;
        }
        states
    }
}

/// Whether a job in this state is over for good, so that its high-availability data is deleted
/// (`JobStatus.isGloballyTerminalState`).
pub fn is_globally_terminal(state: &str) -> bool {
    matches!(state, "FINISHED" | "CANCELED" | "FAILED")
}

/// `GET /jobs/:id` (`JobDetailsInfo`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Job {
    /// 32 hexadecimal digits.
    pub jid: String,
    /// As given in the program.
    pub name: String,
    /// A `JobStatus`.
    pub state: String,
    /// Milliseconds since the epoch.
    #[serde(rename = "start-time")]
    pub start_time: i64,
    /// Milliseconds since the epoch, -1 while the job runs.
    #[serde(rename = "end-time")]
    pub end_time: i64,
    /// Milliseconds.
    pub duration: i64,
    /// `STREAMING` or `BATCH`; since Flink 1.20.
    #[serde(rename = "job-type", default, skip_serializing_if = "Option::is_none")]
    pub job_type: Option<String>,
    /// The vertices of the job graph, in topological order.
    #[serde(default)]
    pub vertices: Vec<Vertex>,
}

/// One vertex of [`Job`].
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Vertex {
    /// 32 hexadecimal digits.
    pub id: String,
    /// The names of the chained operators.
    pub name: String,
    /// Number of parallel tasks.
    pub parallelism: u32,
    /// An `ExecutionState`, the aggregate of its tasks.
    pub status: String,
}

/// `GET /jobs/:id/checkpoints` (`CheckpointingStatistics`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Checkpoints {
    /// Since the job was submitted or recovered by this leader.
    #[serde(default)]
    pub counts: CheckpointCounts,
    /// The latest of each kind.
    #[serde(default)]
    pub latest: LatestCheckpoints,
}

/// Numbers of checkpoints.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct CheckpointCounts {
    /// How often the job was restored from one.
    pub restored: u64,
    /// Triggered.
    pub total: u64,
    /// Not completed yet.
    pub in_progress: u64,
    /// Completed.
    pub completed: u64,
    /// Failed or expired.
    pub failed: u64,
}

/// The latest checkpoint of each kind; a kind that there is none of is absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default)]
pub struct LatestCheckpoints {
    /// The newest completed checkpoint.
    pub completed: Option<Checkpoint>,
    /// The newest completed savepoint.
    pub savepoint: Option<Checkpoint>,
    /// The newest failed checkpoint.
    pub failed: Option<FailedCheckpoint>,
    /// What the job was last restored from.
    pub restored: Option<RestoredCheckpoint>,
}

/// A completed checkpoint or savepoint.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct Checkpoint {
    /// Counts up from 1 over the life of the job.
    pub id: u64,
    /// When it was triggered, in milliseconds since the epoch.
    pub trigger_timestamp: i64,
    /// When its last task acknowledged, in milliseconds since the epoch.
    pub latest_ack_timestamp: i64,
    /// Size of the whole state in bytes.
    pub state_size: u64,
    /// From trigger to acknowledgement, in milliseconds.
    pub end_to_end_duration: u64,
    /// The directory that it can be restored from; absent where the state lives in the JobManager's heap.
    #[serde(default)]
    pub external_path: Option<String>,
}

/// A checkpoint that did not complete.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct FailedCheckpoint {
    /// Counts up from 1 over the life of the job.
    pub id: u64,
    /// When it failed, in milliseconds since the epoch.
    #[serde(default)]
    pub failure_timestamp: i64,
    /// The cause in Flink's words.
    #[serde(default)]
    pub failure_message: Option<String>,
}

/// What a job was restored from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
pub struct RestoredCheckpoint {
    /// The checkpoint's id.
    pub id: u64,
    /// When the job was restored, in milliseconds since the epoch.
    pub restore_timestamp: i64,
    /// Whether it is a savepoint.
    pub is_savepoint: bool,
    /// Where it lies.
    #[serde(default)]
    pub external_path: Option<String>,
}

/// `GET /config`: answered without a leader too, since it is about the process alone (`DashboardConfiguration`).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case")]
pub struct DashboardConfig {
    /// `1.20.5`.
    pub flink_version: String,
    /// What the web UI offers.
    #[serde(default)]
    pub features: Features,
}

/// What the REST API allows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "kebab-case", default)]
pub struct Features {
    /// Jars may be uploaded and run (`web.submit.enable`).
    pub web_submit: bool,
    /// Jobs may be cancelled in the web UI (`web.cancel.enable`).
    pub web_cancel: bool,
}

/// The body of an answer that is no success (`ErrorResponseBody`).
#[derive(Debug, Clone, Deserialize)]
pub struct Errors {
    /// Messages, of which the last may be a whole stack trace.
    pub errors: Vec<String>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overview_skips_what_it_does_not_know() {
        let text = r#"{"taskmanagers":2,"taskmanagers-blocked":0,"slots-total":4,"slots-available":3,"jobs-running":1,
            "jobs-finished":0,"jobs-cancelled":0,"jobs-failed":0,"flink-version":"1.20.5","flink-commit":"0980485"}"#;
        let overview: Overview = serde_json::from_str(text).unwrap();
        assert_eq!((overview.taskmanagers, overview.slots_total, overview.slots_available), (2, 4, 3));
        assert_eq!(overview.flink_version, "1.20.5");
    }

    #[test]
    fn jobs_are_counted_by_state() {
        let job = |state: &str| {
            format!(
                r#"{{"jid":"{:032}","name":"x","state":"{state}","start-time":1,"end-time":-1,"duration":5,
                "last-modification":2,"tasks":{{"running":2,"total":2}}}}"#,
                1
            )
        };
        let text = format!(r#"{{"jobs":[{},{},{}]}}"#, job("RUNNING"), job("FAILED"), job("RUNNING"));
        let overview: JobsOverview = serde_json::from_str(&text).unwrap();
        assert_eq!(overview.jobs_by_state(), BTreeMap::from([("FAILED", 1), ("RUNNING", 2)]));
    }

    #[test]
    fn checkpoints_with_and_without_any() {
        let none = r#"{"counts":{"restored":0,"total":0,"in_progress":0,"completed":0,"failed":0},"summary":null,
            "latest":{"completed":null,"savepoint":null,"failed":null,"restored":null},"history":[]}"#;
        let none: Checkpoints = serde_json::from_str(none).unwrap();
        assert_eq!(none.latest, LatestCheckpoints::default());
        let some = r#"{"latest":{"completed":{"@class":"completed","id":7,"status":"COMPLETED","is_savepoint":false,
            "trigger_timestamp":1,"latest_ack_timestamp":2,"state_size":300,"end_to_end_duration":1,
            "external_path":"s3://b/c/chk-7","discarded":false},
            "restored":{"id":6,"restore_timestamp":1,"is_savepoint":false,"external_path":"s3://b/c/chk-6"}}}"#;
        let some: Checkpoints = serde_json::from_str(some).unwrap();
        let completed = some.latest.completed.unwrap();
        assert_eq!((completed.id, completed.external_path.as_deref()), (7, Some("s3://b/c/chk-7")));
        assert_eq!(some.latest.restored.unwrap().id, 6);
    }
}
