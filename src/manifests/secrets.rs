//! Where a text has secrets: a password has no place in a report, a diff or a log.
//!
//! A key tells that its value is one, however it is written: `key: value`, `key=value`, `-Dkey=value`, JSON, the `name` and
//! `value` of an environment variable, the data of a Secret. What looks like one but may be none is hidden too.

use std::ops::Range;
use std::sync::LazyLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use unicode_width::UnicodeWidthChar;

use super::options::SECRET_PARTS;
use super::tree::{self, Content, Node};

/// What stands in place of a secret.
pub const HIDDEN: &str = "******";

/// Keys of Kubernetes and Flink that speak of secrets without having one.
const NO_SECRETS: [&str; 16] = [
    "secret",
    "secrets",
    "secretname",
    "secretref",
    "secretkeyref",
    "secretnamespace",
    "imagepullsecrets",
    "serviceaccounttoken",
    "automountserviceaccounttoken",
    "tokenrequests",
    "nodepublishsecretref",
    "kubernetes.secrets",
    "kubernetes.env.secretkeyref",
    "kubernetes.container.image.pull-secrets",
    "security.delegation.tokens.enabled",
    "security.delegation.token.provider",
];
/// Ends of keys that are split over several levels of a `config.yaml`.
const SPLIT: [&str; 9] = [
    "secret.key",
    "access.key",
    "account.key",
    "service.key",
    "api.key",
    "basic.auth",
    "auth.params",
    "jaas.config",
    "http.headers",
];
/// Keys of a Secret whose values are none.
const OF_SECRETS: [&str; 9] =
    ["apiVersion", "kind", "metadata", "name", "namespace", "type", "data", "stringData", "immutable"];

/// What a key has in it whose value is a secret. Environment variables are written with underscores.
static PARTS: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let parts = SECRET_PARTS.into_iter().chain(["passwd", "passphrase", "private-key", "privatekey"]);
    any_of(parts.flat_map(|part| [part.to_owned(), part.replace('-', "_")]))
});
/// What a text has in it that has such a key, or an address with a password.
static HINTS: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| any_of(["pass", "secret", "token", "key", "auth", "jaas", "headers", "://"]));

/// Finds each of the words, in whatever case.
fn any_of(words: impl IntoIterator<Item: AsRef<[u8]>>) -> Option<AhoCorasick> {
    AhoCorasick::builder().ascii_case_insensitive(true).kind(Some(AhoCorasickKind::DFA)).build(words).ok()
}

/// The text has one of the words.
fn has(words: &LazyLock<Option<AhoCorasick>>, text: &str) -> bool {
    words.as_ref().is_none_or(|words| words.is_match(text))
}

/// Whether a key's value is a secret.
pub fn is_key(key: &str) -> bool {
    has(&PARTS, key) && !NO_SECRETS.iter().any(|none| none.eq_ignore_ascii_case(key))
}

/// Whether a secret's value is one: nothing that is filled in later, no flag.
fn is_value(value: &str) -> bool {
    let filled_in = [("${", "}"), ("$(", ")"), ("{{", "}}")];
    !matches!(value, "" | "true" | "false" | "null" | "~")
        && !filled_in.iter().any(|(open, close)| value.starts_with(open) && value.ends_with(close))
}

/// The bytes of the secrets of a text, which may be several YAML or JSON documents, a configuration file or a part of one.
pub fn ranges(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    for document in tree::split(text) {
        if !has(&HINTS, document.text) {
            continue;
        }
        lines(document, &mut found);
        match tree::parse(document.text, document.offset) {
            Ok(Some(node)) => scalars(&node, &mut |scalar| found.push(scalar.span.range())),
            Err(_) => {
                let lower = document.text.to_ascii_lowercase();
                if lower.contains("kind: secret") || lower.contains("\"secret\"") {
                    broken(document, &mut found);
                }
            }
            Ok(None) => {}
        }
    }
    found.retain_mut(|range| {
        let value = text.get(range.clone()).unwrap_or_default();
        let (start, end) = (value.len() - value.trim_start().len(), value.trim_end().len());
        *range = range.start + start.min(end)..range.start + end;
        // Quotes stay.
        let value = &text[range.clone()];
        let quoted =
            value.len() > 1 && ['"', '\''].iter().any(|quote| value.starts_with(*quote) && value.ends_with(*quote));
        if quoted {
            *range = range.start + 1..range.end - 1;
        }
        range.start < range.end
    });
    found.sort_by_key(|range| (range.start, range.end));
    let mut merged: Vec<Range<usize>> = Vec::new();
    for range in found {
        match merged.last_mut() {
            Some(last) if range.start <= last.end => last.end = last.end.max(range.end),
            _ => merged.push(range),
        }
    }
    merged
}

