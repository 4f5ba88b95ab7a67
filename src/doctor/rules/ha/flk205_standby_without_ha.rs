//! FLK205: several JobManagers without high availability are several clusters.

use super::{Services, jobmanagers, services, stray_option};
use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::known::Known;
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};

rule! {
    /// Several JobManagers without high availability are several clusters
    ///
    /// ## Why it matters
    ///
    /// Without an election each JobManager leads a cluster of its own. They share a Service, so TaskManagers register
    /// at one or the other, and a job that was submitted is there or not from one request to the next. The operator
    /// refuses it:
    ///
    /// ```text
    /// High availability should be enabled when starting standby JobManagers.
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata:
    ///   name: flink-jobmanager
    ///   namespace: flink
    /// spec:
    ///   replicas: 2
    ///   selector: {matchLabels: {app: flink, component: jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink, component: jobmanager}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    ///         env:
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             parallelism.default: 2
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata:
    ///   name: flink-jobmanager
    ///   namespace: flink
    /// spec:
    ///   replicas: 1
    ///   selector: {matchLabels: {app: flink, component: jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink, component: jobmanager}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    ///         env:
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             parallelism.default: 2
    /// ```
    ///
    /// ## Fix
    ///
    /// Set `replicas` to 1, or turn high availability on: `high-availability.type: kubernetes`, with
    /// `kubernetes.cluster-id`, `high-availability.storageDir` and the rights that it takes.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/resource-providers/standalone/kubernetes/#standby-jobmanagers>
    FLK205 "standby-without-ha": Ha Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for (cluster, member) in jobmanagers(cx) {
        let replicas = member.workload.replicas;
        if replicas < 2 || member.workload.finished {
            continue;
        }
        match services(&cluster.config) {
            Known::Present(Services::Off) => {}
            Known::Unknown(why) => {
                cx.unknown(why);
                continue;
            }
            _ => continue,
        }
        // Meant to be on: FLK215 says what is missing.
        if stray_option(&cluster.config).is_some() {
            continue;
        }
        let field = if member.workload.kind == "Job" { "/spec/parallelism" } else { "/spec/replicas" };
        let place = Place::value(member.object, field);
        cx.report(
            place.clone(),
            format!("{replicas} JobManagers without high availability: each leads a cluster of its own"),
        )
        .help("set it to 1, or turn high availability on")
        .fix(Fix::new("have one JobManager", Safety::Unsafe, Edit::Replace(place, "1".to_owned())));
    }
}
