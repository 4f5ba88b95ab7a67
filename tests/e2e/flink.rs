//! Flink itself, asked through kubectl and not by the program under test: who leads, what its jobs do.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{Background, Run, Test};

/// A Flink cluster of the test's namespace.
pub struct Flink<'a> {
    test: &'a Test,
    name: String,
}

/// A job's state, as Flink tells it.
#[derive(Debug, Clone)]
pub struct Progress {
    /// The last checkpoint that was completed.
    pub checkpoint: u64,
    /// The checkpoint that the job was restored from.
    pub restored: Option<u64>,
    /// Elements that were counted.
    pub counter: u64,
}

impl<'a> Flink<'a> {
    pub fn of(test: &'a Test, name: &str) -> Self {
        Flink { test, name: name.to_owned() }
    }

    /// The leader's pod, by the address that it has announced; None while nobody leads or the pod is gone.
    pub fn leader(&self) -> Option<String> {
        let map = format!("configmap/{}-cluster-config-map", self.name);
        let run = self.test.try_kubectl(&["get", &map, "-o", "json"]);
        let map: Value = serde_json::from_str(&run.stdout).ok()?;
        let address = map["data"]["org.apache.flink.k8s.leader.restserver"].as_str()?;
        let ip = address.rsplit_once("//")?.1.rsplit_once(':')?.0.to_owned();
        let pods = self.test.try_kubectl(&["get", "pods", "-o", "json"]);
        let pods: Value = serde_json::from_str(&pods.stdout).ok()?;
        let pods = pods["items"].as_array()?;
        let pod = pods
            .iter()
            .find(|pod| pod["status"]["podIP"] == ip.as_str() && pod["metadata"]["deletionTimestamp"].is_null())?;
        Some(pod["metadata"]["name"].as_str()?.to_owned())
    }

    /// An answer of this pod's REST API; None where it gives none, or an error.
    pub fn get(&self, pod: &str, path: &str) -> Option<Value> {
        let path = format!("/api/v1/namespaces/{}/pods/{pod}:8081/proxy{path}", self.test.namespace);
        let run = self.test.try_kubectl_quickly(&["get", "--raw", &path]);
        if run.code == 0 { serde_json::from_str(&run.stdout).ok() } else { None }
    }

    /// An answer of the leader.
    pub fn ask(&self, path: &str) -> Option<Value> {
        self.get(&self.leader()?, path)
    }

