//! YAML and JSON as a tree that knows where each of its nodes stands in the text.
//!
//! The tree keeps what the text says; what a scalar means depends on who reads it. kubectl reads YAML 1.1
//! (`sigs.k8s.io/yaml`): [`Node::to_json`]. Flink's `config.yaml` is YAML 1.2 (`YamlParserUtils`, `CoreSchema`):
//! [`Node::core_text`].

use std::borrow::Cow;
use std::ops::Range;

use ecow::EcoString;
use granit_parser::{Event, Options, Parser, ScalarStyle, ScanError};
use serde_json::{Map, Number, Value};

/// More nodes than this do not come out of aliases: a short text can unfold to any size.
const MAX_NODES_OF_ALIASES: usize = 100_000;

/// A part of a text, in bytes from its beginning.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Span {
    /// Of the first byte.
    pub start: u32,
    /// Behind the last byte.
    pub end: u32,
}

impl Span {
    /// From `start` to before `end`. Texts of more than 4 GiB are not read.
    pub fn new(start: usize, end: usize) -> Self {
        Span { start: u32::try_from(start).unwrap_or(u32::MAX), end: u32::try_from(end).unwrap_or(u32::MAX) }
    }

    /// As a range to slice a text with.
    pub fn range(self) -> Range<usize> {
        self.start as usize..self.end as usize
    }
}

/// How a scalar is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Without quotes: what it means depends on what it looks like.
    Plain,
    /// In single or double quotes: a string.
    Quoted,
    /// `|`: a string whose lines are lines of the text.
    Literal,
    /// `>`: a string whose lines are joined.
    Folded,
}

/// A node with its place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Where it stands; empty at 0 for one that comes from no text.
    pub span: Span,
    /// What it is.
    pub content: Content,
}

/// The three kinds of nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Content {
    /// A single value.
    Scalar(EcoString, Style),
    /// A list.
    Sequence(Box<[Node]>),
    /// Keys with values, in the order of the text; a key may be there twice, and then the last one counts.
    Mapping(Box<[(Node, Node)]>),
}

/// Where a byte of a text is, for people: the line and the column, in characters, both from 1.
pub fn line_and_column(text: &str, at: usize) -> (usize, usize) {
    let before = text.get(..at.min(text.len())).unwrap_or(text);
    let line = before.rfind('\n').map_or(0, |end| end + 1);
    (before.bytes().filter(|byte| *byte == b'\n').count() + 1, before[line..].chars().count() + 1)
}

/// Why a text is not YAML.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    /// What is wrong, without the place.
    pub message: String,
    /// Where, in bytes.
    pub at: usize,
}

impl From<ScanError> for ParseError {
    fn from(error: ScanError) -> Self {
        ParseError { message: error.info(), at: error.marker().byte_offset().unwrap_or_default() }
    }
}

/// One document of a file, as kubectl cuts it out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Document<'a> {
    /// Its text.
    pub text: &'a str,
    /// Where it begins in the file, in bytes.
    pub offset: usize,
}

/// Cuts a file into documents at lines that begin with `---`, as kubectl does (`splitYAMLDocument` of apimachinery),
/// before it reads any of them. What stands behind the dashes is lost, as it is there.
pub fn split(text: &str) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let mut start = 0;
    let mut from = 0;
    while let Some(found) = text[from..].find("\n---") {
        let end = from + found;
        documents.push(Document { text: &text[start..=end], offset: start });
        // The line break that ends the separator may begin the next one.
        from = text[end + 4..].find('\n').map_or(text.len(), |line| end + 4 + line);
        start = text.len().min(from + 1);
    }
    documents.push(Document { text: &text[start..], offset: start });
    documents
}

/// Reads the first YAML or JSON document of `text`; None where there is nothing but comments. The spans begin at `offset`.
///
/// # Errors
/// The text is not YAML.
pub fn parse(text: &str, offset: usize) -> Result<Option<Node>, ParseError> {
    let mut options = Options::default();
    options.set_emit_comments(false);
    // kubectl's parser has no such limit, and JSON on one line has long "keys".
    options.simple_key_max_lookahead = usize::MAX;
    let mut builder = Builder { anchors: Vec::new(), unfolded: 0, stack: Vec::new(), root: None };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| {
            let error = ParseError::from(error);
            ParseError { at: error.at + offset, ..error }
        })?;
        let span = span.byte_range().unwrap_or_default();
        let span = Span::new(span.start + offset, span.end + offset);
        if matches!(event, Event::DocumentEnd) {
            break;
        }
        builder.event(event, span)?;
    }
    Ok(builder.root)
}

