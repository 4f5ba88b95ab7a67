//! FLK212: a cluster-id of more than 40 characters, up to Flink 1.14.

use super::{CLUSTER_ID, is_on, literal};
use crate::doctor::rule::{Check, rule};
use crate::flink::cluster_id;
use crate::flink::role::Mode;
use crate::flink::version::Version;

rule! {
    /// A cluster-id of more than 40 characters, up to Flink 1.14
    ///
    /// ## Why it matters
    ///
    /// Flink 1.12 to 1.14 keep one ConfigMap for each component, the longest of them
    /// `<cluster-id>-resourcemanager-leader`. With more than 40 characters before it that is longer than 63 characters,
    /// the most that a label or a Service may have. Flink checks `kubernetes.cluster-id` against 45 characters, and
    /// that in native mode only.
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
    ///         image: flink:1.14.6
    ///         args: [jobmanager, $(POD_IP)]
    ///         env:
    ///         - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             kubernetes.cluster-id: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    ///             kubernetes.namespace: flink
    ///             high-availability.cluster-id: flink.flink
    ///             high-availability.storageDir: s3://flink/ha
    ///             execution.checkpointing.dir: s3://flink/checkpoints
    ///             high-availability: org.apache.flink.kubernetes.highavailability.KubernetesHaServicesFactory
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
    ///         image: flink:1.14.6
    ///         args: [jobmanager, $(POD_IP)]
    ///         env:
    ///         - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             kubernetes.cluster-id: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    ///             kubernetes.namespace: flink
    ///             high-availability.cluster-id: flink.flink
    ///             high-availability.storageDir: s3://flink/ha
    ///             execution.checkpointing.dir: s3://flink/checkpoints
    ///             high-availability: org.apache.flink.kubernetes.highavailability.KubernetesHaServicesFactory
    /// ```
    ///
    /// ## Fix
    ///
    /// Use a cluster-id of at most 40 characters, or Flink 1.15 or later, whose names are shorter.
    ///
    /// ## References
    ///
    /// - <https://github.com/apache/flink/pull/17828>
    FLK212 "cluster-id-too-long": Ha Warning, reads [Processes]
}

/// The first version with one ConfigMap for all components.
const FIXED: Version = Version::new(1, 15, 0);

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        let Some(version) = cluster.version.filter(|version| *version < FIXED) else { continue };
        let Some(entry) = literal(&cluster.config, &[CLUSTER_ID]) else { continue };
        let length = entry.value.chars().count();
        // What no version takes is FLK211's.
        let most = if cluster.mode.is_some_and(Mode::is_native) { cluster_id::MAX_LENGTH } else { 63 };
        if is_on(&cluster.config) && length > 40 && length <= most {
            cx.report(
                entry.place.clone(),
                format!(
                    "kubernetes.cluster-id has {length} characters, and Flink {version} makes names of more than \
                         63 from it"
                ),
            )
            .help("use at most 40 characters, or Flink 1.15 or later");
        }
    }
}
