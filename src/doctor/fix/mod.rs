//! How a finding is mended: edits of the text, never a text written anew.

mod apply;
mod command;
mod mend;

use std::ops::Range;

use serde::Serialize;

pub use self::apply::resolve;
pub use self::command::command;
pub use self::mend::{Dropped, Made, Mended, mend};
use super::model::config::ConfigFile;
use super::place::Place;

/// Whether a fix may be made without a person looking at it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Safety {
    /// What runs stays the same, or what cannot run gets to.
    Safe,
    /// It changes how something behaves that runs.
    Unsafe,
    /// It has a gap that a person fills in: shown, never written.
    Placeholder,
}

/// What mends a finding.
#[derive(Debug, Clone)]
pub struct Fix {
    /// What it does: `add the verb patch`.
    pub title: String,
    /// Who may make it.
    pub safety: Safety,
    /// The edits; all of them or none.
    pub edits: Vec<Edit>,
}

/// One change of a text.
#[derive(Debug, Clone)]
pub enum Edit {
    /// The text at a place is replaced, as it is: quotes and all.
    Replace(Place, String),
    /// The line of a place goes.
    RemoveLine(Place),
    /// The object at a place goes, with its document.
    RemoveDocument(Place),
    /// A line follows the line of a place, as far in as that line is.
    InsertAfter(Place, String),
    /// A line follows the last line of the text at a place, as far in as its first line is.
    Append(Place, String),
    /// `key: value` is added to the mapping at a place. The value may be YAML of several lines.
    InsertEntry(Place, String, String),
    /// An item is added to the list at a place.
    InsertItem(Place, String),
}

impl Edit {
    /// Where it is.
    pub fn place(&self) -> &Place {
        let (Edit::Replace(place, _)
        | Edit::RemoveLine(place)
        | Edit::RemoveDocument(place)
        | Edit::InsertAfter(place, _)
        | Edit::Append(place, _)
        | Edit::InsertEntry(place, ..)
        | Edit::InsertItem(place, _)) = self;
        place
    }
}

/// A change of a file's text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The file's number in the snapshot.
    pub file: usize,
    /// The bytes that go; empty where something is only added.
    pub range: Range<usize>,
    /// What comes instead.
    pub text: String,
}

impl Fix {
    /// A fix of one edit.
    pub fn new(title: impl Into<String>, safety: Safety, edit: Edit) -> Self {
        Fix { title: title.into(), safety, edits: vec![edit] }
    }

    /// A fix of several edits.
    pub fn of(title: impl Into<String>, safety: Safety, edits: Vec<Edit>) -> Self {
        Fix { title: title.into(), safety, edits }
    }

    /// Adds `key: value` at the end of a configuration file.
    pub fn add_option(file: &ConfigFile, key: &str, value: &str, safety: Safety) -> Self {
        let line = format!("{key}: {value}");
        let edit = Edit::Append(Place::value(file.object, &file.pointer), line);
        Fix::new(format!("add {key}: {value}"), safety, edit)
    }
}
