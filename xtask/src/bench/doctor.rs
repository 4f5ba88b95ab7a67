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
    /// `doctor -f` on one cluster's files, on 1,000 and on 10,000 documents: of as many clusters as that takes, and of one
    /// cluster whose files are repeated.
    pub(super) fn doctor_on_files(&mut self) -> Result<()> {
        println!("measuring doctor -f");
        let peers = [peer(&PEERS[0])?, peer(&PEERS[1])?];
        let folder = tempfile::tempdir()?;
        let render = process::output(Command::new(&self.binary).args(["render", "--namespace", "bench-0"]))?;
        let broken = render.replace("kubernetes.namespace: bench-0", "# no namespace");
        let guide = guide()?;
        for (of, text) in [("different clusters", &broken), ("one cluster", &guide)] {
            let mut last: Option<Duration> = None;
            for documents in [1, 1_000, 10_000] {
                let file = folder.path().join(format!("{documents}.yaml"));
                let written = write_documents(&file, text, documents)?;
                let what = format!("doctor -f, {written} documents of {of}");
                let ours = self.doctor_on_file(&peers, &file, &what, documents == 10_000)?;
                if let Some(last) = last.filter(|_| documents == 10_000) {
                    let times = ours.as_secs_f64() / last.as_secs_f64();
                    self.aim(
                        "  ten times the documents take",
                        format!("{times:.1} times"),
                        "<= 12 times",
                        times <= 12.0,
                    );
                }
                last = Some(ours);
            }
        }
        Ok(())
    }

    /// Measures the doctor and its peers on one file, and gives the doctor's time.
    fn doctor_on_file(&mut self, peers: &[PathBuf; 2], file: &Path, what: &str, large: bool) -> Result<Duration> {
        let doctor = || {
            let mut command = Command::new(&self.binary);
            command.args(["doctor", "--fail-on", "never", "-o", "json", "-f"]).arg(file);
            command
        };
        let parse = || {
            let mut command = Command::new(&peers[0]);
            // A place without schemas: each document is parsed and let through.
            command.args(["-ignore-missing-schemas", "-schema-location", "none/{{.ResourceKind}}.json"]).arg(file);
            command
        };
        let score = || {
            let mut command = Command::new(&peers[1]);
            command.args(["score", "--exit-one-on-warning=false", "--output-format", "ci"]).arg(file);
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
        let memory = |peak: u64| format!("{:.0} MB", bytes(peak));
        self.row(what, format!("{}, {}", millis(ours), memory(peaks[0])));
        self.row("  kubeconform, parsing only", format!("{}, {}", millis(parser), memory(peaks[1])));
        self.row("  kube-score", format!("{}, {}", millis(scored), memory(peaks[2])));
        self.ratio("  doctor / kubeconform", ours, parser, 1.0);
        if large {
            self.ratio("  doctor / kube-score", ours, scored, 50.0);
            self.aim("  peak memory of doctor", memory(peaks[0]), "< 200 MB", bytes(peaks[0]) < 200.0);
        } else {
            self.row("  doctor / kube-score", format!("{:.3}", ours.as_secs_f64() / scored.as_secs_f64()));
        }
        Ok(ours)
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

/// The files of the doctor's tests that are written as guides write them, with a mistake here and there.
fn guide() -> Result<String> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(process::root()?.join("tests/doctor/guide"))? {
        paths.push(entry?.path());
    }
    paths.sort();
    let texts: Result<Vec<String>, _> = paths.iter().map(fs::read_to_string).collect();
    Ok(texts?.join("---\n"))
}

/// The files of one cluster again and again, until there are enough documents. What is in the namespace bench-0 is in one of
/// its own each time.
fn write_documents(file: &Path, one: &str, wanted: usize) -> Result<usize> {
    let documents = one.lines().filter(|line| line.starts_with("kind: ")).count();
    ensure!(documents > 0, "there is no document to measure with");
    let clusters = wanted.div_ceil(documents);
    let mut text = String::new();
    for number in 0..clusters {
        writeln!(text, "{}---", one.replace("bench-0", &format!("bench-{number}")))?;
    }
    fs::write(file, text)?;
    Ok(clusters * documents)
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
