//! What a finding points at, and where that is for people.

use std::fmt::Write as _;
use std::ops::Range;

use serde::Serialize;

use super::snapshot::{BARE_FILE, ObjectId, Snapshot};
use crate::manifests::tree::Span;

/// A place in an object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The object.
    pub object: ObjectId,
    /// A JSON pointer into it; empty for the whole.
    pub pointer: String,
    /// Which part of what the pointer leads to.
    pub part: Part,
}

/// A part of a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Part {
    /// The value.
    Value,
    /// The key before it.
    Key,
    /// Bytes of a string: a line of a configuration file in a ConfigMap.
    Within(Range<usize>),
}

impl Place {
    /// The value that a pointer leads to. What is not there is shown at the nearest thing above it.
    pub fn value(object: ObjectId, pointer: impl Into<String>) -> Self {
        Place { object, pointer: pointer.into(), part: Part::Value }
    }

    /// The key of what a pointer leads to.
    pub fn key(object: ObjectId, pointer: impl Into<String>) -> Self {
        Place { object, pointer: pointer.into(), part: Part::Key }
    }

    /// A part of a string.
    pub fn within(object: ObjectId, pointer: impl Into<String>, range: Range<usize>) -> Self {
        Place { object, pointer: pointer.into(), part: Part::Within(range) }
    }

    /// The object as a whole, shown at its name.
    pub fn object(object: ObjectId) -> Self {
        Place::value(object, "/metadata/name")
    }
}

/// Where a finding is, as it is shown and written.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Location {
    /// The file; none for an object of the cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The line, from 1; in the file, or without one in the string that `path` leads to.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub line: Option<usize>,
    /// The column in characters, from 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub column: Option<usize>,
    /// The line of the character behind the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_line: Option<usize>,
    /// The column of the character behind the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end_column: Option<usize>,
    /// The path in the object: `spec.template.spec.containers[0].image`.
    pub path: String,
    /// The file's number in the snapshot and the bytes in it.
    #[serde(skip)]
    pub span: Option<(usize, Span)>,
}

/// Resolves a place.
pub fn locate(snapshot: &Snapshot, place: &Place) -> Location {
    let object = snapshot.object(place.object);
    let mut location = Location { path: path(&place.pointer), ..Location::default() };
    // What is missing is shown at the nearest thing above it, at its key.
    let mut pointer = place.pointer.as_str();
    let (found, exact) = loop {
        match object.node.entry_at(pointer) {
            Some(found) => break (found, pointer.len() == place.pointer.len()),
            None => pointer = pointer.rfind('/').map_or("", |slash| &pointer[..slash]),
        }
    };
    let (key, value) = found;
    if let Part::Within(range) = &place.part
        && object.file.is_none()
        && let Some(text) = value.text()
    {
        let (line, column) = crate::manifests::tree::line_and_column(text, range.start);
        (location.line, location.column) = (Some(line), Some(column));
    }
    let Some(number) = object.file else { return location };
    let file = snapshot.file(number);
    location.file = Some(file.name.clone());
    let whole = object.kind == BARE_FILE && place.pointer.is_empty();
    let span = match &place.part {
        Part::Within(range) if exact || whole => snapshot.span_within(place.object, value, range),
        Part::Value if exact && (!value.entries().is_empty() || !value.items().is_empty()) => key.map(|key| key.span),
        Part::Value if exact => Some(value.span).filter(|span| span.start < span.end).or(key.map(|key| key.span)),
        _ => key.map(|key| key.span),
    };
    let mut span = span.unwrap_or_else(|| key.map_or(value.span, |key| key.span));
    // A mapping's span runs to the next thing; its first line is enough.
    let end = file.line(file.line_of(span.start as usize)).end;
    span = Span::new(span.start as usize, (span.end as usize).min(end.max(span.start as usize)));
    let ((line, column), (end_line, end_column)) =
        (file.position(span.start as usize), file.position(span.end as usize));
    location.line = Some(line);
    location.column = Some(column);
    location.end_line = Some(end_line);
    location.end_column = Some(end_column);
    location.span = Some((number, span));
    location
}

/// `/spec/containers/0/image` as people write it: `spec.containers[0].image`; keys with dots in quotes.
fn path(pointer: &str) -> String {
    let mut path = String::new();
    for step in pointer.split('/').skip(1) {
        let step = step.replace("~1", "/").replace("~0", "~");
        if step.bytes().all(|c| c.is_ascii_digit()) && !path.is_empty() {
            let _ = write!(path, "[{step}]");
        } else if step.contains(['.', '/']) {
            let _ = write!(path, "[\"{step}\"]");
        } else {
            path.extend((!path.is_empty()).then_some('.'));
            path.push_str(&step);
        }
    }
    path
}

#[cfg(test)]
mod tests {
    #[test]
    fn paths_are_written_as_people_write_them() {
        assert_eq!(super::path("/spec/containers/0/image"), "spec.containers[0].image");
        assert_eq!(super::path("/data/config.yaml"), "data[\"config.yaml\"]");
        assert_eq!(super::path(""), "");
    }
}
