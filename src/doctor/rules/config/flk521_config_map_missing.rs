//! FLK521: ConfigMaps, or keys of them, that are not there.

use crate::doctor::known::Known;
use crate::doctor::rule::{Check, rule};

rule! {
    /// A pod mounts a ConfigMap, or a key of one, that does not exist
    ///
    /// ## Why it matters
    ///
    /// The kubelet does not start a container before all its volumes are there. The pod stays in `ContainerCreating`, and only its
    /// events tell why:
    ///
    /// ```text
    /// MountVolume.SetUp failed for volume "flink-config" : configmap "flink-config" not found
    /// MountVolume.SetUp failed for volume "flink-config" : configmap references non-existent config key: flink-conf.yaml
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
    ///         volumeMounts: [{name: conf, mountPath: /opt/flink/conf}]
    ///       volumes: [{name: conf, configMap: {name: flink-config, items: [{key: flink-conf.yaml, path: flink-conf.yaml}, {key: log4j-console.properties, path: log4j-console.properties}]}}]
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
    ///       volumes: [{name: conf, configMap: {name: flink-config, items: [{key: config.yaml, path: config.yaml}, {key: log4j-console.properties, path: log4j-console.properties}]}}]
    /// ```
    ///
    /// ## Fix
    ///
    /// Create the ConfigMap in the pods' namespace, or name one, and keys, that exist.
    FLK521 "config-map-missing": Config Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for (_, member) in cx.members() {
        let namespace = member.workload.namespace();
        for (place, source) in super::config_map_sources(member).into_iter().filter(|(_, source)| !source.optional) {
            let map = match cx.find("ConfigMap", namespace, &source.name) {
                Known::Present(map) => map,
                missing => {
                    if cx.absent(&missing) {
                        cx.report(place, format!("ConfigMap {} does not exist in namespace {namespace}", source.name))
                            .help("create it, or name one that exists")
                            .symptom(format!(
                                "MountVolume.SetUp failed for volume: configmap \"{}\" not found",
                                source.name
                            ));
                    }
                    continue;
                }
            };
            for (key, place) in source.items.into_iter().flatten() {
                if super::has_key(cx, map, &key) == Some(false) {
                    cx.report(place, format!("ConfigMap {} has no key {key}", source.name))
                        .help("add the key to the ConfigMap, or name one that it has")
                        .symptom(format!("configmap references non-existent config key: {key}"))
                        .related(crate::doctor::place::Place::value(map, "/data"), "its keys");
                }
            }
        }
    }
}
