//! FLK306: a NetworkPolicy that keeps Flink processes from each other.

use k8s_openapi::api::networking::v1::{NetworkPolicy, NetworkPolicyIngressRule, NetworkPolicyPeer, NetworkPolicyPort};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{BLOB, PortOption, Ports, RPC, TASKMANAGER_DATA, TASKMANAGER_RPC, declared_ports};
use crate::doctor::known::Known;
use crate::doctor::model::{Cluster, Member};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::doctor::snapshot::ObjectId;

rule! {
    /// A NetworkPolicy lets Flink processes reach some ports of each other, and not all that they need
    ///
    /// ## Why it matters
    ///
    /// TaskManagers exchange data on `taskmanager.data.port`, are called on `taskmanager.rpc.port`, and call the JobManager on
    /// `jobmanager.rpc.port` and `blob.server.port`. All but the JobManager's RPC port are chosen by the system unless they are set,
    /// so a policy that lists ports shuts them out. The connection is dropped without an answer:
    ///
    /// ```text
    /// org.apache.flink.runtime.io.network.netty.exception.RemoteTransportException: Connecting to remote task manager '10.244.1.7/10.244.1.7:38513' has failed. This might indicate that the remote task manager has been lost.
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: networking.k8s.io/v1
    /// kind: NetworkPolicy
    /// metadata: {name: flink, namespace: flink}
    /// spec:
    ///   podSelector: {matchLabels: {app: flink}}
    ///   policyTypes: [Ingress]
    ///   ingress:
    ///   - from: [{podSelector: {matchLabels: {app: flink}}}]
    ///     ports: [{port: 6121}, {port: 6122}, {port: 6123}, {port: 6124}]
    /// ---
    /// apiVersion: v1
    /// kind: ConfigMap
    /// metadata: {name: flink-config, namespace: flink}
    /// data:
    ///   config.yaml: |
    ///     jobmanager.rpc.address: flink-jobmanager
    ///     blob.server.port: 6124
    ///     taskmanager.rpc.port: 6122
    ///     jobmanager.memory.process.size: 1600m
    ///     taskmanager.memory.process.size: 1728m
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
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-taskmanager, namespace: flink}
    /// spec:
    ///   replicas: 2
    ///   selector: {matchLabels: {app: flink, component: taskmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink, component: taskmanager}}
    ///     spec:
    ///       containers:
    ///       - name: taskmanager
    ///         image: flink:1.20.5
    ///         args: [taskmanager]
    ///         volumeMounts: [{name: config, mountPath: /opt/flink/conf}]
    ///       volumes: [{name: config, configMap: {name: flink-config}}]
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: networking.k8s.io/v1
    /// kind: NetworkPolicy
    /// metadata: {name: flink, namespace: flink}
    /// spec:
    ///   podSelector: {matchLabels: {app: flink}}
    ///   policyTypes: [Ingress]
    ///   ingress:
    ///   - from: [{podSelector: {matchLabels: {app: flink}}}]
    ///     ports: [{port: 6121}, {port: 6122}, {port: 6123}, {port: 6124}]
    /// ---
    /// apiVersion: v1
    /// kind: ConfigMap
    /// metadata: {name: flink-config, namespace: flink}
    /// data:
    ///   config.yaml: |
    ///     jobmanager.rpc.address: flink-jobmanager
    ///     blob.server.port: 6124
    ///     taskmanager.rpc.port: 6122
    ///     jobmanager.memory.process.size: 1600m
    ///     taskmanager.memory.process.size: 1728m
    ///     taskmanager.data.port: 6121
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
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-taskmanager, namespace: flink}
    /// spec:
    ///   replicas: 2
    ///   selector: {matchLabels: {app: flink, component: taskmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink, component: taskmanager}}
    ///     spec:
    ///       containers:
    ///       - name: taskmanager
    ///         image: flink:1.20.5
    ///         args: [taskmanager]
    ///         volumeMounts: [{name: config, mountPath: /opt/flink/conf}]
    ///       volumes: [{name: config, configMap: {name: flink-config}}]
    /// ```
    ///
    /// ## Fix
    ///
    /// Set the ports to fixed numbers (`taskmanager.data.port: 6121`, `taskmanager.rpc.port: 6122`, `blob.server.port: 6124`) and
    /// allow them; or let the cluster's pods reach each other on every port, with a rule that has `from` and no `ports`.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/config/#hosts-and-ports>
    /// - <https://kubernetes.io/docs/concepts/services-networking/network-policies/>
    FLK306 "network-policy": Network Error, reads [Processes, NetworkPolicies]
}

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        let Some(jobmanager) = cx.model.jobmanager(cluster) else { continue };
        let taskmanagers = cx.model.taskmanagers(cluster);
        for (from, to, option) in flows(jobmanager, &taskmanagers) {
            let ports = match Ports::of(&to.config, option) {
                Known::Present(ports) => ports,
                Known::Unknown(why) => {
                    cx.unknown(why);
                    continue;
                }
                Known::Absent => continue,
            };
            if shut_out(cx, cluster, from, to, &ports) {
                break;
            }
        }
    }
}

