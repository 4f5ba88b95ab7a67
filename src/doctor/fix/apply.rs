//! From edits of objects to bytes of text.

use std::ops::Range;

use super::{Change, Edit, Fix};
use crate::doctor::place::{Part, Place};
use crate::doctor::snapshot::{BARE_FILE, Object, Snapshot, SourceFile};
use crate::manifests::tree::{self, Content, Node, Style};

/// The changes of the text that a fix comes to; none where the text does not allow one of them.
pub fn resolve(snapshot: &Snapshot, fix: &Fix) -> Option<Vec<Change>> {
    let mut changes = Vec::new();
    for edit in &fix.edits {
        changes.push(change(snapshot, edit)?);
    }
    Some(changes)
}

fn change(snapshot: &Snapshot, edit: &Edit) -> Option<Change> {
    let place = edit.place();
    let object = snapshot.object(place.object);
    let number = object.file?;
    let file = snapshot.file(number);
    let text = Text { file, object };
    let (range, text) = match edit {
        Edit::Replace(_, new) => (span(snapshot, place)?, new.clone()),
        Edit::RemoveLine(_) => (text.whole_line(snapshot, place)?, String::new()),
        Edit::RemoveDocument(_) => (text.document()?, String::new()),
        Edit::InsertAfter(_, line) => text.line_after(span(snapshot, place)?, line)?,
        Edit::Append(_, line) => text.append(snapshot, place, line)?,
        Edit::InsertEntry(_, key, value) => text.entry(&place.pointer, key, value)?,
        Edit::InsertItem(_, item) => text.item(&place.pointer, item)?,
    };
    Some(Change { file: number, range, text })
}

/// The bytes of a place.
fn span(snapshot: &Snapshot, place: &Place) -> Option<Range<usize>> {
    let object = snapshot.object(place.object);
    if object.kind == BARE_FILE && place.pointer.is_empty() {
        return match &place.part {
            Part::Within(range) => Some(range.clone()),
            Part::Value | Part::Key => None,
        };
    }
    let (key, value) = object.node.entry_at(&place.pointer)?;
    match &place.part {
        Part::Within(range) => Some(snapshot.span_within(place.object, value, range)?.range()),
        Part::Key => Some(key?.span.range()),
        Part::Value => {
            // Where a mapping ends only its parts tell; a block's text is not replaced as a whole.
            let simple = matches!(value.content, Content::Scalar(_, Style::Plain | Style::Quoted));
            simple.then(|| value.span.range()).filter(|range| !range.is_empty())
        }
    }
}

struct Text<'a> {
    file: &'a SourceFile,
    object: &'a Object,
}

