//! FLK215: options of high availability without the option that turns it on.

use super::{Host, Services, TYPE, host, is_pod_ip, is_standalone, services, stray_option};
use crate::doctor::known::Known;
use crate::doctor::model::Cluster;
use crate::doctor::rule::{Check, Severity, rule};

rule! {
    /// Options of high availability without the option that turns it on
    ///
    /// ## Why it matters
    ///
    /// `high-availability.storageDir` and the like do nothing by themselves: without `high-availability.type` there is
    /// no election, no ConfigMap and no recovery. Nothing says so, until the JobManager is replaced and its jobs are
    /// gone.
    ///
    /// A JobManager that was given its pod's IP for the election then answers to that alone, and TaskManagers call it by
    /// `jobmanager.rpc.address`, the Service's name. It drops what they say, and none is ever registered: an error.
    ///
    /// ```text
    /// dropping message [class akka.actor.ActorSelectionMessage] for non-local recipient [Actor[akka.tcp://flink@flink-jobmanager:6123/]] arriving at [akka.tcp://flink@flink-jobmanager:6123] inbound addresses are [akka.tcp://flink@10.244.0.12:6123]
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
    /// Set `high-availability.type: kubernetes` (before Flink 1.17 `high-availability: kubernetes`), or take the other
    /// options out. Where it is off on purpose, `high-availability.type: none` says so.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/ha/kubernetes_ha/>
    FLK215 "ha-options-without-type": Ha Warning, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        let Some(entry) = stray_option(&cluster.config).filter(|_| !cluster.is_custom_resource()) else {
            own_address(cx, cluster);
            continue;
        };
        let key = cluster.version.map_or(TYPE[0], |version| version.name_of(TYPE[0]));
        cx.report(entry.key_place.clone(), format!("{} is set and {key} is not: high availability is off", entry.key))
            .help(format!("set {key} to kubernetes or zookeeper, or to none if it is meant to be off"));
    }
}

/// A JobManager that announces its pod's IP, which without high availability nobody hears.
fn own_address(cx: &mut Check<'_>, cluster: &Cluster) {
    let (Some(member), Some(mode)) = (cx.model.jobmanager(cluster), cluster.mode.filter(|_| is_standalone(cluster)))
    else {
        return;
    };
    // Several JobManagers are FLK205's.
    if member.workload.replicas > 1 {
        return;
    }
    let Host::Given(word) = host(member, mode) else { return };
    let given = word.text.rsplit('=').next().unwrap_or_default();
    if services(&cluster.config) != Known::Present(Services::Off) || !is_pod_ip(member, given) {
        return;
    }
    let key = cluster.version.map_or(TYPE[0], |version| version.name_of(TYPE[0]));
    for taskmanager in cx.model.taskmanagers(cluster) {
        let address = taskmanager.config.get(&["jobmanager.rpc.address"]).filter(|entry| entry.is_literal());
        let named = address.filter(|entry| entry.value.contains(|c: char| c.is_ascii_alphabetic()));
        // A placeholder such as 10.x.x.x is no name.
        let Some(entry) = named.filter(|entry| !entry.value.starts_with(|c: char| c.is_ascii_digit())) else {
            continue;
        };
        if services(&taskmanager.config) != Known::Present(Services::Off) {
            continue;
        }
        let place = member.in_container(&word.path);
        let message = format!(
            "the JobManager announces its pod's IP, and without {key} the TaskManagers look for it at {}",
            entry.value
        );
        cx.report(place, message)
            .severity(Severity::Error)
            .help(format!("set {key} to kubernetes and what it needs, or take the argument {} away", word.text))
            .symptom("dropping message [class akka.actor.ActorSelectionMessage] for non-local recipient")
            .related(entry.place.clone(), format!("jobmanager.rpc.address is {}", entry.value));
        return;
    }
}
