//! What clusters leave behind: seen, judged, removed and put back, and what becomes of the jobs.

use std::path::Path;

use serde_json::Value;

use crate::flink::Flink;
use crate::support::{Needs, Run, Test};

/// Room for two jobs, and numbers that are not older than half a second.
const SIZES: [&str; 5] = [
    "--taskmanagers=1",
    "--slots=2",
    "--parallelism=1",
    "-Dmetrics.fetcher.update-interval=500",
    "-Dweb.refresh-interval=500",
];

/// The ConfigMaps that hold high-availability data, with what stands in them.
fn ha_maps(test: &Test) -> Vec<Value> {
    let maps = test.list("configmaps").into_iter();
    maps.filter(|map| map["metadata"]["name"].as_str().is_some_and(|name| name.ends_with("-config-map"))).collect()
}

/// Deletes the Deployments as somebody does who knows nothing of high availability, and makes them again.
fn recreate_deployments(test: &Test, in_between: impl FnOnce()) {
    let mut deployments = test.list("deployments");
    test.kubectl_here(&["delete", "deployments", "--all", "--wait"]);
    test.until("all pods are gone", || test.list("pods").is_empty());
    in_between();
    for deployment in &mut deployments {
        for field in ["uid", "resourceVersion", "creationTimestamp", "managedFields", "generation"] {
            deployment["metadata"].as_object_mut().unwrap().remove(field);
        }
        deployment.as_object_mut().unwrap().remove("status");
        test.create(&deployment.to_string());
    }
}

