//! The embedded manifests, the user's own numbered files, and typed edits on both.

pub mod options;
pub mod secrets;
pub mod session_ha;
pub mod tree;
pub mod yaml;

use std::path::Path;

use kube::api::DynamicObject;
use serde_json::Value;

use crate::error::{Error, Result};

/// The label by which objects that this program made are found again.
pub const MANAGED_BY: (&str, &str) = ("app.kubernetes.io/managed-by", "kubectl-flink");
/// The label that carries the NAME of the cluster.
pub const INSTANCE_LABEL: &str = "app.kubernetes.io/instance";
/// On the configuration's ConfigMap: the options of the last `up`, as JSON.
pub const OPTIONS_ANNOTATION: &str = "kubectl-flink/options";
/// On pod templates: a digest of the configuration, so that a changed one rolls the pods.
pub const CHECKSUM_ANNOTATION: &str = "kubectl-flink/configuration";

/// One numbered file with its objects, in the order in which they are to be applied.
#[derive(Debug, Clone)]
pub struct ManifestFile {
    /// The file's name, `02_rbac.yaml`.
    pub name: String,
    /// Its objects.
    pub objects: Vec<DynamicObject>,
}

impl ManifestFile {
    /// Reads one file. `origin` names it in errors, `name` is its short name.
    ///
    /// # Errors
    /// It is no YAML, or a document in it is no Kubernetes object.
    pub fn parse(origin: &str, name: &str, text: &str) -> Result<Self> {
        let mut objects = Vec::new();
        for (index, document) in yaml::documents(origin, text)?.into_iter().enumerate() {
            // `kind: List` is what `kubectl get -o yaml` writes.
            let items = match document {
                Value::Object(mut map)
                    if map.get("kind").and_then(Value::as_str).is_some_and(|k| k.ends_with("List")) =>
                {
                    match map.remove("items") {
                        Some(Value::Array(items)) => items,
                        _ => Vec::new(),
                    }
                }
                document => vec![document],
            };
            for item in items {
                let object =
                    serde_json::from_value::<DynamicObject>(item).ok().filter(is_complete).ok_or_else(|| {
                        Error::usage(format!("{origin}: document {} is no Kubernetes object", index + 1))
                            .hint("every document needs apiVersion, kind and metadata.name")
                    })?;
                objects.push(object);
            }
        }
        objects.sort_by_key(|object| dependency_rank(kind(object)));
        Ok(ManifestFile { name: name.to_owned(), objects })
    }

    /// The file's text.
    pub fn to_yaml(&self) -> Result<String> {
        let documents: Vec<_> = self.objects.iter().map(yaml::to_string).collect::<Result<_>>()?;
        Ok(documents.join("---\n"))
    }
}

fn is_complete(object: &DynamicObject) -> bool {
    let has_type = object.types.as_ref().is_some_and(|types| !types.kind.is_empty() && !types.api_version.is_empty());
    has_type && object.metadata.name.as_deref().is_some_and(|name| !name.is_empty())
}

/// The object's kind; empty where it has none, which [`ManifestFile::parse`] does not let in.
pub fn kind(object: &DynamicObject) -> &str {
    object.types.as_ref().map_or("", |types| types.kind.as_str())
}

/// The object's name; empty where it has none.
pub fn name(object: &DynamicObject) -> &str {
    object.metadata.name.as_deref().unwrap_or_default()
}

/// `deployment/flink-jobmanager`, as messages name an object.
pub fn reference(object: &DynamicObject) -> String {
    format!("{}/{}", kind(object).to_lowercase(), name(object))
}

