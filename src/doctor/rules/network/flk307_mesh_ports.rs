//! FLK307: a service mesh before ports that it does not know.

use super::services;
use crate::doctor::model::Member;
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};

rule! {
    /// A service mesh is injected into Flink's pods, and nothing tells it about Flink's ports
    ///
    /// ## Why it matters
    ///
    /// A mesh's proxy takes over every connection of the pod and guesses the protocol of each. Flink's processes talk to each other
    /// with protocols of their own, to pod IPs and on ports that are in no Service. Where the mesh insists on mutual TLS or takes
    /// the protocol for HTTP, TaskManagers cannot register:
    ///
    /// ```text
    /// Association with remote system [pekko.tcp://flink@flink-jobmanager:6123] has failed, address is now gated for [50] ms.
    /// ```
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
    ///     metadata:
    ///       labels: {app: flink, component: jobmanager}
    ///       annotations: {sidecar.istio.io/inject: "true"}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
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
    ///     metadata:
    ///       labels: {app: flink, component: jobmanager}
    ///       annotations: {sidecar.istio.io/inject: "true", traffic.sidecar.istio.io/excludeInboundPorts: "6122,6123,6124", traffic.sidecar.istio.io/excludeOutboundPorts: "6122,6123,6124"}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    /// ```
    ///
    /// ## Fix
    ///
    /// Take Flink's internal ports out of the mesh (Istio: `traffic.sidecar.istio.io/excludeInboundPorts` and
    /// `excludeOutboundPorts`; Linkerd: `config.linkerd.io/skip-inbound-ports` and `skip-outbound-ports`), after setting them to
    /// fixed numbers; or declare them in a Service with `appProtocol: tcp`; or leave Flink's pods out of the mesh.
    ///
    /// ## When to ignore
    ///
    /// The mesh lets plain TCP pass between these pods, and jobs run.
    ///
    /// ## References
    ///
    /// - <https://issues.apache.org/jira/browse/FLINK-28171>
    /// - <https://istio.io/latest/docs/ops/configuration/traffic-management/protocol-selection/>
    FLK307 "mesh-ports": Network Warning, reads [Processes, Services]
}

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        let members = cx.model.members_of(cluster);
        let Some((member, mesh, pointer)) = members.iter().find_map(|member| {
            let (mesh, pointer) = injected(cx, member)?;
            Some((*member, mesh, pointer))
        }) else {
            continue;
        };
        if members.iter().any(|member| knows_ports(cx, member)) || tells_protocol(cx, member) {
            continue;
        }
        let what = if mesh == "Istio" {
            "traffic.sidecar.istio.io/excludeInboundPorts and excludeOutboundPorts"
        } else {
            "config.linkerd.io/skip-inbound-ports and skip-outbound-ports"
        };
        cx.report(
            Place::value(member.object, pointer),
            format!("{mesh} takes over the connections of the {}'s pods, Flink's own among them", member.role_name()),
        )
        .help(format!("set {what} to Flink's ports, for JobManagers and TaskManagers"))
        .symptom("address is now gated for [50] ms");
    }
}

/// The mesh that is injected into a member's pods because they say so, and where.
fn injected(cx: &Check<'_>, member: &Member) -> Option<(&'static str, String)> {
    let metadata = format!("{}metadata", member.pod_spec.trim_end_matches("spec"));
    let of = |map: &str, key: &str, wanted: &str| {
        let pointer = format!("{metadata}/{map}/{}", crate::manifests::tree::escape(key));
        (cx.object(member.object).node.at(&pointer)?.text()? == wanted).then_some(pointer)
    };
    let istio = ["annotations", "labels"].into_iter().find_map(|map| of(map, "sidecar.istio.io/inject", "true"));
    let linkerd = || of("annotations", "linkerd.io/inject", "enabled");
    istio.map(|pointer| ("Istio", pointer)).or_else(|| Some(("Linkerd", linkerd()?)))
}

/// Its annotations say something of ports or of how traffic is taken.
fn knows_ports(cx: &Check<'_>, member: &Member) -> bool {
    let pointer = format!("{}metadata/annotations", member.pod_spec.trim_end_matches("spec"));
    let annotations = cx.object(member.object).node.at(&pointer);
    let keys = annotations.map(crate::manifests::tree::Node::entries).unwrap_or_default();
    keys.iter().filter_map(|(key, _)| key.text()).any(|key| {
        key.starts_with("traffic.sidecar.istio.io/")
            || key.starts_with("proxy.istio.io/")
            || (key.starts_with("config.linkerd.io/") && key.ends_with("-ports"))
    })
}

/// A Service of the namespace declares the protocol of a port, by `appProtocol` or a name that begins with `tcp`.
fn tells_protocol(cx: &Check<'_>, member: &Member) -> bool {
    services(cx, member.workload.namespace()).into_iter().any(|(_, service)| {
        let ports = service.spec.and_then(|spec| spec.ports).unwrap_or_default();
        ports
            .iter()
            .any(|port| port.app_protocol.is_some() || port.name.as_deref().is_some_and(|name| name.starts_with("tcp")))
    })
}
