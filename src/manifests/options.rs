//! The options of the session-ha profile: the flags of `up` and `render`, and what an `up` records for the next one.

use std::fmt;
use std::str::FromStr;

use clap::Args;
use k8s_openapi::api::core::v1::Toleration;
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::flink::ha_storage::{HaStorage, object_name};
use crate::flink::memory::{JOBMANAGER_PROCESS_SIZE, MemorySize, TASKMANAGER_PROCESS_SIZE};
use crate::flink::version::{Version, modern_name};

/// Flags of the profile. One that is not given keeps what the previous `up` recorded, else its default.
#[derive(Debug, Clone, Default, PartialEq, Args, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields, default)]
#[command(next_help_heading = "Flink cluster options")]
pub struct Options {
    /// Flink version, like 1.20 or 1.20.5 [default: 1.20.5]
    #[arg(long, value_name = "VERSION")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flink_version: Option<Version>,
    /// Image of both roles [default: apache/flink:VERSION]
    #[arg(long, value_name = "IMAGE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Image of the JobManagers, if it is another one
    #[arg(long, value_name = "IMAGE", hide_short_help = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobmanager_image: Option<String>,
    /// Image of the TaskManagers, if it is another one
    #[arg(long, value_name = "IMAGE", hide_short_help = true)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taskmanager_image: Option<String>,
    /// Number of JobManagers; the second and further ones are standbys [default: 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=99))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobmanagers: Option<u16>,
    /// Number of TaskManagers [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taskmanagers: Option<u16>,
    /// Task slots of each TaskManager [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slots: Option<u16>,
    /// Default parallelism of jobs [default: 2]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallelism: Option<u16>,
    /// Whole memory of a JobManager, as Flink writes sizes [default: 1600m]
    #[arg(long, value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobmanager_memory: Option<MemorySize>,
    /// Whole memory of a TaskManager, as Flink writes sizes [default: 1728m]
    #[arg(long, value_name = "SIZE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taskmanager_memory: Option<MemorySize>,
    /// CPU request of a JobManager; it has no CPU limit [default: 200m]
    #[arg(long, value_name = "CPU")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub jobmanager_cpu: Option<Cpu>,
    /// CPU request of a TaskManager; it has no CPU limit [default: 200m]
    #[arg(long, value_name = "CPU")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taskmanager_cpu: Option<Cpu>,
    /// Where jobs and checkpoints are kept: s3://BUCKET/FOLDER (or gs, abfs, hdfs, oss), pvc, pvc:NAME, host-path:DIR or
    /// pod-local [default: pvc where the cluster has a default StorageClass, else pod-local]
    #[arg(long, value_name = "STORAGE")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ha_storage: Option<HaStorage>,
    /// Secret whose entries become environment variables of both roles, repeatable
    #[arg(long, value_name = "SECRET", value_parser = object_name)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub env_from_secret: Vec<String>,
    /// Any Flink option, repeatable
    #[arg(short = 'D', value_name = "KEY=VALUE")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub dynamic: Vec<Assignment>,
    /// How the web UI can be reached: cluster-ip, node-port[=PORT] or load-balancer [default: cluster-ip]
    #[arg(long, value_name = "HOW")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expose: Option<Expose>,
    /// Service account of the JobManagers (and of the TaskManagers); no RBAC is made for it, only checked
    #[arg(long, value_name = "NAME", value_parser = object_name)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service_account: Option<String>,
    /// Service account of the TaskManagers; no RBAC is made for it, only checked
    #[arg(long, value_name = "NAME", value_parser = object_name)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub taskmanager_service_account: Option<String>,
    /// Secret to pull the image with, repeatable
    #[arg(long, value_name = "SECRET", value_parser = object_name)]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub pull_secret: Vec<String>,
    /// Label that a node must have, repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub node_selector: Vec<Assignment>,
    /// Taints that the pods bear.
    // Not as a doc comment: rustdoc takes the brackets for links.
    #[arg(long, value_name = "TAINT", help = "Taint that the pods bear, as KEY[=VALUE][:EFFECT], repeatable")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub toleration: Vec<Taint>,
    /// Label for every object and pod, repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub label: Vec<Assignment>,
    /// Annotation for every object and pod, repeatable
    #[arg(long, value_name = "KEY=VALUE")]
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub annotation: Vec<Assignment>,
}

