//! FLK522: versions that nobody mends any more.

use crate::doctor::rule::{Check, rule};
use crate::flink::version::Version;

rule! {
    /// This version of Flink gets no more fixes
    ///
    /// ## Why it matters
    ///
    /// Releases before 1.19 have not been mended for long, also not where a hole is found in a library of theirs, and the Flink
    /// Kubernetes Operator is leaving them behind: it takes 1.15 to 1.18 as deprecated, and older ones not at all.
    ///
    /// ```text
    /// Flink version 1.14 is not supported by this operator version
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-jobmanager}
    /// spec:
    ///   selector: {matchLabels: {app: flink-jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink-jobmanager}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.16.3
    ///         args: [jobmanager]
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-jobmanager}
    /// spec:
    ///   selector: {matchLabels: {app: flink-jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink-jobmanager}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    /// ```
    ///
    /// ## Fix
    ///
    /// Move to 1.20, which is maintained for longer than others and reads the savepoints and most of the configuration of its predecessors, or to 2.x.
    ///
    /// ## References
    ///
    /// - <https://flink.apache.org/downloads/#update-policy-for-old-releases>
    FLK522 "version-end-of-life": Config Info, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        let Some(version) = cluster.version.filter(|version| *version < Version::new(1, 19, 0)) else { continue };
        let image = super::images(cx, cluster).into_iter().next().map(|(place, _)| place);
        let place = image.unwrap_or_else(|| crate::doctor::place::Place::value(cluster.object, "/spec/flinkVersion"));
        cx.report(place, format!("Flink {}.{} gets no more fixes", version.major(), version.minor()))
            .help("move to 1.20, or to 2.x, with a savepoint of each job");
    }
}
