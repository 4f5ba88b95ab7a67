//! FLK304: a BLOB port that the Service in front of it cannot know.

use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{BLOB, Ports, RPC, is_headless, leads_to, service_name, services, services_of, target_of, without_ha};
use crate::doctor::fix::{Fix, Safety};
use crate::doctor::known::Known;
use crate::doctor::model::{Cluster, Member};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, Severity, rule};
use crate::flink::role::Mode;

rule! {
    /// The BLOB server's port is left to chance, and a Service stands before it
    ///
    /// ## Why it matters
    ///
    /// TaskManagers fetch the jars of a job from the JobManager's BLOB server. Without `blob.server.port` it takes any free port,
    /// which is in no Service. The image's entrypoint sets 6124 in the configuration that the image brings, not in a ConfigMap that
    /// is mounted over it. TaskManagers register, and every job fails:
    ///
    /// ```text
    /// java.io.IOException: Failed to fetch BLOB
    /// Caused by: java.io.IOException: Could not connect to BlobServer at address flink-jobmanager/10.96.12.3:41233
    /// ```
    ///
    /// With high availability TaskManagers go to the pod itself, where every port can be reached. The jars of an application cluster
    /// are in its image: there it is a warning.
    ///
    /// A session cluster's port that is set, and that the Service does not have, ends the same way and is reported at the Service.
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: ConfigMap
    /// metadata: {name: flink-config, namespace: flink}
    /// data:
    ///   config.yaml: |
    ///     jobmanager.rpc.address: flink-jobmanager
    ///     jobmanager.memory.process.size: 1600m
    /// ---
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
    ///         volumeMounts: [{name: config, mountPath: /opt/flink/conf}]
    ///       volumes: [{name: config, configMap: {name: flink-config}}]
    /// ---
    /// apiVersion: v1
    /// kind: Service
    /// metadata: {name: flink-jobmanager, namespace: flink}
    /// spec:
    ///   selector: {app: flink, component: jobmanager}
    ///   ports:
    ///   - {name: rpc, port: 6123}
    ///   - {name: blob-server, port: 6124}
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
    ///     jobmanager.rpc.address: flink-jobmanager
    ///     jobmanager.memory.process.size: 1600m
    ///     blob.server.port: 6124
    /// ---
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
    ///         volumeMounts: [{name: config, mountPath: /opt/flink/conf}]
    ///       volumes: [{name: config, configMap: {name: flink-config}}]
    /// ---
    /// apiVersion: v1
    /// kind: Service
    /// metadata: {name: flink-jobmanager, namespace: flink}
    /// spec:
    ///   selector: {app: flink, component: jobmanager}
    ///   ports:
    ///   - {name: rpc, port: 6123}
    ///   - {name: blob-server, port: 6124}
    /// ```
    ///
    /// ## Fix
    ///
    /// Set `blob.server.port: 6124`, and have that port in the Service.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/resource-providers/standalone/kubernetes/>
    FLK304 "blob-port-random": Network Error, reads [Processes, Services]
}

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        let Some(member) = cx.model.jobmanager(cluster) else { continue };
        not_in_service(cx, cluster, member);
        let Some(file) = member.config.file.map(|number| &cx.model.config_files[number]) else { continue };
        let namespace = member.workload.namespace();
        let address = cluster.config.get(&["jobmanager.rpc.address"]).filter(|entry| entry.is_literal());
        let Some(name) = address.and_then(|entry| service_name(&entry.value, namespace)) else { continue };
        let service = services(cx, namespace).into_iter().find(|(id, service)| {
            let spec = service.spec.clone().unwrap_or_default();
            cx.object(*id).name == name && !is_headless(&spec) && leads_to(&spec, member)
        });
        let Some((service, _)) = service else { continue };
        // A line that names the option and is not read is wrong in another way.
        let unread = cluster.config.get(&["blob.server.port"]).is_none() && file.text.contains("blob.server.port");
        if unread || !matches!(without_ha(&cluster.config), Known::Present(())) {
            continue;
        }
        let ports = match Ports::of(&cluster.config, BLOB) {
            Known::Present(ports) if ports.is_random() => ports,
            Known::Unknown(why) => {
                cx.unknown(why);
                continue;
            }
            _ => continue,
        };
        // An application's jars are in its image; only large plans go through the BLOB server.
        let application = matches!(cluster.mode, Some(Mode::StandaloneApplication | Mode::NativeApplication));
        let severity = if application { Severity::Warning } else { Severity::Error };
        let whole = if file.pointer.is_empty() { file.place(0..0) } else { Place::key(file.object, &file.pointer) };
        let place = ports.entry.map_or(whole, |entry| entry.place.clone());
        let finding = cx.report(
            place,
            format!("blob.server.port is not set, so the BLOB server's port is random and not in Service {name}"),
        );
        finding
            .help("set blob.server.port: 6124, and have that port in the Service")
            .symptom("java.io.IOException: Failed to fetch BLOB")
            .severity(severity)
            .related(Place::value(service, "/spec/ports"), "the ports of the Service");
        if ports.entry.is_none() {
            finding.fix(Fix::add_option(file, "blob.server.port", "6124", Safety::Safe));
        }
    }
}

/// A session cluster's BLOB port that is fixed, and that the Service which TaskManagers go through does not have.
fn not_in_service(cx: &mut Check<'_>, cluster: &Cluster, member: &Member) {
    let namespace = member.workload.namespace();
    let address = cluster.config.get(&["jobmanager.rpc.address"]).filter(|entry| entry.is_literal());
    let Some(name) = address.and_then(|entry| service_name(&entry.value, namespace)) else { return };
    if cluster.mode != Some(Mode::StandaloneSession) || !matches!(without_ha(&cluster.config), Known::Present(())) {
        return;
    }
    let (Known::Present(blob), Known::Present(rpc)) =
        (Ports::of(&cluster.config, BLOB), Ports::of(&cluster.config, RPC))
    else {
        return;
    };
    for (service, spec) in services_of(cx, member) {
        let ports = || spec.ports.iter().flatten();
        let has = |wanted: &Ports<'_>| ports().any(|port| u16::try_from(port.port).is_ok_and(|n| wanted.contains(n)));
        // A port that is meant for it and has another number is FLK301's, as is one that leads elsewhere.
        let meant = ports().any(|port| {
            target_of(port) != IntOrString::Int(port.port)
                || port.port == 6124
                || port.name.as_deref().is_some_and(|name| name.to_ascii_lowercase().contains("blob"))
        });
        if cx.object(service).name != name || blob.is_random() || meant || !has(&rpc) || has(&blob) {
            continue;
        }
        let text = blob.text();
        cx.report(
            Place::key(service, "/spec/ports"),
            format!("Service {name} has no port {text}, where the TaskManagers fetch the jobs' jars"),
        )
        .help(format!("add the port {text} to the Service: {{name: blob, port: {text}}}"))
        .symptom("java.io.IOException: Failed to fetch BLOB")
        .related(address.map_or_else(|| member.in_container(""), |entry| entry.place.clone()), "the address in use");
    }
}
