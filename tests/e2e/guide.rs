//! The documents that tell a story, docs/guide.md and docs/ha-storage.md, done as they say.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::documents;
use crate::flink::Flink;
use crate::support::{Needs, Run, Test};

/// Documents whose blocks are run here, each as a whole and after the ones before.
pub const STORIES: [&str; 2] = ["docs/guide.md", "docs/ha-storage.md"];

/// What the guide calls the namespace.
const NAMESPACE: &str = "flink-guide";
/// The example that the guide runs. The test bed's images have none: a job of ours that tells whether anything was lost takes
/// its place.
const EXAMPLE: &str = "/opt/flink/examples/streaming/StateMachineExample.jar";
const JOB: &str = "/tmp/job.jar";

/// The commands of a story, block by block.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = documents::blocks(text);
    blocks.retain(|block| block.language == "sh");
    blocks.into_iter().map(|block| block.text).collect()
}

/// Runs a block, with what is real in the place of the names in it.
fn run(test: &Test, block: &str, real: &[(&str, &str)]) -> Run {
    let script = real.iter().fold(block.to_owned(), |script, (name, real)| script.replace(name, real));
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &script]).env("NO_COLOR", "1").envs(test.s3_credentials());
    test.as_users_have_it(&mut shell);
    let run = Run::of(&mut shell);
    test.say(&format!("{script}{run}"));
    run.ok()
}

/// Brings the job's jar to where the story has it.
fn bring_jar(test: &Test, jobmanager: &str) {
    let jar = test.bed(&["job", "1.20.5"]);
    let exec = format!("kubectl exec -i -n {} deployment/{jobmanager} --", test.namespace);
    run(test, &format!("{exec} cp /dev/stdin {JOB} <{}", jar.trim()), &[]);
}

/// While it is there, the API server lets nobody take a job out of an HA ConfigMap of the namespace. Flink tries that again and
/// again, after 1, 2, 4 s: what a slow disk or a conflict of two writes does for a moment.
struct JobsStay<'a>(&'a Test);

impl<'a> JobsStay<'a> {
    fn begin(test: &'a Test) -> Self {
        let name = &test.namespace;
        let manifests = format!(
            "apiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicy\nmetadata: {{name: {name}}}\n\
             spec:\n  matchConstraints:\n    namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {name}}}}}\n    \
             resourceRules:\n    - {{apiGroups: [''], apiVersions: [v1], operations: [UPDATE], resources: [configmaps]}}\n  \
             validations:\n  - expression: \"!has(oldObject.data) || oldObject.data.all(key, !key.startsWith('jobGraph-') || \
             (has(object.data) && key in object.data))\"\n\
             ---\napiVersion: admissionregistration.k8s.io/v1\nkind: ValidatingAdmissionPolicyBinding\n\
             metadata: {{name: {name}}}\nspec: {{policyName: {name}, validationActions: [Deny]}}\n"
        );
        test.apply(&manifests).ok();
        JobsStay(test)
    }
}

impl Drop for JobsStay<'_> {
    fn drop(&mut self) {
        for kind in ["validatingadmissionpolicybinding", "validatingadmissionpolicy"] {
            self.0.try_kubectl(&["delete", kind, &self.0.namespace]);
        }
    }
}

