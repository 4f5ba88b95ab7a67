//! FLK411: reactive mode where Flink does not support it.

use crate::doctor::rule::{Check, rule};
use crate::flink::role::Mode;

rule! {
    /// Reactive mode in a cluster that is no standalone application
    ///
    /// ## Why it matters
    ///
    /// With `scheduler-mode: reactive` a job takes all slots that there are. Flink supports that only for one application
    /// that is deployed standalone, and any other JobManager refuses to start (`ClusterEntrypoint`):
    ///
    /// ```text
    /// Reactive mode is configured for an unsupported cluster type. At the moment, reactive mode is only supported by standalone application clusters (bin/standalone-job.sh).
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-jobmanager, namespace: flink}
    /// spec:
    ///   selector: {matchLabels: {app: flink}}
    ///   template:
    ///     metadata: {labels: {app: flink}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    ///         env: [{name: FLINK_PROPERTIES, value: "scheduler-mode: reactive"}]
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-jobmanager, namespace: flink}
    /// spec:
    ///   selector: {matchLabels: {app: flink}}
    ///   template:
    ///     metadata: {labels: {app: flink}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    ///         env: [{name: FLINK_PROPERTIES, value: "jobmanager.scheduler: adaptive"}]
    /// ```
    ///
    /// ## Fix
    ///
    /// Run the job as a standalone application (`standalone-job`), or use `jobmanager.scheduler: adaptive`, which works in
    /// session clusters too.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/elastic_scaling/#reactive-mode>
    FLK411 "reactive-mode": Resources Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        let Some(mode) = cluster.mode.filter(|mode| *mode != Mode::StandaloneApplication) else { continue };
        let Some(entry) = cluster.config.get(&["scheduler-mode"]) else { continue };
        if entry.value.trim().eq_ignore_ascii_case("reactive") {
            cx.report(
                entry.place.clone(),
                format!("scheduler-mode is reactive, which a {mode} cluster does not support"),
            )
            .help("run the job with standalone-job, or set jobmanager.scheduler: adaptive instead")
            .symptom(
                "Reactive mode is configured for an unsupported cluster type. At the moment, reactive mode is only \
                     supported by standalone application clusters (bin/standalone-job.sh).",
            );
        }
    }
}
