//! FLK210: clusters on one storage need a folder each.

use super::{STORAGE_DIR, file_of, is_on, is_one_cluster, is_standalone, jobmanagers, literal, share_cluster_id};
use crate::doctor::fix::{Fix, Safety};
use crate::doctor::known::Known;
use crate::doctor::model::{Cluster, Member};
use crate::doctor::rule::{Check, rule};
use crate::flink::storage::{self, Storage};

rule! {
    /// Clusters on one storage need a folder each
    ///
    /// ## Why it matters
    ///
    /// Everything lies in `high-availability.storageDir`, in the folder that `high-availability.cluster-id` names.
    /// Native mode and the operator set it; a standalone cluster that does not has `/default`, and two of them on one
    /// storage write to the same folder. In application mode both jobs even have the same id, which is made from it:
    /// when one job ends, the other cluster takes its own for ended.
    ///
    /// ```text
    /// Ignoring job submission 'job' (000000006e6b13320000000000000000) because the job already reached a globally-terminal state (i.e. FAILED, CANCELED, FINISHED) in a previous execution.
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata:
    ///   name: flink-jobmanager
    ///   namespace: flink
    /// spec:
    ///   selector: {matchLabels: {app: flink, component: jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink, component: jobmanager}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager, $(POD_IP)]
    ///         env:
    ///         - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             kubernetes.cluster-id: flink
    ///             kubernetes.namespace: flink
    ///             high-availability.type: kubernetes
    ///             high-availability.storageDir: s3://flink/ha
    ///             execution.checkpointing.dir: s3://flink/checkpoints
    /// ---
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata:
    ///   name: other-jobmanager
    ///   namespace: flink
    /// spec:
    ///   selector: {matchLabels: {app: other, component: jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: other, component: jobmanager}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager, $(POD_IP)]
    ///         env:
    ///         - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             kubernetes.cluster-id: other
    ///             kubernetes.namespace: flink
    ///             high-availability.type: kubernetes
    ///             high-availability.storageDir: s3://flink/ha
    ///             execution.checkpointing.dir: s3://flink/checkpoints
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata:
    ///   name: flink-jobmanager
    ///   namespace: flink
    /// spec:
    ///   selector: {matchLabels: {app: flink, component: jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink, component: jobmanager}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager, $(POD_IP)]
    ///         env:
    ///         - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             kubernetes.cluster-id: flink
    ///             kubernetes.namespace: flink
    ///             high-availability.type: kubernetes
    ///             high-availability.cluster-id: flink.flink
    ///             high-availability.storageDir: s3://flink/ha
    ///             execution.checkpointing.dir: s3://flink/checkpoints
    /// ---
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata:
    ///   name: other-jobmanager
    ///   namespace: flink
    /// spec:
    ///   selector: {matchLabels: {app: other, component: jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: other, component: jobmanager}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager, $(POD_IP)]
    ///         env:
    ///         - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             kubernetes.cluster-id: other
    ///             kubernetes.namespace: flink
    ///             high-availability.type: kubernetes
    ///             high-availability.cluster-id: flink.other
    ///             high-availability.storageDir: s3://flink/ha
    ///             execution.checkpointing.dir: s3://flink/checkpoints
    /// ```
    ///
    /// ## Fix
    ///
    /// Set `high-availability.cluster-id` to another name in each cluster, for example to its namespace and its name. A
    /// running cluster does not find its jobs under a new name: take savepoints first.
    ///
    /// ## References
    ///
    /// - `HighAvailabilityServicesUtils.getClusterHighAvailableStoragePath`, `ApplicationDispatcherBootstrap.fixJobIdAndRunApplicationAsync`
    FLK210 "storage-shared": Ha Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    let all: Vec<_> = jobmanagers(cx)
        .into_iter()
        .filter(|(cluster, _)| is_standalone(cluster) && is_on(&cluster.config) && cluster.operator.is_none())
        .filter_map(|(cluster, member)| Some((cluster, member, folder(cluster, member)?)))
        .collect();
    for (number, (cluster, member, folder)) in all.iter().enumerate() {
        // Of two with the same cluster-id FLK209 says so.
        let other = all[..number].iter().find(|(other, _, others)| {
            others == folder && !is_one_cluster(other, cluster, cx) && !share_cluster_id(other, cluster)
        });
        let (Some((other, other_member, _)), Some(entry)) = (other, literal(&cluster.config, &STORAGE_DIR)) else {
            continue;
        };
        let file = file_of(cx, &cluster.config);
        let finding = cx.report(
            entry.place.clone(),
            format!(
                "{} and {} both keep their high-availability data in {}, in the folder {}",
                other_member.workload.name, member.workload.name, entry.value, folder.1
            ),
        );
        finding.help("set high-availability.cluster-id to a name of its own in each cluster");
        if let Some(entry) = literal(&other.config, &STORAGE_DIR) {
            finding.related(entry.place.clone(), "the other cluster has it here");
        }
        if let Some(file) = file
            && cluster.config.get(&FOLDER).is_none()
        {
            let name = format!("{}.{}", cluster.namespace, cluster.name);
            finding.fix(Fix::add_option(file, FOLDER[0], &name, Safety::Unsafe));
        }
    }
}

/// The option that names the folder, and its name for ZooKeeper.
const FOLDER: [&str; 2] = ["high-availability.cluster-id", "high-availability.zookeeper.path.namespace"];

/// The storage, as far as others can have the same, and the folder on it.
fn folder(cluster: &Cluster, member: &Member) -> Option<(String, String)> {
    let entry = literal(&cluster.config, &STORAGE_DIR)?;
    let dir = entry.value.trim().trim_end_matches('/');
    let folder = match cluster.config.known(&FOLDER) {
        Known::Present(entry) if entry.is_literal() => entry.value.trim_matches('/').to_owned(),
        Known::Absent => "default".to_owned(),
        Known::Present(_) | Known::Unknown(_) => return None,
    };
    let (spec, container) = member.workload.flink_container()?;
    let place = match storage::behind(spec, &container.name, dir) {
        Storage::Uri(uri) if storage::local_path(dir).is_none() && uri.contains("://") => uri,
        Storage::Claim { name } => {
            let mounted = storage::mounted_at(spec, container, storage::local_path(dir)?)?;
            // A claim template makes a claim for each pod.
            mounted.volume?;
            format!("claim {} {name} {}", cluster.namespace, mounted.path)
        }
        _ => return None,
    };
    Some((place, folder))
}
