//! FLK114: a NodePort, for which Flink's client lists the nodes.

use crate::doctor::rights::{self, Allowed};
use crate::doctor::rule::{Check, rule};

rule! {
    /// Flink's client needs to list the nodes of the Kubernetes cluster for a NodePort
    ///
    /// ## Why it matters
    ///
    /// With `kubernetes.rest-service.exposed.type: NodePort` Flink's client looks for a node's address
    /// (`Fabric8FlinkKubeClient.getRestEndpoint`): the Flink Kubernetes Operator for a FlinkDeployment, whoever runs `flink run` or
    /// `flink list` for a native cluster. Nodes belong to no namespace: it takes a ClusterRole, and a Role is not enough. The operator's
    /// chart makes it with `rbac.nodesRule.create: true` only.
    ///
    /// ```text
    /// Could not get the rest endpoint of basic
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: flink.apache.org/v1beta1
    /// kind: FlinkDeployment
    /// metadata: {name: basic, namespace: flink}
    /// spec:
    ///   image: flink:1.20
    ///   flinkVersion: v1_20
    ///   serviceAccount: flink
    ///   flinkConfiguration:
    ///     kubernetes.rest-service.exposed.type: NodePort
    ///   jobManager: {resource: {memory: 2048m, cpu: 1}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: flink.apache.org/v1beta1
    /// kind: FlinkDeployment
    /// metadata: {name: basic, namespace: flink}
    /// spec:
    ///   image: flink:1.20
    ///   flinkVersion: v1_20
    ///   serviceAccount: flink
    ///   flinkConfiguration:
    ///     kubernetes.rest-service.exposed.type: ClusterIP
    ///   jobManager: {resource: {memory: 2048m, cpu: 1}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    /// ```
    ///
    /// ## Fix
    ///
    /// Leave the type at ClusterIP and reach the web UI with `kubectl port-forward`, or grant `list` on nodes to the client.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/config/#kubernetes-rest-service-exposed-type>
    FLK114 "node-list": Rbac Info, reads [Processes, Rbac]
}

fn check(cx: &mut Check<'_>) {
    // Whose rights count is not known; where somebody was given them, that was thought of.
    let granted = cx.of_kind("ClusterRole").into_iter().any(|id| {
        let role = cx.object(id);
        let own = !rights::is_built_in(&role.name) && !role.name.starts_with("system:");
        own && rights::allows(&role.node, "list", "", "nodes") == Allowed::Yes
    });
    let mut seen = Vec::new();
    for cluster in cx.clusters() {
        let native = cluster.mode.is_some_and(crate::flink::role::Mode::is_native);
        let Some(entry) = cluster.config.get(&["kubernetes.rest-service.exposed.type"]) else { continue };
        let who = if cluster.operator.is_some() { "the operator" } else { "whoever runs Flink's client" };
        let name = (&cluster.namespace, &cluster.name);
        if granted || !native || !entry.value.eq_ignore_ascii_case("NodePort") || seen.contains(&name) {
            continue;
        }
        seen.push(name);
        cx.report(
            entry.place.clone(),
            format!("for a NodePort {who} has to list the nodes, which takes a ClusterRole"),
        )
        .help("set it to ClusterIP, or grant list on nodes with a ClusterRole")
        .symptom(format!("Could not get the rest endpoint of {}", cluster.name))
        .cluster(&cluster.namespace, &cluster.name);
    }
}
