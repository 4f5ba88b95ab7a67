//! FLK504: a configuration file under a name that the version does not read.

use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::flink::config::{FILE, LEGACY_FILE};
use crate::flink::version::Version;

rule! {
    /// The configuration file has a name that this Flink version does not read
    ///
    /// ## Why it matters
    ///
    /// Up to Flink 1.18 the file is `flink-conf.yaml`, from 2.0 on it is `config.yaml`; 1.19 and 1.20 read either. A ConfigMap that
    /// is mounted at the configuration folder hides the image's own file, and with the other name, or with none, the process ends
    /// at once (`GlobalConfiguration`):
    ///
    /// ```text
    /// Exception in thread "main" org.apache.flink.configuration.IllegalConfigurationException: The Flink config file '/opt/flink/conf/config.yaml' (/opt/flink/conf/config.yaml) does not exist.
    /// ```
    ///
    /// Where only the one file is mounted, beside the image's own, it is ignored in silence.
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
    ///         image: flink:2.3.0
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
    ///         image: flink:2.3.0
    ///         args: [jobmanager]
    ///         volumeMounts: [{name: conf, mountPath: /opt/flink/conf}]
    ///       volumes: [{name: conf, configMap: {name: flink-config}}]
    /// ```
    ///
    /// ## Fix
    ///
    /// Name the key after the file that the version reads. `config.yaml` is YAML, which `flink-conf.yaml` was not: a value with `: `
    /// or ` #` in it, or with `*` or `%` at its beginning, needs quotes there. `bin/migrate-config-file.sh` of Flink 1.19 and 1.20 writes the one from the other.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/config/#migrate-from-flink-confyaml-to-configyaml>
    FLK504 "config-file-name": Config Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for (_, member) in cx.members() {
        let Some(version) = member.version else { continue };
        let read = super::file_of(version);
        let both = read == FILE && version < Version::new(2, 0, 0);
        let other = if read == FILE { LEGACY_FILE } else { FILE };
        let found = super::brings(cx, member, other);
        let (place, message) = match (super::brings(cx, member, read), found) {
            (super::Brings::Nothing(_), super::Brings::Map(place)) if !both => {
                (place, format!("Flink {version} does not read {other}, and no {read} is mounted beside it"))
            }
            (super::Brings::Image, super::Brings::Map(place)) if !both => {
                (place, format!("Flink {version} does not read {other}: it goes by the {read} of its image"))
            }
            (super::Brings::Nothing(place), super::Brings::Nothing(_)) => {
                (place, format!("no {read} is mounted in {}, whose own files the volume hides", member.conf_dir))
            }
            _ => continue,
        };
        let path = format!("{}/{read}", member.conf_dir);
        let fix = renamed(cx, &place, other, read);
        let finding = cx.report(place, message);
        finding
            .help(format!("give the configuration the name {read}"))
            .symptom(format!("The Flink config file '{path}' ({path}) does not exist."))
            .related(member.in_container("image"), format!("Flink {version}"));
        finding.fix = fix;
    }
}

/// The key under its other name, where the content is both formats at once and nothing else names it.
fn renamed(cx: &Check<'_>, place: &Place, from: &str, to: &str) -> Option<Fix> {
    let file = cx.model.file_at(place.object, &place.pointer)?;
    let plain = crate::manifests::tree::parse(&file.text, 0).is_ok();
    let key = Edit::Replace(place.clone(), to.to_owned());
    (plain && file.name == from).then(|| Fix::new(format!("rename {from} to {to}"), Safety::Unsafe, key))
}