impl Text<'_> {
    /// The line break that the file uses: that of its first line.
    fn line_break(&self) -> &'static str {
        let first = self.file.text.find('\n').unwrap_or_default();
        if self.file.text[..first].ends_with('\r') { "\r\n" } else { "\n" }
    }

    /// A line, from 0, with its line break.
    fn with_break(&self, line: usize) -> Range<usize> {
        let start = self.file.line(line).start;
        let next = self.file.line(line + 1).start;
        start..if next > start { next } else { self.file.text.len() }
    }

    /// New lines behind a line.
    fn below(&self, line: usize, lines: &str) -> (Range<usize>, String) {
        let at = self.with_break(line).end;
        let end = self.line_break();
        let lines = lines.replace('\n', end);
        let is_whole = self.file.text[..at].ends_with('\n');
        (at..at, if is_whole { lines + end } else { format!("{end}{lines}") })
    }

    /// What stands before the first character of a line.
    fn indentation(&self, line: usize) -> &str {
        let text = &self.file.text[self.file.line(line)];
        &text[..text.len() - text.trim_start_matches([' ', '\t']).len()]
    }

    fn whole_line(&self, snapshot: &Snapshot, place: &Place) -> Option<Range<usize>> {
        let range = match &place.part {
            Part::Within(_) => span(snapshot, place)?,
            Part::Key | Part::Value => {
                let (key, value) = self.object.node.entry_at(&place.pointer)?;
                let start = key.map_or(value.span, |key| key.span).start as usize;
                let end = (last_byte(self.file, value) + 1).max(start + 1);
                let line = self.file.line(self.file.line_of(start));
                // Something else on the line would go with it.
                let before = self.file.text[line.start..start].trim();
                let rest = &self.file.text[end..self.file.line(self.file.line_of(end)).end];
                let rest = rest.trim_start();
                let alone = if key.is_some() { before.is_empty() } else { before == "-" };
                if !alone || !(rest.is_empty() || rest.starts_with('#')) {
                    return None;
                }
                start..end
            }
        };
        let last = self.file.line_of(range.end.max(range.start + 1) - 1);
        Some(self.with_break(self.file.line_of(range.start)).start..self.with_break(last).end)
    }

    fn document(&self) -> Option<Range<usize>> {
        let text = &self.file.text;
        let at = self.object.node.span.start as usize;
        let documents = tree::split(text);
        let number = documents.iter().rposition(|document| document.offset <= at)?;
        let document = documents[number];
        // An item of a List has no document of its own.
        let own = tree::parse(document.text, document.offset).ok()??;
        if own.span.start != self.object.node.span.start || own.get("items").is_some() {
            return None;
        }
        let next = documents.get(number + 1);
        // With the separator behind it; the last one with the separator before it.
        match next {
            Some(next) => Some(document.offset..next.offset),
            None if number > 0 => {
                let previous = documents[number - 1];
                Some(previous.offset + previous.text.len()..text.len())
            }
            None => Some(0..text.len()),
        }
    }

    fn line_after(&self, range: Range<usize>, new: &str) -> Option<(Range<usize>, String)> {
        let line = self.file.line_of(range.end.max(range.start + 1).min(self.file.text.len()).checked_sub(1)?);
        let indent = self.indentation(self.file.line_of(range.start)).to_owned();
        Some(self.below(line, &indented(new, &indent)))
    }

    fn append(&self, snapshot: &Snapshot, place: &Place, new: &str) -> Option<(Range<usize>, String)> {
        let text = &self.file.text;
        if self.object.kind == BARE_FILE {
            let end = text.trim_end_matches(['\r', '\n', ' ']).len();
            if end == 0 {
                return Some((0..0, format!("{new}\n")));
            }
            return Some(self.below(self.file.line_of(end - 1), new));
        }
        let node = self.object.node.at(&place.pointer)?;
        let Content::Scalar(value, Style::Literal) = &node.content else { return None };
        // The first line says how far in the text is, and how far in that is in the text.
        let first = value.len() - value.trim_start().len();
        let first = value[..first].rfind('\n').map_or(0, |end| end + 1);
        let last = value.trim_end().len().checked_sub(1)?;
        let last = value.char_indices().map(|(at, _)| at).take_while(|at| *at <= last).last()?;
        let start = snapshot.span_within(place.object, node, &(first..first))?.start as usize;
        let end = snapshot.span_within(place.object, node, &(last..last))?.start as usize;
        let line = self.file.line(self.file.line_of(start));
        let indent = text[line.start..start].to_owned();
        if !indent.trim().is_empty() {
            return None;
        }
        // Deeper levels of a nested configuration do not matter: the line is one of the top level.
        let own = value[first..].len() - value[first..].trim_start_matches(' ').len();
        let indent = format!("{indent}{}", " ".repeat(own));
        Some(self.below(self.file.line_of(end), &indented(new, &indent)))
    }

    fn entry(&self, pointer: &str, key: &str, value: &str) -> Option<(Range<usize>, String)> {
        let Some((own_key, node)) = self.object.node.entry_at(pointer) else {
            // The mapping has to be made first.
            let (parent, step) = pointer.rsplit_once('/')?;
            let inner = block(key, value);
            let nested = if inner.contains('\n') { format!("\n{inner}") } else { inner };
            return self.entry(parent, &unescape(step), &format!("\n{}", nested.trim_start_matches('\n')));
        };
        let text = &self.file.text;
        if let Some(close) = flow_end(text, node, '}') {
            let value = value.trim_start_matches('\n');
            if value.contains('\n') {
                return None;
            }
            let json =
                node.entries().first().map_or(self.is_json(), |(key, _)| text[key.span.range()].starts_with('"'));
            let (key, value) =
                if json { (format!("{key:?}"), as_json(value)?) } else { (key.to_owned(), in_flow(value)) };
            return Some(into_flow(text, close, node.entries().is_empty(), &format!("{key}: {value}")));
        }
        let new = block(key, value);
        if let (Some((first, _)), Some((_, last))) = (node.entries().first(), node.entries().last()) {
            let start = first.span.start as usize;
            let line = self.file.line(self.file.line_of(start));
            let indent = blanks(&text[line.start..start]);
            return Some(self.below(self.file.line_of(last_byte(self.file, last)), &indented(&new, &indent)));
        }
        // `key:` without a value.
        let own_key = own_key.filter(|_| node.is_null() && node.span.start == node.span.end)?;
        let line = self.file.line_of(own_key.span.start as usize);
        let indent = blanks(&text[self.file.line(line).start..own_key.span.start as usize]) + "  ";
        Some(self.below(line, &indented(&new, &indent)))
    }

    fn item(&self, pointer: &str, item: &str) -> Option<(Range<usize>, String)> {
        let node = self.object.node.at(pointer)?;
        let text = &self.file.text;
        if let Some(close) = flow_end(text, node, ']') {
            if item.contains('\n') {
                return None;
            }
            let json = node.items().first().map_or(self.is_json(), |item| text[item.span.range()].starts_with('"'));
            let item = if json { as_json(item)? } else { in_flow(item) };
            return Some(into_flow(text, close, node.items().is_empty(), &item));
        }
        let (first, last) = (node.items().first()?, node.items().last()?);
        let start = first.span.start as usize;
        let line = self.file.line(self.file.line_of(start));
        let before = &text[line.start..start];
        let dash = before.rfind('-')?;
        let indent = blanks(&before[..dash]);
        let mut lines = item.lines();
        let mut new = format!("{indent}- {}", lines.next()?);
        for line in lines {
            new = format!("{new}\n{indent}  {line}");
        }
        Some(self.below(self.file.line_of(last_byte(self.file, last)), &new))
    }

    fn is_json(&self) -> bool {
        std::path::Path::new(&self.file.name).extension().is_some_and(|extension| extension == "json")
    }
}

