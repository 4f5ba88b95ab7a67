//! FLK220: a volume of one node for pods that may be on several.

use std::collections::BTreeMap;

use super::{STORAGE_DIR, claims, is_on, is_pinned, literal};
use crate::doctor::known::Known;
use crate::doctor::model::{Cluster, Member};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, Severity, rule};
use crate::flink::storage::{self, Storage};
use crate::manifests::tree::Node;

rule! {
    /// A volume of one node for pods that may be on several
    ///
    /// ## Why it matters
    ///
    /// A `ReadWriteOnce` volume is attached to one node, and every pod that mounts it has to be there;
    /// `ReadWriteOncePod` takes one pod. Kubernetes places pods without asking for that. Those on another node wait for
    /// the volume:
    ///
    /// ```text
    /// Warning  FailedAttachVolume  attachdetach-controller  Multi-Attach error for volume "pvc-8f0d" Volume is already used by pod(s) flink-jobmanager-5ddb4cf9cb-x2x7p
    /// ```
    ///
    /// A `hostPath` is each node's own folder: a JobManager that moves finds an empty one.
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: PersistentVolumeClaim
    /// metadata: {name: flink, namespace: flink}
    /// spec:
    ///   accessModes: [ReadWriteOnce]
    ///   resources: {requests: {storage: 1Gi}}
    /// ---
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
    ///       volumes:
    ///       - {name: data, persistentVolumeClaim: {claimName: flink}}
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
    ///             high-availability.storageDir: /data/ha
    ///             execution.checkpointing.dir: /data/c
    ///         volumeMounts:
    ///         - {name: data, mountPath: /data}
    /// ---
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata:
    ///   name: flink-taskmanager
    ///   namespace: flink
    /// spec:
    ///   selector: {matchLabels: {app: flink, component: taskmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink, component: taskmanager}}
    ///     spec:
    ///       volumes:
    ///       - {name: data, persistentVolumeClaim: {claimName: flink}}
    ///       containers:
    ///       - name: taskmanager
    ///         image: flink:1.20.5
    ///         args: [taskmanager]
    ///         env:
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             kubernetes.cluster-id: flink
    ///             kubernetes.namespace: flink
    ///             high-availability.type: kubernetes
    ///             high-availability.cluster-id: flink.flink
    ///             high-availability.storageDir: /data/ha
    ///             execution.checkpointing.dir: /data/c
    ///         volumeMounts:
    ///         - {name: data, mountPath: /data}
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: PersistentVolumeClaim
    /// metadata: {name: flink, namespace: flink}
    /// spec:
    ///   accessModes: [ReadWriteMany]
    ///   resources: {requests: {storage: 1Gi}}
    /// ---
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
    ///       volumes:
    ///       - {name: data, persistentVolumeClaim: {claimName: flink}}
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
    ///             high-availability.storageDir: /data/ha
    ///             execution.checkpointing.dir: /data/c
    ///         volumeMounts:
    ///         - {name: data, mountPath: /data}
    /// ---
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata:
    ///   name: flink-taskmanager
    ///   namespace: flink
    /// spec:
    ///   selector: {matchLabels: {app: flink, component: taskmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink, component: taskmanager}}
    ///     spec:
    ///       volumes:
    ///       - {name: data, persistentVolumeClaim: {claimName: flink}}
    ///       containers:
    ///       - name: taskmanager
    ///         image: flink:1.20.5
    ///         args: [taskmanager]
    ///         env:
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             kubernetes.cluster-id: flink
    ///             kubernetes.namespace: flink
    ///             high-availability.type: kubernetes
    ///             high-availability.cluster-id: flink.flink
    ///             high-availability.storageDir: /data/ha
    ///             execution.checkpointing.dir: /data/c
    ///         volumeMounts:
    ///         - {name: data, mountPath: /data}
    /// ```
    ///
    /// ## Fix
    ///
    /// Use an object store or a `ReadWriteMany` volume. On one node, keep the pods together: a required `podAffinity`
    /// with `topologyKey: kubernetes.io/hostname` in all of them, or a `nodeSelector` with `kubernetes.io/hostname`.
    ///
    /// ## When to ignore
    ///
    /// On a cluster of one node, and where the volume itself holds its pods on a node, as local volumes do.
    ///
    /// ## References
    ///
    /// - <https://kubernetes.io/docs/concepts/storage/persistent-volumes/#access-modes>
    FLK220 "volume-on-one-node": Ha Error, reads [Processes, Claims]
}

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        let members = cx.model.members_of(cluster);
        let running = |member: &&Member| member.workload.ready >= member.workload.replicas.max(1);
        // They have found their places.
        if cx.is_live() && members.iter().all(running) {
            continue;
        }
        let mut claimed: BTreeMap<String, Vec<(&Member, usize)>> = BTreeMap::new();
        for member in &members {
            for (claim, volume) in claims(cluster, member) {
                claimed.entry(claim).or_default().push((member, volume));
            }
        }
        for (name, users) in claimed {
            claim(cx, cluster, &name, &users);
        }
        host_path(cx, cluster);
    }
}

