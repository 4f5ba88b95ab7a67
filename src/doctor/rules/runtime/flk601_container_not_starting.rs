//! FLK601: A container of a Flink pod cannot be started.

use super::super::config::is_missing_map;
use super::pods;
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};

rule! {
    /// A container of a Flink pod cannot be started
    ///
    /// ## Why it matters
    ///
    /// The kubelet cannot get as far as starting the process: the image cannot be pulled, or something that the container's
    /// definition names (a key of a Secret, a user) is not there. `kubectl get pods` shows the reason:
    ///
    /// ```text
    /// flink-jobmanager-5d9c7b6f4-aaaaa    0/1     ImagePullBackOff   0          2m
    /// ```
    ///
    /// A ConfigMap or a key that is known to be missing is FLK521's.
    ///
    /// ## Fix
    ///
    /// Do what the message says: correct the image's name, give the pod an `imagePullSecrets`, create what is missing. The
    /// kubelet tries again by itself.
    FLK601 "container-not-starting": Runtime Error, reads [Processes, Pods], live, transient
}

/// The kubelet's words for a container that it cannot start (`pkg/kubelet/images`, `pkg/kubelet/kuberuntime`).
const REASONS: [&str; 9] = [
    "ImagePullBackOff",
    "ErrImagePull",
    "ErrImageNeverPull",
    "InvalidImageName",
    "ImageInspectError",
    "CreateContainerConfigError",
    "CreateContainerError",
    "RunContainerError",
    "StartError",
];

fn check(cx: &mut Check<'_>) {
    for pod in pods(cx) {
        for (pointer, container) in pod.containers() {
            let waiting = container.state.as_ref().and_then(|state| state.waiting.as_ref());
            let Some(reason) = waiting.and_then(|waiting| waiting.reason.as_deref()) else { continue };
            if !REASONS.contains(&reason) {
                continue;
            }
            let message = waiting.and_then(|waiting| waiting.message.as_deref()).unwrap_or_default();
            if is_missing_map(cx, pod.member, message) {
                continue;
            }
            let help = match reason {
                "CreateContainerConfigError" => "create what the message names: a Secret, a ConfigMap, or a key in one",
                _ if reason.contains("mage") => "correct the image's name or tag, or give the pods an imagePullSecrets",
                _ => "correct the container's command, user or mounts",
            };
            cx.report(
                Place::value(pod.object, format!("{pointer}/state/waiting/reason")),
                format!("container {} of pod {} is in {reason}: {message}", container.name, pod.name()),
            )
            .help(help)
            .cluster(&pod.cluster.namespace, &pod.cluster.name);
        }
    }
}
