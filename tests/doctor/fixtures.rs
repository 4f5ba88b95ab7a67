//! Reads fixtures and runs all rules on them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use kubectl_flink::doctor::control::settings::{FILE as SETTINGS, Settings};
use kubectl_flink::doctor::control::{Control, ControlArgs, Controlled};
use kubectl_flink::doctor::engine::{self, Skipped};
use kubectl_flink::doctor::finding::Finding;
use kubectl_flink::doctor::live::LiveFacts;
use kubectl_flink::doctor::model::Model;
use kubectl_flink::doctor::place;
use kubectl_flink::doctor::rule::{Check, Group, Input, Rule, Severity};
use kubectl_flink::doctor::rules::ALL;
use kubectl_flink::doctor::snapshot::{Snapshot, SourceFile};
use kubectl_flink::doctor::source;

/// A finding as fixtures name it: file, line from 1, code.
pub(crate) type Found = (String, usize, String);

/// What came of an input.
pub(crate) struct Run {
    pub(crate) snapshot: Snapshot,
    pub(crate) model: Model,
    pub(crate) controlled: Controlled,
}

/// The rule that fails, for inputs with a line `#~ panic`.
static PANICS: Rule = Rule {
    code: "FLK999",
    name: "panics",
    group: Group::Input,
    severity: Severity::Error,
    inputs: &[],
    live: false,
    transient: false,
    doc: "Panics",
    check: |_: &mut Check<'_>| panic!("as it was told to"),
};
const PANIC: &str = "#~ panic";

impl Run {
    /// Runs all rules on these files.
    pub(crate) fn new(files: Vec<SourceFile>, live: bool) -> Run {
        let mut snapshot = Snapshot::default();
        let unknown: BTreeSet<String> = files
            .iter()
            .flat_map(|file| file.text.lines())
            .filter_map(|line| line.trim().strip_prefix("#~ unknown:"))
            .flat_map(|kinds| kinds.split_whitespace().map(str::to_owned))
            .collect();
        let panics = files.iter().any(|file| file.text.contains(PANIC));
        let (settings, files): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.name.ends_with(SETTINGS));
        let settings =
            settings.first().map_or(Settings::default(), |file| Settings::read(&file.name, &file.text).unwrap());
        let control = Control::with(&ControlArgs::default(), settings, "2026-01-01".parse().unwrap()).unwrap();
        source::load(&mut snapshot, files, "");
        if live {
            snapshot.live = Some(LiveFacts { now: "2026-01-01T00:00:00Z".parse().unwrap() });
            let inputs = ALL.iter().flat_map(|rule| rule.inputs).copied().chain([Input::Rbac]);
            for kind in inputs.flat_map(Input::kinds) {
                match unknown.contains(*kind) {
                    true => snapshot.coverage.refused(kind, format!("{kind} objects may not be read")),
                    false => snapshot.coverage.complete(kind, "*"),
                }
            }
        }
        let model = Model::new(&snapshot);
        let mut rules = control.rules();
        rules.extend(panics.then_some(&PANICS));
        let outcome = engine::run(&snapshot, &model, &rules);
        assert_eq!(outcome.failed.is_empty(), !panics, "{:?}", outcome.failed);
        assert_eq!(outcome.undeclared, [], "a rule read what it did not declare");
        let controlled = control.apply(&mut snapshot, outcome);
        Run { snapshot, model, controlled }
    }

    /// What nobody accepted.
    pub(crate) fn findings(&self) -> impl Iterator<Item = &Finding> {
        self.controlled.findings.iter().filter(|one| one.suppressed.is_none()).map(|one| &one.finding)
    }

    /// What could not be checked.
    pub(crate) fn skipped(&self) -> &[Skipped] {
        &self.controlled.skipped
    }

    /// Where each finding is.
    pub(crate) fn found(&self) -> BTreeSet<Found> {
        let place = |finding: &Finding| {
            let location = place::locate(&self.snapshot, &finding.place);
            (location.file.unwrap_or_default(), location.line.unwrap_or_default(), finding.rule.code.to_owned())
        };
        self.findings().map(place).collect()
    }
}

/// What the comments of the files ask for.
pub(crate) fn expected(files: &[SourceFile]) -> BTreeSet<Found> {
    let mut expected = BTreeSet::new();
    for file in files {
        expected.extend(file.text.contains(PANIC).then(|| (String::new(), 0, "FLK007".to_owned())));
        let mut codes = Vec::new();
        for (number, line) in file.text.lines().enumerate() {
            match line.trim().strip_prefix("#~ ") {
                Some(marker) if marker.starts_with("FLK") => codes.extend(marker.split_whitespace().map(str::to_owned)),
                Some(_) => {}
                None => {
                    expected.extend(codes.drain(..).map(|code| (file.name.clone(), number + 1, code)));
                }
            }
        }
    }
    expected
}

/// The rules that the comments say could not check something.
pub(crate) fn expected_skips(files: &[SourceFile]) -> BTreeSet<String> {
    let lines = files.iter().flat_map(|file| file.text.lines());
    let codes = lines.filter_map(|line| line.trim().strip_prefix("#~ skip:"));
    codes.flat_map(|codes| codes.split_whitespace().map(str::to_owned)).collect()
}

/// The folder of all fixtures.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/doctor")
}

/// The folder of a rule's source.
pub(crate) fn source_of(code: &str, name: &str, group: Group) -> PathBuf {
    let file = format!("{}_{}.rs", code.to_lowercase(), name.replace('-', "_"));
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src/doctor/rules").join(group.name()).join(file)
}

/// The inputs of a rule's folder: name and files.
pub(crate) fn inputs(code: &str) -> Vec<(String, Vec<SourceFile>)> {
    let Ok(folder) = fs::read_dir(root().join(code)) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = folder.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let name = |path: &Path| path.file_name().unwrap().to_string_lossy().into_owned();
    paths
        .into_iter()
        .filter(|path| ["fail", "pass"].iter().any(|start| name(path).starts_with(start)))
        .map(|path| {
            let mut files = source::gather(std::slice::from_ref(&path)).unwrap();
            let settings = path.join(SETTINGS);
            if let Ok(text) = fs::read_to_string(&settings) {
                files.push(SourceFile::new(settings.to_string_lossy(), text));
            }
            (name(&path), files)
        })
        .collect()
}
