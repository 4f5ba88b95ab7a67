//! Project tasks: `cargo xtask test`, `soak`, `demo`, `bench`, `docs`, `probe` and `release`. Each is one file and begins with what it does.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "these programs talk to the developer alone")]

mod bench;
mod demo;
mod docs;
mod probe;
mod process;
mod release;
mod soak;
mod test;
mod testbed;

use std::process::ExitCode;

use clap::Parser;

/// Project tasks.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask")]
enum Task {
    Test(test::Args),
    Demo(demo::Args),
    Bench(bench::Args),
    Docs(docs::Args),
    Probe(probe::Args),
    Release(release::Args),
    Soak(soak::Args),
}

fn main() -> ExitCode {
    let task = Task::parse();
    let done = process::watch_interrupts().and_then(|()| match task {
        Task::Test(args) => Ok(test::run(&args)),
        Task::Demo(args) => demo::run(&args),
        Task::Bench(args) => bench::run(&args),
        Task::Docs(args) => docs::run(&args),
        Task::Probe(args) => probe::run(&args),
        Task::Release(args) => release::run(&args),
        Task::Soak(args) => soak::run(&args),
    });
    match done {
        _ if process::interrupted() => ExitCode::from(130),
        Ok(code) => code,
        Err(error) => {
            eprintln!("xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}
