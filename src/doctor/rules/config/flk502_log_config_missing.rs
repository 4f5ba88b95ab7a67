//! FLK502: a configuration folder without a Log4j file.

use crate::doctor::rule::{Check, rule};
use crate::flink::config::{FILE, LEGACY_FILE};

rule! {
    /// The configuration folder is mounted over and has no log4j-console.properties
    ///
    /// ## Why it matters
    ///
    /// A ConfigMap that is mounted at the configuration folder hides all files that the image has there. `flink-console.sh`, which
    /// starts every process in a container, tells Log4j to read `log4j-console.properties` from it. Without one the process runs
    /// and `kubectl logs` shows nothing but:
    ///
    /// ```text
    /// main ERROR Reconfiguration failed: No configuration found for 'c387f44' at 'null' in 'null'
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
    ///     taskmanager.memory.process.size: 1728m
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
    ///     jobmanager.memory.process.size: 1600m
    ///     taskmanager.memory.process.size: 1728m
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
    /// Add `log4j-console.properties` to the ConfigMap, and to `items` where the volume lists its keys; the file of Flink's distribution
    /// is a start.
    FLK502 "log-config-missing": Config Warning, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for (_, member) in cx.members() {
        let super::Brings::Nothing(place) = super::brings(cx, member, super::CONSOLE_LOG) else { continue };
        // `flink-daemon.sh` reads log4j.properties.
        if super::is_daemon(member) {
            continue;
        }
        // Without any configuration the process does not start, which is another finding.
        let nothing = |name: &str| matches!(super::brings(cx, member, name), super::Brings::Nothing(_));
        if nothing(FILE) && nothing(LEGACY_FILE) {
            continue;
        }
        // An image with Logback in place of Log4j reads this one; an option or a variable may name any other.
        let logback = matches!(super::brings(cx, member, "logback-console.xml"), super::Brings::Map(_));
        let names_one = |text: &str| text.contains("log4j") || text.contains("logback");
        let options = member.config.entries().iter().any(|e| e.key.starts_with("env.java.opts") && names_one(&e.value));
        let variables = member.container().is_some_and(|(_, container)| {
            let own = container.env.iter().flatten();
            container.env_from.iter().flatten().next().is_some()
                || own
                    .into_iter()
                    .any(|v| v.name == "LOG4J_CONFIGURATION_FILE" || v.value.as_deref().is_some_and(names_one))
        });
        if logback || options || variables {
            continue;
        }
        let folder = &member.conf_dir;
        cx.report(place, format!("no {} is mounted in {folder}, whose own files the volume hides", super::CONSOLE_LOG))
            .help(format!("add {} to the ConfigMap and to the keys that are mounted", super::CONSOLE_LOG))
            .symptom("main ERROR Reconfiguration failed: No configuration found for")
            .related(member.in_container("volumeMounts"), format!("the {} that mounts it", member.role_name()));
    }
}