/// A collection that is not complete yet.
struct Open {
    span: Span,
    anchor: usize,
    items: Items,
}

enum Items {
    Sequence(Vec<Node>),
    /// With the key whose value comes next.
    Mapping(Vec<(Node, Node)>, Option<Node>),
}

struct Builder {
    /// Anchored nodes by the parser's number.
    anchors: Vec<(usize, Node)>,
    unfolded: usize,
    stack: Vec<Open>,
    root: Option<Node>,
}

impl Builder {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), ParseError> {
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let mut style = match style {
                    ScalarStyle::Plain => Style::Plain,
                    ScalarStyle::SingleQuoted | ScalarStyle::DoubleQuoted => Style::Quoted,
                    ScalarStyle::Literal => Style::Literal,
                    ScalarStyle::Folded => Style::Folded,
                };
                if style == Style::Plain && tag.is_some_and(|tag| tag.is_yaml_core_schema_tag("str")) {
                    style = Style::Quoted;
                }
                let empty = span.start == span.end && style == Style::Plain;
                let text = if empty { "" } else { &*text };
                self.close(Node { span, content: Content::Scalar(text.into(), style) }, anchor);
            }
            Event::SequenceStart(_, anchor, _) => {
                self.stack.push(Open { span, anchor, items: Items::Sequence(Vec::new()) });
            }
            Event::MappingStart(_, anchor, _) => {
                self.stack.push(Open { span, anchor, items: Items::Mapping(Vec::new(), None) });
            }
            Event::SequenceEnd | Event::MappingEnd => {
                if let Some(open) = self.stack.pop() {
                    let content = match open.items {
                        Items::Sequence(items) => Content::Sequence(items.into()),
                        Items::Mapping(entries, _) => Content::Mapping(entries.into()),
                    };
                    let span = Span { end: span.end.max(open.span.end), ..open.span };
                    self.close(Node { span, content }, open.anchor);
                }
            }
            Event::Alias(anchor) => {
                let found = self.anchors.iter().rev().find(|(id, _)| *id == anchor).map(|(_, node)| node.clone());
                let at = span.start as usize;
                let node = found.ok_or_else(|| ParseError { message: "an alias of itself".to_owned(), at })?;
                self.unfolded += node.count();
                if self.unfolded > MAX_NODES_OF_ALIASES {
                    return Err(ParseError { message: "its aliases unfold to too much".to_owned(), at });
                }
                self.close(node, 0);
            }
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, node: Node, anchor: usize) {
        if anchor != 0 {
            self.anchors.push((anchor, node.clone()));
        }
        match self.stack.last_mut().map(|open| &mut open.items) {
            None => self.root = Some(node),
            Some(Items::Sequence(items)) => items.push(node),
            Some(Items::Mapping(entries, key)) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => *key = Some(node),
            },
        }
    }
}

impl Node {
    /// A node that comes from no text: an object that an API server sent.
    pub fn of_json(value: &Value) -> Node {
        let scalar = |text: String, style| Content::Scalar(text.into(), style);
        let content = match value {
            Value::Null => scalar(String::new(), Style::Plain),
            Value::Bool(flag) => scalar(flag.to_string(), Style::Plain),
            Value::Number(number) => scalar(number.to_string(), Style::Plain),
            Value::String(text) => scalar(text.clone(), Style::Quoted),
            Value::Array(items) => Content::Sequence(items.iter().map(Node::of_json).collect()),
            Value::Object(map) => Content::Mapping(
                map.iter()
                    .map(|(key, value)| {
                        let key = Node { span: Span::default(), content: scalar(key.clone(), Style::Quoted) };
                        (key, Node::of_json(value))
                    })
                    .collect(),
            ),
        };
        Node { span: Span::default(), content }
    }

