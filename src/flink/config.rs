//! Flink's configuration file, in both of its formats.
//!
//! Up to Flink 1.18 the file is `flink-conf.yaml`, whose every line is `key: value` and which is no YAML: no quotes, no
//! nesting, and ` #` begins a comment. From 1.19 on it may be `config.yaml`, which is strict YAML 1.2, where `a.b: c` and
//! the nested form mean the same. (`GlobalConfiguration`, `YamlParserUtils`; 1.19 and 1.20 still prefer a
//! `flink-conf.yaml` where there is one.)

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

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
        let found = if file_name == LEGACY_FILE {
            legacy_entries(text)
        } else {
            let document = tree::parse(text, 0).map_err(|error| yaml::not_valid(origin, text, &error))?;
            yaml_entries(document.as_ref())
        };
        let entries = found.into_iter().map(|found| (found.key, found.value)).collect();
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

/// One `key: value` of a file, with its places in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The key, flattened: `a.b.c`.
    pub key: String,
    /// The value as Flink would read it.
    pub value: String,
    /// The key's bytes; of a nested one those of its last part.
    pub key_range: Range<usize>,
    /// The value's bytes.
    pub value_range: Range<usize>,
}

/// The entries of `flink-conf.yaml`, in order; what does not look like one is skipped, as Flink skips it, with a warning in its
/// log (`GlobalConfiguration.loadYAMLResource`).
pub fn legacy_entries(text: &str) -> Vec<Found> {
    let mut entries = Vec::new();
    let mut start = 0;
    for whole in text.split_inclusive('\n') {
        let line = whole.split('#').next().unwrap_or_default();
        if let Some(colon) = line.find(": ") {
            let trimmed = |from: usize, part: &str| {
                let begin = from + part.len() - part.trim_start().len();
                begin..begin + part.trim().len()
            };
            let (key, value) = (trimmed(start, &line[..colon]), trimmed(start + colon + 2, &line[colon + 2..]));
            if !key.is_empty() && !value.is_empty() {
                entries.push(Found {
                    key: text[key.clone()].to_owned(),
                    value: text[value.clone()].to_owned(),
                    key_range: key,
                    value_range: value,
                });
            }
        }
        start += whole.len();
    }
    entries
}

/// The entries of `config.yaml`, in order. Lists are joined with semicolons, as in every other place where Flink takes them as
/// text.
pub fn yaml_entries(document: Option<&Node>) -> Vec<Found> {
    let mut entries = Vec::new();
    flatten("", document, &mut entries);
    entries
}

fn flatten(prefix: &str, node: Option<&Node>, entries: &mut Vec<Found>) {
    for (key, value) in node.map(Node::entries).unwrap_or_default() {
        let name = key.core_text().unwrap_or_default();
        let name = if prefix.is_empty() { name.into_owned() } else { format!("{prefix}.{name}") };
        let text = match &value.content {
            Content::Scalar(..) => value.core_text().map(Cow::into_owned),
            Content::Sequence(items) => Some(items.iter().filter_map(Node::core_text).collect::<Vec<_>>().join(";")),
            Content::Mapping(_) => None,
        };
        entries.extend(text.map(|value_text| Found {
            key: name.clone(),
            value: value_text,
            key_range: key.span.range(),
            value_range: value.span.range(),
        }));
        flatten(&name, Some(value), entries);
    }
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