/// The command that `status` names for the job at which the JobManager dies, with the job.
fn named_command(test: &Test, jobs: &[&str]) -> (Vec<String>, String) {
    test.until_some("status names the command", || {
        let run = test.flink(&["status", "flink"]);
        let said = format!("{}\n{}", run.stdout, run.stderr);
        let at = said.find("kubectl flink clean-ha flink")?;
        assert!(said.contains("Could not recover job") || said.contains("cannot be recovered"), "{run}");
        assert!(said.contains("configmap/flink-cluster-config-map"), "{run}");
        let command = said[at..].trim_start_matches("kubectl flink ").split_whitespace();
        let command: Vec<String> =
            command.take_while(|word| word.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')).map(str::to_owned).collect();
        let job = command.iter().find(|word| jobs.contains(&word.as_str()))?.clone();
        Some((command, job))
    })
}

fn clean_ha(test: &Test, folder: &Path, arguments: &[&str]) -> Run {
    let folder = folder.display().to_string();
    let mut all = vec!["clean-ha"];
    all.extend(arguments);
    all.extend(["--backup-dir", &folder]);
    test.flink(&all)
}

fn verdicts(report: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let items = report["items"].as_array().unwrap().iter();
    items
        .flat_map(|item| item["configMaps"].as_array().unwrap())
        .map(|map| (text(&map["name"]), text(&map["verdict"])))
        .collect()
}

/// Storage that was in the pods: the crash that the documents describe, and the command that ends it.
fn pod_local(version: &str, name: &'static str) {
    let Some(test) = Test::begin(name, Needs::Pods) else { return };
    let folder = tempfile::tempdir().unwrap();
    test.up(&[&["--ha-storage=pod-local", "--flink-version", version], &SIZES[..]].concat());
    let flink = Flink::of(&test, "flink");
    let jobs = [flink.start_job(version, 1), flink.start_job(version, 1)];
    let ids: Vec<&str> = jobs.iter().map(String::as_str).collect();
    let live = clean_ha(&test, folder.path(), &["--yes", "-o", "json"]).ok().json();
    assert!(verdicts(&live).iter().all(|(_, verdict)| verdict == "live"), "{live:#}");
    recreate_deployments(&test, || ());

    let (command, job) = named_command(&test, &ids);
    test.say(&format!("status names: {command:?}"));
    let dry = clean_ha(&test, folder.path(), &["flink", "--dry-run", "-o", "json"]).ok().json();
    assert!(verdicts(&dry).iter().all(|(_, verdict)| verdict == "dead"), "{dry:#}");
    assert_eq!(verdicts(&dry).len(), 3, "{dry:#}");
    let command: Vec<&str> = command.iter().map(String::as_str).skip(1).chain(["--yes"]).collect();
    clean_ha(&test, folder.path(), &command).ok().says(&["the copy", "started again"]);
    assert!(!test.exists(&format!("configmap/flink-{job}-config-map")));

    // Flink names only the first: it dies of the other.
    let (_, other) = named_command(&test, &ids);
    assert_ne!(job, other);
    clean_ha(&test, folder.path(), &["flink", "--job", "dead", "--yes"]).ok();
    test.until("the cluster serves again", || test.flink(&["status", "flink"]).code == 0);
    let job = flink.start_job(version, 1);
    assert_eq!(ha_maps(&test).len(), 2, "{job}");
}

#[test]
fn pod_local_storage_of_1_16() {
    pod_local("1.16.3", "pod_local_storage_of_1_16");
}

#[test]
fn pod_local_storage_of_1_20() {
    pod_local("1.20.5", "pod_local_storage_of_1_20");
}

#[test]
fn pod_local_storage_of_2() {
    pod_local("2.3.0", "pod_local_storage_of_2");
}

/// Storage that outlives pods: nothing is given up that was not asked for, what was can be put back, and one broken job
/// does not take the other with it.
fn durable(version: &str, name: &'static str) {
    let Some(test) = Test::begin(name, Needs::Bed) else { return };
    let test = test.with_namespace(&[]);
    let folder = tempfile::tempdir().unwrap();
    let s3 = test.s3();
    let up: Vec<&str> = [&["--flink-version", version], &SIZES[..]].concat();
    let up: Vec<&str> = up.into_iter().chain(s3.iter().map(String::as_str)).collect();
    test.up(&up);
    let flink = Flink::of(&test, "flink");
    let jobs = [flink.start_job(version, 1), flink.start_job(version, 1)];
    let before: Vec<_> = jobs.iter().map(|job| flink.saved(job)).collect();
    test.flink(&["down", "--yes"]).ok();

    let report = clean_ha(&test, folder.path(), &["flink", "--yes", "-o", "json"]).ok().json();
    assert!(verdicts(&report).iter().all(|(_, verdict)| verdict == "recoverable"), "{report:#}");
    assert_eq!(ha_maps(&test).len(), 3);
    let checkpoints: Vec<_> = report["items"][0]["configMaps"].as_array().unwrap().iter().collect();
    let path = checkpoints.iter().find_map(|map| map["lastCheckpoint"]["path"].as_str()).unwrap();
    assert!(path.starts_with(&format!("s3://flink/{}/", test.namespace)), "{path}");

    // Given up, and put back.
    let copies = folder.path().join("given-up");
    std::fs::create_dir(&copies).unwrap();
    clean_ha(&test, &copies, &["flink", "--include-recoverable", "--yes"]).ok().says(&["the copy", "aws s3 rm"]);
    assert!(ha_maps(&test).is_empty());
    let copy = std::fs::read_dir(&copies).unwrap().next().unwrap().unwrap().path();
    test.flink(&["clean-ha", "--restore", copy.to_str().unwrap()]).ok();
    assert_eq!(ha_maps(&test).len(), 3);
    let begun = std::time::Instant::now();
    test.up(&up);
    for (job, before) in jobs.iter().zip(&before) {
        flink.recovers(&format!("{version} restored"), job, before, begun);
    }
    test.flink(&["clean-ha", "--restore", copy.to_str().unwrap()]).exits(3).says(&["is live"]);

    // One of the two is broken: only this one is lost.
    let before = flink.saved(&jobs[1]);
    recreate_deployments(&test, || {
        for map in ha_maps(&test) {
            for (_, file) in files_of(&test, &map).iter().filter(|(key, _)| key.contains(&jobs[0])) {
                test.bed(&["s3", "rm", file.strip_prefix("s3://flink/").unwrap()]);
            }
        }
    });
    let begun = std::time::Instant::now();
    let (command, job) = named_command(&test, &[&jobs[0]]);
    assert!(command.contains(&"--probe".to_owned()), "{command:?}");
    let report = clean_ha(&test, folder.path(), &["flink", "--yes", "-o", "json"]).ok().json();
    assert!(verdicts(&report).iter().all(|(_, verdict)| verdict == "recoverable"), "{report:#}");
    let command: Vec<&str> = command.iter().map(String::as_str).skip(1).chain(["--yes"]).collect();
    clean_ha(&test, folder.path(), &command).ok().says(&["started again"]);
    assert!(!test.exists(&format!("configmap/flink-{job}-config-map")));
    flink.recovers(&format!("{version} beside a broken job"), &jobs[1], &before, begun);
    test.flink(&["status", "flink"]).ok();
}

/// The entries of a ConfigMap that point to files, under the job that they are of.
fn files_of(test: &Test, map: &Value) -> Vec<(String, String)> {
    let name = map["metadata"]["name"].as_str().unwrap();
    let report = test.flink(&["clean-ha", "flink", "--dry-run", "-o", "json"]).ok().json();
    let maps = report["items"][0]["configMaps"].as_array().unwrap().clone();
    let pointers = maps.iter().find(|map| map["name"] == name).unwrap()["pointers"].as_array().unwrap().clone();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    pointers.iter().map(|pointer| (format!("{name}/{}", text(&pointer["key"])), text(&pointer["path"]))).collect()
}

#[test]
fn durable_storage_of_1_16() {
    durable("1.16.3", "durable_storage_of_1_16");
}

#[test]
fn durable_storage_of_1_20() {
    durable("1.20.5", "durable_storage_of_1_20");
}

#[test]
fn durable_storage_of_2() {
    durable("2.3.0", "durable_storage_of_2");
}
