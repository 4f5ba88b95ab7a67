//! A report as test results: one suite for each cluster, one case for each rule that looked, those that found nothing too.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crate::doctor::report::{ClusterName, Finding, Report};

/// The XML.
pub fn render(report: &Report) -> String {
    let mut suites: BTreeMap<Option<&ClusterName>, Vec<&Finding>> = BTreeMap::new();
    for cluster in &report.clusters {
        suites.entry(Some(cluster)).or_default();
    }
    for finding in &report.findings {
        suites.entry(finding.cluster.as_ref()).or_default().push(finding);
    }
    if suites.is_empty() {
        suites.entry(None).or_default();
    }
    let mut body = String::new();
    let (mut tests, mut failures, mut skips) = (0, 0, 0);
    for (cluster, findings) in suites {
        let name = cluster.map_or_else(|| "no cluster".to_owned(), ToString::to_string);
        let (mut cases, mut failed, mut skipped, mut number) = (String::new(), 0, 0, 0);
        let mut codes: BTreeMap<&str, &str> = findings.iter().map(|finding| (finding.code, finding.name)).collect();
        codes.extend(report.rules.iter().map(|rule| (rule.code, rule.name)));
        for (code, rule) in codes {
            let of: Vec<&&Finding> = findings.iter().filter(|finding| finding.code == code).collect();
            let reasons: Vec<&str> =
                report.skipped.iter().filter(|skip| skip.code == code).map(|skip| skip.reason.as_str()).collect();
            number += 1;
            let title = attribute(&format!("{code} {rule}"));
            let _ = write!(cases, "    <testcase name=\"{title}\" classname=\"{}\"", attribute(&name));
            let open: Vec<&&&Finding> = of.iter().filter(|finding| finding.suppressed.is_none()).collect();
            if let Some(first) = open.first() {
                failed += 1;
                let _ = write!(
                    cases,
                    ">\n      <failure message=\"{}\" type=\"{}\">",
                    attribute(&first.message),
                    first.severity
                );
                for finding in &open {
                    let _ = writeln!(cases, "{}", text(&described(finding)));
                }
                cases.push_str("</failure>\n    </testcase>\n");
            } else if let Some(suppression) = of.first().and_then(|finding| finding.suppressed.as_ref()) {
                skipped += 1;
                let message = attribute(&format!("accepted: {}", suppression.reason));
                let _ = writeln!(cases, ">\n      <skipped message=\"{message}\"/>\n    </testcase>");
            } else if !reasons.is_empty() {
                skipped += 1;
                let message = attribute(&format!("could not be checked: {}", reasons.join("; ")));
                let _ = writeln!(cases, ">\n      <skipped message=\"{message}\"/>\n    </testcase>");
            } else {
                cases.push_str("/>\n");
            }
        }
        let _ = writeln!(
            body,
            "  <testsuite name=\"{}\" tests=\"{number}\" failures=\"{failed}\" errors=\"0\" skipped=\"{skipped}\">\n{cases}  \
             </testsuite>",
            attribute(&name)
        );
        (tests, failures, skips) = (tests + number, failures + failed, skips + skipped);
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"kubectl flink doctor\" tests=\"{tests}\" \
         failures=\"{failures}\" errors=\"0\" skipped=\"{skips}\">\n{body}</testsuites>\n"
    )
}

fn described(finding: &Finding) -> String {
    let location = &finding.location;
    let place = match (&location.file, location.line) {
        (Some(file), Some(line)) => format!("{file}:{line}:{}", location.column.unwrap_or(1)),
        _ => format!("{} {}", finding.object, location.path),
    };
    let mut said = format!("{place}: {}: {}", finding.severity, finding.message);
    if !finding.help.is_empty() {
        let _ = write!(said, "\nfix: {}", finding.help);
    }
    said
}

fn text(text: &str) -> String {
    // XML 1.0 has no other control characters, not even escaped.
    let allowed = |c: char| matches!(c, '\t' | '\n') || (!c.is_control() && !matches!(c, '\u{fffe}' | '\u{ffff}'));
    let text: String = text.chars().map(|c| if allowed(c) { c } else { '\u{fffd}' }).collect();
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn attribute(value: &str) -> String {
    text(value).replace('"', "&quot;").replace('\n', "&#10;").replace('\t', "&#9;")
}
