use super::*;
use serde_json::{Value, json};

fn deployment(namespace: &str, name: &str, labels: &Value, spec: &Value) -> Workload {
    let deployment = json!({
        "metadata": {"namespace": namespace, "name": name, "labels": labels},
        "spec": {"selector": {}, "template": {"spec": spec}}
    });
    Workload::of_deployment(serde_json::from_value(deployment).unwrap()).unwrap()
}

/// A pod's specification with one Flink container that reads its configuration from this ConfigMap.
fn with_map(args: &[&str], map: &str) -> Value {
    json!({
        "containers": [{
            "name": "flink", "image": "flink:1.20.5", "args": args,
            "volumeMounts": [{"name": "conf", "mountPath": "/opt/flink/conf"}]
        }],
        "volumes": [{"name": "conf", "configMap": {"name": map}}]
    })
}

fn with_env(args: &[&str], address: &str) -> Value {
    json!({"containers": [{
        "name": "flink", "image": "flink:1.20.5", "args": args,
        "env": [{"name": "JOB_MANAGER_RPC_ADDRESS", "value": address}]
    }]})
}

fn map(namespace: &str, name: &str, file: &str, text: &str) -> (MapId, Result<ConfigMap, String>) {
    let map = json!({"metadata": {"namespace": namespace, "name": name}, "data": {file: text}});
    ((namespace.to_owned(), name.to_owned()), Ok(serde_json::from_value(map).unwrap()))
}

fn pod(pod: Value) -> (Pod, Process) {
    let pod: Pod = serde_json::from_value(pod).unwrap();
    let process = Process::of(pod.spec.as_ref().unwrap()).unwrap();
    (pod, process)
}

fn taskmanagers(cluster: &FlinkCluster) -> Vec<&str> {
    cluster.taskmanagers.iter().map(|workload| workload.name.as_str()).collect()
}

const HA: &str = "high-availability.type: kubernetes\nhigh-availability.storageDir: s3://b/ha\nkubernetes.cluster-id: ";

#[test]
fn clusters_with_high_availability_are_told_apart_by_their_id() {
    let workloads = vec![
        deployment("n", "a-jobmanager", &json!({}), &with_map(&["jobmanager"], "a")),
        deployment("n", "b-jobmanager", &json!({}), &with_map(&["jobmanager"], "b")),
        deployment("n", "workers", &json!({}), &with_map(&["taskmanager"], "b")),
        deployment("n", "more", &json!({}), &with_map(&["taskmanager", "-Dkubernetes.cluster-id=one"], "b")),
        deployment("m", "elsewhere", &json!({}), &with_map(&["taskmanager"], "a")),
    ];
    let maps = Maps::from([
        map("n", "a", "flink-conf.yaml", &format!("{HA}one\n")),
        map("n", "b", "config.yaml", &format!("{HA}two\n")),
        map("m", "a", "config.yaml", &format!("{HA}one\n")),
    ]);
    let clusters = assemble(workloads, &[], &maps);
    let found: Vec<_> = clusters.iter().map(|c| (c.name.as_str(), taskmanagers(c))).collect();
    assert_eq!(found, [("one", vec!["more"]), ("two", vec!["workers"])]);
    assert_eq!(clusters[1].configuration_source.as_deref(), Some("configmap/b"));
    assert_eq!(ha_storage(&clusters[0]), Storage::Uri("s3://b/ha".into()));
    assert_eq!(clusters[0].ha_namespace(), "default");
}

#[test]
fn clusters_without_high_availability_are_told_apart_by_the_address() {
    let workloads = vec![
        deployment("n", "a-jobmanager", &json!({}), &with_env(&["jobmanager"], "a")),
        deployment("n", "b-jobmanager", &json!({}), &with_env(&["jobmanager"], "b")),
        deployment("n", "workers", &json!({}), &with_env(&["taskmanager"], "b.n.svc")),
        deployment("n", "lost", &json!({}), &with_env(&["taskmanager"], "c")),
    ];
    let clusters = assemble(workloads, &[], &Maps::new());
    let found: Vec<_> = clusters.iter().map(|c| (c.name.as_str(), taskmanagers(c))).collect();
    assert_eq!(found, [("a", vec![]), ("b", vec!["workers"])]);
    assert_eq!((clusters[0].cluster_id.as_ref(), ha_storage(&clusters[0])), (None, Storage::None));
}

#[test]
fn the_same_config_map_will_do_and_so_will_the_same_release() {
    let release = json!({"app.kubernetes.io/instance": "r"});
    let workloads = vec![
        deployment("n", "jm", &json!({}), &with_map(&["jobmanager"], "conf")),
        deployment("n", "tm", &json!({}), &with_map(&["taskmanager"], "conf")),
        deployment("n", "r-jm", &release, &with_map(&["jobmanager"], "unreadable")),
        deployment("n", "r-tm", &release, &with_map(&["taskmanager"], "unreadable-too")),
    ];
    let refused = |name: &str| (("n".to_owned(), name.to_owned()), Err(format!("configmaps {name:?} is forbidden")));
    let maps = Maps::from([map("n", "conf", "config.yaml", "a: b"), refused("unreadable"), refused("unreadable-too")]);
    let clusters = assemble(workloads, &[], &maps);
    let found: Vec<_> = clusters.iter().map(|c| (c.name.as_str(), taskmanagers(c))).collect();
    assert_eq!(found, [("jm", vec!["tm"]), ("r-jm", vec!["r-tm"])]);
    assert_eq!(clusters[1].configuration_unknown.as_deref(), Some("configmaps \"unreadable\" is forbidden"));
    assert_eq!(ha_storage(&clusters[1]), Storage::Unknown);
}