/// The secrets of a tree: their nodes.
pub fn scalars<'a>(node: &'a Node, found: &mut impl FnMut(&'a Node)) {
    for item in node.items() {
        scalars(item, found);
    }
    let text = |key: &str| node.get(key).and_then(Node::text);
    let is_secret_object = text("kind") == Some("Secret");
    for (key, value) in node.entries() {
        let key = key.text().unwrap_or_default();
        let data = is_secret_object && matches!(key, "data" | "stringData");
        let applied = key == "kubectl.kubernetes.io/last-applied-configuration"
            && value.text().is_some_and(|text| text.contains("\"Secret\""));
        let variable = key == "value" && text("name").is_some_and(is_key);
        if data || applied || variable || is_key(key) {
            all(value, found);
        } else {
            scalars(value, found);
        }
    }
}

fn all<'a>(node: &'a Node, found: &mut impl FnMut(&'a Node)) {
    if let Content::Scalar(text, _) = &node.content
        && is_value(text)
    {
        found(node);
    }
    node.items().iter().for_each(|item| all(item, found));
    node.entries().iter().for_each(|(_, value)| all(value, found));
}

/// The values of secrets in a tree, and in the texts that it has.
pub fn values(node: &Node) -> Vec<String> {
    let mut found = Vec::new();
    scalars(node, &mut |scalar| found.extend(scalar.text().map(str::to_owned)));
    texts(node, &mut |text| found.extend(ranges(text).into_iter().map(|range| text[range].to_owned())));
    found
}

fn texts(node: &Node, found: &mut impl FnMut(&str)) {
    if let Content::Scalar(text, _) = &node.content
        && text.contains([':', '='])
    {
        found(text);
    }
    node.items().iter().for_each(|item| texts(item, found));
    node.entries().iter().for_each(|(_, value)| texts(value, found));
}

/// The text with its secrets hidden.
pub fn hide(text: &str) -> String {
    replaced(text, &ranges(text), |_| HIDDEN.to_owned())
}

/// The text with the passwords hidden that are in its addresses: `s3://KEY:****@bucket/ha`. For sentences and paths.
pub fn hide_in_addresses(text: &str) -> String {
    let mut found = Vec::new();
    addresses(text, &mut found);
    replaced(text, &found, |_| HIDDEN.to_owned())
}

/// The text with something in place of these parts of it.
pub fn replaced(text: &str, ranges: &[Range<usize>], by: impl Fn(&str) -> String) -> String {
    let (mut shown, mut from) = (String::new(), 0);
    for range in ranges {
        shown.push_str(&text[from..range.start]);
        shown.push_str(&by(&text[range.clone()]));
        from = range.end;
    }
    shown + &text[from..]
}

/// Stars as wide as the text.
pub fn stars(text: &str) -> String {
    "*".repeat(text.chars().map(|c| c.width().unwrap_or(1)).sum())
}

/// Where a line is: what a plain value in it ends with.
#[derive(Default)]
struct Lines {
    /// The keys above, with how far in they are.
    above: Vec<(usize, String)>,
    /// What is further in than this belongs to a secret.
    inside: Option<usize>,
    /// The name before was that of a secret: the value that follows is one.
    named: bool,
}

