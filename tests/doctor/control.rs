//! Which rules run, and which findings count.

use kubectl_flink::doctor::control::settings::{Settings, glob};
use kubectl_flink::doctor::control::{Control, ControlArgs, FailOn, exit_code};
use kubectl_flink::doctor::engine;
use kubectl_flink::doctor::model::Model;
use kubectl_flink::doctor::report::{Report, Target};
use kubectl_flink::doctor::rule::Severity;
use kubectl_flink::doctor::snapshot::{Snapshot, SourceFile};
use kubectl_flink::doctor::source;
use kubectl_flink::output::findings::{DoctorOutputArgs, Format, OutputSpec, render};

fn control(args: &ControlArgs, settings: &str) -> Control {
    Control::with(args, Settings::read("s.yaml", settings).unwrap(), "2026-01-01".parse().unwrap()).unwrap()
}

fn flags(select: &[&str], ignore: &[&str]) -> ControlArgs {
    let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
    ControlArgs { select: list(select), ignore: list(ignore), ..ControlArgs::default() }
}

fn codes(select: &[&str], ignore: &[&str]) -> Vec<&'static str> {
    control(&flags(select, ignore), "").rules().iter().map(|rule| rule.code).collect()
}

#[test]
fn rules_are_selected_by_code_beginning_group_and_name() {
    assert_eq!(codes(&["flk101"], &[]), ["FLK001", "FLK007", "FLK101"]);
    assert_eq!(codes(&["binding-namespace"], &["FLK001"]), ["FLK007", "FLK101"]);
    assert_eq!(codes(&["INPUT"], &[]), codes(&["FLK0"], &[]));
    assert!(!codes(&[], &["rbac"]).contains(&"FLK101"));
    let wrong = |name: &str| {
        let error =
            Control::with(&flags(&[name], &[]), Settings::default(), "2026-01-01".parse().unwrap()).unwrap_err();
        format!("{error}: {}", error.hints.join(", "))
    };
    insta::assert_snapshot!(["FLK1O1", "binding-namespac", "rback", "FLK9", "nothing like it"].map(wrong).join("\n"), @r#"
    there is no rule, group or beginning of a code "FLK1O1": did you mean FLK101?, see all rules: kubectl flink rules
    there is no rule, group or beginning of a code "binding-namespac": did you mean binding-namespace?, see all rules: kubectl flink rules
    there is no rule, group or beginning of a code "rback": did you mean rbac?, see all rules: kubectl flink rules
    there is no rule, group or beginning of a code "FLK9": see all rules: kubectl flink rules
    there is no rule, group or beginning of a code "nothing like it": see all rules: kubectl flink rules
    "#);
}

#[test]
fn settings_say_where_they_are_wrong() {
    let texts = [
        "severities: {FLK101: bad}",
        "severities:\n  FLK1O1: error",
        "ignored: []",
        "ignore:\n- code: FLK101",
        "ignore:\n- reason: none",
        "ignore:\n- code: FLK101\n  reason: r\n  until: soon",
        "ignore:\n- code: FLK101\n  reason: r\n  nam: x",
        "ignore: {code: FLK101}",
        "a: b: c",
        "- a",
    ];
    let said = texts.map(|text| Settings::read("s.yaml", text).unwrap_err().to_string());
    insta::assert_snapshot!(said.join("\n"), @r#"
    s.yaml:1:22: "bad" is no severity: error, warning and info are
    s.yaml:2:3: there is no rule, group or beginning of a code "FLK1O1"
    s.yaml:1:1: there is no setting "ignored": severities and ignore are
    s.yaml:2:9: this entry for FLK101 has no reason
    s.yaml:2:3: this entry has no code
    s.yaml:4:10: this is no date: write 2027-01-31
    s.yaml:4:3: there is no "nam" in an entry of ignore: code, kind, namespace, name, path, reason and until are
    s.yaml:1:9: ignore is a list of entries with code and reason
    s.yaml:1:5: not valid YAML: mapping values are not allowed in this context
    s.yaml:1:1: this needs severities and ignore
    "#);
}

#[test]
fn globs() {
    for (pattern, text) in
        [("*", "a.yaml"), ("**", "a/b"), ("a/**/c", "a/c"), ("a/**/c", "a/b/b/c"), ("**/c", "c"), ("a?", "aü")]
    {
        assert!(glob(pattern, text), "{pattern} {text}");
    }
    for (pattern, text) in [("*", "a/b"), ("a", "ab"), ("a/*/c", "a/b/b/c"), ("?", "/"), ("", "a")] {
        assert!(!glob(pattern, text), "{pattern} {text}");
    }
}

const WARNING: &str = "kind: A\napiVersion: v1\nmetadata: {name: a, name: b}\n";

/// The report and the exit code of a text.
fn run(text: &str, args: &ControlArgs, settings: &str) -> (Report, u8) {
    let control = control(args, settings);
    let mut snapshot = Snapshot::default();
    source::load(&mut snapshot, vec![SourceFile::new("a.yaml", text)], "");
    let model = Model::new(&snapshot);
    let outcome = engine::run(&snapshot, &model, &control.rules());
    let controlled = control.apply(&mut snapshot, outcome);
    let code = control.exit_code(&controlled, false);
    (Report::new(&snapshot, &model, controlled, Target::default()), code)
}

#[test]
fn severities_are_the_users() {
    let severity = |settings| run(WARNING, &ControlArgs::default(), settings).0.findings[0].severity;
    assert_eq!(severity(""), Severity::Warning);
    assert_eq!(severity("severities: {input: info, key-twice: error}"), Severity::Error);
    let least = ControlArgs { min_severity: Severity::Error, ..ControlArgs::default() };
    assert!(run(WARNING, &least, "").0.findings.is_empty());
    assert_eq!(run(WARNING, &ControlArgs::default(), "severities: {FLK002: error}").1, 1);
}

#[test]
fn a_name_that_is_gone_stops_nothing() {
    let (report, _) = run(WARNING, &ControlArgs::default(), "ignore: [{code: FLK998, reason: r}]");
    assert_eq!(report.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), ["FLK002", "FLK005"]);
}

#[test]
fn the_exit_code_by_what_was_found() {
    use FailOn::{Error, Info, Never, Warning};
    let (e, w, i) = (Some(Severity::Error), Some(Severity::Warning), Some(Severity::Info));
    for (worst, fail_on, code) in
        [(None, Info, 0), (i, Info, 1), (i, Warning, 0), (w, Warning, 1), (w, Error, 0), (e, Error, 1), (e, Never, 0)]
    {
        assert_eq!(exit_code(worst, fail_on, false, false, false), code, "{worst:?} {fail_on:?}");
        // What is not known fails the run only where that is asked for.
        assert_eq!(exit_code(worst, fail_on, false, true, false), code);
        assert_eq!(exit_code(worst, fail_on, false, true, true), if code == 0 { 3 } else { code });
        // What could not be looked at is never fine.
        assert_eq!(exit_code(worst, fail_on, true, false, false), if code == 0 { 3 } else { code });
    }
}

#[test]
fn the_exit_code_is_the_same_in_every_format() {
    let never = ControlArgs { fail_on: FailOn::Never, ..ControlArgs::default() };
    let warning = ControlArgs { fail_on: FailOn::Warning, ..ControlArgs::default() };
    for (text, args, code) in [
        ("", &ControlArgs::default(), 0),
        (WARNING, &ControlArgs::default(), 0),
        (WARNING, &warning, 1),
        (WARNING, &never, 0),
        ("a: b: c", &ControlArgs::default(), 3),
        ("a: b: c", &never, 3),
        ("a: b: c", &flags(&["rbac"], &["FLK001"]), 3),
    ] {
        let (report, found) = run(text, args, "");
        assert_eq!(found, code, "{text:?}");
        for format in [Format::Human, Format::Json, Format::Yaml, Format::Sarif, Format::Junit, Format::Github] {
            assert!(!render(&report, format, Some(60)).unwrap().is_empty());
        }
    }
}

#[test]
fn standard_output_has_one_document() {
    let specs = |output: &[(Format, Option<&str>)]| {
        let output = output.iter().map(|(format, file)| OutputSpec { format: *format, file: file.map(Into::into) });
        DoctorOutputArgs { output: output.collect() }.specs()
    };
    assert_eq!(specs(&[]).unwrap(), [OutputSpec { format: Format::Human, file: None }]);
    assert_eq!(specs(&[(Format::Json, Some("a"))]).unwrap().len(), 2);
    assert_eq!(specs(&[(Format::Json, None), (Format::Sarif, Some("a"))]).unwrap().len(), 2);
    let twice = [
        specs(&[(Format::Json, None), (Format::Human, None)]),
        specs(&[(Format::Json, Some("a")), (Format::Yaml, Some("a"))]),
    ];
    insta::assert_snapshot!(twice.map(|error| error.unwrap_err().to_string()).join("\n"), @"
    two formats would be written to standard output
    two formats would be written to a
    ");
}
