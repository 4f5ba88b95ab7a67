//! Where high-availability data, checkpoints and savepoints are kept.

use std::fmt;
use std::str::FromStr;

use super::version::Version;

/// Where the profile mounts a volume, if the storage is one.
pub const MOUNT_PATH: &str = "/flink-storage";

/// A choice of storage, as `--ha-storage` takes it.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum HaStorage {
    /// `s3://...` and the like: outlives pods and nodes.
    Uri(String),
    /// `pvc` or `pvc:NAME`: a volume; without a name, one that belongs to the cluster.
    Claim(Option<String>),
    /// `host-path:DIR`: a directory of the node.
    HostPath(String),
    /// `pod-local`: dies with the pod, and every job with it.
    PodLocal,
}

/// URI schemes, with the plugin that Flink's image has for them; HDFS needs Hadoop's own classes instead.
/// (Flink docs, "File Systems"; `FileSystem.java`, the list of schemes that plugins support.)
const SCHEMES: [(&str, Option<&str>); 10] = [
    ("s3", Some("flink-s3-fs-presto")),
    ("s3p", Some("flink-s3-fs-presto")),
    ("s3a", Some("flink-s3-fs-hadoop")),
    ("gs", Some("flink-gs-fs-hadoop")),
    ("abfs", Some("flink-azure-fs-hadoop")),
    ("abfss", Some("flink-azure-fs-hadoop")),
    ("wasb", Some("flink-azure-fs-hadoop")),
    ("wasbs", Some("flink-azure-fs-hadoop")),
    ("oss", Some("flink-oss-fs-hadoop")),
    ("hdfs", None),
];

impl HaStorage {
    /// The directory under which everything is kept, as a URI without a slash at its end.
    pub fn root(&self) -> String {
        match self {
            HaStorage::Uri(uri) => uri.trim_end_matches('/').to_owned(),
            _ => format!("file://{MOUNT_PATH}"),
        }
    }

    /// The plugin's jar in the image of `version`, for `ENABLE_BUILT_IN_PLUGINS`.
    pub fn plugin(&self, version: Version) -> Option<String> {
        let HaStorage::Uri(uri) = self else { return None };
        let (scheme, _) = uri.split_once("://")?;
        let (_, plugin) = SCHEMES.iter().find(|(known, _)| *known == scheme)?;
        plugin.map(|plugin| format!("{plugin}-{version}.jar"))
    }
}

/// Checks the name of a Kubernetes object: a DNS-1123 subdomain, as claims, secrets and service accounts have.
///
/// # Errors
/// No object can have that name.
pub fn object_name(name: &str) -> Result<String, String> {
    let is_label = |label: &str| {
        let ends = |c: Option<char>| c.is_some_and(|c| c != '-');
        label.chars().all(|c| matches!(c, 'a'..='z' | '0'..='9' | '-'))
            && ends(label.chars().next())
            && ends(label.chars().next_back())
    };
    if name.len() <= 253 && name.split('.').all(is_label) {
        return Ok(name.to_owned());
    }
    Err(format!(
        "{name:?} cannot be an object's name: only a-z, 0-9, '-' and '.' may be in it, not '-' or '.' at an end"
    ))
}

impl fmt::Display for HaStorage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            HaStorage::Uri(uri) => f.write_str(uri),
            HaStorage::Claim(None) => f.write_str("pvc"),
            HaStorage::Claim(Some(name)) => write!(f, "pvc:{name}"),
            HaStorage::HostPath(dir) => write!(f, "host-path:{dir}"),
            HaStorage::PodLocal => f.write_str("pod-local"),
        }
    }
}

impl FromStr for HaStorage {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some((scheme, rest)) = text.split_once("://") {
            if !SCHEMES.iter().any(|(known, _)| *known == scheme) {
                let known: Vec<_> = SCHEMES.iter().map(|(known, _)| *known).collect();
                return Err(format!("{scheme}:// is no storage that Flink has a plugin for: {}", known.join(", ")));
            }
            if rest.trim_matches('/').is_empty() {
                return Err(format!("{text:?} names no bucket: write {scheme}://BUCKET/FOLDER"));
            }
            return Ok(HaStorage::Uri(text.trim_end_matches('/').to_owned()));
        }
        match text.split_once(':') {
            None if text == "pvc" => Ok(HaStorage::Claim(None)),
            None if text == "pod-local" => Ok(HaStorage::PodLocal),
            Some(("pvc", name)) => Ok(HaStorage::Claim(Some(object_name(name)?))),
            Some(("host-path", dir)) if dir.starts_with('/') && dir != "/" => Ok(HaStorage::HostPath(dir.to_owned())),
            Some(("host-path", _)) => {
                Err("host-path: needs an absolute directory: host-path:/var/lib/flink".to_owned())
            }
            _ => Err(format!(
                "{text:?} is no storage: write s3://BUCKET/FOLDER (or gs, abfs, hdfs, oss), pvc, pvc:NAME, host-path:DIR or \
                 pod-local"
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_what_it_writes() {
        for text in ["s3://bucket/a", "gs://b", "pvc", "pvc:shared", "host-path:/data", "pod-local"] {
            assert_eq!(text.parse::<HaStorage>().map(|s| s.to_string()).as_deref(), Ok(text));
        }
        for bad in ["", "s3://", "ftp://host/x", "pvc:", "pvc:My_Claim", "host-path:data", "host-path:/", "nfs"] {
            assert!(bad.parse::<HaStorage>().is_err(), "{bad}");
        }
    }

    #[test]
    fn names_the_plugin_of_that_very_version() {
        let plugin = |uri: &str| HaStorage::Uri(uri.to_owned()).plugin(Version::new(1, 20, 5));
        assert_eq!(plugin("s3://b/x").as_deref(), Some("flink-s3-fs-presto-1.20.5.jar"));
        assert_eq!(plugin("s3a://b/x").as_deref(), Some("flink-s3-fs-hadoop-1.20.5.jar"));
        assert_eq!(plugin("hdfs://namenode/x"), None);
    }
}
