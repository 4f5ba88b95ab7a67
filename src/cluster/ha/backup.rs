//! A copy of high-availability data in a file, for `kubectl create -f` and for `clean-ha --restore`.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::ObjectMeta;
use serde_json::{Value, json};

use crate::error::{Error, Result};
use crate::flink::ha::{HaMap, LEADER_ANNOTATION, LeaderRecord, is_leaders_key};
use crate::manifests::yaml;

/// What is to be kept of a ConfigMap: the entries that `keep` names. What its leader wrote of itself, and what the API
/// server did, is left out: put back, it would only mislead. A lease is kept as one that was given back: without any, a
/// JobManager tries to create the ConfigMap, which is there, and nobody ever leads (`LeaderElector.tryAcquireOrRenew` of
/// fabric8: "configmaps ... already exists").
pub(super) fn copy(map: &ConfigMap, keep: impl Fn(&str) -> bool) -> ConfigMap {
    let metadata = &map.metadata;
    let mut annotations = metadata.annotations.clone().unwrap_or_default();
    annotations.retain(|key, _| !key.starts_with("kubectl-flink/"));
    if let Some(lease) = annotations.get_mut(LEADER_ANNOTATION) {
        *lease = LeaderRecord::taken_by("", Timestamp::now(), Some(lease));
    }
    let data = map.data.iter().flatten().filter(|(key, _)| !is_leaders_key(key) && keep(key));
    ConfigMap {
        metadata: ObjectMeta {
            name: metadata.name.clone(),
            namespace: metadata.namespace.clone(),
            labels: metadata.labels.clone(),
            annotations: (!annotations.is_empty()).then_some(annotations),
            ..ObjectMeta::default()
        },
        data: Some(data.map(|(key, value)| (key.clone(), value.clone())).collect()),
        ..ConfigMap::default()
    }
}

/// Writes the copies to a new file in `folder`, for its owner's eyes only, and makes sure that it is on the disk.
///
/// # Errors
/// The file cannot be written in full; what was written is removed again.
pub(super) fn write(folder: &Path, namespace: &str, cluster_id: &str, maps: &[ConfigMap]) -> Result<PathBuf> {
    let now = Timestamp::now();
    let mut text = format!(
        "# High-availability data of the Flink cluster {cluster_id} in namespace {namespace}, removed at {now:.0}.\n\
         # Put it back: kubectl flink clean-ha --restore FILE\n"
    );
    for map in maps {
        let mut document = json!({"apiVersion": "v1", "kind": "ConfigMap"});
        let rest = serde_json::to_value(map).map_err(|error| Error::could_not_run(error.to_string()))?;
        if let (Value::Object(document), Value::Object(rest)) = (&mut document, rest) {
            document.extend(rest);
        }
        text.push_str("---\n");
        text.push_str(&yaml::to_string(&document)?);
    }
    let stamp = now.strftime("%Y%m%dT%H%M%SZ").to_string();
    let failed = |path: &Path, error: &std::io::Error| {
        Error::could_not_run(format!("nothing was removed: the backup {} cannot be written: {error}", path.display()))
            .hint("choose another folder with --backup-dir")
    };
    let mut number = 1;
    let (path, mut file) = loop {
        let ending = if number == 1 { String::new() } else { format!("-{number}") };
        let path = folder.join(format!("flink-ha-{namespace}-{cluster_id}-{stamp}{ending}.yaml"));
        match create(&path) {
            Ok(file) => break (path, file),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => number += 1,
            Err(error) => return Err(failed(&path, &error)),
        }
    };
    if let Err(error) = file.write_all(text.as_bytes()).and_then(|()| file.sync_all()) {
        let _ = std::fs::remove_file(&path);
        return Err(failed(&path, &error));
    }
    Ok(path)
}

fn create(path: &Path) -> std::io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}