    fn count(&self) -> usize {
        1 + match &self.content {
            Content::Scalar(..) => 0,
            Content::Sequence(items) => items.iter().map(Node::count).sum(),
            Content::Mapping(entries) => entries.iter().map(|(key, value)| key.count() + value.count()).sum(),
        }
    }

    /// The entry of a mapping: its key's node and its value. Of two with the same key the last, as kubectl has it.
    pub fn entry(&self, key: &str) -> Option<(&Node, &Node)> {
        let Content::Mapping(entries) = &self.content else { return None };
        let found = entries.iter().rev().find(|(found, _)| found.text() == Some(key));
        if let Some((key, value)) = found {
            return Some((key, value));
        }
        // `<<: *defaults`, for which an entry of the mapping itself goes before.
        let (_, merged) = entries.iter().find(|(key, _)| key.is_merge())?;
        match &merged.content {
            Content::Sequence(items) => items.iter().find_map(|item| item.entry(key)),
            _ => merged.entry(key),
        }
    }

    fn is_merge(&self) -> bool {
        matches!(&self.content, Content::Scalar(text, Style::Plain) if &**text == "<<")
    }

    /// The value of `key`.
    pub fn get(&self, key: &str) -> Option<&Node> {
        self.entry(key).map(|(_, value)| value)
    }

    /// The node that a JSON pointer (RFC 6901) leads to: `/spec/containers/0/image`.
    pub fn at(&self, pointer: &str) -> Option<&Node> {
        self.entry_at(pointer).map(|(_, value)| value)
    }

    /// Like [`Node::at`], with the key's node where the last step is a key.
    pub fn entry_at(&self, pointer: &str) -> Option<(Option<&Node>, &Node)> {
        let mut found = (None, self);
        for step in pointer.split('/').skip(1) {
            found = if let Content::Sequence(items) = &found.1.content {
                (None, items.get(step.parse::<usize>().ok()?)?)
            } else {
                let (key, value) = found.1.entry(&unescape(step))?;
                (Some(key), value)
            };
        }
        Some(found)
    }

    /// The text of a scalar, whatever it means.
    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    /// A string, as kubectl reads it; None for numbers, booleans and null too.
    pub fn string(&self) -> Option<&str> {
        match &self.content {
            Content::Scalar(text, Style::Plain) => plain(text).is_none().then_some(text),
            Content::Scalar(text, _) => Some(text),
            _ => None,
        }
    }

    /// The string at a pointer.
    pub fn string_at(&self, pointer: &str) -> Option<&str> {
        self.at(pointer)?.string()
    }

    /// Nothing, as kubectl reads it.
    pub fn is_null(&self) -> bool {
        matches!(&self.content, Content::Scalar(text, Style::Plain) if plain(text) == Some(Value::Null))
    }

    /// The items of a list; of anything else none.
    pub fn items(&self) -> &[Node] {
        match &self.content {
            Content::Sequence(items) => items,
            _ => &[],
        }
    }

    /// The entries of a mapping, as they are written; of anything else none.
    pub fn entries(&self) -> &[(Node, Node)] {
        match &self.content {
            Content::Mapping(entries) => entries,
            _ => &[],
        }
    }

    /// As kubectl reads it: YAML 1.1 booleans and octal numbers, merge keys, every key a string.
    pub fn to_json(&self) -> Value {
        match &self.content {
            Content::Scalar(text, style) => {
                let special = if *style == Style::Plain { plain(text) } else { None };
                special.unwrap_or_else(|| Value::String(text.to_string()))
            }
            Content::Sequence(items) => Value::Array(items.iter().map(Node::to_json).collect()),
            Content::Mapping(entries) => {
                let mut map = Map::new();
                self.merge_into(&mut map);
                for (key, value) in entries.iter().filter(|(key, _)| !key.is_merge()) {
                    map.insert(key.key(), value.to_json());
                }
                Value::Object(map)
            }
        }
    }

