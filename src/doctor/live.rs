//! What only a running cluster can tell.

use jiff::Timestamp;

/// Beside its objects, what was learnt of a running cluster. Answers that are no Kubernetes objects are objects all the
/// same, of the kinds here, so that a rule's fixture can have them.
#[derive(Debug, Clone)]
pub struct LiveFacts {
    /// The time of the API server, or of this machine where it did not say.
    pub now: Timestamp,
}

/// The kind of what Flink's REST API answered, named as the JobManager's workload. `spec.overview`, `spec.jobs` (the list of
/// `/jobs/overview`), `spec.checkpoints.JOB` (`/jobs/JOB/checkpoints`), `spec.checkpointConfig.JOB`, `spec.configuration`
/// (`/jobmanager/config`), `spec.pod` that answered;
/// `spec.failure` where it did not answer, `spec.notAsked` where it could not be asked.
pub const REST: &str = "FlinkRest";
/// The kind of what the API server said of a service account's rights, named as the account: `spec.allowed` and
/// `spec.denied`, lists of `verb resource.group namespace`, the group left out for the core group.
pub const ACCESS: &str = "AccessReview";
/// The kind of the last lines of a container's log, named `POD.CONTAINER`: `spec.text`, and `spec.previous` where it is the
/// log of the container that ended.
pub const LOG: &str = "ContainerLog";
