use serde_json::{Value, json};

use super::*;

/// What is seen of a pod with this status.
fn look(status: &Value) -> Option<Sighting> {
    let pod = json!({ "metadata": { "name": "x", "namespace": "flink" }, "status": status });
    super::pod(&serde_json::from_value(pod).unwrap())
}

fn container(state: &Value, last: &Value, restarts: i32) -> Option<Sighting> {
    look(&json!({ "phase": "Running", "containerStatuses": [{
        "name": "jobmanager", "image": "apache/flink:9.9.9", "imageID": "", "ready": false, "started": false,
        "restartCount": restarts, "state": state, "lastState": last,
    }] }))
}

fn ended(code: i32, reason: &str) -> Value {
    json!({ "terminated": { "exitCode": code, "reason": reason } })
}

fn waits(reason: &str, message: &str) -> Value {
    json!({ "waiting": { "reason": reason, "message": message } })
}

#[test]
fn images_that_cannot_be_pulled() {
    let message = "Back-off pulling image \"apache/flink:9.9.9\": ErrImagePull: failed to pull and unpack image \
                   \"docker.io/apache/flink:9.9.9\": failed to resolve image: docker.io/apache/flink:9.9.9: not found";
    let seen = container(&waits("ImagePullBackOff", message), &json!({}), 0).unwrap();
    assert_eq!(
        seen.problem.to_string(),
        "pod/x: ImagePullBackOff: image apache/flink:9.9.9: docker.io/apache/flink:9.9.9: not found"
    );
    assert!(seen.problem.terminal && seen.problem.grace.is_zero());
    assert_eq!(seen.problem.hint, "no such image: correct its name or tag");
    let refused = "pull access denied, repository does not exist or may require authorization: authentication required";
    assert!(container(&waits("ErrImagePull", refused), &json!({}), 0).unwrap().problem.terminal);
    assert!(
        container(&waits("InvalidImageName", "repository name must be lowercase"), &json!({}), 0)
            .unwrap()
            .problem
            .terminal
    );
}

#[test]
fn containers_that_cannot_be_created() {
    let seen = container(&waits("CreateContainerConfigError", "secret \"s3\" not found"), &json!({}), 0).unwrap();
    assert!(seen.problem.terminal && !seen.problem.grace.is_zero());
    assert_eq!(container(&waits("ContainerCreating", ""), &json!({}), 0).map(|seen| seen.ask), None);
}

#[test]
fn crashes() {
    let log = |previous| Ask::Log { container: "jobmanager".into(), previous };
    let first = container(&ended(239, "Error"), &json!({}), 0).unwrap();
    assert_eq!((first.problem.terminal, first.ask), (false, log(false)));
    assert_eq!(first.problem.message, "container jobmanager ended with exit code 239");
    let again = container(&waits("CrashLoopBackOff", "back-off 10s"), &ended(239, "Error"), 1).unwrap();
    assert_eq!((again.problem.terminal, again.ask), (true, log(true)));
    assert_eq!(again.problem.reason, "CrashLoopBackOff");
    let runs = json!({ "running": { "startedAt": "2026-11-20T12:00:00Z" } });
    assert!(!container(&runs, &ended(1, "Error"), 1).unwrap().problem.terminal);
    let third = container(&runs, &ended(1, "Error"), 2).unwrap();
    assert!(third.problem.terminal && !third.problem.grace.is_zero());
    assert!(container(&runs, &json!({}), 0).is_none());
    let done = container(&ended(0, "Completed"), &json!({}), 2).unwrap();
    assert_eq!((done.problem.terminal, done.ask), (true, log(false)));
    let init = look(&json!({ "phase": "Pending", "initContainerStatuses": [{ "name": "i", "image": "x", "imageID": "",
        "ready": true, "restartCount": 0, "state": ended(0, "Completed") }] }));
    assert!(init.is_none());
    let killed = container(&waits("CrashLoopBackOff", ""), &ended(137, "OOMKilled"), 2).unwrap();
    assert_eq!((killed.problem.reason.as_str(), killed.ask), ("OOMKilled", Ask::Nothing));
}

#[test]
fn pods_without_a_node() {
    let pending = |message: &str| {
        look(&json!({ "phase": "Pending", "conditions": [
            { "type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": message }] }))
        .unwrap()
    };
    let memory = pending("0/2 nodes are available: 2 Insufficient memory.");
    assert_eq!((memory.problem.terminal, memory.ask), (true, Ask::Scheduling));
    assert_eq!(memory.problem.grace, UNSCHEDULABLE);
    assert!(!pending("pod has unbound immediate PersistentVolumeClaims.").problem.terminal);
    assert_eq!(pending("persistentvolumeclaim \"flink-storage\" not found").problem.grace, MISSING);
    assert!(pending("2 node(s) had untolerated taint {a: b}.").problem.hint.contains("toleration"));
}

#[test]
fn pods_that_are_gone_or_going() {
    let evicted = look(&json!({ "phase": "Failed", "reason": "Evicted", "message": "low on memory" })).unwrap();
    assert_eq!((evicted.problem.reason.as_str(), evicted.problem.terminal), ("Evicted", false));
    let going = json!({ "metadata": { "name": "x", "deletionTimestamp": "2026-11-20T12:00:00Z" },
        "status": { "phase": "Failed" } });
    assert!(super::pod(&serde_json::from_value(going).unwrap()).is_none());
}

#[test]
fn pods_that_are_created_ask_for_events() {
    let seen = look(&json!({ "phase": "Pending",
        "conditions": [
            { "type": "PodScheduled", "status": "True" },
            { "type": "Ready", "status": "False", "reason": "ContainersNotReady", "message": "containers with unready status" }],
        "containerStatuses": [{ "name": "jobmanager", "image": "x", "imageID": "", "ready": false, "restartCount": 0,
            "state": { "waiting": { "reason": "ContainerCreating" } } }] }))
    .unwrap();
    assert_eq!((seen.ask, seen.problem.terminal), (Ask::Events, false));
}

#[test]
fn pods_that_may_not_be_created() {
    let failing = |message: &str| {
        let deployment = json!({ "metadata": { "name": "flink-taskmanager" }, "status": { "conditions": [
            { "type": "Progressing", "status": "True", "reason": "ReplicaSetUpdated" },
            { "type": "ReplicaFailure", "status": "True", "reason": "FailedCreate", "message": message }] } });
        deployment_problems(&deployment)
    };
    for (message, hint) in [
        ("pods \"x\" is forbidden: exceeded quota: q, requested: memory=1Gi", "quota raised"),
        (
            "pods \"x\" is forbidden: violates PodSecurity \"restricted:latest\": allowPrivilegeEscalation",
            "Security Standard",
        ),
        (
            "pods \"x\" is forbidden: error looking up service account flink/a: serviceaccount \"a\" not found",
            "create the service account",
        ),
        ("admission webhook \"policy.example\" denied the request: no", "webhook refuses"),
    ] {
        let found = failing(message);
        assert!(found.len() == 1 && found[0].terminal && found[0].hint.contains(hint), "{found:?}");
        assert_eq!(found[0].object, "deployment/flink-taskmanager");
    }
}

#[test]
fn a_deadline_is_a_symptom() {
    let found = deployment_problems(&json!({ "metadata": { "name": "x" }, "status": { "conditions": [
        { "type": "Progressing", "status": "False", "reason": "ProgressDeadlineExceeded" }] } }));
    assert!(found.len() == 1 && !found[0].terminal);
}

fn deployment_problems(deployment: &Value) -> Vec<Problem> {
    super::deployment(&serde_json::from_value(deployment.clone()).unwrap())
}