    fn merge_into(&self, map: &mut Map<String, Value>) {
        for (_, merged) in self.entries().iter().filter(|(key, _)| key.is_merge()) {
            let sources = if merged.items().is_empty() { std::slice::from_ref(merged) } else { merged.items() };
            for source in sources {
                if let Value::Object(values) = source.to_json() {
                    for (key, value) in values {
                        map.entry(key).or_insert(value);
                    }
                }
            }
        }
    }

    /// A key as JSON has it: `on:` is `true:` to kubectl, `1:` is `"1":`.
    fn key(&self) -> String {
        match self.to_json() {
            Value::String(text) => text,
            other => other.to_string(),
        }
    }

    /// A scalar as Flink's `config.yaml` reads it (YAML 1.2 core schema, then `toString`): `yes` is a string there, `0x10`
    /// is 16. None for null and for what is no scalar.
    pub fn core_text(&self) -> Option<Cow<'_, str>> {
        let Content::Scalar(text, style) = &self.content else { return None };
        if *style != Style::Plain {
            return Some(Cow::Borrowed(text));
        }
        match &**text {
            "" | "~" | "null" | "Null" | "NULL" => None,
            "True" | "TRUE" => Some(Cow::Borrowed("true")),
            "False" | "FALSE" => Some(Cow::Borrowed("false")),
            text => {
                let radix = match text.get(..2) {
                    Some("0x") => i64::from_str_radix(&text[2..], 16).ok(),
                    Some("0o") => i64::from_str_radix(&text[2..], 8).ok(),
                    _ => text.parse::<i64>().ok(),
                };
                Some(radix.map_or(Cow::Borrowed(text), |number| Cow::Owned(number.to_string())))
            }
        }
    }
}

/// `~1` is a slash and `~0` a tilde in a JSON pointer.
fn unescape(step: &str) -> Cow<'_, str> {
    if step.contains('~') { Cow::Owned(step.replace("~1", "/").replace("~0", "~")) } else { Cow::Borrowed(step) }
}

/// A key as one step of a JSON pointer.
pub fn escape(step: &str) -> String {
    step.replace('~', "~0").replace('/', "~1")
}

/// What a plain scalar means to kubectl, where it is no string (`resolve` of goyaml.v2, YAML 1.1).
fn plain(text: &str) -> Option<Value> {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Some(Value::Null),
        "y" | "Y" | "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => Some(Value::Bool(true)),
        "n" | "N" | "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
            Some(Value::Bool(false))
        }
        _ if text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.')) => {
            number(text).map(Value::Number)
        }
        _ => None,
    }
}

