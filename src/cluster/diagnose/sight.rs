//! What the status of a pod or a Deployment alone says about why it does not start. No I/O.

use std::time::Duration;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod, PodCondition};

use super::Problem;
use crate::flink::log::shorten;

/// How long a pod may be unschedulable before it is believed: volumes are being provisioned, nodes become ready, and
/// the cluster autoscaler looks for such pods every 10 seconds (`--scan-interval`).
const UNSCHEDULABLE: Duration = Duration::from_secs(12);
/// How long something may be missing that is perhaps just being created.
const MISSING: Duration = Duration::from_secs(5);
/// How long a container that has crashed repeatedly may run again before it is taken for crashing still.
const RUNNING_AGAIN: Duration = Duration::from_secs(10);

const START_HINT: &str = "the container's command, mounts or security settings do not fit its image";

/// A problem, and where to ask for the rest of it.
#[derive(Debug, Clone)]
pub(super) struct Sighting {
    pub problem: Problem,
    pub ask: Ask,
}

/// What is worth reading for a sighting.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ask {
    /// The status says it all.
    Nothing,
    /// The container's log: the one before the last start, or the current one.
    Log { container: String, previous: bool },
    /// The pod's events, whether a node is on its way, and its claims.
    Scheduling,
    /// The pod's events; without one that tells something the sighting is none.
    Events,
}

/// Looks at one pod. None where nothing is wrong, or nothing that keeps it from starting.
pub(super) fn pod(pod: &Pod) -> Option<Sighting> {
    if pod.metadata.deletion_timestamp.is_some() {
        return None;
    }
    let status = pod.status.as_ref()?;
    let object = format!("pod/{}", pod.metadata.name.as_deref().unwrap_or_default());
    let sighting = |reason: &str, message: &str, ask| {
        let problem = Problem::new(object.clone(), reason, shorten(message));
        Some(Sighting { problem, ask })
    };
    // The Deployment replaces such a pod: `Evicted`, `NodeAffinity`, `UnexpectedAdmissionError`, ...
    if status.phase.as_deref() == Some("Failed") {
        let reason = status.reason.as_deref().unwrap_or("Failed");
        let mut seen = sighting(reason, status.message.as_deref().unwrap_or("the pod has failed"), Ask::Nothing)?;
        if reason == "Evicted" {
            seen.problem.hint =
                "the node ran short of a resource: see kubectl describe node, and request what the process needs"
                    .into();
        }
        return Some(seen);
    }
    let conditions = status.conditions.as_deref().unwrap_or_default();
    let is_false = |type_: &str| conditions.iter().find(|c| c.type_ == type_ && c.status == "False");
    if let Some(condition) = is_false("PodScheduled") {
        return Some(unscheduled(&object, condition));
    }
    let init = status.init_container_statuses.iter().flatten().map(|status| (status, true));
    let main = status.container_statuses.iter().flatten().map(|status| (status, false));
    if let Some(seen) = init.chain(main).find_map(|(status, is_init)| container(&object, status, is_init)) {
        return Some(seen);
    }
    is_false("Ready").and_then(|ready| sighting("NotReady", ready.message.as_deref().unwrap_or_default(), Ask::Events))
}

