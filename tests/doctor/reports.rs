//! Reports in every format.

use kubectl_flink::doctor::report::{Mode, Report, Target};
use kubectl_flink::doctor::rules::ALL;
use kubectl_flink::doctor::snapshot::SourceFile;
use kubectl_flink::output::findings::{Format, OutputSpec, parse, render};
use serde_json::Value;

use crate::fixtures::{Run, inputs};
use crate::schema;

fn report(files: Vec<SourceFile>, live: bool) -> Report {
    let number = files.len();
    let Run { snapshot, model, controlled } = Run::new(files, live);
    let mode = if live { Mode::Live } else { Mode::Files };
    let target = Target { mode, context: None, namespaces: Vec::new(), documents: 1, files: number };
    Report::new(&snapshot, &model, controlled, target)
}

fn of(text: &str) -> Report {
    report(vec![SourceFile::new("dir/a file.yaml", text)], false)
}

fn plain(report: &Report, format: Format) -> String {
    anstream::adapter::strip_str(&render(report, format, None).unwrap()).to_string()
}

const BROKEN: &str = "\
apiVersion: v1
kind: Service
metadata:
  name: flink-jobmanager
  namespace: flink
spec:
  type: ClusterIP
  selector: {app: flink, app: flink} # kubectl-flink: ignore FLK002 -- the same
  ports: [{name: rpc, port: 6123}]
  type: NodePort
---
a: b: c
";

