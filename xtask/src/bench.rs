//! `cargo xtask bench`: how fast the program is, against kubectl and Flink's own client, side by side on one cluster.
//!
//! Times differ from machine to machine; what is compared are ratios within one run. Nothing fails because it was slow.

mod clean_ha;
mod doctor;

use std::ffi::OsStr;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use crate::process;
use crate::release::{self, PLATFORMS, Place};
use crate::testbed::{self, FLINK_VERSION, Testbed, Tier};

/// Measure the release build against kubectl and Flink's client, on the test bed, and print a table.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// How often each is measured; the median counts.
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    rounds: u32,
    /// Only what needs no cluster: start-up, and the doctor on files.
    #[arg(long)]
    offline: bool,
    /// Use the test bed that an earlier run left, and leave it running.
    #[arg(long)]
    keep: bool,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let binary = process::build(true)?;
    let kubectl = testbed::tool("kubernetes", "kubectl")?;
    if args.offline {
        let kubeconfig = PathBuf::new();
        let mut bench = Bench { binary, kubectl, kubeconfig, rounds: args.rounds, table: Vec::new() };
        bench.start_up()?;
        bench.platforms()?;
        bench.doctor_on_files()?;
        print_table(&bench.table);
        return Ok(ExitCode::SUCCESS);
    }
    let bed = Testbed::hold("bench")?;
    let measured = bed.up(Tier::Pods { nodes: 1 }, &[FLINK_VERSION], args.keep).and_then(|()| {
        let kubeconfig = bed.kubeconfig()?;
        Bench { binary, kubectl, kubeconfig, rounds: args.rounds, table: Vec::new() }.measure()
    });
    if args.keep && !process::interrupted() {
        println!("\nthe test bed runs on; to end it: {}", bed.how_to("down"));
    } else {
        bed.down()?;
    }
    measured.map(|()| ExitCode::SUCCESS)
}

/// Only what `clean-ha` does with very many ConfigMaps, on a cluster that need not run pods.
pub(crate) fn clean_ha(bed: &Testbed) -> Result<()> {
    let (binary, kubectl) = (process::build(true)?, testbed::tool("kubernetes", "kubectl")?);
    let mut bench = Bench { binary, kubectl, kubeconfig: bed.kubeconfig()?, rounds: 1, table: Vec::new() };
    bench.clean_ha()?;
    print_table(&bench.table);
    Ok(())
}

struct Bench {
    binary: PathBuf,
    kubectl: PathBuf,
    kubeconfig: PathBuf,
    rounds: u32,
    /// What was measured: what, the figure, the aim, whether it is met.
    table: Vec<[String; 4]>,
}

impl Bench {
    fn measure(mut self) -> Result<()> {
        self.start_up()?;
        self.platforms()?;
        self.create()?;
        self.status()?;
        self.doctor_on_files()?;
        self.doctor_live()?;
        self.clean_ha()?;
        let megabytes = bytes(fs::metadata(&self.binary)?.len());
        self.aim("size of the release binary", format!("{megabytes:.1} MB"), "< 12 MB", megabytes < 12.0);
        println!();
        print_table(&self.table);
        Ok(())
    }

    /// The program on the bench's cluster.
    fn flink(&self, arguments: &[&str]) -> Command {
        self.on_cluster(&self.binary, arguments)
    }

    fn kubectl(&self, arguments: &[&str]) -> Command {
        self.on_cluster(&self.kubectl, arguments)
    }

    fn on_cluster(&self, program: impl AsRef<OsStr>, arguments: &[&str]) -> Command {
        let mut command = Command::new(program);
        command.args(arguments).arg("--kubeconfig").arg(&self.kubeconfig).args(["--context", "testbed"]);
        command
    }

    fn row(&mut self, what: &str, figure: String) {
        self.table.push([what.into(), figure, String::new(), String::new()]);
    }

    /// A row with what the figure should be.
    fn aim(&mut self, what: &str, figure: String, aim: &str, met: bool) {
        let met = if met { "met" } else { "NOT MET" };
        self.table.push([what.into(), figure, aim.into(), met.into()]);
    }

