//! `cargo xtask demo`: the main story, told by the program itself on a real cluster.

use std::env;
use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, ExitCode};
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::process;
use crate::testbed::{self, FLINK_VERSION, Testbed, Tier};

/// Show the main story: a cluster comes up, runs a job, loses its JobManager, recovers and is taken down.
///
/// On the test bed, which it brings up, or on the cluster of a context that is named; it touches no other.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Use the cluster of this context, in the namespace flink-demo, which must not exist.
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
    /// Take the test bed down at the end.
    #[arg(long, conflicts_with = "context")]
    down: bool,
}

/// The demo's own, on whatever cluster.
const NAMESPACE: &str = "flink-demo";
const RECOVERY: Duration = Duration::from_mins(5);

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let binary = process::build(false)?;
    let plugins = binary.parent().context("the program has no folder")?.to_owned();
    if let Some(context) = &args.context {
        let stage = Stage { kubectl: "kubectl".into(), plugins, target: vec!["--context".into(), context.into()] };
        let there = stage.plain(&["get", "namespace", NAMESPACE, "--ignore-not-found", "--output", "name"]);
        ensure!(
            process::output(&mut stage.on_target(there))?.trim().is_empty(),
            "the context {context} has a namespace {NAMESPACE} already, and the demo wants one of its own"
        );
        // Official images bring their examples with them.
        stage.play(None)?;
        return Ok(ExitCode::SUCCESS);
    }

    let bed = Testbed::hold("demo")?;
    bed.up(Tier::Pods { nodes: 1 }, &[FLINK_VERSION], true)?;
    let target = vec!["--kubeconfig".into(), bed.kubeconfig()?.into(), "--context".into(), "testbed".into()];
    let stage = Stage { kubectl: testbed::tool("kubernetes", "kubectl")?, plugins, target };
    let job = process::output(&mut bed.command(&["job", FLINK_VERSION]))?;
    let played = stage.play(Some(job.trim().into()));
    if args.down || process::interrupted() {
        bed.down()?;
    } else {
        println!("\nthe test bed runs on; to end it: {}", bed.how_to("down"));
    }
    played.map(|()| ExitCode::SUCCESS)
}

/// Where the story plays.
struct Stage {
    kubectl: PathBuf,
    /// The folder of the program, where kubectl shall find it.
    plugins: PathBuf,
    /// The flags that name the cluster, given to every command.
    target: Vec<OsString>,
}

impl Stage {
    fn plain(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.kubectl);
        command.args(arguments);
        command
    }

    /// The command, told which cluster is meant.
    fn on_target(&self, mut command: Command) -> Command {
        let path = env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(self.plugins.clone()).chain(env::split_paths(&path));
        if let Ok(path) = env::join_paths(folders) {
            command.env("PATH", path);
        }
        command.args(&self.target);
        command
    }

    /// A command in the demo's namespace, which is shown as a person would type it where the context is the current one.
    fn show(&self, arguments: &[&str]) -> Command {
        // Plugins take kubectl's flags after their own name only, and what is behind "--" is the container's.
        let end = arguments.iter().position(|argument| *argument == "--").unwrap_or(arguments.len());
        let (ours, theirs) = arguments.split_at(end);
        let shown = ["$", "kubectl"].iter().chain(ours).chain(&["--namespace", NAMESPACE]).chain(theirs);
        println!("\n{}", shown.copied().collect::<Vec<_>>().join(" "));
        let mut command = self.plain(ours);
        command.args(["--namespace", NAMESPACE]);
        let mut command = self.on_target(command);
        command.args(theirs);
        command
    }

    /// The story, and the end of what it made whatever came between.
    fn play(&self, job: Option<PathBuf>) -> Result<()> {
        let told = self.tell(job);
        let mut down = self.show(&["flink", "down", "--yes", "--purge-ha", "--purge-volumes"]);
        let down = process::run_always(&mut down)
            .with_context(|| format!("something may be left in the namespace {NAMESPACE}"));
        told.and(down)
    }

    fn tell(&self, job: Option<PathBuf>) -> Result<()> {
        process::run(&mut self.show(&["flink", "up", "--flink-version", FLINK_VERSION]))?;
        process::run(&mut self.show(&["flink", "status"]))?;

        let jobmanager = "deployment/flink-jobmanager";
        let run = ["exec", jobmanager, "--", "/opt/flink/bin/flink", "run", "--detached"];
        if let Some(jar) = job {
            process::run_with_input(
                &mut self.show(&["exec", "--stdin", jobmanager, "--", "cp", "/dev/stdin", "/tmp/job.jar"]),
                &jar,
            )?;
            process::run(&mut self.show(&[&run[..], &["/tmp/job.jar"]].concat()))?;
        } else {
            let example = "/opt/flink/examples/streaming/StateMachineExample.jar";
            process::run(&mut self.show(&[&run[..], &[example]].concat()))?;
        }
        // Time for a few checkpoints: they are what the job goes on from.
        sleep(Duration::from_secs(10));
        process::run(&mut self.show(&["flink", "status"]))?;

        let lost = Instant::now();
        let jobmanagers = "app.kubernetes.io/instance=flink,app.kubernetes.io/component=jobmanager";
        process::run(&mut self.show(&["delete", "pod", "--selector", jobmanagers]))?;
        let mut status = self.show(&["flink", "status"]);
        while !process::succeeds(&mut status) {
            ensure!(!process::interrupted(), "interrupted");
            ensure!(lost.elapsed() < RECOVERY, "the cluster has not recovered in {} s", RECOVERY.as_secs());
            sleep(Duration::from_millis(500));
        }
        println!("# healthy again {:.0} s after its JobManager was deleted", lost.elapsed().as_secs_f64());
        process::run(&mut self.show(&["flink", "status"]))
    }
}
