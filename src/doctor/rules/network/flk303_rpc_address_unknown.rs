//! FLK303: an address of the JobManager that no Service has.

use super::{service_name, services_of, target_of, without_ha};
use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::known::Known;
use crate::doctor::model::Member;
use crate::doctor::model::config::Origin;
use crate::doctor::rule::{Check, rule};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

rule! {
    /// `jobmanager.rpc.address` names no Service of the JobManager
    ///
    /// ## Why it matters
    ///
    /// Without high availability TaskManagers look for their JobManager under `jobmanager.rpc.address`, which has to be a name that
    /// the cluster's DNS knows: as a rule that of a Service in front of the JobManager. Otherwise no TaskManager ever registers:
    ///
    /// ```text
    /// Could not resolve ResourceManager address pekko.tcp://flink@flink-jm:6123/user/rpc/resourcemanager_*, retrying in 10000 ms
    /// java.net.UnknownHostException: flink-jm
    /// ```
    ///
    /// In files alone a name counts as unknown only where another Service leads to the JobManager.
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
    ///         - {name: JOB_MANAGER_RPC_ADDRESS, value: flink-jm}
    /// ---
    /// apiVersion: v1
    /// kind: Service
    /// metadata: {name: flink-jobmanager, namespace: flink}
    /// spec:
    ///   selector: {app: flink, component: jobmanager}
    ///   ports:
    ///   - {name: rpc, port: 6123}
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
    /// ```
    ///
    /// ## Fix
    ///
    /// Set `jobmanager.rpc.address` (or `JOB_MANAGER_RPC_ADDRESS`) to the name of the Service, for JobManagers and TaskManagers
    /// alike, or rename the Service.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/resource-providers/standalone/kubernetes/>
    FLK303 "rpc-address-unknown": Network Error, reads [Processes, Services]
}

fn check(cx: &mut Check<'_>) {
    let mut seen = Vec::new();
    for (cluster, member) in cx.members() {
        let namespace = member.workload.namespace();
        let native = cluster.mode.is_some_and(crate::flink::role::Mode::is_native);
        let Some(jobmanager) = cx.model.jobmanager(cluster).filter(|_| !native) else { continue };
        let address = member.config.get(&["jobmanager.rpc.address"]).filter(|entry| entry.is_literal());
        let Some(entry) = address.filter(|entry| entry.origin != Origin::Image) else { continue };
        let Some(name) = service_name(&entry.value, namespace) else { continue };
        if !matches!(without_ha(&cluster.config), Known::Present(())) || is_named_otherwise(jobmanager, name) {
            continue;
        }
        let service = cx.find("Service", namespace, name);
        let candidates = rpc_services(cx, jobmanager);
        let unknown = match service {
            Known::Present(_) => false,
            Known::Absent => true,
            Known::Unknown(_) => !candidates.is_empty(),
        };
        if !unknown || seen.contains(&entry.place) {
            continue;
        }
        seen.push(entry.place.clone());
        let finding =
            cx.report(entry.place.clone(), format!("jobmanager.rpc.address is {name}, but no Service has that name"));
        finding.symptom(format!("java.net.UnknownHostException: {name}"));
        match candidates.first() {
            Some(candidate) => {
                finding.help(format!("set it to {candidate}, the Service that leads to the JobManager"));
                let edit = Edit::Replace(entry.place.clone(), candidate.clone());
                finding.fix(Fix::new(format!("set it to {candidate}"), Safety::Unsafe, edit));
            }
            None => {
                finding.help(format!("make a Service {name} that selects the JobManager's pods"));
            }
        }
    }
}

/// The names of the Services that lead to the JobManager's RPC port.
fn rpc_services(cx: &Check<'_>, jobmanager: &Member) -> Vec<String> {
    let mut names = Vec::new();
    for (id, spec) in services_of(cx, jobmanager) {
        let rpc = spec.ports.iter().flatten().any(|port| {
            let name = port.name.as_deref().unwrap_or_default();
            port.port == 6123 || target_of(port) == IntOrString::Int(6123) || name.contains("rpc")
        });
        names.extend(rpc.then(|| cx.object(id).name.clone()));
    }
    names
}

/// The pods have names of their own that do not come from a Service.
fn is_named_otherwise(jobmanager: &Member, name: &str) -> bool {
    let workload = &jobmanager.workload;
    let spec = jobmanager.spec();
    let aliases = spec.host_aliases.iter().flatten().flat_map(|alias| alias.hostnames.iter().flatten());
    spec.hostname.is_some()
        || spec.subdomain.is_some()
        || spec.host_network == Some(true)
        || aliases.into_iter().any(|alias| alias == name)
        || (workload.kind != "Deployment" && workload.kind != "Job" && name.starts_with(&workload.name))
}