    /// `--help` against `kubectl version --client`: neither speaks to a server.
    fn start_up(&mut self) -> Result<()> {
        println!("measuring start-up");
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..=4 * self.rounds {
            let mut help = Command::new(&self.binary);
            let mut version = Command::new(&self.kubectl);
            keep(round, &mut ours, time(help.arg("--help"))?);
            keep(round, &mut theirs, time(version.args(["version", "--client"]))?);
        }
        let (ours, theirs) = (median(ours), median(theirs));
        self.aim("kubectl-flink --help", millis(ours), "< 5 ms", ours < Duration::from_millis(5));
        self.row("kubectl version --client", millis(theirs));
        Ok(())
    }

    /// Size and start-up of each program that `cargo xtask release` has built, as far as something here runs it.
    fn platforms(&mut self) -> Result<()> {
        for platform in PLATFORMS {
            let Some(program) = release::built(platform)? else {
                self.row(&format!("{platform}"), "not built: cargo xtask release".into());
                continue;
            };
            let size = megabytes(fs::metadata(&program)?.len());
            let Some(place) = Place::new(platform, &program)? else {
                self.row(&format!("{platform}: size; start-up"), format!("{size}; nothing here runs it"));
                continue;
            };
            let mut times = Vec::new();
            for round in 0..=2 * self.rounds {
                keep(round, &mut times, time(&mut place.command(&["--help"]))?);
            }
            self.row(
                &format!("{platform}: size; start-up {}", place.what),
                format!("{size}; {}", millis(median(times))),
            );
        }
        Ok(())
    }

    /// A session cluster, asked for in an empty namespace by each of the three in turn. No node takes pods meanwhile: what
    /// is measured is the client, and it shall not share the processors with what it has asked for.
    fn create(&mut self) -> Result<()> {
        println!("measuring how a cluster is created");
        let (mut up, mut apply, mut native) = (Vec::new(), Vec::new(), Vec::new());
        let session = process::root()?.join("tests/testbed/native-session");
        let mut native_failed = None;
        process::quiet(&mut self.kubectl(&["cordon", "node1"]))?;
        for round in 0..=self.rounds {
            let ours = self.namespace(&format!("bench-up-{round}"))?;
            keep(round, &mut up, time(&mut self.flink(&["up", "--wait=false", "--namespace", &ours]))?);

            let theirs = self.namespace(&format!("bench-apply-{round}"))?;
            let files = tempfile::tempdir()?;
            let folder = files.path().to_string_lossy();
            process::quiet(&mut self.flink(&["render", "--to", &folder, "--namespace", &theirs]))?;
            keep(round, &mut apply, time(&mut self.kubectl(&["apply", "--filename", &folder]))?);

            let flinks = self.namespace(&format!("bench-native-{round}"))?;
            if native_failed.is_none() {
                let mut command = Command::new(&session);
                command.env("KUBECONFIG", &self.kubeconfig).arg(FLINK_VERSION);
                command.arg("-Dkubernetes.cluster-id=bench").arg(format!("-Dkubernetes.namespace={flinks}"));
                match time(&mut command) {
                    Ok(time) => keep(round, &mut native, time),
                    Err(error) => native_failed = Some(error),
                }
            }
            process::quiet(&mut self.kubectl(&["delete", "namespace", &ours, &theirs, &flinks]))?;
        }
        process::quiet(&mut self.kubectl(&["uncordon", "node1"]))?;

        let (up, apply) = (median(up), median(apply));
        self.row("up --wait=false", millis(up));
        self.row("kubectl apply -f DIR", millis(apply));
        self.ratio("up / kubectl apply", up, apply, 2.0);
        if let Some(error) = native_failed {
            println!("kubernetes-session.sh did not run: {error:#}");
            self.row("kubernetes-session.sh", "did not run".into());
        } else {
            let native = median(native);
            self.row("kubernetes-session.sh", millis(native));
            self.ratio("up / kubernetes-session.sh", up, native, 30.0);
        }
        Ok(())
    }

    /// Makes an empty namespace of this name.
    fn namespace(&self, name: &str) -> Result<String> {
        process::quiet(&mut self.kubectl(&["create", "namespace", name]))?;
        Ok(name.to_owned())
    }

