//! `cargo xtask test`: sets this machine up and runs every check and every test of the project.
//!
//! The story is [`run`], from top to bottom: stages that look at the sources, the tests that need no cluster, and those that
//! do. A stage that fails does not keep the others from running. What could not be run fails the whole, unless it was not
//! asked for, so that green means that real pods ran.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::Read;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Result, ensure};

use crate::testbed::{self, FLINK_VERSIONS, Testbed, Tier};
use crate::{process, release};

/// Set this machine up and run all checks and all tests.
///
/// Where KUBECTL_FLINK_TEST_CONTEXT names a context, the end-to-end tests use its cluster, in namespaces of their own, and no
/// test bed is made.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Leave out what needs a cluster.
    #[arg(long, conflicts_with = "control_plane")]
    fast: bool,
    /// Test against a real API server without pods, for which no root is needed.
    #[arg(long)]
    control_plane: bool,
    /// Use the test bed that an earlier run left, and leave it running for the next one.
    #[arg(long, conflicts_with = "fast")]
    keep: bool,
    /// Run only the tests whose names contain this, and no checks. Passed on to each test program, options too.
    #[arg(last = true)]
    filter: Vec<String>,
}

/// Names the user's own cluster to the tests.
const CONTEXT: &str = "KUBECTL_FLINK_TEST_CONTEXT";
/// A file in which a test that cannot run here (no pods, no second node) writes a line, `its name: why`, before it returns.
/// For cargo it has passed; here it counts as skipped.
const SKIPPED: &str = "KUBECTL_FLINK_TEST_SKIPPED";
/// For how many seconds each parser is given random texts.
pub(crate) const FUZZ: &str = "KUBECTL_FLINK_FUZZ";
/// How many races of clean-ha against a JobManager are run.
pub(crate) const RACES: &str = "KUBECTL_FLINK_RACES";
/// A machine that can lose a node needs two.
const NODES: u8 = 2;
const CARGO_DENY: &str = "0.20.2";

/// Programs that the stages need, and their Debian packages. The test bed installs what only it needs.
const PROGRAMS: [(&str, &str); 11] = [
    ("cc", "gcc"),
    ("shellcheck", "shellcheck"),
    ("curl", "curl"),
    ("python3", "python3-pip"),
    ("javac", "default-jdk-headless"),
    ("mvn", "maven"),
    ("jq", "jq"),
    ("script", "bsdutils"),
    ("zsh", "zsh"),
    ("fish", "fish"),
    ("/usr/share/bash-completion/bash_completion", "bash-completion"),
];

pub(crate) fn run(args: &Args) -> ExitCode {
    let mut run = Run { filter: args.filter.clone(), ..Run::default() };
    let context = env::var(CONTEXT).ok().filter(|context| !context.is_empty());

    run.stage("set-up", "cargo xtask test", |_| process::install(&PROGRAMS));
    if args.filter.is_empty() {
        run.stage("rustfmt", "cargo fmt --all --check", |_| cargo(&["fmt", "--all", "--check"]));
        run.stage("clippy", "cargo clippy --workspace --all-targets -- -D warnings", |_| {
            cargo(&["clippy", "--quiet", "--workspace", "--all-targets", "--", "-D", "warnings"])?;
            // "All" are those with `test = true`.
            cargo(&["clippy", "--quiet", "--test", "e2e", "--", "-D", "warnings"])
        });
        run.stage("rustdoc", "RUSTDOCFLAGS='-D warnings' cargo doc --workspace --no-deps", |_| {
            let arguments = ["doc", "--quiet", "--workspace", "--no-deps", "--document-private-items"];
            process::run(process::cargo(&arguments)?.env("RUSTDOCFLAGS", "-D warnings"))
        });
        run.stage("cargo-deny", "cargo deny check", |_| deny());
        run.stage("shellcheck", "shellcheck FILE", |_| shellcheck());
        run.stage("krew", "cargo xtask release --target TRIPLE", |_| release::check_krew(&process::build(false)?));
    }
    run.stage("tests without a cluster", "cargo test --workspace", |run| run.cargo_test(&["--workspace"], Vec::new()));

    if args.fast {
        run.leave_out_e2e("--fast");
    } else if let Some(context) = context {
        run.stage(&format!("tests on the context {context}"), "cargo test --test e2e", |run| {
            run.cargo_test(&["--test", "e2e"], Vec::new())
        });
    } else if let Err(error) = on_testbed(args, &mut run) {
        run.failed.push(format!("test bed: {error:#}"));
    }
    run.close()
}

