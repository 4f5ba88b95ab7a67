use serde_json::{Value, json};

use super::*;
use crate::flink::role::Process;
use crate::manifests::kind;
use crate::manifests::options::Options;
use crate::manifests::session_ha::Profile;

/// The workloads of the embedded profile: JobManager and TaskManager.
fn embedded() -> Vec<Workload> {
    let files = Profile::by_default("prod", "streaming", Options::default()).files().unwrap();
    let objects = files.into_iter().flat_map(|file| file.objects);
    let deployments = objects.filter(|object| kind(object) == "Deployment");
    deployments
        .map(|object| serde_json::from_value(serde_json::to_value(&object).unwrap()).unwrap())
        .map(|deployment| Workload::of_deployment(deployment).unwrap())
        .collect()
}

fn stateful_set(spec: &Value) -> Workload {
    let set = json!({
        "metadata": {"name": "jm", "namespace": "n"},
        "spec": {"selector": {}, "serviceName": "jm", "template": {
            "metadata": {
                "labels": {"app": "flink", "azure.workload.identity/use": "true"},
                "annotations": {"iam.amazonaws.com/role": "r", "kubectl.kubernetes.io/restartedAt": "x"},
            },
            "spec": spec,
        }},
    });
    Workload::of_stateful_set(serde_json::from_value(set).unwrap()).unwrap()
}

fn task<'a>(verb: Verb, own: &[&str], others: &[&str]) -> Task<'a> {
    let owned = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
    Task { verb, token: "t0", own: owned(own), others: owned(others), seconds: 30, group: "g", full_size: false }
}

fn made(workload: &Workload, task: &Task<'_>) -> Value {
    serde_json::to_value(pod(workload, "p", task).unwrap()).unwrap()
}

#[test]
fn it_is_none_of_the_clusters_pods() {
    for workload in embedded() {
        let pod = pod(&workload, "p", &task(Verb::Look, &["/flink-storage/ha/x"], &[])).unwrap();
        assert_eq!(Process::of(pod.spec.as_ref().unwrap()), None);
        let labels = pod.metadata.labels.unwrap();
        let selector =
            workload.deployment.as_ref().unwrap().spec.as_ref().unwrap().selector.match_labels.clone().unwrap();
        // No Service nor anything else that selects by a part of these takes it either.
        assert!(selector.iter().all(|(key, value)| labels.get(key) != Some(value)), "{labels:?} {selector:?}");
        assert_eq!(labels["app.kubernetes.io/managed-by"], "kubectl-flink");
        assert!(!labels.contains_key("app.kubernetes.io/instance"), "down would wait for it");
    }
}

#[test]
fn like_the_jobmanagers_and_small() {
    let [jobmanager, _] = &embedded()[..] else { panic!("two workloads") };
    let made = made(jobmanager, &task(Verb::Look, &["/flink-storage/ha/x"], &[]));
    let (spec, container) = (&made["spec"], &made["spec"]["containers"][0]);
    assert_eq!(made["metadata"]["namespace"], "streaming");
    assert_eq!(spec["serviceAccountName"], "prod-jobmanager");
    assert_eq!((&spec["restartPolicy"], &spec["activeDeadlineSeconds"]), (&"Never".into(), &90.into()));
    assert_eq!(spec["securityContext"]["runAsUser"], 9999);
    assert_eq!(container["securityContext"]["capabilities"]["drop"][0], "ALL");
    assert_eq!(container["image"], "apache/flink:1.20.5");
    assert_eq!(container["resources"]["requests"], json!({"cpu": "50m", "memory": "64Mi"}));
    assert_eq!(container["resources"]["limits"], json!({"memory": "64Mi"}));
    assert_eq!(container["volumeMounts"][1]["mountPath"], "/flink-storage");
    for absent in ["livenessProbe", "readinessProbe", "startupProbe", "lifecycle", "ports"] {
        assert!(container.get(absent).is_none(), "{absent}");
    }
    // Nothing of Flink's is needed for a path of the pod's own.
    let names: Vec<_> = spec["volumes"].as_array().unwrap().iter().map(|volume| &volume["name"]).collect();
    assert_eq!(names, ["flink-config", "flink-storage"]);
    assert!(!container.to_string().contains("KUBECTL_FLINK_PROBE_CLASS\",\"value"));

    // Near the cluster if it is there, near the other probes of its group in any case.
    let near = &spec["affinity"]["podAffinity"];
    let required = &near["requiredDuringSchedulingIgnoredDuringExecution"];
    assert_eq!(required[0]["labelSelector"]["matchLabels"], json!({"kubectl-flink/probe": "g"}));
    assert_eq!(required[0]["topologyKey"], "kubernetes.io/hostname");
    let preferred = &near["preferredDuringSchedulingIgnoredDuringExecution"][0]["podAffinityTerm"];
    assert_eq!(preferred["labelSelector"]["matchLabels"]["app.kubernetes.io/instance"], "prod");
    assert_eq!(made["metadata"]["labels"]["kubectl-flink/probe"], "g");
}

