//! Flink's configuration file, in both of its formats.
//!
//! Up to Flink 1.18 the file is `flink-conf.yaml`, whose every line is `key: value` and which is no YAML: no quotes, no
//! nesting, and ` #` begins a comment. From 1.19 on it may be `config.yaml`, which is strict YAML 1.2, where `a.b: c` and
//! the nested form mean the same. (`GlobalConfiguration`, `YamlParserUtils`; 1.19 and 1.20 still prefer a
//! `flink-conf.yaml` where there is one.)

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::{Error, Result};
use crate::manifests::tree::{self, Content, Node};
use crate::manifests::yaml;

/// The file name up to Flink 1.18, read by 1.19 and 1.20 too.
pub const LEGACY_FILE: &str = "flink-conf.yaml";
/// The file name from Flink 1.19 on, the only one from 2.0 on.
pub const FILE: &str = "config.yaml";

/// A configuration's keys, flattened, with their values as Flink would read them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Configuration {
    entries: BTreeMap<String, String>,
}

impl Configuration {
    /// Reads a file by its name: `flink-conf.yaml` as lines, anything else as YAML.
    ///
    /// # Errors
    /// `config.yaml` is not valid YAML; the message names `origin` and the line. The legacy format has no errors: Flink
    /// skips lines that it does not understand.
    pub fn read(origin: &str, file_name: &str, text: &str) -> Result<Self> {
        let mut entries = BTreeMap::new();
        if file_name == LEGACY_FILE {
            entries.extend(legacy_entries(text));
        } else {
            let document = tree::parse(text, 0).map_err(|error| yaml::not_valid(origin, text, &error))?;
            flatten("", document.as_ref(), &mut entries);
        }
        Ok(Configuration { entries })
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(String::as_str)
    }

    /// The value of the first of these keys that is set: an option's name, then its deprecated names.
    pub fn first(&self, keys: &[&str]) -> Option<&str> {
        keys.iter().find_map(|key| self.get(key))
    }

    /// Sets `key`, as `-Dkey=value` on a command line would.
    pub fn set(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.entries.insert(key.into(), value.into());
    }

    /// Every key with its value, sorted.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.entries.iter().map(|(key, value)| (key.as_str(), value.as_str()))
    }
}

/// `key: value` lines; what does not look so is skipped, as Flink skips it (with a warning in its log).
fn legacy_entries(text: &str) -> impl Iterator<Item = (String, String)> {
    text.lines().filter_map(|line| {
        let line = line.split('#').next().unwrap_or_default();
        let (key, value) = line.split_once(": ")?;
        let (key, value) = (key.trim(), value.trim());
        (!key.is_empty() && !value.is_empty()).then(|| (key.to_owned(), value.to_owned()))
    })
}

fn flatten(prefix: &str, node: Option<&Node>, entries: &mut BTreeMap<String, String>) {
    let Some(node) = node else { return };
    for (key, value) in node.entries() {
        let key = key.core_text().unwrap_or_default();
        let key = if prefix.is_empty() { key.into_owned() } else { format!("{prefix}.{key}") };
        flatten(&key, Some(value), entries);
    }
    let text = match &node.content {
        Content::Scalar(..) => node.core_text().map(Cow::into_owned),
        // Lists are written with semicolons, as in every other place where Flink takes them as text.
        Content::Sequence(items) => Some(items.iter().filter_map(Node::core_text).collect::<Vec<_>>().join(";")),
        Content::Mapping(_) => None,
    };
    entries.extend(text.filter(|_| !prefix.is_empty()).map(|text| (prefix.to_owned(), text)));
}

/// A configuration file of one `key: value` a line, edited in place: comments and order stay.
#[derive(Debug, Clone)]
pub struct ConfigFile {
    lines: Vec<Line>,
}

#[derive(Debug, Clone)]
enum Line {
    Entry {
        key: String,
        value: String,
    },
    /// A comment or an empty line.
    Other(String),
}

impl ConfigFile {
    /// Reads a flat `config.yaml`, as the embedded one is.
    ///
    /// # Errors
    /// It is no YAML.
    pub fn parse(text: &str) -> Result<Self> {
        let read = Configuration::read("config.yaml", FILE, text)?;
        let lines = text
            .lines()
            .map(|line| match line.split_once(": ").and_then(|(key, _)| Some((key, read.get(key)?))) {
                Some((key, value)) => Line::Entry { key: key.to_owned(), value: value.to_owned() },
                None => Line::Other(line.to_owned()),
            })
            .collect();
        Ok(ConfigFile { lines })
    }

    /// Sets `key` where it stands, else at the end.
    pub fn set(&mut self, key: &str, value: &str) {
        for line in &mut self.lines {
            if let Line::Entry { key: found, value: old } = line
                && found == key
            {
                value.clone_into(old);
                return;
            }
        }
        self.lines.push(Line::Entry { key: key.to_owned(), value: value.to_owned() });
    }

