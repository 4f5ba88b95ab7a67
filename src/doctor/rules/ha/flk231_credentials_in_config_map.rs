//! FLK231: the key of an object store in plain text.

use crate::doctor::model::config::{Config, Entry};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::doctor::snapshot::BARE_FILE;
use crate::flink::storage::is_credential;

rule! {
    /// The key of an object store in plain text
    ///
    /// ## Why it matters
    ///
    /// Whoever may read ConfigMaps, or the manifests in their repository, has the key then. Flink hides the value in
    /// its REST API and its log; Kubernetes does not.
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
    ///             s3.access-key: flink
    ///             s3.secret-key: hunter2
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
    ///         - {name: AWS_SECRET_ACCESS_KEY, valueFrom: {secretKeyRef: {name: s3, key: secret}}}
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
    /// Use a role of the service account (IRSA, Workload Identity), or keep the key in a Secret and give it to the
    /// containers as `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY`. A key that has been in a repository has to be
    /// replaced.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/filesystems/s3/#configure-access-credentials>
    FLK231 "credentials-in-config-map": Ha Warning, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    let files = cx.model.config_files.iter().filter(|file| cx.object(file.object).kind == "ConfigMap");
    let mut entries: Vec<&Entry> = files.flat_map(|file| &file.entries).map(|entry| &**entry).collect();
    let configs =
        cx.clusters().iter().map(|cluster| &cluster.config).chain(cx.model.members.iter().map(|member| &member.config));
    entries.extend(configs.flat_map(Config::entries));
    let mut said: Vec<&Place> = Vec::new();
    for entry in entries {
        let bare = cx.object(entry.place.object).kind == BARE_FILE;
        if bare
            || !is_credential(&entry.key)
            || !entry.is_literal()
            || entry.value.is_empty()
            || said.contains(&&entry.place)
        {
            continue;
        }
        said.push(&entry.place);
        let object = cx.object(entry.place.object).reference();
        // Never the value.
        cx.report(entry.key_place.clone(), format!("{} is in plain text in {object}", entry.key)).help(
            "use a role of the service account, or a Secret and the variables AWS_ACCESS_KEY_ID and \
                   AWS_SECRET_ACCESS_KEY",
        );
    }
}