/// Brings the test bed up, runs the end-to-end tests on it, and takes it down whatever came of them.
fn on_testbed(args: &Args, run: &mut Run) -> Result<()> {
    let mut tier = Tier::Pods { nodes: NODES };
    if args.control_plane {
        tier = Tier::ControlPlane;
    } else {
        let lacks = testbed::lacks()?;
        if !lacks.is_empty() {
            tier = Tier::ControlPlane;
            run.impossible.push(format!("tests with real pods: this machine lacks {}", lacks.join("; ")));
        }
    }
    if process::interrupted() {
        return Ok(());
    }
    let bed = Testbed::hold("test")?;
    let up = run.stage("test bed up", &bed.how_to("up"), |_| {
        bed.up(tier, &FLINK_VERSIONS, args.keep)?;
        match tier {
            Tier::Pods { .. } => process::run(&mut bed.command(&["s3", "up"])),
            Tier::ControlPlane => Ok(()),
        }
    });
    if up {
        let alone = "cargo xtask test --keep -- FILTER";
        run.stage("tests on the test bed", alone, |run| {
            run.cargo_test(&["--test", "e2e"], bed.environment(tier)?.into())
        });
    } else if !process::interrupted() {
        run.leave_out_e2e("no test bed");
    }
    if args.keep && up {
        println!("the test bed runs on; to end it: {}", bed.how_to("down"));
        return Ok(());
    }
    run.always("test bed down", &bed.how_to("down"), |_| {
        bed.down()?;
        process::run_always(&mut bed.command(&["check-clean"]))
    });
    Ok(())
}

fn cargo(arguments: &[&str]) -> Result<()> {
    process::run(&mut process::cargo(arguments)?)
}

/// Checks licences, bans and sources, and the advisories where their database is to be had: it is not in a registry.
fn deny() -> Result<()> {
    let deny = process::cargo_tool("cargo-deny", CARGO_DENY)?;
    let deny = |arguments: &[&str]| {
        let mut command = Command::new(&deny);
        command.args(arguments);
        process::root().map(|root| {
            command.current_dir(root);
            command
        })
    };
    process::run(&mut deny(&["--log-level", "error", "check", "bans", "licenses", "sources"])?)?;
    if !process::succeeds(&mut deny(&["fetch", "db"])?) {
        println!("advisories were not checked: their database cannot be fetched from here");
        return Ok(());
    }
    process::run(&mut deny(&["--log-level", "error", "check", "--disable-fetch", "advisories"])?)
}

/// Checks every shell script that is in the checkout, whatever its name.
fn shellcheck() -> Result<()> {
    let root = process::root()?;
    let mut git = Command::new("git");
    git.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(&root);
    let files = process::output(&mut git)?;
    let scripts: Vec<&str> = files
        .lines()
        .filter(|file| {
            let mut start = Vec::new();
            let read = fs::File::open(root.join(file)).and_then(|file| file.take(64).read_to_end(&mut start));
            let first = String::from_utf8_lossy(&start);
            let first = first.lines().next().unwrap_or_default();
            read.is_ok() && first.starts_with("#!") && (first.ends_with("bash") || first.ends_with("sh"))
        })
        .collect();
    ensure!(!scripts.is_empty(), "git knows of no script");
    process::run(Command::new("shellcheck").args(scripts).current_dir(root))
}

/// What has come of the tests.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Counts {
    passed: u64,
    failed: u64,
    skipped: u64,
}

/// Reads the line with which a test program ends: `test result: ok. 3 passed; 0 failed; 1 ignored; 0 measured; ...`.
fn parse(line: &str) -> Option<Counts> {
    let (_, numbers) = line.trim().strip_prefix("test result: ")?.split_once(". ")?;
    let mut counts = Counts::default();
    for part in numbers.split(';') {
        if let Some((number, what)) = part.trim().split_once(' ') {
            match what {
                "passed" => counts.passed = number.parse().ok()?,
                "failed" => counts.failed = number.parse().ok()?,
                "ignored" => counts.skipped = number.parse().ok()?,
                _ => {}
            }
        }
    }
    Some(counts)
}

