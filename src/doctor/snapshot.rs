//! Everything that the rules look at: the objects of files and of the cluster, each with where it came from.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::sync::OnceLock;

use ecow::EcoString;
use serde::de::DeserializeOwned;

use super::known::Known;
use super::live::LiveFacts;
use super::source::Unreadable;
use crate::manifests::tree::{Content, Node, Span, Style};

/// The number of an object in its [`Snapshot`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(pub(super) usize);

/// A file that was read.
#[derive(Debug)]
pub struct SourceFile {
    /// Its name as the user gave it, or `<stdin>`.
    pub name: String,
    /// Its text, without a byte order mark.
    pub text: String,
    /// Where each of its lines begins.
    lines: Vec<usize>,
}

impl SourceFile {
    /// A file of this name and text.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let text: String = text.into();
        let lines = std::iter::once(0).chain(text.match_indices('\n').map(|(end, _)| end + 1)).collect();
        SourceFile { name: name.into(), text, lines }
    }

    /// The number of the line of a byte, from 0.
    pub fn line_of(&self, at: usize) -> usize {
        self.lines.partition_point(|start| *start <= at).saturating_sub(1)
    }

    /// Where a line (from 0) begins and ends, without its line break.
    pub fn line(&self, line: usize) -> Range<usize> {
        let Some(start) = self.lines.get(line).copied() else { return self.text.len()..self.text.len() };
        let end = self.lines.get(line + 1).map_or(self.text.len(), |next| next - 1);
        let end = if self.text[start..end].ends_with('\r') { end - 1 } else { end };
        start..end
    }

    /// Line and column of a byte, both from 1, the column in characters.
    pub fn position(&self, at: usize) -> (usize, usize) {
        let line = self.line_of(at);
        let start = self.lines.get(line).copied().unwrap_or_default();
        let before = self.text.get(start..at.min(self.text.len())).unwrap_or_default();
        (line + 1, before.chars().count() + 1)
    }
}

/// A Kubernetes object, or a bare configuration file.
#[derive(Debug)]
pub struct Object {
    /// `apps/v1`; empty for a bare file.
    pub api_version: String,
    /// `Deployment`; [`BARE_FILE`] for a bare file.
    pub kind: String,
    /// `metadata.namespace`, or the default that the user gave; empty where neither is known, and for cluster-scoped kinds.
    pub namespace: String,
    /// `metadata.name`; the file's name for a bare file.
    pub name: String,
    /// Its content.
    pub node: Node,
    /// The file that it came from; none for an object of the cluster.
    pub file: Option<usize>,
}

/// The kind of a bare `config.yaml`, `flink-conf.yaml` or `log4j*.properties`.
pub const BARE_FILE: &str = "File";

/// From this number on, ids are those of files.
const FIRST_FILE: usize = usize::MAX / 2;

static NOWHERE: Object = Object {
    api_version: String::new(),
    kind: String::new(),
    namespace: String::new(),
    name: String::new(),
    node: Node { span: Span { start: 0, end: 0 }, content: Content::Scalar(EcoString::new(), Style::Plain) },
    file: None,
};

impl Object {
    /// The object as its kind's type; none where it has not the shape of its kind.
    pub fn typed<K: DeserializeOwned>(&self) -> Option<K> {
        serde_json::from_value(self.node.to_json()).ok()
    }

    /// `deployment/flink-jobmanager`, as messages name it.
    pub fn reference(&self) -> String {
        if self.kind == BARE_FILE { self.name.clone() } else { format!("{}/{}", self.kind.to_lowercase(), self.name) }
    }
}

/// Why something that is not among the objects may exist all the same.
#[derive(Debug, Clone, Default)]
pub struct Coverage {
    /// Kinds of which all objects of a namespace were read, with those namespaces; `*` stands for all.
    complete: BTreeMap<String, Vec<String>>,
    /// Kinds that could not be read, and why.
    refused: BTreeMap<String, String>,
    /// The objects that were asked for one by one and were not there: kind, namespace, name.
    missing: Vec<(String, String, String)>,
}

impl Coverage {
    /// All objects of this kind in this namespace (`*`: in all) are in the snapshot.
    pub fn complete(&mut self, kind: &str, namespace: &str) {
        self.complete.entry(kind.to_owned()).or_default().push(namespace.to_owned());
    }

    /// Objects of this kind could not be read.
    pub fn refused(&mut self, kind: &str, why: impl Into<String>) {
        self.refused.insert(kind.to_owned(), why.into());
    }

