//! FLK619: The kubelet ends a Flink container because its liveness probe fails.

use super::pods;
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::manifests::tree::Node;

rule! {
    /// The kubelet ends a Flink container because its liveness probe fails
    ///
    /// ## Why it matters
    ///
    /// Flink did not open the port in time: the probe begins too early for a slow start (a recovery of many jobs, little CPU), or it
    /// asks for a port that Flink does not listen on. Flink catches the signal, so its log shows an orderly end and no reason:
    ///
    /// ```text
    /// Container jobmanager failed liveness probe, will be restarted
    /// ```
    ///
    /// ## Fix
    ///
    /// Give the container more CPU, or the probe more time: a `startupProbe` with a large `failureThreshold`. See that the port is one
    /// that Flink listens on: `jobmanager.rpc.port` (6123), `taskmanager.rpc.port` (0, a random one, unless it is set).
    FLK619 "probe-failing": Runtime Warning, reads [Processes, Pods, Events], live, transient
}

fn check(cx: &mut Check<'_>) {
    let events = cx.of_kind("Event");
    for pod in pods(cx) {
        let killing = events.iter().find(|id| {
            let node = &cx.object(**id).node;
            node.string_at("/involvedObject/uid") == pod.pod.metadata.uid.as_deref()
                && node.string_at("/reason") == Some("Killing")
                && node.get("message").and_then(Node::text).is_some_and(|message| message.contains("liveness probe"))
        });
        let Some(event) = killing else { continue };
        let message = cx.object(*event).node.string_at("/message").unwrap_or_default();
        cx.report(Place::value(*event, "/message"), format!("pod {}: {message}", pod.name()))
            .help("give the container more CPU or a startupProbe, and see that the probe's port is one that Flink listens on")
            .symptom(message)
            .cluster(&pod.cluster.namespace, &pod.cluster.name);
    }
}
