//! `cargo xtask soak`: what is worth more time than every change can have.

use std::process::ExitCode;

use anyhow::Result;

use crate::{process, test};

/// Give each parser, and the doctor's rules, random texts for a long time.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// For how many seconds each.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let mut fuzz = process::cargo(&["test", "--test", "doctor", "fuzz::"])?;
    process::run(fuzz.env(test::FUZZ, args.seconds.to_string()))?;
    Ok(ExitCode::SUCCESS)
}
