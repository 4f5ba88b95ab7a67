//! One file a command: its flags, its help, its story from top to bottom.

pub mod clean_ha;
pub mod completion;
mod decide;
pub mod doctor;
pub mod down;
pub mod explain;
pub mod render;
pub mod rules;
pub mod status;
pub mod up;
pub mod version;

use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use crate::cluster::ConnectionArgs;
use crate::error::Result;
use crate::output::Ui;

/// Run Apache Flink on Kubernetes: highly available clusters from one command, without Java
#[derive(Debug, Parser)]
#[command(
    name = "kubectl flink",
    bin_name = "kubectl flink",
    version,
    propagate_version = true,
    disable_help_subcommand = true,
    // As kubectl has it: the last one wins.
    args_override_self = true,
    max_term_width = 120,
    after_help = "Flags come after `flink`: kubectl flink --context staging status",
    after_long_help = "\
Examples:
  # A highly available session cluster, in the namespace of the context
  kubectl flink up

  # Who leads, which jobs run, is all well?
  kubectl flink status

  # Flags come after `flink`
  kubectl flink --context staging doctor -n streaming

Exit codes:
  0    fine
  1    not healthy, or findings; with --diff: something would change; of `version`: no server
  2    the command line or a file is wrong; nothing was sent
  3    could not be done, or not be verified
  130  Ctrl-C"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become help text")]
    pub connection: ConnectionArgs,
    /// Say nothing but warnings and errors
    #[arg(short, long, global = true, help_heading = "Output options")]
    pub quiet: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    #[expect(missing_docs, reason = "the help text is the command's own")]
    Up(Box<up::UpArgs>),
    #[expect(missing_docs, reason = "the help text is the command's own")]
    Status(status::StatusArgs),
    #[expect(missing_docs, reason = "the help text is the command's own")]
    Doctor(doctor::DoctorArgs),
    #[expect(missing_docs, reason = "the help text is the command's own")]
    CleanHa(Box<clean_ha::CleanHaArgs>),
    #[expect(missing_docs, reason = "the help text is the command's own")]
    Down(down::DownArgs),
    #[expect(missing_docs, reason = "the help text is the command's own")]
    Render(Box<render::RenderArgs>),
    #[expect(missing_docs, reason = "the help text is the command's own")]
    Explain(explain::ExplainArgs),
    #[expect(missing_docs, reason = "the help text is the command's own")]
    Rules(rules::RulesArgs),
    #[expect(missing_docs, reason = "the help text is the command's own")]
    Completion(completion::CompletionArgs),
    #[expect(missing_docs, reason = "the help text is the command's own")]
    Version(version::VersionArgs),
}

/// `-o` of commands that do something.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Output {
    /// One JSON document.
    Json,
    /// One YAML document.
    Yaml,
    /// A line `kind/name` for each object.
    Name,
}

impl Cli {
    /// Runs the command that was asked for.
    ///
    /// # Errors
    /// What the command's errors are; their kind is the exit code.
    pub async fn run(&self, ui: &Ui) -> Result<()> {
        match &self.command {
            Command::Up(args) => Box::pin(up::run(args, &self.connection, ui)).await,
            Command::Status(args) => status::run(args, &self.connection, ui).await,
            Command::Doctor(args) => Box::pin(doctor::run(args, &self.connection, ui)).await,
            Command::CleanHa(args) => Box::pin(clean_ha::run(args, &self.connection, ui)).await,
            Command::Down(args) => Box::pin(down::run(args, &self.connection, ui)).await,
            Command::Render(args) => render::run(args, &self.connection, ui),
            Command::Explain(args) => explain::run(args, ui),
            Command::Rules(args) => rules::run(args, ui),
            Command::Completion(args) => completion::run(args, ui),
            Command::Version(args) => Box::pin(version::run(args, &self.connection, ui)).await,
        }
    }
}

/// Parses a duration as kubectl does: `30s`, `5m`, `1h30m`; a bare number is seconds.
///
/// # Errors
/// The text is no duration.
pub fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    text.parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|d| Duration::try_from(d).ok())
        .ok_or_else(|| format!("{text:?} is no duration: write 30s, 5m or 1h30m"))
}
