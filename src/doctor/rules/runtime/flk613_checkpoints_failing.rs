//! FLK613: The last checkpoint of a job failed.

use super::{answers, jobs, number};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::manifests::tree::{Node, escape};

rule! {
    /// The last checkpoint of a job failed
    ///
    /// ## Why it matters
    ///
    /// A job goes back to its last completed checkpoint when it restarts. While checkpoints fail that one gets older, and with exactly
    /// once sinks nothing is committed:
    ///
    /// ```text
    /// Checkpoint 21 of job 6cc3a3c4e5a1f2b3c4d5e6f708192a3b expired before completing.
    /// ```
    ///
    /// ## Fix
    ///
    /// See the reason under `/jobs/JOB/checkpoints` or in the web UI. Backpressure wants more parallelism or unaligned checkpoints, slow
    /// storage a longer `execution.checkpointing.timeout`.
    FLK613 "checkpoints-failing": Runtime Warning, reads [Processes, Rest], live, transient
}

fn check(cx: &mut Check<'_>) {
    for (cluster, jobmanager, answer) in answers(cx) {
        for (id, name, state) in jobs(answer) {
            let Some(checkpoints) = answer.at(&format!("/checkpoints/{}", escape(id))).filter(|_| state == "RUNNING")
            else {
                continue;
            };
            let Some(failed) = number(checkpoints, "/latest/failed/id") else { continue };
            if number(checkpoints, "/latest/completed/id").is_some_and(|completed| completed > failed) {
                continue;
            }
            let total = number(checkpoints, "/counts/failed").unwrap_or(1);
            let reason = checkpoints.at("/latest/failed/failure_message").and_then(Node::text).unwrap_or_default();
            let reason = if reason.is_empty() { String::new() } else { format!(": {reason}") };
            cx.report(
                Place::object(jobmanager.object),
                format!(
                    "checkpoint {failed} of job {name} ({id}) failed, {total} in all{}",
                    reason.trim_end_matches('.')
                ),
            )
            .help("see why in the web UI: backpressure, slow storage, execution.checkpointing.timeout")
            .cluster(&cluster.namespace, &cluster.name);
        }
    }
}
