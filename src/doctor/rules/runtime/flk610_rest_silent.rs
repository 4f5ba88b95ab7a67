//! FLK610: The JobManager runs and its REST API does not answer.

use super::answers;
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};

rule! {
    /// The JobManager runs and its REST API does not answer
    ///
    /// ## Why it matters
    ///
    /// Without the REST API there is no web UI, no submission, no savepoint. Either the process hangs (a full heap), or it waits for a
    /// leader, or it listens on another port than its configuration says:
    ///
    /// ```text
    /// Service temporarily unavailable due to an ongoing leader election. Please refresh.
    /// ```
    ///
    /// ## Fix
    ///
    /// See the JobManager's log. Where it waits for a leader, a finding about the leader or its rights says why.
    FLK610 "rest-silent": Runtime Error, reads [Processes, Rest], live, transient
}

fn check(cx: &mut Check<'_>) {
    for (cluster, jobmanager, answer) in answers(cx) {
        if let Some(why) = answer.string_at("/notAsked") {
            cx.unknown(format!("jobs and TaskManagers of {}: {why}", cluster.name));
            continue;
        }
        let Some(failure) = answer.string_at("/failure") else { continue };
        // Pods that are not ready have findings of their own.
        if jobmanager.workload.ready == 0 {
            continue;
        }
        let logs = format!("kubectl logs -n {} {}", cluster.namespace, cx.object(jobmanager.object).reference());
        cx.report(
            Place::object(jobmanager.object),
            format!("Flink's REST API of {} does not answer: {failure}", cluster.name),
        )
        .help(format!("see the JobManager's log: {logs}"))
        .cluster(&cluster.namespace, &cluster.name);
    }
}
