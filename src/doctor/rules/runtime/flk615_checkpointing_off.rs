//! FLK615: A job runs without checkpoints.

use super::{answers, jobs};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::manifests::tree::{Node, escape};

rule! {
    /// A job runs without checkpoints
    ///
    /// ## Why it matters
    ///
    /// Without checkpoints a streaming job starts from its beginning whenever a TaskManager or the JobManager is lost, high
    /// availability or not. REST answers for such a job:
    ///
    /// ```text
    /// Checkpointing has not been enabled.
    /// ```
    ///
    /// ## Fix
    ///
    /// Set `execution.checkpointing.interval` in Flink's configuration or for the job, and `execution.checkpointing.dir` to storage that
    /// outlives pods.
    ///
    /// ## When to ignore
    ///
    /// A batch job has no checkpoints; it is restarted by stages.
    FLK615 "checkpointing-off": Runtime Info, reads [Processes, Rest], live
}

fn check(cx: &mut Check<'_>) {
    for (cluster, jobmanager, answer) in answers(cx) {
        for (id, name, state) in jobs(answer) {
            // Null stands for the answer that checkpointing is off; a job that was not asked about has no entry.
            let asked = answer.at(&format!("/checkpoints/{}", escape(id)));
            if state == "RUNNING" && asked.is_some_and(Node::is_null) {
                cx.report(Place::object(jobmanager.object), format!("job {name} ({id}) runs without checkpoints"))
                    .help("set execution.checkpointing.interval, unless it is a batch job")
                    .cluster(&cluster.namespace, &cluster.name);
            }
        }
    }
}
