//! `docs/man/`: a manual page for each command.

use anyhow::Result;
use clap::Arg;
use clap_mangen::Man;
use clap_mangen::roff::{Roff, bold, roman};

use crate::help::{Block, Command, blocks};

/// Defines an apostrophe that is none of typography's. The library begins every section with it.
const APOSTROPHE: &str = r".ie \n(.g .ds Aq \(aq
.el .ds Aq '
";

/// The page of a command. It is called as its file is, which is what `man -k` and `whatis` understand; what is typed is the synopsis.
pub(crate) fn page(command: &Command) -> Result<String> {
    let clap = command.clap.clone().display_name(command.page_name()).override_usage(&command.usage);
    let clap = clap.subcommand_help_heading("COMMANDS").mut_args(with_help);
    let man = Man::new(clap);
    let mut page = Vec::new();
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    description(command).to_writer(&mut page)?;
    if command.clap.get_arguments().any(|arg| !arg.is_hide_set()) {
        man.render_options_section(&mut page)?;
    }
    if command.clap.has_subcommands() {
        man.render_subcommands_section(&mut page)?;
    }
    rest(command).to_writer(&mut page)?;
    // Without a date: the same pages are generated on any day. The library would leave it out, and the version be taken for it.
    let version = command.clap.get_version().unwrap_or_default();
    let title = format!(".TH {} 1 \"\" \"kubectl-flink {version}\" \"kubectl flink\"\n", command.page_name());
    let text = String::from_utf8(page)?.replace(APOSTROPHE, "").replace(".br\n\n.br\n", ".sp\n");
    // A bare backtick is an opening quotation mark.
    Ok(format!("{APOSTROPHE}{title}{}", text.replace('`', r"\(ga")))
}

/// The library shows no help of what is hidden in the short help, unless it has a long one.
fn with_help(arg: Arg) -> Arg {
    match arg.get_long_help().or(arg.get_help()).cloned() {
        Some(help) => arg.long_help(help),
        None => arg,
    }
}

fn description(command: &Command) -> Roff {
    let mut roff = Roff::new();
    roff.control("SH", ["DESCRIPTION"]);
    roff.text([roman(format!("{}.", command.about()))]);
    for block in blocks(&command.description()) {
        roff.control("PP", []);
        match block {
            Block::Paragraph(text) => {
                roff.text([roman(text)]);
            }
            Block::Verbatim(text) => verbatim(&mut roff, &text),
        }
    }
    roff
}

/// What comes after the options.
fn rest(command: &Command) -> Roff {
    let mut roff = Roff::new();
    for (heading, text) in command.sections() {
        roff.control("SH", [heading.to_uppercase().as_str()]);
        verbatim(&mut roff, &text);
    }
    if command.is_program {
        roff.control("SH", ["SEE ALSO"]);
        roff.text([bold("kubectl"), roman("(1)")]);
    } else {
        roff.control("SH", ["GLOBAL OPTIONS"]);
        roff.text([roman("Every command takes those of "), bold("kubectl-flink"), roman("(1) too.")]);
        roff.control("SH", ["SEE ALSO"]);
        roff.text([bold("kubectl-flink"), roman("(1), "), bold("kubectl"), roman("(1)")]);
    }
    roff
}

/// Lines as they are.
fn verbatim(roff: &mut Roff, text: &str) {
    roff.control("RS", ["4"]);
    roff.control("nf", []);
    roff.text([roman(text)]);
    roff.control("fi", []);
    roff.control("RE", []);
}