fn unscheduled(object: &str, condition: &PodCondition) -> Sighting {
    let reason = condition.reason.as_deref().unwrap_or("Unschedulable");
    let message = condition.message.as_deref().unwrap_or_default();
    // The rest is about pods that could be put off the node, which Flink's never are.
    let message = [" no new claims", " preemption:"].iter().fold(message, |m, rest| m.split(rest).next().unwrap_or(m));
    let mut problem = Problem::new(object.to_owned(), reason, shorten(message));
    if reason == "SchedulingGated" {
        problem.hint = "something else has to lift the pod's scheduling gates".into();
        return Sighting { problem, ask: Ask::Nothing };
    }
    let hint = [
        ("persistentvolumeclaim", "create the claim, or correct its name in the pod's volumes"),
        ("unbound immediate PersistentVolumeClaims", "the volume is not there yet: kubectl describe pvc"),
        ("volume node affinity conflict", "the volume is on a node where the pod may not run: see the pod's affinity"),
        ("Insufficient", "no node has that much free: lower the requests, or add nodes"),
        ("untolerated taint", "add a toleration for the taint that the message names, or free a node of it"),
        ("affinity", "no node fits the pod's affinity or node selector"),
    ]
    .into_iter()
    .find_map(|(phrase, hint)| message.contains(phrase).then_some(hint));
    problem.hint = hint.unwrap_or("see the pod's node selector, affinity and requests").into();
    // Not while its volume is being made, which the claim tells more of, nor while a scheduler that has just started does
    // not know the volume yet.
    let volume = ["unbound immediate PersistentVolumeClaims", "persistentvolume \""];
    problem.terminal = !volume.iter().any(|phrase| message.contains(phrase));
    problem.grace = if message.contains("not found") { MISSING } else { UNSCHEDULABLE };
    Sighting { problem, ask: Ask::Scheduling }
}

fn container(object: &str, status: &ContainerStatus, is_init: bool) -> Option<Sighting> {
    let state = status.state.as_ref()?;
    let last = status.last_state.as_ref().and_then(|state| state.terminated.as_ref());
    let seen = |reason: &str, message: &str, hint: &str, grace| {
        let mut problem = Problem::new(object.to_owned(), reason, shorten(message));
        problem.hint = hint.into();
        (problem.terminal, problem.grace) = (true, grace);
        Some(Sighting { problem, ask: Ask::Nothing })
    };
    if let Some(waiting) = &state.waiting {
        let message = waiting.message.as_deref().unwrap_or_default();
        let reason = waiting.reason.as_deref().unwrap_or_default();
        return match reason {
            "ErrImagePull" | "ImagePullBackOff" | "ErrImageNeverPull" | "ImageInspectError" | "RegistryUnavailable" => {
                let message = format!("image {}: {}", status.image, registry_error(message));
                seen(reason, &message, image_hint(&message), Duration::ZERO)
            }
            "InvalidImageName" => seen(reason, message, "correct the image's name", Duration::ZERO),
            "CreateContainerConfigError" => {
                let hint = "create what the message names in the pod's namespace, or correct the name in the pod's \
                            env or securityContext";
                seen(reason, message, hint, MISSING)
            }
            "CreateContainerError" | "RunContainerError" | "StartError" => seen(reason, message, START_HINT, MISSING),
            "CrashLoopBackOff" => Some(match last {
                Some(end) => crashed(object, status, end, true, Duration::ZERO),
                None => seen(reason, message, "", Duration::ZERO)?,
            }),
            _ => None,
        };
    }
    if let Some(end) = &state.terminated {
        // An init container is meant to end well; Flink's process is not meant to end.
        return (end.exit_code != 0 || !is_init).then(|| crashed(object, status, end, false, Duration::ZERO));
    }
    // It runs again: what it died of last time is the best guess why it is not ready.
    let end = last.filter(|end| !status.ready && status.started != Some(true) && end.exit_code != 0)?;
    Some(crashed(object, status, end, true, RUNNING_AGAIN))
}

