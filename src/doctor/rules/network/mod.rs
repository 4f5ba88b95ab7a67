//! Addresses, ports, Services, who can reach what.

pub mod flk301_port_mismatch;
pub mod flk302_service_selects_nothing;
pub mod flk303_rpc_address_unknown;
pub mod flk304_blob_port_random;
pub mod flk305_port_range;
pub mod flk306_network_policy;
pub mod flk307_mesh_ports;
pub mod flk308_rest_exposed;
pub mod flk309_jars_on_several_jobmanagers;
pub mod flk310_probes;
pub mod flk311_rest_tls;
pub mod flk312_web_information;
pub mod flk313_taskmanager_without_address;
pub mod flk314_backend_missing;

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use crate::doctor::known::Known;
use crate::doctor::model::config::{Config, Entry};
use crate::doctor::model::{Member, WORKLOADS};
use crate::doctor::place::Place;
use crate::doctor::rule::Check;
use crate::doctor::snapshot::ObjectId;
use crate::manifests::tree::Node;

/// The options of a port, the one that counts first, and the port without them.
type PortOption = (&'static [&'static str], &'static str);

const RPC: PortOption = (&["jobmanager.rpc.bind-port", "jobmanager.rpc.port"], "6123");
const BLOB: PortOption = (&["blob.server.port"], "0");
const REST: PortOption = (&["rest.bind-port", "rest.port"], "8081");
const TASKMANAGER_RPC: PortOption = (&["taskmanager.rpc.bind-port", "taskmanager.rpc.port"], "0");
const TASKMANAGER_DATA: PortOption = (&["taskmanager.data.bind-port", "taskmanager.data.port"], "0");

/// The ports that Flink may listen on for one purpose; none where the system chooses one.
#[derive(Debug, Clone)]
struct Ports<'a> {
    ranges: Vec<(u16, u16)>,
    entry: Option<&'a Entry>,
    key: &'static str,
}