    /// Starts the counting job and waits until it has counted and completed checkpoints. Gives back its id.
    pub fn start_job(&self, version: &str, parallelism: u32) -> String {
        let jar = self.test.bed(&["job", version]);
        let jar = std::fs::read(jar.trim()).unwrap();
        let job = self.test.until_some("the job is taken", || {
            let pod = self.leader()?;
            let forward = Forward::to(self.test, &pod);
            let boundary = "kubectl-flink-test";
            let mut body = format!(
                "--{boundary}\r\nContent-Disposition: form-data; name=\"jarfile\"; filename=\"count.jar\"\r\n\
                 Content-Type: application/x-java-archive\r\n\r\n"
            )
            .into_bytes();
            body.extend(&jar);
            body.extend(format!("\r\n--{boundary}--\r\n").bytes());
            let kind = format!("multipart/form-data; boundary={boundary}");
            let answer = forward.post("/jars/upload", &kind, &body)?;
            let file = answer["filename"].as_str()?.rsplit_once('/')?.1.to_owned();
            let arguments = format!(r#"{{"parallelism": {parallelism}, "programArgsList": ["--rate", "200"]}}"#);
            let answer = forward.post(&format!("/jars/{file}/run"), "application/json", arguments.as_bytes())?;
            Some(answer["jobid"].as_str()?.to_owned())
        });
        self.test.until("the job counts", || {
            self.progress(&job).is_some_and(|progress| progress.checkpoint >= 2 && progress.counter >= 500)
        });
        job
    }

    /// What the job has come to; None while it does not run.
    pub fn progress(&self, job: &str) -> Option<Progress> {
        self.progress_at(&self.leader()?, job)
    }

    fn progress_at(&self, pod: &str, job: &str) -> Option<Progress> {
        let details = self.get(pod, &format!("/jobs/{job}"))?;
        let vertices = details["vertices"].as_array()?;
        if details["state"] != "RUNNING" || vertices.iter().any(|vertex| vertex["status"] != "RUNNING") {
            return None;
        }
        let vertex =
            vertices.iter().find(|vertex| vertex["name"].as_str().is_some_and(|name| name.contains("count")))?;
        let metrics = format!(
            "/jobs/{job}/vertices/{}/subtasks/metrics?get=count.counter,count.mismatches&agg=sum",
            vertex["id"].as_str()?
        );
        let metrics = self.get(pod, &metrics)?;
        let metric = |id: &str| {
            let metric = metrics.as_array()?.iter().find(|metric| metric["id"] == id)?;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count, written as 12.0")]
            metric["sum"].as_f64().map(|sum| sum as u64)
        };
        let (counter, mismatches) = (metric("count.counter")?, metric("count.mismatches")?);
        assert_eq!(mismatches, 0, "the state does not fit the elements");
        let checkpoints = self.get(pod, &format!("/jobs/{job}/checkpoints"))?;
        let restored = checkpoints["latest"]["restored"]["id"].as_u64();
        let checkpoint = checkpoints["latest"]["completed"]["id"].as_u64().or(restored)?;
        Some(Progress { checkpoint, restored, counter })
    }

    /// A state of the job that a checkpoint has: whatever happens after this, nothing before it may be lost.
    pub fn saved(&self, job: &str) -> Progress {
        let mut seen: Option<Progress> = None;
        self.test.until_some("a checkpoint has what was counted", || {
            let now = self.progress(job)?;
            match &seen {
                // The second after: the first may have begun before.
                Some(then) if now.checkpoint >= then.checkpoint + 2 => {
                    Some(Progress { checkpoint: now.checkpoint, ..then.clone() })
                }
                Some(_) => None,
                None => {
                    seen = Some(now);
                    None
                }
            }
        })
    }

    /// Waits until the job runs again and has gone on where it was. Says how long it took since `fault`.
    pub fn recovers(&self, what: &str, job: &str, before: &Progress, fault: Instant) -> Duration {
        let after =
            self.test.until_some("the job runs again", || self.progress(job).filter(|now| now.restored.is_some()));
        let took = fault.elapsed();
        self.test.announce(&format!("FAILOVER {what}: the job ran again after {:.1} s", took.as_secs_f64()));
        assert!(after.restored >= Some(before.checkpoint), "restored from an older checkpoint: {before:?} {after:?}");
        assert!(after.counter >= before.counter, "the counter did not go on: {before:?} {after:?}");
        self.test.until("the counter goes on", || self.progress(job).is_some_and(|now| now.counter > after.counter));
        took
    }
}

/// A kubectl port-forward, and HTTP over it: kubectl itself can send nothing but JSON.
struct Forward {
    port: u16,
    _kubectl: Background,
    /// kubectl says something for each connection, and ends where nobody can read it.
    _says: BufReader<ChildStdout>,
}

impl Forward {
    fn to(test: &Test, pod: &str) -> Self {
        let mut command: Command = test.kubectl_command(&["port-forward", &format!("pod/{pod}"), ":8081"]);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let mut line = String::new();
        let mut says = BufReader::new(child.stdout.take().unwrap());
        says.read_line(&mut line).unwrap();
        let child = Background(child);
        let port = line.split("127.0.0.1:").nth(1).and_then(|rest| rest.split(' ').next()?.parse().ok());
        let port = port.unwrap_or_else(|| panic!("kubectl port-forward says {line:?}"));
        Forward { port, _kubectl: child, _says: says }
    }

    fn post(&self, path: &str, kind: &str, body: &[u8]) -> Option<Value> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        stream.set_read_timeout(Some(Duration::from_mins(1))).ok()?;
        let head = format!(
            "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nContent-Type: {kind}\r\n\
             Content-Length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(body).ok()?;
        // Not to the end of the stream: the tunnel does not always pass that on.
        let (mut answer, mut head) = (BufReader::new(stream), String::new());
        while !head.ends_with("\r\n\r\n") {
            if answer.read_line(&mut head).ok()? == 0 {
                return None;
            }
        }
        let length = head.lines().find_map(|line| {
            line.to_lowercase().strip_prefix("content-length:").and_then(|n| n.trim().parse::<usize>().ok())
        });
        let mut body = vec![0; length?];
        answer.read_exact(&mut body).ok()?;
        let body = String::from_utf8_lossy(&body);
        if !head.starts_with("HTTP/1.1 200") {
            eprintln!("POST {path}: {head}\n{}", body.chars().take(2000).collect::<String>());
            return None;
        }
        serde_json::from_str(&body).ok()
    }
}

/// The process of a pod's java on this machine, where the test bed runs.
pub fn java_of(test: &Test, pod: &str) -> u32 {
    let uid = test.get(&format!("pod/{pod}"))["metadata"]["uid"].as_str().unwrap().to_owned();
    let uids = [uid.clone(), uid.replace('-', "_")];
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let read = |file: &str| std::fs::read_to_string(entry.path().join(file)).unwrap_or_default();
        let groups = read("cgroup");
        if uids.iter().any(|uid| groups.contains(uid.as_str())) && read("comm").trim() == "java" {
            found.push(pid);
        }
    }
    assert_eq!(found.len(), 1, "processes of java in pod {pod}: {found:?}");
    found[0]
}

/// Sends a signal to a process.
pub fn kill(signal: &str, pid: u32) {
    let run = Run::of(Command::new("kill").args([&format!("-{signal}"), &pid.to_string()]));
    assert_eq!(run.code, 0, "{run}");
}
