//! FLK510: values in a notation that Flink does not take there.

use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::model::config::Entry;
use crate::doctor::rule::{Check, Severity, rule};
use crate::flink::options::{self, Kind};
use crate::flink::version::Version;

rule! {
    /// A value is written in a notation that Flink does not read there
    ///
    /// ## Why it matters
    ///
    /// `flink-conf.yaml` has no quotes and no lists: what looks like them is part of the value. A number, a size, a duration or a boolean in
    /// quotes is refused at the first use, a name or a path is looked up with its quotes, and `[a, b]` is one item of that name. `yes` and `on` are booleans in neither format.
    ///
    /// ```text
    /// java.lang.IllegalArgumentException: Could not parse value '"2"' for key 'taskmanager.numberOfTaskSlots'.
    /// java.lang.IllegalArgumentException: Unrecognized option for boolean: yes. Expected either true or false(case insensitive)
    /// java.net.URISyntaxException: Illegal character in scheme name at index 0: ['local:///opt/flink/usrlib/job.jar']
    /// ```
    ///
    /// Lists and maps may have quotes around their items, and the options of `env.java.opts` may have them around all of it.
    ///
    /// ## Example
    ///
    /// ```yaml flink-conf.yaml
    /// jobmanager.memory.process.size: 1600m
    /// taskmanager.numberOfTaskSlots: "2"
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml flink-conf.yaml
    /// jobmanager.memory.process.size: 1600m
    /// taskmanager.numberOfTaskSlots: 2
    /// ```
    ///
    /// ## Fix
    ///
    /// Leave the quotes out, and write lists with semicolons: `a;b`.
    FLK510 "value-format": Config Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for file in super::config_files(cx) {
        let unread = file.is_legacy() && cx.model.version_of_file(file).is_some_and(|v| v >= Version::new(2, 0, 0));
        for entry in file.entries.iter().filter(|entry| entry.is_literal() && !unread) {
            let Some(kind) = options::find(&entry.key).map(|option| option.kind) else { continue };
            if file.is_legacy() {
                legacy(cx, entry, kind);
            } else {
                boolean(cx, entry, kind);
            }
        }
    }
}

fn legacy(cx: &mut Check<'_>, entry: &Entry, kind: Kind) {
    let (key, value) = (&entry.key, entry.value.as_str());
    let quoted =
        ['"', '\''].iter().any(|quote| value.len() > 1 && value.starts_with(*quote) && value.ends_with(*quote));
    if quoted && !matches!(kind, Kind::List | Kind::Map) && !key.starts_with("env.") {
        let inner = &value[1..value.len() - 1];
        let severity = if kind == Kind::Text { Severity::Warning } else { Severity::Error };
        cx.report(
            entry.place.clone(),
            format!("{key} has the value {value} with its quotes: flink-conf.yaml is no YAML"),
        )
        .help(format!("leave the quotes out: {inner}"))
        .symptom(format!("Could not parse value '{value}' for key '{key}'."))
        .severity(severity)
        .fix(Fix::new(
            "remove the quotes",
            Safety::Unsafe,
            Edit::Replace(entry.place.clone(), inner.to_owned()),
        ));
    } else if kind == Kind::List && value.starts_with('[') && value.ends_with(']') {
        let items = value[1..value.len() - 1].split(',').map(|item| item.trim().trim_matches(['"', '\'']));
        let items = items.collect::<Vec<_>>().join(";");
        cx.report(
            entry.place.clone(),
            format!("{key} is one item named {value}: flink-conf.yaml has no lists in brackets"),
        )
        .help(format!("join the items with semicolons: {items}"))
        .fix(Fix::new("write it with semicolons", Safety::Unsafe, Edit::Replace(entry.place.clone(), items)));
    } else {
        boolean(cx, entry, kind);
    }
}

fn boolean(cx: &mut Check<'_>, entry: &Entry, kind: Kind) {
    let words = ["yes", "no", "on", "off", "y", "n", "1", "0", "enabled", "disabled"];
    let value = entry.value.to_ascii_lowercase();
    if kind == Kind::Boolean && words.contains(&value.as_str()) {
        let meant = matches!(value.as_str(), "yes" | "on" | "y" | "1" | "enabled");
        cx.report(entry.place.clone(), format!("{} takes true or false, not {}", entry.key, entry.value))
            .help(format!("write {meant}"))
            .symptom(format!(
                "Unrecognized option for boolean: {}. Expected either true or false(case insensitive)",
                entry.value
            ))
            .fix(Fix::new(
                format!("write {meant}"),
                Safety::Unsafe,
                Edit::Replace(entry.place.clone(), meant.to_string()),
            ));
    }
}
