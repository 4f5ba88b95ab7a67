//! The doctor against kubeconform, which without schemas does nothing but parse, and kube-score, on the same files; and live,
//! in a namespace with much that is none of its business.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{Bench, bytes, keep, median, millis, peak_memory_of, time};
use crate::process;

/// Go modules at fixed versions: package, version, program.
const PEERS: [(&str, &str, &str); 2] = [
    ("github.com/yannh/kubeconform/cmd/kubeconform", "v0.8.0", "kubeconform"),
    ("github.com/zegl/kube-score/cmd/kube-score", "v1.20.0", "kube-score"),
];
/// What is in the namespace beside the cluster.
const UNRELATED: [(&str, usize); 2] = [("ConfigMap", 5_000), ("Pod", 1_000)];

impl Bench {
    /// `doctor -f` on one cluster's files, on 1,000 and on 10,000 documents.
    pub(super) fn doctor_on_files(&mut self) -> Result<()> {
        println!("measuring doctor -f");
        let (kubeconform, kube_score) = (peer(&PEERS[0])?, peer(&PEERS[1])?);
        let folder = tempfile::tempdir()?;
        let mut last: Option<Duration> = None;
        for documents in [12, 1_000, 10_000] {
            let file = folder.path().join(format!("{documents}.yaml"));
            let written = self.write_documents(&file, documents)?;
            let path = file.to_string_lossy().into_owned();
            let doctor = || {
                let mut command = Command::new(&self.binary);
                command.args(["doctor", "-f", &path, "--fail-on", "never", "-o", "json"]);
                command
            };
            let parse = || {
                let mut command = Command::new(&kubeconform);
                // A place without schemas: each document is parsed and let through.
                command.args(["-ignore-missing-schemas", "-schema-location", "none/{{.ResourceKind}}.json", &path]);
                command
            };
            let score = || {
                let mut command = Command::new(&kube_score);
                command.args(["score", "--exit-one-on-warning=false", "--output-format", "ci", &path]);
                command
            };
            let (mut ours, mut parser) = (Vec::new(), Vec::new());
            for round in 0..=self.rounds {
                keep(round, &mut ours, time(&mut doctor())?);
                keep(round, &mut parser, time(&mut parse())?);
            }
            // It exits with 1 where it finds something, and needs so long that once is enough.
            let scored = lasts(&mut score())?;
            let (ours, parser) = (median(ours), median(parser));
            let peaks = [peak_memory_of(&mut doctor())?, peak_memory_of(&mut parse())?, peak_memory_of(&mut score())?];
            let what = format!("doctor -f, {written} documents");
            let memory = |peak: u64| format!("{:.0} MB", bytes(peak));
            self.row(&what, format!("{}, {}", millis(ours), memory(peaks[0])));
            self.row("  kubeconform, parsing only", format!("{}, {}", millis(parser), memory(peaks[1])));
            self.row("  kube-score", format!("{}, {}", millis(scored), memory(peaks[2])));
            self.ratio("  doctor / kubeconform", ours, parser, 1.0);
            if documents == 10_000 {
                self.ratio("  doctor / kube-score", ours, scored, 50.0);
                self.aim("  peak memory of doctor", memory(peaks[0]), "< 200 MB", bytes(peaks[0]) < 200.0);
                let times = ours.as_secs_f64() / last.unwrap_or(ours).as_secs_f64();
                self.aim("  ten times the documents take", format!("{times:.1} times"), "<= 12 times", times <= 12.0);
            }
            last = Some(ours);
        }
        Ok(())
    }

    /// The files of one cluster after the other, each in a namespace of its own and with a mistake, until there are enough
    /// documents.
    fn write_documents(&self, file: &Path, wanted: usize) -> Result<usize> {
        let render = process::output(Command::new(&self.binary).args(["render", "--namespace", "bench-0"]))?;
        let one = render.matches("\nkind: ").count();
        ensure!(one > 0, "render gave no document");
        let mut text = String::new();
        let clusters = wanted.div_ceil(one);
        for number in 0..clusters {
            let broken = render.replace("kubernetes.namespace: bench-0", "# no namespace");
            writeln!(text, "{}---", broken.replace("bench-0", &format!("bench-{number}")))?;
        }
        fs::write(file, text)?;
        Ok(clusters * one)
    }

