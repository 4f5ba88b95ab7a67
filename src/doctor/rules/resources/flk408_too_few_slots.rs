//! FLK408: fewer slots than the job's parallelism.

use super::{autoscaler, is_elastic};
use crate::doctor::known::Known;
use crate::doctor::model::config::{Entry, Origin};
use crate::doctor::model::{Cluster, Member};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, Severity, rule};
use crate::flink::role::Mode;

rule! {
    /// The TaskManagers have fewer slots than the parallelism needs
    ///
    /// ## Why it matters
    ///
    /// A job of parallelism 8 needs 8 slots; there are as many as TaskManagers times `taskmanager.numberOfTaskSlots`, which
    /// is 1 unless it is set. Outside native mode nobody starts more TaskManagers. The job waits five minutes and fails:
    ///
    /// ```text
    /// org.apache.flink.runtime.jobmanager.scheduler.NoResourceAvailableException: Could not acquire the minimum required resources.
    /// ```
    ///
    /// In a session cluster `parallelism.default` is only what jobs get that ask for nothing else: a warning.
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
    ///         args: [standalone-job, -Dparallelism.default=8, --job-classname, com.example.Job]
    ///         env: [{name: JOB_MANAGER_RPC_ADDRESS, value: flink-jobmanager}]
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
    ///         env:
    ///         - {name: JOB_MANAGER_RPC_ADDRESS, value: flink-jobmanager}
    ///         - {name: FLINK_PROPERTIES, value: "taskmanager.numberOfTaskSlots: 2"}
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
    ///         args: [standalone-job, -Dparallelism.default=4, --job-classname, com.example.Job]
    ///         env: [{name: JOB_MANAGER_RPC_ADDRESS, value: flink-jobmanager}]
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
    ///         env:
    ///         - {name: JOB_MANAGER_RPC_ADDRESS, value: flink-jobmanager}
    ///         - {name: FLINK_PROPERTIES, value: "taskmanager.numberOfTaskSlots: 2"}
    /// ```
    ///
    /// ## Fix
    ///
    /// More TaskManagers, or more slots in each, with the memory for them; or a lower parallelism.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/config/#configuring-taskmanager-processing-slots>
    FLK408 "too-few-slots": Resources Error, reads [Processes, Autoscalers]
}

fn check(cx: &mut Check<'_>) {
    let mut seen: Vec<Place> = Vec::new();
    for cluster in cx.clusters() {
        let application = match cluster.mode {
            Some(Mode::StandaloneApplication) => true,
            Some(Mode::StandaloneSession) => false,
            _ => continue,
        };
        if cluster.operator.is_some() || is_elastic(&cluster.config) {
            continue;
        }
        let Some((entry, parallelism)) = parallelism(cluster) else { continue };
        let Some(slots) = slots(cx, cluster) else { continue };
        if slots >= parallelism || slots == 0 || seen.contains(&entry.place) {
            continue;
        }
        seen.push(entry.place.clone());
        let first = cx.model.taskmanagers(cluster).first().map(|member| Place::value(member.object, "/spec/replicas"));
        let severity = if application { Severity::Error } else { Severity::Warning };
        let finding = cx.report(
            entry.place.clone(),
            format!("{} is {parallelism}, but the TaskManagers have {slots} slots in all", entry.key),
        );
        finding
            .help(format!("have {parallelism} slots: replicas of the TaskManagers times taskmanager.numberOfTaskSlots"))
            .symptom("NoResourceAvailableException: Could not acquire the minimum required resources.")
            .severity(severity);
        if let Some(place) = first {
            finding.related(place, "the TaskManagers");
        }
    }
}

/// The parallelism that somebody has set.
fn parallelism(cluster: &Cluster) -> Option<(&Entry, u64)> {
    let entry = cluster.config.get(&["parallelism.default"]).filter(|entry| entry.origin != Origin::Image)?;
    Some((entry, entry.value.trim().parse().ok()?))
}

/// The slots of all TaskManagers; none where their number is not fixed or not known.
fn slots(cx: &mut Check<'_>, cluster: &Cluster) -> Option<u64> {
    let members = cx.model.taskmanagers(cluster);
    let mut slots = 0;
    for member in &members {
        // Without `replicas` something else sets them, or nobody: a manifest may leave them to an autoscaler.
        let replicas = cx.object(member.object).node.at("/spec/replicas").is_some();
        if autoscaler(cx, member).is_some()
            || !replicas
            || !matches!(&*member.workload.kind, "Deployment" | "StatefulSet")
        {
            return None;
        }
        slots += u64::try_from(member.workload.replicas).ok()? * slots_of(cx, member)?;
    }
    (!members.is_empty()).then_some(slots)
}

fn slots_of(cx: &mut Check<'_>, member: &Member) -> Option<u64> {
    // The entrypoint writes it into the configuration, where it can.
    if let Some((_, variable)) = member.env("TASK_MANAGER_NUMBER_OF_TASK_SLOTS") {
        return variable.value.as_deref().filter(|_| member.config.file.is_none()).and_then(|value| value.parse().ok());
    }
    match member.config.known(&["taskmanager.numberOfTaskSlots"]) {
        Known::Present(entry) => entry.value.trim().parse().ok(),
        Known::Absent => Some(1),
        Known::Unknown(why) => {
            cx.unknown(why);
            None
        }
    }
}
