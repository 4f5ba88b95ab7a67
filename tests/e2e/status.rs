//! `status` of every Flink cluster, whoever made it, healthy or not.

use serde_json::{Value, json};

use crate::flink::Flink;
use crate::support::{Needs, SMALL, Test};

fn named<'a>(status: &'a Value, name: &str) -> &'a Value {
    let items = status["items"].as_array().unwrap();
    items.iter().find(|item| item["name"] == name).unwrap_or_else(|| panic!("no {name} in {status}"))
}

#[test]
fn nothing_is_there() {
    let Some(test) = Test::begin("nothing_is_there", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    test.flink(&["status"]).ok().says(&["No Flink cluster"]);
    assert_eq!(test.flink(&["status", "-o", "json"]).ok().json()["items"], json!([]));
    test.flink(&["status", "nobody"]).exits(1).says(&["nobody"]);
    test.flink_as("ann", &["status"]).exits(3);
}

#[test]
fn a_cluster_through_good_and_bad_times() {
    let Some(test) = Test::begin("a_cluster_through_good_and_bad_times", Needs::Pods) else { return };
    test.up(&["--taskmanagers=1"]);
    let flink = Flink::of(&test, "flink");
    let run = test.flink(&["status"]).ok();
    for text in ["flink", "1.20.5", &flink.leader().unwrap()] {
        assert!(run.stdout.contains(text), "{text}\n{run}");
    }
    assert_eq!(test.flink(&["status", "-o", "name"]).ok().stdout.lines().count(), 1);
    let wide = test.flink(&["status", "-o", "wide"]).ok().stdout;
    let all = test.flink(&["status", "-A"]);
    assert!(all.stdout.contains(&test.namespace), "{all}\n{wide}");
    let status = test.flink(&["status", "-o", "json"]).ok().json();
    let item = named(&status, "flink");
    assert_eq!((&item["flinkVersion"], &item["slots"]["total"]), (&"1.20.5".into(), &2.into()), "{item}");
    assert_eq!(item["problems"], json!([]), "{item}");
    let yaml = test.flink(&["status", "-o", "yaml"]).ok().stdout;
    assert!(yaml.contains("kind: StatusList"), "{yaml}");

    // Labels of someone else's do not hide it.
    for deployment in ["flink-jobmanager", "flink-taskmanager"] {
        let deployment = format!("deployment/{deployment}");
        test.kubectl_here(&[
            "label",
            &deployment,
            "--overwrite",
            "app.kubernetes.io/name=x",
            "app.kubernetes.io/instance=y",
            "app.kubernetes.io/managed-by=z",
        ]);
    }
    test.flink(&["status"]).ok();

    test.say("one TaskManager too few");
    test.kubectl_here(&["scale", "deployment/flink-taskmanager", "--replicas=0"]);
    test.until("the TaskManager is gone", || test.pods("taskmanager").is_empty());
    test.flink(&["status"]);

    test.say("the JobManager is gone");
    test.kubectl_here(&["scale", "deployment/flink-jobmanager", "--replicas=0"]);
    test.until("the JobManager's pod is gone", || test.pods("jobmanager").is_empty());
    let run = test.flink(&["status"]);
    assert!([1, 3].contains(&run.code), "{run}");
    let text = format!("{}{}", run.stdout, run.stderr);
    assert!(text.contains("scaled to 0") || text.contains("0 replicas") || text.contains("no JobManager"), "{run}");
    let status = test.flink(&["status", "-o", "json"]).json();
    let item = named(&status, "flink");
    assert_eq!(item["healthy"], false, "{item}");
    assert_ne!(item["problems"], json!([]), "{item}");
}

#[test]
fn clusters_that_up_did_not_make() {
    let Some(test) = Test::begin("clusters_that_up_did_not_make", Needs::Pods) else { return };
    let test = test.with_namespace(&[]);
    // Without high availability, by hand: found by what its containers run.
    let deployment = |role: &str, arguments: &[&str]| {
        json!({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": format!("my-{role}"), "namespace": test.namespace},
        "spec": {"replicas": 1, "selector": {"matchLabels": {"app": role}}, "template": {
            "metadata": {"labels": {"app": role}},
            "spec": {"containers": [{"name": "main", "image": "apache/flink:1.20.5", "args": arguments,
                "env": [{"name": "FLINK_PROPERTIES", "value":
                    "jobmanager.rpc.address: my-master\njobmanager.memory.process.size: 900m\n\
                     taskmanager.memory.process.size: 1000m\ntaskmanager.numberOfTaskSlots: 3\n"}]}]}}}})
    };
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": "my-master", "namespace": test.namespace},
        "spec": {"selector": {"app": "master"}, "ports": [
            {"name": "rpc", "port": 6123}, {"name": "blob", "port": 6124}, {"name": "ui", "port": 8081}]}});
    for object in [service, deployment("master", &["jobmanager"]), deployment("worker", &["taskmanager"])] {
        test.create(&object.to_string());
    }
    test.until("status finds it serving", || {
        let run = test.flink(&["status", "-o", "json"]);
        let Ok(status) = serde_json::from_str::<Value>(&run.stdout) else { return false };
        status["items"][0]["slots"]["total"] == 3
    });
    let status = test.flink(&["status", "-o", "json"]).ok().json();
    assert_eq!(status["items"].as_array().unwrap().len(), 1, "{status}");
    let item = &status["items"][0];
    assert_eq!(item["jobManager"]["name"], "my-master", "{item}");
    assert_eq!(item["taskManagers"]["registered"], 1, "{item}");
    // `down` takes nothing down that up did not make.
    test.flink(&["down", "my-master", "--yes"]);
    assert!(test.exists("deployment/my-master"));
}

#[test]
fn it_watches_until_it_is_interrupted() {
    let Some(test) = Test::begin("it_watches_until_it_is_interrupted", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    let mut child = test.command(&["status", "--watch"]).stdout(std::process::Stdio::null()).spawn().unwrap();
    std::thread::sleep(std::time::Duration::from_secs(5));
    assert_eq!(child.try_wait().unwrap(), None);
    crate::flink::kill("INT", child.id());
    assert_eq!(child.wait().unwrap().code(), Some(130));
}

#[test]
fn what_waits_for_pods_says_why() {
    let Some(test) = Test::begin("what_waits_for_pods_says_why", Needs::Pods) else { return };
    let image = "--image=example.invalid/flink:1.20.5";
    test.flink(&[&["up", "--wait=false", image], &SMALL[..]].concat()).ok();
    test.until("the image cannot be pulled", || {
        let run = test.flink(&["status"]);
        format!("{}{}", run.stdout, run.stderr).contains("example.invalid/flink") && run.code == 1
    });
}
