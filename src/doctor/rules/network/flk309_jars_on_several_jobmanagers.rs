//! FLK309: uploaded jars lie on one of several JobManagers.

use super::{refuses_jars, rest_services};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::flink::role::Mode;
use crate::manifests::tree::Node;

rule! {
    /// Jars are uploaded to one of several JobManagers, and run on whichever the Service chooses
    ///
    /// ## Why it matters
    ///
    /// A JobManager keeps the jars that are uploaded to it in a folder of its own pod, also as a standby. A Service spreads
    /// connections among all of them, so the request that runs a jar may reach one that does not have it:
    ///
    /// ```text
    /// Jar file /tmp/flink-web-4c1d.../flink-web-upload/9f2e..._job.jar does not exist
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: ConfigMap
    /// metadata: {name: flink-config, namespace: flink}
    /// data:
    ///   config.yaml: |
    ///     high-availability.type: kubernetes
    ///     high-availability.storageDir: s3://flink/ha
    ///     kubernetes.cluster-id: flink
    ///     kubernetes.namespace: flink
    ///     high-availability.cluster-id: flink.flink
    ///     jobmanager.rpc.address: flink-jobmanager
    ///     jobmanager.memory.process.size: 1600m
    /// ---
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-jobmanager, namespace: flink}
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
    ///         volumeMounts: [{name: config, mountPath: /opt/flink/conf}]
    ///       volumes: [{name: config, configMap: {name: flink-config}}]
    /// ---
    /// apiVersion: v1
    /// kind: Service
    /// metadata: {name: flink-webui, namespace: flink}
    /// spec:
    ///   selector: {app: flink, component: jobmanager}
    ///   ports:
    ///   - {name: webui, port: 8081}
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: ConfigMap
    /// metadata: {name: flink-config, namespace: flink}
    /// data:
    ///   config.yaml: |
    ///     high-availability.type: kubernetes
    ///     high-availability.storageDir: s3://flink/ha
    ///     kubernetes.cluster-id: flink
    ///     kubernetes.namespace: flink
    ///     high-availability.cluster-id: flink.flink
    ///     jobmanager.rpc.address: flink-jobmanager
    ///     jobmanager.memory.process.size: 1600m
    /// ---
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-jobmanager, namespace: flink}
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
    ///         volumeMounts: [{name: config, mountPath: /opt/flink/conf}]
    ///       volumes: [{name: config, configMap: {name: flink-config}}]
    /// ---
    /// apiVersion: v1
    /// kind: Service
    /// metadata: {name: flink-webui, namespace: flink}
    /// spec:
    ///   sessionAffinity: ClientIP
    ///   selector: {app: flink, component: jobmanager}
    ///   ports:
    ///   - {name: webui, port: 8081}
    /// ```
    ///
    /// ## Fix
    ///
    /// Set `sessionAffinity: ClientIP` at the Service, so that each client stays with one JobManager; or `web.upload.dir` to a
    /// volume that all JobManagers share.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/config/#web-upload-dir>
    FLK309 "jars-on-several-jobmanagers": Network Warning, reads [Processes, Services, Ingresses]
}

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        let Some(member) = cx.model.jobmanager(cluster).filter(|member| member.workload.replicas > 1) else { continue };
        let session = matches!(cluster.mode, Some(Mode::StandaloneSession | Mode::NativeSession));
        if !session || refuses_jars(&cluster.config) || cluster.config.get(&["web.upload.dir"]).is_some() {
            continue;
        }
        for (id, spec, _) in rest_services(cx, member) {
            let sticky = spec.session_affinity.as_deref() == Some("ClientIP");
            if sticky
                || has_sticky_ingress(cx, &cx.object(id).name)
                || !cx.absent(&cluster.config.known(&["web.upload.dir"]))
            {
                continue;
            }
            cx.report(
                Place::value(id, "/spec/sessionAffinity"),
                format!(
                    "Service {} spreads requests among {} JobManagers, each of which has only the jars uploaded to it",
                    cx.object(id).name,
                    member.workload.replicas
                ),
            )
            .help("set sessionAffinity: ClientIP, or web.upload.dir to a volume that they share")
            .symptom("Jar file /tmp/flink-web-... does not exist")
            .related(Place::value(member.object, "/spec/replicas"), "the JobManagers")
            .cluster(&cluster.namespace, &cluster.name);
            break;
        }
    }
}

/// An Ingress that goes past the Service to its pods, and keeps each client with one.
fn has_sticky_ingress(cx: &Check<'_>, service: &str) -> bool {
    cx.of_kind("Ingress").into_iter().any(|id| {
        let node = &cx.object(id).node;
        let annotations = node.at("/metadata/annotations").map(Node::entries).unwrap_or_default();
        let sticky = annotations
            .iter()
            .filter_map(|(key, _)| key.text())
            .any(|key| key.contains("affinity") || key.contains("sticky"));
        let paths = node
            .at("/spec/rules")
            .map(Node::items)
            .unwrap_or_default()
            .iter()
            .flat_map(|rule| rule.at("/http/paths").map(Node::items).unwrap_or_default());
        sticky && paths.into_iter().any(|path| path.string_at("/backend/service/name") == Some(service))
    })
}