/// A run of all stages.
#[derive(Debug, Default)]
struct Run {
    filter: Vec<String>,
    counts: Counts,
    /// Stages that failed, with how to run each alone.
    failed: Vec<String>,
    /// What was asked for and could not be run, with the reason.
    impossible: Vec<String>,
}

impl Run {
    /// Does one stage and says how it ended. True if well.
    fn stage(&mut self, name: &str, alone: &str, work: impl FnOnce(&mut Self) -> Result<()>) -> bool {
        !process::interrupted() && self.always(name, alone, work)
    }

    /// A stage that is done after an interrupt too.
    fn always(&mut self, name: &str, alone: &str, work: impl FnOnce(&mut Self) -> Result<()>) -> bool {
        println!("==> {name}");
        let started = Instant::now();
        let done = work(self);
        let seconds = started.elapsed().as_secs_f64();
        match &done {
            Ok(()) => println!("==> {name}: ok ({seconds:.1} s)"),
            Err(error) => {
                println!("==> {name}: FAILED ({seconds:.1} s): {error:#}");
                self.failed.push(format!("{name}; alone: {alone}"));
            }
        }
        done.is_ok()
    }

    /// Runs tests by cargo, shows what they print, and counts.
    fn cargo_test(&mut self, which: &[&str], environment: Vec<(&str, OsString)>) -> Result<()> {
        let skipped = tempfile::NamedTempFile::new()?;
        let mut test = process::cargo(&["test", "--no-fail-fast"])?;
        test.args(which).arg("--").args(&self.filter);
        test.envs(environment).env(SKIPPED, skipped.path());
        if self.filter.is_empty() {
            test.env(FUZZ, "15");
        }
        let done = process::lines(&mut test, |line| {
            println!("{line}");
            if let Some(counts) = parse(line) {
                self.counts.passed += counts.passed;
                self.counts.failed += counts.failed;
                self.counts.skipped += counts.skipped;
            }
        });
        for line in fs::read_to_string(skipped.path())?.lines() {
            println!("skipped: {line}");
            self.counts.passed = self.counts.passed.saturating_sub(1);
            self.counts.skipped += 1;
        }
        done
    }

    /// Counts the end-to-end tests that are not run at all.
    fn leave_out_e2e(&mut self, why: &str) {
        let filter = self.filter.clone();
        self.stage("end-to-end tests, only counted", "cargo test --test e2e -- --list", |run| {
            let mut list = process::cargo(&["test", "--quiet", "--test", "e2e", "--"])?;
            list.args(filter).args(["--list", "--format", "terse"]);
            let tests = process::output(&mut list)?.lines().filter(|line| line.ends_with(": test")).count();
            println!("skipped: {tests} end-to-end tests: {why}");
            run.counts.skipped += u64::try_from(tests)?;
            Ok(())
        });
    }

    /// The last words: what failed, what could not be run, and the plain line that counts.
    fn close(&self) -> ExitCode {
        for failed in &self.failed {
            println!("failed: {failed}");
        }
        for reason in &self.impossible {
            println!("not run: {reason}");
        }
        let Counts { passed, failed, skipped } = self.counts;
        if passed == 0 && failed == 0 {
            println!("no test was run");
        }
        println!("{passed} passed, {failed} failed, {skipped} skipped");
        let well = passed > 0 && failed == 0 && self.failed.is_empty() && self.impossible.is_empty();
        if well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_closing_line_of_a_test_program_is_counted() {
        let ok = "test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; 3 filtered out; finished in 0.02s";
        assert_eq!(parse(ok), Some(Counts { passed: 12, failed: 0, skipped: 1 }));
        let bad = "test result: FAILED. 1 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 1.50s";
        assert_eq!(parse(bad), Some(Counts { passed: 1, failed: 2, skipped: 0 }));
    }

    #[test]
    fn other_lines_are_not_counted() {
        assert_eq!(parse("test commands::up ... ok"), None);
        assert_eq!(parse("running 3 tests"), None);
    }
}
