//! FLK517: options that the version does not read any more.

use crate::doctor::rule::{Check, rule};
use crate::doctor::rules::resources::flk405_memory_option_removed::REMOVED;
use crate::flink::options;

rule! {
    /// An option is set that this Flink version does not read any more
    ///
    /// ## Why it matters
    ///
    /// Flink does not complain of an option that it does not know. What was removed, most of it in 2.0, does nothing: TLS with
    /// `security.ssl.enabled` is off, `cluster.evenly-spread-out-slots` spreads nothing out. The names come from Flink's own classes, version by version.
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: flink.apache.org/v1beta1
    /// kind: FlinkDeployment
    /// metadata: {name: orders}
    /// spec:
    ///   image: flink:2.3.0
    ///   flinkVersion: v2_3
    ///   serviceAccount: flink
    ///   flinkConfiguration:
    ///     security.ssl.enabled: "true"
    ///   jobManager: {resource: {memory: 2048m, cpu: 1}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: flink.apache.org/v1beta1
    /// kind: FlinkDeployment
    /// metadata: {name: orders}
    /// spec:
    ///   image: flink:2.3.0
    ///   flinkVersion: v2_3
    ///   serviceAccount: flink
    ///   flinkConfiguration:
    ///     security.ssl.internal.enabled: "true"
    ///   jobManager: {resource: {memory: 2048m, cpu: 1}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    /// ```
    ///
    /// ## Fix
    ///
    /// Set the option that took its place, if there is one, and remove this one.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/release-notes/flink-2.0/>
    FLK517 "option-removed": Config Warning, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for (config, version) in super::configs(cx) {
        let Some(version) = version else { continue };
        for entry in super::written(config) {
            // The memory options of before 1.10 are FLK405's, which looks at the processes that are in the input.
            let of_process = cx.object(entry.place.object).kind != "FlinkDeployment" || entry.key.contains(".heap.");
            let memory = of_process && REMOVED.iter().any(|(key, _)| *key == entry.key);
            let Some(option) = options::find(&entry.key).filter(|_| !memory) else { continue };
            let Some(removed) = option.removed.filter(|removed| version >= *removed) else { continue };
            let help = match (replacement(&entry.key), option.renamed) {
                (Some(new), _) => format!("set {new} in its place"),
                (None, Some((_, new))) if options::find(new).is_some_and(|new| new.removed.is_none()) => {
                    format!("set {new} in its place")
                }
                _ => "remove it".to_owned(),
            };
            let minor = format!("{}.{}", removed.major(), removed.minor());
            cx.report(
                entry.key_place.clone(),
                format!("Flink {version} does not read {}, which is gone since {minor}", entry.key),
            )
            .help(help);
        }
    }
}

/// What does the same now, where Flink itself does not say so.
fn replacement(key: &str) -> Option<&'static str> {
    Some(match key {
        "security.ssl.enabled" => "security.ssl.internal.enabled and security.ssl.rest.enabled",
        "web.ssl.enabled" | "jobmanager.web.ssl.enabled" => "security.ssl.rest.enabled",
        "cluster.evenly-spread-out-slots" => "taskmanager.load-balance.mode: slots",
        "web.address" => "rest.bind-address",
        "taskmanager.registration.initial-backoff" => "cluster.registration.initial-timeout",
        "taskmanager.registration.max-backoff" => "cluster.registration.max-timeout",
        "taskmanager.registration.refused-backoff" => "cluster.registration.refused-registration-delay",
        "pipeline.default-kryo-serializers" | "pipeline.registered-kryo-types" | "pipeline.registered-pojo-types" => {
            "pipeline.serialization-config"
        }
        "taskmanager.network.batch-shuffle.compression.enabled" => "taskmanager.network.compression.codec",
        _ => return None,
    })
}
