//! Puts a copy of high-availability data back.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kube::api::PostParams;

use super::standstill;
use super::verdict::Situation;
use crate::cluster::access::{self, Right};
use crate::cluster::{Connection, FIELD_MANAGER};
use crate::error::{Error, Result};
use crate::flink::ha::{MapKind, MapName};

/// The ConfigMaps of a copy that belong to one cluster.
#[derive(Debug, Clone, PartialEq)]
pub struct Copy {
    /// Their namespace.
    pub namespace: String,
    /// `kubernetes.cluster-id`.
    pub cluster_id: String,
    /// Those of jobs first: the cluster's leads to them.
    pub maps: Vec<ConfigMap>,
}

/// Sorts what was read from a copy by cluster.
pub fn by_cluster(maps: Vec<ConfigMap>) -> Vec<Copy> {
    let mut copies: BTreeMap<(String, String), Vec<ConfigMap>> = BTreeMap::new();
    for map in maps {
        let Some(name) = map.metadata.name.as_deref().and_then(MapName::parse) else { continue };
        let namespace = map.metadata.namespace.clone().unwrap_or_default();
        copies.entry((namespace, name.cluster_id)).or_default().push(map);
    }
    let sorted = copies.into_iter().map(|((namespace, cluster_id), mut maps)| {
        maps.sort_by_key(|map| !is_job_map(map));
        Copy { namespace, cluster_id, maps }
    });
    sorted.collect()
}

fn is_job_map(map: &ConfigMap) -> bool {
    let name = map.metadata.name.as_deref().and_then(MapName::parse);
    matches!(name, Some(MapName { kind: MapKind::Job(_), .. }))
}

/// What was put back: ConfigMaps that were made, and entries that were added to one that is there, as `CONFIGMAP/KEY`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Restored {
    /// Names of ConfigMaps.
    pub config_maps: Vec<String>,
    /// Entries of others.
    pub entries: Vec<String>,
    /// What was there already, just so.
    pub unchanged: Vec<String>,
}

impl Restored {
    /// Nothing is back that was not there.
    pub fn is_empty(&self) -> bool {
        self.config_maps.is_empty() && self.entries.is_empty()
    }
}

/// Puts the copy back, unless a cluster lives on what is there. An entry that is there with another value is not
/// overwritten. `restored` is told what is back, also where the rest fails.
///
/// # Errors
/// A cluster lives on it or is about to, something else stands in its place, rights are missing, or what the API server
/// says.
pub async fn restore(
    connection: &Connection,
    copy: &Copy,
    there: &Situation,
    dry_run: bool,
    restored: &mut Restored,
) -> Result<()> {
    let busy = there
        .live()
        .or_else(|| there.crashing().next().map(|user| format!("{} would start on half of it", user.reference)));
    if let Some(why) = busy {
        let mut error = Error::could_not_run(format!(
            "nothing was put back: cluster {} in namespace {} is live: {why}",
            copy.cluster_id, copy.namespace
        ));
        for user in &there.users {
            let command = standstill::command(&user.workload, 0);
            error = match standstill::check(&user.workload) {
                Ok(()) => error.hint(format!("stop it first, and wait until its pods are gone: {command}")),
                Err(why) => why.hints.into_iter().fold(error.hint(why.message), Error::hint),
            };
        }
        return Err(error);
    }
    let namespace = Some(copy.namespace.as_str());
    let rights = ["get", "create", "update"].map(|verb| Right::new(verb, "", "configmaps", namespace));
    access::require(connection, rights.to_vec(), "nothing was put back").await?;
    let api: Api<ConfigMap> = Api::namespaced(connection.client.clone(), &copy.namespace);
    let mut found = Vec::new();
    for map in &copy.maps {
        let name = map.metadata.name.as_deref().unwrap_or_default();
        let now = api.get_opt(name).await?;
        let seen = there.state.maps.iter().find(|map| map.name == name).map(|map| &map.resource_version);
        if now.as_ref().and_then(|now| now.metadata.resource_version.as_ref()) != seen {
            return Err(Error::could_not_run(format!(
                "nothing was put back: configmap/{name} has changed since it was looked at: a JobManager may have started"
            ))
            .hint("look again: run the same command once more"));
        }
        if let Some(key) = now.as_ref().and_then(|now| disagreement(map, now)) {
            return Err(Error::could_not_run(format!(
                "nothing was put back: {key} in configmap/{name} is there, and has another value than in the copy"
            ))
            .hint("remove what is there first: kubectl flink clean-ha"));
        }
        found.push((map, now));
    }
    let params = PostParams { dry_run, field_manager: Some(FIELD_MANAGER.to_owned()) };
    for (map, now) in found {
        let name = map.metadata.name.clone().unwrap_or_default();
        let mut entries = Vec::new();
        let is_new = now.is_none();
        let written = match now {
            None => api.create(&params, map).await,
            Some(mut now) => {
                let data = now.data.get_or_insert_default();
                let missing: Vec<_> = map.data.iter().flatten().filter(|(key, _)| !data.contains_key(*key)).collect();
                if missing.is_empty() {
                    restored.unchanged.push(name);
                    continue;
                }
                entries.extend(missing.iter().map(|(key, _)| format!("{name}/{key}")));
                data.extend(missing.into_iter().map(|(key, value)| (key.clone(), value.clone())));
                // With its resource version: whoever has written it meanwhile was first.
                api.replace(&name, &params, &now).await
            }
        };
        match written {
            Ok(_) if is_new => restored.config_maps.push(name),
            Ok(_) => restored.entries.extend(entries),
            Err(kube::Error::Api(status)) if status.is_conflict() || status.is_already_exists() => {
                return Err(Error::could_not_run(format!(
                    "configmap/{name} has changed meanwhile: a JobManager has started"
                ))
                .hint("stop it, and run the same command again: it goes on where it stopped"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The first entry that both have with different values. The number of the next checkpoint may have moved on.
fn disagreement(copy: &ConfigMap, now: &ConfigMap) -> Option<String> {
    let there = now.data.as_ref()?;
    let differs = |(key, value): &(&String, &String)| {
        key.as_str() != "counter" && there.get(*key).is_some_and(|now| now != *value)
    };
    copy.data.iter().flatten().find(differs).map(|(key, _)| key.clone())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn map(name: &str, data: &Value) -> ConfigMap {
        serde_json::from_value(json!({"metadata": {"name": name, "namespace": "a"}, "data": data})).unwrap()
    }

    #[test]
    fn jobs_before_clusters() {
        let job = "flink-7601318e4ccd7281759507f40830fea9-config-map";
        let all = ["b-cluster-config-map", "flink-cluster-config-map", job];
        let copies = by_cluster(all.iter().map(|name| map(name, &json!({}))).collect());
        let names: Vec<Vec<&str>> = copies
            .iter()
            .map(|copy| copy.maps.iter().filter_map(|map| map.metadata.name.as_deref()).collect())
            .collect();
        assert_eq!(names, [vec!["b-cluster-config-map"], vec![job, "flink-cluster-config-map"]]);
    }

    #[test]
    fn what_is_there_is_not_overwritten() {
        let copy = map("x", &json!({"a": "1", "counter": "5"}));
        assert_eq!(disagreement(&copy, &map("x", &json!({"a": "1", "counter": "9", "b": "2"}))), None);
        assert_eq!(disagreement(&copy, &map("x", &json!({"a": "2"}))), Some("a".to_owned()));
    }
}
