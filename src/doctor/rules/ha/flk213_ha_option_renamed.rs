//! FLK213: the option high-availability is called high-availability.type now.

use super::TYPE;
use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::model::config::Origin;
use crate::doctor::rule::{Check, rule};
use crate::flink::version::Version;

rule! {
    /// The option high-availability is called high-availability.type now
    ///
    /// ## Why it matters
    ///
    /// Since Flink 1.17 the option is `high-availability.type`, and `kubernetes` is a name for the class that it used
    /// to take. The old forms still work, also in Flink 2; a file that has both forms is read by people who see only
    /// one of them.
    ///
    /// ```text
    /// Config uses deprecated configuration key 'high-availability' instead of proper key 'high-availability.type'
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
    ///             high-availability.cluster-id: flink.flink
    ///             high-availability.storageDir: s3://flink/ha
    ///             execution.checkpointing.dir: s3://flink/checkpoints
    ///             high-availability: kubernetes
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
    /// Write `high-availability.type: kubernetes`. Before Flink 1.17 it has to stay `high-availability`.
    ///
    /// ## References
    ///
    /// - `HighAvailabilityOptions.HA_MODE`
    FLK213 "ha-option-renamed": Ha Info, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        if cluster.version.is_none_or(|version| version < Version::new(1, 17, 0)) {
            continue;
        }
        let (new, old) = (cluster.config.get(&[TYPE[0]]), cluster.config.get(&[TYPE[1]]));
        let Some(entry) = old.or(new) else { continue };
        let is_class = entry.value.ends_with(".KubernetesHaServicesFactory");
        // Two forms that do not agree are FLK214's.
        let differ = old.is_some() && new.is_some_and(|new| !new.value.eq_ignore_ascii_case(&entry.value));
        if differ || (old.is_none() && !is_class) {
            continue;
        }
        let message = if old.is_some() {
            format!("{} is called {} since Flink 1.17", TYPE[1], TYPE[0])
        } else {
            format!("the class {} has the name kubernetes since Flink 1.16", entry.value)
        };
        let mut edits = Vec::new();
        if old.is_some() && new.is_some() {
            edits.push(Edit::RemoveLine(entry.key_place.clone()));
        } else {
            edits.extend(old.map(|old| Edit::Replace(old.key_place.clone(), TYPE[0].to_owned())));
            edits.extend(is_class.then(|| Edit::Replace(entry.place.clone(), "kubernetes".to_owned())));
        }
        let value = if is_class { "kubernetes" } else { &entry.value };
        let right = format!("{}: {value}", TYPE[0]);
        let place = if old.is_some() { &entry.key_place } else { &entry.place };
        let finding = cx.report(place.clone(), message).help(format!("write {right}"));
        if entry.origin == Origin::File {
            finding.fix(Fix::of(format!("write {right}"), Safety::Safe, edits));
        }
    }
}