#[test]
fn the_first_to_use_a_volume_asks_for_as_much_as_the_workload() {
    let [jobmanager, _] = &embedded()[..] else { panic!("two workloads") };
    let task = Task { full_size: true, ..task(Verb::Hold, &["/flink-storage/ha/x"], &[]) };
    let made = made(jobmanager, &task);
    assert_eq!(made["spec"]["containers"][0]["resources"]["requests"], json!({"cpu": "200m", "memory": "1600Mi"}));
    assert_eq!(made["spec"]["terminationGracePeriodSeconds"], 20);
}

#[test]
fn paths_are_no_code() {
    let [jobmanager, _] = &embedded()[..] else { panic!("two workloads") };
    let paths = ["/flink-storage/$(rm -rf x)`y`\"';$(POD_IP)$$", "/flink-storage/-x y"];
    let made = made(jobmanager, &task(Verb::Look, &paths, &["s3://b/$HOME"]));
    let container = &made["spec"]["containers"][0];
    let command: Vec<&str> =
        container["command"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert_eq!((command[0], command[1], command[3], command.len()), ("bash", "-c", "probe", 4));
    assert!(command[2].replace("$$", "").find('$').is_none(), "Kubernetes would expand something");
    assert_eq!(command[2].replace("$$", "$"), SCRIPT);
    let args: Vec<&str> = container["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert_eq!(args[..6], ["look", "t0", "30", "jobmanager", "1", "2"]);
    assert_eq!(args[6..], ["/flink-storage/$$(rm -rf x)`y`\"';$$(POD_IP)$$$$", "/flink-storage/-x y", "s3://b/$$HOME"]);
}

#[test]
fn what_flink_needs_for_other_file_systems() {
    let workload = stateful_set(&json!({
        "serviceAccountName": "sa", "tolerations": [{"operator": "Exists"}], "nodeSelector": {"a": "b"},
        "imagePullSecrets": [{"name": "pull"}], "hostname": "h", "priorityClassName": "high",
        "topologySpreadConstraints": [{"maxSkew": 1, "topologyKey": "z", "whenUnsatisfiable": "DoNotSchedule"}],
        "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [{"topologyKey": "kubernetes.io/hostname"}]}},
        "initContainers": [
            {"name": "plugins", "image": "i", "volumeMounts": [{"name": "plugins", "mountPath": "/p"}],
             "resources": {"requests": {"memory": "8Gi"}, "limits": {"memory": "8Gi"}}},
            {"name": "chown", "image": "i", "volumeMounts": [{"name": "data", "mountPath": "/d"}]},
            {"name": "reads", "image": "i", "volumeMounts": [{"name": "plugins", "mountPath": "/p", "readOnly": true}]},
            {"name": "sidecar", "image": "i", "restartPolicy": "Always", "volumeMounts": [{"name": "plugins", "mountPath": "/p"}]},
            {"name": "wait", "image": "i"},
        ],
        "containers": [
            {"name": "log-shipper", "image": "i", "volumeMounts": [{"name": "logs", "mountPath": "/l"}]},
            {
                "name": "jm", "image": "flink:1.20.5", "command": ["/opt/flink/bin/jobmanager.sh"],
                "args": ["start-foreground", "-D", "s3.access-key=$(KEY)"],
                "env": [{"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}],
                "envFrom": [{"secretRef": {"name": "s3"}}],
                "resources": {"limits": {"cpu": "2", "memory": "8Gi"}},
                "volumeMounts": [
                    {"name": "plugins", "mountPath": "/opt/flink/plugins"}, {"name": "data", "mountPath": "/data"},
                    {"name": "scratch", "mountPath": "/scratch"},
                ],
            },
        ],
        "volumes": [
            {"name": "plugins", "emptyDir": {}}, {"name": "logs", "emptyDir": {}},
            {"name": "scratch", "ephemeral": {"volumeClaimTemplate": {"spec": {}}}},
        ],
    }));
    let made = made(&workload, &task(Verb::Look, &["/data/x"], &["s3://b/ha/x"]));
    let spec = &made["spec"];
    assert_eq!(made["metadata"]["annotations"], json!({"iam.amazonaws.com/role": "r"}));
    assert_eq!(made["metadata"]["labels"]["azure.workload.identity/use"], "true");
    assert_eq!(made["metadata"]["labels"].get("app"), None);
    assert_eq!(spec["serviceAccountName"], "sa");
    assert_eq!(spec["nodeSelector"], json!({"a": "b"}));
    assert_eq!(spec["imagePullSecrets"], json!([{"name": "pull"}]));
    assert_eq!(spec["tolerations"], json!([{"operator": "Exists"}]));
    for absent in ["hostname", "priorityClassName", "topologySpreadConstraints"] {
        assert!(spec.get(absent).is_none(), "{absent}");
    }
    assert!(spec["affinity"].get("podAntiAffinity").is_none());

    let inits = spec["initContainers"].as_array().unwrap();
    assert_eq!(inits.iter().map(|init| &init["name"]).collect::<Vec<_>>(), ["plugins"]);
    assert_eq!(inits[0]["resources"]["requests"], json!({"cpu": "10m", "memory": "32Mi"}));

    let containers = spec["containers"].as_array().unwrap();
    assert_eq!(containers.len(), 1);
    let args: Vec<&str> = containers[0]["args"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    // Not dropping root where the workload has no entrypoint that does; expanding what the workload's own arguments expand.
    assert_eq!(args[3..], ["jobmanager", "0", "1", "-Ds3.access-key=$(KEY)", "/data/x", "s3://b/ha/x"]);
    assert_eq!(containers[0]["env"][0]["name"], "KEY");
    assert_eq!(containers[0]["env"][1]["name"], "KUBECTL_FLINK_PROBE_CLASS");
    assert_eq!(containers[0]["envFrom"][0]["secretRef"]["name"], "s3");
    assert_eq!(containers[0]["resources"]["limits"], json!({"cpu": "2", "memory": "448Mi"}));

    let volume = |name: &str| {
        let volumes = spec["volumes"].as_array().unwrap();
        volumes.iter().find(|volume| volume["name"] == name).cloned().unwrap_or_default()
    };
    assert_eq!(volume("data")["persistentVolumeClaim"]["claimName"], "data-jm-0");
    assert_eq!(volume("scratch"), json!({"name": "scratch", "emptyDir": {}}));
    assert_eq!(volume("logs"), Value::Null);
    assert_eq!(volume("kubectl-flink-probe"), json!({"name": "kubectl-flink-probe", "emptyDir": {}}));
}
