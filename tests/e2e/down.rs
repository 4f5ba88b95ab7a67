//! `down`: what goes, in which order, and what stays.

use serde_json::json;

use crate::apply::up;
use crate::elector::Era;
use crate::flink::Flink;
use crate::support::{Needs, Run, SMALL, Test};

/// Whether the namespace is there and is not on its way out.
fn namespace_is_there(test: &Test) -> bool {
    let text = test.kubectl(&[
        "get",
        "namespaces",
        "-o",
        "jsonpath={range .items[*]}{.metadata.name} {.status.phase}{\"\\n\"}{end}",
    ]);
    text.lines().any(|line| line == format!("{} Active", test.namespace))
}

/// Stands for what Flink writes, where no Flink runs.
fn make_ha_config_maps(test: &Test) {
    for name in ["flink-cluster-config-map", "flink-00000000000000000000000000000001-config-map"] {
        let map = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name, "namespace": test.namespace,
            "labels": {"app": "flink", "configmap-type": "high-availability", "type": "flink-native-kubernetes"}}});
        test.create(&map.to_string());
    }
}

#[test]
fn a_cluster_that_up_made_goes_with_its_namespace() {
    let Some(test) = Test::begin("a_cluster_that_up_made_goes_with_its_namespace", Needs::Api) else { return };
    up(&test, &["--ha-storage=pod-local"]).ok();
    let run = test.flink(&["down", "--dry-run=server"]).ok();
    assert!(run.stdout.contains("deployment/flink-jobmanager deleted (server dry run)"), "{run}");
    assert!(namespace_is_there(&test) && test.exists("deployment/flink-jobmanager"));

    test.flink(&["down"]).ok().says(&["namespace"]);
    assert!(!namespace_is_there(&test), "up made it, nobody else has anything in it");
    // There is nothing left to do, which is fine.
    test.flink(&["down"]).ok();
}

#[test]
fn a_namespace_of_someone_elses_stays() {
    let Some(test) = Test::begin("a_namespace_of_someone_elses_stays", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    up(&test, &["--ha-storage=pod-local"]).ok();
    test.flink(&["down"]).ok();
    assert!(namespace_is_there(&test));
    assert!(!test.exists("deployment/flink-jobmanager") && !test.exists("configmap/flink-config"));
    assert!(!test.exists("role/flink-jobmanager") && !test.exists("serviceaccount/flink-taskmanager"));
}

#[test]
fn a_namespace_with_something_in_it_stays() {
    let Some(test) = Test::begin("a_namespace_with_something_in_it_stays", Needs::Api) else { return };
    up(&test, &["--ha-storage=pod-local"]).ok();
    test.kubectl_here(&["create", "secret", "generic", "theirs", "--from-literal=a=b"]);
    test.flink(&["down"]).ok().says(&["Kept: namespace/", "secret"]);
    assert!(namespace_is_there(&test) && test.exists("secret/theirs"));
}

#[test]
fn what_others_made_stays() {
    let Some(test) = Test::begin("what_others_made_stays", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    up(&test, &["one", "--ha-storage=pod-local"]).ok();
    up(&test, &["two", "--ha-storage=pod-local"]).ok();
    let foreign = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one-notes",
        "namespace": test.namespace, "labels": {"app.kubernetes.io/instance": "one", "app.kubernetes.io/name": "flink"}}});
    test.create(&foreign.to_string());
    let helms = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "one-helm",
        "namespace": test.namespace, "labels": {"app.kubernetes.io/instance": "one", "app.kubernetes.io/managed-by": "Helm"}}});
    test.create(&helms.to_string());
    let two = |test: &Test| {
        let all = test.fingerprint();
        all.into_iter().filter(|line| line.contains("/two-") && !line.starts_with("pod/")).collect::<Vec<_>>()
    };
    test.settled();
    let before = two(&test);
    test.flink(&["down", "one"]).ok();
    assert!(!test.exists("deployment/one-jobmanager"));
    assert!(test.exists("configmap/one-notes") && test.exists("configmap/one-helm"));
    assert_eq!(two(&test), before);
    // A cluster that up did not make is not taken down by its name alone.
    test.kubectl_here(&[
        "label",
        "deployment/two-jobmanager",
        "deployment/two-taskmanager",
        "app.kubernetes.io/managed-by-",
    ]);
    test.flink(&["down", "two", "--yes", "--force"]);
    assert!(test.exists("deployment/two-jobmanager"));
}

#[test]
fn volumes_and_durable_ha_data_stay_unless_they_are_purged() {
    let Some(test) = Test::begin("volumes_and_durable_ha_data_stay_unless_they_are_purged", Needs::Api) else { return };
    up(&test, &["--ha-storage=pvc"]).ok();
    make_ha_config_maps(&test);
    let maps = || test.kubectl_here(&["get", "configmaps", "-l", "configmap-type=high-availability", "-o", "name"]);
    down_of_no_jobmanager(&test, &["down"]).ok().says(&[
        "HA ConfigMaps stay",
        "claim flink-storage",
        "--purge-volumes",
    ]);
    assert!(test.exists("pvc/flink-storage") && !test.exists("deployment/flink-jobmanager"));
    assert_eq!(maps().lines().count(), 2);
    assert!(namespace_is_there(&test), "it holds the claim and the HA data");

    // The next up takes the same claim again.
    let uid = test.get("pvc/flink-storage")["metadata"]["uid"].clone();
    up(&test, &[]).ok();
    assert_eq!(test.get("pvc/flink-storage")["metadata"]["uid"], uid);

    // For good: it wants a yes, and then nothing stays.
    test.flink(&["down", "--keep-ha", "--purge-ha"]).exits(2);
    down_of_no_jobmanager(&test, &["down", "--purge-ha", "--purge-volumes"]).exits(2).says(&["--yes"]);
    assert!(test.exists("deployment/flink-taskmanager"));
    down_of_no_jobmanager(&test, &["down", "--purge-ha", "--purge-volumes", "--yes"]).ok();
    assert!(!namespace_is_there(&test));
}

