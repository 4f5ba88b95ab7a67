//! FLK509: lines of flink-conf.yaml that Flink skips.

use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::rule::{Check, rule};
use crate::flink::version::Version;

rule! {
    /// Flink skips a line of flink-conf.yaml that is not `key: value`
    ///
    /// ## Why it matters
    ///
    /// `flink-conf.yaml` is no YAML. Flink takes each line for itself, looks for a colon and a blank in it, and skips the line if
    /// there is none (`GlobalConfiguration.loadYAMLResource`): the option has its default, whatever the line was to say. Nested
    /// options and lists over several lines are skipped in the same way. The log has a warning:
    ///
    /// ```text
    /// WARN  org.apache.flink.configuration.GlobalConfiguration [] - Error while trying to split key and value in configuration file /opt/flink/conf/flink-conf.yaml:3: Line is not a key-value pair (missing space after ':'?)
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml flink-conf.yaml
    /// jobmanager.memory.process.size: 1600m
    /// parallelism.default:2
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml flink-conf.yaml
    /// jobmanager.memory.process.size: 1600m
    /// parallelism.default: 2
    /// ```
    ///
    /// ## Fix
    ///
    /// Put a blank behind the colon, one line for each option: `a.b: c` in place of `a:` and `b: c` below it. Values of several parts are joined with `;`.
    FLK509 "line-ignored": Config Warning, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for file in super::config_files(cx).into_iter().filter(|file| file.is_legacy()) {
        // Flink 2 does not read the file at all.
        if cx.model.version_of_file(file).is_some_and(|version| version >= Version::new(2, 0, 0)) {
            continue;
        }
        let (mut start, mut before) = (0, false);
        for whole in file.text.split_inclusive('\n') {
            let line = whole.split('#').next().unwrap_or_default().trim();
            let blank = line.is_empty() || matches!(line, "---" | "...");
            let skipped = !blank && !line.contains(": ");
            // Lines that belong together are one mistake.
            if skipped && !before {
                let at = start + whole.find(line).unwrap_or_default();
                let finding = cx.report(
                    file.place(at..at + line.len()),
                    format!("Flink skips this line, which has no \": \" in it: {line}"),
                );
                finding.help("write one line for each option: key, colon, blank, value").symptom(
                    "Error while trying to split key and value in configuration file: Line is not a key-value pair (missing space after ':'?)",
                );
                let colon = line.find(':').filter(|colon| {
                    let (key, value) = (&line[..*colon], line[colon + 1..].trim());
                    !value.is_empty()
                        && !value.starts_with('/')
                        && key.bytes().all(|c| c.is_ascii_alphanumeric() || b".-_".contains(&c))
                });
                if let Some(colon) = colon {
                    let value = line.len() - line[colon + 1..].trim_start().len();
                    let edit = Edit::Replace(file.place(at + colon..at + value), ": ".to_owned());
                    finding.fix(Fix::new("put a blank behind the colon", Safety::Unsafe, edit));
                }
            }
            before = skipped;
            start += whole.len();
        }
    }
}
