//! FLK506: a config.yaml that Flink cannot read.

use std::ops::Range;

use crate::doctor::model::config::ConfigFile;
use crate::doctor::rule::{Check, rule};
use crate::manifests::tree::{self, Content, Node, Style};

rule! {
    /// config.yaml is not the YAML that Flink reads, and no process starts
    ///
    /// ## Why it matters
    ///
    /// `config.yaml` is YAML 1.2, read by SnakeYAML Engine (`YamlParserUtils`), which is stricter than what most people write: no
    /// tab before a key or a value, no `key:value` without a blank, no value that begins with `*`, `%`, `@` or a back quote or has
    /// `: ` in it without quotes, one document. Beyond that every key is a text and has a value: `rest.port:` with nothing behind it ends in a NullPointerException.
    ///
    /// ```text
    /// Exception in thread "main" java.lang.RuntimeException: Error parsing YAML configuration.
    /// Caused by: org.snakeyaml.engine.v2.exceptions.YamlEngineException: while scanning for the next token found character '\t(TAB)' that cannot start any token. (Do not use \t(TAB) for indentation)
    /// Caused by: java.lang.NullPointerException: Value must not be null.
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml config.yaml
    /// jobmanager.memory.process.size: 1600m
    /// rest.bind-port:8081
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml config.yaml
    /// jobmanager.memory.process.size: 1600m
    /// rest.bind-port: 8081
    /// ```
    ///
    /// ## Fix
    ///
    /// Mend the line that is shown. Values with special characters go into quotes.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/config/#flink-configuration-file>
    FLK506 "config-yaml-invalid": Config Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for file in super::config_files(cx).into_iter().filter(|file| !file.is_legacy()) {
        let mut wrong = Vec::new();
        match &file.error {
            Some(error) => {
                // What is missing at the end is missed on the last line.
                let at = error.at.min(file.text.trim_end().len().saturating_sub(1));
                wrong.push((at..end_of_line(&file.text, at), error.message.clone()));
            }
            None => look(file, &mut wrong),
        }
        for (range, what) in wrong {
            cx.report(file.place(range), format!("Flink cannot read config.yaml: {what}"))
                .help("write it as YAML 1.2: key, colon, blank, value; quotes around what is special; no tabs")
                .symptom("java.lang.RuntimeException: Error parsing YAML configuration.");
        }
    }
}

fn end_of_line(text: &str, at: usize) -> usize {
    let at = at.min(text.len());
    text.get(at..).and_then(|rest| rest.find('\n')).map_or(text.len(), |end| at + end)
}

type Wrong = Vec<(Range<usize>, String)>;

fn look(file: &ConfigFile, wrong: &mut Wrong) {
    let documents = tree::split(&file.text);
    let filled = documents.iter().filter_map(|document| match tree::parse(document.text, document.offset) {
        Ok(node) => Some(node?.span.start as usize),
        Err(error) => Some(error.at),
    });
    if let Some(second) = filled.clone().nth(1) {
        wrong.push((second..end_of_line(&file.text, second), "it has a second document".to_owned()));
    }
    let Some(root) = &file.tree else { return };
    match root.content {
        Content::Mapping(_) => look_into(&file.text, root, wrong),
        _ if root.is_null() => {}
        _ => wrong.push((root.span.range(), "it is no mapping of keys to values".to_owned())),
    }
}

fn look_into(text: &str, mapping: &Node, wrong: &mut Wrong) {
    for (key, value) in mapping.entries() {
        let (name, at) = (key.text().unwrap_or_default(), key.span.range());
        let between = text.get(key.span.end as usize..value.span.start as usize).unwrap_or_default();
        let between = between.split(['#', '\n']).next().unwrap_or_default();
        if between.contains('\t') {
            wrong.push((at.clone(), format!("a tab stands between {name:?} and its value")));
        }
        if key.text().is_none() || is_no_text(key) {
            wrong.push((at.clone(), format!("the key {} is no text", name.trim())));
        }
        match &value.content {
            Content::Scalar(plain, Style::Plain) if plain.starts_with(['@', '%', '`']) => {
                wrong.push((
                    value.span.range(),
                    format!("the value of {name} begins with {:?} and has no quotes", &plain[..1]),
                ));
            }
            Content::Scalar(..) if value.core_text().is_none() => wrong.push((at, format!("{name} has no value"))),
            _ => look_into(text, value, wrong),
        }
    }
}

/// What YAML takes for a number, a boolean or nothing.
fn is_no_text(key: &Node) -> bool {
    let Content::Scalar(text, Style::Plain) = &key.content else { return false };
    let number = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '-' | '+' | '.'));
    number && text.parse::<f64>().is_ok()
        || matches!(text.to_ascii_lowercase().as_str(), "true" | "false" | "null" | "~" | "")
}
