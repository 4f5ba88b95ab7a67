//! `.kubectl-flink.yaml`: severities, and what is accepted, for a whole repository.

use std::fs;
use std::path::{Path, PathBuf};

use jiff::civil::Date;

use super::By;
use super::marks::{Mark, Scope};
use super::select;
use crate::doctor::place::{Location, Place};
use crate::doctor::rule::{Rule, Severity};
use crate::doctor::rules;
use crate::doctor::snapshot::{Object, Snapshot};
use crate::error::{Error, Result};
use crate::manifests::tree::{self, Node, Span};

/// The name of the file.
pub const FILE: &str = ".kubectl-flink.yaml";

/// What a file of settings says.
#[derive(Debug, Default)]
pub struct Settings {
    /// Its name and its text.
    pub file: Option<(String, String)>,
    severities: Vec<(Vec<&'static Rule>, Severity)>,
    ignores: Vec<Ignore>,
}

#[derive(Debug)]
struct Ignore {
    rules: Vec<&'static Rule>,
    code: String,
    filter: Filter,
    reason: String,
    until: Option<Date>,
    span: Span,
}

/// Which findings an entry of `ignore` accepts; what is not given takes all.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    kind: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
    path: Option<String>,
}

impl Filter {
    /// Whether a finding in this object and place is taken.
    pub fn matches(&self, object: &Object, location: &Location) -> bool {
        let is = |wanted: &Option<String>, found: &str| wanted.as_ref().is_none_or(|wanted| glob(wanted, found));
        let kind = self.kind.as_ref().is_none_or(|kind| kind.eq_ignore_ascii_case(&object.kind));
        let path = self.path.as_ref().is_none_or(|path| {
            let file = location.file.as_deref().unwrap_or_default().replace('\\', "/");
            let file = file.trim_start_matches("./");
            !file.is_empty() && (glob(path, file) || glob(&format!("**/{path}"), file))
        });
        kind && path && is(&self.namespace, &object.namespace) && is(&self.name, &object.name)
    }
}

/// `*` stands for anything but a slash, `**` for anything, `?` for one character.
pub fn glob(pattern: &str, text: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return text.is_empty() };
    let rest = &pattern[first.len_utf8()..];
    let after = |text: &str| text.chars().next().map(|c| (c, text[c.len_utf8()..].to_owned()));
    if let Some(rest) = pattern.strip_prefix("**") {
        // `**/x` is also x at the top.
        let rest_of_folder = rest.strip_prefix('/');
        let ends = text.char_indices().map(|(at, _)| at).chain([text.len()]);
        return rest_of_folder.is_some_and(|rest| glob(rest, text))
            || ends.into_iter().any(|at| glob(rest, &text[at..]));
    }
    match first {
        '*' => {
            let end = text.find('/').unwrap_or(text.len());
            let ends = text[..end].char_indices().map(|(at, _)| at).chain([end]);
            ends.into_iter().any(|at| glob(rest, &text[at..]))
        }
        '?' => after(text).is_some_and(|(c, text)| c != '/' && glob(rest, &text)),
        _ => after(text).is_some_and(|(c, text)| c == first && glob(rest, &text)),
    }
}

impl Settings {
    /// Reads the file that the user names, or the next one: here or in a folder above, up to the top of the repository.
    ///
    /// # Errors
    /// It cannot be read, or says what cannot be.
    pub fn find(named: Option<&Path>) -> Result<Self> {
        let path = match named {
            Some(path) => path.to_owned(),
            None => match std::env::current_dir().ok().as_deref().and_then(next_file) {
                Some(path) => path,
                None => return Ok(Settings::default()),
            },
        };
        let text = fs::read_to_string(&path)
            .map_err(|error| Error::usage(format!("cannot read {}: {error}", path.display())))?;
        Settings::read(&path.to_string_lossy(), &text)
    }

    /// Reads a text.
    ///
    /// # Errors
    /// It says what cannot be; the error names the line.
    pub fn read(name: &str, text: &str) -> Result<Self> {
        let reader = Reader { name, text };
        let mut settings = Settings { file: Some((name.to_owned(), text.to_owned())), ..Settings::default() };
        let tree = tree::parse(text, 0)
            .map_err(|error| reader.wrong(error.at, &format!("not valid YAML: {}", error.message)))?;
        let Some(tree) = tree.filter(|tree| !tree.is_null()) else { return Ok(settings) };
        if tree.entries().is_empty() {
            return Err(reader.wrong(tree.span.start as usize, "this needs severities and ignore"));
        }
        for (key, value) in tree.entries() {
            match key.text().unwrap_or_default() {
                "severities" => {
                    for (code, severity) in value.entries() {
                        let rules = reader.rules(code)?;
                        settings.severities.push((rules, reader.severity(severity)?));
                    }
                }
                "ignore" => {
                    for item in value.items() {
                        settings.ignores.push(reader.ignore(item)?);
                    }
                    if value.items().is_empty()
                        && !value.is_null()
                        && !matches!(value.content, tree::Content::Sequence(_))
                    {
                        return Err(reader.at(value, "ignore is a list of entries with code and reason"));
                    }
                }
                other => {
                    return Err(reader.at(key, &format!("there is no setting {other:?}: severities and ignore are")));
                }
            }
        }
        Ok(settings)
    }

