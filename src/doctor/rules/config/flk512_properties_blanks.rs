//! FLK512: blanks in FLINK_PROPERTIES.

use crate::doctor::model::config::ConfigFile;
use crate::doctor::rule::{Check, rule};
use crate::flink::config::LEGACY_FILE;
use crate::flink::options::{self, Kind};
use crate::flink::version::Version;

rule! {
    /// A value in FLINK_PROPERTIES has blanks, which the entrypoint takes out
    ///
    /// ## Why it matters
    ///
    /// The entrypoint of the images from 1.19 on removes all blanks from each line of `FLINK_PROPERTIES` (`tr -d '[:space:]'` in
    /// `docker-entrypoint.sh`). Two JVM options become one that no JVM knows:
    ///
    /// ```text
    /// Unrecognized option: -Xss2m-XX:+UseG1GC
    /// Error: Could not create the Java Virtual Machine.
    /// ```
    ///
    /// A duration such as `10 s` comes through as `10s`, which Flink reads as well.
    ///
    /// ## Example
    ///
    /// ```yaml
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
    ///             env.java.opts.all: -Xss2m -XX:+UseG1GC
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
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
    /// ```
    ///
    /// ## Fix
    ///
    /// Put such options into a configuration file in a ConfigMap, or pass them as a `-Dkey=value` argument.
    FLK512 "properties-blanks": Config Warning, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for (_, member) in cx.members() {
        let Some((number, variable)) = member.env("FLINK_PROPERTIES") else { continue };
        let strips = member.version.is_some_and(Version::has_config_yaml) && super::has_entrypoint(member);
        // Where it cannot be written at all, that is the mistake.
        if !strips || !super::is_writable(member) {
            continue;
        }
        let place = member.in_container(&format!("env/{number}/value"));
        let lines =
            ConfigFile::read(place.object, &place.pointer, LEGACY_FILE, variable.value.as_deref().unwrap_or_default());
        for line in lines.entries {
            let kind = options::find(&line.key).map(|option| option.kind);
            let same = matches!(kind, Some(Kind::Duration | Kind::Memory | Kind::List | Kind::Map));
            if !line.value.contains(char::is_whitespace) || same {
                continue;
            }
            let left: String = line.value.split_whitespace().collect();
            cx.report(line.place.clone(), format!("the entrypoint takes the blanks out of {}: {left}", line.key))
                .help(format!("set {} in a ConfigMap, or as an argument -Dkey=value", line.key));
        }
    }
}
