//! FLK505: both configuration files at once.

use crate::doctor::rule::{Check, rule};
use crate::flink::config::{FILE, LEGACY_FILE};
use crate::flink::version::Version;

rule! {
    /// flink-conf.yaml and config.yaml are both mounted: config.yaml is ignored
    ///
    /// ## Why it matters
    ///
    /// Flink 1.19 and 1.20 read `flink-conf.yaml` where there is one, and then nothing of `config.yaml`. What is set only there, high
    /// availability for example, is off without a word. The log has one line that tells (`GlobalConfiguration`):
    ///
    /// ```text
    /// Using legacy YAML parser to load flink configuration file from /opt/flink/conf/flink-conf.yaml.
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: ConfigMap
    /// metadata: {name: flink-config}
    /// data:
    ///   flink-conf.yaml: |
    ///     jobmanager.memory.process.size: 1600m
    ///   config.yaml: |
    ///     jobmanager.memory.process.size: 4g
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
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: ConfigMap
    /// metadata: {name: flink-config}
    /// data:
    ///   config.yaml: |
    ///     jobmanager.memory.process.size: 4g
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
    /// Keep one of them: `config.yaml`, which Flink 2 reads too, with everything from `flink-conf.yaml` that still counts.
    FLK505 "two-config-files": Config Warning, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for (_, member) in cx.members() {
        let Some(version) = member.version.filter(|v| v.has_config_yaml() && *v < Version::new(2, 0, 0)) else {
            continue;
        };
        let files = (super::brings(cx, member, FILE), super::brings(cx, member, LEGACY_FILE));
        let (super::Brings::Map(place), super::Brings::Map(other)) = files else { continue };
        // The list of what is mounted, where the ConfigMap is not known, names both.
        cx.report(place, format!("Flink {version} ignores {FILE}, because {LEGACY_FILE} is mounted beside it"))
            .help(format!("keep one of the two; Flink 2 reads only {FILE}"))
            .symptom(format!(
                "Using legacy YAML parser to load flink configuration file from {}/{LEGACY_FILE}.",
                member.conf_dir
            ))
            .related(other, "the file that is read");
    }
}