    /// A live run in a namespace with a cluster alone, and with thousands of other objects.
    pub(super) fn doctor_live(&mut self) -> Result<()> {
        println!("measuring doctor, live");
        let namespace = self.namespace("bench-doctor")?;
        let at = ["--namespace", namespace.as_str()];
        process::quiet(&mut self.flink(&[&["up"][..], &at].concat()))?;
        let doctor = [&["doctor", "--fail-on", "never", "-o", "json"][..], &at].concat();
        let measure = |bench: &Bench| -> Result<Duration> {
            let mut times = Vec::new();
            for round in 0..=2 * bench.rounds {
                keep(round, &mut times, time(&mut bench.flink(&doctor))?);
            }
            Ok(median(times))
        };
        let alone = measure(self)?;
        let requests = self.requests(&doctor)?;
        for (kind, count) in UNRELATED {
            self.fill(&namespace, kind, count)?;
        }
        let crowded = measure(self)?;
        self.row("doctor, live, one cluster", millis(alone));
        self.row("  requests to the API server", format!("{requests:.0}"));
        self.row("  with 5,000 ConfigMaps and 1,000 pods beside it", millis(crowded));
        let ratio = crowded.as_secs_f64() / alone.as_secs_f64();
        self.aim("  crowded / alone", format!("{ratio:.2}"), "< 1.30", ratio < 1.3);
        process::quiet(&mut self.kubectl(&["delete", "namespace", &namespace, "--wait=false"]))
    }

    /// How many requests one run makes, from the API server's own counters; what others ask meanwhile is taken off.
    fn requests(&self, doctor: &[&str]) -> Result<f64> {
        const RUNS: u32 = 10;
        let count = |runs: u32| -> Result<(f64, Duration)> {
            let (before, started) = (self.counter()?, Instant::now());
            for _ in 0..runs {
                process::quiet(&mut self.flink(doctor))?;
            }
            if runs == 0 {
                std::thread::sleep(Duration::from_secs(3));
            }
            Ok((self.counter()? - before, started.elapsed()))
        };
        let (others, idle) = count(0)?;
        let (all, busy) = count(RUNS)?;
        Ok((all - others * busy.as_secs_f64() / idle.as_secs_f64()) / f64::from(RUNS))
    }

    fn counter(&self) -> Result<f64> {
        let metrics = process::output(&mut self.kubectl(&["get", "--raw", "/metrics"]))?;
        let lines = metrics.lines().filter(|line| line.starts_with("apiserver_request_total{"));
        Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// Makes so many objects that have nothing to do with Flink. No node takes the pods.
    fn fill(&self, namespace: &str, kind: &str, count: usize) -> Result<()> {
        let mut list = String::from("apiVersion: v1\nkind: List\nitems:\n");
        for number in 0..count {
            let name = format!("unrelated-{}-{number}", kind.to_lowercase());
            let body = match kind {
                "Pod" => "spec: {nodeSelector: {none: such}, containers: [{name: app, image: app}]}",
                _ => "data: {a: b}",
            };
            writeln!(list, "- {{apiVersion: v1, kind: {kind}, metadata: {{name: {name}}}, {body}}}")?;
        }
        let file = tempfile::Builder::new().suffix(".yaml").tempfile()?;
        fs::write(file.path(), list)?;
        let path = file.path().to_string_lossy().into_owned();
        process::quiet(&mut self.kubectl(&["create", "--namespace", namespace, "--filename", &path]))
    }
}

/// The time of a command that may end with findings.
fn lasts(command: &mut Command) -> Result<Duration> {
    let started = Instant::now();
    command.stdout(std::process::Stdio::null()).stderr(std::process::Stdio::null()).status()?;
    Ok(started.elapsed())
}

/// The path of a peer, which is built into the cache the first time.
fn peer((package, version, program): &(&str, &str, &str)) -> Result<PathBuf> {
    let folder = process::cache()?.join("tools").join(format!("{program}-{version}"));
    let path = folder.join(program);
    if !path.exists() {
        let mut install = Command::new("go");
        install.args(["install", &format!("{package}@{version}")]).env("GOBIN", &folder);
        process::run(&mut install).with_context(|| format!("building {program} takes Go"))?;
    }
    Ok(path)
}
