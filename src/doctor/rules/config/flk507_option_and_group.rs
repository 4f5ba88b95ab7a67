//! FLK507: an option that is the beginning of another, which the entrypoint cannot write.

use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::model::config::Origin;
use crate::doctor::rule::{Check, rule};
use crate::flink::options;
use crate::flink::version::Version;

rule! {
    /// The entrypoint loses an option whose name is the beginning of another one's
    ///
    /// ## Why it matters
    ///
    /// The entrypoint of the images from 1.19 on reads `config.yaml`, adds what the environment sets, and writes it back as nested
    /// mappings (`config-parser-utils.sh`, `YamlParserUtils.convertAndDumpYamlFromFlatMap`). There `high-availability: kubernetes` and
    /// `high-availability.storageDir: s3://...` have no place beside each other: one of them is lost, or the program that writes
    /// fails and the file is left empty, as it happens to be ordered:
    ///
    /// ```text
    /// [ERROR] Could not parse configurations properly.
    /// Exception in thread "main" java.lang.ClassCastException: class java.lang.String cannot be cast to class java.util.Map
    /// ```
    ///
    /// In a `config.yaml` that is mounted from a ConfigMap, which the entrypoint cannot write, both are read.
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
    ///             jobmanager.memory.process.size: 1600m
    ///             state.backend: rocksdb
    ///             state.backend.incremental: true
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
    ///             jobmanager.memory.process.size: 1600m
    ///             state.backend.type: rocksdb
    ///             state.backend.incremental: true
    /// ```
    ///
    /// ## Fix
    ///
    /// Use the option's name of today: `high-availability.type`, `restart-strategy.type`, `state.backend.type`. Flink 1.19 and later know them.
    FLK507 "option-and-group": Config Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for (_, member) in cx.members() {
        let rewrites = member.version.is_some_and(Version::has_config_yaml)
            && super::has_entrypoint(member)
            && super::is_writable(member)
            // The old file stays a list of lines.
            && member.config.file.is_none_or(|file| !cx.model.config_files[file].is_legacy());
        if !rewrites {
            continue;
        }
        let written = |origin| matches!(origin, Origin::Image | Origin::File | Origin::Environment);
        let entries: Vec<_> = member.config.entries().into_iter().filter(|entry| written(entry.origin)).collect();
        for entry in &entries {
            let inner = entries
                .iter()
                .find(|other| other.key.strip_prefix(&entry.key).is_some_and(|rest| rest.starts_with('.')));
            let Some(inner) = inner else { continue };
            let renamed = options::find(&entry.key).and_then(|option| option.renamed);
            let name = renamed.map(|(_, name)| name).filter(|name| name.starts_with(&format!("{}.", entry.key)));
            let place = super::whole_key(cx, entry);
            let finding = cx.report(
                entry.key_place.clone(),
                format!(
                    "the entrypoint loses {} or {}, because one name is the beginning of the other",
                    entry.key, inner.key
                ),
            );
            finding
                .related(inner.key_place.clone(), format!("{} is set here", inner.key))
                .symptom("java.lang.ClassCastException: class java.lang.String cannot be cast to class java.util.Map");
            match name {
                Some(name) => finding.help(format!("write {name} in place of {}", entry.key)),
                None => finding.help(format!("set only one of {} and {}", entry.key, inner.key)),
            };
            if let (Some(name), Some(place)) = (name, place) {
                let title = format!("rename {} to {name}", entry.key);
                finding.fix(Fix::new(title, Safety::Unsafe, Edit::Replace(place, name.to_owned())));
            }
        }
    }
}
