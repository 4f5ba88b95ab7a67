//! The embedded test bed, `tests/testbed/testbed`: a real Kubernetes on this machine.

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};

use crate::process;

/// The Flink releases that the tests use.
pub(crate) const FLINK_VERSIONS: [&str; 3] = ["1.20.5", "1.16.3", "2.3.0"];
/// The release for what needs only one.
pub(crate) const FLINK_VERSION: &str = FLINK_VERSIONS[0];

/// What end-to-end tests find in their environment. None is set where a context is named to them.
mod variable {
    /// The kubeconfig of the test bed's administrator; its current context is the test bed.
    pub(super) const KUBECONFIG: &str = "KUBECTL_FLINK_TESTBED_KUBECONFIG";
    /// The test bed's script, to be called with `--name` and the value of [`NAME`].
    pub(super) const SCRIPT: &str = "KUBECTL_FLINK_TESTBED";
    /// The test bed's name.
    pub(super) const NAME: &str = "KUBECTL_FLINK_TESTBED_NAME";
    /// `pods`, or `control-plane` where no pod ever runs.
    pub(super) const TIER: &str = "KUBECTL_FLINK_TESTBED_TIER";
}

/// How much of a Kubernetes it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    /// Nodes that run pods.
    Pods { nodes: u8 },
    /// An API server with its controllers, for which no root is needed.
    ControlPlane,
}

/// A cluster of the test bed, which one process at a time may use.
#[derive(Debug)]
pub(crate) struct Testbed {
    script: PathBuf,
    name: &'static str,
    /// Kept for its lock.
    _lock: File,
}

impl Testbed {
    /// Takes hold of the cluster of this name, whether it runs or not. Waits while another process has it.
    pub(crate) fn hold(name: &'static str) -> Result<Self> {
        let folder = process::cache()?;
        std::fs::create_dir_all(&folder)?;
        let lock = File::create(folder.join(format!("testbed-{name}.lock")))?;
        let mut said = false;
        loop {
            match lock.try_lock() {
                Ok(()) => break,
                Err(TryLockError::WouldBlock) => {
                    ensure!(!process::interrupted(), "interrupted");
                    if !said {
                        println!("another process uses the test bed {name}: waiting for it");
                        said = true;
                    }
                    std::thread::sleep(Duration::from_millis(500));
                }
                Err(TryLockError::Error(error)) => return Err(error.into()),
            }
        }
        Ok(Testbed { script: script()?, name, _lock: lock })
    }

    /// A command of the test bed.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.script);
        command.args(["--name", self.name]).args(arguments);
        command
    }

    /// Brings it up, with images of these Flink versions where it runs pods. One that runs already is used again only if
    /// `reuse` says so, after all that others left there is deleted.
    pub(crate) fn up(&self, tier: Tier, versions: &[&str], reuse: bool) -> Result<()> {
        if reuse && process::succeeds(&mut self.command(&["status"])) {
            process::run(&mut self.command(&["reset"]))?;
        } else {
            process::run(&mut self.command(&["down"]))?;
        }
        match tier {
            Tier::ControlPlane => process::run(&mut self.command(&["up", "--control-plane-only"])),
            Tier::Pods { nodes } => {
                process::run(&mut self.command(&["up", "--nodes", &nodes.to_string()]))?;
                self.import(nodes, versions)
            }
        }
    }

    /// Imports the images that a node lacks.
    fn import(&self, nodes: u8, versions: &[&str]) -> Result<()> {
        let status = process::output(&mut self.command(&["status"]))?;
        let there = |version: &str| {
            let image = format!(": image flink:{version}");
            status.lines().filter(|line| line.ends_with(&image)).count() >= usize::from(nodes)
        };
        let missing: Vec<&str> = versions.iter().copied().filter(|version| !there(version)).collect();
        if missing.is_empty() {
            return Ok(());
        }
        process::run(self.command(&["image"]).args(missing))
    }

    /// Ends it, also after an interrupt.
    pub(crate) fn down(&self) -> Result<()> {
        process::run_always(&mut self.command(&["down"]))
    }

    /// The path of the administrator's kubeconfig.
    pub(crate) fn kubeconfig(&self) -> Result<PathBuf> {
        Ok(process::output(&mut self.command(&["kubeconfig"]))?.trim().into())
    }

    /// What end-to-end tests want to know of it.
    pub(crate) fn environment(&self, tier: Tier) -> Result<[(&'static str, OsString); 4]> {
        let tier = if tier == Tier::ControlPlane { "control-plane" } else { "pods" };
        Ok([
            (variable::KUBECONFIG, self.kubeconfig()?.into()),
            (variable::SCRIPT, self.script.clone().into()),
            (variable::NAME, self.name.into()),
            (variable::TIER, tier.into()),
        ])
    }

    /// How a person gives it this command.
    pub(crate) fn how_to(&self, command: &str) -> String {
        format!("tests/testbed/testbed --name {} {command}", self.name)
    }
}

/// The test bed's script.
pub(crate) fn script() -> Result<PathBuf> {
    Ok(process::root()?.join("tests/testbed/testbed"))
}

/// A tool that the test bed builds from a Go module, built if it is not there.
pub(crate) fn tool(module: &str, name: &str) -> Result<PathBuf> {
    process::run(Command::new(script()?).args(["build", module]))?;
    let cache = match std::env::var_os("FLINK_TESTBED_CACHE") {
        Some(cache) if !cache.is_empty() => cache.into(),
        _ => process::user_cache()?.join("flink-testbed"),
    };
    let path = cache.join("bin").join(name);
    ensure!(path.is_file(), "the test bed built no {name}");
    Ok(path)
}

/// What this machine lacks for a cluster with pods; nothing, if it can have one.
pub(crate) fn lacks() -> Result<Vec<String>> {
    let mut lacks = Vec::new();
    let checked = process::lines(Command::new(script()?).arg("preflight"), |line| {
        lacks.push(line.trim_start_matches("- ").to_owned());
    });
    match checked {
        Err(error) if lacks.is_empty() => Err(error),
        _ => Ok(lacks),
    }
}
