//! `cargo xtask docs`: writes the pages that are made from the program itself.
//!
//! The program that does it is a package of its own, for it needs the whole library (`xtask/docs`). Its test says whether the
//! pages are up to date.

use std::process::ExitCode;

use anyhow::Result;

use crate::process;

/// Write docs/rules and docs/troubleshooting.md from the doctor's rules, docs/commands and docs/man from the help.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> Result<ExitCode> {
    process::run(&mut process::cargo(&["run", "--quiet", "--package", "xtask-docs"])?)?;
    println!("docs/rules, docs/troubleshooting.md, docs/commands and docs/man are up to date");
    Ok(ExitCode::SUCCESS)
}
