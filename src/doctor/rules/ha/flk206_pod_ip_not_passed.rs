//! FLK206: with high availability each JobManager has to announce its own address.

use super::{Host, container_place, host, is_on, is_standalone, jobmanagers};
use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::known::Known;
use crate::doctor::model::{Cluster, Member};
use crate::doctor::rule::{Check, Severity, rule};
use crate::flink::role::Mode;
use crate::flink::storage;

rule! {
    /// With high availability each JobManager has to announce its own address
    ///
    /// ## Why it matters
    ///
    /// The leader writes `jobmanager.rpc.address` into the high-availability ConfigMap, and everybody calls it there.
    /// If that is the name of the Service, which leads to every JobManager, calls for the leader reach a standby, which
    /// drops them. With one JobManager it works until the pod is replaced and both are there for a while. If it is not
    /// set at all, a pod of a Deployment announces its host name, which nobody resolves:
    ///
    /// ```text
    /// WARN  org.apache.flink.runtime.rpc.RpcGatewayRetriever [] - Error while retrieving the leader gateway. Retrying to connect to pekko.tcp://flink@flink-jobmanager:6123/user/rpc/dispatcher_1.
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
    ///   replicas: 2
    ///   selector: {matchLabels: {app: flink, component: jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink, component: jobmanager}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    ///         env:
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
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata:
    ///   name: flink-jobmanager
    ///   namespace: flink
    /// spec:
    ///   replicas: 2
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
    /// Give the pod's IP as the argument after `jobmanager`, or after `--host` for `standalone-job`, and declare the
    /// variable: `POD_IP`, from `fieldRef: {fieldPath: status.podIP}`. Delete the old JobManagers before the new ones
    /// are applied (`kubectl delete deployment`, or scale to 0): the old leader keeps its lease for as long as it
    /// lives.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/resource-providers/standalone/kubernetes/#high-availability-with-standalone-kubernetes>
    FLK206 "pod-ip-not-passed": Ha Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for (cluster, member) in jobmanagers(cx) {
        let Some(mode) = cluster.mode.filter(|_| is_standalone(cluster) && is_on(&cluster.config)) else { continue };
        match host(member, mode) {
            Host::NotGiven => {}
            Host::Unknown(why) => {
                cx.unknown(why);
                continue;
            }
            // FLK208 says what is wrong with the latter.
            Host::Given(_) | Host::ToTheJob(_) => continue,
        }
        let announced = match announced(cluster, member) {
            Known::Present(announced) => announced,
            Known::Absent => continue,
            Known::Unknown(why) => {
                cx.unknown(why);
                continue;
            }
        };
        let several = member.workload.replicas > 1;
        let how = if mode == Mode::StandaloneApplication { "--host $(POD_IP)" } else { "$(POD_IP)" };
        let path = if member.container().is_some_and(|(_, c)| c.args.is_some()) { "args" } else { "" };
        let finding = cx.report(
            member.in_container(path),
            format!("high availability is on and the JobManager announces {announced} instead of its pod's IP"),
        );
        finding.help(format!("add the argument {how}, and the variable POD_IP from fieldRef status.podIP"));
        if !several {
            finding.severity(Severity::Warning);
        }
        if let Some(entry) = cluster.config.get(&["jobmanager.rpc.address"]) {
            finding.related(entry.place.clone(), "the address of all JobManagers together");
        }
        if let Some(fix) = fix(member) {
            finding.fix(fix);
        }
    }
}

/// What the JobManager announces; absent where that may well be its own address.
fn announced(cluster: &Cluster, member: &Member) -> Known<String> {
    let Some((spec, container)) = member.workload.flink_container() else { return Known::Absent };
    let from_field = member.env("JOB_MANAGER_RPC_ADDRESS").is_some_and(|(_, variable)| variable.value_from.is_some());
    if spec.host_network == Some(true) || spec.hostname.is_some() || from_field {
        return Known::Absent;
    }
    if member.has_env_from() {
        return Known::Unknown("JOB_MANAGER_RPC_ADDRESS may come from envFrom".to_owned());
    }
    let folder = storage::mounted_at(spec, container, &member.conf_dir).and_then(|mounted| mounted.volume);
    if spec.init_containers.is_some() && folder.is_some_and(|volume| volume.empty_dir.is_some()) {
        return Known::Unknown(
            "an init container makes the configuration, and may write the pod's IP into it".to_owned(),
        );
    }
    match cluster.config.known(&["jobmanager.rpc.address"]) {
        Known::Present(entry) if !entry.is_literal() => Known::Absent,
        Known::Present(entry) => Known::Present(entry.value.clone()),
        // The entrypoint sets the full host name, which is one that others resolve.
        Known::Absent if member.workload.kind == "StatefulSet" && cluster.config.file.is_none() => Known::Absent,
        Known::Absent => Known::Present("its host name".to_owned()),
        Known::Unknown(why) => Known::Unknown(why),
    }
}

/// For `args: [jobmanager]`, the form of Flink's own manifests.
fn fix(member: &Member) -> Option<Fix> {
    let (_, container) = member.container()?;
    if container.args.as_deref()? != ["jobmanager"] {
        return None;
    }
    let item = "{name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}";
    let mut edits = vec![Edit::InsertItem(member.in_container("args"), "$(POD_IP)".to_owned())];
    if container.env.is_some() {
        edits.extend(
            member.env("POD_IP").is_none().then(|| Edit::InsertItem(member.in_container("env"), item.to_owned())),
        );
    } else {
        edits.push(Edit::InsertEntry(container_place(member), "env".to_owned(), format!("[{item}]")));
    }
    Some(Fix::of("announce the pod's IP", Safety::Unsafe, edits))
}
