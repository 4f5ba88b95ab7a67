//! Reads files into a snapshot, as kubectl would read them.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::snapshot::{BARE_FILE, Object, Snapshot, SourceFile};
use crate::error::{Error, Result};
use crate::flink::config::{FILE, LEGACY_FILE};
use crate::flink::properties::is_log4j;
use crate::manifests::tree::{self, Content, Node, ParseError, Span, Style};

/// A document that could not be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    /// The file's number in the snapshot.
    pub file: usize,
    /// What is wrong, and where in the file.
    pub error: ParseError,
}

/// What came of reading files.
#[derive(Debug, Default)]
pub struct Loaded {
    /// How many documents there were.
    pub documents: usize,
    /// Those that could not be read.
    pub unreadable: Vec<Unreadable>,
}

/// The text of `-`, of a file, or of every manifest and configuration file in a folder and those below it, with its name.
///
/// # Errors
/// Something cannot be read, or a folder has nothing in it that is read.
pub fn gather(paths: &[PathBuf]) -> Result<Vec<SourceFile>> {
    gather_with(paths, &mut |_| {})
}

/// The same; `note` is told what in a folder is not read although it looks like something that is.
///
/// # Errors
/// Something cannot be read, or a folder has nothing in it that is read.
pub fn gather_with(paths: &[PathBuf], note: &mut dyn FnMut(String)) -> Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    for path in paths {
        if path.as_os_str() == "-" {
            let mut bytes = Vec::new();
            std::io::stdin().read_to_end(&mut bytes)?;
            files.push(source("<stdin>", bytes)?);
        } else if path.is_dir() {
            let before = files.len();
            gather_folder(path, &mut files, note)?;
            if files.len() == before {
                return Err(Error::usage(format!("{} holds no manifest and no configuration file", path.display()))
                    .hint("read are .yaml, .yml and .json, flink-conf.yaml, config.yaml and log4j*.properties"));
            }
        } else {
            files.push(read(path)?);
        }
    }
    Ok(files)
}

fn read(path: &Path) -> Result<SourceFile> {
    let bytes = fs::read(path).map_err(|e| Error::usage(format!("cannot read {}: {e}", path.display())))?;
    source(&path.to_string_lossy(), bytes)
}

fn gather_folder(folder: &Path, files: &mut Vec<SourceFile>, note: &mut dyn FnMut(String)) -> Result<()> {
    let above = folder.parent().filter(|above| above.join(CHART).is_file());
    if let (Some(chart), true) = (above, folder.ends_with("templates")) {
        let chart = if chart.as_os_str().is_empty() { Path::new(".") } else { chart };
        note(format!(
            "not read: {}: a Helm chart's templates; render them: helm template {} | kubectl flink doctor -f -",
            folder.display(),
            chart.display()
        ));
        return Ok(());
    }
    let unreadable = |e: std::io::Error| Error::usage(format!("cannot read {}: {e}", folder.display()));
    let mut entries: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable)? {
        entries.push(entry.map_err(unreadable)?.path());
    }
    entries.sort();
    let is_chart = entries.iter().any(|path| path.ends_with(CHART));
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        // What begins with a dot is a tool's, not a manifest: `.git`, `.github`, this program's own settings.
        if name.starts_with('.') || is_of_a_tool(&name, is_chart) {
            continue;
        }
        if path.is_dir() {
            gather_folder(&path, files, note)?;
        } else if is_bare(&name) {
            files.push(read(&path)?);
        } else if is_manifest(&name) {
            let file = read(&path)?;
            if has_no_object(&file.text) {
                note(format!("not read: {}: no Kubernetes object", path.display()));
            } else {
                files.push(file);
            }
        }
    }
    Ok(())
}

/// The file that makes a folder a Helm chart.
const CHART: &str = "Chart.yaml";

/// What is no manifest by its name: of Kustomize, Compose, or beside a chart's file of Helm.
fn is_of_a_tool(name: &str, is_chart: bool) -> bool {
    let yaml = is_manifest(name) && !name.to_ascii_lowercase().ends_with("json");
    matches!(name, CHART | "kustomization.yaml" | "kustomization.yml" | "Kustomization")
        || (yaml && (name.starts_with("docker-compose") || (is_chart && name.starts_with("values"))))
}