/// `down` where the JobManager's pods never start: whether jobs run cannot be asked, so they are scaled away first.
fn down_of_no_jobmanager(test: &Test, arguments: &[&str]) -> Run {
    test.kubectl_here(&["scale", "deployment/flink-jobmanager", "--replicas=0"]);
    test.until("the JobManager's pods are gone", || test.pods("jobmanager").is_empty());
    test.flink(arguments)
}

#[test]
fn pod_local_ha_data_goes_with_its_pods() {
    let Some(test) = Test::begin("pod_local_ha_data_goes_with_its_pods", Needs::Api) else { return };
    up(&test, &["--ha-storage=pod-local"]).ok();
    make_ha_config_maps(&test);
    test.kubectl_here(&["scale", "deployment/flink-jobmanager", "--replicas=0"]);
    test.until("the JobManager's pods are gone", || test.pods("jobmanager").is_empty());
    test.flink(&["down", "--yes"]).ok().says(&["what they pointed to was in the pods"]);
    assert!(!namespace_is_there(&test));
}

/// Today's storage is gone with the pods, and the files of before are on the claim that is mounted no more.
#[test]
fn what_was_written_to_other_storage_stays() {
    let Some(test) = Test::begin("what_was_written_to_other_storage_stays", Needs::Api) else { return };
    up(&test, &["--ha-storage=pvc"]).ok();
    up(&test, &["--ha-storage=pod-local"]).ok();
    test.kubectl_here(&["scale", "deployment/flink-jobmanager", "--replicas=0"]);
    test.until("the JobManager's pods are gone", || test.pods("jobmanager").is_empty());
    let job = "00000000000000000000000000000001";
    let jobs = [(job.to_owned(), "file:/flink-storage/ha/flink".to_owned())].into();
    for mut map in Era::V1_20.left_by("flink", &jobs) {
        map.metadata.namespace = Some(test.namespace.clone());
        let mut map = serde_json::to_value(&map).unwrap();
        (map["apiVersion"], map["kind"]) = (json!("v1"), json!("ConfigMap"));
        test.create(&map.to_string());
    }
    test.flink(&["down", "--yes"]).ok().says(&["HA ConfigMaps", "it is not known what storage is behind them"]);
    assert!(test.exists("configmap/flink-cluster-config-map"));
    assert!(test.exists(&format!("configmap/flink-{job}-config-map")));
    // Nor does another `down` remove them, of which the first has left it no JobManager to look at.
    test.flink(&["down", "--yes"]).ok();
    assert!(test.exists("configmap/flink-cluster-config-map"));
    // Nothing was noted that would make them dead.
    let judged = test.flink(&["clean-ha", "flink", "--dry-run", "-o", "json"]).ok().json();
    assert_eq!(judged["items"][0]["jobs"][job]["verdict"], "unknown", "{judged}");
}

#[test]
fn without_the_right_to_delete_nothing_is_deleted() {
    let Some(test) = Test::begin("without_the_right_to_delete_nothing_is_deleted", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    up(&test, &["--ha-storage=pod-local"]).ok();
    test.kubectl_here(&["create", "rolebinding", "ann", "--clusterrole=view", "--user=ann"]);
    let before = test.settled();
    test.flink_as("ann", &["down", "--force", "--yes"]).exits(3).says(&["nothing was deleted"]);
    assert_eq!(test.fingerprint(), before);
}

#[test]
fn running_jobs_are_named_and_the_jobmanager_goes_first() {
    let Some(test) = Test::begin("running_jobs_are_named_and_the_jobmanager_goes_first", Needs::Bed) else { return };
    let flink = Flink::of(&test, "flink");
    test.up(&["--taskmanagers=1", "--parallelism=1", "-Dmetrics.fetcher.update-interval=500"]);
    let job = flink.start_job("1.20.5", 1);
    test.flink(&["down"]).exits(2).says(&[&job, "count", "RUNNING", "--yes"]);
    assert!(flink.progress(&job).is_some());

    // While `down` ends the JobManagers, the TaskManagers are there.
    let mut order = Vec::new();
    let run = test.run_until(&["down", "--yes"], "deployment/flink-jobmanager", || {
        order.push((test.pods("jobmanager").len(), test.exists("deployment/flink-jobmanager")));
    });
    let run = run.ok().says(&["recovers 1 job"]);
    assert_eq!(order, [(0, false)], "{run}");
    let positions =
        ["deployment/flink-jobmanager", "deployment/flink-taskmanager"].map(|object| run.stderr.find(object));
    assert!(positions[0].is_some() && positions[0] < positions[1], "{run}");
    assert!(test.exists("configmap/flink-cluster-config-map"));

    // Interrupted or not: with nothing running it is asked no more, and the state can be given up.
    test.flink(&["down", "--purge-ha", "--purge-volumes"]).exits(2).says(&["--yes", &job]);
    test.flink(&["down", "--purge-ha", "--purge-volumes", "--yes"]).ok();
    assert!(!namespace_is_there(&test));
    // And an up from nothing serves.
    test.until("the namespace is gone", || {
        !test.kubectl(&["get", "namespaces", "-o", "name"]).contains(&test.namespace)
    });
    test.flink(&[&["up", "--taskmanagers=1"], &SMALL[..]].concat()).ok();
    let jobs = flink.ask("/jobs").unwrap();
    assert_eq!(jobs["jobs"], json!([]), "{jobs}");
}
