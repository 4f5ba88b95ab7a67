//! FLK401: a memory limit that is smaller than the process.

use super::{memory_limit, process_size_key, size};
use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::rule::{Check, rule};
use crate::flink::quantity::Quantity;

rule! {
    /// A container's memory limit is smaller than the size that Flink gives its process
    ///
    /// ## Why it matters
    ///
    /// Flink's start script divides `*.memory.process.size` among heap, metaspace, network and the rest, and does not look at the
    /// container's limit. A process that comes to use what it was given is ended by the kernel where it passes the limit, with
    /// no line in the log:
    ///
    /// ```text
    /// Last State: Terminated, Reason: OOMKilled, Exit Code: 137
    /// ```
    ///
    /// The two numbers are compared, and no more: what the process will really use is not known. Where Flink or the operator makes
    /// the pods, they compute the limit.
    ///
    /// The units differ: Flink's `m` is 2^20 bytes, as `Mi` is in Kubernetes. In Kubernetes `M` is 10^6 bytes, and `m` is a
    /// thousandth of a byte. Without a configuration of its own the official image uses 1600m for JobManagers and 1728m
    /// for TaskManagers.
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-taskmanager, namespace: flink}
    /// spec:
    ///   selector: {matchLabels: {app: flink}}
    ///   template:
    ///     metadata: {labels: {app: flink}}
    ///     spec:
    ///       containers:
    ///       - name: taskmanager
    ///         image: flink:1.20.5
    ///         args: [taskmanager]
    ///         env: [{name: JOB_MANAGER_RPC_ADDRESS, value: flink-jobmanager}]
    ///         resources: {limits: {memory: 1Gi}}
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-taskmanager, namespace: flink}
    /// spec:
    ///   selector: {matchLabels: {app: flink}}
    ///   template:
    ///     metadata: {labels: {app: flink}}
    ///     spec:
    ///       containers:
    ///       - name: taskmanager
    ///         image: flink:1.20.5
    ///         args: [taskmanager]
    ///         env: [{name: JOB_MANAGER_RPC_ADDRESS, value: flink-jobmanager}]
    ///         resources: {limits: {memory: 1728Mi}}
    /// ```
    ///
    /// ## Fix
    ///
    /// Set the limit, and the request with it, to the process size: `1728Mi` for `1728m`. Or make the process smaller.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/memory/mem_setup/>
    /// - <https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/#meaning-of-memory>
    FLK401 "limit-below-process-size": Resources Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for (cluster, member) in cx.members() {
        // What Flink or the operator makes has the limit that they computed.
        if cluster.operator.is_some() || cluster.mode.is_some_and(crate::flink::role::Mode::is_native) {
            continue;
        }
        let (Some((entry, process)), Some((place, text, limit))) =
            (size(member, process_size_key(member)), memory_limit(member))
        else {
            continue;
        };
        if limit >= Quantity::whole(process.bytes()) {
            continue;
        }
        let thousandths = if text.ends_with('m') { ", thousandths of a byte," } else { "" };
        let wanted = process.quantity();
        cx.report(
            place.clone(),
            format!(
                "the memory limit {text}{thousandths} is less than the {process} ({wanted}) of the {} process",
                member.role_name()
            ),
        )
        .help(format!("set the limit to {wanted} or more, or lower {}", entry.key))
        .symptom("Last State: Terminated, Reason: OOMKilled, Exit Code: 137")
        .related(entry.place.clone(), format!("{} is {process}", entry.key))
        .fix(Fix::new(format!("raise the limit to {wanted}"), Safety::Unsafe, Edit::Replace(place, wanted)));
    }
}
