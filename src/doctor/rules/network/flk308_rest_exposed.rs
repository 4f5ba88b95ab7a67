//! FLK308: the REST API and web UI can be reached from outside.

use k8s_openapi::api::core::v1::ServicePort;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Backend, backends, refuses_jars, rest_services};
use crate::doctor::model::Cluster;
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, Severity, rule};
use crate::doctor::snapshot::ObjectId;
use crate::manifests::tree::Node;

rule! {
    /// The web UI, which has no login and runs what it is sent, can be reached from outside
    ///
    /// ## Why it matters
    ///
    /// Flink's REST API has no users and no passwords. Whoever reaches it can upload a jar and run it with the rights of the pods,
    /// read the jobs' data and cancel jobs. Scanners look for it, and find it:
    ///
    /// ```console
    /// POST /jars/upload HTTP/1.1
    /// ```
    ///
    /// A load balancer, an Ingress or a Route of OpenShift's makes it public; a NodePort opens it on every node, to whoever reaches
    /// those: a warning. A FlinkDeployment has `spec.ingress` and `kubernetes.rest-service.exposed.type` for the same.
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
    /// ---
    /// apiVersion: v1
    /// kind: Service
    /// metadata: {name: flink-webui, namespace: flink}
    /// spec:
    ///   type: LoadBalancer
    ///   selector: {app: flink, component: jobmanager}
    ///   ports:
    ///   - {name: webui, port: 8081}
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
    /// ---
    /// apiVersion: v1
    /// kind: Service
    /// metadata: {name: flink-webui, namespace: flink}
    /// spec:
    ///   type: ClusterIP
    ///   selector: {app: flink, component: jobmanager}
    ///   ports:
    ///   - {name: webui, port: 8081}
    /// ```
    ///
    /// ## Fix
    ///
    /// Use `type: ClusterIP` and `kubectl port-forward`, or put a proxy with a login before it. With `web.submit.enable: false`
    /// nobody can upload jars, which stops the worst of it. This rule is silent where an Ingress has annotations about
    /// authentication or allowed addresses, an internal class, or a host that only the own network knows (`.local`, `.internal`), where
    /// a load balancer is internal or has `loadBalancerSourceRanges`, and where `security.ssl.rest.authentication-enabled` is set.
    ///
    /// ## When to ignore
    ///
    /// Only trusted people reach the address. Say so at the object: `kubectl-flink/ignore.FLK308: "behind the VPN"`.
    ///
    /// ## References
    ///
    /// - <https://flink.apache.org/what-is-flink/security/>
    FLK308 "rest-exposed": Network Error, reads [Processes, Services, Ingresses]
}

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        let tls = cluster.config.value("security.ssl.rest.authentication-enabled");
        if refuses_jars(&cluster.config) || tls.is_some_and(|value| value.trim().eq_ignore_ascii_case("true")) {
            continue;
        }
        // A FlinkDeployment asks for its Service and Ingress in its own words.
        if let Some(entry) =
            cluster.config.get(&["kubernetes.rest-service.exposed.type"]).filter(|_| cluster.is_custom_resource())
        {
            let kind = entry.value.trim();
            if kind == "NodePort" || kind == "LoadBalancer" {
                let what = format!("kubernetes.rest-service.exposed.type is {kind}");
                report(cx, cluster, entry.place.clone(), &what, kind == "NodePort");
            }
        }
        if cluster.is_custom_resource() {
            let node = cx.object(cluster.object).node.at("/spec/ingress");
            if node.is_some_and(|ingress| !is_guarded(ingress.get("annotations"))) {
                report(cx, cluster, Place::value(cluster.object, "/spec/ingress"), "the Ingress", false);
            }
        }
        let Some(member) = cx.model.jobmanager(cluster) else { continue };
        for (id, spec, port) in rest_services(cx, member) {
            let object = cx.object(id);
            let kind = spec.type_.as_deref().unwrap_or_default();
            let bounded = spec
                .load_balancer_source_ranges
                .as_ref()
                .is_some_and(|ranges| !ranges.is_empty() && !ranges.iter().any(|range| range.ends_with("/0")));
            let internal = spec.load_balancer_class.is_some() || is_internal(object.node.at("/metadata/annotations"));
            let open = kind == "NodePort" || (kind == "LoadBalancer" && !bounded && !internal);
            if open {
                let what = format!("Service {} of type {kind}", object.name);
                report(cx, cluster, Place::value(id, "/spec/type"), &what, kind == "NodePort");
            }
            for (ingress, pointer) in ingresses(cx, id, spec.ports.iter().flatten().nth(port)) {
                let what = format!("Ingress {}", cx.object(ingress).name);
                report(cx, cluster, Place::value(ingress, pointer), &what, false);
            }
            for route in routes(cx, id, spec.ports.iter().flatten().nth(port)) {
                let what = format!("Route {}", cx.object(route).name);
                report(cx, cluster, Place::value(route, "/spec/to/name"), &what, false);
            }
        }
    }
}