    /// `status` of a healthy cluster against what a person would ask kubectl for, and the memory of both.
    fn status(&mut self) -> Result<()> {
        println!("measuring status");
        let namespace = self.namespace("bench-status")?;
        let at = ["--namespace", namespace.as_str()];
        let up = [&["up", "--flink-version", FLINK_VERSION][..], &at].concat();
        let status = [&["status"][..], &at].concat();
        let get = [&["get", "deployments,pods,configmaps", "--output", "json"][..], &at].concat();
        let up_memory = peak_memory(&mut self.flink(&up))?;
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        for round in 0..=2 * self.rounds {
            keep(round, &mut ours, time(&mut self.flink(&status))?);
            keep(round, &mut theirs, time(&mut self.kubectl(&get))?);
        }
        let status_memory = peak_memory(&mut self.flink(&status))?;
        let get_memory = peak_memory(&mut self.kubectl(&get))?;
        process::quiet(&mut self.flink(&[&["down", "--yes", "--purge-ha", "--purge-volumes"][..], &at].concat()))?;

        let (ours, theirs) = (median(ours), median(theirs));
        self.aim("status, healthy cluster", millis(ours), "< 50 ms", ours < Duration::from_millis(50));
        self.row("kubectl get deploy,pod,cm -o json", millis(theirs));
        for (what, memory) in [
            ("peak memory of up", up_memory),
            ("peak memory of status", status_memory),
            ("peak memory of kubectl get", get_memory),
        ] {
            self.row(what, format!("{:.1} MB", bytes(memory)));
        }
        Ok(())
    }

    /// How many times faster `ours` is, and should be.
    fn ratio(&mut self, what: &str, ours: Duration, theirs: Duration, times: f64) {
        let ratio = ours.as_secs_f64() / theirs.as_secs_f64();
        self.aim(what, format!("{ratio:.3}"), &format!("<= {:.3}", 1.0 / times), ratio <= 1.0 / times);
    }
}

/// How long it takes. It must end well.
fn time(command: &mut Command) -> Result<Duration> {
    let started = Instant::now();
    process::quiet(command)?;
    Ok(started.elapsed())
}

/// Keeps what was measured, but for the first round, which warms everybody's caches.
fn keep(round: u32, times: &mut Vec<Duration>, time: Duration) {
    if round > 0 {
        times.push(time);
    }
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}

/// The most memory that it has held, in bytes: what the kernel said last before it ended, asked each millisecond.
fn peak_memory(command: &mut Command) -> Result<u64> {
    let (peak, status) = watched(command)?;
    ensure!(status.success(), "{}: {status}", process::line(command));
    Ok(peak)
}

/// The same of a command that may end with findings.
fn peak_memory_of(command: &mut Command) -> Result<u64> {
    Ok(watched(command)?.0)
}

fn watched(command: &mut Command) -> Result<(u64, ExitStatus)> {
    ensure!(!process::interrupted(), "interrupted");
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
    let path = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let status = loop {
        let status = fs::read_to_string(&path).unwrap_or_default();
        let high =
            status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse().ok());
        peak = peak.max(high.unwrap_or(0));
        if let Some(status) = child.try_wait()? {
            break status;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    ensure!(peak > 0, "{} ended before its memory could be read", process::line(command));
    Ok((peak * 1024, status))
}

fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1000.0)
}

/// In megabytes.
#[expect(clippy::cast_precision_loss, reason = "printed with one digit after the point")]
fn bytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

/// A size in words.
pub(crate) fn megabytes(size: u64) -> String {
    format!("{:.1} MB", bytes(size))
}

fn print_table(rows: &[[String; 4]]) {
    let head = ["what", "measured", "aim", ""].map(str::to_owned);
    let all: Vec<&[String; 4]> = std::iter::once(&head).chain(rows).collect();
    let width = |column: usize| all.iter().map(|row| row[column].len()).max().unwrap_or_default();
    let (what, measured, aim) = (width(0), width(1), width(2));
    for row in &all {
        let line = format!("{:what$}   {:>measured$}   {:aim$}   {}", row[0], row[1], row[2], row[3]);
        println!("{}", line.trim_end());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_round_does_not_count() {
        let mut times = Vec::new();
        for (round, millis) in (0..).zip([900, 3, 1, 2]) {
            keep(round, &mut times, Duration::from_millis(millis));
        }
        assert_eq!(median(times), Duration::from_millis(2));
    }

    #[test]
    fn memory_of_a_process_is_seen() {
        let peak = peak_memory(Command::new("sleep").arg("0.1")).unwrap();
        assert!((100_000..100_000_000).contains(&peak), "{peak}");
    }
}