    /// This object was asked for and is not there.
    pub fn missing(&mut self, kind: &str, namespace: &str, name: &str) {
        self.missing.push((kind.to_owned(), namespace.to_owned(), name.to_owned()));
    }

    /// What could not be read, and why, by kind.
    pub fn refusals(&self) -> impl Iterator<Item = (&str, &str)> {
        self.refused.iter().map(|(kind, why)| (kind.as_str(), why.as_str()))
    }

    fn is_complete(&self, kind: &str, namespace: &str) -> bool {
        self.complete.get(kind).is_some_and(|all| all.iter().any(|one| one == "*" || one == namespace))
    }
}

/// The objects that are looked at together.
#[derive(Debug, Default)]
pub struct Snapshot {
    files: Vec<SourceFile>,
    /// Each file as an object, for what is said of the file itself.
    file_objects: Vec<Object>,
    /// Documents that could not be read.
    pub unreadable: Vec<Unreadable>,
    objects: Vec<Object>,
    by_kind: HashMap<String, Vec<ObjectId>>,
    by_namespace: HashMap<String, HashMap<String, Vec<ObjectId>>>,
    by_name: HashMap<(String, String, String), ObjectId>,
    /// Earlier objects that a later one of the same kind, namespace and name replaces.
    replaced: Vec<(ObjectId, ObjectId)>,
    rbac: OnceLock<RbacIndex>,
    /// What else may exist.
    pub coverage: Coverage,
    /// What only a running cluster can tell; none for files alone.
    pub live: Option<LiveFacts>,
}

/// Who is asked for again and again, among thousands.
#[derive(Debug, Default)]
struct RbacIndex {
    /// Bindings by the service accounts among their subjects; those of groups and users by the empty name.
    by_subject: HashMap<String, Vec<ObjectId>>,
    /// Bindings by the names alone of the service accounts among their subjects.
    by_name: HashMap<String, Vec<ObjectId>>,
    /// Bindings by their own namespace and those of their subjects.
    by_namespace: HashMap<String, Vec<ObjectId>>,
    /// ServiceAccounts by namespace.
    accounts: HashMap<String, Vec<ObjectId>>,
}

/// A service account as the index has it.
fn account_key(namespace: &str, name: &str) -> String {
    format!("{namespace}/{name}")
}

/// What is under a name, and what may be under any: the empty one.
fn merged(index: &HashMap<String, Vec<ObjectId>>, name: &str) -> Vec<ObjectId> {
    if name.is_empty() {
        // A namespace that is not known may be any.
        let all: BTreeSet<ObjectId> = index.values().flatten().copied().collect();
        return all.into_iter().collect();
    }
    let mut found: Vec<ObjectId> = ["", name].iter().filter_map(|name| index.get(*name)).flatten().copied().collect();
    found.sort_unstable();
    found.dedup();
    found
}

impl Snapshot {
    /// Adds a file and gives its number.
    pub fn add_file(&mut self, file: SourceFile) -> usize {
        let text = Content::Scalar("".into(), Style::Literal);
        self.file_objects.push(Object {
            api_version: String::new(),
            kind: BARE_FILE.to_owned(),
            namespace: String::new(),
            name: file.name.clone(),
            node: Node { span: Span::new(0, file.text.len()), content: text },
            file: Some(self.files.len()),
        });
        self.files.push(file);
        self.files.len() - 1
    }

    /// A file itself, for findings that are in no object: a place in it is `Place::within(_, "", bytes)`.
    pub fn file_object(number: usize) -> ObjectId {
        ObjectId(FIRST_FILE + number)
    }

    /// Nothing that can be shown: what a finding about this program points at.
    pub fn nowhere() -> ObjectId {
        ObjectId(usize::MAX)
    }

    /// The file of a number.
    pub fn file(&self, number: usize) -> &SourceFile {
        &self.files[number]
    }

    /// All files.
    pub fn files(&self) -> &[SourceFile] {
        &self.files
    }

    /// Adds an object. Of two of the same kind, namespace and name the later one counts, as it does for `kubectl apply`.
    pub fn add(&mut self, object: Object) -> ObjectId {
        self.rbac.take();
        let id = ObjectId(self.objects.len());
        let key = (object.kind.clone(), object.namespace.clone(), object.name.clone());
        let of_kind = self.by_kind.entry(object.kind.clone()).or_default();
        of_kind.push(id);
        let in_namespace = self.by_namespace.entry(object.namespace.clone()).or_default();
        let of_both = in_namespace.entry(object.kind.clone()).or_default();
        of_both.push(id);
        if object.kind != BARE_FILE
            && !object.name.is_empty()
            && let Some(earlier) = self.by_name.insert(key, id)
        {
            self.replaced.push((earlier, id));
            for list in [of_kind, of_both] {
                if let Some(place) = list.iter().position(|one| *one == earlier) {
                    list.remove(place);
                }
            }
        }
        self.objects.push(object);
        id
    }