#[test]
fn the_guide_does_what_it_says() {
    let Some(test) = Test::begin("the_guide_does_what_it_says", Needs::Bed) else { return };
    let flink = Flink::of(&test, "flink");
    let (mut job, mut before, mut fault) = (String::new(), None, Instant::now());
    let blocks = blocks(include_str!("../../docs/guide.md"));
    assert_eq!(blocks.len(), 9, "the test knows what each block is for");
    for (number, block) in blocks.iter().enumerate() {
        match number {
            2 => bring_jar(&test, "flink-jobmanager"),
            4 | 6 => {
                before = Some(flink.saved(&job));
                fault = Instant::now();
            }
            _ => {}
        }
        let run = run(&test, block, &[(NAMESPACE, &test.namespace), (EXAMPLE, JOB)]);
        match number {
            0 => drop(run.says(&["Flink 1.20.5 serves"])),
            2 => {
                let said = run.stdout;
                let id = said.rsplit("JobID ").next().unwrap().split_whitespace().next().unwrap();
                job = id.to_owned();
            }
            3 => assert!(run.stdout.contains(&job), "{run}"),
            4 => drop(flink.recovers("the guide: the JobManager is lost", &job, before.as_ref().unwrap(), fault)),
            6 => {
                assert!(run.stdout.contains("recoverable") && run.stdout.contains(&job), "{run}");
                fault = Instant::now();
            }
            7 => drop(flink.recovers("the guide: the cluster is lost", &job, before.as_ref().unwrap(), fault)),
            _ => {}
        }
    }
    assert!(!test.exists("deployment/flink-jobmanager") && !test.exists("pvc/flink-storage"));
}

#[test]
fn a_job_moves_to_another_storage() {
    let Some(test) = Test::begin("a_job_moves_to_another_storage", Needs::Bed) else { return };
    let flink = Flink::of(&test, "orders");
    let (mut job, mut savepoint, mut before) = (String::new(), String::new(), None);
    let blocks = blocks(include_str!("../../docs/ha-storage.md"));
    assert_eq!(blocks.len(), 8, "the test knows what each block is for");
    let namespace = format!("-n {}", test.namespace);
    let bucket = format!("s3://flink/{}/", test.namespace);
    let mut jobs_stay = None;
    for (number, block) in blocks.iter().enumerate() {
        match number {
            3 => {
                job = flink.start_job("1.20.5", 2);
                before = Some(flink.saved(&job));
                jobs_stay = Some(JobsStay::begin(&test));
            }
            5 => {
                let map = test.get("configmap/orders-cluster-config-map");
                assert!(map["data"].get(format!("jobGraph-{job}")).is_some(), "the job has ended and stays: {map}");
            }
            6 => bring_jar(&test, "orders-jobmanager"),
            _ => {}
        }
        let began = Instant::now();
        let real = [
            ("namespace streaming", format!("namespace {}", test.namespace)),
            ("-n streaming", namespace.clone()),
            ("http://minio.minio.svc:9000", "http://s3.testbed.svc:9000".to_owned()),
            ("s3://bucket/", bucket.clone()),
            ("stop JOB", format!("stop {job}")),
            ("SAVEPOINT JAR", format!("{savepoint} {JOB}")),
        ];
        let run = std::thread::scope(|scope| {
            if let Some(jobs_stay) = jobs_stay.take_if(|_| number == 5) {
                scope.spawn(|| {
                    std::thread::sleep(Duration::from_secs(3));
                    drop(jobs_stay);
                });
            }
            run(&test, block, &real.each_ref().map(|(name, real)| (*name, real.as_str())))
        });
        let word_after = |words: &str| run.stdout.rsplit_once(words).unwrap().1.split_whitespace().next().unwrap();
        match number {
            1 => drop(
                run.clone().says(&["/ha: what the JobManager writes the TaskManagers read", "Flink 1.20.5 serves"]),
            ),
            3 => drop(flink.recovers(
                "the storage guide: savepoints are led elsewhere",
                &job,
                before.as_ref().unwrap(),
                began,
            )),
            4 => savepoint = word_after("Path: ").to_owned(),
            5 => drop(run.clone().says(&["s3://flink/", "Flink 1.20.5 serves"])),
            6 => {
                job = word_after("JobID ").to_owned();
                flink.recovers("the storage guide: the job has moved", &job, before.as_ref().unwrap(), began);
                let status = test.flink(&["status", "orders"]).ok();
                assert!(status.stdout.contains(&format!("{bucket}orders/checkpoints/{job}")), "{status}");
            }
            7 => assert!(!test.exists("deployment/prod-jobmanager") && test.exists("pvc/flink-shared")),
            _ => {}
        }
    }
    assert!(savepoint.starts_with(&format!("{bucket}orders/savepoints/")), "{savepoint}");
}
