//! FLK221: a volume that belongs to root, and Flink is not root.

use super::{claims, state_volumes};
use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::known::Known;
use crate::doctor::model::{Cluster, Member, is_official};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::manifests::tree::Node;

rule! {
    /// A volume that belongs to root, and Flink is not root
    ///
    /// ## Why it matters
    ///
    /// Flink's image runs as user 9999. A new volume belongs to root, until Kubernetes gives it to the group that
    /// `securityContext.fsGroup` names. Without that the JobManager cannot write to it:
    ///
    /// ```text
    /// java.lang.IllegalStateException: The base directory of the JobResultStore isn't accessible. No dirty JobResults can be restored.
    /// ```
    ///
    /// A `hostPath` of type `DirectoryOrCreate` is made by the kubelet where it is missing, for root and with mode 0755, and `fsGroup`
    /// changes nothing of a `hostPath`. Of the other types nothing is said: there the folder may have been made for Flink.
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
    /// ```
    ///
    /// Use instead:
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
    ///       securityContext: {fsGroup: 9999}
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
    /// ```
    ///
    /// ## Fix
    ///
    /// Set `spec.securityContext.fsGroup: 9999` in the pods that mount the volume. Make a `hostPath`'s folder on the node beforehand
    /// (`install -d -o 9999 -g 9999 /mnt/flink`) and set `type: Directory`, or change its owner in an init container that runs as root.
    ///
    /// ## When to ignore
    ///
    /// Where the storage makes volumes that everybody may write to.
    ///
    /// ## References
    ///
    /// - <https://kubernetes.io/docs/tasks/configure-pod-container/security-context/>
    FLK221 "volume-not-writable": Ha Warning, reads [Processes, Claims]
}

/// What the JobManager says of it.
const SYMPTOM: &str = "The base directory of the JobResultStore isn't accessible. No dirty JobResults can be restored.";

fn check(cx: &mut Check<'_>) {
    let mut said = Vec::new();
    for (cluster, member) in cx.members() {
        let spec = member.spec();
        let context = spec.security_context.clone().unwrap_or_default();
        let own = member.container().and_then(|(_, container)| container.security_context.as_ref()?.run_as_user);
        let root = own.or(context.run_as_user) == Some(0);
        let ready = cx.is_live() && member.workload.ready > 0;
        // A pod that is ready has written to it; another image may be of another user; an init container may change rights.
        if root || ready || spec.init_containers.is_some() || !is_official(&member.workload.process.image) {
            continue;
        }
        host_paths(cx, cluster, member, &mut said);
        if context.fs_group.is_some() || context.supplemental_groups.is_some() {
            continue;
        }
        for (name, volume) in claims(cluster, member) {
            match cx.find("PersistentVolumeClaim", &cluster.namespace, &name) {
                Known::Present(object) if is_block(&cx.object(object).node) => {}
                Known::Unknown(why) => {
                    cx.unknown(why);
                    continue;
                }
                _ => continue,
            }
            let edit = if spec.security_context.is_some() {
                Edit::InsertEntry(member.in_spec("securityContext"), "fsGroup".to_owned(), "9999".to_owned())
            } else {
                let place = Place::value(member.object, member.pod_spec);
                Edit::InsertEntry(place, "securityContext".to_owned(), "{fsGroup: 9999}".to_owned())
            };
            cx.report(
                member.in_spec(&format!("volumes/{volume}")),
                format!("claim {name} belongs to root where nothing else is said, and Flink runs as user 9999"),
            )
            .help("set securityContext.fsGroup of the pod to 9999")
            .symptom(SYMPTOM)
            .fix(Fix::new("give the volume to the group of Flink", Safety::Unsafe, edit));
        }
    }
}

/// Folders that the kubelet makes where they are missing. One that has to be there has rights of its own.
fn host_paths(cx: &mut Check<'_>, cluster: &Cluster, member: &Member, said: &mut Vec<String>) {
    for (number, volume) in state_volumes(cluster, member) {
        let made = volume.host_path.as_ref().filter(|host| host.type_.as_deref() == Some("DirectoryOrCreate"));
        let Some(path) = made.map(|host| &host.path).filter(|path| !said.contains(path)) else { continue };
        said.push(path.clone());
        cx.report(
            member.in_spec(&format!("volumes/{number}")),
            format!("only root can write to {path} as the kubelet makes it, and Flink runs as user 9999"),
        )
        .help(
            "make the folder on the node for user 9999 and set type: Directory, or give it to that user in an init \
             container that runs as root",
        )
        .symptom(SYMPTOM);
    }
}

/// A volume of one node is a disk with a file system of its own, which is root's; a shared one has rights of its own, and
/// so have the folders that local provisioners make.
fn is_block(claim: &Node) -> bool {
    let modes = claim.at("/spec/accessModes").map(Node::items).unwrap_or_default();
    let class = claim.string_at("/spec/storageClassName").unwrap_or_default();
    let one_node = |mode: &Node| mode.text().is_some_and(|mode| mode.starts_with("ReadWriteOnce"));
    let local = ["local", "hostpath", "standard", "nfs", "efs"].iter().any(|name| class.contains(name));
    !modes.is_empty() && modes.iter().all(one_node) && !local
}
