//! What the help of each command says, taken apart.

use clap::{Arg, CommandFactory};
use kubectl_flink::commands::Cli;

/// A command, or the program itself.
pub(crate) struct Command {
    /// Its definition. What all commands have is hidden, but for the program.
    pub(crate) clap: clap::Command,
    /// Whether it is the program itself.
    pub(crate) is_program: bool,
    /// `kubectl flink up`.
    pub(crate) name: String,
    /// `kubectl flink up [OPTIONS] [NAME]`.
    pub(crate) usage: String,
}

/// A piece of text.
pub(crate) enum Block<'a> {
    /// May be wrapped.
    Paragraph(&'a str),
    /// Stands as it is; was indented.
    Verbatim(String),
}

/// The program, its commands, and theirs, in the order of the help.
pub(crate) fn commands() -> Vec<Command> {
    let mut program = Cli::command();
    program.build();
    let mut commands = Vec::new();
    add(&program, &mut commands);
    commands
}

fn add(clap: &clap::Command, commands: &mut Vec<Command>) {
    let name = clap.get_bin_name().unwrap_or(clap.get_name()).to_owned();
    let usage = clap.clone().render_usage().to_string();
    let common = |arg: &Arg| arg.is_global_set() || ["help", "version"].contains(&arg.get_id().as_str());
    let is_program = commands.is_empty();
    let own = clap.clone().mut_args(|arg| if !is_program && common(&arg) { arg.hide(true) } else { arg });
    commands.push(Command { clap: own, is_program, name, usage: usage.trim_start_matches("Usage: ").to_owned() });
    for subcommand in clap.get_subcommands() {
        add(subcommand, commands);
    }
}

impl Command {
    /// `kubectl-flink-up`.
    pub(crate) fn page_name(&self) -> String {
        self.name.replace(' ', "-")
    }

    /// `up`.
    pub(crate) fn short_name(&self) -> String {
        self.page_name().replacen("kubectl-flink-", "", 1)
    }

    /// What it does, in a line.
    pub(crate) fn about(&self) -> String {
        self.clap.get_about().map(ToString::to_string).unwrap_or_default()
    }

    /// What it does at length, without the line.
    pub(crate) fn description(&self) -> String {
        let long = self.clap.get_long_about().map(ToString::to_string).unwrap_or_default();
        long.split_once("\n\n").map(|(_, rest)| rest.to_owned()).unwrap_or_default()
    }

    /// What stands below the options, each part with its heading: `Examples`.
    pub(crate) fn sections(&self) -> Vec<(String, String)> {
        let text = self.clap.get_after_long_help().map(ToString::to_string).unwrap_or_default();
        let mut sections: Vec<(String, Vec<&str>)> = Vec::new();
        for line in text.lines() {
            match sections.last_mut() {
                Some((_, lines)) if line.is_empty() || line.starts_with("  ") => lines.push(line),
                _ => sections.push((line.trim_end_matches(':').to_owned(), Vec::new())),
            }
        }
        sections.into_iter().map(|(heading, lines)| (heading, dedent(&lines))).collect()
    }

    /// The options under their headings. Those without one are first.
    pub(crate) fn options(&self) -> Vec<(&str, Vec<&Arg>)> {
        let mut groups: Vec<(&str, Vec<&Arg>)> = vec![("Options", Vec::new())];
        for arg in self.clap.get_arguments().filter(|arg| !arg.is_hide_set() && !arg.is_positional()) {
            let heading = arg.get_help_heading().unwrap_or("Options");
            match groups.iter_mut().find(|(other, _)| *other == heading) {
                Some((_, args)) => args.push(arg),
                None => groups.push((heading, vec![arg])),
            }
        }
        groups.retain(|(_, args)| !args.is_empty());
        groups
    }
}

/// The paragraphs of a text, and what is indented in it.
pub(crate) fn blocks(text: &str) -> impl Iterator<Item = Block<'_>> {
    text.split("\n\n").filter(|block| !block.is_empty()).map(|block| {
        let lines: Vec<&str> = block.lines().collect();
        if lines.iter().all(|line| line.starts_with("  ")) {
            Block::Verbatim(dedent(&lines))
        } else {
            Block::Paragraph(block)
        }
    })
}

fn dedent(lines: &[&str]) -> String {
    let lines: Vec<&str> = lines.iter().map(|line| line.strip_prefix("  ").unwrap_or(line)).collect();
    lines.join("\n").trim().to_owned()
}
