//! A report for people: each finding with its line, a mark under what is wrong, the cause and what to do.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::IsTerminal;

use owo_colors::OwoColorize;
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::count;
use crate::doctor::fix::Safety;
use crate::doctor::place::Location;
use crate::doctor::report::{Finding, Frame, Mode, Report};
use crate::doctor::rule::Severity;

/// How many columns of a line of a file are shown.
const FRAME: usize = 100;
/// The codes that one reason is given for, before it is only said how many there are.
const CODES: usize = 6;

/// The width of the terminal that standard output is; none where it is none.
pub fn width() -> Option<usize> {
    if !std::io::stdout().is_terminal() {
        return None;
    }
    terminal_size::terminal_size().map(|(width, _)| usize::from(width.0).clamp(40, 200))
}

/// The whole report.
pub fn render(report: &Report, width: Option<usize>) -> String {
    let mut text = String::new();
    let mut group = None;
    let several = report.open().any(|finding| finding.cluster.is_some());
    for finding in report.open() {
        if several && group.as_ref() != Some(&finding.cluster) {
            group = Some(finding.cluster.clone());
            let title = match &finding.cluster {
                Some(cluster) => format!("Cluster {}", clean(&cluster.to_string())),
                None => "In no cluster".to_owned(),
            };
            let _ = writeln!(text, "{}\n", title.bold().underline());
        }
        one(&mut text, finding, width);
        text.push('\n');
    }
    footer(&mut text, report, width);
    text
}

fn one(text: &mut String, finding: &Finding, width: Option<usize>) {
    let label = format!("{}[{}]", finding.severity, finding.code);
    let label = match finding.severity {
        Severity::Error => label.red().bold().to_string(),
        Severity::Warning => label.yellow().bold().to_string(),
        Severity::Info => label.cyan().bold().to_string(),
    };
    let _ = writeln!(text, "{label}: {}", wrapped(&finding.message, 2, width).bold());
    let margin = finding.frame.as_ref().and(finding.location.line).map_or(1, |line| line.to_string().len());
    let _ = writeln!(text, "{}{} {}", " ".repeat(margin), "-->".blue().bold(), place(finding));
    if let Some(frame) = &finding.frame {
        show_frame(text, frame, finding.location.line.unwrap_or(1), margin);
    }
    let mut line = |name: &str, said: &str| {
        let indent = margin + name.len() + 5;
        let _ = writeln!(text, "{} {} {name}: {}", " ".repeat(margin), "=".blue().bold(), wrapped(said, indent, width));
    };
    if let Some(symptom) = &finding.symptom {
        line("log", symptom);
    }
    for related in &finding.related {
        let at = match (&related.location.file, related.location.line) {
            (Some(file), Some(number)) => format!("{file}:{number}"),
            _ => with_path(&related.object.to_string(), &related.location),
        };
        line("see", &format!("{at}: {}", related.message));
    }
    if !finding.help.is_empty() {
        line("fix", &finding.help);
    }
    if let Some(command) = &finding.command {
        line("run", command);
    }
    if let Some(fix) = finding.fix.as_ref().filter(|fix| fix.possible) {
        match fix.applicability {
            Safety::Safe => line("--fix", &format!("can {}", fix.title)),
            Safety::Unsafe => line("--fix --unsafe-fixes", &format!("can {}", fix.title)),
            Safety::Placeholder => {}
        }
    }
}

/// `file:line:column`, or the object and the path in it.
fn place(finding: &Finding) -> String {
    let location = &finding.location;
    match (&location.file, location.line, location.column) {
        (Some(file), Some(line), Some(column)) => clean(&format!("{file}:{line}:{column}")),
        (Some(file), ..) => clean(file),
        (None, ..) if finding.object.kind.is_empty() => "kubectl flink".to_owned(),
        (None, ..) => clean(&with_path(&finding.object.to_string(), location)),
    }
}

fn with_path(object: &str, location: &Location) -> String {
    let mut text = object.to_owned();
    if !location.path.is_empty() {
        let _ = write!(text, ", {}", location.path);
    }
    if let (None, Some(line)) = (&location.file, location.line) {
        let _ = write!(text, ", line {line}");
    }
    text
}

fn show_frame(text: &mut String, frame: &Frame, number: usize, margin: usize) {
    let blank = " ".repeat(margin);
    let bar = "|".blue().bold().to_string();
    let (line, before, marked) = window(frame);
    let _ = writeln!(text, "{blank} {bar}");
    let _ = writeln!(text, "{} {bar} {line}", format!("{number:>margin$}").blue().bold());
    let _ = writeln!(text, "{blank} {bar} {}{}", " ".repeat(before), "^".repeat(marked).red().bold());
}

