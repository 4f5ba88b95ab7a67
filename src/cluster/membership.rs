//! Which Flink processes make up a cluster, told from what they go by and not from what they are called. No I/O.

use std::collections::BTreeMap;

use super::workload::Workload;
use crate::flink::config::{self, Configuration};
use crate::flink::role::Role;
use crate::flink::storage;

/// Where the official image has its configuration.
pub const CONF_DIR: &str = "/opt/flink/conf";

/// A configuration file's name, and the ConfigMap and key that it would come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigurationFile {
    /// `config.yaml` or `flink-conf.yaml`: its name decides its format.
    pub name: &'static str,
    /// The ConfigMap's name.
    pub map: String,
    /// The key in it.
    pub key: String,
}

/// Where a workload's Flink has its configuration. Other images have Flink elsewhere; where a mount says so, it is believed.
pub fn configuration_folder(workload: &Workload) -> &str {
    let mounts = workload.flink_container().map(|(_, container)| container.volume_mounts.iter().flatten());
    let mounted = mounts
        .into_iter()
        .flatten()
        .map(|mount| mount.mount_path.trim_end_matches('/'))
        .find(|path| path.ends_with("/flink/conf"));
    workload.process.conf_dir.as_deref().or(mounted).unwrap_or(CONF_DIR)
}

/// The files that a workload's Flink may read its configuration from, the preferred one first, and whether the
/// entrypoint can write to them.
pub fn configuration_files(workload: &Workload) -> (Vec<ConfigurationFile>, bool) {
    let Some((spec, container)) = workload.flink_container() else { return (Vec::new(), true) };
    let dir = configuration_folder(workload);
    // Flink 2 has forgotten the old file; 1.19 and 1.20 prefer it.
    let names: &[&'static str] = match workload.process.version().and_then(|version| version.split('.').next()) {
        Some(major) if major != "1" => &[config::FILE],
        _ => &[config::LEGACY_FILE, config::FILE],
    };
    let mut files = Vec::new();
    for name in names {
        if let Some((map, key)) = storage::config_map_behind(spec, container, &format!("{dir}/{name}")) {
            files.push(ConfigurationFile { name, map, key });
        }
    }
    let read_only = !files.is_empty();
    if files.is_empty() && storage::mounted_at(spec, container, dir).is_some() {
        // A writable folder that an init container fills from a ConfigMap.
        for init in spec.init_containers.iter().flatten() {
            for mount in init.volume_mounts.iter().flatten() {
                for name in names {
                    let path = format!("{}/{name}", mount.mount_path.trim_end_matches('/'));
                    let behind = storage::config_map_behind(spec, init, &path);
                    files.extend(behind.map(|(map, key)| ConfigurationFile { name, map, key }));
                }
            }
        }
    }
    (files, !read_only)
}

/// A workload with what its Flink goes by.
#[derive(Debug)]
pub struct Member {
    /// What makes its pods.
    pub workload: Workload,
    /// Configuration file, environment and `-D` arguments, as far as they are known.
    pub configuration: Configuration,
    /// The ConfigMap that the file came from.
    pub map: Option<String>,
    /// Why the file is not known, where there is one.
    pub unknown: Option<String>,
}

impl Member {
    /// `kubernetes.cluster-id`, where high availability goes by it.
    pub fn cluster_id(&self) -> Option<&str> {
        self.configuration.get("kubernetes.cluster-id").filter(|_| has_kubernetes_ha(&self.configuration))
    }

    /// How surely this TaskManager belongs to that JobManager; none where it does not.
    fn belongs_to(&self, jobmanager: &Member) -> Option<u8> {
        let native = matches!(jobmanager.workload.process.role, Role::JobManager(mode) if mode.is_native());
        if native || self.workload.namespace() != jobmanager.workload.namespace() {
            return None;
        }
        let both = |get: fn(&Member) -> Option<&str>| Some(get(self)? == get(jobmanager)?);
        // Under these two a TaskManager looks for its JobManager: where both are known, they decide.
        match both(Member::cluster_id) {
            Some(same) => return same.then_some(4),
            None if self.cluster_id().is_some() && jobmanager.unknown.is_none() => return None,
            None => {}
        }
        let address = |member: &Member| {
            let address = member.configuration.get("jobmanager.rpc.address")?;
            Some(address.split('.').next().unwrap_or(address).to_owned())
        };
        match (address(self), address(jobmanager)) {
            (Some(own), Some(other)) if own == other => return Some(3),
            // A name that is not its Service's: another cluster's, unless they share more than that.
            (Some(own), None) if own == jobmanager.workload.name => return Some(3),
            _ => {}
        }
        if both(|member| member.map.as_deref()) == Some(true) {
            return Some(2);
        }
        let owner = self.workload.made_by().filter(|owner| owner != super::FIELD_MANAGER);
        let same_owner = owner.is_some() && owner == jobmanager.workload.made_by();
        let same_instance = both(|member| member.workload.label("app.kubernetes.io/instance")) == Some(true);
        (same_owner || same_instance).then_some(1)
    }
}

/// For each JobManager among `members` its place, and the places of the TaskManagers that belong to it.
pub fn clusters(members: &[Member]) -> Vec<(usize, Vec<usize>)> {
    // Nothing of one namespace belongs to a cluster of another, and there may be thousands of them.
    let mut jobmanagers: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
    for (index, member) in members.iter().enumerate() {
        if matches!(member.workload.process.role, Role::JobManager(_)) {
            jobmanagers.entry(member.workload.namespace()).or_default().push(index);
        }
    }
    let mut taskmanagers: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
    for (index, member) in members.iter().enumerate() {
        if member.workload.process.role != Role::TaskManager {
            continue;
        }
        let candidates = jobmanagers.get(member.workload.namespace()).into_iter().flatten();
        let best = candidates.filter_map(|jm| Some((member.belongs_to(&members[*jm])?, *jm)));
        // Of several that fit alike the first: `max` alone would take the last.
        if let Some((_, jm)) = best.max_by_key(|(sureness, jm)| (*sureness, std::cmp::Reverse(*jm))) {
            taskmanagers.entry(jm).or_default().push(index);
        }
    }
    let mut all: Vec<usize> = jobmanagers.into_values().flatten().collect();
    all.sort_unstable();
    all.into_iter().map(|jm| (jm, taskmanagers.remove(&jm).unwrap_or_default())).collect()
}

/// `high-availability.type`, or by its name up to Flink 1.16.
pub fn ha_type(configuration: &Configuration) -> Option<&str> {
    configuration.first(&["high-availability.type", "high-availability"])
}

/// High availability is kept in ConfigMaps.
pub fn has_kubernetes_ha(configuration: &Configuration) -> bool {
    ha_type(configuration).is_some_and(is_kubernetes)
}

/// Named in short, or by the class that does it.
pub fn is_kubernetes(ha: &str) -> bool {
    ha.eq_ignore_ascii_case("kubernetes") || ha.ends_with(".KubernetesHaServicesFactory")
}
