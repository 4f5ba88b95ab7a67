//! What `up` sends to the API server. No pod has to run for these: a node selector keeps them from it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use serde_json::{Value, json};

use crate::support::{Needs, Run, Test, reference};

/// No node has this label, so that the pods wait, and cost nothing.
pub const NOWHERE: [&str; 3] = ["--wait=false", "--node-selector", "kf-test=nowhere"];

/// `up` of a cluster whose pods never start.
pub fn up(test: &Test, arguments: &[&str]) -> Run {
    test.flink(&[&["up"], &NOWHERE[..], arguments].concat())
}

fn replicas(test: &Test, deployment: &str) -> Value {
    test.get(&format!("deployment/{deployment}"))["spec"]["replicas"].clone()
}

fn configuration(test: &Test) -> String {
    test.get("configmap/flink-config")["data"]["config.yaml"].as_str().unwrap().to_owned()
}

fn managers(object: &Value) -> Vec<String> {
    let entries = object["metadata"]["managedFields"].as_array().cloned().unwrap_or_default();
    entries.iter().map(|entry| format!("{} {}", entry["manager"], entry["operation"]).replace('"', "")).collect()
}

#[test]
fn a_second_up_changes_nothing() {
    let Some(test) = Test::begin("a_second_up_changes_nothing", Needs::Api) else { return };
    up(&test, &[]).ok().says(&["01_namespace.yaml: 1 created", "02_rbac.yaml: 6 created"]);
    let before = test.settled();
    up(&test, &[]).ok().says(&["1 unchanged"]).keeps_silent_about(&["created", "configured", "Warning:"]);
    assert_eq!(test.fingerprint(), before);
}

#[test]
fn options_that_are_not_given_stay_as_they_were() {
    let Some(test) = Test::begin("options_that_are_not_given_stay_as_they_were", Needs::Api) else { return };
    up(&test, &["--slots=3", "-Drestart-strategy.fixed-delay.attempts=7", "-Dpekko.ask.timeout=21 s"]).ok();
    up(&test, &["--taskmanagers=3"]).ok();
    up(&test, &["-Dpekko.ask.timeout=22 s"]).ok();
    assert_eq!(replicas(&test, "flink-taskmanager"), 3);
    let text = configuration(&test);
    for line in
        ["taskmanager.numberOfTaskSlots: 3", "restart-strategy.fixed-delay.attempts: 7", "pekko.ask.timeout: 22 s"]
    {
        assert!(text.contains(line), "{line}\n{text}");
    }

    // --reset forgets, and what is gone from the options is gone from the objects.
    up(&test, &["--reset", "-Dpekko.ask.timeout=23 s"]).ok();
    assert_eq!(replicas(&test, "flink-taskmanager"), 2);
    let text = configuration(&test);
    for line in
        ["taskmanager.numberOfTaskSlots: 2", "restart-strategy.fixed-delay.attempts: 10", "pekko.ask.timeout: 23 s"]
    {
        assert!(text.contains(line), "{line}\n{text}");
    }
    up(&test, &["--reset"]).ok();
    assert!(!configuration(&test).contains("pekko.ask.timeout"));
}

#[test]
fn an_option_that_is_gone_leaves_no_field_behind() {
    let Some(test) = Test::begin("an_option_that_is_gone_leaves_no_field_behind", Needs::Api) else { return };
    up(&test, &["--label", "team=blue", "--annotation", "note=x", "--toleration", "a=b:NoSchedule"]).ok();
    let deployment = test.get("deployment/flink-jobmanager");
    assert_eq!(deployment["metadata"]["labels"]["team"], "blue");
    assert_eq!(deployment["spec"]["template"]["spec"]["tolerations"][0]["key"], "a");

    up(&test, &["--reset"]).ok();
    let deployment = test.get("deployment/flink-jobmanager");
    assert_eq!(deployment["metadata"]["labels"].get("team"), None);
    assert_eq!(deployment["metadata"]["annotations"].get("note"), None);
    assert_eq!(deployment["spec"]["template"]["metadata"]["labels"].get("team"), None);
    assert_eq!(deployment["spec"]["template"]["spec"].get("tolerations"), None);
    let service = test.get("service/flink-webui");
    assert_eq!(service["metadata"]["labels"].get("team"), None);
}