fn number(text: &str) -> Option<Number> {
    let digits = text.replace('_', "");
    let (negative, digits) = match digits.as_bytes().first()? {
        b'-' => (true, &digits[1..]),
        b'+' => (false, &digits[1..]),
        _ => (false, digits.as_str()),
    };
    let radix = |radix, from: usize| i128::from_str_radix(digits.get(from..)?, radix).ok();
    let integer = match digits.get(..2) {
        Some("0x" | "0X") => radix(16, 2),
        Some("0o" | "0O") => radix(8, 2),
        Some("0b" | "0B") => radix(2, 2),
        // `0644` is octal to kubectl, and `0999`, which cannot be, is a decimal fraction's whole part.
        Some(start) if start.starts_with('0') && digits.bytes().all(|c| c.is_ascii_digit()) => radix(8, 1),
        _ if digits.bytes().all(|c| c.is_ascii_digit()) && !digits.is_empty() => radix(10, 0),
        _ => None,
    };
    let sign: i8 = if negative { -1 } else { 1 };
    if let Some(integer) = integer {
        return i64::try_from(integer * i128::from(sign))
            .map(Number::from)
            .or_else(|_| u64::try_from(integer).map(Number::from))
            .ok();
    }
    // `[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?`; Rust's own parser also takes `inf` and `nan`.
    let is_float = digits.starts_with(|c: char| c.is_ascii_digit() || c == '.')
        && digits.bytes().any(|c| c.is_ascii_digit())
        && digits.bytes().all(|c| c.is_ascii_digit() || matches!(c, b'.' | b'e' | b'E' | b'+' | b'-'));
    let float = digits.parse::<f64>().ok().filter(|_| is_float)? * f64::from(sign);
    // `1e3` is the number 1000 to kubectl; a field that wants an integer refuses `1000.0`.
    #[expect(clippy::cast_possible_truncation, reason = "only whole numbers that a double holds exactly")]
    if float.fract() == 0.0 && float.abs() < 9.0e15 {
        return Some(Number::from(float as i64));
    }
    Number::from_f64(float)
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use serde_json::json;

    fn read(text: &str) -> Value {
        parse(text, 0).unwrap().unwrap().to_json()
    }

    #[test]
    fn scalars_mean_what_they_mean_to_kubectl() {
        let text = "[0644, 0x1f, 0o17, 1_000, 1e3, 1.5, -7, .5, yes, Off, y, ~, '', 'yes', 0999, 1.2.3, 2001-01-01, -, 12:30, !!str 5, abc]";
        let expected = json!([
            420,
            31,
            15,
            1000,
            1000,
            1.5,
            -7,
            0.5,
            true,
            false,
            true,
            null,
            "",
            "yes",
            999,
            "1.2.3",
            "2001-01-01",
            "-",
            "12:30",
            "5",
            "abc"
        ]);
        assert_eq!(read(text.replace("-, ", "\"-\", ").as_str()), expected);
        assert_eq!(read("on: 1\n2: x\n"), json!({"true": 1, "2": "x"}));
    }

    #[test]
    fn aliases_and_merge_keys() {
        let text = "base: &b {a: 1, c: 2}\nown:\n  <<: *b\n  a: 3\nsame: *b\n";
        let node = parse(text, 0).unwrap().unwrap();
        assert_eq!(node.to_json()["own"], json!({"a": 3, "c": 2}));
        assert_eq!(node.at("/own/c").unwrap().text(), Some("2"));
        assert_eq!(node.at("/own/a").unwrap().text(), Some("3"));
        let mut bomb = "a: &a [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
        for (name, before) in ('b'..='k').zip('a'..) {
            let _ = writeln!(bomb, "{name}: &{name} [{}]", vec![format!("*{before}"); 10].join(", "));
        }
        assert!(parse(&bomb, 0).unwrap_err().message.contains("too much"));
    }

    #[test]
    fn spans_lead_back_to_the_text() {
        let text = "a:\n- b: |\n\n    x\n    y\n  c: 'd'\n";
        let node = parse(text, 0).unwrap().unwrap();
        let (key, value) = node.entry_at("/a/0/b").unwrap();
        assert_eq!(&text[key.unwrap().span.range()], "b");
        assert_eq!(value.text(), Some("\nx\ny\n"));
        assert_eq!(&text[node.at("/a/0/c").unwrap().span.range()], "'d'");
        assert_eq!(parse("a: [", 10).unwrap_err().at, 13);
        assert_eq!(parse("# nothing\n", 0), Ok(None));
        assert_eq!(parse("a: {b~c/d: 1}", 0).unwrap().unwrap().at("/a/b~0c~1d").unwrap().text(), Some("1"));
    }

    #[test]
    fn documents_are_cut_as_kubectl_cuts_them() {
        let text = "---\na: 1\n--- # two\nb: 2\n---\n---\nc: |\n  ---\n";
        let parts: Vec<_> = split(text).iter().map(|document| (document.offset, document.text)).collect();
        assert_eq!(parts, [(0, "---\na: 1\n"), (19, "b: 2\n"), (28, ""), (32, "c: |\n  ---\n")]);
        assert_eq!(split("a\n---\u{a0}").len(), 2);
        assert_eq!(split("").len(), 1);
        assert_eq!(split("a\n---").iter().map(|document| document.text).collect::<Vec<_>>(), ["a\n", ""]);
    }

    #[test]
    fn flink_reads_the_core_schema() {
        let node = parse("{a: yes, b: True, c: 0x10, d: 007, e: ~, f: '1', g: 1600m}", 0).unwrap().unwrap();
        let text = |key: &str| node.get(key).unwrap().core_text().map(Cow::into_owned);
        let of = |text: &str| Some(text.to_owned());
        assert_eq!(
            ["a", "b", "c", "d", "e", "f", "g"].map(text),
            [of("yes"), of("true"), of("16"), of("7"), None, of("1"), of("1600m")]
        );
    }
}
