//! What `up` has to know of a cluster before it decides anything, read in one round.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, PersistentVolumeClaim};
use k8s_openapi::api::storage::v1::StorageClass;
use kube::api::{Api, ListParams, PostParams};
use serde_json::json;

use super::access::known;
use super::{Connection, FIELD_MANAGER};
use crate::error::{Error, Result};

/// The namespace that a command works in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamespaceState {
    /// It is there, with these labels.
    Exists(BTreeMap<String, String>),
    /// It is not there.
    Missing,
    /// The caller may not know.
    Unknown,
}

/// A default StorageClass, which gives a claim without a class its volume.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DefaultStorageClass {
    /// Its name.
    Named(String),
    /// There is none.
    None,
    /// The caller may not know.
    Unknown,
}

/// What was found before `up` decides.
#[derive(Debug)]
pub struct Facts {
    /// `v1.36.3`
    pub server_version: String,
    /// The namespace.
    pub namespace: NamespaceState,
    /// The configuration's ConfigMap, with the record of the last `up`.
    pub config_map: Option<ConfigMap>,
    /// The TaskManagers' Deployment as it is.
    pub taskmanager: Option<Deployment>,
    /// The name of a `HorizontalPodAutoscaler` that scales the TaskManagers.
    pub autoscaler: Option<String>,
    /// The cluster's default StorageClass.
    pub storage_class: DefaultStorageClass,
}

impl Facts {
    /// Reads them all at once. What the caller may not read is unknown, not an error.
    ///
    /// # Errors
    /// The server cannot be reached, or is too old for server-side apply.
    pub async fn read(connection: &Connection, config_map: &str, taskmanager: &str) -> Result<Self> {
        let (client, namespace) = (&connection.client, connection.namespace.as_str());
        let namespaces: Api<Namespace> = Api::all(client.clone());
        let config_maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
        let autoscalers: Api<HorizontalPodAutoscaler> = Api::namespaced(client.clone(), namespace);
        let classes: Api<StorageClass> = Api::all(client.clone());
        let everything = ListParams::default();
        let (version, namespace_object, config_map, taskmanager_object, autoscalers, classes) = futures::join!(
            client.apiserver_version(),
            namespaces.get_opt(namespace),
            config_maps.get_opt(config_map),
            deployments.get_opt(taskmanager),
            autoscalers.list(&everything),
            classes.list(&everything),
        );
        let version = version?;
        check_version(&version.major, &version.minor, &version.git_version)?;
        let namespace_state = match known(namespace_object)? {
            Some(Some(found)) => NamespaceState::Exists(found.metadata.labels.unwrap_or_default()),
            Some(None) => NamespaceState::Missing,
            None => NamespaceState::Unknown,
        };
        let storage_class = match known(classes)? {
            Some(classes) => classes
                .into_iter()
                .find(is_default)
                .and_then(|class| class.metadata.name)
                .map_or(DefaultStorageClass::None, DefaultStorageClass::Named),
            None => default_class_by_dry_run(connection).await,
        };
        let taskmanager_object = known(taskmanager_object)?.flatten();
        let autoscaler = match known(autoscalers)? {
            Some(list) => list
                .into_iter()
                .find(|autoscaler| {
                    let target = autoscaler.spec.as_ref().map(|spec| &spec.scale_target_ref);
                    target.is_some_and(|target| target.kind == "Deployment" && target.name == taskmanager)
                })
                .and_then(|autoscaler| autoscaler.metadata.name),
            None => None,
        };
        Ok(Facts {
            server_version: version.git_version,
            namespace: namespace_state,
            config_map: known(config_map)?.flatten(),
            taskmanager: taskmanager_object,
            autoscaler,
            storage_class,
        })
    }
}

/// Server-side apply is there from 1.22 on.
fn check_version(major: &str, minor: &str, git_version: &str) -> Result<()> {
    let number = |text: &str| text.trim_end_matches('+').parse::<u32>().unwrap_or_default();
    if (number(major), number(minor)) < (1, 22) {
        return Err(Error::could_not_run(format!(
            "the API server is {git_version}: server-side apply needs Kubernetes 1.22 or later"
        )));
    }
    Ok(())
}

fn is_default(class: &StorageClass) -> bool {
    let annotations = class.metadata.annotations.as_ref();
    annotations.and_then(|a| a.get("storageclass.kubernetes.io/is-default-class")).is_some_and(|value| value == "true")
}

/// Who may not list StorageClasses (the ClusterRole `admin` may not) still sees which one a claim would get: the API
/// server fills it in, in a dry run too.
async fn default_class_by_dry_run(connection: &Connection) -> DefaultStorageClass {
    let api: Api<PersistentVolumeClaim> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let claim = serde_json::from_value(json!({
        "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"generateName": "kubectl-flink-"},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Mi"}}},
    }));
    let Ok(claim) = claim else { return DefaultStorageClass::Unknown };
    let params = PostParams { dry_run: true, field_manager: Some(FIELD_MANAGER.to_owned()) };
    match api.create(&params, &claim).await {
        Ok(claim) => match claim.spec.and_then(|spec| spec.storage_class_name) {
            Some(class) => DefaultStorageClass::Named(class),
            None => DefaultStorageClass::None,
        },
        Err(_) => DefaultStorageClass::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::check_version;

    #[test]
    fn old_api_servers_are_refused() {
        assert!(check_version("1", "36", "v1.36.3").is_ok());
        assert!(check_version("1", "22+", "v1.22.1-gke").is_ok());
        assert!(check_version("1", "21", "v1.21.0").unwrap_err().message.contains("v1.21.0"));
    }
}