impl<'a> Ports<'a> {
    /// Reads `6123`, `6123-6130`, `6123,6130` and `0`. Unknown where the value is none of them.
    fn of(config: &'a Config, (keys, default): PortOption) -> Known<Ports<'a>> {
        let entry = match config.known(keys) {
            Known::Present(entry) => Some(entry),
            Known::Absent => None,
            Known::Unknown(why) => return Known::Unknown(why),
        };
        let text = entry.map_or(default, |entry| entry.value.as_str());
        let range = |part: &str| {
            let (from, to) = part.split_once('-').unwrap_or((part, part));
            Some((from.trim().parse().ok()?, to.trim().parse().ok()?))
        };
        let ranges: Option<Vec<(u16, u16)>> = text.split(',').map(range).collect();
        match ranges {
            Some(mut ranges) => {
                ranges.retain(|(_, to)| *to != 0);
                Known::Present(Ports { ranges, entry, key: keys[keys.len() - 1] })
            }
            None => Known::Unknown(format!("{} is {text:?}", keys[0])),
        }
    }

    fn is_random(&self) -> bool {
        self.ranges.is_empty()
    }

    fn contains(&self, port: u16) -> bool {
        self.ranges.iter().any(|(from, to)| (*from..=*to).contains(&port))
    }

    /// It is given as more than one port.
    fn is_range(&self) -> bool {
        self.ranges.len() > 1 || self.ranges.iter().any(|(from, to)| from != to)
    }

    /// `8081`; `8081-8090`; `a port that the system chooses`.
    fn text(&self) -> String {
        let one = |(from, to): &(u16, u16)| if from == to { from.to_string() } else { format!("{from}-{to}") };
        if self.is_random() {
            return "a port that the system chooses".to_owned();
        }
        self.ranges.iter().map(one).collect::<Vec<_>>().join(",")
    }

    /// The option that sets it.
    fn option(&self) -> &str {
        self.entry.map_or(self.key, |entry| &entry.key)
    }
}

/// Whether a process works without high availability: then its JobManager is found by its address.
fn without_ha(config: &Config) -> Known<()> {
    match config.known(&["high-availability.type", "high-availability"]) {
        Known::Absent => Known::Present(()),
        Known::Present(entry) if entry.value.trim().eq_ignore_ascii_case("none") => Known::Present(()),
        Known::Present(_) => Known::Absent,
        Known::Unknown(why) => Known::Unknown(why),
    }
}

/// The Services of a namespace.
fn services(cx: &Check<'_>, namespace: &str) -> Vec<(ObjectId, Service)> {
    let all = cx.of_kind_in("Service", namespace).into_iter();
    all.filter_map(|id| Some((id, cx.object(id).typed()?))).collect()
}

/// The Services of a member's namespace that lead to its pods through an address of their own.
fn services_of(cx: &Check<'_>, member: &Member) -> Vec<(ObjectId, ServiceSpec)> {
    let all = services(cx, member.workload.namespace()).into_iter();
    all.filter_map(|(id, service)| Some((id, service.spec?)))
        .filter(|(_, spec)| !is_headless(spec) && leads_to(spec, member))
        .collect()
}

fn is_headless(spec: &ServiceSpec) -> bool {
    spec.cluster_ip.as_deref() == Some("None")
}

fn leads_to(spec: &ServiceSpec, member: &Member) -> bool {
    let selector = spec.selector.clone().unwrap_or_default();
    let labels = member.workload.template.metadata.as_ref().and_then(|metadata| metadata.labels.clone());
    let labels = labels.unwrap_or_default();
    !selector.is_empty() && selector.iter().all(|(key, value)| labels.get(key) == Some(value))
}

/// The workloads of a namespace, Flink's or not, whose pods have these labels; each with where its pods' specification is.
fn workloads_with(
    cx: &Check<'_>,
    namespace: &str,
    selector: &BTreeMap<String, String>,
) -> Vec<(ObjectId, &'static str)> {
    let mut found = Vec::new();
    for (kind, pod_spec) in WORKLOADS {
        let pointer = format!("{}metadata/labels", pod_spec.trim_end_matches("spec"));
        for id in cx.of_kind_in(kind, namespace) {
            let object = cx.object(id);
            let label = |key: &String| object.node.at(&pointer).and_then(|labels| labels.get(key)).and_then(Node::text);
            if selector.iter().all(|(key, value)| label(key) == Some(value)) {
                found.push((id, pod_spec));
            }
        }
    }
    found
}

/// A port that a container of a pod declares.
#[derive(Debug, Clone)]
struct Declared {
    number: u16,
    name: String,
    container: String,
    place: Place,
}

/// All ports that the containers of a workload's pods declare.
fn declared_ports(cx: &Check<'_>, object: ObjectId, pod_spec: &str) -> Vec<Declared> {
    let mut found = Vec::new();
    for list in ["containers", "initContainers"] {
        let path = format!("{pod_spec}/{list}");
        let containers = cx.object(object).node.at(&path).map(Node::items).unwrap_or_default();
        for (at, container) in containers.iter().enumerate() {
            let ports = container.get("ports").map(Node::items).unwrap_or_default();
            for (number, port) in ports.iter().enumerate() {
                let text = |key: &str| port.get(key).and_then(Node::text).unwrap_or_default();
                found.extend(text("containerPort").parse().ok().map(|value| Declared {
                    number: value,
                    name: text("name").to_owned(),
                    container: container.get("name").and_then(Node::text).unwrap_or_default().to_owned(),
                    place: Place::value(object, format!("{path}/{at}/ports/{number}/containerPort")),
                }));
            }
        }
    }
    found
}

/// Where a Service's port or a probe leads in a member's pods: the number, and its place if that is the container's port.
fn resolve(cx: &Check<'_>, member: &Member, port: &IntOrString) -> Option<(u16, Option<Place>)> {
    match port {
        IntOrString::Int(number) => Some((u16::try_from(*number).ok()?, None)),
        IntOrString::String(name) => {
            let declared = declared_ports(cx, member.object, member.pod_spec);
            let port = declared.into_iter().find(|port| port.name == *name)?;
            Some((port.number, Some(port.place)))
        }
    }
}

/// The port of the pods that a Service's port leads to.
fn target_of(port: &ServicePort) -> IntOrString {
    port.target_port.clone().unwrap_or(IntOrString::Int(port.port))
}

/// The Services that lead to a JobManager's REST port, each with the number of the port in its list.
fn rest_services(cx: &Check<'_>, member: &Member) -> Vec<(ObjectId, ServiceSpec, usize)> {
    let Known::Present(rest) = Ports::of(&member.config, REST) else { return Vec::new() };
    let mut found = Vec::new();
    for (id, spec) in services_of(cx, member) {
        let leads = |port: &ServicePort| resolve(cx, member, &target_of(port)).is_some_and(|(n, _)| rest.contains(n));
        if let Some(at) = spec.ports.iter().flatten().position(leads) {
            found.push((id, spec, at));
        }
    }
    found
}

/// Where an Ingress or a Route leads.
struct Backend<'a> {
    /// The host of the rule; empty for all.
    host: &'a str,
    service: &'a str,
    service_pointer: String,
    /// The number or the name of the port, with the pointer to it.
    port: Option<(&'a str, String)>,
}

/// The Services to which an Ingress, or a Route of OpenShift's, leads.
fn backends<'a>(kind: &str, node: &'a Node) -> Vec<Backend<'a>> {
    let text = |pointer: &str| node.at(pointer).and_then(Node::text);
    let first = |pointers: &[String]| {
        pointers.iter().find_map(|pointer| Some((text(pointer).filter(|text| !text.is_empty())?, pointer.clone())))
    };
    let backend = |host: &'a str, service: &[String], port: &[String]| {
        let (service, service_pointer) = first(service)?;
        Some(Backend { host, service, service_pointer, port: first(port) })
    };
    if kind == "Route" {
        let port = ["/spec/port/targetPort".to_owned()];
        return backend("", &["/spec/to/name".to_owned()], &port).into_iter().collect();
    }
    let mut pointers = vec![("", "/spec/defaultBackend".to_owned()), ("", "/spec/backend".to_owned())];
    for (rule, node) in node.at("/spec/rules").map(Node::items).unwrap_or_default().iter().enumerate() {
        let host = node.get("host").and_then(Node::text).unwrap_or_default();
        let paths = node.at("/http/paths").map(Node::items).unwrap_or_default().len();
        pointers.extend((0..paths).map(|path| (host, format!("/spec/rules/{rule}/http/paths/{path}/backend"))));
    }
    // Before networking.k8s.io/v1 a backend was written flat.
    let of = |(host, at): (&'a str, String)| {
        let ports = ["service/port/number", "service/port/name", "servicePort"].map(|port| format!("{at}/{port}"));
        backend(host, &["service/name", "serviceName"].map(|name| format!("{at}/{name}")), &ports)
    };
    // What AWS's controller reads from an annotation is no Service.
    let is_service = |backend: &Backend<'_>| backend.port.as_ref().is_none_or(|(port, _)| *port != "use-annotation");
    pointers.into_iter().filter_map(of).filter(is_service).collect()
}

/// The name of the Service of this namespace that an address means: `jm`, `jm.flink`, `jm.flink.svc.cluster.local`. None
/// for other hosts and for IP addresses.
fn service_name<'a>(address: &'a str, namespace: &str) -> Option<&'a str> {
    let address = address.trim().trim_end_matches('.');
    let mut parts = address.split('.');
    let name = parts.next().filter(|name| !name.is_empty() && *name != "localhost")?;
    let in_namespace = match (parts.next(), parts.next()) {
        (None, _) => true,
        (Some(other), None | Some("svc")) => other == namespace && !namespace.is_empty(),
        _ => false,
    };
    let is_name = name.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'-') && !address.contains(':');
    (in_namespace && is_name).then_some(name)
}

/// Uploading jars is switched off, so REST runs no code that somebody sends it.
fn refuses_jars(config: &Config) -> bool {
    config.value("web.submit.enable").is_some_and(|value| value.trim().eq_ignore_ascii_case("false"))
}