/// The order in which the objects of one file are applied: what others refer to comes first.
fn dependency_rank(kind: &str) -> usize {
    const ORDER: [&str; 19] = [
        "Namespace",
        "ResourceQuota",
        "LimitRange",
        "CustomResourceDefinition",
        "PriorityClass",
        "StorageClass",
        "PersistentVolume",
        "PersistentVolumeClaim",
        "ServiceAccount",
        "ClusterRole",
        "ClusterRoleBinding",
        "Role",
        "RoleBinding",
        "Secret",
        "ConfigMap",
        "Service",
        "NetworkPolicy",
        "PodDisruptionBudget",
        "Deployment",
    ];
    ORDER.iter().position(|known| *known == kind).unwrap_or(ORDER.len())
}

/// Reads the user's own files: every `.yaml`, `.yml` and `.json` of a folder, in numeric order of their names, those
/// without a number last.
///
/// # Errors
/// The folder cannot be read, has no such file, or one of them is not valid.
pub fn read_folder(folder: &Path) -> Result<Vec<ManifestFile>> {
    let unreadable = |e: std::io::Error| Error::usage(format!("cannot read {}: {e}", folder.display()));
    let mut names = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let path = entry.map_err(unreadable)?.path();
        let is_manifest = path.extension().is_some_and(|ext| ext == "yaml" || ext == "yml" || ext == "json");
        if is_manifest && path.is_file() {
            names.push(path);
        }
    }
    names.sort_by_key(|path| numeric_order(&path.file_name().unwrap_or_default().to_string_lossy()));
    if names.is_empty() {
        return Err(Error::usage(format!("{} holds no .yaml, .yml or .json file", folder.display())));
    }
    let mut files = Vec::new();
    for path in names {
        let text =
            std::fs::read_to_string(&path).map_err(|e| Error::usage(format!("cannot read {}: {e}", path.display())))?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        files.push(ManifestFile::parse(&path.to_string_lossy(), &name, &text)?);
    }
    Ok(files)
}

/// `2_b.yaml` comes before `10_a.yaml`, and files without a number after all that have one.
fn numeric_order(name: &str) -> (u64, String) {
    let digits: String = name.chars().take_while(char::is_ascii_digit).collect();
    (digits.parse().unwrap_or(u64::MAX), name.to_owned())
}

/// Applies a typed edit to an object of the kind `K` and gives back what the edit gives back.
///
/// # Errors
/// The object does not have the shape of its kind.
pub fn edit<K, T>(object: &mut DynamicObject, change: impl FnOnce(&mut K) -> T) -> Result<T>
where
    K: serde::de::DeserializeOwned + serde::Serialize,
{
    let invalid = |object: &DynamicObject, e: serde_json::Error| {
        Error::could_not_run(format!("{} does not have the shape of its kind: {e}", reference(object)))
    };
    let value = serde_json::to_value(&*object).map_err(|e| invalid(object, e))?;
    let mut typed: K = serde_json::from_value(value).map_err(|e| invalid(object, e))?;
    let result = change(&mut typed);
    *object = serde_json::to_value(typed).and_then(serde_json::from_value).map_err(|e| invalid(object, e))?;
    Ok(result)
}
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_come_in_numeric_order() {
        let mut names = vec!["b.yaml", "10_x.yaml", "2_y.yaml", "02_a.yaml", "1.yaml"];
        names.sort_by_key(|name| numeric_order(name));
        assert_eq!(names, ["1.yaml", "02_a.yaml", "2_y.yaml", "10_x.yaml", "b.yaml"]);
    }

    #[test]
    fn objects_of_a_file_come_in_dependency_order() {
        let text = "kind: List\nitems:\n- {apiVersion: apps/v1, kind: Deployment, metadata: {name: d}}\n---\n---\n\
                    apiVersion: v1\nkind: ServiceAccount\nmetadata: {name: s}\n";
        let file = ManifestFile::parse("f", "f", text).unwrap();
        assert_eq!(file.objects.iter().map(reference).collect::<Vec<_>>(), ["serviceaccount/s", "deployment/d"]);
        assert!(ManifestFile::parse("f.yaml", "f", "kind: Pod\n").unwrap_err().message.contains("f.yaml: document 1"));
    }
}
