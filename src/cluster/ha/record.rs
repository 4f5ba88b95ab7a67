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

/// Reads what was recorded. A leader that was elected since may have other storage: the record holds for the lease that
/// it was written with and for no other.
pub(super) fn recorded(map: &ConfigMap) -> Option<Storage> {
    let annotations = map.metadata.annotations.as_ref()?;
    let record: Value = serde_json::from_str(annotations.get(ANNOTATION)?).ok()?;
    let lease = annotations.get(LEADER_ANNOTATION).map(String::as_str);
    if record.get("lease").and_then(Value::as_str) != lease {
        return None;
    }
    let name = || record.get("name").and_then(Value::as_str).map(str::to_owned);
    match record.get("kind")?.as_str()? {
        "podLocal" => Some(Storage::PodLocal),
        "uri" => name().map(Storage::Uri),
        "claim" => name().map(|name| Storage::Claim { name }),
        "hostPath" => name().map(|path| Storage::HostPath { path }),
        _ => None,
    }
}

/// Makes a record that holds hold for this lease too: it is ours.
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
pub async fn leave(connection: &Connection, state: &HaState, storage: &Storage) -> Result<()> {
    let Some(map) = state.cluster_map() else { return Ok(()) };
    let api: Api<ConfigMap> = Api::namespaced(connection.client.clone(), &state.namespace);
    let Some(now) = api.get_metadata_opt(&map.name).await? else { return Ok(()) };
    let lease = now.metadata.annotations.as_ref().and_then(|annotations| annotations.get(LEADER_ANNOTATION));
    let mut record = serde_json::to_value(storage).unwrap_or_default();
    if let Value::Object(record) = &mut record {
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
        let local = json!({"kind": "podLocal", "lease": "one"});
        assert_eq!(recorded(&map("one", &local)), Some(Storage::PodLocal));
        assert_eq!(recorded(&map("two", &local)), None);
        let claim = json!({"kind": "claim", "name": "flink-storage", "lease": "one"});
        assert_eq!(recorded(&map("one", &claim)), Some(Storage::Claim { name: "flink-storage".into() }));
        assert_eq!(recorded(&map("one", &json!({"kind": "unknown", "lease": "one"}))), None);
        let mut carried = map("one", &local);
        carry_over(&mut carried, "three");
        carried.metadata.annotations.as_mut().unwrap().insert(LEADER_ANNOTATION.into(), "three".into());
        assert_eq!(recorded(&carried), Some(Storage::PodLocal));
        let mut stale = map("two", &local);
        carry_over(&mut stale, "two");
        assert_eq!(recorded(&stale), None);
    }
}
