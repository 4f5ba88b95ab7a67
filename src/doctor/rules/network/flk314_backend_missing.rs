//! FLK314: an Ingress or a Route that leads nowhere.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Backend, backends, services_of};
use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::known::Known;
use crate::doctor::model::config::is_literal;
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::doctor::snapshot::ObjectId;

rule! {
    /// An Ingress or a Route leads to a Service, or a port of one, that is not there
    ///
    /// ## Why it matters
    ///
    /// The web UI and the REST API cannot be reached from outside. Nothing else fails, and nothing says why:
    ///
    /// ```text
    /// 503 Service Temporarily Unavailable
    /// ```
    ///
    /// A Service that is not there is reported where its name is almost that of a Service of Flink's in the same namespace. In files
    /// only a letter or two of a word may differ, since any other Service may be in the cluster; of a running cluster also a name that
    /// is longer or shorter by whole words, such as `flink-jobmanager-rest`.
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
    ///   selector: {app: flink, component: jobmanager}
    ///   ports:
    ///   - {name: rpc, port: 6123}
    ///   - {name: webui, port: 8081}
    /// ---
    /// apiVersion: networking.k8s.io/v1
    /// kind: Ingress
    /// metadata:
    ///   name: flink
    ///   namespace: flink
    ///   annotations: {nginx.ingress.kubernetes.io/auth-type: basic}
    /// spec:
    ///   defaultBackend: {service: {name: flink-jobmanger, port: {name: webui}}}
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
    ///   - {name: webui, port: 8081}
    /// ---
    /// apiVersion: networking.k8s.io/v1
    /// kind: Ingress
    /// metadata:
    ///   name: flink
    ///   namespace: flink
    ///   annotations: {nginx.ingress.kubernetes.io/auth-type: basic}
    /// spec:
    ///   defaultBackend: {service: {name: flink-jobmanager, port: {name: webui}}}
    /// ```
    ///
    /// ## Fix
    ///
    /// Name the Service as it is called, in the namespace of the Ingress, and a port that it has.
    ///
    /// ## References
    ///
    /// - <https://kubernetes.io/docs/concepts/services-networking/ingress/>
    FLK314 "backend-missing": Network Warning, reads [Processes, Services, Ingresses]
}

fn check(cx: &mut Check<'_>) {
    let mut flinks: BTreeMap<String, Vec<(ObjectId, ServiceSpec)>> = BTreeMap::new();
    for cluster in cx.clusters() {
        if let Some(member) = cx.model.jobmanager(cluster) {
            flinks.entry(cluster.namespace.clone()).or_default().extend(services_of(cx, member));
        }
    }
    for kind in ["Ingress", "Route"] {
        for id in cx.of_kind(kind) {
            let Some(services) = flinks.get(&cx.object(id).namespace) else { continue };
            for backend in backends(kind, &cx.object(id).node) {
                leads(cx, id, &backend, services);
            }
        }
    }
}

/// Whether a backend leads anywhere.
fn leads(cx: &mut Check<'_>, from: ObjectId, backend: &Backend<'_>, services: &[(ObjectId, ServiceSpec)]) {
    let object = cx.object(from);
    let what = format!("{} {}", object.kind, object.name);
    let name = backend.service;
    let near = |is_near: fn(&str, &str) -> bool| {
        services.iter().map(|(id, _)| *id).find(|id| is_near(name, &cx.object(*id).name))
    };
    let (misspelt, longer) = (near(is_misspelt), near(is_longer));
    let (meant, missing) = match cx.find("Service", &object.namespace, name) {
        Known::Present(id) => {
            if let Some((_, spec)) = services.iter().find(|(service, _)| *service == id) {
                port(cx, from, backend, (id, spec));
            }
            return;
        }
        Known::Absent => (misspelt.or(longer), "does not exist"),
        Known::Unknown(why) => {
            if misspelt.is_none() && longer.is_some() {
                cx.unknown(why);
            }
            (misspelt, "is not in the files")
        }
    };
    let Some(meant) = meant else { return };
    let (place, right) = (Place::value(from, &backend.service_pointer), cx.object(meant).name.clone());
    cx.report(place.clone(), format!("{what} leads to Service {name}, which {missing}"))
        .help(format!("did you mean {right}?"))
        .symptom("503 Service Temporarily Unavailable")
        .related(Place::object(meant), "the Service of Flink's pods")
        .fix(Fix::new(format!("write {right}"), Safety::Unsafe, Edit::Replace(place, right)));
}

/// Whether the Service has the port.
fn port(cx: &mut Check<'_>, from: ObjectId, backend: &Backend<'_>, (service, spec): (ObjectId, &ServiceSpec)) {
    let Some((wanted, pointer)) = backend.port.as_ref().filter(|(wanted, _)| is_literal(wanted)) else { return };
    let object = cx.object(from);
    let is_route = object.kind == "Route";
    // A Route goes by the pods' ports; which number has a name there is theirs to say.
    let is_it = |port: &ServicePort| {
        port.name.as_deref() == Some(*wanted)
            || port.port.to_string() == **wanted
            || match &port.target_port {
                Some(IntOrString::Int(number)) => is_route && number.to_string() == **wanted,
                Some(IntOrString::String(name)) => is_route && (name == wanted || wanted.parse::<u16>().is_ok()),
                None => false,
            }
    };
    let ports = spec.ports.iter().flatten();
    if ports.clone().any(is_it) {
        return;
    }
    let has = ports.map(|port| match &port.name {
        Some(name) => format!("{} ({name})", port.port),
        None => port.port.to_string(),
    });
    let has = has.collect::<Vec<_>>().join(", ");
    let (what, name) = (format!("{} {}", object.kind, object.name), &cx.object(service).name);
    cx.report(Place::value(from, pointer), format!("{what} leads to port {wanted} of Service {name}, which has none"))
        .help(format!("name a port that it has: {has}"))
        .symptom("503 Service Temporarily Unavailable")
        .related(Place::value(service, "/spec/ports"), "the ports of the Service");
}

/// A hyphen is missing, or a letter or two of one long word differ; digits tell one cluster from another.
fn is_misspelt(name: &str, known: &str) -> bool {
    if name.replace('-', "") == known.replace('-', "") {
        return true;
    }
    let (words, others): (Vec<&str>, Vec<&str>) = (name.split('-').collect(), known.split('-').collect());
    let differ: Vec<(&&str, &&str)> = words.iter().zip(&others).filter(|(a, b)| a != b).collect();
    let [(word, other)] = differ[..] else { return false };
    let letters = |text: &str| text.trim_matches(|c: char| c.is_ascii_digit()).to_owned();
    let limit = if other.len() >= 8 { 2 } else { 1 };
    words.len() == others.len()
        && other.len() >= 5
        && letters(word) != letters(other)
        && strsim::osa_distance(word, other) <= limit
}

/// One of the two is the beginning or the end of the other, in whole words.
fn is_longer(name: &str, known: &str) -> bool {
    let (short, long) = if name.len() < known.len() { (name, known) } else { (known, name) };
    let rest = long.strip_prefix(short).map(|rest| rest.starts_with('-'));
    let start = long.strip_suffix(short).map(|start| start.ends_with('-'));
    rest == Some(true) || start == Some(true)
}
