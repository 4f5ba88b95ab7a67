//! What holds for every rule.

use std::collections::BTreeSet;
use std::fs;

use kubectl_flink::doctor::rule::Rule;
use kubectl_flink::doctor::rules::ALL;
use kubectl_flink::doctor::snapshot::SourceFile;
use kubectl_flink::doctor::source;

use crate::fixtures::{Run, expected, expected_skips, inputs, root, source_of};

/// Set to a code, only that rule's fixtures are run.
const ONLY: &str = "KUBECTL_FLINK_RULE";

fn selected() -> Vec<&'static Rule> {
    let only = std::env::var(ONLY).ok();
    ALL.iter().copied().filter(|rule| only.as_deref().is_none_or(|only| only == rule.code)).collect()
}

#[test]
fn fixtures() {
    let mut wrong = Vec::new();
    for rule in selected() {
        for (name, files) in inputs(rule.code) {
            let (expected, skips) = (expected(&files), expected_skips(&files));
            let run = Run::new(files, name.ends_with(".live.yaml"));
            let found = run.found();
            for missing in expected.difference(&found) {
                wrong.push(format!("{}/{name}: not found: {missing:?}", rule.code));
            }
            for extra in found.difference(&expected) {
                wrong.push(format!("{}/{name}: not expected: {extra:?}", rule.code));
            }
            let own = found.iter().any(|(_, _, code)| code == rule.code);
            if name.starts_with("fail") != own {
                wrong.push(format!("{}/{name}: its own finding: {own}", rule.code));
            }
            let skipped: BTreeSet<String> = run.skipped().iter().map(|skip| skip.code.to_owned()).collect();
            for code in skips.difference(&skipped) {
                wrong.push(format!("{}/{name}: {code} did not say that it could not check", rule.code));
            }
            for finding in run.findings() {
                if finding.help.is_empty() || finding.message.ends_with('.') || finding.help.ends_with('.') {
                    wrong.push(format!("{}/{name}: {:?} / {:?}", rule.code, finding.message, finding.help));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_rule_has_a_file_fixtures_and_documentation() {
    let mut wrong = Vec::new();
    for rule in ALL {
        if !source_of(rule.code, rule.name, rule.group).is_file() {
            wrong.push(format!("{}: no {}", rule.code, source_of(rule.code, rule.name, rule.group).display()));
        }
        for start in ["fail", "pass"] {
            if !inputs(rule.code).iter().any(|(name, _)| name.starts_with(start)) {
                wrong.push(format!("{}: no {start} fixture", rule.code));
            }
        }
        let text = rule.text();
        for heading in ["## Why it matters", "## Fix"] {
            if !text.contains(heading) {
                wrong.push(format!("{}: no {heading:?}", rule.code));
            }
        }
        if rule.summary().ends_with('.') || rule.summary().len() > 100 {
            wrong.push(format!("{}: summary {:?}", rule.code, rule.summary()));
        }
        if !rule.live && rule.code != "FLK007" && !text.contains("## Example") {
            wrong.push(format!("{}: no example", rule.code));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn codes_and_names_are_unique_and_in_order() {
    let codes: Vec<&str> = ALL.iter().map(|rule| rule.code).collect();
    assert!(codes.is_sorted_by(|a, b| a < b), "{codes:?}");
    let names: BTreeSet<&str> = ALL.iter().map(|rule| rule.name).collect();
    assert_eq!(names.len(), ALL.len());
    for rule in ALL {
        let first = rule.group as usize;
        assert!(rule.code.starts_with(&format!("FLK{first}")), "{} is not of group {}", rule.code, rule.group.name());
    }
}

#[test]
fn every_file_and_every_fixture_is_a_rules() {
    let sources = fs::read_dir(root().join("../../src/doctor/rules")).unwrap();
    let mut files = BTreeSet::new();
    for folder in sources.map(|entry| entry.unwrap().path()).filter(|path| path.is_dir()) {
        files.extend(fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()));
    }
    files.retain(|name| name.starts_with("flk"));
    let rules: BTreeSet<String> =
        ALL.iter().map(|rule| format!("{}_{}.rs", rule.code.to_lowercase(), rule.name.replace('-', "_"))).collect();
    assert_eq!(files, rules);
    let folders = fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let folders: BTreeSet<String> = folders.filter(|name| name.starts_with("FLK")).collect();
    let codes: BTreeSet<String> = ALL.iter().map(|rule| rule.code.to_owned()).collect();
    assert_eq!(folders, codes);
}

/// Six files as a guide has them that many people follow, with the mistakes that it has, and no other finding.
#[test]
fn the_guides_mistakes() {
    let files = source::gather(&[root().join("guide")]).unwrap();
    let expected = expected(&files);
    assert_eq!(Run::new(files, false).found(), expected);
}

/// The fenced blocks under `## Example`, those before `Use instead:` and those after it. A block's file name stands behind
/// its language: "```yaml config.yaml".
fn examples(rule: &Rule) -> (Vec<SourceFile>, Vec<SourceFile>) {
    let text = rule.text();
    let example = text.split("## Example").nth(1).unwrap_or_default();
    let example = example.split("\n## ").next().unwrap_or_default();
    let (bad, good) = example.split_once("Use instead:").unwrap_or((example, ""));
    (blocks(bad), blocks(good))
}

fn blocks(text: &str) -> Vec<SourceFile> {
    let mut files = Vec::new();
    for part in text.split("```").skip(1).step_by(2) {
        let (header, body) = part.split_once('\n').unwrap_or((part, ""));
        if header.starts_with("text") {
            continue;
        }
        let name = header.split_once(' ').map_or("manifest.yaml", |(_, name)| name.trim());
        files.push(SourceFile::new(name, body));
    }
    files
}

#[test]
fn examples_are_what_they_say() {
    let mut wrong = Vec::new();
    for rule in selected() {
        let (bad, good) = examples(rule);
        if bad.is_empty() {
            continue;
        }
        let codes = |files| -> BTreeSet<String> {
            Run::new(files, rule.live).found().into_iter().map(|(_, _, code)| code).collect()
        };
        let found = codes(bad);
        if !found.contains(rule.code) {
            wrong.push(format!("{}: the bad example has {found:?}", rule.code));
        }
        if good.is_empty() || codes(good).contains(rule.code) {
            wrong.push(format!("{}: the good example is missing, or no better", rule.code));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
