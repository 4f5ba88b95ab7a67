//! FLK413: an autoscaler adds TaskManagers that the job does not use.

use super::{autoscaler, is_elastic};
use crate::doctor::known::Known;
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::flink::role::Mode;

rule! {
    /// A HorizontalPodAutoscaler scales the TaskManagers of a job that keeps its parallelism
    ///
    /// ## Why it matters
    ///
    /// By default a job runs with the parallelism that it was started with. TaskManagers that an autoscaler adds have slots
    /// that nothing uses, so the load that it measures does not go down, and it adds more. When it takes one away, the job
    /// fails and waits for the slots that are gone:
    ///
    /// ```text
    /// org.apache.flink.runtime.jobmanager.scheduler.NoResourceAvailableException: Could not acquire the minimum required resources.
    /// ```
    ///
    /// Reactive mode makes the job as wide as there are slots.
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: autoscaling/v2
    /// kind: HorizontalPodAutoscaler
    /// metadata: {name: flink-taskmanager, namespace: flink}
    /// spec:
    ///   scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: flink-taskmanager}
    ///   maxReplicas: 8
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
    ///         args: [standalone-job, --job-classname, com.example.Job]
    ///         env: [{name: JOB_MANAGER_RPC_ADDRESS, value: flink-jobmanager}]
    /// ---
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
    ///         env: [{name: JOB_MANAGER_RPC_ADDRESS, value: flink-jobmanager}]
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: autoscaling/v2
    /// kind: HorizontalPodAutoscaler
    /// metadata: {name: flink-taskmanager, namespace: flink}
    /// spec:
    ///   scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: flink-taskmanager}
    ///   maxReplicas: 8
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
    ///         args: [standalone-job, -Dscheduler-mode=reactive, --job-classname, com.example.Job]
    ///         env: [{name: JOB_MANAGER_RPC_ADDRESS, value: flink-jobmanager}]
    /// ---
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
    ///         env: [{name: JOB_MANAGER_RPC_ADDRESS, value: flink-jobmanager}]
    /// ```
    ///
    /// ## Fix
    ///
    /// Set `scheduler-mode: reactive`, or take the autoscaler away.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/elastic_scaling/#reactive-mode>
    FLK413 "autoscaler-without-reactive": Resources Warning, reads [Processes, Autoscalers]
}

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        // In a session cluster new jobs use new slots.
        if cluster.mode != Some(Mode::StandaloneApplication)
            || cluster.operator.is_some()
            || is_elastic(&cluster.config)
        {
            continue;
        }
        for member in cx.model.taskmanagers(cluster) {
            let Some(autoscaler) = autoscaler(cx, member) else { continue };
            if let Known::Unknown(why) = cluster.config.known(&["scheduler-mode", "jobmanager.scheduler"]) {
                cx.unknown(why);
                continue;
            }
            let name = &cx.object(autoscaler).name;
            cx.report(
                Place::value(autoscaler, "/spec/scaleTargetRef/name"),
                format!("HorizontalPodAutoscaler {name} adds TaskManagers, but the job keeps its parallelism"),
            )
            .help("set scheduler-mode: reactive for the JobManager")
            .cluster(&cluster.namespace, &cluster.name)
            .related(Place::object(cluster.object), "the application");
        }
    }
}
