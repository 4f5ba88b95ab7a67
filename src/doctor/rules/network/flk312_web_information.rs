//! FLK312: pages of the web UI that cost or tell something.

use crate::doctor::rule::{Check, rule};

rule! {
    /// The web UI offers flame graphs or a profiler
    ///
    /// ## Why it matters
    ///
    /// `rest.flamegraph.enabled` and `rest.profiling.enabled` let whoever opens the web UI sample the threads of TaskManagers, or
    /// run a profiler in them. That shows the code that runs and takes time from it. Flink's documentation advises both for
    /// development only. Nothing fails:
    ///
    /// ```console
    /// rest.flamegraph.enabled: true
    /// ```
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
    ///         - {name: FLINK_PROPERTIES, value: "rest.flamegraph.enabled: true"}
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
    ///         - {name: FLINK_PROPERTIES, value: "rest.flamegraph.enabled: false"}
    /// ```
    ///
    /// ## Fix
    ///
    /// Leave the options out in production.
    ///
    /// ## When to ignore
    ///
    /// Only people who look for what is slow reach the web UI.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/ops/debugging/flame_graphs/>
    FLK312 "web-information": Network Info, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        for (key, what) in [("rest.flamegraph.enabled", "sample"), ("rest.profiling.enabled", "profile")] {
            let Some(entry) = cluster.config.get(&[key]) else { continue };
            if entry.value.trim().eq_ignore_ascii_case("true") {
                cx.report(
                    entry.place.clone(),
                    format!("{key} is true: whoever opens the web UI can {what} TaskManagers"),
                )
                .help(format!("leave {key} out in production"));
            }
        }
    }
}
