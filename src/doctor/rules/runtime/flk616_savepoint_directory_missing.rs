//! FLK616: Jobs run and there is no directory for savepoints.

use super::{answers, jobs};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::manifests::tree::Node;

rule! {
    /// Jobs run and there is no directory for savepoints
    ///
    /// ## Why it matters
    ///
    /// `flink stop` and `flink savepoint` need a place. Without one each call has to name it, and a call that does not is refused:
    ///
    /// ```text
    /// No savepoint directory configured. You can either specify a directory while cancelling via -s :targetDirectory or configure a cluster-wide default via key 'execution.checkpointing.savepoint-dir'.
    /// ```
    ///
    /// ## Fix
    ///
    /// Set `execution.checkpointing.savepoint-dir` (up to Flink 1.19 `state.savepoints.dir`) to storage that outlives pods.
    FLK616 "savepoint-directory-missing": Runtime Info, reads [Processes, Rest], live
}

const KEYS: [&str; 2] = ["execution.checkpointing.savepoint-dir", "state.savepoints.dir"];

fn check(cx: &mut Check<'_>) {
    for (cluster, jobmanager, answer) in answers(cx) {
        let Some(configuration) = answer.get("configuration").filter(|list| !list.items().is_empty()) else { continue };
        let set = configuration
            .items()
            .iter()
            .any(|entry| entry.get("key").and_then(Node::text).is_some_and(|key| KEYS.contains(&key)));
        if !set && jobs(answer).iter().any(|(_, _, state)| *state == "RUNNING") {
            cx.report(Place::object(jobmanager.object), format!("{} has no directory for savepoints", cluster.name))
                .help("set execution.checkpointing.savepoint-dir (up to Flink 1.19 state.savepoints.dir)")
                .symptom("No savepoint directory configured.")
                .cluster(&cluster.namespace, &cluster.name);
        }
    }
}