/// What each line tells by itself: also of what is no YAML, or is YAML inside YAML.
fn lines(document: tree::Document<'_>, found: &mut Vec<Range<usize>>) {
    let (mut offset, mut state) = (document.offset, Lines::default());
    for line in document.text.split_inclusive('\n') {
        let text = line.trim_end_matches(['\n', '\r']);
        let mut own = Vec::new();
        state.line(text, &mut own);
        addresses(text, &mut own);
        found.extend(own.into_iter().map(|range| offset + range.start..offset + range.end));
        offset += line.len();
    }
}

impl Lines {
    /// The keys above and this one are together that of a secret.
    fn is_split(&self, key: &str) -> bool {
        let words = || self.above.iter().map(|(_, key)| key.as_str()).chain([key]);
        if self.above.is_empty() || !words().any(|word| has(&HINTS, word)) {
            return false;
        }
        let path = words().collect::<Vec<_>>().join(".").to_ascii_lowercase();
        SPLIT.iter().any(|end| path.contains(end) && !key.contains(end))
    }

    fn line(&mut self, line: &str, found: &mut Vec<Range<usize>>) {
        let indent = line.len() - line.trim_start_matches([' ', '-', '\t']).len();
        if line.trim().is_empty() {
            return;
        }
        if self.inside.is_some_and(|of| indent > of) {
            found.push(indent..line.len());
            return;
        }
        self.inside = None;
        self.above.retain(|(of, _)| *of < indent);
        let mut done = 0;
        for (at, separator) in line.char_indices().filter(|(_, c)| matches!(c, ':' | '=')) {
            if at < done {
                continue;
            }
            let Some(key) = key_before(line, at, separator) else { continue };
            let start = at + 1 + (line[at + 1..].len() - line[at + 1..].trim_start().len());
            let range = start..end_of(line, start);
            let value = line[range.clone()].trim_matches(['"', '\'', '\\', ' ']);
            let first = self.above.last().is_none_or(|(of, _)| *of != indent);
            let secret = is_key(key) || (key == "value" && self.named) || self.is_split(key);
            if key == "name" {
                self.named = is_key(value);
            }
            if separator == ':' && first && value.is_empty() {
                self.above.push((indent, key.to_owned()));
            }
            if !secret {
                continue;
            }
            if separator == ':' && (value.is_empty() || value.starts_with(['|', '>'])) {
                self.inside = Some(indent);
                return;
            }
            if !value.starts_with(['{', '[']) && is_value(value) {
                done = range.end;
                found.push(range);
            }
        }
    }
}

/// The key before a separator; none where it separates nothing.
fn key_before(line: &str, at: usize, separator: char) -> Option<&str> {
    let (head, rest) = (line[..at].trim_end(), &line[at + 1..]);
    let name = head.trim_end_matches(['"', '\'', '\\']);
    if separator == ':'
        && name.len() == head.len()
        && !(rest.is_empty() || rest.starts_with([' ', '\t', '"', '\'', '\\']))
    {
        return None;
    }
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    let start = name.rfind(|c| !is_part(c)).map_or(0, |at| at + name[at..].chars().next().map_or(1, char::len_utf8));
    let key = name[start..].trim_start_matches("-D");
    Some(key).filter(|key| !key.is_empty())
}

/// Where the value that begins here ends.
fn end_of(line: &str, start: usize) -> usize {
    let value = &line[start..];
    let escapes = value.len() - value.trim_start_matches('\\').len();
    if let Some(quote) = value[escapes..].chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let close = format!("{}{quote}", &value[..escapes]);
        let mut from = close.len();
        while let Some(end) = value[from..].find(&close).map(|end| from + end) {
            if escapes > 0 || !value[..end].ends_with('\\') || quote == '\'' {
                return start + end + close.len();
            }
            from = end + close.len();
        }
        return line.len();
    }
    let (mut quote, mut depth, mut before) = (None, 0_i32, ' ');
    for c in line[..start].chars() {
        match (quote, c) {
            (None, '"' | '\'') if !before.is_alphanumeric() => quote = Some(c),
            (Some(open), _) if open == c && before != '\\' => quote = None,
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth -= 1,
            _ => {}
        }
        before = c;
    }
    let end = match quote {
        Some(quote) => [value.find(quote), value.find("\\n"), value.find("\\\"")].into_iter().flatten().min(),
        None if depth > 0 => value.find([',', '}', ']']),
        None => None,
    };
    end.map_or(line.len(), |end| start + end)
}

