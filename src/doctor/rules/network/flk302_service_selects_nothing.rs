//! FLK302: a Service whose selector is not that of the pods.

use std::collections::BTreeMap;

use super::{leads_to, service_name, services, without_ha, workloads_with};
use crate::doctor::known::Known;
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, Severity, rule};

rule! {
    /// The Service that stands for the JobManager selects no JobManager
    ///
    /// ## Why it matters
    ///
    /// A Service leads to the pods that have all labels of its selector. If one differs it leads nowhere, and without high
    /// availability TaskManagers find their JobManager by this Service alone:
    ///
    /// ```text
    /// Could not resolve ResourceManager address pekko.tcp://flink@flink-jobmanager:6123/user/rpc/resourcemanager_*, retrying in 10000 ms
    /// ```
    ///
    /// With high availability TaskManagers find the leader in a ConfigMap, and the Service is missed by the web UI and its users
    /// only: a warning.
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-jobmanager, namespace: flink}
    /// spec:
    ///   selector: {matchLabels: {app: flink, component: jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink, component: jobmanager}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    ///         env:
    ///         - {name: JOB_MANAGER_RPC_ADDRESS, value: flink-jobmanager}
    /// ---
    /// apiVersion: v1
    /// kind: Service
    /// metadata: {name: flink-jobmanager, namespace: flink}
    /// spec:
    ///   selector: {app: flink, component: job-manager}
    ///   ports:
    ///   - {name: rpc, port: 6123}
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-jobmanager, namespace: flink}
    /// spec:
    ///   selector: {matchLabels: {app: flink, component: jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink, component: jobmanager}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    ///         env:
    ///         - {name: JOB_MANAGER_RPC_ADDRESS, value: flink-jobmanager}
    /// ---
    /// apiVersion: v1
    /// kind: Service
    /// metadata: {name: flink-jobmanager, namespace: flink}
    /// spec:
    ///   selector: {app: flink, component: jobmanager}
    ///   ports:
    ///   - {name: rpc, port: 6123}
    /// ```
    ///
    /// ## Fix
    ///
    /// Write the labels of `spec.template.metadata.labels` of the JobManager into the selector, all that the Service should go by.
    ///
    /// ## References
    ///
    /// - <https://kubernetes.io/docs/concepts/services-networking/service/#defining-a-service>
    FLK302 "service-selects-nothing": Network Error, reads [Processes, Services]
}

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        let Some(member) = cx.model.jobmanager(cluster) else { continue };
        let namespace = member.workload.namespace();
        let Some(address) = cluster.config.get(&["jobmanager.rpc.address"]).filter(|entry| entry.is_literal()) else {
            continue;
        };
        let Some(name) = service_name(&address.value, namespace) else { continue };
        let all = services(cx, namespace);
        let found = all.into_iter().find(|(id, _)| cx.object(*id).name == name);
        let Some((id, spec)) = found.and_then(|(id, service)| Some((id, service.spec?))) else { continue };
        // Without a selector somebody else says where it leads.
        let Some(selector) = spec.selector.clone().filter(|selector| !selector.is_empty()) else { continue };
        if leads_to(&spec, member) || is_template(&selector) {
            continue;
        }
        // A standby's or a proxy's Service of that name: it leads to something, if not to this.
        let taskmanagers = cx.model.taskmanagers(cluster).iter().map(|other| other.object).collect::<Vec<_>>();
        let behind = workloads_with(cx, namespace, &selector);
        if behind.iter().any(|(object, _)| !taskmanagers.contains(object)) {
            continue;
        }
        let severity = match without_ha(&cluster.config) {
            Known::Present(()) => Severity::Error,
            Known::Absent | Known::Unknown(_) => Severity::Warning,
        };
        let labels = member.workload.template.metadata.as_ref().and_then(|m| m.labels.clone()).unwrap_or_default();
        let differ: Vec<String> = (selector.iter())
            .filter(|(key, value)| labels.get(*key) != Some(value))
            .map(|(key, value)| format!("{key}: {value}"))
            .collect();
        cx.report(
            Place::value(id, "/spec/selector"),
            format!("Service {name} does not select the JobManager, whose pods lack the label {}", differ.join(", ")),
        )
        .help("set the selector to labels of the JobManager's pods")
        .symptom("Could not resolve ResourceManager address")
        .severity(severity)
        .cluster(&cluster.namespace, &cluster.name)
        .related(Place::key(member.object, labels_of(member.pod_spec)), "the labels of the pods");
    }
}

fn labels_of(pod_spec: &str) -> String {
    format!("{}metadata/labels", pod_spec.trim_end_matches("spec"))
}

/// Something fills it in before it is applied.
fn is_template(selector: &BTreeMap<String, String>) -> bool {
    selector.iter().any(|(key, value)| [key, value].iter().any(|text| text.contains("{{") || text.contains("${")))
}
