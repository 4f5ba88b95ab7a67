//! Annotations of a GitHub workflow (`::error file=...::...`), which stand at the lines of a pull request.

use std::fmt::Write as _;

use super::count;
use crate::doctor::report::Report;
use crate::doctor::rule::Severity;

/// One line for each finding that nobody accepted, and one with the numbers.
pub fn render(report: &Report) -> String {
    let mut text = String::new();
    for finding in report.open() {
        let command = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Info => "notice",
        };
        let mut properties = Vec::new();
        let location = &finding.location;
        if let Some(file) = &location.file {
            properties.push(format!("file={}", property(file)));
            let numbers = [
                ("line", location.line),
                ("endLine", location.end_line),
                ("col", location.column),
                ("endColumn", location.end_column),
            ];
            properties.extend(numbers.into_iter().filter_map(|(name, number)| Some(format!("{name}={}", number?))));
        }
        properties.push(format!("title={}", property(&format!("{} {}", finding.code, finding.name))));
        let object = if location.file.is_some() { String::new() } else { format!("{}: ", finding.object) };
        let message = format!("{object}{}\nfix: {}", finding.message, finding.help);
        let _ = writeln!(text, "::{command} {}::{}", properties.join(","), data(&message));
    }
    let summary = &report.summary;
    let numbers = [
        count(summary.errors, "error"),
        count(summary.warnings, "warning"),
        count(summary.infos, "info"),
        format!("{} suppressed", summary.suppressed),
        format!("{} not checked", count(summary.not_checked, "rule")),
    ];
    let _ = writeln!(text, "kubectl flink doctor: {}", numbers.join(", "));
    text
}

/// As `@actions/core` escapes a message.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// As `@actions/core` escapes a property.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}