/// What a cluster's name and the place of its state are made of; an option may not say otherwise.
const FROM_ELSEWHERE: [(&str, &str); 6] = [
    ("kubernetes.cluster-id", "it is the NAME of the cluster"),
    ("high-availability.cluster-id", "it is made of the namespace and the NAME of the cluster"),
    ("kubernetes.namespace", "it is the namespace, see --namespace"),
    ("high-availability.type", "this profile is highly available through Kubernetes"),
    ("jobmanager.rpc.address", "with high availability each JobManager announces its own address"),
    ("rest.address", "with high availability each JobManager announces its own address"),
];

/// Labels by which objects are found again.
const OWN_LABELS: [&str; 4] = [
    "app.kubernetes.io/name",
    "app.kubernetes.io/instance",
    "app.kubernetes.io/component",
    "app.kubernetes.io/managed-by",
];

impl Options {
    /// Checks the flags against each other and moves `-D` keys that have a flag of their own to it.
    ///
    /// # Errors
    /// Two flags contradict each other, or `-D` sets what is decided elsewhere.
    pub fn normalized(mut self) -> Result<Self> {
        fn take<T: FromStr<Err = String> + PartialEq + fmt::Display>(
            flag: &mut Option<T>,
            name: &str,
            assignment: &Assignment,
        ) -> Result<()> {
            let value =
                assignment.value.parse::<T>().map_err(|e| Error::usage(format!("-D {}: {e}", assignment.key)))?;
            if let Some(other) = flag.as_ref().filter(|other| **other != value) {
                return Err(Error::usage(format!("-D {assignment} contradicts {name} {other}")));
            }
            *flag = Some(value);
            Ok(())
        }
        let count = |flag: &mut Option<u16>, name: &str, assignment: &Assignment| {
            let value = assignment.value.parse::<u16>().ok().filter(|n| *n > 0);
            match (value, *flag) {
                (None, _) => Err(Error::usage(format!("-D {assignment}: it has to be a whole number from 1 on"))),
                (Some(value), Some(other)) if value != other => {
                    Err(Error::usage(format!("-D {assignment} contradicts {name} {other}")))
                }
                _ => {
                    *flag = value;
                    Ok(())
                }
            }
        };
        let mut rest = Vec::new();
        for assignment in std::mem::take(&mut self.dynamic) {
            let key = modern_name(&assignment.key);
            if let Some((_, why)) = FROM_ELSEWHERE.iter().find(|(fixed, _)| *fixed == key) {
                return Err(Error::usage(format!("-D {assignment} cannot be set: {why}")));
            }
            match key {
                JOBMANAGER_PROCESS_SIZE => take(&mut self.jobmanager_memory, "--jobmanager-memory", &assignment)?,
                TASKMANAGER_PROCESS_SIZE => take(&mut self.taskmanager_memory, "--taskmanager-memory", &assignment)?,
                "taskmanager.numberOfTaskSlots" => count(&mut self.slots, "--slots", &assignment)?,
                "parallelism.default" => count(&mut self.parallelism, "--parallelism", &assignment)?,
                _ => rest.push(assignment),
            }
        }
        self.dynamic = over(rest, Vec::new());
        if let Some(own) = self.label.iter().find(|label| OWN_LABELS.contains(&label.key.as_str())) {
            return Err(Error::usage(format!(
                "--label {own}: objects are found again by this label, it cannot be changed"
            )));
        }
        Ok(self)
    }

    /// These options where they are given, else the recorded ones. Maps are merged by key, lists replaced.
    #[must_use]
    pub fn over(self, recorded: Options) -> Self {
        // A version or image replaces the whole of what was said about images before.
        let images = self.flink_version.is_some() || self.image.is_some();
        let or_recorded = |new: Option<String>, old: Option<String>| if images { new } else { new.or(old) };
        Options {
            flink_version: if images { self.flink_version } else { recorded.flink_version },
            image: or_recorded(self.image, recorded.image),
            jobmanager_image: or_recorded(self.jobmanager_image, recorded.jobmanager_image),
            taskmanager_image: or_recorded(self.taskmanager_image, recorded.taskmanager_image),
            jobmanagers: self.jobmanagers.or(recorded.jobmanagers),
            taskmanagers: self.taskmanagers.or(recorded.taskmanagers),
            slots: self.slots.or(recorded.slots),
            parallelism: self.parallelism.or(recorded.parallelism),
            jobmanager_memory: self.jobmanager_memory.or(recorded.jobmanager_memory),
            taskmanager_memory: self.taskmanager_memory.or(recorded.taskmanager_memory),
            jobmanager_cpu: self.jobmanager_cpu.or(recorded.jobmanager_cpu),
            taskmanager_cpu: self.taskmanager_cpu.or(recorded.taskmanager_cpu),
            ha_storage: self.ha_storage.or(recorded.ha_storage),
            env_from_secret: list(self.env_from_secret, recorded.env_from_secret),
            dynamic: over(self.dynamic, recorded.dynamic),
            expose: self.expose.or(recorded.expose),
            service_account: self.service_account.or(recorded.service_account),
            taskmanager_service_account: self.taskmanager_service_account.or(recorded.taskmanager_service_account),
            pull_secret: list(self.pull_secret, recorded.pull_secret),
            node_selector: list(self.node_selector, recorded.node_selector),
            toleration: list(self.toleration, recorded.toleration),
            label: over(self.label, recorded.label),
            annotation: over(self.annotation, recorded.annotation),
        }
    }
}

