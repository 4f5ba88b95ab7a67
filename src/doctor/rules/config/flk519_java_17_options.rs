//! FLK519: Java 17 without the options that Flink needs on it.

use crate::doctor::fix::{Fix, Safety};
use crate::doctor::model::{Member, is_official};
use crate::doctor::rule::{Check, rule};
use crate::flink::version::Version;

rule! {
    /// The image runs on Java 17, and the configuration lacks env.java.opts.all
    ///
    /// ## Why it matters
    ///
    /// Flink reaches into parts of the JDK that Java 17 keeps closed unless it is told otherwise. The `--add-opens` and `--add-exports`
    /// that it needs are in `env.java.opts.all` of the configuration that comes with Flink 1.18 and later; a configuration of
    /// one's own takes their place. The processes start, and every job fails when it is submitted:
    ///
    /// ```text
    /// java.lang.NoClassDefFoundError: Could not initialize class org.apache.flink.runtime.util.ExecutionContextEnvironment
    /// java.lang.reflect.InaccessibleObjectException: Unable to make field private final java.util.Map java.util.Collections$UnmodifiableMap.m accessible: module java.base does not "opens java.util" to unnamed module
    /// ```
    ///
    /// Official images of 1.x have Java 17 if their tag says so, those of 2.x unless their tag says otherwise.
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
    ///         image: flink:1.20.5-java17
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
    ///     env.java.opts.all: --add-exports=java.base/sun.net.util=ALL-UNNAMED --add-opens=java.base/java.lang=ALL-UNNAMED
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
    ///         image: flink:1.20.5-java17
    ///         args: [jobmanager]
    ///         volumeMounts: [{name: conf, mountPath: /opt/flink/conf}]
    ///       volumes: [{name: conf, configMap: {name: flink-config}}]
    /// ```
    ///
    /// ## Fix
    ///
    /// Take the line `env.java.opts.all` of the configuration in Flink's distribution over.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/java_compatibility/>
    FLK519 "java-17-options": Config Error, reads [Processes]
}

/// The value in `conf/config.yaml` of Flink 1.20 and 2.x, of which the first word is 1.x's alone.
const OPTIONS: &str = "--add-exports=java.base/sun.net.util=ALL-UNNAMED --add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED \
    --add-exports=jdk.compiler/com.sun.tools.javac.api=ALL-UNNAMED --add-exports=jdk.compiler/com.sun.tools.javac.file=ALL-UNNAMED \
    --add-exports=jdk.compiler/com.sun.tools.javac.parser=ALL-UNNAMED --add-exports=jdk.compiler/com.sun.tools.javac.tree=ALL-UNNAMED \
    --add-exports=jdk.compiler/com.sun.tools.javac.util=ALL-UNNAMED --add-exports=java.security.jgss/sun.security.krb5=ALL-UNNAMED \
    --add-opens=java.base/java.lang=ALL-UNNAMED --add-opens=java.base/java.net=ALL-UNNAMED --add-opens=java.base/java.io=ALL-UNNAMED \
    --add-opens=java.base/java.nio=ALL-UNNAMED --add-opens=java.base/sun.nio.ch=ALL-UNNAMED \
    --add-opens=java.base/java.lang.reflect=ALL-UNNAMED --add-opens=java.base/java.text=ALL-UNNAMED \
    --add-opens=java.base/java.time=ALL-UNNAMED --add-opens=java.base/java.util=ALL-UNNAMED \
    --add-opens=java.base/java.util.concurrent=ALL-UNNAMED --add-opens=java.base/java.util.concurrent.atomic=ALL-UNNAMED \
    --add-opens=java.base/java.util.concurrent.locks=ALL-UNNAMED";

fn check(cx: &mut Check<'_>) {
    let mut seen = Vec::new();
    for (_, member) in cx.members() {
        let Some(version) = member.version.filter(|version| version.knows_java_17()) else { continue };
        let Some(number) = member.config.file.filter(|number| !seen.contains(number)) else { continue };
        let Some(java) = java_of(member, version).filter(|java| *java >= 17) else { continue };
        let opened = |text: &str| text.contains("--add-opens") || text.contains("--add-exports");
        let options = member.config.entries().iter().any(|e| e.key.starts_with("env.java.opts") && opened(&e.value));
        let variables = member.container().is_some_and(|(_, container)| {
            let java = |name: &str| {
                matches!(name, "JAVA_TOOL_OPTIONS" | "JDK_JAVA_OPTIONS" | "JVM_ARGS" | "FLINK_ENV_JAVA_OPTS")
            };
            container.env.iter().flatten().any(|variable| java(&variable.name)) || member.has_env_from()
        });
        if options || variables || !cx.absent(&member.config.known(&["env.java.opts.all", "env.java.opts"])) {
            continue;
        }
        seen.push(number);
        let file = &cx.model.config_files[number];
        let fix = Fix::add_option(file, "env.java.opts.all", OPTIONS, Safety::Safe);
        let place = file.entries.first().map_or_else(|| file.place(0..0), |first| first.key_place.clone());
        cx.report(place, format!("{} lacks env.java.opts.all, without which Flink {version} fails on Java {java}", file.name))
            .help("add env.java.opts.all as Flink's own configuration has it")
            .symptom("java.lang.NoClassDefFoundError: Could not initialize class org.apache.flink.runtime.util.ExecutionContextEnvironment")
            .related(member.in_container("image"), format!("runs on Java {java}"))
            .fix(fix);
    }
}

/// The Java of an official image: as its tag says, else 17 in 2.x and 11 in 1.x. Of other images it is not known.
fn java_of(member: &Member, version: Version) -> Option<u32> {
    let image = &member.workload.process.image;
    let tag = super::repository_and_tag(image).1.filter(|_| is_official(image))?;
    match tag.split_once("-java") {
        Some((_, java)) => java.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok(),
        None => Some(if version >= Version::new(2, 0, 0) { 17 } else { 11 }),
    }
}