#[test]
fn a_dry_run_stores_nothing() {
    let Some(test) = Test::begin("a_dry_run_stores_nothing", Needs::Api) else { return };
    let namespace_is_missing =
        || !test.kubectl(&["get", "namespaces", "--no-headers", "-o", "name"]).contains(&test.namespace);

    // In a namespace that is not there.
    let client = up(&test, &["--dry-run=client"]).ok();
    assert!(client.stdout.contains("deployment/flink-jobmanager created (dry run)"), "{client}");
    let server = up(&test, &["--dry-run=server"]).ok().says(&["is not there yet", "were checked here only"]);
    assert!(server.stdout.contains("created (server dry run)"), "{server}");
    up(&test, &["--diff"]).exits(1);
    assert!(namespace_is_missing());

    // Over a cluster that is there.
    up(&test, &[]).ok();
    let before = test.settled();
    for mode in ["--dry-run=client", "--dry-run=server"] {
        let run = up(&test, &["--taskmanagers=4", mode]).ok();
        assert!(run.stdout.contains("deployment/flink-taskmanager configured"), "{run}");
        assert!(run.stdout.contains("deployment/flink-jobmanager"), "{run}");
    }
    let json = up(&test, &["--dry-run=server", "-o", "json"]).ok().json();
    assert_eq!(json["dryRun"], true);
    assert_eq!(test.fingerprint(), before);
}

#[test]
fn diff_says_by_its_exit_code_whether_something_would_change() {
    let Some(test) = Test::begin("diff_says_by_its_exit_code_whether_something_would_change", Needs::Api) else {
        return;
    };
    let run = up(&test, &["--diff"]).exits(1);
    assert!(run.stdout.contains("+kind: Deployment"), "{run}");
    up(&test, &["-Ds3.secret-key=hunter2"]).ok();
    let run = up(&test, &["--diff"]).exits(0);
    assert_eq!(run.stdout, "", "{run}");
    let run = up(&test, &["--slots=5", "--diff"]).exits(1);
    assert!(run.stdout.contains("+    taskmanager.numberOfTaskSlots: 5"), "{run}");
    assert!(!run.stdout.contains("hunter2"), "{run}");
    let run = up(&test, &["-Ds3.secret-key=hunter3", "--diff"]).exits(1);
    assert!(!run.stdout.contains("hunter"), "both the old and the new secret are hidden\n{run}");
}

#[test]
fn what_others_write_meanwhile_is_no_difference() {
    let Some(test) = Test::begin("what_others_write_meanwhile_is_no_difference", Needs::Api) else { return };
    up(&test, &[]).ok();
    let done = AtomicBool::new(false);
    let writes = thread::scope(|scope| {
        // As the controllers do to what was just made, but all the time.
        let writer = scope.spawn(|| {
            let mut writes = 0;
            while !done.load(Ordering::Relaxed) {
                let note = format!("kf-test/write={writes}");
                test.kubectl(&["annotate", "-n", &test.namespace, "--overwrite", "deployment/flink-jobmanager", &note]);
                writes += 1;
            }
            writes
        });
        let runs: Vec<Run> = (0..10).map(|_| up(&test, &["--diff"])).collect();
        let dry_run = up(&test, &["--dry-run=server"]).ok();
        done.store(true, Ordering::Relaxed);
        for run in runs {
            assert_eq!(run.exits(0).stdout, "");
        }
        assert!(dry_run.stdout.contains("deployment/flink-jobmanager unchanged"), "{dry_run}");
        writer.join().unwrap()
    });
    assert!(writes > 10, "{writes} writes are too few to meet anything");
}

#[test]
fn what_kubectl_applied_before_is_taken_over() {
    let Some(test) = Test::begin("what_kubectl_applied_before_is_taken_over", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    kubectl_applies(&test, &["--label=team=blue", "--expose=node-port"]);
    let before = test.get("deployment/flink-taskmanager");
    assert!(managers(&before).contains(&"kubectl-client-side-apply Update".to_owned()), "{:?}", managers(&before));

    // What the dry run says is what happens.
    test.flink(&["up", "--wait=false", "--reset", "--taskmanagers=3", "--dry-run=server"]).ok();
    up(&test, &["--reset", "--taskmanagers=3"]).ok();
    for object in test.list("deployments,services,configmaps,serviceaccounts,roles,rolebindings,persistentvolumeclaims")
    {
        if object["metadata"]["labels"]["app.kubernetes.io/managed-by"] != "kubectl-flink" {
            continue;
        }
        let managers = managers(&object);
        assert!(!managers.iter().any(|m| m.contains("client-side")), "{}: {managers:?}", reference(&object));
        assert!(managers.contains(&"kubectl-flink Apply".to_owned()), "{}: {managers:?}", reference(&object));
        assert_eq!(object["metadata"]["labels"].get("team"), None, "{} keeps a field", reference(&object));
    }
    assert_eq!(replicas(&test, "flink-taskmanager"), 3);
    assert_eq!(test.get("service/flink-webui")["spec"]["type"], "ClusterIP");
    let before = test.settled();
    up(&test, &[]).ok();
    assert_eq!(test.fingerprint(), before);
}

/// Brings a cluster up whose pods never start, as someone does who has `kubectl apply` alone.
fn kubectl_applies(test: &Test, options: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().to_str().unwrap();
    let rendered = ["render", "--node-selector", "kf-test=nowhere", "--to", folder];
    test.flink(&[&rendered[..], options].concat()).ok();
    test.kubectl(&["apply", "-f", folder]);
}

/// Another field manager takes the image of the TaskManagers.
fn team_b_sets_the_image(test: &Test) {
    let theirs = json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "flink-taskmanager"},
        "spec": {"template": {"spec": {"containers": [{"name": "taskmanager", "image": "example.com/flink:theirs"}]}}},
    });
    let apply = ["apply", "--server-side", "--field-manager=team-b", "--force-conflicts", "-f", "-"];
    let run = test.kubectl_with(&apply, &theirs.to_string());
    assert_eq!(run.code, 0, "{run}");
}

