//! Texts that nobody would write: no parser and no rule may panic on them, and places stay inside the text.
//!
//! Each test goes on for `KUBECTL_FLINK_FUZZ` seconds (`cargo xtask test` sets 15, `cargo xtask soak` ten minutes), else for
//! one. What it finds is made small by proptest and printed; it becomes a test beside the parser.

use std::fs;
use std::time::{Duration, Instant};

use kubectl_flink::doctor::snapshot::SourceFile;
use kubectl_flink::doctor::{engine, model::Model, place, rules::ALL, snapshot::Snapshot, source};
use kubectl_flink::flink::config::{Configuration, FILE, LEGACY_FILE};
use kubectl_flink::flink::properties;
use kubectl_flink::manifests::tree;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::fixtures::root;

/// Words with a meaning to one of the parsers.
const WORDS: &[&str] = &[
    "\n",
    "\n",
    "\n  ",
    " ",
    "\t",
    "\r\n",
    "\r",
    ":",
    ": ",
    "- ",
    "? ",
    "#",
    " # x",
    "'",
    "\"",
    "\\",
    "\\u00",
    "\\\n",
    "|",
    "|2-",
    ">",
    "{",
    "}",
    "[",
    "]",
    ",",
    "&a ",
    "*a",
    "<<: *a",
    "!!str ",
    "---",
    "\n---\n",
    "...",
    "%YAML 1.2\n",
    "~",
    "null",
    "yes",
    "0x1f",
    "0o7",
    "1e309",
    "-",
    "=",
    "a",
    "a.b",
    "kind: ConfigMap\n",
    "apiVersion: v1\n",
    "metadata:\n  name: x\n",
    "data:\n",
    "spec:\n",
    "config.yaml: |\n",
    "flink-conf.yaml: |\n",
    "log4j-console.properties: |\n",
    "appender.x.type = Y \n",
    "high-availability.type: kubernetes\n",
    "\u{a0}",
    "\u{feff}",
    "\u{2028}",
    "é",
    "🦀",
    "\0",
];

fn seconds() -> Duration {
    let seconds = std::env::var("KUBECTL_FLINK_FUZZ").ok().and_then(|text| text.parse().ok());
    Duration::from_secs(seconds.unwrap_or(1))
}

/// The files of all fixtures, to be cut up.
fn corpus() -> Vec<String> {
    let mut texts = Vec::new();
    let mut folders = vec![root()];
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|ext| ext == "yaml" || ext == "properties") {
                texts.push(fs::read_to_string(path).unwrap());
            }
        }
    }
    texts.sort();
    assert!(!texts.is_empty());
    texts
}

/// Words in any order; a fixture with words at any place instead of any part; anything at all.
fn texts() -> impl Strategy<Value = String> {
    let corpus = corpus();
    let words = || prop::collection::vec(prop::sample::select(WORDS), 0..40).prop_map(|words| words.concat());
    let cut = (prop::sample::select(corpus), any::<prop::sample::Index>(), any::<prop::sample::Index>(), words())
        .prop_map(|(text, from, to, words)| {
            let at = |index: prop::sample::Index| {
                let at = index.index(text.len() + 1);
                (0..=at).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0)
            };
            let (from, to) = (at(from), at(to));
            // Most cuts are short: a long one leaves nothing of what is interesting.
            let to = (from.max(to)).min(from + 30);
            let to = (from..=to).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(from);
            format!("{}{words}{}", &text[..from], &text[to..])
        });
    prop_oneof![3 => words(), 6 => cut, 1 => any::<String>()]
}

fn fuzz(check: impl Fn(&str)) {
    let deadline = Instant::now() + seconds();
    let texts = texts();
    while Instant::now() < deadline {
        let config = Config { cases: 200, failure_persistence: None, ..Config::default() };
        let run = TestRunner::new(config).run(&texts, |text| {
            check(&text);
            Ok(())
        });
        if let Err(failure) = run {
            panic!("{failure}");
        }
    }
}

#[test]
fn yaml() {
    fuzz(|text| {
        for document in tree::split(text) {
            assert!(text[document.offset..].starts_with(document.text));
            match tree::parse(document.text, document.offset) {
                Ok(Some(node)) => {
                    inside(&node, text);
                    node.to_json();
                    let again = tree::Node::of_json(&node.to_json());
                    assert_eq!(again.to_json(), node.to_json());
                }
                Ok(None) => {}
                Err(error) => {
                    tree::line_and_column(text, error.at);
                }
            }
        }
    });
}

/// Every node's place is a part of the text.
fn inside(node: &tree::Node, text: &str) {
    assert!(text.get(node.span.range()).is_some(), "{:?}", node.span);
    for (key, value) in node.entries() {
        inside(key, text);
        inside(value, text);
    }
    node.items().iter().for_each(|item| inside(item, text));
}

#[test]
fn flink_configuration() {
    fuzz(|text| {
        let legacy = Configuration::read("f", LEGACY_FILE, text).unwrap();
        assert!(legacy.iter().all(|(key, value)| !key.is_empty() && !value.is_empty()));
    });
}

#[test]
fn config_yaml() {
    fuzz(|text| {
        let _ = Configuration::read("f", FILE, text);
    });
}

#[test]
fn log4j_properties() {
    fuzz(|text| {
        for property in properties::read(text) {
            assert!(text.get(property.key_range).is_some() && text.get(property.value_range).is_some());
        }
    });
}

#[test]
fn rules() {
    fuzz(|text| {
        for name in ["manifest.yaml", "config.yaml", "flink-conf.yaml", "log4j-console.properties"] {
            let mut snapshot = Snapshot::default();
            source::load(&mut snapshot, vec![SourceFile::new(name, text)], "");
            let model = Model::new(&snapshot);
            let outcome = engine::run(&snapshot, &model, ALL);
            assert_eq!(outcome.failed, []);
            for finding in &outcome.findings {
                place::locate(&snapshot, &finding.place);
            }
        }
    });
}
