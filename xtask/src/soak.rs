//! `cargo xtask soak`: what is worth more time than every change can have.

use std::process::ExitCode;

use anyhow::Result;

use crate::testbed::{Testbed, Tier};
use crate::{bench, process, test};

/// Give each parser, and the doctor's rules, random texts for a long time; run many races of clean-ha against JobManagers
/// that start; and let it look at very many ConfigMaps.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// For how many seconds each.
    #[arg(long, default_value_t = 600)]
    seconds: u64,
    /// How many races.
    #[arg(long, default_value_t = 1000)]
    races: u64,
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let mut fuzz = process::cargo(&["test", "--test", "doctor", "fuzz::"])?;
    process::run(fuzz.env(test::FUZZ, args.seconds.to_string()))?;
    let bed = Testbed::hold("soak")?;
    let done = bed.up(Tier::ControlPlane, &[], false).and_then(|()| on_testbed(args, &bed));
    bed.down()?;
    done.map(|()| ExitCode::SUCCESS)
}

fn on_testbed(args: &Args, bed: &Testbed) -> Result<()> {
    let mut races = process::cargo(&["test", "--test", "e2e", "races::"])?;
    process::run(races.envs(bed.environment(Tier::ControlPlane)?).env(test::RACES, args.races.to_string()))?;
    bench::clean_ha(bed)
}
