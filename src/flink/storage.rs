//! What lies behind a path of a container: which volume is mounted there, and whether it outlives the pod.

use std::fmt;
use std::path::Path;

use k8s_openapi::api::core::v1::{Container, PodSpec, Volume};
use serde::ser::{Serialize, SerializeMap, Serializer};

/// Where Flink keeps what must survive its pods.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Storage {
    /// A file system of its own: `s3://...`, `hdfs://...`, an NFS server.
    Uri(String),
    /// A PersistentVolumeClaim, or a StatefulSet's claim template of this name.
    Claim {
        /// The claim's name.
        name: String,
    },
    /// A folder of the node: it survives the pod, on that node.
    HostPath {
        /// The folder on the node.
        path: String,
    },
    /// It is gone with the pod.
    PodLocal,
    /// There is no such path: high availability is off, or has no folder.
    None,
    /// A kind of volume of which it cannot be said.
    Unknown,
}

impl fmt::Display for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Storage::Uri(uri) => f.write_str(uri),
            Storage::Claim { name } => write!(f, "claim {name}"),
            Storage::HostPath { path } => write!(f, "host path {path}"),
            Storage::PodLocal => f.write_str("pod-local"),
            Storage::None => f.write_str("none"),
            Storage::Unknown => f.write_str("unknown"),
        }
    }
}

/// `{"kind": "claim", "name": "flink-storage"}`; the name is left out where there is none.
impl Serialize for Storage {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let (kind, name) = match self {
            Storage::Uri(uri) => ("uri", Some(uri)),
            Storage::Claim { name } => ("claim", Some(name)),
            Storage::HostPath { path } => ("hostPath", Some(path)),
            Storage::PodLocal => ("podLocal", None),
            Storage::None => ("none", None),
            Storage::Unknown => ("unknown", None),
        };
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("kind", kind)?;
        if let Some(name) = name {
            map.serialize_entry("name", name)?;
        }
        map.end()
    }
}

/// What is behind `dir` (a URI or a path, as Flink's configuration has it) in this container of the pod.
pub fn behind(spec: &PodSpec, container: &str, dir: &str) -> Storage {
    let dir = dir.trim();
    let Some(path) = local_path(dir) else {
        return if dir.is_empty() { Storage::None } else { Storage::Uri(dir.to_owned()) };
    };
    let Some(container) = spec.containers.iter().find(|candidate| candidate.name == container) else {
        return Storage::Unknown;
    };
    let Some(mounted) = mounted_at(spec, container, path) else { return Storage::PodLocal };
    // A mount without a volume is a claim template: the API server refuses it anywhere but in a StatefulSet.
    let Some(volume) = mounted.volume else { return Storage::Claim { name: mounted.name.to_owned() } };
    if let Some(claim) = &volume.persistent_volume_claim {
        Storage::Claim { name: claim.claim_name.clone() }
    } else if let Some(host) = &volume.host_path {
        Storage::HostPath { path: host.path.clone() }
    } else if let Some(nfs) = &volume.nfs {
        Storage::Uri(format!("nfs://{}{}", nfs.server, nfs.path))
    } else if volume.empty_dir.is_some() || volume.ephemeral.is_some() {
        Storage::PodLocal
    } else {
        Storage::Unknown
    }
}

/// The path of `file:/a`, `file:///a` and `/a`; of another file system there is none.
pub fn local_path(dir: &str) -> Option<&str> {
    match dir.strip_prefix("file:") {
        // The host of file://host/path is ignored by Flink's LocalFileSystem.
        Some(rest) => match rest.strip_prefix("//") {
            Some(authority) => authority.find('/').map(|slash| &authority[slash..]),
            None => Some(rest),
        },
        None => dir.starts_with('/').then_some(dir),
    }
}

/// Whether a file, on a local path, is in this folder.
pub fn is_in(file: &str, dir: &str) -> bool {
    local_path(file).zip(local_path(dir)).is_some_and(|(file, dir)| Path::new(file).starts_with(dir))
}

/// What a container sees at a path.
#[derive(Debug, Clone, PartialEq)]
pub struct Mounted<'a> {
    /// The volume's name.
    pub name: &'a str,
    /// The volume; none where only a StatefulSet's claim template has the name.
    pub volume: Option<&'a Volume>,
    /// The path inside the volume, without a slash at either end.
    pub path: String,
}

/// The volume over `path`: of several mounts the innermost, as the kernel has it.
pub fn mounted_at<'a>(spec: &'a PodSpec, container: &'a Container, path: &str) -> Option<Mounted<'a>> {
    let inside = |mount_path: &str| {
        let rest = path.trim_end_matches('/').strip_prefix(mount_path.trim_end_matches('/'))?;
        (rest.is_empty() || rest.starts_with('/')).then(|| rest.trim_matches('/').to_owned())
    };
    let (mount, rest) = (container.volume_mounts.iter().flatten())
        .filter_map(|mount| Some((mount, inside(&mount.mount_path)?)))
        .max_by_key(|(mount, _)| mount.mount_path.trim_end_matches('/').len())?;
    let sub_path = mount.sub_path.as_deref().or(mount.sub_path_expr.as_deref()).unwrap_or_default().trim_matches('/');
    let path = [sub_path, &rest].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("/");
    let volume = spec.volumes.iter().flatten().find(|volume| volume.name == mount.name);
    Some(Mounted { name: &mount.name, volume, path })
}

