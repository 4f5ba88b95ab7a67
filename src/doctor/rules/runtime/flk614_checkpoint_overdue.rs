//! FLK614: A job's last completed checkpoint is much older than its interval.

use super::{answers, jobs, number};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::manifests::tree::escape;

rule! {
    /// A job's last completed checkpoint is much older than its interval
    ///
    /// ## Why it matters
    ///
    /// Everything since that checkpoint is done again when the job restarts. A checkpoint that takes far longer than the interval is
    /// most often held up by backpressure; no line in the log says so.
    ///
    /// ## Fix
    ///
    /// See in the web UI which task the checkpoint waits for. More parallelism, unaligned checkpoints or faster storage help.
    FLK614 "checkpoint-overdue": Runtime Warning, reads [Processes, Rest], live, transient
}

/// So many intervals late is no hiccup.
const INTERVALS: i64 = 10;
/// Less than this, in milliseconds, is not worth a word whatever the interval is.
const LEAST: i64 = 300_000;

fn check(cx: &mut Check<'_>) {
    let Some(now) = cx.snapshot().live.as_ref().map(|live| live.now.as_millisecond()) else { return };
    for (cluster, jobmanager, answer) in answers(cx) {
        for (id, name, state) in jobs(answer) {
            let id_step = escape(id);
            let interval = number(answer, &format!("/checkpointConfig/{id_step}/interval"));
            let completed = number(answer, &format!("/checkpoints/{id_step}/latest/completed/latest_ack_timestamp"));
            // Without an interval checkpoints are made only when someone asks (`Long.MAX_VALUE`).
            let (Some(interval), Some(completed)) =
                (interval.filter(|ms| *ms > 0 && *ms < i64::MAX / INTERVALS), completed)
            else {
                continue;
            };
            let age = now - completed;
            if state != "RUNNING" || age < LEAST.max(INTERVALS * interval) {
                continue;
            }
            cx.report(
                Place::object(jobmanager.object),
                format!(
                    "the last checkpoint of job {name} ({id}) is {} minutes old, its interval is {} s",
                    age / 60_000,
                    interval / 1000
                ),
            )
            .help("see in the web UI which task its checkpoints wait for")
            .cluster(&cluster.namespace, &cluster.name);
        }
    }
}
