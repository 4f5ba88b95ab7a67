//! Java's `.properties` format, in which Log4j is configured (`java.util.Properties.load`).

use std::ops::Range;

/// One `key = value`, with its places in the text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Property {
    /// The key, without escapes.
    pub key: String,
    /// The value, without escapes. Blanks before it are gone; blanks at its end are part of it, as Java has it.
    pub value: String,
    /// The key's bytes.
    pub key_range: Range<usize>,
    /// The value's bytes, with what stands at its end.
    pub value_range: Range<usize>,
}

/// The names that Flink's start scripts give to Log4j (`config.sh`, `flink-console.sh`, `flink-daemon.sh`).
pub fn is_log4j(file_name: &str) -> bool {
    file_name.starts_with("log4j") && file_name.ends_with(".properties")
}

/// Reads a text. There are no errors: every line that is no comment is a property.
pub fn read(text: &str) -> Vec<Property> {
    let mut properties = Vec::new();
    let mut at = 0;
    while at < text.len() {
        let end = logical_end(text, at);
        properties.extend(property(text, at..end));
        at = end + usize::from(text[end..].starts_with('\r')) + 1;
        // `\r` alone ends a line too; `\r\n` is one end.
        if text.get(end..end + 1) == Some("\r") && text.get(end + 1..end + 2) != Some("\n") {
            at = end + 1;
        }
    }
    properties
}

/// The end of the line that begins at `start`, with the lines that a `\` at its end adds to it.
fn logical_end(text: &str, start: usize) -> usize {
    let comment = text[start..].trim_start_matches([' ', '\t', '\u{c}']).starts_with(['#', '!']);
    let mut from = start;
    loop {
        let end = text[from..].find(['\n', '\r']).map_or(text.len(), |found| from + found);
        let backslashes = text[start..end].bytes().rev().take_while(|byte| *byte == b'\\').count();
        if comment || backslashes % 2 == 0 || end >= text.len() {
            return end;
        }
        from = end + 1 + usize::from(text[end..].starts_with("\r\n"));
        if from >= text.len() {
            return text.len();
        }
    }
}

fn property(text: &str, range: Range<usize>) -> Option<Property> {
    let blank = |c: char| matches!(c, ' ' | '\t' | '\u{c}');
    let line = &text[range.clone()];
    let start = line.len() - line.trim_start_matches(blank).len();
    let body = &line[start..];
    if body.is_empty() || body.starts_with(['#', '!']) {
        return None;
    }
    let mut escaped = false;
    let key_end = body
        .char_indices()
        .find(|(_, c)| {
            let ends = !escaped && (blank(*c) || matches!(c, '=' | ':'));
            escaped = *c == '\\' && !escaped;
            ends
        })
        .map_or(body.len(), |(at, _)| at);
    let rest = &body[key_end..];
    let separator = rest.len() - rest.trim_start_matches(blank).len();
    let rest = &rest[separator..];
    let separator = separator + usize::from(rest.starts_with(['=', ':']));
    let rest = &body[key_end + separator..];
    let value_start = key_end + separator + rest.len() - rest.trim_start_matches(blank).len();
    let at = range.start + start;
    Some(Property {
        key: unescape(&body[..key_end]),
        value: unescape(&body[value_start..]),
        key_range: at..at + key_end,
        value_range: at + value_start..range.end,
    })
}

fn unescape(text: &str) -> String {
    let mut result = String::with_capacity(text.len());
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        if c != '\\' {
            result.push(c);
            continue;
        }
        match chars.next() {
            Some('t') => result.push('\t'),
            Some('n') => result.push('\n'),
            Some('r') => result.push('\r'),
            Some('f') => result.push('\u{c}'),
            Some('u') => {
                let digits: String = chars.by_ref().take(4).collect();
                result.extend(u32::from_str_radix(&digits, 16).ok().and_then(char::from_u32));
            }
            // A line that goes on: its indentation is not part of the value.
            Some('\r' | '\n') => while chars.next_if(|c| matches!(c, ' ' | '\t' | '\u{c}' | '\n')).is_some() {},
            Some(other) => result.push(other),
            None => {}
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_as_java_reads() {
        let text = "# c\n! c\na = b \nc:d\ne f\n  g\t=\th\\\n   i\r\nj=\nk\\=l = m\\u0041\\t\nn=o\u{a0}";
        let read: Vec<_> = read(text).into_iter().map(|property| (property.key, property.value)).collect();
        let expected = [("a", "b "), ("c", "d"), ("e", "f"), ("g", "hi"), ("j", ""), ("k=l", "mA\t"), ("n", "o\u{a0}")];
        assert_eq!(read, expected.map(|(key, value)| (key.to_owned(), value.to_owned())));
    }

    #[test]
    fn places() {
        let text = "x = 1\n  name = Console  \nz";
        let all = read(text);
        assert_eq!(&text[all[1].value_range.clone()], "Console  ");
        assert_eq!(&text[all[1].key_range.clone()], "name");
        assert_eq!((all[2].key.as_str(), all[2].value.as_str()), ("z", ""));
    }
}