/// Passwords in addresses: `https://user:password@host`.
fn addresses(line: &str, found: &mut Vec<Range<usize>>) {
    for (at, mark) in line.match_indices("://") {
        let start = at + mark.len();
        let end = line[start..].find(['/', ' ', '"', '\'']).map_or(line.len(), |end| start + end);
        if let (Some(colon), Some(host)) = (line[start..end].find(':'), line[start..end].rfind('@'))
            && colon + 1 < host
        {
            found.push(start + colon + 1..start + host);
        }
    }
}

/// A Secret that is no YAML: all that is not known to be none.
fn broken(document: tree::Document<'_>, found: &mut Vec<Range<usize>>) {
    let mut offset = document.offset;
    for line in document.text.split_inclusive('\n') {
        let (key, start) = match line.split_once(':') {
            Some((key, _)) if !line.trim_start().starts_with('{') => {
                (key.trim_matches([' ', '-', '"', '\'']), key.len() + 1)
            }
            _ => ("", 0),
        };
        if !OF_SECRETS.contains(&key) && !line.starts_with("---") {
            found.push(offset + start..offset + line.trim_end().len().max(start));
        }
        offset += line.len();
    }
}

#[cfg(test)]
mod tests {
    use super::{hide, is_key, ranges, stars};

    #[test]
    fn a_key_tells_that_its_value_is_a_secret() {
        let texts = [
            "s3.secret-key: hunter2",
            "s3.secret-key = hunter2",
            "\"s3.secret-key\": \"hunter2\"",
            "{\"a\":\"b\",\"s3.secret-key\":\"hunter2\",\"c\":\"d\"}",
            "args: [-Ds3.secret-key=hunter2, \"-Ds3.access-key=hunter2\", x]",
            "- {name: S3_PASSWORD, value: hunter2}",
            "env:\n- value: hunter2\n  name: S3_PASSWORD",
            "env:\n- name: S3_PASSWORD\n  value: hunter2\n- name: X\n  value: shown\n - a: }",
            "kind: Secret\ndata: {x: hunter2}",
            "kind: Secret\nstringData:\n  x: |\n    hunter2\n    hunter2\n",
            "kind: Secret\nstringData:\n  x: hunter2\n a: }",
            "password: |\n  hunter2\n  hunter2\nshown: x",
            "s3:\n  secret:\n    key: hunter2\n",
            "data: {config.yaml: \"s3.secret-key: hunter2,x\\nshown: 1\"}",
            "x: '{\"s3.secret-key\":\"hunter2\"}'",
            "x: \"{\\\"s3.secret-key\\\":\\\"hunter2\\\"}\"",
            "url: https://user:hunter2@host/path",
        ];
        let hidden: Vec<String> = texts.iter().map(|text| hide(text)).collect();
        assert!(!hidden.iter().any(|text| text.contains("hunter2") || !text.contains("***")), "{}", hidden.join("\n"));
        assert!(
            hidden.iter().zip(texts).all(|(h, t)| t.contains("shown") == h.contains("shown")),
            "{}",
            hidden.join("\n")
        );
    }

    #[test]
    fn what_only_speaks_of_secrets_is_shown() {
        for text in [
            "secretName: flink",
            "automountServiceAccountToken: false",
            "env: [{name: S3_SECRET, valueFrom: {secretKeyRef: {name: s3, key: secret}}}]",
            "kubernetes.secrets: a:/b",
            "s3.secret-key: ${S3_SECRET}",
            "resources: [secrets]\nkind: Secret\nmetadata: {name: x}",
            "image: registry:5000/flink:1.20",
        ] {
            assert!(ranges(text).is_empty(), "{text}");
        }
        assert!(is_key("AWS_ACCESS_KEY_ID") && !is_key("cluster-id"));
        assert_eq!(stars("a世"), "***");
    }
}
