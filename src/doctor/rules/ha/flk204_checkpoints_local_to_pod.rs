//! FLK204: checkpoints inside a pod cannot be restored elsewhere.

use super::{CHECKPOINTS, TYPE, is_on, pod_local};
use crate::doctor::model::config::Entry;
use crate::doctor::model::{Cluster, Member};
use crate::doctor::rule::{Check, Severity, rule};
use crate::flink::storage;

rule! {
    /// Checkpoints inside a pod cannot be restored elsewhere
    ///
    /// ## Why it matters
    ///
    /// TaskManagers write a checkpoint's files, and whoever restores it reads them, in another pod as a rule. In the
    /// container's own file system they are lost with it:
    ///
    /// ```text
    /// java.io.FileNotFoundException: /tmp/checkpoints/7601318e4ccd7281759507f40830fea9/chk-12/4bff6d2a (No such file or directory)
    /// ```
    ///
    /// A volume of the pod, such as an `emptyDir`, that is mounted at the folder was chosen, and without high availability little is
    /// restored: either is a warning. Of a FlinkDeployment only an `emptyDir` in its pod templates is reported, as a warning too.
    ///
    /// Without any directory checkpoints go through the JobManager's memory, which takes no more than 5 MiB of a state:
    ///
    /// ```text
    /// java.io.IOException: Size of the state is larger than the maximum permitted memory-backed state. Size=6291477, maxSize=5242880. Consider using a different checkpoint storage, like the FileSystemCheckpointStorage.
    /// ```
    ///
    /// That is a warning, with high availability only.
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
    ///             high-availability.cluster-id: flink.flink
    ///             high-availability.storageDir: s3://flink/ha
    ///             execution.checkpointing.dir: file:///tmp/checkpoints
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
    /// ```
    ///
    /// ## Fix
    ///
    /// Set `execution.checkpointing.dir` (before Flink 1.20 `state.checkpoints.dir`) to an object store, or to a folder
    /// on a volume that is mounted in the JobManager and in every TaskManager.
    ///
    /// ## When to ignore
    ///
    /// Where every job names its own directory, or none takes checkpoints.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/ops/state/checkpoints/>
    /// - `MemCheckpointStreamFactory.checkSize`
    FLK204 "checkpoints-local-to-pod": Ha Error, reads [Processes]
}

/// Options that say where checkpoints go without naming a folder.
const STORAGES: [&str; 2] = ["execution.checkpointing.storage", "state.checkpoint-storage"];

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        let on = is_on(&cluster.config);
        let Some(entry) = cluster.config.get(&CHECKPOINTS) else {
            not_set(cx, cluster);
            continue;
        };
        of_operator(cx, cluster, entry);
        let members = cx.model.members_of(cluster);
        let local = |member: &&Member| {
            let (where_it_is, mounted) = pod_local(member, entry)?;
            Some((member.role_name(), where_it_is, mounted, member.in_container("volumeMounts")))
        };
        let local: Vec<_> = members.iter().filter(|_| entry.is_literal()).filter_map(local).collect();
        let Some((role, where_it_is, ..)) = local.first() else { continue };
        let finding = cx.report(
            entry.place.clone(),
            format!("{} {} is, in the {role}, in {where_it_is}, and lost with it", entry.key, entry.value),
        );
        finding
            .help(
                "use an object store such as s3://BUCKET/checkpoints, or a volume that JobManager and TaskManagers \
                 mount",
            )
            .symptom("java.io.FileNotFoundException: ... (No such file or directory)");
        for (role, where_it_is, _, place) in &local {
            finding.related(place.clone(), format!("in the {role} it is {where_it_is}"));
        }
        // Without high availability little is restored; a volume that is mounted there was chosen.
        if !on || local.iter().all(|(_, _, mounted, _)| *mounted) {
            finding.severity(Severity::Warning);
        }
    }
}

/// A FlinkDeployment whose template mounts a volume of the pod there.
fn of_operator(cx: &mut Check<'_>, cluster: &Cluster, entry: &Entry) {
    let path = storage::local_path(entry.value.trim()).filter(|_| entry.is_literal());
    let (Some(path), Some(pods)) = (path, super::templates(cx, cluster)) else { return };
    let volume = pods.iter().find_map(|(spec, container)| {
        let volume = storage::mounted_at(spec, container, path)?.volume?;
        volume.empty_dir.is_some().then(|| volume.name.clone())
    });
    if let Some(volume) = volume {
        let message =
            format!("{} {} is in the emptyDir {volume} of each pod, and lost with it", entry.key, entry.value);
        cx.report(entry.place.clone(), message)
            .severity(Severity::Warning)
            .help(
                "use an object store such as s3://BUCKET/checkpoints, or a volume that JobManager and TaskManagers mount",
            )
            .symptom("java.io.FileNotFoundException: ... (No such file or directory)");
    }
}

fn not_set(cx: &mut Check<'_>, cluster: &Cluster) {
    let Some(switch) = cluster.config.get(&TYPE).filter(|_| is_on(&cluster.config)) else { return };
    if cluster.is_custom_resource() || cluster.config.get(&STORAGES).is_some() {
        return;
    }
    if cx.absent(&cluster.config.known(&CHECKPOINTS)) {
        cx.report(
            switch.key_place.clone(),
            "high availability is on and there is no directory for checkpoints: they go through the JobManager's \
             memory",
        )
        .severity(Severity::Warning)
        .help("set execution.checkpointing.dir, before Flink 1.20 state.checkpoints.dir")
        .symptom("Size of the state is larger than the maximum permitted memory-backed state");
    }
}
