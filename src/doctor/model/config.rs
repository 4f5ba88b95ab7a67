//! Flink's configuration with the place of each of its entries.

use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

use super::super::known::Known;
use super::super::place::Place;
use super::super::snapshot::{ObjectId, Snapshot};
use crate::cluster::membership::is_kubernetes;
use crate::flink::config::{self, Configuration, LEGACY_FILE};
use crate::flink::properties::{self, Property};
use crate::manifests::tree::{self, Content, Node, ParseError, Style};

/// Where an entry of the effective configuration was set. Later ones go before earlier ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// The configuration that an official image brings.
    Image,
    /// `config.yaml` or `flink-conf.yaml`.
    File,
    /// `FLINK_PROPERTIES` or `JOB_MANAGER_RPC_ADDRESS`.
    Environment,
    /// `spec.flinkConfiguration` of a FlinkDeployment.
    Operator,
    /// `-Dkey=value`.
    Argument,
}

/// `key: value`, as Flink reads it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key, flattened: `a.b.c`.
    pub key: String,
    /// The value.
    pub value: String,
    /// Where the value stands.
    pub place: Place,
    /// Where the key stands, or the value where the key has no place of its own.
    pub key_place: Place,
    /// Who set it.
    pub origin: Origin,
}

impl Entry {
    /// The value is what Flink will see: no variable that something else fills in, no template.
    pub fn is_literal(&self) -> bool {
        is_literal(&self.value)
    }
}

/// A text without variables that something else fills in, without templates, and without `<placeholders>` for people.
pub fn is_literal(text: &str) -> bool {
    let gap = text.find('<').is_some_and(|open| text[open..].contains('>'));
    !gap && !["${", "$(", "{{"].iter().any(|open| text.contains(open))
}

/// A configuration file: a key of a ConfigMap, or a bare file.
#[derive(Debug)]
pub struct ConfigFile {
    /// The object that it stands in.
    pub object: ObjectId,
    /// Where it stands in the object; empty for a bare file.
    pub pointer: String,
    /// `config.yaml` or `flink-conf.yaml`.
    pub name: &'static str,
    /// Its text.
    pub text: String,
    /// Its entries, in order, also those that a later one with the same key replaces.
    pub entries: Vec<Arc<Entry>>,
    /// Why it is no YAML, where it has to be; the place is in the text.
    pub error: Option<ParseError>,
    /// The tree, for `config.yaml`.
    pub tree: Option<Node>,
}

impl ConfigFile {
    /// Reads a file. What cannot be read is left out, as Flink leaves it out, or is `error`.
    pub fn read(object: ObjectId, pointer: &str, name: &'static str, text: &str) -> Self {
        let mut file = ConfigFile {
            object,
            pointer: pointer.to_owned(),
            name,
            text: text.to_owned(),
            entries: Vec::new(),
            error: None,
            tree: None,
        };
        if name == LEGACY_FILE {
            file.add(config::legacy_entries(text));
            return file;
        }
        match tree::parse(text, 0) {
            Ok(tree) => {
                file.add(config::yaml_entries(tree.as_ref()));
                file.tree = tree;
            }
            Err(error) => file.error = Some(error),
        }
        file
    }

    fn add(&mut self, found: Vec<config::Found>) {
        self.entries.extend(found.into_iter().map(|found| {
            Arc::new(Entry {
                key: found.key,
                value: found.value,
                place: Place::within(self.object, &self.pointer, found.value_range),
                key_place: Place::within(self.object, &self.pointer, found.key_range),
                origin: Origin::File,
            })
        }));
    }

    /// A place in the file.
    pub fn place(&self, range: Range<usize>) -> Place {
        Place::within(self.object, &self.pointer, range)
    }

    /// The old format, whose every line is `key: value`.
    pub fn is_legacy(&self) -> bool {
        self.name == LEGACY_FILE
    }
}

