//! FLK207: an address that nothing expands stays what it is.

use super::{Host, container_place, host, jobmanagers};
use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::rule::{Check, rule};

rule! {
    /// An address that nothing expands stays what it is
    ///
    /// ## Why it matters
    ///
    /// Kubernetes replaces `$(POD_IP)` in arguments where the container declares that variable, and leaves it as it is
    /// where it does not; `$POD_IP` means something to a shell only. The JobManager is elected, announces that text,
    /// and nobody reaches it. The pod stays `Running` and is never ready:
    ///
    /// ```text
    /// WARN  org.apache.flink.runtime.rpc.RpcGatewayRetriever [] - Error while retrieving the leader gateway. Retrying to connect to pekko.tcp://flink@$(pod_ip):6123/user/rpc/dispatcher_1.
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata:
    ///   name: flink-jobmanager
    ///   namespace: flink
    /// spec:
    ///   selector: {matchLabels: {app: flink, component: jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink, component: jobmanager}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager, $(POD_IP)]
    ///         env:
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             kubernetes.cluster-id: flink
    ///             kubernetes.namespace: flink
    ///             high-availability.type: kubernetes
    ///             high-availability.cluster-id: flink.flink
    ///             high-availability.storageDir: s3://flink/ha
    ///             execution.checkpointing.dir: s3://flink/checkpoints
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata:
    ///   name: flink-jobmanager
    ///   namespace: flink
    /// spec:
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
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             kubernetes.cluster-id: flink
    ///             kubernetes.namespace: flink
    ///             high-availability.type: kubernetes
    ///             high-availability.cluster-id: flink.flink
    ///             high-availability.storageDir: s3://flink/ha
    ///             execution.checkpointing.dir: s3://flink/checkpoints
    /// ```
    ///
    /// ## Fix
    ///
    /// Declare the variable: `env: [{name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]`, and write
    /// `$(POD_IP)`. Delete the Deployment before the mended one is applied, or scale it to 0: as long as the old pod
    /// lives it keeps the lease, the new one stands by and is never ready, and the rollout does not end.
    ///
    /// ## References
    ///
    /// - <https://kubernetes.io/docs/tasks/inject-data-application/define-command-argument-container/>
    FLK207 "pod-ip-not-declared": Ha Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for (cluster, member) in jobmanagers(cx) {
        let Some(mode) = cluster.mode else { continue };
        let (Host::Given(word) | Host::ToTheJob(word)) = host(member, mode) else { continue };
        let Some((name, expands)) = variable(&word.text) else { continue };
        let place = member.in_container(&word.path);
        let help =
            "declare the variable with fieldRef status.podIP, and delete the old pods before the new ones are applied";
        let symptom = "Retrying to connect to pekko.tcp://flink@$(pod_ip):6123/user/rpc/dispatcher_1";
        // `${NAME}` is also how envsubst and OpenShift's templates write what they fill in.
        let template = word.text.contains("${") && member.env(name).is_none() && !name.contains("POD_IP");
        if template || word.text.contains("{{") {
            continue;
        }
        if !expands {
            let right = word.text.replace(&format!("${{{name}}}"), &format!("$({name})"));
            let right = right.replace(&format!("${name}"), &format!("$({name})"));
            cx.report(place.clone(), format!("the address {} is expanded by a shell only, and none runs", word.text))
                .help(format!("write $({name})"))
                .fix(Fix::new(format!("write $({name})"), Safety::Safe, Edit::Replace(place, right)));
        } else if member.has_env_from() {
            cx.unknown(format!("{name} may come from envFrom"));
        } else if member.env(name).is_none() && !name.ends_with("_SERVICE_HOST") {
            let finding =
                cx.report(place, format!("the address {} stays as it is: there is no variable {name}", word.text));
            finding.help(help).symptom(symptom);
            let has_env = member.container().is_some_and(|(_, container)| container.env.is_some());
            if name.contains("POD_IP") {
                let item = format!("{{name: {name}, valueFrom: {{fieldRef: {{fieldPath: status.podIP}}}}}}");
                let edit = if has_env {
                    Edit::InsertItem(member.in_container("env"), item)
                } else {
                    Edit::InsertEntry(container_place(member), "env".to_owned(), format!("[{item}]"))
                };
                finding.fix(Fix::new(format!("declare {name}"), Safety::Safe, edit));
            }
        }
    }
}

/// The variable in a word, and whether it is written as Kubernetes expands it.
fn variable(word: &str) -> Option<(&str, bool)> {
    let (_, rest) = word.split_once('$')?;
    if let Some(rest) = rest.strip_prefix('(') {
        return Some((rest.split_once(')')?.0, true));
    }
    let rest = rest.strip_prefix('{').unwrap_or(rest);
    let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(rest.len());
    (end > 0).then_some((&rest[..end], false))
}
