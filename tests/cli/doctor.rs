//! The doctor on files, and what it says of its rules: no cluster is asked.

use crate::support::{Home, NoServer, refused};

const WARNING: &str = "kind: A\napiVersion: v1\nmetadata:\n  name: a\n  name: b\n";

#[test]
fn every_format_ends_with_the_same_exit_code() {
    let (home, server) = (Home::new(), NoServer::new());
    home.file(".kube/config", &server.kubeconfig);
    home.file("fine.yaml", "kind: A\napiVersion: v1\nmetadata: {name: a}\n").file("bad.yaml", WARNING);
    home.file("broken.yaml", "a: b: c\n").file("config.yaml", "key: value\n");
    for format in ["human", "json", "yaml", "sarif", "junit", "github", "json=out", "sarif=out"] {
        for (file, flags, code) in [
            ("fine.yaml", &[][..], 0),
            ("bad.yaml", &[], 0),
            ("bad.yaml", &["--fail-on", "warning"], 1),
            ("bad.yaml", &["--fail-on", "warning", "--ignore", "FLK002"], 0),
            ("bad.yaml", &["--fail-on", "info", "--min-severity", "error"], 0),
            ("broken.yaml", &[], 3),
            ("broken.yaml", &["--fail-on", "never"], 3),
            ("missing.yaml", &[], 2),
        ] {
            let mut arguments = vec!["doctor", "-f", file, "-o", format];
            arguments.extend(flags);
            let output = home.command(&arguments).output().unwrap();
            assert_eq!(output.status.code(), Some(code), "{arguments:?}");
            if code != 2 && ["json", "sarif"].contains(&format) {
                assert!(serde_json::from_slice::<serde_json::Value>(&output.stdout).is_ok(), "{arguments:?}");
            }
        }
    }
}

#[test]
fn settings_are_found_above() {
    let home = Home::new();
    home.file("deploy/bad.yaml", WARNING).file(".kubectl-flink.yaml", "severities: {FLK002: error}\n");
    let code = |home: &Home| {
        let mut command = home.command(&["doctor", "-f", "."]);
        command.current_dir(home.path().join("deploy")).output().unwrap().status.code()
    };
    assert_eq!(code(&home), Some(1));
    // The settings of another repository are not.
    home.file("deploy/.git/HEAD", "");
    assert_eq!(code(&home), Some(0));
}

#[test]
fn fixes_are_shown_and_written() {
    let home = Home::new();
    home.file("bad.yaml", WARNING);
    insta::assert_snapshot!(home.run(&["doctor", "-f", "bad.yaml"]), @"");
    insta::assert_snapshot!(home.run(&["doctor", "-f", "bad.yaml", "--fix", "--diff"]), @"");
    home.run(&["doctor", "-f", "bad.yaml", "--fix", "--write"]);
    let mended = std::fs::read_to_string(home.path().join("bad.yaml")).unwrap();
    assert_eq!(mended, WARNING.replace("  name: a\n", ""));
}

#[test]
fn what_cannot_be_meant_is_refused() {
    insta::assert_snapshot!(refused(&[
        &["doctor", "-f", "x", "-o", "xml"],
        &["doctor", "-f", "x", "-o", "json", "-o", "yaml"],
        &["doctor", "-f", "x", "--select", "FLK1O1"],
        &["doctor", "-f", "x", "--config", "missing.yaml"],
        &["explain", "FLK1O1"],
        &["rules", "--group", "rback"],
    ]), @"");
}

#[test]
fn rules_are_explained() {
    let home = Home::new();
    insta::assert_snapshot!(home.run(&["explain", "FLK007"]), @"");
    insta::assert_snapshot!(home.run(&["rules", "--group", "input"]), @"");
    insta::assert_snapshot!(home.run(&["rules", "--rbac", "--group", "FLK101"]), @"");
    let json: serde_json::Value = serde_json::from_str(&home.stdout(&["rules", "-o", "json"])).unwrap();
    assert!(json.as_array().unwrap().iter().all(|rule| rule["explanation"].is_string()));
}
