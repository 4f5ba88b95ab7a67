//! FLK214: a kind of high availability that this Flink does not know.

use super::{TYPE, literal};
use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::model::config::{Entry, Origin};
use crate::doctor::rule::{Check, Severity, rule};
use crate::flink::version::Version;

rule! {
    /// A kind of high availability that this Flink does not know
    ///
    /// ## Why it matters
    ///
    /// Flink takes `none`, `zookeeper`, `kubernetes` (from 1.16 on) or the name of a class, and takes what it does not
    /// know for a class:
    ///
    /// ```text
    /// Could not instantiate class 'kuberntes' of type 'org.apache.flink.runtime.highavailability.HighAvailabilityServicesFactory'. Please make sure that this class is on your class path.
    /// Caused by: java.lang.ClassNotFoundException: kuberntes
    /// ```
    ///
    /// Up to Flink 1.16 the option is `high-availability`, and `high-availability.type` says nothing to it: the
    /// JobManager starts without high availability, and without a word in its log.
    ///
    /// ```text
    /// granted leadership with leaderSessionID=00000000-0000-0000-0000-000000000000
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
    ///   selector: {matchLabels: {app: flink, component: jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink, component: jobmanager}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager, $(POD_IP)]
    ///         env:
    ///         - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             kubernetes.cluster-id: flink
    ///             kubernetes.namespace: flink
    ///             high-availability.type: kuberntes
    ///             high-availability.cluster-id: flink.flink
    ///             high-availability.storageDir: s3://flink/ha
    ///             execution.checkpointing.dir: s3://flink/checkpoints
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
    ///   selector: {matchLabels: {app: flink, component: jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink, component: jobmanager}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager, $(POD_IP)]
    ///         env:
    ///         - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             kubernetes.cluster-id: flink
    ///             kubernetes.namespace: flink
    ///             high-availability.type: kubernetes
    ///             high-availability.cluster-id: flink.flink
    ///             high-availability.storageDir: s3://flink/ha
    ///             execution.checkpointing.dir: s3://flink/checkpoints
    /// ```
    ///
    /// ## Fix
    ///
    /// Write `high-availability.type: kubernetes` from Flink 1.17 on, `high-availability: kubernetes` for 1.16, and
    /// `high-availability: org.apache.flink.kubernetes.highavailability.KubernetesHaServicesFactory` for 1.12 to 1.15.
    ///
    /// ## References
    ///
    /// - `HighAvailabilityMode.fromConfig`
    FLK214 "ha-type-unknown": Ha Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        let (new, old) = (literal(&cluster.config, &[TYPE[0]]), literal(&cluster.config, &[TYPE[1]]));
        // The operator spells the options as the version of its resource has them.
        let version = cluster.version.filter(|_| cluster.operator.is_none());
        let ignores_new = version.is_some_and(|version| version < Version::new(1, 17, 0));
        match (new, old) {
            (Some(new), None) if ignores_new && !new.value.eq_ignore_ascii_case("none") => not_read(cx, new, version),
            (Some(new), Some(old)) if !new.value.eq_ignore_ascii_case(&old.value) => {
                let counts = if ignores_new { old } else { new };
                cx.report(
                    old.key_place.clone(),
                    format!("{}: {} and {}: {} do not agree", old.key, old.value, new.key, new.value),
                )
                .severity(Severity::Warning)
                .help(format!("remove one of them: {} is what counts", counts.key))
                .related(new.key_place.clone(), "the other");
            }
            _ => {}
        }
        let read = if ignores_new { old } else { new.or(old) };
        if let Some(entry) = read.filter(|entry| !is_known(&entry.value, version)) {
            let kubernetes = entry.value.eq_ignore_ascii_case("kubernetes");
            let right = if kubernetes { FACTORY } else { "kubernetes, zookeeper or none" };
            cx.report(
                entry.place.clone(),
                format!("{} is {:?}, which is no kind of high availability that Flink knows", entry.key, entry.value),
            )
            .help(format!("use {right}"))
            .symptom(format!("java.lang.ClassNotFoundException: {}", entry.value));
        }
    }
}

const FACTORY: &str = "org.apache.flink.kubernetes.highavailability.KubernetesHaServicesFactory";

/// A name that has no meaning to this version yet.
fn not_read(cx: &mut Check<'_>, entry: &Entry, version: Option<Version>) {
    let version = version.map(|version| version.to_string()).unwrap_or_default();
    let finding = cx.report(
        entry.key_place.clone(),
        format!("Flink {version} does not read {}: high availability is off", entry.key),
    );
    finding.help(format!("write {}: {}", TYPE[1], entry.value));
    if entry.origin == Origin::File {
        let edit = Edit::Replace(entry.key_place.clone(), TYPE[1].to_owned());
        finding.fix(Fix::new(format!("write {}", TYPE[1]), Safety::Unsafe, edit));
    }
}

/// A mode, or a class: a typing mistake has no dots.
fn is_known(value: &str, version: Option<Version>) -> bool {
    let value = value.trim().to_ascii_lowercase();
    let names_kubernetes = version.is_none_or(|version| version >= Version::new(1, 16, 0));
    matches!(value.as_str(), "none" | "zookeeper" | "factory_class")
        || value.contains('.')
        || (value == "kubernetes" && names_kubernetes)
}