/// It can be read, has something, and nothing of it begins to be an object.
fn has_no_object(text: &str) -> bool {
    if text.contains("apiVersion") && text.contains("kind") {
        return false;
    }
    let documents: Vec<_> = tree::split(text).iter().map(|one| tree::parse(one.text, one.offset)).collect();
    let is_none = |node: &Node| node.is_null() || (node.get("kind").is_none() && node.get("apiVersion").is_none());
    documents.iter().all(|one| one.as_ref().is_ok_and(|node| node.as_ref().is_none_or(is_none)))
        && documents.iter().flatten().flatten().any(|node| !node.is_null())
}

fn source(name: &str, bytes: Vec<u8>) -> Result<SourceFile> {
    let text = String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        let line = String::from_utf8_lossy(&error.as_bytes()[..at]).matches('\n').count() + 1;
        Error::usage(format!("{name}:{line}: not UTF-8 text"))
    })?;
    Ok(SourceFile::new(name, text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)))
}

fn is_manifest(name: &str) -> bool {
    let extension = Path::new(name).extension().unwrap_or_default();
    extension.eq_ignore_ascii_case("yaml")
        || extension.eq_ignore_ascii_case("yml")
        || extension.eq_ignore_ascii_case("json")
}

/// Flink's own configuration files, by their names.
fn is_bare(name: &str) -> bool {
    name == FILE || name == LEGACY_FILE || is_log4j(name)
}

/// Adds files to a snapshot. `namespace` is that of objects that name none, where the user gave one.
pub fn load(snapshot: &mut Snapshot, files: Vec<SourceFile>, namespace: &str) -> Loaded {
    let mut read = Loaded::default();
    let parsed = parse_all(&files);
    for (file, documents) in files.into_iter().zip(parsed) {
        let name = file.name.clone();
        let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
        let bare = is_bare(last) && !documents.iter().any(|document| matches!(document, Ok(Some(n)) if is_object(n)));
        let length = file.text.len();
        let text = if bare { file.text.clone() } else { String::new() };
        let number = snapshot.add_file(file);
        if bare {
            read.documents += 1;
            let node = Node { span: Span::new(0, length), content: Content::Scalar(text.into(), Style::Literal) };
            let (kind, api_version) = (BARE_FILE.to_owned(), String::new());
            snapshot.add(Object { api_version, kind, namespace: String::new(), name, node, file: Some(number) });
            continue;
        }
        for document in documents {
            match document {
                Ok(None) => {}
                Ok(Some(node)) => {
                    read.documents += 1;
                    add_document(snapshot, &mut read, node, number, namespace);
                }
                Err(mut error) => {
                    read.documents += 1;
                    if is_template(&snapshot.file(number).text, error.at) {
                        "unrendered template: render it first (helm template, hugo)".clone_into(&mut error.message);
                    }
                    read.unreadable.push(Unreadable { file: number, error });
                }
            }
        }
    }
    snapshot.unreadable.extend(read.unreadable.iter().cloned());
    read
}

/// The document that has this byte is a template.
fn is_template(text: &str, at: usize) -> bool {
    let documents = tree::split(text);
    let document = documents.iter().rfind(|document| document.offset <= at);
    document.is_some_and(|document| document.text.contains("{{") && document.text.contains("}}"))
}

fn is_object(node: &Node) -> bool {
    node.get("kind").is_some() && node.get("apiVersion").is_some()
}

type Parsed = Vec<Result<Option<Node>, ParseError>>;