#[test]
fn a_dry_run_is_refused_where_the_apply_would_be() {
    let Some(test) = Test::begin("a_dry_run_is_refused_where_the_apply_would_be", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    kubectl_applies(&test, &[]);
    team_b_sets_the_image(&test);
    // What is kubectl's is taken over, and what is someone else's is not.
    for mode in [&["--dry-run=server"][..], &["--diff"], &[]] {
        up(&test, &[&["--slots=3"], mode].concat()).exits(3).says(&["image", "team-b", "--force-conflicts"]);
    }
}

#[test]
fn another_field_managers_values_are_not_overwritten() {
    let Some(test) = Test::begin("another_field_managers_values_are_not_overwritten", Needs::Api) else { return };
    up(&test, &[]).ok();
    team_b_sets_the_image(&test);

    let image = || {
        let deployment = test.get("deployment/flink-taskmanager");
        deployment["spec"]["template"]["spec"]["containers"][0]["image"].as_str().unwrap().to_owned()
    };
    up(&test, &["--slots=3"]).exits(3).says(&[
        "stopped at 06_taskmanager-session.yaml",
        "deployment/flink-taskmanager",
        "image",
        "team-b",
        "--force-conflicts",
        "applied before it:",
    ]);
    assert_eq!(image(), "example.com/flink:theirs");
    up(&test, &["--dry-run=server"]).exits(3).says(&["team-b"]);
    up(&test, &["--diff"]).exits(3).says(&["team-b"]);
    up(&test, &["--force-conflicts"]).ok();
    assert_eq!(image(), "apache/flink:1.20.5");
}

#[test]
fn what_kubectl_scale_and_edit_set_is_told_or_taken_back() {
    let Some(test) = Test::begin("what_kubectl_scale_and_edit_set_is_told_or_taken_back", Needs::Api) else { return };
    up(&test, &[]).ok();
    test.kubectl_here(&["scale", "deployment/flink-taskmanager", "--replicas=5"]);
    // The value is another manager's now: it is neither overwritten in silence nor forgotten.
    up(&test, &[]).exits(3).says(&["spec.replicas", "--force-conflicts"]);
    assert_eq!(replicas(&test, "flink-taskmanager"), 5);
    up(&test, &["--taskmanagers=5"]).ok();
    assert_eq!(replicas(&test, "flink-taskmanager"), 5);
    up(&test, &[]).ok();
    // What `clean-ha` had to leave is no other manager's, though it was no apply.
    let patch = ["--type=merge", "--field-manager=kubectl-flink", "-p", r#"{"spec":{"replicas":0}}"#];
    test.kubectl_here(&[&["patch", "deployment/flink-jobmanager"], &patch[..]].concat());
    up(&test, &["--jobmanagers=2"]).ok();
    assert_eq!(replicas(&test, "flink-jobmanager"), 2);
}

#[test]
fn an_autoscaler_keeps_its_replicas() {
    let Some(test) = Test::begin("an_autoscaler_keeps_its_replicas", Needs::Api) else { return };
    up(&test, &[]).ok();
    test.kubectl_here(&["autoscale", "deployment/flink-taskmanager", "--min=4", "--max=6", "--cpu=80%"]);
    test.until("the autoscaler has raised the replicas to its minimum", || replicas(&test, "flink-taskmanager") == 4);
    up(&test, &["--slots=3"]).ok().says(&["horizontalpodautoscaler/flink-taskmanager decides"]);
    assert_eq!(replicas(&test, "flink-taskmanager"), 4);
    up(&test, &["--taskmanagers=2"]).ok();
    assert_eq!(replicas(&test, "flink-taskmanager"), 4);
}

#[test]
fn files_of_ones_own_go_the_same_way() {
    let Some(test) = Test::begin("files_of_ones_own_go_the_same_way", Needs::Api) else { return };
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap().to_owned();
    test.flink(&["render", "mine", "--node-selector", "kf-test=nowhere", "--to", &path]).ok();
    let extra = json!({"apiVersion": "policy/v1", "kind": "PodDisruptionBudget", "metadata": {"name": "mine"},
        "spec": {"maxUnavailable": 1, "selector": {"matchLabels": {"app.kubernetes.io/instance": "mine"}}}});
    std::fs::write(folder.path().join("10_pdb.json"), extra.to_string()).unwrap();
    std::fs::write(folder.path().join("notes.txt"), "not: [a manifest").unwrap();

    test.flink(&["up", "mine", "-f", &path, "--wait=false"]).ok().says(&["10_pdb.json: 1 created"]);
    let budget = test.get("poddisruptionbudget/mine");
    assert_eq!(budget["metadata"]["labels"]["app.kubernetes.io/managed-by"], "kubectl-flink");
    assert_eq!(budget["metadata"]["labels"]["app.kubernetes.io/instance"], "mine");
    let before = test.settled();
    test.flink(&["up", "mine", "-f", &path, "--wait=false"]).ok().keeps_silent_about(&["created", "configured"]);
    assert_eq!(test.fingerprint(), before);

    // A kind that the server does not have: said before anything is sent.
    std::fs::write(
        folder.path().join("11_x.yaml"),
        "apiVersion: example.com/v1\nkind: Nonsense\nmetadata: {name: x}\n",
    )
    .unwrap();
    test.flink(&["up", "mine", "-f", &path, "--wait=false"]).exits(3).says(&["Nonsense", "example.com/v1"]);
    // A field that the kind does not have, as a typing error makes it.
    std::fs::write(
        folder.path().join("11_x.yaml"),
        "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: x}\ndatta: {a: b}\n",
    )
    .unwrap();
    test.flink(&["up", "mine", "-f", &path, "--wait=false"]).exits(3).says(&["stopped at 11_x.yaml", "datta"]);
    assert!(!test.exists("configmap/x"));
}

#[test]
fn an_existing_namespace_is_left_as_it_is() {
    let Some(test) = Test::begin("an_existing_namespace_is_left_as_it_is", Needs::Api) else { return };
    let test = test.with_namespace(&["team=blue"]);
    let version = || {
        let text = test.kubectl(&["get", "namespace", &test.namespace, "-o", "jsonpath={.metadata.resourceVersion}"]);
        text.trim().to_owned()
    };
    let before = version();
    up(&test, &["--label", "a=b", "--annotation", "c=d"]).ok();
    assert_eq!(version(), before);
}

#[test]
fn storage_follows_what_the_cluster_has() {
    let Some(test) = Test::begin("storage_follows_what_the_cluster_has", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    let has_default_class = test.kubectl(&["get", "storageclasses"]).contains("(default)");
    let run = up(&test, &[]).ok();
    if has_default_class {
        run.says(&["Storage: volume flink-storage", "not of the node"]);
        assert!(test.exists("persistentvolumeclaim/flink-storage"));
    } else {
        run.says(&["pod-local", "--ha-storage"]);
        assert!(!test.exists("persistentvolumeclaim/flink-storage"));
    }

    // A claim that is not there is said before anything is sent; one of many nodes binds nothing to one node.
    up(&test, &["other", "--ha-storage=pvc:missing"]).exits(3).says(&["nothing was sent", "missing"]);
    assert!(!test.exists("configmap/other-config"));
    test.create(&format!(
        "apiVersion: v1\nkind: PersistentVolumeClaim\nmetadata: {{name: shared, namespace: {}}}\n\
         spec: {{accessModes: [ReadWriteMany], resources: {{requests: {{storage: 1Gi}}}}}}\n",
        test.namespace
    ));
    up(&test, &["other", "--ha-storage=pvc:shared"]).ok();
    let spec = test.get("deployment/other-taskmanager")["spec"]["template"]["spec"].clone();
    assert_eq!(spec["affinity"]["podAffinity"], Value::Null);
    assert_eq!(spec["topologySpreadConstraints"][0]["topologyKey"], "kubernetes.io/hostname");
    assert_eq!(spec["volumes"][1]["persistentVolumeClaim"]["claimName"], "shared");
}

#[test]
fn two_clusters_live_in_one_namespace() {
    let Some(test) = Test::begin("two_clusters_live_in_one_namespace", Needs::Api) else { return };
    up(&test, &["one"]).ok();
    let before = test.settled();
    up(&test, &["two", "--ha-storage=pod-local"]).ok();
    let after = test.fingerprint();
    assert!(
        before.iter().filter(|line| !line.starts_with("pod/")).all(|line| after.contains(line)),
        "{before:?} {after:?}"
    );
    // No pod is both clusters'.
    for name in ["one", "two"] {
        let selector = test.get(&format!("service/{name}-jobmanager"))["spec"]["selector"].clone();
        assert_eq!(selector["app.kubernetes.io/instance"], name);
    }
}
