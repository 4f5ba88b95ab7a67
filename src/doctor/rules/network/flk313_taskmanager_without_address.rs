//! FLK313: a TaskManager that is not told where its JobManager is.

use super::without_ha;
use crate::doctor::known::Known;
use crate::doctor::model::Member;
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::doctor::rules::config::reads_another_file;
use crate::flink::role::Role;

rule! {
    /// A TaskManager is not told where its JobManager is
    ///
    /// ## Why it matters
    ///
    /// Without high availability a TaskManager finds its JobManager by `jobmanager.rpc.address`. Where neither the configuration
    /// nor `JOB_MANAGER_RPC_ADDRESS` says it, the image's entrypoint sets the host name of the TaskManager's own pod, where no
    /// JobManager is; a mounted configuration without it ends the process:
    ///
    /// ```text
    /// Could not resolve ResourceManager address pekko.tcp://flink@flink-taskmanager-7d9c-x2k4p:6123/user/rpc/resourcemanager_*, retrying in 10000 ms
    /// Config parameter 'Key: 'jobmanager.rpc.address' , default: null (fallback keys: [])' is missing (hostname/address of JobManager to connect to).
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-taskmanager, namespace: flink}
    /// spec:
    ///   selector: {matchLabels: {app: flink, component: taskmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink, component: taskmanager}}
    ///     spec:
    ///       containers:
    ///       - name: taskmanager
    ///         image: flink:1.20.5
    ///         args: [taskmanager]
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-taskmanager, namespace: flink}
    /// spec:
    ///   selector: {matchLabels: {app: flink, component: taskmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink, component: taskmanager}}
    ///     spec:
    ///       containers:
    ///       - name: taskmanager
    ///         image: flink:1.20.5
    ///         args: [taskmanager]
    ///         env:
    ///         - {name: JOB_MANAGER_RPC_ADDRESS, value: flink-jobmanager}
    /// ```
    ///
    /// ## Fix
    ///
    /// Set `jobmanager.rpc.address` in the configuration, or the environment variable `JOB_MANAGER_RPC_ADDRESS`, to the name of the
    /// JobManager's Service.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/resource-providers/standalone/docker/>
    FLK313 "taskmanager-without-address": Network Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for (cluster, member) in cx.members() {
        if !matches!(member.workload.process.role, Role::TaskManager) || cluster.operator.is_some() || mentions(member)
        {
            continue;
        }
        match without_ha(&member.config) {
            Known::Present(()) => {}
            Known::Absent => continue,
            Known::Unknown(why) => {
                cx.unknown(why);
                continue;
            }
        }
        if member.has_env_from() && member.config.get(&["jobmanager.rpc.address"]).is_none() {
            cx.unknown("JOB_MANAGER_RPC_ADDRESS may come from envFrom");
            continue;
        }
        if !cx.absent(&member.config.known(&["jobmanager.rpc.address"])) {
            continue;
        }
        let file = member.config.file.map(|number| &cx.model.config_files[number]);
        // A file that is not read (FLK504, FLK505) may name it.
        if reads_another_file(cx, member) {
            continue;
        }
        let (place, help) = match file {
            // A line that names the option and is not read is wrong in another way.
            Some(file) if file.text.contains("jobmanager.rpc.address") || file.entries.is_empty() => continue,
            Some(file) => {
                (Place::key(file.object, &file.pointer), "set jobmanager.rpc.address to the JobManager's Service")
            }
            None => (member.in_container(""), "set JOB_MANAGER_RPC_ADDRESS to the JobManager's Service"),
        };
        let finding = cx.report(place, "the TaskManager is not told where its JobManager is");
        finding.help(help).symptom("Could not resolve ResourceManager address");
        if file.is_some() {
            finding.related(member.in_container(""), "the TaskManager");
        }
    }
}

/// Its command line or environment says something of the address in a way of its own.
fn mentions(member: &Member) -> bool {
    let Some((_, container)) = member.container() else { return false };
    let words = container.command.iter().chain(&container.args).flatten();
    let names = container.env.iter().flatten().map(|variable| &variable.name);
    words.chain(names).any(|word| {
        let word = word.to_ascii_lowercase();
        word.contains("rpc.address") || word.contains("rpc_address") || word.contains("$flink_properties")
    })
}