/// They may be on several nodes: nothing holds them, save the one that the others go after.
fn may_part(users: &[(&Member, usize)]) -> bool {
    let free: Vec<i32> = users
        .iter()
        .filter(|(member, _)| !is_pinned(&member.spec()))
        .map(|(member, _)| member.workload.replicas)
        .collect();
    free.len() > 1 || free.iter().any(|replicas| *replicas > 1)
}

fn claim(cx: &mut Check<'_>, cluster: &Cluster, name: &str, users: &[(&Member, usize)]) {
    let object = match cx.find("PersistentVolumeClaim", &cluster.namespace, name) {
        Known::Present(object) => object,
        Known::Absent => return,
        Known::Unknown(why) => return cx.unknown(why),
    };
    let modes = cx.object(object).node.at("/spec/accessModes").map(Node::items).unwrap_or_default();
    let modes: Vec<&str> = modes.iter().filter_map(Node::text).collect();
    let pods: i32 = users.iter().map(|(member, _)| member.workload.replicas.max(1)).sum();
    let message = match modes[..] {
        ["ReadWriteOncePod"] if pods > 1 => format!("claim {name} is for one pod, and {pods} of the cluster mount it"),
        ["ReadWriteOnce"] if may_part(users) => {
            format!("claim {name} is for one node, and nothing keeps the {pods} pods that mount it on one")
        }
        _ => return,
    };
    let finding = cx.report(Place::value(object, "/spec/accessModes"), message);
    if modes == ["ReadWriteOnce"] {
        finding
            .help("use an object store or a ReadWriteMany volume, or keep the pods on one node with a required podAffinity")
            .symptom("Multi-Attach error for volume");
        // With one node, or a volume that its pods are sent after, it works.
        finding.severity(Severity::Warning);
    } else {
        finding.help("use an object store or a ReadWriteMany volume");
    }
    for (member, volume) in users {
        finding.related(member.in_spec(&format!("volumes/{volume}")), format!("the {} mounts it", member.role_name()));
    }
    finding.cluster(&cluster.namespace, &cluster.name);
}

fn host_path(cx: &mut Check<'_>, cluster: &Cluster) {
    let Some(member) = cx.model.jobmanager(cluster).filter(|member| !is_pinned(&member.spec())) else { return };
    let Some(entry) = literal(&cluster.config, &STORAGE_DIR).filter(|_| is_on(&cluster.config)) else { return };
    let container = &member.workload.process.container;
    let Storage::HostPath { path } = storage::behind(&member.spec(), container, &entry.value) else { return };
    cx.report(
        entry.place.clone(),
        format!("high-availability.storageDir is the folder {path} of a node, and nothing keeps the JobManager on one"),
    )
    .severity(Severity::Warning)
    .help("use an object store or a volume that is not a node's, or keep the pods on one node with a nodeSelector");
}
