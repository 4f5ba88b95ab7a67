//! The pages in docs/rules are those of the program. `cargo xtask docs` writes them.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use kubectl_flink::commands::{explain, rules};
use kubectl_flink::doctor::rules::ALL;

#[test]
fn the_pages_are_what_the_program_says() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules");
    let mut pages: BTreeMap<String, String> =
        ALL.iter().map(|rule| (format!("{}.md", rule.code), explain::page(rule))).collect();
    pages.insert("README.md".to_owned(), rules::index(ALL));
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(&folder).unwrap().map(Result::unwrap) {
        found.insert(entry.file_name().into_string().unwrap(), fs::read_to_string(entry.path()).unwrap());
    }
    let troubleshooting = "../troubleshooting.md".to_owned();
    found.insert(troubleshooting.clone(), fs::read_to_string(folder.join(&troubleshooting)).unwrap_or_default());
    pages.insert(troubleshooting, explain::log_line_table(ALL));
    let names = found.keys().chain(pages.keys());
    let wrong: Vec<&String> = names.filter(|name| found.get(*name) != pages.get(*name)).collect();
    assert!(wrong.is_empty(), "to be written anew by `cargo xtask docs`: {wrong:?}");
}