#[test]
fn for_people() {
    insta::assert_snapshot!(plain(&of(BROKEN), Format::Human), @r#"
    error[FLK001]: this document cannot be read: mapping values are not allowed in this context
      --> dir/a file.yaml:12:5
       |
    12 | a: b: c
       |     ^
       = fix: see what kubectl makes of it: kubectl create --dry-run=client -f dir/a file.yaml

    warning[FLK002]: key "type" stands twice here, first in line 7
      --> dir/a file.yaml:10:3
       |
    10 |   type: NodePort
       |   ^^^^
       = see: dir/a file.yaml:7: the first, which does not count
       = fix: remove the one that is not meant; the last one counts
       = --fix: can remove the first type, which does not count

    1 error, 1 warning in 1 document of 1 file, no Flink cluster; 1 finding accepted
    Why each of them matters: kubectl flink explain FLK001
    "#);
    insta::assert_snapshot!(plain(&of("kind: A\napiVersion: v1\nmetadata: {name: a}\n"), Format::Human), @"Nothing wrong found in 1 document of 1 file, no Flink cluster");
}

#[test]
fn lines_that_do_not_fit() {
    let long = "x".repeat(300);
    let texts = [
        format!(
            "{{\"kind\": \"A\", \"apiVersion\": \"v1\", \"long\": \"{long}\", \"b\": 1, \"b\": 2, \"c\": \"{long}\"}}\n"
        ),
        "kind: A\napiVersion: v1\na: {\"世界\": ü, b: 1, b: 2}\n".to_owned(),
        "{\"kind\": \"A\",\n\t\"apiVersion\": \"v1\",\n\t\"b\": 1,\t\"b\": \"\u{1b}[31m\"}\n".to_owned(),
    ];
    let text: Vec<String> = texts.iter().map(|text| plain(&of(text), Format::Human)).collect();
    insta::assert_snapshot!(text.join("\n"), @r#"
    warning[FLK002]: key "b" stands twice here, first in line 1
     --> dir/a file.yaml:1:355
      |
    1 | ...xxxxxxxxxxxxxxxxxxxxxx", "b": 1, "b": 2, "c": "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx...
      |                                     ^^^
      = see: dir/a file.yaml:1: the first, which does not count
      = fix: remove the one that is not meant; the last one counts

    1 warning in 1 document of 1 file, no Flink cluster
    Why each of them matters: kubectl flink explain FLK002

    warning[FLK002]: key "b" stands twice here, first in line 3
     --> dir/a file.yaml:3:20
      |
    3 | a: {"世界": ü, b: 1, b: 2}
      |                      ^
      = see: dir/a file.yaml:3: the first, which does not count
      = fix: remove the one that is not meant; the last one counts

    1 warning in 1 document of 1 file, no Flink cluster
    Why each of them matters: kubectl flink explain FLK002

    error[FLK001]: this document cannot be read: unexpected character: `\u{1b}'
     --> dir/a file.yaml:3:16
      |
    3 |     "b": 1, "b": "�[31m"}
      |                   ^
      = fix: see what kubectl makes of it: kubectl create --dry-run=client -f dir/a file.yaml

    1 error in 1 document of 1 file, no Flink cluster
    Why each of them matters: kubectl flink explain FLK001
    "#);
}

#[test]
fn for_github_and_as_tests() {
    insta::assert_snapshot!(plain(&of(BROKEN), Format::Github), @r#"
    ::error file=dir/a file.yaml,line=12,endLine=12,col=5,endColumn=5,title=FLK001 unreadable::this document cannot be read: mapping values are not allowed in this context%0Afix: see what kubectl makes of it: kubectl create --dry-run=client -f dir/a file.yaml
    ::warning file=dir/a file.yaml,line=10,endLine=10,col=3,endColumn=7,title=FLK002 key-twice::key "type" stands twice here, first in line 7%0Afix: remove the one that is not meant; the last one counts
    kubectl flink doctor: 1 error, 1 warning, 0 infos, 1 suppressed, 0 rules not checked
    "#);
    let tests = plain(&of(BROKEN), Format::Junit);
    let tests: String = tests
        .lines()
        .filter(|line| !line.ends_with("\"/>") || line.contains("skipped"))
        .map(|line| line.to_owned() + "\n")
        .collect();
    let tests = tests.replace(&format!("tests=\"{}\"", ALL.iter().filter(|rule| !rule.live).count()), "tests=\"ALL\"");
    insta::assert_snapshot!(tests, @r#"
    <?xml version="1.0" encoding="UTF-8"?>
    <testsuites name="kubectl flink doctor" tests="ALL" failures="2" errors="0" skipped="0">
      <testsuite name="no cluster" tests="ALL" failures="2" errors="0" skipped="0">
        <testcase name="FLK001 unreadable" classname="no cluster">
          <failure message="this document cannot be read: mapping values are not allowed in this context" type="error">dir/a file.yaml:12:5: error: this document cannot be read: mapping values are not allowed in this context
    fix: see what kubectl makes of it: kubectl create --dry-run=client -f dir/a file.yaml
    </failure>
        </testcase>
        <testcase name="FLK002 key-twice" classname="no cluster">
          <failure message="key &quot;type&quot; stands twice here, first in line 7" type="warning">dir/a file.yaml:10:3: warning: key "type" stands twice here, first in line 7
    fix: remove the one that is not meant; the last one counts
    </failure>
        </testcase>
      </testsuite>
    </testsuites>
    "#);
}

#[test]
fn every_report_has_the_shape_that_is_promised() {
    let ours: Value = serde_json::from_str(include_str!("../../docs/schema/doctor-v1.json")).unwrap();
    let sarif: Value = serde_json::from_str(include_str!("sarif.json")).unwrap();
    let mut wrong = Vec::new();
    for rule in ALL {
        // Each has all rules with their documentation: of what fails, that is enough.
        for (name, files) in inputs(rule.code).into_iter().filter(|(name, _)| name.starts_with("fail")).take(2) {
            let names: Vec<(String, String)> =
                files.iter().map(|file| (file.name.clone(), file.text.clone())).collect();
            let live = name.ends_with(".live.yaml");
            let first = report(files, live);
            for (schema, format) in [(&ours, Format::Json), (&sarif, Format::Sarif)] {
                let text = render(&first, format, None).unwrap();
                let value: Value = serde_json::from_str(&text).unwrap();
                let errors = schema::errors(schema, &value);
                wrong.extend(errors.into_iter().map(|error| format!("{}/{name} {format:?}: {error}", rule.code)));
                // The official schema is not in the repository: with a folder in this variable it can be asked.
                if let Some(folder) = std::env::var_os("KUBECTL_FLINK_REPORTS").filter(|_| format == Format::Sarif) {
                    std::fs::write(std::path::Path::new(&folder).join(format!("{}-{name}.json", rule.code)), text)
                        .unwrap();
                }
            }
            let again = names.into_iter().map(|(name, text)| SourceFile::new(name, text)).collect();
            let second = report(again, live);
            for format in [Format::Json, Format::Human] {
                assert_eq!(render(&first, format, None).unwrap(), render(&second, format, None).unwrap());
            }
            let prints: std::collections::BTreeSet<&str> =
                first.findings.iter().map(|f| f.fingerprint.as_str()).collect();
            assert_eq!(prints.len(), first.findings.len(), "{name}: one fingerprint for two findings");
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn a_fingerprint_does_not_know_of_lines() {
    let prints = |text: &str| of(text).findings.iter().map(|f| f.fingerprint.clone()).collect::<Vec<_>>();
    let moved = BROKEN.replace("apiVersion: v1\n", "# a comment\n\napiVersion: v1\n");
    assert_eq!(prints(BROKEN)[1..], prints(&moved)[1..]);
}

#[test]
fn accepted_findings_stay() {
    let report = of(BROKEN);
    let json: Value = serde_json::from_str(&plain(&report, Format::Json)).unwrap();
    let sarif: Value = serde_json::from_str(&plain(&report, Format::Sarif)).unwrap();
    assert_eq!(json["summary"]["suppressed"], 1);
    let suppressed = |list: &Value, pointer: &str| {
        list.as_array().unwrap().iter().filter_map(|one| one.pointer(pointer).cloned()).collect::<Vec<_>>()
    };
    assert_eq!(suppressed(&json["findings"], "/suppressed/reason"), ["the same"]);
    assert_eq!(suppressed(&sarif["runs"][0]["results"], "/suppressions/0/justification"), ["the same"]);
    assert!(sarif["runs"][0]["results"].to_string().contains("\"uri\":\"dir/a%20file.yaml\""));
}

#[test]
fn formats_are_parsed() {
    assert_eq!(parse("json"), Ok(OutputSpec { format: Format::Json, file: None }));
    assert_eq!(parse("SARIF=a=b"), Ok(OutputSpec { format: Format::Sarif, file: Some("a=b".into()) }));
    assert_eq!(parse("xml").unwrap_err(), "there is no format \"xml\": human, json, yaml, sarif, junit, github");
    assert_eq!(parse("junit=").unwrap_err(), "the file is missing: junit=FILE");
}
