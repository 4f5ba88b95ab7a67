//! `cargo xtask probe`: compiles plugin/probe/StorageProbe.java, with the sum of the source in it. Needs a JDK, 8 to 25.
//!
//! That the class belongs to the source is a test of the program (`cluster::probe::tests`).

use std::fs;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};

use crate::process;

/// Compile the class that looks at files with Flink's file systems (plugin/probe).
#[derive(Debug, clap::Args)]
pub(crate) struct Args {}

pub(crate) fn run(_: &Args) -> Result<ExitCode> {
    let folder = process::root()?.join("plugin/probe");
    let source = folder.join("StorageProbe.java");
    let sum = process::output(Command::new("sha256sum").arg(&source))?;
    let sum = sum.split(' ').next().context("sha256sum said nothing")?;
    let work = process::cache()?.join("probe");
    fs::create_dir_all(&work)?;
    let stamped = work.join("StorageProbe.java");
    fs::write(&stamped, fs::read_to_string(&source)?.replace("@SOURCE@", sum))?;
    // Java 8 is the oldest that a Flink image has. No debug information: the class goes into a pod's environment.
    let options = ["--release", "8", "-Xlint:all,-options", "-Werror", "-g:none", "-d"];
    process::run(Command::new("javac").args(options).arg(&folder).arg(&stamped))?;
    println!("{}", folder.join("StorageProbe.class").display());
    Ok(ExitCode::SUCCESS)
}
