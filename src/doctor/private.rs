//! What no report shows: the secrets of the objects that were looked at.

use std::collections::{BTreeSet, HashMap};
use std::ops::Range;

use super::model::Model;
use super::place;
use super::snapshot::{Snapshot, SourceFile};
use crate::manifests::secrets;

/// What stands in place of a secret in a sentence.
const HIDDEN: &str = "***";
/// Shorter values are hidden only where they stand: a sentence without the letter `a` says nothing.
const SHORT: usize = 4;
/// Of this length on a value is hidden inside longer words too.
const DISTINCT: usize = 8;

/// The secrets of a snapshot.
#[derive(Debug, Default)]
pub struct Private {
    /// Where they are, by file.
    places: HashMap<usize, Vec<Range<usize>>>,
    /// What they are, the longest first.
    values: Vec<String>,
}

impl Private {
    /// Looks for them.
    pub fn new(snapshot: &Snapshot, model: &Model) -> Self {
        let (mut places, mut values) = (HashMap::new(), BTreeSet::new());
        for (number, file) in snapshot.files().iter().enumerate() {
            let own = secrets::ranges(&file.text);
            values.extend(own.iter().map(|range| file.text[range.clone()].to_owned()));
            places.insert(number, own);
        }
        for object in snapshot.objects().map(|id| snapshot.object(id)).filter(|object| object.file.is_none()) {
            values.extend(secrets::values(&object.node));
        }
        for entry in model.config_files.iter().flat_map(|file| &file.entries) {
            if secrets::is_key(&entry.key) && entry.is_literal() {
                values.insert(entry.value.clone());
                if let Some((number, span)) = place::locate(snapshot, &entry.place).span {
                    places.entry(number).or_default().push(span.range());
                }
            }
        }
        let names: BTreeSet<&str> = (snapshot.objects().map(|id| snapshot.object(id)))
            .flat_map(|object| [object.name.as_str(), object.namespace.as_str(), object.kind.as_str()])
            .collect();
        Private { places, values: distinct(&values, &names) }
    }

    /// Looks for them in texts that are shown as they are.
    pub fn of_texts<'a>(texts: impl Iterator<Item = &'a str>) -> Self {
        let values = texts.flat_map(|text| secrets::ranges(text).into_iter().map(|range| text[range].to_owned()));
        Private { places: HashMap::new(), values: distinct(&values.collect(), &BTreeSet::new()) }
    }

    /// A sentence or a command without them.
    pub fn say(&self, text: &str) -> String {
        let mut shown = text.to_owned();
        for value in &self.values {
            let ranges: Vec<Range<usize>> = shown
                .match_indices(value)
                .map(|(at, found)| at..at + found.len())
                .filter(|range| stands_alone(&shown, range))
                .collect();
            shown = secrets::replaced(&shown, &ranges, |_| HIDDEN.to_owned());
        }
        shown
    }

    /// Bytes of a file with stars as wide as the secrets in them, and where two of these bytes are then.
    pub fn line(
        &self,
        number: usize,
        file: &SourceFile,
        line: &Range<usize>,
        marked: &Range<usize>,
    ) -> (String, Range<usize>) {
        let places = self.places.get(&number).map(Vec::as_slice).unwrap_or_default();
        let (mut shown, mut moved) = (String::new(), 0..0);
        for (at, c) in file.text[line.clone()].char_indices() {
            if at <= marked.start {
                moved.start = shown.len();
            }
            if at <= marked.end {
                moved.end = shown.len();
            }
            let secret = places.iter().any(|range| range.contains(&(line.start + at)));
            if secret && !c.is_whitespace() {
                shown.push_str(&secrets::stars(c.encode_utf8(&mut [0; 4])));
            } else {
                shown.push(c);
            }
        }
        if marked.start >= line.len() {
            moved.start = shown.len();
        }
        if marked.end >= line.len() {
            moved.end = shown.len();
        }
        (shown, moved)
    }

    /// Whether a change of a file would show one.
    pub fn is_in_change(&self, number: usize, range: &Range<usize>, text: &str) -> bool {
        let places = self.places.get(&number).map(Vec::as_slice).unwrap_or_default();
        let touched = places.iter().any(|place| place.start < range.end && range.start < place.end);
        (touched && !text.trim().is_empty()) || !secrets::ranges(text).is_empty() || self.say(text) != text
    }
}

fn distinct(values: &BTreeSet<String>, names: &BTreeSet<&str>) -> Vec<String> {
    let lines = values.iter().flat_map(|value| value.lines()).map(|line| line.trim().trim_matches(['"', '\'']));
    let lines: BTreeSet<&str> = lines.filter(|line| line.len() >= SHORT && !names.contains(line)).collect();
    let mut values: Vec<String> = lines.into_iter().map(str::to_owned).collect();
    values.sort_by_key(|value| std::cmp::Reverse(value.len()));
    values
}

/// It is no part of a name, or too long to be one by chance.
fn stands_alone(text: &str, range: &Range<usize>) -> bool {
    if range.len() >= DISTINCT {
        return true;
    }
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.');
    let before = text[..range.start].chars().next_back().is_some_and(is_part);
    let mut after = text[range.end..].chars();
    let next = after.next();
    // A period at the end of a sentence.
    let ends = next == Some('.') && after.next().is_none_or(char::is_whitespace);
    !before && (ends || !next.is_some_and(is_part))
}