/// The ConfigMap and the key that a container would read at `path`, whether or not the ConfigMap has that key.
pub fn config_map_behind(spec: &PodSpec, container: &Container, path: &str) -> Option<(String, String)> {
    let mounted = mounted_at(spec, container, path)?;
    let volume = mounted.volume?;
    let maps = volume.config_map.iter().map(|map| (&map.name, map.items.as_ref())).chain(
        (volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten()))
            .filter_map(|source| source.config_map.as_ref())
            .map(|map| (&map.name, map.items.as_ref())),
    );
    for (name, items) in maps {
        let key = match items {
            None => Some(mounted.path.clone()),
            Some(items) => items.iter().find(|item| item.path == mounted.path).map(|item| item.key.clone()),
        };
        if let Some(key) = key {
            return Some((name.clone(), key));
        }
    }
    None
}

/// Whether an option's value is the key to a storage that Flink has a plugin for.
pub fn is_credential(option: &str) -> bool {
    let option = option.to_ascii_lowercase();
    let s3 = option.contains("s3") && ["secret-key", "secret.key", "secretkey"].iter().any(|end| option.ends_with(end));
    s3 || option.starts_with("fs.azure.account.key.") || option == "fs.oss.accesskeysecret"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn spec(mounts: &Value, volumes: &Value) -> PodSpec {
        serde_json::from_value(json!({
            "containers": [{"name": "jm", "volumeMounts": mounts}], "volumes": volumes
        }))
        .unwrap()
    }

    #[test]
    fn each_kind_of_storage() {
        let spec = spec(
            &json!([
                {"name": "claim", "mountPath": "/data"}, {"name": "scratch", "mountPath": "/data/tmp/"},
                {"name": "node", "mountPath": "/host"}, {"name": "template", "mountPath": "/template"},
                {"name": "nfs", "mountPath": "/nfs"}, {"name": "csi", "mountPath": "/csi"}
            ]),
            &json!([
                {"name": "claim", "persistentVolumeClaim": {"claimName": "flink-storage"}}, {"name": "scratch", "emptyDir": {}},
                {"name": "node", "hostPath": {"path": "/mnt/flink"}}, {"name": "nfs", "nfs": {"server": "nas", "path": "/x"}},
                {"name": "csi", "csi": {"driver": "a.b"}}
            ]),
        );
        let claim = Storage::Claim { name: "flink-storage".into() };
        for dir in ["/data/ha", "file:/data/ha", "file:///data/ha", "/data", "file:///data/"] {
            assert_eq!(behind(&spec, "jm", dir), claim, "{dir}");
        }
        assert_eq!(behind(&spec, "jm", "/data/tmp/ha"), Storage::PodLocal);
        assert_eq!(behind(&spec, "jm", "/database"), Storage::PodLocal);
        assert_eq!(behind(&spec, "jm", "/tmp/ha"), Storage::PodLocal);
        assert_eq!(behind(&spec, "jm", "/host/ha"), Storage::HostPath { path: "/mnt/flink".into() });
        assert_eq!(behind(&spec, "jm", "/template/ha"), Storage::Claim { name: "template".into() });
        assert_eq!(behind(&spec, "jm", "/nfs/ha"), Storage::Uri("nfs://nas/x".into()));
        assert_eq!(behind(&spec, "jm", "/csi/ha"), Storage::Unknown);
        assert_eq!(behind(&spec, "jm", "s3://bucket/ha"), Storage::Uri("s3://bucket/ha".into()));
        assert_eq!(behind(&spec, "jm", "hdfs:///ha"), Storage::Uri("hdfs:///ha".into()));
        assert_eq!(behind(&spec, "jm", ""), Storage::None);
        assert_eq!(behind(&spec, "other", "/data/ha"), Storage::Unknown);
        assert_eq!(serde_json::to_value(&claim).unwrap(), json!({"kind": "claim", "name": "flink-storage"}));
        assert_eq!(serde_json::to_value(Storage::PodLocal).unwrap(), json!({"kind": "podLocal"}));
    }

    #[test]
    fn config_map_of_a_file() {
        let spec = spec(
            &json!([
                {"name": "all", "mountPath": "/opt/flink/conf"}, {"name": "some", "mountPath": "/a"},
                {"name": "many", "mountPath": "/b"}, {"name": "all", "mountPath": "/c/config.yaml", "subPath": "config.yaml"}
            ]),
            &json!([
                {"name": "all", "configMap": {"name": "flink-config"}},
                {"name": "some", "configMap": {"name": "flink-config", "items": [{"key": "conf", "path": "config.yaml"}]}},
                {"name": "many", "projected": {"sources": [
                    {"secret": {"name": "s"}},
                    {"configMap": {"name": "one", "items": [{"key": "x", "path": "y"}]}}, {"configMap": {"name": "two"}}
                ]}}
            ]),
        );
        let at = |path| config_map_behind(&spec, &spec.containers[0], path);
        let map = |name: &str, key: &str| Some((name.to_owned(), key.to_owned()));
        assert_eq!(at("/opt/flink/conf/config.yaml"), map("flink-config", "config.yaml"));
        assert_eq!(at("/a/config.yaml"), map("flink-config", "conf"));
        assert_eq!(at("/a/flink-conf.yaml"), None);
        assert_eq!(at("/b/y"), map("one", "x"));
        assert_eq!(at("/b/config.yaml"), map("two", "config.yaml"));
        assert_eq!(at("/c/config.yaml"), map("flink-config", "config.yaml"));
        assert_eq!(at("/d/config.yaml"), None);
    }
}