/// The part of the line around the mark, with the columns before the mark and the columns of the mark.
fn window(frame: &Frame) -> (String, usize, usize) {
    // Each character with its column's width and whether it is marked.
    let mut cells: Vec<(String, usize, bool)> = Vec::new();
    let mut column = 0;
    for (at, c) in frame.text.char_indices() {
        let shown = match c {
            '\t' => " ".repeat(4 - column % 4),
            c if c.is_control() => "\u{fffd}".to_owned(),
            c => c.to_string(),
        };
        let width = if c == '\t' { shown.len() } else { c.width().unwrap_or(1) };
        column += width;
        cells.push((shown, width, frame.marked.contains(&at)));
    }
    let first = cells.iter().position(|(.., marked)| *marked);
    let begin = first.unwrap_or_else(|| frame.text[..frame.marked.start].chars().count());
    let columns = |cells: &[(String, usize, bool)]| cells.iter().map(|(_, width, _)| width).sum::<usize>();
    let (mut from, mut to) = (0, cells.len());
    if columns(&cells) > FRAME {
        // A third of the room before the mark.
        while from < begin && columns(&cells[from..begin]) > FRAME / 3 {
            from += 1;
        }
        while to > begin + 1 && columns(&cells[from..to]) > FRAME {
            to -= 1;
        }
    }
    let begin = begin.min(to).max(from);
    let cut_before = if from > 0 { "..." } else { "" };
    let cut_after = if to < cells.len() { "..." } else { "" };
    let shown: String = cells[from..to].iter().map(|(shown, ..)| shown.as_str()).collect();
    let marked = cells[begin..to].iter().take_while(|(.., marked)| *marked).map(|(_, width, _)| width).sum::<usize>();
    let line = format!("{cut_before}{shown}{cut_after}");
    // Blanks at the end are what some findings are about.
    let line = if frame.marked.end == frame.text.len() { line } else { line.trim_end().to_owned() };
    (line, cut_before.len() + columns(&cells[from..begin]), marked.max(1))
}

fn footer(text: &mut String, report: &Report, width: Option<usize>) {
    let summary = &report.summary;
    let looked = looked_at(report);
    let accepted = match summary.suppressed {
        0 => String::new(),
        number => format!("; {} accepted", count(number, "finding")),
    };
    if summary.errors + summary.warnings + summary.infos == 0 {
        let _ = writeln!(text, "{} in {looked}{accepted}", "Nothing wrong found".green().bold());
    } else {
        let counts = [(summary.errors, "error"), (summary.warnings, "warning"), (summary.infos, "info")];
        let counts: Vec<String> =
            counts.into_iter().filter(|(number, _)| *number > 0).map(|(number, what)| count(number, what)).collect();
        let _ = writeln!(text, "{} in {looked}{accepted}", counts.join(", ").bold());
    }
    let mut reasons: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for skip in &report.skipped {
        reasons.entry(&skip.reason).or_default().push(skip.code);
    }
    if !reasons.is_empty() {
        let _ = writeln!(text, "Not checked, or not all of it: {}", count(summary.not_checked, "rule"));
        for (reason, codes) in reasons {
            let more = codes.len().saturating_sub(CODES);
            let mut said = codes[..codes.len().min(CODES)].join(", ");
            if more > 0 {
                let _ = write!(said, " and {more} more");
            }
            let _ = writeln!(text, "  {}", wrapped(&format!("{reason} ({said})"), 4, width).dimmed());
        }
    }
    if let Some(first) = report.open().next() {
        let _ = writeln!(text, "Why each of them matters: kubectl flink explain {}", first.code);
    }
}

/// `6 documents in 2 files, 1 cluster`.
fn looked_at(report: &Report) -> String {
    let summary = &report.summary;
    let clusters = match summary.clusters {
        0 => "no Flink cluster".to_owned(),
        number => count(number, "Flink cluster"),
    };
    match report.target.mode {
        Mode::Live => clusters,
        Mode::Files | Mode::Overlay => {
            let documents = count(summary.documents, "document");
            format!("{documents} of {}, {clusters}", count(summary.files, "file"))
        }
    }
}

/// The text without what would change the terminal, broken at blanks where it is wider than the terminal.
fn wrapped(said: &str, indent: usize, width: Option<usize>) -> String {
    let said = clean(said);
    let Some(width) = width else { return said };
    let room = width.saturating_sub(indent).max(20);
    let mut lines = vec![String::new()];
    for word in said.split(' ') {
        let line = lines.last_mut();
        match line {
            Some(line) if line.is_empty() => line.push_str(word),
            Some(line) if line.width() + 1 + word.width() <= room => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines.join(&format!("\n{}", " ".repeat(indent)))
}

/// Text of files and of the cluster may hold anything: control characters are not for the terminal.
fn clean(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { '\u{fffd}' } else { c }).collect()
}
