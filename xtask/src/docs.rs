//! `cargo xtask docs`: writes docs/rules and docs/troubleshooting.md from the documentation that the rules of the doctor carry.
//!
//! That the pages are up to date is a test of the program (tests/doctor/docs.rs).

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::process;

/// Write docs/rules, a page for each rule of the doctor and the list of them, and docs/troubleshooting.md.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> Result<ExitCode> {
    let program = process::build(false)?;
    let say = |arguments: &[&str]| process::output(Command::new(&program).args(arguments));
    let rules: serde_json::Value = serde_json::from_str(&say(&["rules", "-o", "json"])?)?;
    let mut pages = BTreeMap::from([("README.md".to_owned(), say(&["rules", "-o", "markdown"])?)]);
    for rule in rules.as_array().context("no list of rules")? {
        let code = rule["code"].as_str().context("a rule without a code")?;
        pages.insert(format!("{code}.md"), say(&["explain", code, "-o", "markdown"])?);
    }
    let folder = process::root()?.join("docs/rules");
    write(&folder, &pages)?;
    fs::write(process::root()?.join("docs/troubleshooting.md"), say(&["rules", "-o", "log-lines"])?)?;
    println!("{} pages in {}, and docs/troubleshooting.md", pages.len(), folder.display());
    Ok(ExitCode::SUCCESS)
}

/// Writes the pages, and removes those of rules that are gone.
fn write(folder: &Path, pages: &BTreeMap<String, String>) -> Result<()> {
    fs::create_dir_all(folder)?;
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if !pages.contains_key(&*entry.file_name().to_string_lossy()) {
            fs::remove_file(entry.path())?;
        }
    }
    for (name, text) in pages {
        fs::write(folder.join(name), text)?;
    }
    Ok(())
}