    /// The severity that the user gives to a rule's findings; of several entries the last.
    pub fn severity(&self, rule: &Rule) -> Option<Severity> {
        let of = |(rules, _): &&(Vec<&'static Rule>, Severity)| rules.iter().any(|one| one.code == rule.code);
        self.severities.iter().rev().find(of).map(|(_, severity)| *severity)
    }

    /// What is accepted; `file` is the number of the file of these settings.
    pub(super) fn marks(&self, file: Option<usize>) -> Vec<Mark> {
        let object = file.map_or(Snapshot::nowhere(), Snapshot::file_object);
        let mark = |ignore: &Ignore, rule: &'static Rule| Mark {
            code: rule.code.to_owned(),
            rule: Some(rule),
            reason: ignore.reason.clone(),
            until: ignore.until,
            scope: Scope::Matching(ignore.filter.clone()),
            by: By::Config,
            place: Place::within(object, "", ignore.span.range()),
        };
        let unknown = |ignore: &Ignore| Mark {
            code: ignore.code.clone(),
            rule: None,
            reason: ignore.reason.clone(),
            until: ignore.until,
            scope: Scope::Nothing,
            by: By::Config,
            place: Place::within(object, "", ignore.span.range()),
        };
        let all = self.ignores.iter().flat_map(|ignore| {
            let known = ignore.rules.iter().map(|rule| mark(ignore, rule));
            known.chain(ignore.rules.is_empty().then(|| unknown(ignore))).collect::<Vec<_>>()
        });
        all.collect()
    }
}

/// The next file of settings.
fn next_file(folder: &Path) -> Option<PathBuf> {
    for folder in folder.ancestors() {
        let file = folder.join(FILE);
        if file.is_file() {
            // As short as people would write it.
            let here = std::env::current_dir().ok();
            let short = here.and_then(|here| file.strip_prefix(here).ok().map(Path::to_owned));
            return Some(short.unwrap_or(file));
        }
        if folder.join(".git").exists() {
            return None;
        }
    }
    None
}

struct Reader<'a> {
    name: &'a str,
    text: &'a str,
}

impl Reader<'_> {
    fn wrong(&self, at: usize, message: &str) -> Error {
        let (line, column) = tree::line_and_column(self.text, at);
        Error::usage(format!("{}:{line}:{column}: {message}", self.name))
    }

    fn at(&self, node: &Node, message: &str) -> Error {
        self.wrong(node.span.start as usize, message)
    }

    fn rules(&self, node: &Node) -> Result<Vec<&'static Rule>> {
        let name = node.text().unwrap_or_default();
        select::check(name).map_err(|error| {
            let hints = error.hints.clone();
            let error = self.at(node, &error.message);
            hints.into_iter().fold(error, Error::hint)
        })
    }

    fn severity(&self, node: &Node) -> Result<Severity> {
        match node.text().unwrap_or_default() {
            "error" => Ok(Severity::Error),
            "warning" => Ok(Severity::Warning),
            "info" => Ok(Severity::Info),
            other => Err(self
                .at(node, &format!("{other:?} is no severity: error, warning and info are"))
                .hint("to accept what a rule finds, use ignore")),
        }
    }

    fn ignore(&self, item: &Node) -> Result<Ignore> {
        let mut filter = Filter::default();
        let (mut code, mut reason, mut until) = (None, String::new(), None);
        for (key, value) in item.entries() {
            let text = || match value.text() {
                Some(text) if !text.trim().is_empty() => Ok(text.trim().to_owned()),
                _ => Err(self.at(key, "this needs a text")),
            };
            match key.text().unwrap_or_default() {
                "code" => code = Some(value),
                "kind" => filter.kind = Some(text()?),
                "namespace" => filter.namespace = Some(text()?),
                "name" => filter.name = Some(text()?),
                "path" => filter.path = Some(text()?),
                "reason" => reason = text()?,
                "until" => {
                    let date = text()?.parse::<Date>();
                    let date = date.map_err(|_| self.at(value, "this is no date: write 2027-01-31"))?;
                    until = Some(date);
                }
                other => {
                    let known = "code, kind, namespace, name, path, reason and until are";
                    return Err(self.at(key, &format!("there is no {other:?} in an entry of ignore: {known}")));
                }
            }
        }
        let code = code.ok_or_else(|| self.at(item, "this entry has no code"))?;
        let name = code.text().unwrap_or_default();
        // A code that is gone must not stop a pipeline: FLK005 says so. A reason that is missing is the writer's to add.
        if reason.is_empty() {
            return Err(self.at(code, &format!("this entry for {name} has no reason")).hint("say why it is accepted"));
        }
        let rules = match rules::find(name) {
            Some(rule) => vec![rule],
            None => select::check(name).unwrap_or_default(),
        };
        Ok(Ignore { rules, code: name.to_owned(), filter, reason, until, span: code.span })
    }
}