/// A Log4j configuration: a key of a ConfigMap, or a bare file.
#[derive(Debug)]
pub struct LogFile {
    /// The object that it stands in.
    pub object: ObjectId,
    /// Where it stands in the object; empty for a bare file.
    pub pointer: String,
    /// `log4j-console.properties`, or another of Flink's names for it.
    pub name: String,
    /// Its text.
    pub text: String,
    /// Its properties.
    pub properties: Vec<Property>,
}

impl LogFile {
    /// Reads a file.
    pub fn read(object: ObjectId, pointer: &str, name: &str, text: &str) -> Self {
        let properties = properties::read(text);
        LogFile { object, pointer: pointer.to_owned(), name: name.to_owned(), text: text.to_owned(), properties }
    }

    /// A place in the file.
    pub fn place(&self, range: Range<usize>) -> Place {
        Place::within(self.object, &self.pointer, range)
    }
}

/// What one Flink process goes by: its file, its environment, its arguments.
#[derive(Debug, Clone, Default)]
pub struct Config {
    /// Every entry that counts, one for each key: shared by all that read the same file.
    entries: Arc<HashMap<String, Arc<Entry>>>,
    /// The number of its file among the model's, where there is one and it is known.
    pub file: Option<usize>,
    /// Why there may be entries that are not known.
    pub open: Option<String>,
}

impl Config {
    /// Adds an entry; it replaces one of the same key unless that goes before it.
    pub fn set(&mut self, entry: impl Into<Arc<Entry>>) {
        let entry = entry.into();
        if self.entries.get(&entry.key).is_none_or(|old| old.origin <= entry.origin) {
            Arc::make_mut(&mut self.entries).insert(entry.key.clone(), entry);
        }
    }

    /// The entry of a key; of several names of one option the first that is set.
    pub fn get(&self, keys: &[&str]) -> Option<&Entry> {
        keys.iter().find_map(|key| self.entries.get(*key).map(|entry| &**entry))
    }

    /// The value of a key.
    pub fn value(&self, key: &str) -> Option<&str> {
        self.entries.get(key).map(|entry| entry.value.as_str())
    }

    /// The entry of a key, or whether it is known not to be set.
    pub fn known(&self, keys: &[&str]) -> Known<&Entry> {
        match (self.get(keys), &self.open) {
            (Some(entry), _) => Known::Present(entry),
            (None, Some(why)) => Known::Unknown(why.clone()),
            (None, None) => Known::Absent,
        }
    }

    /// High availability is kept in ConfigMaps.
    pub fn has_kubernetes_ha(&self) -> bool {
        self.get(&["high-availability.type", "high-availability"]).is_some_and(|ha| is_kubernetes(&ha.value))
    }

    /// Every entry, by key.
    pub fn entries(&self) -> Vec<&Entry> {
        let mut all: Vec<&Entry> = self.entries.values().map(|entry| &**entry).collect();
        all.sort_by(|a, b| a.key.cmp(&b.key));
        all
    }

    /// Without places, for what computes with it.
    pub fn configuration(&self) -> Configuration {
        let mut configuration = Configuration::default();
        for entry in self.entries.values() {
            configuration.set(&entry.key, &entry.value);
        }
        configuration
    }

    /// The entries of a mapping of options, as a FlinkDeployment has it: flat keys or nested ones.
    pub fn set_mapping(&mut self, object: ObjectId, pointer: &str, snapshot: &Snapshot, origin: Origin) {
        let Some(node) = snapshot.object(object).node.at(pointer) else { return };
        self.set_nested(object, pointer, "", node, origin);
    }

    fn set_nested(&mut self, object: ObjectId, pointer: &str, prefix: &str, node: &Node, origin: Origin) {
        for (key, value) in node.entries() {
            let Some(name) = key.text() else { continue };
            let pointer = format!("{pointer}/{}", tree::escape(name));
            let name = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
            if let Content::Scalar(text, style) = &value.content
                && !(text.is_empty() && *style == Style::Plain)
            {
                self.set(Entry {
                    key: name.clone(),
                    value: text.to_string(),
                    place: Place::value(object, &pointer),
                    key_place: Place::key(object, &pointer),
                    origin,
                });
            }
            self.set_nested(object, &pointer, &name, value, origin);
        }
    }
}