/// A container whose process ended. `previous` tells whether that was before the container's last start.
fn crashed(
    object: &str,
    status: &ContainerStatus,
    end: &ContainerStateTerminated,
    previous: bool,
    grace: Duration,
) -> Sighting {
    let waiting = status.state.as_ref().and_then(|state| state.waiting.as_ref()?.reason.as_deref());
    let name = &status.name;
    let ask = Ask::Log { container: name.clone(), previous };
    let terminal = waiting == Some("CrashLoopBackOff") || status.restart_count >= 2;
    // The kernel kills with 137 too, and says so only in the reason.
    let reason = end.reason.as_deref().unwrap_or("Error");
    let mut problem = match reason {
        "OOMKilled" => {
            let mut problem =
                Problem::new(object.to_owned(), reason, format!("container {name} used more memory than its limit"));
            problem.hint = "raise the container's memory limit, or set the process size in Flink's configuration \
                            (jobmanager.memory.process.size, taskmanager.memory.process.size) to at most the limit"
                .into();
            problem
        }
        "StartError" | "ContainerCannotRun" => {
            let message = end.message.as_deref().unwrap_or("the process could not be started");
            let mut problem = Problem::new(object.to_owned(), reason, shorten(message));
            problem.hint = START_HINT.into();
            problem
        }
        _ => {
            let message = format!("container {name} ended with exit code {}", end.exit_code);
            let mut problem = Problem::new(object.to_owned(), waiting.unwrap_or(reason), message);
            let previous = if previous { " --previous" } else { "" };
            problem.hint = format!("see its log: kubectl logs {object} -c {name}{previous}");
            problem
        }
    };
    (problem.terminal, problem.grace) = (terminal, grace);
    let ask = if reason == "Error" || reason == "Completed" { ask } else { Ask::Nothing };
    Sighting { problem, ask }
}

/// Of containerd's nested message only what the registry or the network said.
fn registry_error(message: &str) -> &str {
    let before = ["failed to resolve image: ", "failed to resolve reference "];
    before.iter().find_map(|phrase| Some(message.rsplit_once(phrase)?.1)).unwrap_or(message)
}

fn image_hint(message: &str) -> &'static str {
    let says = |phrases: &[&str]| phrases.iter().any(|phrase| message.contains(phrase));
    if says(&["not found", "manifest unknown"]) {
        "no such image: correct its name or tag"
    } else if says(&["unauthorized", "denied", "403 Forbidden", "401 Unauthorized", "authentication"]) {
        "the registry refuses: is the image's name right, and does the pod have imagePullSecrets for it?"
    } else if says(&["no such host", "unreachable", "timeout", "refused", "lookup", "deadline"]) {
        "the node does not reach the registry: check its network, or use an image from a registry that it reaches"
    } else {
        "check the image's name and that the node can pull it"
    }
}

/// Looks at a Deployment's conditions.
pub(super) fn deployment(deployment: &Deployment) -> Vec<Problem> {
    let object = format!("deployment/{}", deployment.metadata.name.as_deref().unwrap_or_default());
    let conditions = deployment.status.iter().flat_map(|status| status.conditions.iter().flatten());
    let mut problems = Vec::new();
    for condition in conditions {
        let reason = condition.reason.as_deref().unwrap_or_default();
        let message = shorten(condition.message.as_deref().unwrap_or_default());
        let mut problem = Problem::new(object.clone(), reason, message);
        match (condition.type_.as_str(), condition.status.as_str(), reason) {
            ("ReplicaFailure", "True", _) => {
                problem.hint = creation_hint(&problem.message).into();
                (problem.terminal, problem.grace) = (true, MISSING);
            }
            // A symptom: what keeps it from progressing is said of its pods, and may be over.
            ("Progressing", "False", "ProgressDeadlineExceeded") => {}
            _ => continue,
        }
        problems.push(problem);
    }
    problems
}

fn creation_hint(message: &str) -> &'static str {
    let hints = [
        ("exceeded quota", "lower the requests or the replicas, or have the namespace's quota raised"),
        ("failed quota", "the namespace's quota wants every container to state its requests and limits"),
        (
            "violates PodSecurity",
            "the namespace enforces a Pod Security Standard: set the fields that the message names",
        ),
        ("denied the request", "an admission webhook refuses the pod: the message is its own"),
        ("error looking up service account", "create the service account, or correct serviceAccountName"),
        ("usage per Container is", "the namespace's LimitRange does not allow these requests or limits"),
        ("failed calling webhook", "an admission webhook does not answer: see who runs it"),
    ];
    hints.into_iter().find_map(|(phrase, hint)| message.contains(phrase).then_some(hint)).unwrap_or_default()
}

#[cfg(test)]
#[path = "sight_tests.rs"]
mod tests;
