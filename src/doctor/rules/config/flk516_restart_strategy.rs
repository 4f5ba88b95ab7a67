//! FLK516: a cluster that never restarts its jobs.

use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::rule::{Check, rule};

rule! {
    /// No job is restarted after a failure
    ///
    /// ## Why it matters
    ///
    /// With the restart strategy `none` the first failure, be it a TaskManager that is moved to another node, ends the job. It is
    /// FAILED then, which is an end for good: its checkpoints and its high-availability data are cleaned up, and nothing brings it back.
    ///
    /// ```text
    /// org.apache.flink.runtime.JobException: Recovery is suppressed by NoRestartBackoffTimeStrategy
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: flink.apache.org/v1beta1
    /// kind: FlinkDeployment
    /// metadata: {name: orders}
    /// spec:
    ///   image: flink:1.20.5
    ///   flinkVersion: v1_20
    ///   serviceAccount: flink
    ///   flinkConfiguration:
    ///     restart-strategy.type: none
    ///     taskmanager.numberOfTaskSlots: "2"
    ///   jobManager: {resource: {memory: 2048m, cpu: 1}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: flink.apache.org/v1beta1
    /// kind: FlinkDeployment
    /// metadata: {name: orders}
    /// spec:
    ///   image: flink:1.20.5
    ///   flinkVersion: v1_20
    ///   serviceAccount: flink
    ///   flinkConfiguration:
    ///     restart-strategy.type: exponential-delay
    ///     taskmanager.numberOfTaskSlots: "2"
    ///   jobManager: {resource: {memory: 2048m, cpu: 1}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    /// ```
    ///
    /// ## Fix
    ///
    /// Set `restart-strategy.type: exponential-delay`, or leave the option out: with checkpointing Flink restarts jobs by itself.
    ///
    /// ## When to ignore
    ///
    /// Where something outside of Flink watches the jobs and starts them again.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/ops/state/task_failure_recovery/>
    FLK516 "restart-strategy": Config Warning, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        let batch =
            cluster.config.value("execution.runtime-mode").is_some_and(|mode| mode.eq_ignore_ascii_case("batch"));
        let Some(entry) = cluster.config.get(&["restart-strategy.type", "restart-strategy"]) else { continue };
        let never = ["none", "off", "disable"].iter().any(|name| entry.value.eq_ignore_ascii_case(name));
        if batch || !never {
            continue;
        }
        let (place, key) = (entry.place.clone(), entry.key.clone());
        cx.report(place.clone(), format!("{key} is {}: a job that fails once is gone", entry.value))
            .help(format!("set {key}: exponential-delay, or leave it out"))
            .symptom("Recovery is suppressed by NoRestartBackoffTimeStrategy")
            .fix(Fix::new(
                "restart with exponential delay",
                Safety::Unsafe,
                Edit::Replace(place, "exponential-delay".to_owned()),
            ));
    }
}
