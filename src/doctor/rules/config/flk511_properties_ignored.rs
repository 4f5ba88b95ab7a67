//! FLK511: FLINK_PROPERTIES that cannot be written.

use crate::doctor::model::config::{ConfigFile, Origin};
use crate::doctor::rule::{Check, rule};
use crate::flink::config::LEGACY_FILE;

rule! {
    /// FLINK_PROPERTIES does nothing beside a configuration from a ConfigMap
    ///
    /// ## Why it matters
    ///
    /// The entrypoint writes the lines of `FLINK_PROPERTIES` into the configuration file. A volume made from a ConfigMap is read-only,
    /// the file stays as it is, the process starts, and the options have their defaults. Up to 1.18 the log has a line of it:
    ///
    /// ```text
    /// /docker-entrypoint.sh: line 73: /opt/flink/conf/flink-conf.yaml: Read-only file system
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: ConfigMap
    /// metadata: {name: flink-config}
    /// data:
    ///   config.yaml: |
    ///     jobmanager.memory.process.size: 1600m
    ///   log4j-console.properties: |
    ///     rootLogger.level = INFO
    ///     rootLogger.appenderRef.console.ref = ConsoleAppender
    ///     appender.console.name = ConsoleAppender
    ///     appender.console.type = CONSOLE
    ///     appender.console.layout.type = PatternLayout
    ///     appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %-60c %x - %m%n
    /// ---
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-jobmanager}
    /// spec:
    ///   selector: {matchLabels: {app: flink-jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink-jobmanager}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    ///         env:
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             taskmanager.numberOfTaskSlots: 4
    ///         volumeMounts: [{name: conf, mountPath: /opt/flink/conf}]
    ///       volumes: [{name: conf, configMap: {name: flink-config}}]
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: ConfigMap
    /// metadata: {name: flink-config}
    /// data:
    ///   config.yaml: |
    ///     jobmanager.memory.process.size: 1600m
    ///     taskmanager.numberOfTaskSlots: 4
    ///   log4j-console.properties: |
    ///     rootLogger.level = INFO
    ///     rootLogger.appenderRef.console.ref = ConsoleAppender
    ///     appender.console.name = ConsoleAppender
    ///     appender.console.type = CONSOLE
    ///     appender.console.layout.type = PatternLayout
    ///     appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %-60c %x - %m%n
    /// ---
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-jobmanager}
    /// spec:
    ///   selector: {matchLabels: {app: flink-jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink-jobmanager}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    ///         volumeMounts: [{name: conf, mountPath: /opt/flink/conf}]
    ///       volumes: [{name: conf, configMap: {name: flink-config}}]
    /// ```
    ///
    /// ## Fix
    ///
    /// Move the lines into the ConfigMap, or pass them as `-Dkey=value` arguments. An init container may copy the ConfigMap to an `emptyDir`, where the entrypoint can write.
    FLK511 "properties-ignored": Config Warning, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for (_, member) in cx.members() {
        let Some((number, variable)) = member.env("FLINK_PROPERTIES") else { continue };
        let Some(value) = variable.value.as_deref().filter(|value| !value.trim().is_empty()) else { continue };
        if super::is_writable(member) || !super::has_entrypoint(member) {
            continue;
        }
        let place = member.in_container(&format!("env/{number}/value"));
        let lines = ConfigFile::read(place.object, &place.pointer, LEGACY_FILE, value).entries;
        // What the file says too does no harm.
        let set = |key: &str| member.config.get(&[key]).filter(|entry| entry.origin != Origin::Image);
        let lost = lines.iter().find(|line| set(&line.key).is_none_or(|entry| entry.value != line.value));
        if member.config.open.is_some() {
            cx.unknown("what the ConfigMap with the configuration says is not known");
        } else if let Some(lost) = lost {
            cx.report(
                lost.key_place.clone(),
                format!("FLINK_PROPERTIES does nothing: {} is read-only, and {} is not set", member.conf_dir, lost.key),
            )
            .help("move the lines into the ConfigMap, or pass them as -Dkey=value")
            .symptom("Read-only file system")
            .related(member.in_container("volumeMounts"), "the ConfigMap that is mounted there");
        }
    }
}
