//! FLK606: Kubernetes refuses to make a Flink pod.

use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};

rule! {
    /// Kubernetes refuses to make a Flink pod
    ///
    /// ## Why it matters
    ///
    /// The Deployment is there and no pod appears: a quota is used up or asks for limits that the pods do not have, Pod Security
    /// refuses them, the service account does not exist. Only the ReplicaSet's events and the Deployment's condition say so:
    ///
    /// ```text
    /// Error creating: pods "flink-jobmanager-5d9c7b6f4-" is forbidden: failed quota: tight: must specify limits.cpu for: jobmanager
    /// ```
    ///
    /// ## Fix
    ///
    /// Do what the message says; the controller tries again by itself, after up to 15 minutes. `kubectl rollout restart` makes it try
    /// at once.
    FLK606 "pod-not-created": Runtime Error, reads [Processes], live, transient
}

fn check(cx: &mut Check<'_>) {
    for (cluster, member) in cx.members() {
        let Some(conditions) = cx.object(member.object).node.at("/status/conditions") else { continue };
        for (number, condition) in conditions.items().iter().enumerate() {
            let text = |key: &str| condition.get(key).and_then(crate::manifests::tree::Node::text).unwrap_or_default();
            if text("type") != "ReplicaFailure" || text("status") != "True" {
                continue;
            }
            let message = text("message");
            let help = if message.contains("quota") {
                "set what the quota asks for in the pods' resources, or have the quota raised"
            } else if message.contains("PodSecurity") {
                "give the pods the securityContext that the namespace's Pod Security level asks for"
            } else if message.contains("service account") {
                "create the service account, or correct serviceAccountName"
            } else {
                "do what the message says; then kubectl rollout restart makes the controller try again at once"
            };
            cx.report(
                Place::value(member.object, format!("/status/conditions/{number}/message")),
                format!("no pod of {} can be made: {message}", cx.object(member.object).reference()),
            )
            .help(help)
            .cluster(&cluster.namespace, &cluster.name);
        }
    }
}
