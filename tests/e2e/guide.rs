//! docs/guide.md, done as it says.

use std::process::Command;
use std::time::Instant;

use crate::flink::Flink;
use crate::support::{Needs, Run, Test};

/// What the guide calls the namespace.
const NAMESPACE: &str = "flink-guide";
/// The example that the guide runs. The test bed's images have none: a job of ours that tells whether anything was lost takes
/// its place.
const EXAMPLE: &str = "/opt/flink/examples/streaming/StateMachineExample.jar";
const JOB: &str = "/tmp/job.jar";

/// The commands of the guide, block by block.
fn blocks() -> Vec<String> {
    let text = include_str!("../../docs/guide.md");
    let blocks = text.split("```sh\n").skip(1).map(|rest| rest.split_once("```").unwrap().0.to_owned());
    blocks.collect()
}

fn run(test: &Test, block: &str) -> Run {
    let script = block.replace(NAMESPACE, &test.namespace).replace(EXAMPLE, JOB);
    let mut shell = Command::new("bash");
    shell.args(["-euo", "pipefail", "-c", &script]).env("NO_COLOR", "1");
    test.as_users_have_it(&mut shell);
    let run = Run::of(&mut shell);
    test.say(&format!("{script}{run}"));
    run.ok()
}

#[test]
fn the_guide_does_what_it_says() {
    let Some(test) = Test::begin("the_guide_does_what_it_says", Needs::Bed) else { return };
    let flink = Flink::of(&test, "flink");
    let (mut job, mut before, mut fault) = (String::new(), None, Instant::now());
    let blocks = blocks();
    assert_eq!(blocks.len(), 9, "the test knows what each block is for");
    for (number, block) in blocks.iter().enumerate() {
        match number {
            2 => {
                let jar = test.bed(&["job", "1.20.5"]);
                let exec = format!("kubectl exec -i -n {NAMESPACE} deployment/flink-jobmanager --");
                run(&test, &format!("{exec} cp /dev/stdin {JOB} <{}", jar.trim()));
            }
            4 | 6 => {
                before = Some(flink.saved(&job));
                fault = Instant::now();
            }
            _ => {}
        }
        let run = run(&test, block);
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
