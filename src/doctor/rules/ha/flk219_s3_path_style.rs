//! FLK219: an S3 server in the cluster without path-style access.

use super::{file_of, literal};
use crate::doctor::fix::{Fix, Safety};
use crate::doctor::rule::{Check, rule};

rule! {
    /// An S3 server in the cluster without path-style access
    ///
    /// ## Why it matters
    ///
    /// By default the bucket becomes a part of the host name: `flink.minio.storage.svc`. Amazon resolves such names.
    /// The Service of a MinIO in the cluster has one name only, and the bucket's is not known to the cluster's DNS:
    ///
    /// ```text
    /// java.net.UnknownHostException: flink.minio.storage.svc
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
    ///         - {name: ENABLE_BUILT_IN_PLUGINS, value: flink-s3-fs-presto-1.20.5.jar}
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             kubernetes.cluster-id: flink
    ///             kubernetes.namespace: flink
    ///             high-availability.type: kubernetes
    ///             high-availability.cluster-id: flink.flink
    ///             high-availability.storageDir: s3://flink/ha
    ///             execution.checkpointing.dir: s3://flink/checkpoints
    ///             s3.endpoint: http://minio.storage.svc:9000
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
    ///         - {name: ENABLE_BUILT_IN_PLUGINS, value: flink-s3-fs-presto-1.20.5.jar}
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             kubernetes.cluster-id: flink
    ///             kubernetes.namespace: flink
    ///             high-availability.type: kubernetes
    ///             high-availability.cluster-id: flink.flink
    ///             high-availability.storageDir: s3://flink/ha
    ///             execution.checkpointing.dir: s3://flink/checkpoints
    ///             s3.endpoint: http://minio.storage.svc:9000
    ///             s3.path.style.access: true
    /// ```
    ///
    /// ## Fix
    ///
    /// Set `s3.path.style.access: true`.
    ///
    /// ## When to ignore
    ///
    /// Where the DNS of the cluster knows the names of buckets, as with `MINIO_DOMAIN` and a wildcard.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/filesystems/s3/>
    FLK219 "s3-path-style": Ha Warning, reads [Processes]
}

const ENDPOINT: [&str; 4] = ["s3.endpoint", "s3a.endpoint", "fs.s3a.endpoint", "presto.s3.endpoint"];
const PATH_STYLE: [&str; 6] = [
    "s3.path.style.access",
    "s3.path-style-access",
    "s3a.path.style.access",
    "fs.s3a.path.style.access",
    "presto.s3.path-style-access",
    "hive.s3.path-style-access",
];

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        let Some(entry) = literal(&cluster.config, &ENDPOINT).filter(|entry| is_in_cluster(&entry.value)) else {
            continue;
        };
        let off = literal(&cluster.config, &PATH_STYLE).is_some_and(|style| style.value.eq_ignore_ascii_case("false"));
        // A FlinkDeployment's own options are all there is, save what the operator's administrator has set.
        if !off && !cx.absent(&cluster.config.known(&PATH_STYLE)) {
            continue;
        }
        let file = file_of(cx, &cluster.config);
        let finding = cx.report(
            entry.place.clone(),
            format!("{} is in the cluster, where no host name begins with a bucket's name", entry.value),
        );
        finding.help("set s3.path.style.access to true").symptom("java.net.UnknownHostException");
        if let Some(file) = file.filter(|_| !off) {
            finding.fix(Fix::add_option(file, "s3.path.style.access", "true", Safety::Unsafe));
        }
    }
}

/// A Service's name. An IP address needs no option: the client sees that it is one.
fn is_in_cluster(endpoint: &str) -> bool {
    let host = endpoint.split_once("://").map_or(endpoint, |(_, rest)| rest);
    let host = host.split(['/', ':']).next().unwrap_or_default();
    !host.is_empty() && host != "localhost" && (!host.contains('.') || format!("{host}.").contains(".svc."))
}
