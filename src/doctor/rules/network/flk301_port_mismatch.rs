//! FLK301: a Service or a probe goes to a port on which Flink does not listen.

use k8s_openapi::api::core::v1::Probe;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{
    BLOB, Ports, REST, RPC, TASKMANAGER_RPC, declared_ports, resolve, services, services_of, target_of, workloads_with,
};
use crate::doctor::known::Known;
use crate::doctor::model::{Cluster, Member};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::doctor::rules::config::reads_another_file;

rule! {
    /// A Service or a probe leads to a port on which Flink does not listen
    ///
    /// ## Why it matters
    ///
    /// Flink listens where its configuration says: `jobmanager.rpc.port` (6123), `blob.server.port`, `rest.port` (8081),
    /// `taskmanager.rpc.port`. The `containerPort`s of a pod change nothing about that; a Service's `targetPort` and the probes
    /// have to name the same numbers. If they differ, the Service refuses connections, or the pod never becomes ready:
    ///
    /// ```text
    /// Could not resolve ResourceManager address pekko.tcp://flink@flink-jobmanager:6123/user/rpc/resourcemanager_*, retrying in 10000 ms
    /// ```
    ///
    /// A `targetPort` that is a name has to be the name of a port that a container declares, or the Service leads nowhere.
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
    ///         - {name: FLINK_PROPERTIES, value: "rest.port: 8082"}
    ///         ports: [{name: webui, containerPort: 8082}]
    /// ---
    /// apiVersion: v1
    /// kind: Service
    /// metadata: {name: flink-webui, namespace: flink}
    /// spec:
    ///   selector: {app: flink, component: jobmanager}
    ///   ports:
    ///   - {name: webui, port: 8081, targetPort: 8081}
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
    ///         - {name: FLINK_PROPERTIES, value: "rest.port: 8082"}
    ///         ports: [{name: webui, containerPort: 8082}]
    /// ---
    /// apiVersion: v1
    /// kind: Service
    /// metadata: {name: flink-webui, namespace: flink}
    /// spec:
    ///   selector: {app: flink, component: jobmanager}
    ///   ports:
    ///   - {name: webui, port: 8081, targetPort: 8082}
    /// ```
    ///
    /// ## Fix
    ///
    /// Change the `targetPort`, the `containerPort` of that name or the probe to Flink's port, or the option to theirs.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/config/#hosts-and-ports>
    /// - <https://kubernetes.io/docs/concepts/services-networking/service/#field-spec-ports>
    FLK301 "port-mismatch": Network Error, reads [Processes, Services]
}

fn check(cx: &mut Check<'_>) {
    named_targets(cx);
    for cluster in cx.clusters() {
        let Some(member) = cx.model.jobmanager(cluster) else { continue };
        jobmanager(cx, cluster, member);
    }
    for (cluster, member) in cx.members() {
        let native = cluster.mode.is_some_and(crate::flink::role::Mode::is_native);
        // What a file sets that is not read (FLK504, FLK505) is not mended here.
        if !member.is_jobmanager() && !native && !reads_another_file(cx, member) {
            taskmanager(cx, member);
        }
    }
}

/// Services of Flink's pods whose ports go by a name that no container has.
fn named_targets(cx: &mut Check<'_>) {
    let mut namespaces: Vec<&str> = cx.members().iter().map(|(_, member)| member.workload.namespace()).collect();
    namespaces.sort_unstable();
    namespaces.dedup();
    for (id, service) in namespaces.into_iter().flat_map(|namespace| services(cx, namespace)).collect::<Vec<_>>() {
        let spec = service.spec.unwrap_or_default();
        let selector = spec.selector.clone().unwrap_or_default();
        let behind = if selector.is_empty() || super::is_headless(&spec) {
            Vec::new()
        } else {
            workloads_with(cx, &cx.object(id).namespace, &selector)
        };
        let flink =
            cx.members().into_iter().find(|(_, member)| behind.iter().any(|(other, _)| *other == member.object));
        let Some((_, member)) = flink else { continue };
        let declared: Vec<_> = behind.iter().flat_map(|(id, pod_spec)| declared_ports(cx, *id, pod_spec)).collect();
        for (number, port) in spec.ports.iter().flatten().enumerate() {
            let IntOrString::String(name) = target_of(port) else { continue };
            if declared.iter().any(|port| port.name == name) || name.contains("{{") {
                continue;
            }
            cx.report(
                Place::value(id, format!("/spec/ports/{number}/targetPort")),
                format!("no container of the pods of Service {} has a port named {name}", cx.object(id).name),
            )
            .help(format!("name a port of the container {name}, or set targetPort to the number"))
            .related(member.in_container("ports"), "the ports of the pods");
        }
    }
}

/// Something that leads to a port of a pod: where it stands, what it is, and the number.
struct Mention {
    place: Place,
    what: String,
    number: u16,
    name: String,
}

/// What people call Flink's ports.
const NAMES: [&[&str]; 3] = [
    &["rpc", "tcp-rpc", "jobmanager-rpc", "jm-rpc"],
    &["blob", "blob-server", "blobserver", "tcp-blob", "tcp-blob-server"],
    &["rest", "ui", "webui", "web-ui", "http-rest", "http-ui"],
];
/// The numbers that stand for them everywhere.
const NUMBERS: [u16; 3] = [6123, 6124, 8081];

