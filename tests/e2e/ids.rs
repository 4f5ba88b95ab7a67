//! What cluster-ids Kubernetes and Flink take: docs/cluster-ids.md says it, and this is where it comes from.

use std::process::Command;

use serde_json::json;

use crate::support::{Needs, Run, Test};

/// Whether the API server takes what a standalone Flink of this cluster-id makes: a ConfigMap that is named and labelled after it.
fn config_map(test: &Test, id: &str) -> Run {
    let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": format!("{id}-cluster-config-map"),
        "namespace": test.namespace, "labels": {"app": id, "configmap-type": "high-availability"}}});
    test.kubectl_with(&["create", "--dry-run=server", "-f", "-"], &map.to_string())
}

/// Whether it takes a Service of this name, as a native Flink makes it.
fn service(test: &Test, id: &str) -> Run {
    let service = json!({"apiVersion": "v1", "kind": "Service", "metadata": {"name": id, "namespace": test.namespace},
        "spec": {"selector": {"app": id}, "ports": [{"port": 8081}]}});
    test.kubectl_with(&["create", "--dry-run=server", "-f", "-"], &service.to_string())
}

#[test]
fn the_api_server_takes_these_and_refuses_those() {
    let Some(test) = Test::begin("the_api_server_takes_these_and_refuses_those", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    let (long, longer) = ("a".repeat(46), "a".repeat(64));
    for id in ["flink", "a-b-1", "1abc", "a.b", &long] {
        let run = config_map(&test, id);
        assert_eq!(run.code, 0, "{id}: {run}");
    }
    for (id, why) in [
        ("Abc", "lowercase RFC 1123 subdomain"),
        ("a_b", "lowercase RFC 1123 subdomain"),
        ("abc-", "metadata.labels"),
        ("-abc", "metadata.name"),
        (&longer, "must be no more than 63"),
    ] {
        let run = config_map(&test, id);
        assert_ne!(run.code, 0, "{id}");
        assert!(run.stderr.contains(why), "{id}: {run}");
    }
    for id in ["a.b", "Abc", "a_b", "abc-", &longer] {
        assert_ne!(service(&test, id).code, 0, "{id}");
    }
    // What this program takes is taken everywhere.
    let longest = "a".repeat(45);
    for id in ["f", "a-b-1", &longest] {
        assert_eq!((config_map(&test, id).code, service(&test, id).code), (0, 0), "{id}");
    }
}

#[test]
fn the_longest_name_serves() {
    let Some(test) = Test::begin("the_longest_name_serves", Needs::Pods) else { return };
    let name = format!("a{}", "-1".repeat(22));
    assert_eq!(name.len(), 45);
    test.up(&[&name, "--taskmanagers=1", "--ha-storage=pod-local"]).says(&["1 TaskManager, 2 slots"]);
    test.flink(&["status", &name]).ok();
    test.flink(&["down", &name, "--yes"]).ok();
}

#[test]
fn native_flink_refuses_these() {
    let Some(test) = Test::begin("native_flink_refuses_these", Needs::Bed) else { return };
    let test = test.with_namespace(&[]);
    let kubeconfig = test.bed(&["kubeconfig"]);
    let script =
        std::path::PathBuf::from(std::env::var("KUBECTL_FLINK_TESTBED").unwrap()).with_file_name("native-session");
    let start = |id: &str| {
        let mut command = Command::new(&script);
        command.env("KUBECONFIG", kubeconfig.trim()).arg("1.20.5");
        command.arg(format!("-Dkubernetes.cluster-id={id}")).arg(format!("-Dkubernetes.namespace={}", test.namespace));
        Run::of(&mut command)
    };
    for (id, why) in
        [("a".repeat(46).as_str(), "must be no more than 45 characters"), ("a.b", "a.b"), ("Abc", "RFC 1123")]
    {
        let run = start(id);
        let text = format!("{}{}", run.stdout, run.stderr);
        assert_ne!(run.code, 0, "{run}");
        assert!(text.contains(why), "{id}: {run}");
    }
}
