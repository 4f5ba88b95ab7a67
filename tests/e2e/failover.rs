//! Jobs outlive their JobManagers: lost pods, killed processes, a lost node, and `down` and `up` in between.

use std::time::Instant;

use crate::flink::{Flink, java_of, kill};
use crate::support::{Needs, Test};

/// What the tests read of Flink is not older than half a second.
const FRESH: [&str; 2] = ["-Dmetrics.fetcher.update-interval=500", "-Dweb.refresh-interval=500"];

// With 1.20.5 the guide does the same (guide.rs).

#[test]
fn flink_1_16_recovers_its_job() {
    let Some(test) = Test::begin("flink_1_16_recovers_its_job", Needs::Bed) else { return };
    a_job_outlives_its_jobmanager(&test, "1.16.3");
}

#[test]
fn flink_2_3_recovers_its_job() {
    let Some(test) = Test::begin("flink_2_3_recovers_its_job", Needs::Bed) else { return };
    a_job_outlives_its_jobmanager(&test, "2.3.0");
}

/// On a volume: the pod is deleted, then the whole cluster is taken down and brought up again.
fn a_job_outlives_its_jobmanager(test: &Test, version: &str) {
    let flink = Flink::of(test, "flink");
    let up = || {
        let options = ["--flink-version", version, "--taskmanagers=1", "--parallelism=1"];
        test.up(&[&options, &FRESH[..]].concat()).says(&[&format!("Flink {version} serves")])
    };
    up().says(&["survives the loss of pods, not of the node"]);
    let job = flink.start_job(version, 1);

    let before = flink.saved(&job);
    let pod = flink.leader().unwrap();
    let fault = Instant::now();
    test.kubectl_here(&["delete", "pod", &pod, "--wait=false"]);
    flink.recovers(&format!("Flink {version}: the only JobManager's pod deleted"), &job, &before, fault);

    let before = flink.saved(&job);
    test.flink(&["down"]).exits(2).says(&["--yes", &job, "RUNNING"]);
    assert!(flink.progress(&job).is_some(), "a down that is refused leaves the job alone");
    test.flink(&["down", "--yes"]).ok();
    assert!(!test.exists("deployment/flink-jobmanager"));
    assert!(test.exists("configmap/flink-cluster-config-map") && test.exists("pvc/flink-storage"));
    let fault = Instant::now();
    up();
    flink.recovers(&format!("Flink {version}: down and up"), &job, &before, fault);
}

#[test]
fn pod_local_state_is_gone_after_down_and_does_not_keep_the_next_up_from_serving() {
    let name = "pod_local_state_is_gone_after_down_and_does_not_keep_the_next_up_from_serving";
    let Some(test) = Test::begin(name, Needs::Bed) else { return };
    let flink = Flink::of(&test, "flink");
    let options = [&["--ha-storage=pod-local", "--taskmanagers=1", "--parallelism=1"], &FRESH[..]].concat();
    test.up(&options).says(&["its jobs are lost"]);
    let job = flink.start_job("1.20.5", 1);
    test.flink(&["down", "--yes"]).ok();
    assert!(!test.exists("configmap/flink-cluster-config-map"), "the proof is the pod template: the files are gone");
    test.up(&options);
    let jobs = flink.ask("/jobs").unwrap();
    assert!(!jobs.to_string().contains(&job), "{jobs}");
}

#[test]
fn a_standby_takes_over() {
    let Some(test) = Test::begin("a_standby_takes_over", Needs::Bed) else { return };
    let flink = Flink::of(&test, "flink");
    let options = ["--jobmanagers=2", "--taskmanagers=1", "--parallelism=1"];
    test.up(&[&options, &FRESH[..]].concat()).says(&["2 JobManagers"]);
    let job = flink.start_job("1.20.5", 1);

    let before = flink.saved(&job);
    let pod = flink.leader().unwrap();
    let fault = Instant::now();
    test.kubectl_here(&["delete", "pod", &pod, "--wait=false"]);
    flink.recovers("the leader deleted gracefully, with a standby", &job, &before, fault);
    assert_ne!(flink.leader(), Some(pod));

    test.until("there is a standby again", || test.pods("jobmanager").len() == 2);
    test.kubectl_here(&["rollout", "status", "deployment/flink-jobmanager", "--timeout=6m"]);
    let before = flink.saved(&job);
    let pod = flink.leader().unwrap();
    let process = java_of(&test, &pod);
    let fault = Instant::now();
    kill("KILL", process);
    flink.recovers("the leader's process killed (-9), with a standby", &job, &before, fault);
}

#[test]
fn a_standby_takes_over_when_the_leaders_node_is_lost() {
    let Some(test) = Test::begin("a_standby_takes_over_when_the_leaders_node_is_lost", Needs::BedAlone) else { return };
    let test = test.with_namespace(&[]);
    let flink = Flink::of(&test, "flink");
    let s3 = test.s3();
    let s3: Vec<&str> = s3.iter().map(String::as_str).collect();
    test.up(&[&["--jobmanagers=2", "--taskmanagers=2"], &s3[..], &FRESH[..]].concat());
    let job = flink.start_job("1.20.5", 2);
    let node_of = |pod: &str| test.get(&format!("pod/{pod}"))["spec"]["nodeName"].as_str().unwrap().to_owned();
    let nodes: Vec<String> = test.pods("jobmanager").iter().map(|pod| node_of(pod)).collect();
    assert_ne!(nodes[0], nodes[1], "JobManagers are spread over nodes");

    let before = flink.saved(&job);
    let pod = flink.leader().unwrap();
    let node = Node { test: &test, name: node_of(&pod) };
    let fault = Instant::now();
    test.bed(&["node", "stop", &node.name]);
    flink.recovers("the leader's node lost, with a standby on another", &job, &before, fault);
    assert_ne!(flink.leader(), Some(pod));
    let status = test.flink(&["status", "-o", "json"]).json();
    assert_eq!(status["items"][0]["leader"]["pod"], flink.leader().unwrap().as_str(), "{status}");
}

/// A node that is off, and comes back with the end of the test.
struct Node<'a> {
    test: &'a Test,
    name: String,
}

impl Drop for Node<'_> {
    fn drop(&mut self) {
        self.test.bed(&["node", "start", &self.name]);
    }
}
