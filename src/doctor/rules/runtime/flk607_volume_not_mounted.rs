//! FLK607: A volume of a Flink pod cannot be mounted.

use super::super::config::is_missing_map;
use super::pods;
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::manifests::tree::Node;

rule! {
    /// A volume of a Flink pod cannot be mounted
    ///
    /// ## Why it matters
    ///
    /// The pod stays in `ContainerCreating`. The volume names a ConfigMap, Secret, key or claim that is not there, or another node
    /// still holds a disk that only one node may have:
    ///
    /// ```text
    /// MountVolume.SetUp failed for volume "flink-config" : configmap "flink-config" not found
    /// MountVolume.SetUp failed for volume "flink-config" : configmap references non-existent config key: flink-conf.yaml
    /// Multi-Attach error for volume "pvc-1b2c" Volume is already exclusively attached to one node and can't be attached to another
    /// ```
    ///
    /// A ConfigMap or a key that is known to be missing is FLK521's.
    ///
    /// ## Fix
    ///
    /// Create what the message names, or correct the pods' volumes. For `Multi-Attach` use a claim with `ReadWriteMany`, or keep all
    /// pods that use it on one node.
    FLK607 "volume-not-mounted": Runtime Error, reads [Processes, Pods, Events], live, transient
}

fn check(cx: &mut Check<'_>) {
    let events = cx.of_kind("Event");
    for pod in pods(cx) {
        let starting = pod.containers().into_iter().any(|(_, container)| {
            container.state.as_ref().and_then(|state| state.waiting.as_ref()).is_some_and(|waiting| {
                matches!(waiting.reason.as_deref(), Some("ContainerCreating" | "PodInitializing"))
            })
        });
        let about = |id: &&crate::doctor::snapshot::ObjectId| {
            let node = &cx.object(**id).node;
            node.string_at("/involvedObject/uid") == pod.pod.metadata.uid.as_deref()
                && matches!(node.string_at("/reason"), Some("FailedMount" | "FailedAttachVolume"))
        };
        let newest = events
            .iter()
            .filter(about)
            .max_by_key(|id| cx.object(**id).node.get("lastTimestamp").and_then(Node::text).unwrap_or_default());
        let Some(event) = newest.filter(|_| starting) else { continue };
        let message = cx.object(*event).node.string_at("/message").unwrap_or_default();
        if is_missing_map(cx, pod.member, message) {
            continue;
        }
        let help = if message.contains("not found") || message.contains("non-existent") {
            "create what the message names, or correct the volumes of the pods"
        } else if message.contains("Multi-Attach") {
            "use a claim with ReadWriteMany, or keep all pods that use it on one node"
        } else {
            "see the claim and its volume: kubectl describe pvc, kubectl get pv"
        };
        cx.report(
            Place::value(*event, "/message"),
            format!("a volume of pod {} cannot be mounted: {}", pod.name(), message.trim_end_matches('.')),
        )
        .help(help)
        .related(Place::object(pod.object), "the pod that waits for it")
        .cluster(&pod.cluster.namespace, &pod.cluster.name);
    }
}
