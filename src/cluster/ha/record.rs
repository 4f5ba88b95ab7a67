//! What `down` writes down of the storage behind high-availability data that it leaves, for when nothing else is left
//! that tells.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::{Value, json};

use super::HaState;
use crate::cluster::{Connection, FIELD_MANAGER};
use crate::error::Result;
use crate::flink::ha::LEADER_ANNOTATION;
use crate::flink::storage::Storage;

/// The annotation on the cluster's ConfigMap.
const ANNOTATION: &str = "kubectl-flink/ha-storage";

/// What `down` has recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// What was behind the folder.
    pub storage: Storage,
    /// The folder, `high-availability.storageDir`, where it was known: nothing is said of others.
    pub dir: Option<String>,
}

/// Reads what was recorded. A leader that was elected since may have other storage: the record holds for the lease that
/// it was written with and for no other.
pub(super) fn recorded(map: &ConfigMap) -> Option<Record> {
    let annotations = map.metadata.annotations.as_ref()?;
    let record: Value = serde_json::from_str(annotations.get(ANNOTATION)?).ok()?;
    let lease = annotations.get(LEADER_ANNOTATION).map(String::as_str);
    if record.get("lease").and_then(Value::as_str) != lease {
        return None;
    }
    let text = |key: &str| record.get(key).and_then(Value::as_str).map(str::to_owned);
    let storage = match record.get("kind")?.as_str()? {
        "podLocal" => Storage::PodLocal,
        "uri" => Storage::Uri(text("name")?),
        "claim" => Storage::Claim { name: text("name")? },
        "hostPath" => Storage::HostPath { path: text("name")? },
        _ => return None,
    };
    Some(Record { storage, dir: text("dir") })
}

/// A record that holds is made to hold for this lease too, which is ours.
pub(super) fn carry_over(map: &mut ConfigMap, lease: &str) {
    if recorded(map).is_none() {
        return;
    }
    let record = map.metadata.annotations.as_mut().and_then(|annotations| annotations.get_mut(ANNOTATION));
    let Some(record) = record else { return };
    if let Ok(Value::Object(mut fields)) = serde_json::from_str(record) {
        fields.insert("lease".to_owned(), json!(lease));
        *record = Value::Object(fields).to_string();
    }
}

/// Records what storage is behind this data, if its JobManagers are gone. Data that changes meanwhile is left alone:
/// somebody lives on it.
///
/// # Errors
/// The ConfigMap may not be patched, or the API server does not answer.
pub async fn leave(connection: &Connection, state: &HaState, found: &Record) -> Result<()> {
    let Some(map) = state.cluster_map() else { return Ok(()) };
    let api: Api<ConfigMap> = Api::namespaced(connection.client.clone(), &state.namespace);
    let Some(now) = api.get_metadata_opt(&map.name).await? else { return Ok(()) };
    let lease = now.metadata.annotations.as_ref().and_then(|annotations| annotations.get(LEADER_ANNOTATION));
    let mut record = serde_json::to_value(&found.storage).unwrap_or_default();
    if let Value::Object(record) = &mut record {
        record.insert("dir".to_owned(), json!(found.dir));
        record.insert("lease".to_owned(), json!(lease));
        record.insert("recorded".to_owned(), json!(Timestamp::now().to_string()));
    }
    let patch = json!({"metadata": {
        "resourceVersion": now.metadata.resource_version,
        "annotations": { ANNOTATION: record.to_string() },
    }});
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    match api.patch_metadata(&map.name, &params, &Patch::Merge(&patch)).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_conflict() || status.is_not_found() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_holds_until_the_next_election() {
        let map = |lease: &str, record: &Value| -> ConfigMap {
            serde_json::from_value(json!({"metadata": {"annotations": {
                LEADER_ANNOTATION: lease, ANNOTATION: record.to_string(),
            }}}))
            .unwrap()
        };
        let read = |lease: &str, record: &Value| recorded(&map(lease, record));
        let local = json!({"kind": "podLocal", "dir": "file:///tmp/ha", "lease": "one"});
        let pod_local = Record { storage: Storage::PodLocal, dir: Some("file:///tmp/ha".into()) };
        assert_eq!(read("one", &local), Some(pod_local.clone()));
        assert_eq!(read("two", &local), None);
        let claim = json!({"kind": "claim", "name": "flink-storage", "lease": "one"});
        let storage = Storage::Claim { name: "flink-storage".into() };
        assert_eq!(read("one", &claim), Some(Record { storage, dir: None }));
        assert_eq!(read("one", &json!({"kind": "unknown", "lease": "one"})), None);
        let mut carried = map("one", &local);
        carry_over(&mut carried, "three");
        carried.metadata.annotations.as_mut().unwrap().insert(LEADER_ANNOTATION.into(), "three".into());
        assert_eq!(recorded(&carried), Some(pod_local));
        let mut stale = map("two", &local);
        carry_over(&mut stale, "two");
        assert_eq!(recorded(&stale), None);
    }
}