/// Who calls whom, on which port.
fn flows<'a>(jobmanager: &'a Member, taskmanagers: &[&'a Member]) -> Vec<(&'a Member, &'a Member, PortOption)> {
    let mut flows = Vec::new();
    for taskmanager in taskmanagers {
        flows.push((*taskmanager, jobmanager, RPC));
        flows.push((*taskmanager, jobmanager, BLOB));
        flows.push((jobmanager, *taskmanager, TASKMANAGER_RPC));
        if taskmanager.workload.replicas > 1 {
            flows.push((*taskmanager, *taskmanager, TASKMANAGER_DATA));
        }
    }
    flows
}

/// Reports a policy that is about these pods and lists ports, where none lets `from` reach `to`.
fn shut_out(cx: &mut Check<'_>, cluster: &Cluster, from: &Member, to: &Member, ports: &Ports<'_>) -> bool {
    let namespace = to.workload.namespace();
    let policies: Vec<(ObjectId, NetworkPolicy)> = (cx.of_kind_in("NetworkPolicy", namespace).into_iter())
        .filter_map(|id| Some((id, cx.object(id).typed()?)))
        .collect();
    // What restricts ingress to the pods, and its rules that have to do with `from`.
    let mut listing = None;
    for (id, policy) in policies {
        let spec = policy.spec.unwrap_or_default();
        let ingress = spec.policy_types.as_ref().is_none_or(|types| types.iter().any(|one| one == "Ingress"));
        let selector = spec.pod_selector.unwrap_or_default();
        if !ingress || !selects(&selector, to) {
            continue;
        }
        for (number, rule) in spec.ingress.iter().flatten().enumerate() {
            if !is_for(rule, from) {
                continue;
            }
            let all = rule.ports.clone().unwrap_or_default();
            if all.is_empty() || allows(cx, &all, ports, to) {
                return false;
            }
            listing.get_or_insert((id, number));
        }
    }
    // A policy that lets these pods reach nothing of each other expects another one, which may not be here.
    let Some((id, rule)) = listing else { return false };
    let (option, text) = (ports.option(), ports.text());
    let name = &cx.object(id).name;
    let finding = cx.report(
        Place::value(id, format!("/spec/ingress/{rule}/ports")),
        format!(
            "NetworkPolicy {name} lists ports, but not {text} ({option}), on which the {} reaches the {}",
            from.role_name(),
            to.role_name()
        ),
    );
    finding.cluster(&cluster.namespace, &cluster.name).related(to.in_container(""), format!("the {}", to.role_name()));
    if ports.is_random() {
        finding.help(format!("set {option} to a number, and allow it here"));
    } else {
        finding.help(format!("allow port {text} here"));
    }
    if option == "taskmanager.data.port" {
        finding.symptom("Connecting to remote task manager");
    }
    true
}

fn is_for(rule: &NetworkPolicyIngressRule, from: &Member) -> bool {
    let peers = rule.from.clone().unwrap_or_default();
    let fits = |peer: &NetworkPolicyPeer| {
        // Pods have addresses that may be in a block, and a namespace may have any labels.
        let pods = peer.pod_selector.as_ref().is_none_or(|selector| selects(selector, from));
        peer.ip_block.is_some() || pods
    };
    peers.is_empty() || peers.iter().any(fits)
}

fn selects(selector: &LabelSelector, member: &Member) -> bool {
    let labels = member.workload.template.metadata.as_ref().and_then(|metadata| metadata.labels.clone());
    let labels = labels.unwrap_or_default();
    let equal = selector.match_labels.iter().flatten().all(|(key, value)| labels.get(key) == Some(value));
    equal
        && selector.match_expressions.iter().flatten().all(|wanted| {
            let value = labels.get(&wanted.key);
            let named = value.is_some_and(|value| wanted.values.iter().flatten().any(|one| one == value));
            match wanted.operator.as_str() {
                "In" => named,
                "NotIn" => !named,
                "Exists" => value.is_some(),
                _ => value.is_none(),
            }
        })
}

/// Whether the listed ports have all that Flink may listen on.
fn allows(cx: &Check<'_>, listed: &[NetworkPolicyPort], ports: &Ports<'_>, to: &Member) -> bool {
    let declared = declared_ports(cx, to.object, to.pod_spec);
    let allowed: Vec<(i32, i32)> = (listed.iter())
        .filter(|port| port.protocol.as_deref().is_none_or(|protocol| protocol == "TCP"))
        .filter_map(|port| match &port.port {
            None => Some((1, 65535)),
            Some(IntOrString::Int(number)) => Some((*number, port.end_port.unwrap_or(*number))),
            Some(IntOrString::String(name)) => {
                let number = i32::from(declared.iter().find(|port| port.name == *name)?.number);
                Some((number, number))
            }
        })
        .collect();
    // Linux gives out ports from 32768 to 60999.
    let wanted = if ports.is_random() { vec![(32768, 60999)] } else { ports.ranges.clone() };
    // Of a range Flink takes the first port that is free, in a pod of its own the first.
    wanted.iter().any(|(from, to)| {
        let to = if ports.is_random() { *to } else { *from };
        allowed.iter().any(|(first, last)| *first <= i32::from(*from) && i32::from(to) <= *last)
    })
}