    /// Adds a comment at the end.
    pub fn comment(&mut self, text: &str) {
        self.lines.extend([Line::Other(String::new()), Line::Other(format!("# {text}"))]);
    }

    /// Whether `key` is set.
    pub fn has(&self, key: &str) -> bool {
        self.lines.iter().any(|line| matches!(line, Line::Entry { key: found, .. } if found == key))
    }

    /// Takes `key` out.
    pub fn remove(&mut self, key: &str) {
        self.lines.retain(|line| !matches!(line, Line::Entry { key: found, .. } if found == key));
    }

    /// Changes keys, as a Flink version spells them.
    pub fn rename(&mut self, name_of: impl Fn(&str) -> String) {
        for line in &mut self.lines {
            if let Line::Entry { key, .. } = line {
                *key = name_of(key);
            }
        }
    }

    /// The keys and values as Flink will read them.
    pub fn configuration(&self) -> Configuration {
        let mut configuration = Configuration::default();
        for line in &self.lines {
            if let Line::Entry { key, value } = line {
                configuration.set(key, value);
            }
        }
        configuration
    }

    /// The file's text in the format of `file_name`.
    ///
    /// # Errors
    /// A value cannot be written in that format.
    pub fn write(&self, file_name: &str) -> Result<String> {
        let mut text = String::new();
        for line in &self.lines {
            match line {
                Line::Other(other) => text.push_str(other),
                Line::Entry { key, value } if file_name == LEGACY_FILE => {
                    // No quotes and no escapes: what the format cannot hold would be cut off in silence.
                    if value.contains(['#', '\n']) || value.is_empty() {
                        return Err(Error::usage(format!(
                            "{key}={value}: {LEGACY_FILE}, which this Flink version reads, cannot hold an empty value, a \
                             '#' or a line break"
                        ))
                        .hint("Flink 1.19 and later read config.yaml, which can"));
                    }
                    text.extend([key, ": ", value]);
                }
                Line::Entry { key, value } => text.extend([key, ": ", &yaml_scalar(value)]),
            }
            text.push('\n');
        }
        Ok(text)
    }
}

/// A value as strict YAML 1.2 reads it back unchanged: plain where that is safe, else in double quotes.
fn yaml_scalar(value: &str) -> String {
    // What looks like a number is one to YAML, and comes out as another: 007 as 7, 1e3 as 1000.0.
    let number_like = value.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '.' | '+' | '-'))
        && value.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, '.' | '+' | '-' | '_' | 'x' | 'o'));
    let changes = number_like && value.parse::<i64>().map_or(true, |number| number.to_string() != value)
        || matches!(value.to_ascii_lowercase().as_str(), "null" | "true" | "false" | "yes" | "no" | "on" | "off")
            && !matches!(value, "true" | "false");
    let plain = !changes
        && value.starts_with(|c: char| c.is_ascii_alphanumeric() || matches!(c, '/' | '.' | '_' | '-' | '+'))
        && !value.starts_with("- ")
        && value != "-"
        && !value.contains(": ")
        && !value.contains(" #")
        && !value.ends_with([':', ' '])
        && value.chars().all(|c| !c.is_control());
    // JSON's strings are a part of YAML's.
    if plain { value.to_owned() } else { Value::from(value).to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_both_formats() {
        let legacy = "# c\na.b: c # d\nno colon\nurl: s3://x/y\nx: 'q'\nbad:value\n";
        let read = Configuration::read("f", LEGACY_FILE, legacy).unwrap();
        assert_eq!(read.iter().collect::<Vec<_>>(), [("a.b", "c"), ("url", "s3://x/y"), ("x", "'q'")]);
        let modern = "a:\n  b: c # d\nurl: s3://x/y\nx: 'q'\nn: 6123\nflag: true\n";
        let read = Configuration::read("f", FILE, modern).unwrap();
        let entries: Vec<_> = read.iter().collect();
        assert_eq!(entries, [("a.b", "c"), ("flag", "true"), ("n", "6123"), ("url", "s3://x/y"), ("x", "q")]);
        assert!(Configuration::read("f", FILE, "a: [").unwrap_err().message.starts_with("f:1:"));
    }

    #[test]
    fn edits_in_place_and_reads_back_what_it_wrote() {
        let mut file = ConfigFile::parse("# first\na: 1\n\n# second\nb: 2\n").unwrap();
        file.set("a", "x: y # z");
        file.set("c", "-Dx=\"1\"");
        file.set("d", "*");
        file.set("e", "007");
        file.set("f", "1600m");
        file.set("g", "NO");
        file.remove("b");
        let text = file.write(FILE).unwrap();
        assert_eq!(
            text,
            "# first\na: \"x: y # z\"\n\n# second\nc: -Dx=\"1\"\nd: \"*\"\ne: \"007\"\nf: 1600m\ng: \"NO\"\n"
        );
        assert_eq!(Configuration::read("f", FILE, &text).unwrap(), file.configuration());
        assert!(file.write(LEGACY_FILE).unwrap_err().message.contains("cannot hold"));
    }
}
