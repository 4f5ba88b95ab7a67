//! `up` until the cluster serves, and what later `up`s do to pods that run.

use crate::flink::Flink;
use crate::support::{LONG_TIMEOUT, Needs, SMALL, Test};

#[test]
fn from_nothing_to_a_cluster_that_serves_and_on() {
    let Some(test) = Test::begin("from_nothing_to_a_cluster_that_serves_and_on", Needs::Pods) else { return };
    let flink = Flink::of(&test, "flink");
    let run = test.up(&[]).says(&["1 JobManager and 2 TaskManagers ready", "2 TaskManagers, 4 slots"]);
    assert_eq!(run.stdout, "", "{run}");
    let overview = flink.ask("/overview").unwrap();
    assert_eq!((&overview["taskmanagers"], &overview["slots-total"]), (&2.into(), &4.into()), "{overview}");
    let leader = flink.leader().unwrap();
    run.says(&[&leader]);

    test.say("a second up changes nothing");
    let before = test.settled();
    let again = test.flink(&["up", "-o", "json"]).ok().keeps_silent_about(&["created", "configured"]);
    assert_eq!(test.fingerprint(), before);
    let again = again.json();
    assert!(again["objects"].as_array().unwrap().iter().all(|object| object["outcome"] == "unchanged"), "{again}");
    assert_eq!(
        (&again["serving"]["leader"], &again["serving"]["slots"]),
        (&leader.as_str().into(), &4.into()),
        "{again}"
    );

    test.say("one TaskManager more rolls nothing");
    let pods = |test: &Test| [test.pods("jobmanager"), test.pods("taskmanager")].concat();
    let before = pods(&test);
    test.flink(&["up", "--taskmanagers=3"]).ok().says(&["3 TaskManagers, 6 slots"]);
    let after = pods(&test);
    assert_eq!(after.len(), 4);
    assert!(before.iter().all(|pod| after.contains(pod)), "{before:?} {after:?}");

    test.say("it stays without the option, and another configuration rolls all");
    test.flink(&["up", "-Dtaskmanager.numberOfTaskSlots=1"]).ok().says(&["3 TaskManagers, 3 slots"]);
    let rolled = pods(&test);
    assert_eq!(rolled.len(), 4);
    assert!(after.iter().all(|pod| !rolled.contains(pod)), "{after:?} {rolled:?}");

    test.say("status, the same as document");
    let status = test.flink(&["status", "-o", "json"]).ok().json();
    let item = &status["items"][0];
    assert_eq!((&item["name"], &item["healthy"]), (&"flink".into(), &true.into()), "{status}");
    assert_eq!(item["leader"]["pod"], flink.leader().unwrap().as_str(), "{status}");
    assert_eq!(item["taskManagers"]["registered"], 3, "{status}");
}

#[test]
fn a_restricted_namespace_admits_all_pods_without_a_warning() {
    let Some(test) = Test::begin("a_restricted_namespace_admits_all_pods_without_a_warning", Needs::Pods) else {
        return;
    };
    let levels = ["enforce", "warn", "audit"].map(|mode| format!("pod-security.kubernetes.io/{mode}=restricted"));
    let test = test.with_namespace(&[&levels[0], &levels[1], &levels[2]]);
    test.up(&["--taskmanagers=1", "--ha-storage=pod-local"]).keeps_silent_about(&["Warning:"]).says(&["pod-local"]);
    let pods = test.list("pods");
    assert_eq!(pods.len(), 2);
    assert!(pods.iter().all(|pod| pod["status"]["phase"] == "Running"));
    for pod in &pods {
        let restarts = &pod["status"]["containerStatuses"][0]["restartCount"];
        assert_eq!(restarts, 0, "{}", pod["metadata"]["name"]);
    }
}

#[test]
fn it_can_be_interrupted_and_run_again() {
    let Some(test) = Test::begin("it_can_be_interrupted_and_run_again", Needs::Pods) else { return };
    for after in ["03_configmap.yaml", "06_taskmanager-session.yaml"] {
        interrupt(&test, after);
    }
    test.flink(&["up", LONG_TIMEOUT]).ok().says(&["1 TaskManager, 2 slots"]);
}

/// Begins an `up` and presses Ctrl-C as soon as it has said this.
fn interrupt(test: &Test, after: &str) {
    use std::io::{BufRead, BufReader};
    let arguments = [&["up", "--taskmanagers=1", LONG_TIMEOUT], &SMALL[..]].concat();
    let mut child = test.command(&arguments).stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut said = String::new();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    for line in lines.by_ref() {
        let line = line.unwrap() + "\n";
        said.push_str(&line);
        if line.contains(after) {
            crate::flink::kill("INT", child.id());
        }
    }
    let status = child.wait().unwrap();
    assert_eq!(status.code(), Some(130), "{said}");
    assert!(said.contains("error: interrupted") && said.contains("run the same command again"), "{said}");
}

#[test]
fn files_of_ones_own_are_waited_for_too() {
    let Some(test) = Test::begin("files_of_ones_own_are_waited_for_too", Needs::Pods) else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    test.flink(&[&["render", "mine", "--taskmanagers=1", "--to", path], &SMALL[..]].concat()).ok();
    test.flink(&["up", "mine", "-f", path, LONG_TIMEOUT]).ok().says(&["1 TaskManager, 2 slots"]);
}
