//! `clean-ha` where many clusters have left their data in one namespace, against kubectl, which only fetches it.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{Bench, bytes, peak_memory, time};
use crate::process;

/// Twice as many clusters of twenty ConfigMaps: how time grows shows whether it is linear.
const CLUSTERS: [usize; 2] = [250, 500];
const MAPS: usize = 20;
/// A clean-ha without pods to look at watches a lease for its duration and a retry period.
const WATCHED: Duration = Duration::from_secs(6);
const NAMESPACE: &str = "bench-clean-ha";

impl Bench {
    /// `clean-ha --dry-run` on 5,000 and on 10,000 ConfigMaps.
    pub(super) fn clean_ha(&mut self) -> Result<()> {
        println!("measuring clean-ha");
        self.namespace(NAMESPACE)?;
        let folder = tempfile::tempdir()?;
        let mut made = 0;
        let mut last: Option<f64> = None;
        for clusters in CLUSTERS {
            self.make(folder.path(), made, clusters)?;
            made = clusters;
            let arguments = ["clean-ha", "--dry-run", "--output=json", "--namespace", NAMESPACE];
            let before = self.config_map_requests()?;
            let total = time(&mut self.flink(&arguments))?;
            let requests = self.config_map_requests()? - before;
            let ours = total.saturating_sub(WATCHED).as_secs_f64();
            let theirs = self.get()?.as_secs_f64();
            let maps = clusters * MAPS;
            let what = format!("clean-ha --dry-run, {maps} ConfigMaps of {clusters} clusters");
            self.row(&what, format!("{ours:.1} s, and 6 s of watching"));
            self.row("  kubectl get cm -l ... -o json | jq length", format!("{theirs:.1} s"));
            self.row("  clean-ha / kubectl get | jq", format!("{:.2}", ours / theirs));
            self.row("  requests for ConfigMaps", requests.to_string());
            let peak = bytes(peak_memory(&mut self.flink(&arguments))?);
            self.aim("  peak memory", format!("{peak:.0} MB"), "< 200 MB", peak < 200.0);
            if let Some(last) = last {
                let growth = ours / last;
                self.aim("  time against half as many", format!("{growth:.2}"), "< 3", growth < 3.0);
            }
            last = Some(ours);
        }
        process::quiet(&mut self.kubectl(&["delete", "namespace", NAMESPACE, "--wait=false"]))
    }

    /// Makes the data of these clusters, by several kubectl: each sends fifty requests a second at most.
    fn make(&self, folder: &Path, from: usize, to: usize) -> Result<()> {
        const SIDE_BY_SIDE: usize = 6;
        let mut children = Vec::new();
        for part in 0..SIDE_BY_SIDE {
            let file = folder.join(format!("{from}-{part}.json"));
            let maps: Vec<String> =
                (from..to).filter(|cluster| cluster % SIDE_BY_SIDE == part).flat_map(config_maps).collect();
            fs::write(&file, format!(r#"{{"apiVersion":"v1","kind":"List","items":[{}]}}"#, maps.join(",")))?;
            let path = file.to_string_lossy();
            let mut create = self.kubectl(&["create", "--namespace", NAMESPACE, "--filename", &path]);
            children.push(create.stdin(Stdio::null()).stdout(Stdio::null()).spawn()?);
        }
        for mut child in children {
            ensure!(child.wait()?.success(), "the ConfigMaps were not made");
        }
        ensure!(!process::interrupted(), "interrupted");
        Ok(())
    }

    /// What people do without the program, and know less after it.
    fn get(&self) -> Result<Duration> {
        let selector = "--selector=type=flink-native-kubernetes";
        let mut get = self.kubectl(&["get", "configmaps", "--namespace", NAMESPACE, selector, "--output=json"]);
        let started = Instant::now();
        let mut get = get.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
        let maps = get.stdout.take().context("kubectl has no output")?;
        let counted = Command::new("jq").arg(".items | length").stdin(maps).stdout(Stdio::null()).status()?;
        ensure!(get.wait()?.success() && counted.success(), "kubectl get | jq: {counted}");
        Ok(started.elapsed())
    }

    /// How many requests for ConfigMaps the API server has answered.
    fn config_map_requests(&self) -> Result<u64> {
        let metrics = process::output(&mut self.kubectl(&["get", "--raw", "/metrics"]))?;
        let counts = metrics
            .lines()
            .filter(|line| line.starts_with("apiserver_request_total{") && line.contains(r#"resource="configmaps""#))
            .filter(|line| line.contains(r#"verb="GET""#) || line.contains(r#"verb="LIST""#));
        Ok(counts.filter_map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok()).sum())
    }
}

/// A cluster's ConfigMaps: its own, and one for each of its jobs, all on S3.
fn config_maps(cluster: usize) -> Vec<String> {
    const HANDLE: &str = include_str!("../../../tests/ha/handle.b64");
    const LEASE: &str = r#"{\"holderIdentity\":\"killed\",\"leaseDuration\":1.000000000,\"acquireTime\":\"2026-01-01T00:00:00.000000Z\",\"renewTime\":\"2026-01-01T00:00:00.000000Z\",\"leaderTransitions\":0}"#;
    let map = |name: &str, annotations: &str, data: &str| {
        format!(
            r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}","labels":{{"app":"cluster-{cluster}","type":"flink-native-kubernetes"}},"annotations":{{{annotations}}}}},"data":{{{data}}}}}"#
        )
    };
    let handle = HANDLE.trim();
    let mut entries = String::new();
    let mut maps = Vec::new();
    for job in 1..MAPS {
        let job = format!("{cluster:016x}{job:016x}");
        let separator = if entries.is_empty() { "" } else { "," };
        let _ = write!(entries, r#"{separator}"executionPlan-{job}":"{handle}""#);
        let checkpoint = format!(r#""checkpointID-0000000000000000012":"{handle}","counter":"13""#);
        maps.push(map(&format!("cluster-{cluster}-{job}-config-map"), "", &checkpoint));
    }
    let lease = format!(r#""control-plane.alpha.kubernetes.io/leader":"{LEASE}""#);
    maps.push(map(&format!("cluster-{cluster}-cluster-config-map"), &lease, &entries));
    maps
}