fn report(cx: &mut Check<'_>, cluster: &Cluster, place: Place, what: &str, of_nodes: bool) {
    let (severity, whom) = if of_nodes {
        (Severity::Warning, "everybody who reaches a node")
    } else {
        (Severity::Error, "everybody who reaches its address")
    };
    cx.report(place, format!("{what} lets {whom} run code in the pods through the REST API, which has no login"))
        .help("use ClusterIP with kubectl port-forward, put a login before it, or set web.submit.enable: false")
        .severity(severity)
        .cluster(&cluster.namespace, &cluster.name);
}

/// The Ingresses without a guard that lead to this port of a Service, each with where the Service is named.
fn ingresses(cx: &Check<'_>, service: ObjectId, port: Option<&ServicePort>) -> Vec<(ObjectId, String)> {
    let target = cx.object(service);
    let mut found = Vec::new();
    for id in cx.of_kind("Ingress") {
        let ingress = cx.object(id);
        let class = ingress.node.string_at("/spec/ingressClassName").unwrap_or_default();
        let private = ["internal", "private", "tailscale"].iter().any(|word| class.contains(word));
        if ingress.namespace != target.namespace || private || is_guarded(ingress.node.at("/metadata/annotations")) {
            continue;
        }
        let leads = |backend: &Backend<'_>| {
            let is_port = |(wanted, _): &(&str, String)| {
                port.is_some_and(|port| port.port.to_string() == *wanted || port.name.as_deref() == Some(*wanted))
            };
            backend.service == target.name && backend.port.as_ref().is_some_and(is_port) && !is_private(backend.host)
        };
        let backend = backends("Ingress", &ingress.node).into_iter().find(leads);
        found.extend(backend.map(|backend| (id, backend.service_pointer)));
    }
    found
}

/// A name that only the own machine or network knows.
fn is_private(host: &str) -> bool {
    [".local", ".localhost", ".internal", ".test", ".lan", "localhost"].iter().any(|end| host.ends_with(end))
}

/// The Routes, OpenShift's Ingresses, that lead to this port of a Service.
fn routes(cx: &Check<'_>, service: ObjectId, port: Option<&ServicePort>) -> Vec<ObjectId> {
    let target = cx.object(service);
    let leads = |route: &Node| {
        let wanted = route.at("/spec/port/targetPort").and_then(Node::text).unwrap_or_default();
        // Either the name of the Service's port or the number in the pod; none is the first that the Service has.
        let own = port.is_some_and(|port| {
            let number = match &port.target_port {
                Some(IntOrString::Int(number)) => number.to_string(),
                Some(IntOrString::String(name)) => name.clone(),
                None => port.port.to_string(),
            };
            port.name.as_deref() == Some(wanted) || number == wanted
        });
        route.string_at("/spec/to/name") == Some(&target.name) && own && !is_guarded(route.at("/metadata/annotations"))
    };
    let all = cx.of_kind("Route").into_iter();
    all.filter(|id| cx.object(*id).namespace == target.namespace && leads(&cx.object(*id).node)).collect()
}

/// Annotations that speak of a login or of who may come.
fn is_guarded(annotations: Option<&Node>) -> bool {
    const WORDS: [&str; 9] = [
        "auth",
        "whitelist",
        "allowlist",
        "source-range",
        "middleware",
        "oidc",
        "backend-config",
        "policy",
        "client-ca",
    ];
    let keys = annotations.map(Node::entries).unwrap_or_default().iter().filter_map(|(key, _)| key.text());
    is_internal(annotations) || keys.into_iter().any(|key| WORDS.iter().any(|word| key.contains(word)))
}

/// Annotations by which clouds make something internal: `aws-load-balancer-internal: "true"`, `scheme: internal`.
fn is_internal(annotations: Option<&Node>) -> bool {
    let entries = annotations.map(Node::entries).unwrap_or_default();
    entries.iter().any(|(key, value)| {
        let (key, value) = (key.text().unwrap_or_default(), value.text().unwrap_or_default().to_ascii_lowercase());
        (key.contains("internal") && !matches!(&*value, "false" | ""))
            || value.contains("internal")
            || value.contains("private")
    })
}
