//! `render`, applied with kubectl, is `up`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::apply::NOWHERE;
use crate::flink::Flink;
use crate::support::{Needs, SMALL, Test, reference};

/// Every object of the cluster, without what the server keeps for itself and what kubectl remembers.
fn objects(test: &Test) -> BTreeMap<String, Value> {
    let kinds = "serviceaccounts,roles,rolebindings,configmaps,services,persistentvolumeclaims,deployments";
    let mut objects = BTreeMap::new();
    for mut object in test.list(kinds) {
        if object["metadata"]["labels"]["app.kubernetes.io/managed-by"] != "kubectl-flink" {
            continue;
        }
        let name = reference(&object);
        let map = object.as_object_mut().unwrap();
        map.remove("status");
        let metadata = map["metadata"].as_object_mut().unwrap();
        for key in ["managedFields", "uid", "resourceVersion", "creationTimestamp", "generation", "finalizers"] {
            metadata.remove(key);
        }
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.retain(|key, _| {
                !["kubectl.kubernetes.io/last-applied-configuration", "deployment.kubernetes.io/revision"]
                    .contains(&key.as_str())
                    && !key.starts_with("pv.kubernetes.io/")
                    && !key.starts_with("volume.")
            });
            if annotations.is_empty() {
                metadata.remove("annotations");
            }
        }
        // Given by the cluster: addresses, node ports, the volume.
        if let Some(spec) = object["spec"].as_object_mut() {
            for key in ["clusterIP", "clusterIPs", "volumeName"] {
                spec.remove(key);
            }
        }
        // The digest of a configuration that has the namespace in it.
        if let Some(digest) = object.pointer_mut("/spec/template/metadata/annotations/kubectl-flink~1configuration") {
            *digest = Value::from("DIGEST");
        }
        let text = object.to_string().replace(&test.namespace, "NAMESPACE");
        objects.insert(name, serde_json::from_str(&text).unwrap());
    }
    objects
}

#[test]
fn applied_with_kubectl_it_is_what_up_makes() {
    let Some(mut test) = Test::begin("applied_with_kubectl_it_is_what_up_makes", Needs::Api) else { return };
    let [by_up, by_kubectl] = [test.another_namespace(), test.another_namespace()];
    let sets: [&[&str]; 4] = [
        &["--ha-storage=pvc"],
        &["--ha-storage=s3://bucket/x", "--env-from-secret=s3", "--jobmanagers=2", "-Ds3.endpoint=http://x:9000"],
        &["--flink-version=1.16.3", "--ha-storage=pod-local", "--label=team=blue", "--toleration=a=b:NoSchedule"],
        &[
            "--flink-version=2.3.0",
            "--ha-storage=pvc:shared",
            "--annotation=a=b: c",
            "--slots=4",
            "--service-account=default",
        ],
    ];
    // The account of the last set has to have rights before `up` takes it.
    for namespace in [&by_up, &by_kubectl] {
        test.namespace.clone_from(namespace);
        test.kubectl(&["create", "namespace", namespace]);
        let account = format!("--serviceaccount={namespace}:default");
        test.kubectl_here(&["create", "rolebinding", "given", "--clusterrole=edit", &account]);
        test.create(&format!(
            "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: shared, namespace: {namespace}}}\n\
             spec: {{accessModes: [ReadWriteMany], resources: {{requests: {{storage: 1Gi}}}}}}\n"
        ));
    }
    for (number, options) in sets.into_iter().enumerate() {
        let name = format!("c{number}");
        test.namespace.clone_from(&by_up);
        test.flink(&[&["up", &name], &NOWHERE[..], options].concat()).ok();
        test.settled();
        let one = objects(&test);

        test.namespace.clone_from(&by_kubectl);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_str().unwrap();
        test.flink(&[&["render", &name, "--to", path], &NOWHERE[1..], options].concat()).ok();
        apply_in_order(&test, folder.path());
        test.settled();
        let other = objects(&test);

        assert_eq!(one.keys().collect::<Vec<_>>(), other.keys().collect::<Vec<_>>());
        for (name, object) in &one {
            assert_eq!(object, &other[name], "{name}: up on the left, kubectl on the right");
        }
    }
}

/// `kubectl apply -f` of each file, in the order of their numbers.
fn apply_in_order(test: &Test, folder: &Path) {
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in files {
        let out = test.kubectl(&["apply", "-f", file.to_str().unwrap()]);
        test.say(out.trim());
    }
}

#[test]
fn the_embedded_files_work_as_they_lie() {
    let Some(mut test) = Test::begin("the_embedded_files_work_as_they_lie", Needs::Bed) else { return };
    // Their namespace is `flink`: nobody else's on the test bed.
    "flink".clone_into(&mut test.namespace);
    apply_in_order(&test, &Path::new(env!("CARGO_MANIFEST_DIR")).join("plugin/manifests/session-ha"));
    test.kubectl_here(&["rollout", "status", "deployment/flink-jobmanager", "--timeout=10m"]);
    test.kubectl_here(&["rollout", "status", "deployment/flink-taskmanager", "--timeout=10m"]);
    let flink = Flink::of(&test, "flink");
    test.until("the leader has both TaskManagers", || {
        flink.ask("/overview").is_some_and(|overview| overview["slots-total"] == 4)
    });
    test.flink(&["status"]).ok();
    // `up` takes it over: nothing but the records of `up` is new, so that no pod has to go.
    let before = [test.pods("jobmanager"), test.pods("taskmanager")].concat();
    let run = test.flink(&["up", "--dry-run=server"]).ok();
    test.say(run.stdout.trim());
    assert_eq!([test.pods("jobmanager"), test.pods("taskmanager")].concat(), before);
    test.flink(&["down", "--yes", "--purge-ha", "--purge-volumes"]).ok();
    assert_eq!(test.pods("jobmanager").len() + test.pods("taskmanager").len(), 0);
}

#[test]
fn rendered_files_serve() {
    let Some(test) = Test::begin("rendered_files_serve", Needs::Pods) else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    test.flink(&[&["render", "--taskmanagers=1", "--ha-storage=pod-local", "--to", path], &SMALL[..]].concat()).ok();
    apply_in_order(&test, folder.path());
    // `up` with the same options waits for what kubectl has applied, and changes nothing that would roll a pod.
    test.flink(&[&["up", "--taskmanagers=1", "--ha-storage=pod-local"], &SMALL[..]].concat()).ok();
    for deployment in ["flink-jobmanager", "flink-taskmanager"] {
        let deployment = test.get(&format!("deployment/{deployment}"));
        assert_eq!(deployment["metadata"]["annotations"]["deployment.kubernetes.io/revision"], "1");
    }
}