/// Reads a backup: ConfigMaps that hold high-availability data, each with its namespace, or `namespace` where it has none.
///
/// # Errors
/// The file cannot be read, or something else stands in it; with the line where that can be said.
pub fn read(path: &Path, namespace: &str) -> Result<Vec<ConfigMap>> {
    let origin = path.display().to_string();
    let text = std::fs::read_to_string(path)
        .map_err(|error| Error::usage(format!("the backup {origin} cannot be read: {error}")))?;
    let mut maps = Vec::new();
    for (number, document) in yaml::documents(&origin, &text)?.into_iter().enumerate() {
        let not_ha = |what: &str| {
            Error::usage(format!("{origin}: document {}: {what}", number + 1))
                .hint("--restore takes a file that clean-ha has written")
        };
        let kind = document.get("kind").and_then(Value::as_str).unwrap_or_default();
        if kind != "ConfigMap" {
            return Err(not_ha(&format!("it is no ConfigMap but a {kind:?}")));
        }
        let mut map: ConfigMap = serde_json::from_value(document).map_err(|error| not_ha(&error.to_string()))?;
        map.metadata.namespace.get_or_insert_with(|| namespace.to_owned());
        if HaMap::read(&map).is_none() {
            let name = map.metadata.name.unwrap_or_default();
            return Err(not_ha(&format!("ConfigMap {name:?} is not high-availability data of Flink")));
        }
        maps.push(map);
    }
    if maps.is_empty() {
        return Err(Error::usage(format!("{origin}: there is nothing in it")));
    }
    Ok(maps)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map() -> ConfigMap {
        serde_json::from_value(json!({
            "metadata": {
                "name": "flink-cluster-config-map", "namespace": "a", "uid": "u", "resourceVersion": "7",
                "labels": {"app": "flink", "type": "flink-native-kubernetes"},
                "annotations": {LEADER_ANNOTATION: r#"{"holderIdentity":"gone"}"#, "kubectl-flink/ha-storage": "{}", "team": "x"},
                "managedFields": [{"manager": "okhttp"}]
            },
            "data": {
                "jobGraph-7601318e4ccd7281759507f40830fea9": "rO0ABX", "address": "x",
                "jobGraph-00000000000000000000000000000001": "other",
                "org.apache.flink.k8s.leader.restserver": "x,http://10.0.0.1:8081"
            }
        }))
        .unwrap()
    }

    #[test]
    fn what_is_written_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let copied = copy(&map(), |key| key.ends_with("fea9"));
        let first = write(folder.path(), "a", "flink", std::slice::from_ref(&copied)).unwrap();
        let second = write(folder.path(), "a", "flink", std::slice::from_ref(&copied)).unwrap();
        assert_ne!(first, second);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            assert_eq!(std::fs::metadata(&first).unwrap().permissions().mode() & 0o777, 0o600);
        }
        let read = read(&first, "elsewhere").unwrap();
        assert_eq!(read, [copied]);
        let text = serde_json::to_string(&read[0]).unwrap();
        for gone in
            ["uid", "resourceVersion", "kubectl-flink/", "managedFields", "leader.restserver", "address", "gone"]
        {
            assert!(!text.contains(gone), "{gone}: {text}");
        }
        assert_eq!(read[0].data.as_ref().unwrap().len(), 1);
        let annotations = read[0].metadata.annotations.as_ref().unwrap();
        assert_eq!(annotations["team"], "x");
        assert_eq!(LeaderRecord::parse(&annotations[LEADER_ANNOTATION]).unwrap().holder, None);
    }

    #[test]
    fn what_is_no_backup() {
        let folder = tempfile::tempdir().unwrap();
        let message = |text: &str| {
            let path = folder.path().join("x.yaml");
            std::fs::write(&path, text).unwrap();
            read(&path, "a").unwrap_err().message
        };
        assert!(message("").contains("there is nothing in it"));
        assert!(message("a: [").contains("x.yaml:1:"));
        assert!(message("kind: Secret").contains("no ConfigMap"));
        assert!(message("kind: ConfigMap\nmetadata: {name: a}").contains("\"a\" is not high-availability data"));
        assert!(read(Path::new("/nowhere/x.yaml"), "a").unwrap_err().message.contains("cannot be read"));
        let unwritable = write(Path::new("/proc"), "a", "flink", &[map()]).unwrap_err();
        assert!(unwritable.message.starts_with("nothing was removed"), "{}", unwritable.message);
    }
}