#[test]
fn arguments_win_and_properties_cannot_be_written_into_a_config_map() {
    let mut spec = with_map(&["jobmanager", "-Da=argument"], "conf");
    spec["containers"][0]["env"] = json!([{"name": "FLINK_PROPERTIES", "value": "b: property"}]);
    let maps = Maps::from([map("n", "conf", "config.yaml", "a: file\nb: file\n")]);
    let read = |spec: &Value| assemble(vec![deployment("n", "jm", &json!({}), spec)], &[], &maps).remove(0);
    let cluster = read(&spec);
    assert_eq!((cluster.configuration.get("a"), cluster.configuration.get("b")), (Some("argument"), Some("file")));

    // The same, copied to a folder that can be written to.
    spec["volumes"] = json!([{"name": "source", "configMap": {"name": "conf"}}, {"name": "conf", "emptyDir": {}}]);
    spec["initContainers"] = json!([{"name": "copy", "volumeMounts": [{"name": "source", "mountPath": "/source"}]}]);
    let cluster = read(&spec);
    assert_eq!((cluster.configuration.get("a"), cluster.configuration.get("b")), (Some("argument"), Some("property")));
    assert_eq!(cluster.configuration_source.as_deref(), Some("configmap/conf"));
}

#[test]
fn a_native_cluster_has_the_pods_that_carry_its_id() {
    let native =
        |script: &str| json!({"containers": [{"name": "flink-main-container", "args": ["bash", "-c", script]}]});
    let owner = json!([{"apiVersion": "apps/v1", "kind": "Deployment", "name": "nat", "uid": "u", "controller": true}]);
    let task = |name: &str, app: &str| {
        pod(json!({
            "metadata": {"namespace": "n", "name": name, "labels": {"app": app}, "ownerReferences": owner},
            "spec": native("kubernetes-taskmanager.sh -Dx=y")
        }))
    };
    let workloads = vec![
        deployment("n", "nat", &json!({}), &native("kubernetes-jobmanager.sh kubernetes-application ")),
        deployment("n", "standalone", &json!({}), &json!({"containers": [{"name": "tm", "args": ["taskmanager"]}]})),
    ];
    let pods = [task("nat-taskmanager-1-1", "nat"), task("other-taskmanager-1-1", "other")];
    assert!(of_unread_controllers(&workloads, &pods).is_empty());
    let cluster = assemble(workloads, &pods, &Maps::new()).remove(0);
    assert_eq!((cluster.name.as_str(), cluster.cluster_id.as_deref()), ("nat", Some("nat")));
    assert_eq!((cluster.mode, cluster.made_by.as_str()), (Mode::NativeApplication, "native application"));
    assert!(cluster.taskmanagers.is_empty());
    assert_eq!((cluster.jobmanager_pods.len(), cluster.taskmanager_pods.len()), (0, 1));
}

#[test]
fn pods_stand_for_a_workload_that_cannot_be_read() {
    let made = |name: &str, owner: Value, args: &[&str]| {
        pod(json!({
            "metadata": {
                "namespace": "n", "name": name, "ownerReferences": owner, "labels": {"pod-template-hash": "abc"}
            },
            "spec": with_env(args, "jm")
        }))
    };
    let set = json!([{"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "flink-tm-abc", "uid": "u", "controller": true}]);
    let pods = [
        made("flink", json!([]), &["jobmanager"]),
        made("flink-tm-abc-1", set.clone(), &["taskmanager"]),
        made("flink-tm-abc-2", set, &["taskmanager"]),
    ];
    let clusters = assemble(of_unread_controllers(&[], &pods), &pods, &Maps::new());
    let [cluster] = clusters.as_slice() else { panic!("one cluster") };
    assert_eq!((cluster.jobmanager.kind.as_str(), cluster.jobmanager.name.as_str()), ("Pod", "flink"));
    assert_eq!((taskmanagers(cluster), cluster.taskmanagers[0].replicas), (vec!["flink-tm"], 2));
    assert_eq!((cluster.jobmanager_pods.len(), cluster.taskmanager_pods.len()), (1, 2));
}

#[test]
fn who_made_it() {
    let labels = json!({"app.kubernetes.io/managed-by": "kubectl-flink", "app.kubernetes.io/instance": "prod"});
    let ours = deployment("n", "prod-jobmanager", &labels, &with_env(&["jobmanager"], "x"));
    let mut operators = deployment("n", "basic", &json!({}), &with_env(&["jobmanager"], "y"));
    let annotations = [("flinkdeployment.flink.apache.org/generation".to_owned(), "2".to_owned())];
    operators.metadata.annotations = Some(annotations.into());
    let mut charts = deployment("n", "chart", &json!({}), &with_env(&["jobmanager"], "z"));
    charts.metadata.annotations = Some([("meta.helm.sh/release-name".to_owned(), "rel".to_owned())].into());
    let clusters = assemble(vec![ours, operators, charts], &[], &Maps::new());
    let found: Vec<_> = clusters.iter().map(|c| (c.name.as_str(), c.made_by.as_str())).collect();
    assert_eq!(found, [("basic", "FlinkDeployment/basic"), ("chart", "Helm release rel"), ("prod", "kubectl-flink")]);
}
