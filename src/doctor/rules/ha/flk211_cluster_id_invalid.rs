//! FLK211: a cluster-id that Kubernetes does not take as a name.

use super::{CLUSTER_ID, Services, literal, services};
use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::known::Known;
use crate::doctor::model::config::Origin;
use crate::doctor::rule::{Check, rule};
use crate::flink::role::Mode;
use crate::flink::{cluster_id, ha};

rule! {
    /// A cluster-id that Kubernetes does not take as a name
    ///
    /// ## Why it matters
    ///
    /// Flink names objects after `kubernetes.cluster-id` and writes it into their label `app`. A standalone cluster
    /// needs only its ConfigMaps: lower-case letters, digits, `-` and `.`, at most 63 characters, a letter or digit at
    /// both ends. Native mode names a Deployment and Services after it too: no dots, and at most 45 characters. A
    /// standalone JobManager does not end; it tries for ever and never has a leader:
    ///
    /// ```text
    /// ERROR io.fabric8.kubernetes.client.extended.leaderelection.LeaderElector [] - Exception occurred while acquiring lock 'ConfigMapLock: flink - Flink-cluster-config-map' retrying...
    /// ConfigMap "Flink-cluster-config-map" is invalid: metadata.name: Invalid value: "Flink-cluster-config-map": a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character
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
    ///             kubernetes.cluster-id: My_Flink
    ///             kubernetes.namespace: flink
    ///             high-availability.type: kubernetes
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
    ///             kubernetes.cluster-id: my-flink
    ///             kubernetes.namespace: flink
    ///             high-availability.type: kubernetes
    ///             high-availability.cluster-id: flink.flink
    ///             high-availability.storageDir: s3://flink/ha
    ///             execution.checkpointing.dir: s3://flink/checkpoints
    /// ```
    ///
    /// ## Fix
    ///
    /// Use lower-case letters, digits and `-`, beginning with a letter and at most 45 characters long: every mode and
    /// every version takes that. JobManager and TaskManagers need the same one.
    ///
    /// ## References
    ///
    /// - <https://kubernetes.io/docs/concepts/overview/working-with-objects/names/>
    /// - `KubernetesConfigOptions.CLUSTER_ID`
    FLK211 "cluster-id-invalid": Ha Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        let native = cluster.mode.is_some_and(Mode::is_native);
        let counts = native || services(&cluster.config) == Known::Present(Services::Kubernetes);
        // The operator makes it from the name of its resource.
        let Some(entry) = literal(&cluster.config, &[CLUSTER_ID]).filter(|_| counts && cluster.operator.is_none())
        else {
            continue;
        };
        let Some(why) = mistake(&entry.value, native) else { continue };
        let finding = cx.report(entry.place.clone(), format!("kubernetes.cluster-id {:?} {why}", entry.value));
        finding.help("use a-z, 0-9 and '-', beginning with a letter, at most 45 characters");
        if !native {
            finding.symptom(format!("ConfigMap \"{}\" is invalid", ha::cluster_config_map(&entry.value)));
        }
        let better = entry.value.to_lowercase().replace('_', "-");
        if entry.origin == Origin::File && mistake(&better, true).is_none() {
            let title = format!("name it {better}");
            finding.fix(Fix::new(title, Safety::Unsafe, Edit::Replace(entry.place.clone(), better)));
        }
    }
}

/// What is wrong with a cluster-id: what the API server or Flink itself refuses.
fn mistake(id: &str, native: bool) -> Option<String> {
    let taken = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || (c == '.' && !native);
    let length = id.chars().count();
    let most = if native { cluster_id::MAX_LENGTH } else { 63 };
    if let Some(c) = id.chars().find(|c| !taken(*c)) {
        Some(format!("has {c:?}, which no {} may have in its name", if native { "Service" } else { "ConfigMap" }))
    } else if id.starts_with(['-', '.']) || id.ends_with(['-', '.']) {
        Some("does not begin and end with a letter or a digit".to_owned())
    } else if length > most {
        let whose = if native { "native mode takes" } else { "a label takes" };
        Some(format!("has {length} characters, and {whose} at most {most}"))
    } else {
        (id.contains("..") || id.contains(".-") || id.contains("-."))
            .then(|| "has a part that does not begin and end with a letter or a digit".to_owned())
    }
}
