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
fn folders_have_more_than_manifests() {
    let home = Home::new();
    for name in ["kustomization.yaml", "docker-compose.prod.yml", "chart/Chart.yaml", "chart/values-prod.yaml"] {
        home.file(&format!("deploy/{name}"), "a: b: c");
    }
    home.file("deploy/chart/templates/a.yaml", "{{ if .Values.x }}\n").file("deploy/values.yaml", "a: b\n");
    home.file("deploy/object.yaml", "kind: A\napiVersion: v1\nmetadata: {name: a}\n");
    insta::assert_snapshot!(home.run(&["doctor", "-f", "deploy"]), @r"
    Nothing wrong found in 1 document of 1 file, no Flink cluster
    ---- stderr
    not read: deploy/chart/templates: a Helm chart's templates; render them: helm template deploy/chart | kubectl flink doctor -f -
    not read: deploy/values.yaml: no Kubernetes object
    ");
    home.file("deploy/object.yaml", "kind: A\n").file("deploy/template.yaml", "a: {{ .Values.a }}\nb: {{ c\n}}: d\n");
    for (path, code) in [("deploy", 3), ("deploy/values.yaml", 3), ("deploy/chart", 2), ("deploy/template.yaml", 3)] {
        let output = home.command(&["doctor", "-f", path]).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{path}: {}", String::from_utf8_lossy(&output.stdout));
    }
    let said = home.run(&["doctor", "-f", "deploy/template.yaml"]);
    assert!(said.contains("unrendered template: render it first"), "{said}");
}

#[test]
fn secrets_are_never_shown() {
    const SECRET: &str = "hunter2-of-the-test";
    let home = Home::new();
    let text = include_str!("../doctor/FLK231/fail.yaml").replace("hunter2", SECRET);
    home.file("fail.yaml", &text);
    // A finding at a Secret's value, at a variable's, and at a line whose secret a fix leaves as it is.
    home.file(
        "more.yaml",
        &format!(
            "apiVersion: v1\nkind: Secret\nmetadata: {{name: a}}\nstringData: {{x: {SECRET}, x: {SECRET}}}\n---\n\
             apiVersion: v1\nkind: A\nmetadata: {{name: b}}\nenv:\n- {{name: A_PASSWORD, value: {SECRET}, value: {SECRET}}}\n\
             password: {SECRET}\npassword: {SECRET}x\n---\nkind: Secret\nx: {SECRET}\n a: {SECRET}: {SECRET}\n"
        ),
    );
    let all = ["human", "json", "yaml", "sarif", "junit", "github"].map(|format| vec!["-o", format]);
    let fixes = [vec!["--fix", "--unsafe-fixes", "--diff"], vec!["--fix", "--write"]];
    for file in ["fail.yaml", "more.yaml"] {
        for flags in all.iter().chain(&fixes) {
            let output = home.command(&["doctor", "-f", file]).args(flags).output().unwrap();
            let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
            assert!(!said.contains("of-the-test") && !said.is_empty(), "{file} {flags:?}: {said}");
        }
    }
    home.file("fail.yaml", &text);
    let said = home.run(&["doctor", "-f", "fail.yaml"]);
    assert!(said.contains("s3.secret-key: *******************\n"), "{said}");
}

#[test]
fn fixes_are_shown_and_written() {
    let home = Home::new();
    home.file("bad.yaml", WARNING);
    insta::assert_snapshot!(home.run(&["doctor", "-f", "bad.yaml"]), @r#"
    warning[FLK002]: key "name" stands twice here, first in line 4
     --> bad.yaml:5:3
      |
    5 |   name: b
      |   ^^^^
      = see: bad.yaml:4: the first, which does not count
      = fix: remove the one that is not meant; the last one counts
      = --fix: can remove the first name, which does not count

    1 warning in 1 document of 1 file, no Flink cluster
    Why each of them matters: kubectl flink explain FLK002
    "#);
    insta::assert_snapshot!(home.run(&["doctor", "-f", "bad.yaml", "--fix", "--diff"]), @"
    --- a/bad.yaml
    +++ b/bad.yaml
    @@ -1,5 +1,4 @@
     kind: A
     apiVersion: v1
     metadata:
    -  name: a
       name: b
    ---- stderr
    would mend FLK002 in bad.yaml: remove the first name, which does not count
    ");
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
    ]), @r#"
    $ doctor -f x -o xml
    error: invalid value 'xml' for '--output <FORMAT[=FILE]>': there is no format "xml": human, json, yaml, sarif, junit, github
    $ doctor -f x -o json -o yaml
    error: two formats would be written to standard output
    hint: give all but one of them a file: -o sarif=doctor.sarif
    $ doctor -f x --select FLK1O1
    error: there is no rule, group or beginning of a code "FLK1O1"
    hint: did you mean FLK101?
    hint: see all rules: kubectl flink rules
    $ doctor -f x --config missing.yaml
    error: cannot read missing.yaml: No such file or directory (os error 2)
    $ explain FLK1O1
    error: there is no rule "FLK1O1"
    hint: did you mean FLK101?
    hint: see all rules: kubectl flink rules
    $ rules --group rback
    error: there is no rule, group or beginning of a code "rback"
    hint: did you mean rbac?
    hint: see all rules: kubectl flink rules
    "#);
}

#[test]
fn log_lines_lead_to_rules() {
    let home = Home::new();
    home.file(
        "jobmanager.log",
        "2026-11-20 12:24:02 INFO  a.b.C [] - Starting\n\
         2026-11-20 12:24:09 ERROR a.b.C [] - Could not recover job with job id 00000000000000000000000000000001.\n\
         2026-11-20 12:24:19 ERROR a.b.C [] - Could not recover job with job id 00000000000000000000000000000001.\n",
    );
    let log = || std::fs::File::open(home.path().join("jobmanager.log")).unwrap();
    insta::assert_snapshot!(home.show(home.command(&["explain", "-"]).stdin(log())), @"
    2: 2026-11-20 12:24:09 ERROR a.b.C [] - Could not recover job with job id 00000000000000000000000000000001.
      FLK203  A storage directory inside the pod is lost with the pod
      FLK604  The JobManager ends because a job in the HA ConfigMaps points to a file that is gone
    ---- stderr
    More on one of them: kubectl flink explain CODE
    ");
    let found = home.stdout(&["explain", "Plugin flink-s3-fs-presto-2.0.0.jar does not exist. Exiting.", "-o", "json"]);
    let found: serde_json::Value = serde_json::from_str(&found).unwrap();
    assert_eq!((&found[0]["line"], &found[0]["rules"][0]["code"]), (&1.into(), &"FLK217".into()), "{found}");
    insta::assert_snapshot!(home.run(&["explain", "all is well"]), @"
    ---- stderr
    error: no rule is about this
    hint: a line is looked up whole, as it stands in the log
    hint: look at the cluster itself: kubectl flink doctor
    [exit status: 1]
    ");
    insta::assert_snapshot!(home.run(&["explain", "all is well", "-o", "json"]), @"
    []
    ---- stderr
    error: no rule is about this
    hint: a line is looked up whole, as it stands in the log
    hint: look at the cluster itself: kubectl flink doctor
    [exit status: 1]
    ");
}

#[test]
fn a_log_line_of_one_word_is_no_rule() {
    let home = Home::new();
    let found: serde_json::Value = serde_json::from_str(&home.stdout(&["explain", "OOMKilled", "-o", "json"])).unwrap();
    let codes: Vec<_> = found[0]["rules"].as_array().unwrap().iter().map(|rule| &rule["code"]).collect();
    assert!(codes.contains(&&"FLK603".into()), "{found}");
}

#[test]
fn a_log_need_not_be_text_throughout() {
    let home = Home::new();
    let log = home.path().join("jobmanager.log");
    std::fs::write(&log, b"caf\xe9\nReason: OOMKilled \xff\n").unwrap();
    let shown = home.show(home.command(&["explain", "-"]).stdin(std::fs::File::open(log).unwrap()));
    assert!(shown.starts_with("2: Reason: OOMKilled \u{fffd}\n  FLK"), "{shown}");
}

#[test]
fn a_log_is_not_read_for_a_format_that_it_does_not_have() {
    let home = Home::new();
    // It never ends.
    let (log, _writer) = std::io::pipe().unwrap();
    insta::assert_snapshot!(home.show(home.command(&["explain", "-", "-o", "markdown"]).stdin(log)), @"
    ---- stderr
    error: -o markdown is for rules, not for lines of a log
    hint: use -o json
    [exit status: 2]
    ");
}

#[test]
fn rules_are_explained() {
    let home = Home::new();
    insta::assert_snapshot!(home.run(&["explain", "FLK007"]), @"
    FLK007: A rule failed: a mistake of this program

    rule-failed, error, input

    Why it matters

    The rule did not look at everything, so its silence says nothing. The other rules did run. Such a run never ends with exit
    code 0.

        error[FLK007]: rule FLK101 failed: index out of bounds

    Fix

    Report it with the input that it failed on. Until it is mended, --ignore with the rule's code leaves it out.
    ");
    insta::assert_snapshot!(home.run(&["rules", "--group", "input"]), @"
    CODE     NAME                  SEVERITY   GROUP   ONLY   FINDS
    FLK001   unreadable            error      input          A document cannot be read
    FLK002   key-twice             warning    input          A key stands twice in one mapping
    FLK003   object-twice          warning    input          An object stands twice in the input, and not the same each time
    FLK004   suppression-unused    warning    input          A suppression accepts nothing
    FLK005   suppression-unknown   warning    input          A suppression names no rule, or gives no reason
    FLK006   suppression-expired   warning    input          A suppression has expired
    FLK007   rule-failed           error      input          A rule failed: a mistake of this program
    FLK008   placeholder           warning    input          A placeholder stands where a value should be
    ");
    insta::assert_snapshot!(home.run(&["rules", "--rbac", "--group", "FLK101"]), @r#"
    apiVersion: rbac.authorization.k8s.io/v1
    kind: Role
    metadata:
      name: kubectl-flink-doctor
    rules:
    - apiGroups:
      - ""
      resources:
      - configmaps
      verbs:
      - get
      - list
    - apiGroups:
      - ""
      resources:
      - pods
      verbs:
      - list
    - apiGroups:
      - apps
      resources:
      - deployments
      - statefulsets
      verbs:
      - list
    - apiGroups:
      - batch
      resources:
      - jobs
      verbs:
      - list
    - apiGroups:
      - flink.apache.org
      resources:
      - flinkdeployments
      verbs:
      - list
    - apiGroups:
      - rbac.authorization.k8s.io
      resources:
      - rolebindings
      - roles
      verbs:
      - list
    ---
    # Optional: without it, what it lets be read is not checked. Bind it with a ClusterRoleBinding.
    apiVersion: rbac.authorization.k8s.io/v1
    kind: ClusterRole
    metadata:
      name: kubectl-flink-doctor
    rules:
    - apiGroups:
      - rbac.authorization.k8s.io
      resources:
      - clusterroles
      verbs:
      - get
    - apiGroups:
      - rbac.authorization.k8s.io
      resources:
      - clusterrolebindings
      verbs:
      - list
    "#);
    let json: serde_json::Value = serde_json::from_str(&home.stdout(&["rules", "-o", "json"])).unwrap();
    assert!(json.as_array().unwrap().iter().all(|rule| rule["explanation"].is_string()));
}