fn list<T>(new: Vec<T>, recorded: Vec<T>) -> Vec<T> {
    if new.is_empty() { recorded } else { new }
}

/// A later assignment of a key wins; sorted, so that the same options always make the same record.
fn over(new: Vec<Assignment>, recorded: Vec<Assignment>) -> Vec<Assignment> {
    let merged: std::collections::BTreeMap<_, _> =
        recorded.into_iter().chain(new).map(|assignment| (assignment.key, assignment.value)).collect();
    merged.into_iter().map(|(key, value)| Assignment { key, value }).collect()
}

/// `KEY=VALUE`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Assignment {
    /// What stands before the first `=`.
    pub key: String,
    /// What stands after it, possibly nothing.
    pub value: String,
}

impl fmt::Display for Assignment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let value = if is_secret(&self.key) { "******" } else { &self.value };
        write!(f, "{}={value}", self.key)
    }
}

/// What the name of an option has in it whose value is a secret (`GlobalConfiguration.SENSITIVE_KEYS`).
pub const SECRET_PARTS: [&str; 13] = [
    "password",
    "secret",
    "fs.azure.account.key",
    "apikey",
    "api-key",
    "auth-params",
    "service-key",
    "token",
    "basic-auth",
    "jaas.config",
    "http-headers",
    "access-key",
    "accesskey",
];

/// Whether a Flink option's value is a secret, by its name.
pub fn is_secret(key: &str) -> bool {
    let key = key.to_ascii_lowercase();
    SECRET_PARTS.iter().any(|part| key.contains(part))
}

impl FromStr for Assignment {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((key, value)) if !key.trim().is_empty() => {
                if key.contains(char::is_whitespace) {
                    return Err(format!("{key:?} is no key: it has a blank in it"));
                }
                Ok(Assignment { key: key.to_owned(), value: value.to_owned() })
            }
            _ => Err(format!("{text:?} is not KEY=VALUE")),
        }
    }
}

/// A CPU request as a Kubernetes quantity: `2`, `0.5`, `200m`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Cpu(String);

impl fmt::Display for Cpu {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Cpu {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = text.strip_suffix('m').unwrap_or(text);
        let digits = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
        match number.parse::<f64>() {
            Ok(cpus) if digits && cpus > 0.0 => Ok(Cpu(text.to_owned())),
            _ => Err(format!("{text:?} is no CPU quantity: write 2, 0.5 or 200m")),
        }
    }
}

/// How the web UI is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Expose {
    /// Inside the cluster only.
    ClusterIp,
    /// A port of every node; without a number Kubernetes chooses one.
    NodePort(Option<u16>),
    /// The cloud's load balancer.
    LoadBalancer,
}

impl Expose {
    /// The Service's type.
    pub fn service_type(self) -> &'static str {
        match self {
            Expose::ClusterIp => "ClusterIP",
            Expose::NodePort(_) => "NodePort",
            Expose::LoadBalancer => "LoadBalancer",
        }
    }
}

impl fmt::Display for Expose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expose::ClusterIp => f.write_str("cluster-ip"),
            Expose::NodePort(None) => f.write_str("node-port"),
            Expose::NodePort(Some(port)) => write!(f, "node-port={port}"),
            Expose::LoadBalancer => f.write_str("load-balancer"),
        }
    }
}

impl FromStr for Expose {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            None if text == "cluster-ip" => Ok(Expose::ClusterIp),
            None if text == "node-port" => Ok(Expose::NodePort(None)),
            None if text == "load-balancer" => Ok(Expose::LoadBalancer),
            Some(("node-port", port)) => match port.parse() {
                Ok(port @ 1..) => Ok(Expose::NodePort(Some(port))),
                _ => Err(format!("{port:?} is no port; API servers take 30000 to 32767 by default")),
            },
            _ => Err(format!("{text:?} is not one of cluster-ip, node-port, node-port=PORT, load-balancer")),
        }
    }
}

