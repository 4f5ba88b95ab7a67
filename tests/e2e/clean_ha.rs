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
        assert!(said.contains("cannot be recovered"), "{run}");
        assert!(said.contains("configmap/flink-cluster-config-map"), "{run}");
        let command = said[at..].trim_start_matches("kubectl flink ");
        let command = command.split([';', '\n']).next()?.split_whitespace();
        let command: Vec<String> = command.take_while(|word| !word.starts_with('(')).map(str::to_owned).collect();
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
    if version == "1.20.5" {
        one_of_two_in_a_pod(&test, &flink, &job, folder.path());
    }
}

/// The JobManager dies of one job, and the other's files are in the volume of the same pod: they go when it is stopped.
fn one_of_two_in_a_pod(test: &Test, flink: &Flink<'_>, broken: &str, folder: &Path) {
    let other = flink.start_job("1.20.5", 1);
    let cluster = ha_maps(test).into_iter().find(|map| map["metadata"]["name"] == "flink-cluster-config-map").unwrap();
    let files = files_of(test, &cluster);
    let path = files.iter().find_map(|(key, path)| Some(path).filter(|_| key.contains(broken))).unwrap();
    let shell = format!("rm {} && kill 1", path.trim_start_matches("file:"));
    test.kubectl(&["exec", "-n", &test.namespace, "deployment/flink-jobmanager", "--", "sh", "-c", &shell]);
    let (command, _) = named_command(test, &[broken]);
    let kept = |run: Run| {
        assert_eq!(ha_maps(test).len(), 3, "{run}");
        run
    };
    kept(clean_ha(test, folder, &["flink", "--yes"]).ok()).says(&[
        "Kept: 1 more",
        "files of other jobs",
        "Nothing is to be",
    ]);
    let command: Vec<&str> = command.iter().map(String::as_str).skip(1).chain(["--yes"]).collect();
    kept(clean_ha(test, folder, &command).exits(2)).says(&["its pods' volumes is lost", &other, "--force"]);
    let forced = [&command[..], &["--force"]].concat();
    let dry = kept(clean_ha(test, folder, &[&forced[..], &["--dry-run"]].concat()).ok());
    dry.says(&["Would remove", "lost with the volumes of its pods", &other]);
    clean_ha(test, folder, &forced).ok().says(&["started again"]);
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

/// `clean-ha` against JobManagers that start: whoever is first wins, and nobody starts from half of a job.
#[test]
fn real_jobmanagers_start_meanwhile() {
    let name = "real_jobmanagers_start_meanwhile";
    let Some(test) = Test::begin(name, Needs::Bed) else { return };
    let test = test.with_namespace(&[]);
    let folder = tempfile::tempdir().unwrap();
    let s3 = test.s3();
    let up: Vec<&str> = SIZES.iter().copied().chain(s3.iter().map(String::as_str)).collect();
    test.up(&up);
    let flink = Flink::of(&test, "flink");
    let job = flink.start_job("1.20.5", 1);
    let scale = |replicas: &str| {
        test.kubectl_here(&["scale", "deployment/flink-jobmanager", &format!("--replicas={replicas}")]);
    };
    let stop = || {
        scale("0");
        test.until("the JobManager is gone", || test.pods("jobmanager").is_empty());
        test.until("its pod too", || {
            test.list("pods").iter().all(|pod| !pod.to_string().contains("flink-jobmanager-"))
        });
    };
    // Milliseconds by which clean-ha begins after the JobManager's pod is asked for; below zero, before.
    for delay in [-900, -300, 0, 300, 2000] {
        let before = flink.saved(&job);
        stop();
        let begun = std::time::Instant::now();
        let pause = |milliseconds: i64| {
            std::thread::sleep(std::time::Duration::from_millis(milliseconds.max(0).unsigned_abs()));
        };
        let run = std::thread::scope(|scope| {
            let cleaning = scope.spawn(|| {
                pause(delay);
                clean_ha(&test, folder.path(), &["flink", "--include-recoverable", "--yes", "-o", "name"])
            });
            pause(-delay);
            scale("1");
            cleaning.join().unwrap()
        });
        let removed = run.stdout.contains("flink-cluster-config-map");
        test.announce(&format!(
            "RACE {delay} ms: exit code {}, {}",
            run.code,
            if removed { "removed" } else { "kept" }
        ));
        if removed {
            test.until("it serves without the job", || {
                flink.ask("/jobs/overview").is_some_and(|jobs| jobs["jobs"].as_array().is_some_and(Vec::is_empty))
            });
            stop();
            let mut copies: Vec<_> =
                std::fs::read_dir(folder.path()).unwrap().flatten().map(|file| file.path()).collect();
            copies.sort();
            // What the JobManager that was quicker than the restoration has made is in nobody's way.
            test.flink(&["clean-ha", "--restore", copies.last().unwrap().to_str().unwrap()]).ok();
            scale("1");
        } else {
            assert!(run.code == 0 || run.code == 3, "{run}");
        }
        flink.recovers(&format!("race {delay} ms"), &job, &before, begun);
    }
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

/// A state handle as Java writes it, around this path.
fn handle(path: &str) -> String {
    let mut bytes = vec![0xac, 0xed, 0, 5, b't'];
    bytes.extend(u16::try_from(path.len()).unwrap().to_be_bytes());
    bytes.extend(path.as_bytes());
    base64::Engine::encode(&base64::engine::general_purpose::STANDARD, bytes)
}

const JOB: &str = "7601318e4ccd7281759507f40830fea9";
const OTHER: &str = "00000000000000000000000000000042";

/// A cluster that has gone: a job with a checkpoint on S3, and the ConfigMap of another that has none.
fn left_behind(test: &Test) {
    let map = |name: &str, data: Value| {
        test.create(
            &serde_json::json!({
                "apiVersion": "v1", "kind": "ConfigMap",
                "metadata": {"name": name, "labels": {"app": "flink", "type": "flink-native-kubernetes"}},
                "data": data,
            })
            .to_string(),
        );
    };
    let checkpoint = handle("s3://flink/ha/completedCheckpoint1");
    map("flink-cluster-config-map", serde_json::json!({format!("executionPlan-{JOB}"): handle("s3://flink/ha/plan")}));
    map(
        &format!("flink-{JOB}-config-map"),
        serde_json::json!({"checkpointID-0000000000000000012": checkpoint, "counter": "13"}),
    );
    map(&format!("flink-{OTHER}-config-map"), serde_json::json!({"counter": "1"}));
}

#[test]
fn up_does_not_lose_what_is_left_behind() {
    let Some(test) = Test::begin("up_does_not_lose_what_is_left_behind", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    left_behind(&test);
    let up =
        |options: &[&str]| test.flink(&[&["up", "--wait=false", "--node-selector=kf-test=nowhere"], options].concat());
    up(&["--flink-version=2.3.0"]).exits(3).says(&["on s3://flink/ha/plan, not on pvc", JOB, "--ha-storage"]);
    let storage = "--ha-storage=s3://flink";
    up(&[storage, "--flink-version=1.20.5"]).exits(3).says(&["another major version", JOB, "--flink-version"]);
    assert!(!test.exists("deployment/flink-jobmanager"), "nothing was sent");
    up(&[storage, "--flink-version=2.3.0"]).ok();
}

#[test]
fn what_cannot_be_done_changes_nothing() {
    let Some(test) = Test::begin("what_cannot_be_done_changes_nothing", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    let folder = tempfile::tempdir().unwrap();
    test.flink(&["clean-ha"]).ok().says(&["No high-availability ConfigMaps in namespace"]);
    test.flink(&["clean-ha", "flink", "--job", JOB]).exits(2).says(&["there are no high-availability ConfigMaps"]);
    left_behind(&test);
    let before = test.fingerprint();
    let everything = ["flink", "--include-recoverable"];

    clean_ha(&test, folder.path(), &everything).exits(2).says(&["--yes is not given", JOB]);
    clean_ha(&test, folder.path(), &["flink", "--job", JOB, "--yes"])
        .exits(2)
        .says(&["recoverable", "--include-recoverable"]);
    clean_ha(&test, folder.path(), &["flink", "--job", &"1".repeat(32), "--yes"]).exits(2).says(&["no job 1111", JOB]);
    clean_ha(&test, folder.path(), &["flink", "--job", "job-1", "--yes"]).exits(2).says(&["32 hexadecimal digits"]);
    clean_ha(&test, folder.path(), &["--job", JOB]).exits(2).says(&["NAME"]);
    clean_ha(&test, folder.path(), &["flink", "--dry-run=server"]).ok().says(&["Would remove", OTHER]);
    // A folder that cannot be written to.
    clean_ha(&test, Path::new("/proc"), &["--yes"]).exits(3).says(&["nothing was removed", "--backup-dir"]);
    // A disk that is full.
    let disk = folder.path().join("disk");
    std::fs::create_dir(&disk).unwrap();
    let mounted = std::process::Command::new("mount")
        .args(["-t", "tmpfs", "-o", "size=4k", "tmpfs"])
        .arg(&disk)
        .output()
        .is_ok_and(|output| output.status.success());
    if mounted {
        std::fs::write(disk.join("full"), [0; 4096]).unwrap();
        clean_ha(&test, &disk, &["--yes"]).exits(3).says(&["nothing was removed", "cannot be written"]);
        let left: Vec<_> = std::fs::read_dir(&disk).unwrap().flatten().map(|entry| entry.file_name()).collect();
        assert_eq!(left, ["full"]);
        assert!(Run::of(std::process::Command::new("umount").arg(&disk)).code == 0);
    } else {
        test.announce("no file system can be mounted here: a full disk was not tried");
    }
    assert_eq!(test.fingerprint(), before);

    // Only what is asked for.
    let report = clean_ha(&test, folder.path(), &["--yes", "-o", "json"]).ok().json();
    let of = |name: &str| {
        let maps = report["items"][0]["configMaps"].as_array().unwrap();
        let map = maps.iter().find(|map| map["name"] == name).unwrap();
        (map["verdict"].as_str().unwrap().to_owned(), map["outcome"].as_str().unwrap().to_owned())
    };
    let is = |verdict: &str, outcome: &str| (verdict.to_owned(), outcome.to_owned());
    assert_eq!(of(&format!("flink-{OTHER}-config-map")), is("leftover", "removed"));
    assert_eq!(of("flink-cluster-config-map"), is("recoverable", "kept"));
    assert_eq!(ha_maps(&test).len(), 2);
    let removed = clean_ha(&test, folder.path(), &["--yes", "--include-recoverable", "-o", "name"]).ok();
    assert_eq!(removed.stdout, format!("configmap/flink-{JOB}-config-map\nconfigmap/flink-cluster-config-map\n"));
    assert!(ha_maps(&test).is_empty());
    clean_ha(&test, folder.path(), &["--yes"]).ok().says(&["No high-availability ConfigMaps"]);

    // Both copies make what was there.
    let copies = std::fs::read_dir(folder.path()).unwrap().flatten().map(|entry| entry.path());
    let copies: Vec<_> = copies.filter(|path| path.extension().is_some_and(|end| end == "yaml")).collect();
    assert_eq!(copies.len(), 2);
    for copy in &copies {
        test.flink(&["clean-ha", "--restore", copy.to_str().unwrap(), "--dry-run=server"]).ok();
        test.flink(&["clean-ha", "--restore", copy.to_str().unwrap()]).ok().says(&["made"]);
        test.flink(&["clean-ha", "--restore", copy.to_str().unwrap()]).ok().says(&["there already"]);
    }
    assert_eq!(ha_maps(&test).len(), 3);
}

#[test]
fn rights_that_are_missing_are_named() {
    let name = "rights_that_are_missing_are_named";
    let Some(test) = Test::begin(name, Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    left_behind(&test);
    let before = test.fingerprint();
    let reader = format!("reader-of-{}", test.namespace);
    let run = |arguments: &[&str]| test.flink_as(&reader, arguments);
    run(&["clean-ha"]).exits(3).says(&["configmaps is forbidden"]);
    let grant = |verbs: &str| {
        test.kubectl_here(&["create", "role", "reader", &format!("--verb={verbs}"), "--resource=configmaps"]);
    };
    grant("get,list,update");
    test.kubectl_here(&["create", "rolebinding", "reader", "--role=reader", &format!("--user={reader}")]);
    let all = ["clean-ha", "flink", "--yes", "--include-recoverable"];
    test.until("the binding works", || run(&["clean-ha", "--dry-run"]).code == 0);
    run(&["clean-ha", "--dry-run"]).says(&["not checked"]);
    run(&all).exits(3).says(&["nothing was removed", "delete configmaps"]).keeps_silent_about(&["update configmaps"]);
    run(&["clean-ha", "-A"]).exits(3).says(&["forbidden"]);
    assert_eq!(test.fingerprint().len(), before.len() + 2);
    assert_eq!(ha_maps(&test).len(), 3);
}

#[test]
fn what_a_killed_command_has_left_is_set_right() {
    let Some(test) = Test::begin("what_a_killed_command_has_left_is_set_right", Needs::Api) else { return };
    test.up(&["--ha-storage=pod-local", "--wait=false"]);
    test.kubectl_here(&["scale", "deployment/flink-jobmanager", "--replicas=0"]);
    let stopped = format!("kubectl-flink/stopped-at={}", jiff::Timestamp::now() - jiff::SignedDuration::from_mins(1));
    test.kubectl_here(&["annotate", "deployment/flink-jobmanager", "kubectl-flink/replicas=1", &stopped]);
    test.until("the JobManager is gone", || test.pods("jobmanager").is_empty());
    if !test.exists("configmap/flink-cluster-config-map") {
        test.create(
            &serde_json::json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
                "name": "flink-cluster-config-map", "labels": {"app": "flink", "type": "flink-native-kubernetes"},
            }})
            .to_string(),
        );
    }
    let now = jiff::Timestamp::now();
    let lease = format!(
        r#"{{"holderIdentity":"kubectl-flink-1","leaseDuration":1.0,"acquireTime":"{now}","renewTime":"{now}","leaderTransitions":4}}"#
    );
    let lease = format!("control-plane.alpha.kubernetes.io/leader={lease}");
    test.kubectl_here(&["annotate", "--overwrite", "configmap/flink-cluster-config-map", &lease]);

    test.flink(&["clean-ha", "--dry-run"]).ok().says(&["Would start deployment/flink-jobmanager again"]);
    assert_eq!(test.get("deployment/flink-jobmanager")["spec"]["replicas"], 0);
    // Also to who names what the killed one was to remove, and has removed.
    test.flink(&["clean-ha", "flink", "--job", "00000000000000000000000000000001", "--yes"])
        .ok()
        .says(&["lease of flink is given back", "flink-jobmanager is started again"]);
    let deployment = test.get("deployment/flink-jobmanager");
    assert_eq!(deployment["spec"]["replicas"], 1);
    assert!(deployment["metadata"]["annotations"]["kubectl-flink/replicas"].is_null());
    test.flink(&["clean-ha", "--yes"]).ok().keeps_silent_about(&["given back", "started again"]);
}