fn jobmanager(cx: &mut Check<'_>, cluster: &Cluster, member: &Member) {
    let zookeeper = cluster.config.get(&["high-availability.type", "high-availability"]);
    // With ZooKeeper the RPC port is another option's, and random.
    let zookeeper = zookeeper.is_some_and(|entry| entry.value.trim().eq_ignore_ascii_case("zookeeper"));
    let mut mentions = probes(cx, member);
    for (id, spec) in services_of(cx, member) {
        for (number, port) in spec.ports.iter().flatten().enumerate() {
            let Some((target, declared)) = resolve(cx, member, &target_of(port)) else { continue };
            let pointer = if port.target_port.is_some() { "targetPort" } else { "port" };
            mentions.push(Mention {
                place: declared.unwrap_or_else(|| Place::value(id, format!("/spec/ports/{number}/{pointer}"))),
                what: format!("Service {}", cx.object(id).name),
                number: target,
                name: port.name.clone().unwrap_or_default(),
            });
        }
    }
    let known = [RPC, BLOB, REST].map(|option| Ports::of(&cluster.config, option));
    let used = |number: u16| known.iter().any(|ports| matches!(ports, Known::Present(p) if p.contains(number)));
    // A port of another container: a proxy, metrics.
    let container = member.container().map_or("", |(_, container)| &container.name);
    let others =
        declared_ports(cx, member.object, member.pod_spec).into_iter().filter(|port| port.container != container);
    let others: Vec<u16> = others.map(|port| port.number).collect();
    mentions.retain(|mention| !used(mention.number) && !others.contains(&mention.number));
    for (purpose, ports) in known.iter().enumerate() {
        let meant = |mention: &&Mention| match NUMBERS.iter().position(|number| *number == mention.number) {
            Some(number) => number == purpose,
            None => NAMES[purpose].contains(&&*mention.name),
        };
        let of_purpose: Vec<&Mention> = mentions.iter().filter(meant).collect();
        if of_purpose.is_empty() || (zookeeper && purpose != 2) {
            continue;
        }
        match ports {
            Known::Unknown(why) => cx.unknown(why.clone()),
            Known::Present(ports) if !ports.is_random() => report(cx, &of_purpose, ports, member),
            _ => {}
        }
    }
}

fn taskmanager(cx: &mut Check<'_>, member: &Member) {
    let mut mentions = probes(cx, member);
    mentions.retain(|mention| mention.number == 6122 || NAMES[0].contains(&&*mention.name));
    let mentions: Vec<&Mention> = mentions.iter().collect();
    match Ports::of(&member.config, TASKMANAGER_RPC) {
        Known::Unknown(why) if !mentions.is_empty() => cx.unknown(why),
        Known::Present(ports) if !mentions.is_empty() && !ports.contains(mentions[0].number) => {
            report(cx, &mentions, &ports, member);
        }
        _ => {}
    }
}

fn report(cx: &mut Check<'_>, mentions: &[&Mention], ports: &Ports<'_>, member: &Member) {
    let Some((first, more)) = mentions.split_first() else { return };
    let (option, text, number) = (ports.option(), ports.text(), first.number);
    let why = if ports.entry.is_some() { "" } else { " is not set" };
    let finding = cx.report(
        first.place.clone(),
        format!("{} leads to port {number}, but Flink listens on {text} ({option}{why})", first.what),
    );
    if ports.is_random() {
        finding.help(format!("set {option}: {number}"));
    } else {
        finding.help(format!("lead it to {text}, or set {option} to {number}"));
    }
    for mention in more.iter().filter(|mention| mention.place != first.place) {
        finding.related(mention.place.clone(), format!("{} leads there too", mention.what));
    }
    let place = ports.entry.map_or_else(|| member.in_container("args"), |entry| entry.place.clone());
    finding.related(place, format!("the {}, whose {option} is {text}", member.role_name()));
}

/// What the kubelet asks of a member's container.
fn probes(cx: &Check<'_>, member: &Member) -> Vec<Mention> {
    let Some((_, container)) = member.container() else { return Vec::new() };
    let kinds: [(&str, &Option<Probe>); 3] = [
        ("startupProbe", &container.startup_probe),
        ("livenessProbe", &container.liveness_probe),
        ("readinessProbe", &container.readiness_probe),
    ];
    let mut found = Vec::new();
    for (kind, probe) in kinds {
        let Some(probe) = probe else { continue };
        let port = match (&probe.http_get, &probe.tcp_socket) {
            (Some(get), _) => Some(("httpGet", &get.port)),
            (None, Some(socket)) => Some(("tcpSocket", &socket.port)),
            (None, None) => None,
        };
        let Some((how, port)) = port else { continue };
        let Some((number, declared)) = resolve(cx, member, port) else { continue };
        let name = match port {
            IntOrString::String(name) => name.clone(),
            IntOrString::Int(_) => String::new(),
        };
        let place = declared.unwrap_or_else(|| member.in_container(&format!("{kind}/{how}/port")));
        found.push(Mention { place, what: format!("the {kind}"), number, name });
    }
    found
}