/// A taint to tolerate, written as `kubectl taint` writes it; without `=VALUE` any value, without `:EFFECT` any effect.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Taint(String);

impl Taint {
    /// The toleration of the pod.
    pub fn toleration(&self) -> Toleration {
        let (taint, effect) = self.0.split_once(':').map_or((self.0.as_str(), None), |(t, e)| (t, Some(e.to_owned())));
        let (key, value) = taint.split_once('=').map_or((taint, None), |(k, v)| (k, Some(v.to_owned())));
        let operator = Some(if value.is_some() { "Equal" } else { "Exists" }.to_owned());
        Toleration { key: Some(key.to_owned()), operator, value, effect, ..Toleration::default() }
    }
}

impl fmt::Display for Taint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for Taint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let effect = text.split_once(':').map(|(_, effect)| effect);
        if text.is_empty() || text.starts_with([':', '=']) {
            return Err(format!("{text:?} names no taint: write KEY, KEY=VALUE or KEY=VALUE:NoSchedule"));
        }
        match effect {
            None | Some("NoSchedule" | "PreferNoSchedule" | "NoExecute") => Ok(Taint(text.to_owned())),
            Some(effect) => Err(format!("{effect:?} is no effect: NoSchedule, PreferNoSchedule or NoExecute")),
        }
    }
}

/// These types are written as the text that the user writes.
macro_rules! serialize_as_text {
    ($($type:ty),*) => {$(
        impl TryFrom<String> for $type {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                text.parse()
            }
        }

        impl From<$type> for String {
            fn from(value: $type) -> String {
                value.to_string()
            }
        }
    )*};
}
serialize_as_text!(Cpu, Expose, Taint, MemorySize, HaStorage, Version);

impl TryFrom<String> for Assignment {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Assignment> for String {
    /// The value as it is: Display hides secrets.
    fn from(assignment: Assignment) -> String {
        format!("{}={}", assignment.key, assignment.value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assign(list: &[&str]) -> Vec<Assignment> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn an_option_that_is_not_given_keeps_what_was_recorded() {
        let recorded = Options { taskmanagers: Some(3), dynamic: assign(&["a=1", "b=2"]), ..Options::default() };
        let given = Options { slots: Some(4), dynamic: assign(&["b=3"]), ..Options::default() };
        let merged = given.over(recorded);
        assert_eq!((merged.taskmanagers, merged.slots), (Some(3), Some(4)));
        assert_eq!(merged.dynamic, assign(&["a=1", "b=3"]));
    }

    #[test]
    fn the_record_is_read_back() {
        let options = Options {
            flink_version: Some("1.20".parse().unwrap()),
            ha_storage: Some("s3://b/x".parse().unwrap()),
            jobmanager_memory: Some("2g".parse().unwrap()),
            expose: Some("node-port=31081".parse().unwrap()),
            toleration: vec!["a=b:NoSchedule".parse().unwrap()],
            dynamic: assign(&["s3.secret-key=x=y"]),
            ..Options::default()
        };
        let text = serde_json::to_string(&options).unwrap();
        assert_eq!(
            text,
            r#"{"flinkVersion":"1.20.5","jobmanagerMemory":"2048m","haStorage":"s3://b/x","dynamic":["s3.secret-key=x=y"],"expose":"node-port=31081","toleration":["a=b:NoSchedule"]}"#
        );
        assert_eq!(serde_json::from_str::<Options>(&text).unwrap(), options);
    }

    #[test]
    fn dynamic_options_with_a_flag_of_their_own_go_there() {
        let dynamic = assign(&["jobmanager.memory.process.size=2g", "parallelism.default=4", "x=y"]);
        let options = Options { dynamic, ..Options::default() }.normalized().unwrap();
        assert_eq!((options.parallelism, options.dynamic), (Some(4), assign(&["x=y"])));
        for (bad, why) in [
            ("kubernetes.cluster-id=x", "NAME"),
            ("high-availability=none", "highly available"),
            ("taskmanager.numberOfTaskSlots=3", "contradicts --slots 2"),
            ("parallelism.default=0", "from 1 on"),
        ] {
            let options = Options { slots: Some(2), dynamic: assign(&[bad]), ..Options::default() };
            let error = options.normalized().unwrap_err();
            assert!(error.message.contains(why), "{bad}: {error}");
        }
    }

    #[test]
    fn secrets_are_not_shown() {
        assert_eq!(assign(&["s3.secret-key=abc"])[0].to_string(), "s3.secret-key=******");
        assert_eq!(assign(&["rest.port=8082"])[0].to_string(), "rest.port=8082");
    }
}
