//! FLK521: ConfigMaps, or keys of them, that are not there.

use super::Missing;
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};

rule! {
    /// A pod needs a ConfigMap, or a key of one, that does not exist
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
    /// Where a container takes its environment from it, with `envFrom` or `configMapKeyRef`, the container stays in
    /// `CreateContainerConfigError`:
    ///
    /// ```text
    /// Error: configmap "flink-environment" not found
    /// Error: couldn't find key PLUGINS in ConfigMap flink/flink-environment
    /// ```
    ///
    /// In files a ConfigMap that is not among them may be in the cluster, and nothing is said of it.
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
        let (missing, unknown) = super::missing_maps(cx, member);
        for why in unknown {
            cx.unknown(why);
        }
        for Missing { place, name, map, symptom } in missing {
            match map {
                None => {
                    let namespace = member.workload.namespace();
                    cx.report(place, format!("ConfigMap {name} does not exist in namespace {namespace}"))
                        .help("create it, or name one that exists")
                        .symptom(symptom);
                }
                Some((map, key)) => {
                    cx.report(place, format!("ConfigMap {name} has no key {key}"))
                        .help("add the key to the ConfigMap, or name one that it has")
                        .symptom(symptom)
                        .related(Place::value(map, "/data"), "its keys");
                }
            }
        }
    }
}
