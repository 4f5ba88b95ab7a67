//! A report of the doctor in the formats that people and programs read.

pub mod github;
pub mod human;
pub mod junit;
pub mod sarif;

use std::fs;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Ui;
use super::document;
use crate::doctor::report::Report;
use crate::error::{Error, Result};

/// A format of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    Human,
    /// The report as docs/schema/doctor-v1.json has it.
    Json,
    /// The same in YAML.
    Yaml,
    /// SARIF 2.1.0, for code scanning.
    Sarif,
    /// A test report: one case for each rule and cluster.
    Junit,
    /// Annotations of a GitHub workflow.
    Github,
}

impl Format {
    fn names() -> String {
        let names = Format::value_variants().iter().filter_map(ValueEnum::to_possible_value);
        names.map(|value| value.get_name().to_owned()).collect::<Vec<_>>().join(", ")
    }
}

/// `-o FORMAT` or `-o FORMAT=FILE`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputSpec {
    /// The format.
    pub format: Format,
    /// The file; none for standard output.
    pub file: Option<PathBuf>,
}

/// `-o` of commands that show a report.
#[derive(Debug, Clone, Default, Args)]
pub struct DoctorOutputArgs {
    /// Format, and the file that it goes to: human, json, yaml, sarif, junit or github; repeatable [default: human]
    ///
    /// Standard output has exactly one document: of several formats all but one go to files. What is only written to files
    /// is shown as human text too.
    #[arg(short, long = "output", value_name = "FORMAT[=FILE]", value_parser = parse, help_heading = "Output options")]
    pub output: Vec<OutputSpec>,
}

impl DoctorOutputArgs {
    /// What is to be written; exactly one of them goes to standard output.
    ///
    /// # Errors
    /// Two documents would go to one place.
    pub fn specs(&self) -> Result<Vec<OutputSpec>> {
        let mut specs = self.output.clone();
        for (number, spec) in specs.iter().enumerate() {
            if !specs[..number].iter().any(|other| other.file == spec.file) {
                continue;
            }
            return Err(match &spec.file {
                Some(file) => Error::usage(format!("two formats would be written to {}", file.display())),
                None => Error::usage("two formats would be written to standard output")
                    .hint("give all but one of them a file: -o sarif=doctor.sarif"),
            });
        }
        if !specs.iter().any(|spec| spec.file.is_none()) {
            specs.push(OutputSpec { format: Format::Human, file: None });
        }
        Ok(specs)
    }
}

/// Parses `FORMAT` or `FORMAT=FILE`.
///
/// # Errors
/// There is no such format, or the file's name is missing.
pub fn parse(text: &str) -> Result<OutputSpec, String> {
    let (name, file) = match text.split_once('=') {
        Some((name, file)) => (name, Some(file)),
        None => (text, None),
    };
    let format =
        Format::from_str(name, true).map_err(|_| format!("there is no format {name:?}: {}", Format::names()))?;
    match file {
        Some("") => Err(format!("the file is missing: {name}=FILE")),
        // A dash is standard output, as elsewhere.
        Some("-") | None => Ok(OutputSpec { format, file: None }),
        Some(file) => Ok(OutputSpec { format, file: Some(PathBuf::from(file)) }),
    }
}

/// A report in a format, with colours for people; `width` is that of the terminal, none where there is none.
pub fn render(report: &Report, format: Format, width: Option<usize>) -> Result<String> {
    match format {
        Format::Human => Ok(human::render(report, width)),
        Format::Json => document::render(report, document::Format::Json),
        Format::Yaml => document::render(report, document::Format::Yaml),
        Format::Sarif => document::render(&sarif::log(report), document::Format::Json),
        Format::Junit => Ok(junit::render(report)),
        Format::Github => Ok(github::render(report)),
    }
}

/// Writes a report: the files first, so that whoever reads standard output finds them.
///
/// # Errors
/// A file cannot be written, or standard output is closed.
pub fn write(report: &Report, specs: &[OutputSpec], ui: &Ui) -> Result<()> {
    for spec in specs {
        if let Some(file) = &spec.file {
            let text = anstream::adapter::strip_str(&render(report, spec.format, None)?).to_string();
            fs::write(file, text)
                .map_err(|error| Error::could_not_run(format!("cannot write {}: {error}", file.display())))?;
        }
    }
    for spec in specs.iter().filter(|spec| spec.file.is_none()) {
        ui.data(render(report, spec.format, human::width())?)?;
    }
    Ok(())
}

/// `1 error`, `2 errors`.
fn count(number: usize, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}