fn as_json(value: &str) -> Option<String> {
    Some(tree::parse(value, 0).ok()??.to_json().to_string())
}

/// A value that would end early between brackets is quoted.
fn in_flow(value: &str) -> String {
    let ends = value.contains([',', '[', ']', '{', '}', ':']) && !value.starts_with(['"', '\'', '[', '{']);
    if ends { format!("{value:?}") } else { value.to_owned() }
}

fn into_flow(text: &str, close: usize, empty: bool, new: &str) -> (Range<usize>, String) {
    let at = text[..close].trim_end().len();
    // A trailing comma is there already.
    let separator = if empty {
        ""
    } else if text[..at].ends_with(',') {
        " "
    } else {
        ", "
    };
    (at..at, format!("{separator}{new}"))
}

/// Where the closing bracket of a collection between brackets is.
fn flow_end(text: &str, node: &Node, close: char) -> Option<usize> {
    let open = if close == ']' { '[' } else { '{' };
    let whole = text.get(node.span.range())?;
    let end = whole.trim_end();
    (whole.starts_with(open) && end.ends_with(close)).then(|| node.span.start as usize + end.len() - 1)
}

/// The last byte of a node that is no blank: a block's own end is where the next thing begins.
fn last_byte(file: &SourceFile, node: &Node) -> usize {
    let text = &file.text;
    let flow = flow_end(text, node, ']').or_else(|| flow_end(text, node, '}'));
    match &node.content {
        _ if flow.is_some() => flow.unwrap_or_default(),
        Content::Sequence(items) if !items.is_empty() => items.last().map_or(0, |item| last_byte(file, item)),
        Content::Mapping(entries) if !entries.is_empty() => {
            entries.last().map_or(0, |(key, value)| last_byte(file, value).max(last_byte(file, key)))
        }
        _ => {
            let range = node.span.range();
            let end = range.start + text[range.clone()].trim_end().len();
            end.max(range.start + usize::from(!range.is_empty())).saturating_sub(1)
        }
    }
}

/// `key: value`, or the value below its key where it has several lines.
fn block(key: &str, value: &str) -> String {
    if value.contains('\n') {
        format!("{key}:\n{}", indented(value.trim_matches('\n'), "  "))
    } else {
        format!("{key}: {value}")
    }
}

fn indented(text: &str, indent: &str) -> String {
    text.lines().map(|line| format!("{indent}{line}")).collect::<Vec<_>>().join("\n")
}

/// As many blanks as these characters are wide.
fn blanks(text: &str) -> String {
    text.chars().map(|c| if c == '\t' { '\t' } else { ' ' }).collect()
}

fn unescape(step: &str) -> String {
    step.replace("~1", "/").replace("~0", "~")
}
