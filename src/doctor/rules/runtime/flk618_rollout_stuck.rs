//! FLK618: An update of a Flink workload does not get on.

use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::manifests::tree::Node;

rule! {
    /// An update of a Flink workload does not get on
    ///
    /// ## Why it matters
    ///
    /// New pods do not become ready, so the old ones stay: the cluster runs on what it ran on before, and the change is not in
    /// effect. `kubectl rollout status` says:
    ///
    /// ```text
    /// error: deployment "flink-jobmanager" exceeded its progress deadline
    /// ```
    ///
    /// A JobManager that is broken but leads is one cause: with one replica a rolling update waits for the new pod to be ready, and
    /// the new one is a standby of the broken one.
    ///
    /// ## Fix
    ///
    /// Mend what keeps the new pods from being ready. Where the old JobManager holds the leadership and cannot serve, scale the
    /// Deployment to 0 and back: high-availability data stays.
    FLK618 "rollout-stuck": Runtime Error, reads [Processes], live, transient
}

fn check(cx: &mut Check<'_>) {
    for (cluster, member) in cx.members() {
        let Some(conditions) = cx.object(member.object).node.at("/status/conditions") else { continue };
        for (number, condition) in conditions.items().iter().enumerate() {
            let is = |key: &str, value: &str| condition.get(key).and_then(Node::text) == Some(value);
            if is("type", "Progressing") && is("status", "False") && is("reason", "ProgressDeadlineExceeded") {
                let reference = cx.object(member.object).reference();
                cx.report(
                    Place::value(member.object, format!("/status/conditions/{number}/reason")),
                    format!("the update of {reference} does not get on: {} of {} pods are ready", member.workload.ready, member.workload.replicas),
                )
                .help("mend what keeps the new pods from being ready; for a JobManager that leads and is broken, scale to 0 and back")
                .symptom("exceeded its progress deadline")
                .cluster(&cluster.namespace, &cluster.name);
            }
        }
    }
}
