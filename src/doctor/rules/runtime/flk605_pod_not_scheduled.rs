//! FLK605: No node has room for a Flink pod, or may take it.

use super::pods;
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};

rule! {
    /// No node has room for a Flink pod, or may take it
    ///
    /// ## Why it matters
    ///
    /// The pod stays `Pending`. Jobs that need its slots wait, and fail after `slot.request.timeout` (5 minutes):
    ///
    /// ```text
    /// 0/3 nodes are available: 3 Insufficient memory.
    /// org.apache.flink.runtime.jobmanager.scheduler.NoResourceAvailableException: Could not acquire the minimum required resources.
    /// ```
    ///
    /// ## Fix
    ///
    /// Add nodes, lower the pods' requests, run fewer TaskManagers, or let the pods tolerate the taint that the message names. A
    /// claim that is bound to another zone or node keeps a pod away too.
    FLK605 "pod-not-scheduled": Runtime Error, reads [Processes, Pods], live, transient
}

fn check(cx: &mut Check<'_>) {
    for pod in pods(cx) {
        let conditions = pod.pod.status.as_ref().and_then(|status| status.conditions.as_ref());
        let unscheduled = conditions.into_iter().flatten().enumerate().find(|(_, condition)| {
            condition.type_ == "PodScheduled"
                && condition.status == "False"
                && condition.reason.as_deref() == Some("Unschedulable")
        });
        let Some((number, condition)) = unscheduled else { continue };
        let message = condition.message.as_deref().unwrap_or_default().trim_end_matches('.');
        let help = if message.contains("Insufficient") {
            "add nodes, lower the pods' requests, or run fewer of them"
        } else if message.contains("taint") {
            "give the pods a toleration for the taint, or a node without it"
        } else {
            "make a node fit what the pods ask for: nodeSelector, affinity, the zone of their claims"
        };
        cx.report(
            Place::value(pod.object, format!("/status/conditions/{number}/message")),
            format!("pod {} cannot be scheduled: {message}", pod.name()),
        )
        .help(help)
        .cluster(&pod.cluster.namespace, &pod.cluster.name);
    }
}