/// Parses every document of every file, on as many threads as the machine has.
fn parse_all(files: &[SourceFile]) -> Vec<Parsed> {
    let mut work: Vec<(usize, tree::Document<'_>)> = Vec::new();
    for (number, file) in files.iter().enumerate() {
        work.extend(tree::split(&file.text).into_iter().map(|document| (number, document)));
    }
    let threads = std::thread::available_parallelism().map_or(1, std::num::NonZero::get).min(work.len() / 64 + 1);
    let parse = |part: &[(usize, tree::Document<'_>)]| -> Parsed {
        part.iter().map(|(_, document)| tree::parse(document.text, document.offset)).collect()
    };
    let chunk = work.len().div_ceil(threads).max(1);
    let results: Vec<Parsed> = std::thread::scope(|scope| {
        let handles: Vec<_> = work.chunks(chunk).map(|part| scope.spawn(move || parse(part))).collect();
        handles.into_iter().map(|handle| handle.join().unwrap_or_default()).collect()
    });
    let mut all: Vec<Parsed> = files.iter().map(|_| Vec::new()).collect();
    for ((number, _), result) in work.iter().zip(results.into_iter().flatten()) {
        all[*number].push(result);
    }
    all
}

/// Adds a document: an object, or a list of them as `kubectl get -o yaml` writes it.
fn add_document(snapshot: &mut Snapshot, read: &mut Loaded, node: Node, file: usize, namespace: &str) {
    if node.is_null() {
        return;
    }
    let kind = node.string_at("/kind").unwrap_or_default().to_owned();
    // A template of OpenShift is a list with gaps, which its parameters fill.
    let list = if kind == "Template" { "objects" } else { "items" };
    if (kind.ends_with("List") || kind == "Template") && node.get(list).is_some() {
        let items = match node.content {
            Content::Mapping(entries) => entries.into_iter().find(|(key, _)| key.text() == Some(list)),
            _ => None,
        };
        if let Some((_, Node { content: Content::Sequence(items), .. })) = items {
            for item in items {
                add_document(snapshot, read, item, file, namespace);
            }
        }
        return;
    }
    if let Some(key) = key_of_no_text(&node) {
        let message = "a key is no text: is it a template that was not rendered?".to_owned();
        read.unreadable.push(Unreadable { file, error: ParseError { message, at: key.span.start as usize } });
        return;
    }
    let at = node.span.start as usize;
    let wrong = |message: &str| Unreadable { file, error: ParseError { message: message.to_owned(), at } };
    let text = |pointer: &str| node.at(pointer).and_then(Node::text).unwrap_or_default().to_owned();
    let (api_version, name) = (text("/apiVersion"), text("/metadata/name"));
    if kind.is_empty() || api_version.is_empty() {
        // Kustomize needs neither in its own file, which is not applied.
        if is_kustomization(&snapshot.file(file).name) {
            return;
        }
        read.unreadable.push(wrong("no Kubernetes object: it needs apiVersion and kind"));
        return;
    }
    let mut own = text("/metadata/namespace");
    if own.is_empty() && !is_cluster_scoped(&kind) {
        namespace.clone_into(&mut own);
    }
    snapshot.add(Object { api_version, kind, namespace: own, name, node, file: Some(file) });
}

fn is_kustomization(file: &str) -> bool {
    let name = file.rsplit(['/', '\\']).next().unwrap_or_default();
    matches!(name, "kustomization.yaml" | "kustomization.yml" | "Kustomization")
}

/// The first key that is a mapping or a list, which YAML allows and Kubernetes does not: `{{ .Values.name }}` is one.
fn key_of_no_text(node: &Node) -> Option<&Node> {
    match &node.content {
        Content::Scalar(..) => None,
        Content::Sequence(items) => items.iter().find_map(key_of_no_text),
        Content::Mapping(entries) => entries.iter().find_map(|(key, value)| {
            if matches!(key.content, Content::Scalar(..)) { key_of_no_text(value) } else { Some(key) }
        }),
    }
}

/// Kinds without a namespace, among those that go with Flink.
pub fn is_cluster_scoped(kind: &str) -> bool {
    matches!(
        kind,
        "Namespace"
            | "Node"
            | "ClusterRole"
            | "ClusterRoleBinding"
            | "PersistentVolume"
            | "StorageClass"
            | "CustomResourceDefinition"
            | "PriorityClass"
            | "ValidatingWebhookConfiguration"
            | "MutatingWebhookConfiguration"
    )
}
