//! Flink's configuration file, in both of its formats.
//!
//! Up to Flink 1.18 the file is `flink-conf.yaml`, whose every line is `key: value` and which is no YAML: no quotes, no
//! nesting, and ` #` begins a comment. From 1.19 on it may be `config.yaml`, which is strict YAML 1.2, where `a.b: c` and
//! the nested form mean the same. (`GlobalConfiguration`, `YamlParserUtils`; 1.19 and 1.20 still prefer a
//! `flink-conf.yaml` where there is one.)

use std::collections::BTreeMap;

use serde_json::Value;

use crate::error::Result;
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
            for document in yaml::documents(origin, text)? {
                flatten("", &document, &mut entries);
            }
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

fn flatten(prefix: &str, value: &Value, entries: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(map) => {
            for (key, value) in map {
                let key = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
                flatten(&key, value, entries);
            }
        }
        Value::String(text) => {
            entries.insert(prefix.to_owned(), text.clone());
        }
        Value::Null => {}
        other => {
            entries.insert(prefix.to_owned(), other.to_string());
        }
    }
}
