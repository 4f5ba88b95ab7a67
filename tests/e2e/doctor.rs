//! Faults that `doctor` names: each is really made, shows on the cluster what its rule says that it shows, is found in the
//! files and on the cluster, and is gone once it is mended.
//!
//! The faults stand in [`cases`], in groups: the faults of a group are made one after the other in one namespace.

mod cases;
mod manifests;

use std::collections::BTreeSet;
use std::time::Instant;

use crate::support::{Needs, Test};
use manifests::Manifests;

/// Where a fault shows, and a text that stands there.
#[derive(Debug, Clone, Copy)]
pub enum Shows {
    /// In the log of a JobManager, of the container that runs or of the one before.
    JobManager(&'static str),
    /// The same of a TaskManager.
    TaskManager(&'static str),
    /// In an event: `REASON OBJECT: MESSAGE`.
    Event(&'static str),
    /// In the state of the container of a pod, as JSON.
    Container(&'static str),
    /// In the answer of the API server, which takes nothing of it.
    Apply(&'static str),
}

/// A fault in sound manifests.
pub struct Fault {
    pub name: &'static str,
    /// The code of the rule that finds it.
    pub rule: &'static str,
    /// The code of the rule that finds it in the files, where it is another one, or [`NOTHING`].
    pub in_files: Option<&'static str>,
    /// The same on the cluster.
    pub on_cluster: Option<&'static str>,
    /// Codes of errors that are found with it, and are right.
    pub also: &'static [&'static str],
    /// Flink's version.
    pub version: &'static str,
    /// Options of `render`.
    pub options: &'static [&'static str],
    /// Flink keeps its state on the test bed's S3 server.
    pub s3: bool,
    /// The fault needs TaskManagers to show.
    pub taskmanagers: bool,
    /// What the manifests are when they are sound.
    pub sound: fn(&mut Manifests),
    /// How they are broken.
    pub breaks: fn(&mut Manifests),
    pub shows: Shows,
}

/// The files alone do not say it: what they lack may be in the cluster.
pub const NOTHING: &str = "";

/// Each fault names what is different.
pub const FAULT: Fault = Fault {
    name: "",
    rule: "",
    in_files: None,
    on_cluster: None,
    also: &[],
    version: "1.20.5",
    options: &[],
    s3: false,
    taskmanagers: false,
    sound: |_| (),
    breaks: |_| (),
    shows: Shows::JobManager(""),
};

#[test]
fn faults_of_rights() {
    group("faults_of_rights", &cases::RIGHTS);
}

#[test]
fn faults_of_high_availability() {
    group("faults_of_high_availability", &cases::HIGH_AVAILABILITY);
}

#[test]
fn faults_of_configuration() {
    group("faults_of_configuration", &cases::CONFIGURATION);
}

#[test]
fn faults_of_pods_and_network() {
    group("faults_of_pods_and_network", &cases::PODS);
}

/// Makes and mends fault after fault in one namespace.
fn group(name: &'static str, faults: &[Fault]) {
    let needs = if faults.iter().any(|fault| fault.s3) { Needs::Bed } else { Needs::Pods };
    let Some(test) = Test::begin(name, needs) else { return };
    let test = test.with_namespace(&[]);
    let elsewhere = test.another_namespace();
    test.kubectl(&["create", "namespace", &elsewhere]);
    let s3 = if needs == Needs::Bed { test.s3() } else { Vec::new() };
    // To try some of them alone.
    let only = std::env::var("KUBECTL_FLINK_TEST_FAULT").unwrap_or_default();
    for fault in faults.iter().filter(|fault| fault.name.contains(&only)) {
        let started = Instant::now();
        make_and_mend(&test, fault, &s3, &elsewhere);
        test.announce(&format!("{} {}: {:.1} s", fault.rule, fault.name, started.elapsed().as_secs_f64()));
    }
}

fn make_and_mend(test: &Test, fault: &Fault, s3: &[String], elsewhere: &str) {
    let mut sound = Manifests::rendered(test, fault, s3, elsewhere);
    (fault.sound)(&mut sound);
    let mut broken = sound.clone();
    (fault.breaks)(&mut broken);
    assert_ne!(sound.text(), broken.text(), "{}: nothing is broken", fault.name);

    let errors = errors_in(test, &sound);
    assert!(errors.is_empty(), "{}: the manifests are not sound: {errors:?}", fault.name);
    let errors = errors_in(test, &broken);
    found(test, fault, fault.in_files.unwrap_or(fault.rule), &errors, "in the files");

    clear(test);
    let run = test.apply(&broken.applied(fault.taskmanagers));
    if let Shows::Apply(text) = fault.shows {
        assert!(run.code != 0 && run.stderr.contains(text), "{}: should be refused with {text:?}\n{run}", fault.name);
    } else {
        assert_eq!(run.code, 0, "{}\n{run}", fault.name);
        test.until(&format!("{} shows", fault.name), || shows(test, fault.shows));
        // What the rules of the running cluster find are the symptoms, and they take their time to come.
        let (causes, symptoms): (BTreeSet<String>, BTreeSet<String>) =
            doctor(test, &[]).into_iter().partition(|code| !code.starts_with("FLK6"));
        test.say(&format!("{}: symptoms {symptoms:?}", fault.name));
        found(test, fault, fault.on_cluster.unwrap_or(fault.rule), &causes, "on the cluster");
    }

    clear(test);
    test.apply(&sound.applied(fault.taskmanagers)).ok();
    let all = u64::from(fault.taskmanagers);
    test.until(&format!("{} is mended", fault.name), || {
        let path = format!("/api/v1/namespaces/{}/services/flink-webui:webui/proxy/overview", test.namespace);
        let run = test.try_kubectl_quickly(&["get", "--raw", &path]);
        let overview = serde_json::from_str::<serde_json::Value>(&run.stdout).unwrap_or_default();
        overview["taskmanagers"].as_u64().is_some_and(|taskmanagers| taskmanagers >= all)
    });
    test.until(&format!("no error is found after {}", fault.name), || {
        let errors = doctor(test, &[]);
        if !errors.is_empty() {
            test.say(&format!("still {errors:?}"));
        }
        errors.is_empty()
    });
}

/// This rule has found the fault, and no other.
fn found(test: &Test, fault: &Fault, rule: &str, errors: &BTreeSet<String>, at: &str) {
    test.say(&format!("{}: {errors:?} {at}", fault.name));
    assert!(rule == NOTHING || errors.contains(rule), "{}: {rule} is not found {at}: {errors:?}", fault.name);
    let more = errors.iter().map(String::as_str).filter(|&code| code != rule && !fault.also.contains(&code));
    let more: Vec<&str> = more.collect();
    assert!(more.is_empty(), "{}: found {at} too: {more:?}", fault.name);
}

/// Takes away what `apply` could not change, and all that runs; not the claim, whose volume takes its time.
fn clear(test: &Test) {
    test.kubectl_here(&["delete", "deployments", "--all", "--cascade=background", "--ignore-not-found"]);
    test.kubectl_here(&["delete", "pods", "--all", "--grace-period=1", "--wait=false"]);
    test.until("no pod is left", || test.list("pods").is_empty());
    // Last, with Flink's own: a JobManager that loses them under its feet would have more to say.
    test.kubectl_here(&["delete", "roles,rolebindings,configmaps,resourcequotas,services", "--all"]);
}

/// Whether the fault shows.
fn shows(test: &Test, shows: Shows) -> bool {
    std::thread::sleep(std::time::Duration::from_millis(500));
    let (text, seen) = match shows {
        Shows::JobManager(text) => (text, logs(test, "jobmanager")),
        Shows::TaskManager(text) => (text, logs(test, "taskmanager")),
        Shows::Event(text) => {
            let line = r#"{range .items[*]}{.reason} {.involvedObject.name}: {.message}{"\n"}{end}"#;
            (text, test.kubectl_here(&["get", "events", "-o", &format!("jsonpath={line}")]))
        }
        Shows::Container(text) => {
            (text, test.list("pods").iter().map(|pod| pod["status"]["containerStatuses"].to_string()).collect())
        }
        Shows::Apply(_) => unreachable!("nothing runs"),
    };
    seen.contains(text)
}

/// What the pods of a role have written, those of the containers that have ended too.
fn logs(test: &Test, component: &str) -> String {
    let mut all = String::new();
    for pod in test.pods(component) {
        for which in ["--previous=true", "--previous=false"] {
            all += &test.try_kubectl(&["logs", &pod, which]).stdout;
        }
    }
    all
}

/// The codes of the errors that `doctor` finds in manifests.
fn errors_in(test: &Test, manifests: &Manifests) -> BTreeSet<String> {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("cluster.yaml");
    std::fs::write(&file, manifests.text()).unwrap();
    doctor(test, &["-f", file.to_str().unwrap()])
}

/// The codes of the errors that `doctor` finds with these arguments: without any, on the cluster.
fn doctor(test: &Test, arguments: &[&str]) -> BTreeSet<String> {
    let run = test.flink(&[&["doctor", "-o", "json"], arguments].concat());
    assert!([0, 1].contains(&run.code), "it could not look at everything\n{run}");
    let report = run.json();
    let findings = report["findings"].as_array().unwrap_or_else(|| panic!("no findings\n{run}"));
    let errors = findings.iter().filter(|finding| finding["severity"] == "error" && finding["suppressed"].is_null());
    let errors: BTreeSet<String> = errors.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect();
    assert_eq!(run.code == 1, !errors.is_empty(), "{run}");
    errors
}
