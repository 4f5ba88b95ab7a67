//! FLK222: times of the election that do not go together.

use std::time::Duration;

use super::{Services, services};
use crate::doctor::known::Known;
use crate::doctor::model::config::Config;
use crate::doctor::rule::{Check, rule};
use crate::flink::duration;

rule! {
    /// Times of the election that do not go together
    ///
    /// ## Why it matters
    ///
    /// A leader renews its lease every `retry-period` and gives up after `renew-deadline` without success; others take
    /// over after `lease-duration`. If it gives up later than that, two JobManagers lead at a time. If it tries again
    /// only when its time is over, one slow answer of the API server costs it the leadership, and all jobs restart.
    /// Flink starts all the same, and takes 15 s, 15 s and 5 s for what is not set.
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
    ///             high-availability.type: kubernetes
    ///             high-availability.cluster-id: flink.flink
    ///             high-availability.storageDir: s3://flink/ha
    ///             execution.checkpointing.dir: s3://flink/checkpoints
    ///             high-availability.kubernetes.leader-election.lease-duration: 6s
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
    ///             high-availability.kubernetes.leader-election.lease-duration: 6s
    ///             high-availability.kubernetes.leader-election.renew-deadline: 5s
    ///             high-availability.kubernetes.leader-election.retry-period: 1s
    /// ```
    ///
    /// ## Fix
    ///
    /// Keep `retry-period` below `renew-deadline` with room for some attempts, and `renew-deadline` not above
    /// `lease-duration`.
    ///
    /// ## References
    ///
    /// - `KubernetesHighAvailabilityOptions`
    FLK222 "lease-timings": Ha Warning, reads [Processes]
}

const PREFIX: &str = "high-availability.kubernetes.leader-election";

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        if services(&cluster.config) != Known::Present(Services::Kubernetes) {
            continue;
        }
        let Some((lease, renew, retry)) = time(&cluster.config, "lease-duration", 15)
            .zip(time(&cluster.config, "renew-deadline", 15))
            .zip(time(&cluster.config, "retry-period", 5))
            .map(|((lease, renew), retry)| (lease, renew, retry))
        else {
            continue;
        };
        if renew.0 > lease.0 {
            let said = format!("renew-deadline ({}) is longer than lease-duration ({})", renew.1, lease.1);
            report(
                cx,
                &cluster.config,
                ["renew-deadline", "lease-duration"],
                said,
                "set renew-deadline to at most lease-duration",
            );
        }
        if retry.0 >= renew.0 {
            let said = format!("retry-period ({}) leaves no second attempt in renew-deadline ({})", retry.1, renew.1);
            report(
                cx,
                &cluster.config,
                ["retry-period", "renew-deadline"],
                said,
                "set retry-period to a third of renew-deadline or less",
            );
        }
    }
}

/// At the option of the two that is set.
fn report(cx: &mut Check<'_>, config: &Config, keys: [&str; 2], message: String, help: &str) {
    let entry = keys.iter().find_map(|key| config.get(&[&format!("{PREFIX}.{key}")]));
    if let Some(entry) = entry {
        cx.report(entry.place.clone(), message).help(help);
    }
}

/// An option's time, and how people write it; none where it cannot be told.
fn time(config: &Config, key: &str, default: u64) -> Option<(Duration, String)> {
    match config.get(&[&format!("{PREFIX}.{key}")]) {
        Some(entry) => Some((duration::parse(&entry.value)?, entry.value.clone())),
        None => Some((Duration::from_secs(default), format!("{default} s, Flink's default"))),
    }
}
