//! `docs/commands/`: a page for each command, and the list of them, which has the options that all have.

use std::borrow::Cow;
use std::fmt::Write as _;

use clap::Arg;

use crate::help::{Block, Command, blocks};

/// The list of all commands, with what they have in common.
pub(crate) fn index(commands: &[Command]) -> String {
    let mut page = Page::new("Commands");
    page.paragraph("What `kubectl flink COMMAND --help` says; `cargo xtask docs` writes these pages from it.");
    let rows = commands.iter().filter(|command| !command.is_program).map(|command| {
        format!("| [`{}`]({}.md) | {} |\n", command.name, command.short_name(), escape(&command.about()))
    });
    page.paragraph(&format!("| Command | |\n|---|---|\n{}", rows.collect::<String>()));
    for program in commands.iter().filter(|command| command.is_program) {
        page.sections(program);
        page.heading(2, "Global options");
        page.paragraph("Every command takes these. Those of Kubernetes mean what they mean to kubectl.");
        for (heading, args) in program.options() {
            page.heading(3, heading);
            page.arguments(&args);
        }
    }
    page.text
}

/// The page of a command.
pub(crate) fn page(command: &Command) -> String {
    let mut page = Page::new(&command.name);
    page.paragraph(&format!("{}.", escape(&command.about())));
    page.code("text", &command.usage);
    page.blocks(&command.description());
    page.sections(command);
    let subcommands: Vec<String> = command
        .clap
        .get_subcommands()
        .map(|subcommand| {
            let about = subcommand.get_about().map(ToString::to_string).unwrap_or_default();
            let name = subcommand.get_name();
            format!("- [`{name}`]({}-{name}.md): {}\n", command.short_name(), escape(&about))
        })
        .collect();
    if !subcommands.is_empty() {
        page.heading(2, "Commands");
        page.paragraph(&subcommands.concat());
    }
    let arguments: Vec<&Arg> = command.clap.get_positionals().collect();
    if !arguments.is_empty() {
        page.heading(2, "Arguments");
        page.arguments(&arguments);
    }
    for (heading, args) in command.options() {
        page.heading(2, heading);
        page.arguments(&args);
    }
    page.paragraph("And the [global options](README.md#global-options).");
    page.text
}

/// A page as far as it is written.
struct Page {
    text: String,
}

impl Page {
    fn new(title: &str) -> Self {
        Page { text: format!("# {title}\n") }
    }

    fn heading(&mut self, level: usize, text: &str) {
        self.paragraph(&format!("{} {text}", "#".repeat(level)));
    }

    fn paragraph(&mut self, text: &str) {
        self.text += "\n";
        self.text += text.trim_end();
        self.text += "\n";
    }

    fn code(&mut self, language: &str, text: &str) {
        self.paragraph(&format!("```{language}\n{text}\n```"));
    }

    fn blocks(&mut self, text: &str) {
        for block in blocks(text) {
            match block {
                Block::Paragraph(text) => self.paragraph(&escape(text)),
                Block::Verbatim(text) => self.code("text", &text),
            }
        }
    }

    fn sections(&mut self, command: &Command) {
        for (heading, text) in command.sections() {
            self.heading(2, &heading);
            self.code(if heading == "Examples" { "sh" } else { "text" }, &text);
        }
    }

    fn arguments(&mut self, args: &[&Arg]) {
        let items: Vec<String> = args.iter().map(|arg| item(arg)).collect();
        self.paragraph(&items.concat());
    }
}

/// An argument or option, and beneath it what it is for.
fn item(arg: &Arg) -> String {
    let header = match (arg.get_short(), arg.get_long()) {
        (Some(short), Some(_)) => format!("-{short}, {arg}"),
        _ => arg.to_string(),
    };
    let help = arg.get_long_help().or(arg.get_help()).map(|help| escape(&help.to_string())).unwrap_or_default();
    let (first, rest) = help.split_once("\n\n").unwrap_or((&help, ""));
    let values = if arg.is_hide_possible_values_set() { Vec::new() } else { arg.get_possible_values() };
    let explained = values.iter().any(|value| value.get_help().is_some());

    let mut item = format!("- `{header}`\\\n  {first}");
    if !arg.is_hide_default_value_set() && arg.get_action().takes_values() {
        item += &note("default", arg.get_default_values().iter().map(|value| value.to_string_lossy()));
    }
    item += &note("env", arg.get_env().iter().map(|name| name.to_string_lossy()));
    if !explained {
        item += &note("possible values", values.iter().map(|value| value.get_name().into()));
    }
    item.push('\n');
    if !rest.is_empty() {
        item += "\n  ";
        item += &rest.replace('\n', "\n  ");
        item.push('\n');
    }
    for value in values.iter().filter(|_| explained) {
        let help = value.get_help().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(item, "  - `{}`: {}", value.get_name(), escape(&help));
    }
    item
}

/// What is said in brackets behind an option's help, if there is something to say.
fn note<'a>(what: &str, values: impl Iterator<Item = Cow<'a, str>>) -> String {
    let values: Vec<_> = values.collect();
    if values.is_empty() { String::new() } else { format!(" [{what}: {}]", values.join(", ")) }
}

/// A text of the help as Markdown: what is between backticks is code there too, the rest has no markup.
fn escape(text: &str) -> String {
    let parts = text.split('`').enumerate();
    let escaped = parts.map(|(n, part)| match n % 2 {
        0 => part.replace('<', r"\<").replace('*', r"\*").replace('|', r"\|"),
        _ => part.to_owned(),
    });
    escaped.collect::<Vec<_>>().join("`")
}
