//! Writes the pages that are made from the program itself: `docs/rules/`, `docs/troubleshooting.md`, `docs/commands/`, `docs/man/`.
//!
//! A program of its own, so that `cargo xtask` does not wait for the whole library to be compiled before it starts.

mod help;
mod man;
mod markdown;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kubectl_flink::commands::{explain, rules};
use kubectl_flink::doctor::rules::ALL;

/// Where nothing is but generated pages.
const FOLDERS: [&str; 3] = ["rules", "commands", "man"];

/// Each page, by its path in `docs/`.
type Pages = BTreeMap<PathBuf, String>;

fn main() -> Result<()> {
    let (docs, pages) = (docs(), generate()?);
    for path in written(&docs)?.keys().filter(|path| !pages.contains_key(*path)) {
        fs::remove_file(docs.join(path))?;
    }
    for (path, text) in &pages {
        let path = docs.join(path);
        fs::create_dir_all(path.parent().context("a page without a folder")?)?;
        fs::write(path, text)?;
    }
    Ok(())
}

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs")
}

/// The pages as they should be.
fn generate() -> Result<Pages> {
    let mut pages = Pages::from([
        ("troubleshooting.md".into(), explain::log_line_table(ALL)),
        ("rules/README.md".into(), rules::index(ALL)),
    ]);
    for rule in ALL {
        pages.insert(format!("rules/{}.md", rule.code).into(), explain::page(rule));
    }
    let commands = help::commands();
    pages.insert("commands/README.md".into(), markdown::index(&commands));
    for command in &commands {
        if !command.is_program {
            pages.insert(format!("commands/{}.md", command.short_name()).into(), markdown::page(command));
        }
        pages.insert(format!("man/{}.1", command.page_name()).into(), man::page(command)?);
    }
    Ok(pages)
}

/// The pages as they are, those of what is gone among them.
fn written(docs: &Path) -> Result<Pages> {
    let mut paths = vec![PathBuf::from("troubleshooting.md")];
    for folder in FOLDERS.into_iter().filter(|folder| docs.join(folder).is_dir()) {
        for entry in fs::read_dir(docs.join(folder))? {
            paths.push(Path::new(folder).join(entry?.file_name()));
        }
    }
    paths.retain(|path| docs.join(path).exists());
    paths
        .into_iter()
        .map(|path| {
            let text = fs::read_to_string(docs.join(&path)).with_context(|| path.display().to_string())?;
            Ok((path, text))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_pages_are_what_the_program_says() {
        let (written, pages) = (written(&docs()).unwrap(), generate().unwrap());
        let paths = written.keys().chain(pages.keys());
        let wrong: BTreeSet<&PathBuf> = paths.filter(|path| written.get(*path) != pages.get(*path)).collect();
        assert!(wrong.is_empty(), "to be written anew by `cargo xtask docs`: {wrong:?}");
    }
}
