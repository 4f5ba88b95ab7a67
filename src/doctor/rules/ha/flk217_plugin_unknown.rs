//! FLK217: a plugin that the image does not have.

use super::{PLUGINS, plugin_mistakes};
use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::known::Known;
use crate::doctor::rule::{Check, rule};

rule! {
    /// A plugin that the image does not have
    ///
    /// ## Why it matters
    ///
    /// The entrypoint of Flink's image looks for each jar that `ENABLE_BUILT_IN_PLUGINS` names, with its version, and
    /// ends where it finds none. Jars are separated by `;` or blanks; with `,` the whole text is one name. The variable is looked for in `env`, `envFrom` and
    /// the ConfigMaps that they name; what comes from a Secret is not known:
    ///
    /// ```text
    /// Plugin flink-s3-fs-hadoop-1.19.1.jar does not exist. Exiting.
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
    ///         - {name: ENABLE_BUILT_IN_PLUGINS, value: flink-s3-fs-presto-1.19.1.jar}
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
    /// ```
    ///
    /// ## Fix
    ///
    /// Write the version of the image into the jar's name, and `;` between two of them.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/filesystems/overview/>
    /// - `docker-entrypoint.sh` of flink-docker
    FLK217 "plugin-unknown": Ha Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    let mut said = Vec::new();
    for (_, member) in cx.members() {
        let mistakes = plugin_mistakes(cx, member);
        let (Some((jar, what, _)), Known::Present((place, value))) =
            (mistakes.first(), member.variable(cx.snapshot(), PLUGINS))
        else {
            continue;
        };
        // Of several processes that read one ConfigMap.
        if said.contains(&place) {
            continue;
        }
        said.push(place.clone());
        let mut right = Some(value);
        for (jar, _, better) in &mistakes {
            right = right.zip(better.as_ref()).map(|(text, better)| text.replace(jar.as_str(), better));
        }
        let finding = cx.report(place.clone(), what.clone());
        finding.symptom(format!("Plugin {jar} does not exist. Exiting."));
        match right {
            Some(right) => {
                finding.help(format!("write {right}")).fix(Fix::new(
                    format!("write {right}"),
                    Safety::Safe,
                    Edit::Replace(place, if right.contains(' ') { format!("{right:?}") } else { right }),
                ));
            }
            None => {
                finding.help(
                    "name a jar of the folder /opt/flink/opt of the image, such as flink-s3-fs-presto-VERSION.jar",
                );
            }
        }
    }
}
