//! FLK620: A job waits for slots that no TaskManager has.

use super::{answers, number};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::manifests::tree::Node;

rule! {
    /// A job waits for slots that no TaskManager has
    ///
    /// ## Why it matters
    ///
    /// The job is submitted and its tasks stay `SCHEDULED`. After `slot.request.timeout` (5 minutes) it fails:
    ///
    /// ```text
    /// org.apache.flink.runtime.jobmanager.scheduler.NoResourceAvailableException: Could not acquire the minimum required resources.
    /// ```
    ///
    /// ## Fix
    ///
    /// Run more TaskManagers, give each more slots (`taskmanager.numberOfTaskSlots`), or lower the job's parallelism. A native cluster
    /// makes TaskManagers by itself: see why their pods do not come.
    FLK620 "job-waits-for-slots": Runtime Error, reads [Processes, Rest], live, transient
}

fn check(cx: &mut Check<'_>) {
    for (cluster, jobmanager, answer) in answers(cx) {
        if number(answer, "/overview/slots-available") != Some(0) {
            continue;
        }
        let total = number(answer, "/overview/slots-total").unwrap_or_default();
        for job in answer.get("jobs").map(Node::items).unwrap_or_default() {
            let text = |key: &str| job.get(key).and_then(Node::text).unwrap_or_default();
            let waiting = number(job, "/tasks/scheduled").unwrap_or_default();
            if waiting == 0 || !matches!(text("state"), "RUNNING" | "CREATED") {
                continue;
            }
            cx.report(
                Place::object(jobmanager.object),
                format!(
                    "{waiting} tasks of job {} ({}) wait for slots; all {total} are taken",
                    text("name"),
                    text("jid")
                ),
            )
            .help("run more TaskManagers, raise taskmanager.numberOfTaskSlots, or lower the job's parallelism")
            .symptom("NoResourceAvailableException: Could not acquire the minimum required resources.")
            .cluster(&cluster.namespace, &cluster.name);
        }
    }
}
