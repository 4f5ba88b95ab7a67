//! FlinkDeployments and FlinkSessionJobs: what the Flink Kubernetes Operator refuses (`DefaultValidator`), all of it at once.

pub mod flk701_operator_option_forbidden;
pub mod flk702_operator_name;
pub mod flk703_operator_version;
pub mod flk704_operator_standby_without_ha;
pub mod flk705_operator_upgrade_mode;
pub mod flk706_operator_parallelism;
pub mod flk707_operator_memory;
pub mod flk708_operator_service_account;
pub mod flk709_operator_log_keys;
pub mod flk710_operator_spec_missing;
pub mod flk711_operator_template_resources;
pub mod flk712_operator_error;
pub mod flk713_operator_field_unknown;

use self::flk713_operator_field_unknown::unknown_fields;
use crate::doctor::known::Known;
use crate::doctor::model::Cluster;
use crate::doctor::place::Place;
use crate::doctor::rule::Check;
use crate::doctor::snapshot::ObjectId;
use crate::manifests::tree::Node;

/// The ConfigMap in which the operator's chart keeps the options that every cluster begins with.
const DEFAULTS: &str = "flink-operator-config";

/// The names of the option for the type of high availability.
pub(super) const HA_TYPE: [&str; 2] = ["high-availability.type", "high-availability"];

/// A FlinkDeployment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resource<'a> {
    /// Its cluster.
    pub cluster: &'a Cluster,
    /// Its object.
    pub id: ObjectId,
    /// Its content.
    pub node: &'a Node,
}

impl<'a> Resource<'a> {
    /// The text at a pointer.
    pub(super) fn text(&self, pointer: &str) -> Option<&'a str> {
        self.node.at(pointer)?.text()
    }

    /// The number at a pointer.
    pub(super) fn number(&self, pointer: &str) -> Option<i64> {
        self.text(pointer)?.trim().parse().ok()
    }

    /// A place in it.
    pub(super) fn at(&self, pointer: &str) -> Place {
        Place::value(self.id, pointer)
    }

    /// It has something there.
    pub(super) fn has(&self, pointer: &str) -> bool {
        self.node.at(pointer).is_some_and(|node| !node.is_null())
    }
}

/// The FlinkDeployments.
pub(super) fn resources<'a>(cx: &Check<'a>) -> Vec<Resource<'a>> {
    let clusters = cx.clusters();
    let resource = |id: ObjectId| {
        let cluster = clusters.iter().find(|cluster| cluster.object == id)?;
        Some(Resource { cluster, id, node: &cx.object(id).node })
    };
    cx.of_kind("FlinkDeployment").into_iter().filter_map(resource).collect()
}

/// Those that are whole: in files there are patches too, as Kustomize merges them, of which nothing can be said to be missing;
/// nor can it where a field is misspelt.
pub(super) fn whole<'a>(cx: &Check<'a>) -> Vec<Resource<'a>> {
    let all = resources(cx);
    let is_whole = |resource: &Resource<'_>| {
        let parts = ["image", "flinkVersion", "serviceAccount", "jobManager", "taskManager", "job"];
        let present = parts.into_iter().filter(|part| resource.has(&format!("/spec/{part}"))).count();
        let alone = |name: &str| all.iter().filter(|other| cx.object(other.id).name == name).count() == 1;
        let object = cx.object(resource.id);
        let replaced = cx.snapshot().replaced().iter().any(|(_, later)| *later == resource.id);
        let misspelt = !unknown_fields("FlinkDeployment", resource.node).is_empty();
        object.file.is_none() || (present >= 3 && alone(&object.name) && !replaced && !misspelt)
    };
    all.iter().copied().filter(is_whole).collect()
}

/// The value of an option: of the resource, or of the operator's own defaults where those are known.
pub(super) fn option(cx: &Check<'_>, resource: &Resource<'_>, keys: &[&str]) -> Known<String> {
    if let Some(entry) = resource.cluster.config.get(keys) {
        return Known::Present(entry.value.clone());
    }
    let defaults = cx.model.config_files.iter().filter(|file| cx.object(file.object).name == DEFAULTS);
    let mut known = false;
    for file in defaults {
        known = true;
        // Defaults may be for a Flink version or a namespace only: `kubernetes.operator.default-configuration...`.
        let matches = |key: &str| keys.iter().any(|wanted| key == *wanted || key.ends_with(&format!(".{wanted}")));
        if let Some(entry) = file.entries.iter().find(|entry| matches(&entry.key)) {
            return Known::Present(entry.value.clone());
        }
    }
    if known {
        return Known::Absent;
    }
    Known::Unknown(format!("{} may be set in the operator's own defaults (ConfigMap {DEFAULTS})", keys[0]))
}

/// Whether high availability is on; off is `NONE`, or nothing in the resource and the operator's defaults.
pub(super) fn high_availability(cx: &Check<'_>, resource: &Resource<'_>) -> Known<()> {
    match option(cx, resource, &HA_TYPE) {
        Known::Present(value) if value.eq_ignore_ascii_case("none") => Known::Absent,
        found => found.map(|_| ()),
    }
}

/// A value that something else fills in before the API server sees it.
pub(super) fn is_template(text: &str) -> bool {
    text.contains("{{") || text.contains("${") || text.contains("$(") || text.contains("<#")
}
