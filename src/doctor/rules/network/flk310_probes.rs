//! FLK310: a liveness probe that ends a JobManager while it starts.

use crate::doctor::rule::{Check, rule};

rule! {
    /// A liveness probe restarts the JobManager before it can have started
    ///
    /// ## Why it matters
    ///
    /// A JobManager loads its plugins, opens its storage and starts its RPC system before it answers, which takes seconds on an idle
    /// machine and much longer on a busy one. A liveness probe that gives up earlier ends the container, and the next one has no
    /// more time than this one had:
    ///
    /// ```text
    /// Warning  Unhealthy  Liveness probe failed: dial tcp 10.244.1.80:6123: connect: connection refused
    /// Normal   Killing    Container jobmanager failed liveness probe, will be restarted
    /// ```
    ///
    /// Reported is a probe that gives up within 30 seconds, without a `startupProbe` before it.
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
    ///         - {name: JOB_MANAGER_RPC_ADDRESS, value: flink-jobmanager}
    ///         livenessProbe: {tcpSocket: {port: 6123}, initialDelaySeconds: 5, periodSeconds: 5, failureThreshold: 2}
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
    ///         startupProbe: {tcpSocket: {port: 6123}, periodSeconds: 5, failureThreshold: 60}
    ///         livenessProbe: {tcpSocket: {port: 6123}, initialDelaySeconds: 0, periodSeconds: 5, failureThreshold: 2}
    /// ```
    ///
    /// ## Fix
    ///
    /// Add a `startupProbe` with minutes of patience: the liveness probe then begins when it has succeeded.
    ///
    /// ## References
    ///
    /// - <https://kubernetes.io/docs/tasks/configure-pod-container/configure-liveness-readiness-startup-probes/>
    FLK310 "probes": Network Warning, reads [Processes]
}

/// How long a JobManager has to be given, in seconds.
const PATIENCE: i32 = 30;

fn check(cx: &mut Check<'_>) {
    for (_, member) in cx.members() {
        let Some((_, container)) = member.container().filter(|_| member.is_jobmanager()) else { continue };
        let Some(probe) = container.liveness_probe.as_ref().filter(|_| container.startup_probe.is_none()) else {
            continue;
        };
        // The defaults are Kubernetes's.
        let (period, failures) = (probe.period_seconds.unwrap_or(10), probe.failure_threshold.unwrap_or(3));
        let gives_up = probe.initial_delay_seconds.unwrap_or(0).saturating_add(period.saturating_mul(failures));
        if gives_up < PATIENCE {
            cx.report(
                member.in_container("livenessProbe"),
                format!("the liveness probe restarts the JobManager when it has not answered within {gives_up} s of its start"),
            )
            .help("add a startupProbe, such as tcpSocket on the RPC port with periodSeconds: 5 and failureThreshold: 60")
            .symptom("failed liveness probe, will be restarted");
        }
    }
}