    /// Adds an object of the cluster, unless a file has the same one: files win.
    pub fn add_live(&mut self, object: Object) {
        let key = (object.kind.clone(), object.namespace.clone(), object.name.clone());
        if !self.by_name.contains_key(&key) {
            self.add(object);
        }
    }

    /// The object of a number.
    pub fn object(&self, id: ObjectId) -> &Object {
        match id.0 {
            usize::MAX => &NOWHERE,
            FIRST_FILE.. => &self.file_objects[id.0 - FIRST_FILE],
            number => &self.objects[number],
        }
    }

    /// All objects that count, of every kind.
    pub fn objects(&self) -> impl Iterator<Item = ObjectId> {
        let mut all: Vec<ObjectId> = self.by_kind.values().flatten().copied().collect();
        all.sort_unstable();
        all.into_iter()
    }

    /// The objects of a kind.
    pub fn of_kind(&self, kind: &str) -> &[ObjectId] {
        self.by_kind.get(kind).map_or(&[], Vec::as_slice)
    }

    /// The RoleBindings and ClusterRoleBindings that may speak of an account.
    pub fn bindings_of(&self, namespace: &str, account: &str) -> Vec<ObjectId> {
        let index = self.index();
        let named = [account_key(namespace, account), account_key("", account), String::new()];
        // A namespace that is not known may be any.
        let everywhere = index.by_name.get(account).filter(|_| namespace.is_empty());
        let found = named.iter().filter_map(|name| index.by_subject.get(name)).chain(everywhere).flatten();
        found.copied().collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// The RoleBindings and ClusterRoleBindings that are in this namespace, or have a subject of it.
    pub fn bindings_in(&self, namespace: &str) -> Vec<ObjectId> {
        merged(&self.index().by_namespace, namespace)
    }

    /// The ServiceAccounts of this namespace, and those whose namespace is not known.
    pub fn accounts_in(&self, namespace: &str) -> Vec<ObjectId> {
        merged(&self.index().accounts, namespace)
    }

    fn index(&self) -> &RbacIndex {
        self.rbac.get_or_init(|| {
            let mut index = RbacIndex::default();
            for id in self.of_kind("ServiceAccount") {
                index.accounts.entry(self.object(*id).namespace.clone()).or_default().push(*id);
            }
            for id in ["RoleBinding", "ClusterRoleBinding"].iter().flat_map(|kind| self.of_kind(kind)) {
                let binding = self.object(*id);
                let (mut names, mut namespaces) = (BTreeSet::new(), BTreeSet::new());
                namespaces.extend((binding.kind == "RoleBinding").then_some(binding.namespace.as_str()));
                for subject in binding.node.get("subjects").map(Node::items).unwrap_or_default() {
                    let text = |key: &str| subject.get(key).and_then(Node::text);
                    let namespace = text("namespace").unwrap_or(&binding.namespace);
                    let account = text("name").filter(|_| text("kind") == Some("ServiceAccount"));
                    names.insert(account.map(|name| account_key(namespace, name)).unwrap_or_default());
                    if let Some(account) = account {
                        index.by_name.entry(account.to_owned()).or_default().push(*id);
                    }
                    namespaces.extend(text("namespace"));
                }
                for name in names {
                    index.by_subject.entry(name).or_default().push(*id);
                }
                for namespace in namespaces {
                    index.by_namespace.entry(namespace.to_owned()).or_default().push(*id);
                }
            }
            index
        })
    }

    /// The objects of a kind in a namespace.
    pub fn of_kind_in(&self, kind: &str, namespace: &str) -> &[ObjectId] {
        self.by_namespace.get(namespace).and_then(|kinds| kinds.get(kind)).map_or(&[], Vec::as_slice)
    }

    /// Objects that stand twice in the files: the earlier one and the one that counts.
    pub fn replaced(&self) -> &[(ObjectId, ObjectId)] {
        &self.replaced
    }

    /// The object of this kind, namespace and name.
    pub fn find(&self, kind: &str, namespace: &str, name: &str) -> Known<ObjectId> {
        let key = (kind.to_owned(), namespace.to_owned(), name.to_owned());
        if let Some(id) = self.by_name.get(&key) {
            return Known::Present(*id);
        }
        if self.coverage.is_complete(kind, namespace) || self.coverage.missing.contains(&key) {
            return Known::Absent;
        }
        Known::Unknown(match self.coverage.refused.get(kind) {
            Some(why) => why.clone(),
            None if self.live.is_some() => format!("objects of kind {kind} were not read"),
            None => format!("{kind} objects that are not in the files may exist in the cluster"),
        })
    }

    /// Whether the objects of this kind in this namespace are all in the snapshot; else why not.
    pub fn has_all(&self, kind: &str, namespace: &str) -> Result<(), String> {
        match self.find(kind, namespace, "") {
            Known::Unknown(why) => Err(why),
            Known::Absent | Known::Present(_) => Ok(()),
        }
    }

    /// Where a part of a scalar stands in the text of its file; `range` is in bytes of the scalar's value. None where
    /// that cannot be told: the scalar has escapes, or was folded.
    pub fn span_within(&self, object: ObjectId, scalar: &Node, range: &Range<usize>) -> Option<Span> {
        let object = self.object(object);
        let file = self.file(object.file?);
        let Content::Scalar(value, style) = &scalar.content else { return None };
        if object.kind == BARE_FILE {
            return Some(Span::new(range.start, range.end));
        }
        let source = file.text.get(scalar.span.range())?;
        if *style == Style::Literal {
            return Some(Span::new(
                literal_offset(file, scalar.span, value, range.start)?,
                literal_offset(file, scalar.span, value, range.end)?,
            ));
        }
        // Quotes, or none; with escapes or line breaks the texts differ.
        let inside = source.find(&**value).filter(|at| *at <= 1 && source.len() <= value.len() + 2)?;
        let start = scalar.span.start as usize + inside;
        Some(Span::new(start + range.start, start + range.end))
    }
}

/// Where a byte of a literal block's value stands in the file. The value's lines are the file's, without the indentation.
fn literal_offset(file: &SourceFile, span: Span, value: &str, at: usize) -> Option<usize> {
    let blank = |text: &str| text.split('\n').take_while(|line| line.trim().is_empty()).count();
    let source = &file.text[span.range()];
    // The parser's span may begin behind leading blank lines; the value has them all.
    let first = file.line_of(span.start as usize) + blank(source);
    let first_of_value = blank(value);
    let line_of_value = value.get(..at)?.matches('\n').count();
    let line = (first + line_of_value).checked_sub(first_of_value)?;
    let indentation = |text: &str| text.len() - text.trim_start_matches(' ').len();
    let indent = indentation(&file.text[file.line(first)])
        .checked_sub(indentation(value.split('\n').nth(first_of_value).unwrap_or_default()))?;
    let column = at - value[..at].rfind('\n').map_or(0, |end| end + 1);
    let range = file.line(line);
    Some((range.start + indent + column).min(range.end))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifests::tree;

    #[test]
    fn a_line_inside_a_block_scalar_is_found_in_the_file() {
        for header in ["|", "|-", "|2+"] {
            let text = format!("kind: ConfigMap\ndata:\n  a: {header}\n\n      x: 1\n    y: 22\n\n    z: 3\n")
                .replace(if header == "|2+" { "      x" } else { "\0" }, "      x");
            let text = if header == "|2+" { text } else { text.replace("      x", "    x") };
            let mut snapshot = Snapshot::default();
            let file = snapshot.add_file(SourceFile::new("f", text.clone()));
            let node = tree::parse(&text, 0).unwrap().unwrap();
            let object = Object {
                api_version: "v1".into(),
                kind: "ConfigMap".into(),
                namespace: String::new(),
                name: "c".into(),
                node,
                file: Some(file),
            };
            let id = snapshot.add(object);
            let scalar = snapshot.object(id).node.at("/data/a").unwrap();
            let value = scalar.text().unwrap();
            for word in ["x: 1", "22", "z"] {
                let at = value.find(word).unwrap();
                let span = snapshot.span_within(id, scalar, &(at..at + word.len())).unwrap();
                assert_eq!(&text[span.range()], word, "{header}");
            }
        }
    }

    #[test]
    fn what_was_not_read_is_unknown() {
        let mut snapshot = Snapshot::default();
        assert!(matches!(snapshot.find("Role", "n", "r"), Known::Unknown(_)));
        snapshot.coverage.complete("Role", "n");
        assert_eq!(snapshot.find("Role", "n", "r"), Known::Absent);
        assert!(matches!(snapshot.find("Role", "m", "r"), Known::Unknown(_)));
        snapshot.coverage.refused("Role", "forbidden");
        assert_eq!(snapshot.find("Role", "m", "r"), Known::Unknown("forbidden".into()));
    }
}
