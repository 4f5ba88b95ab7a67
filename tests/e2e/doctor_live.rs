//! `doctor` on a cluster whose pods never run: what it finds there is what it finds in the files, whatever it may read.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::apply::{NOWHERE, up};
use crate::support::{Needs, Run, Test};

/// Fixtures that the API server takes, from all groups.
const BROKEN: [&str; 21] = [
    "FLK102/fail-kind.yaml",
    "FLK103/fail-name.yaml",
    "FLK103/fail.yaml",
    "FLK104/fail.yaml",
    "FLK105/fail-delete.yaml",
    "FLK105/fail-watch.yaml",
    "FLK106/fail.yaml",
    "FLK109/fail-pod.yaml",
    "FLK202/fail.yaml",
    "FLK203/fail.yaml",
    "FLK205/fail.yaml",
    "FLK206/fail.yaml",
    "FLK212/fail.yaml",
    "FLK221/fail.yaml",
    "FLK301/fail.yaml",
    "FLK302/fail.yaml",
    "FLK306/fail.yaml",
    "FLK401/fail.yaml",
    "FLK501/fail_config_map.yaml",
    "FLK512/fail.yaml",
    "FLK516/fail_file.yaml",
];
/// What only the server knows: files that lack something may be a part of all.
const ONLY_LIVE: [(&str, &str); 3] = [
    ("FLK108", "the account that the files do not have is not in the cluster either"),
    ("FLK303", "the Service that the files do not have is not in the cluster either"),
    ("FLK521", "the ConfigMap that the files do not have is not in the cluster either"),
];
/// What only files say: the server has something else in its place.
const ONLY_FILES: [(&str, &str); 3] = [
    ("FLK002", "of a key that stands twice the server has one"),
    ("FLK003", "of an object that stands twice the server has one"),
    ("FLK221", "the server gives a claim the default storage class, which decides whose the volume is"),
];
/// What changes while the controllers work: rules of how it runs.
const RUNTIME: &str = "FLK6";

/// As [`NOWHERE`] has it, in the template of a pod.
const NO_NODE: &str = "      nodeSelector: {kf-test: nowhere}";

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/doctor").join(name)
}

/// A fixture whose objects are in this namespace, and whose pods no node takes: what they would do there is not the same
/// from one look to the next.
fn in_namespace(name: &str, namespace: &str) -> String {
    let text = fs::read_to_string(fixture(name)).unwrap();
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("#~"));
    let lines = lines.flat_map(|line| [Some(line), (line == "    spec:").then_some(NO_NODE)].into_iter().flatten());
    // `namespace: flink` of objects and subjects, and `kubernetes.namespace: flink`; not `namespace: flink-other`.
    let renamed = lines.map(|line| match line.trim_end_matches('}').strip_suffix("namespace: flink") {
        Some(before) => {
            format!("{before}namespace: {namespace}{}\n", "}".repeat(line.len() - line.trim_end_matches('}').len()))
        }
        None => {
            line.replace("namespace: flink}", &format!("namespace: {namespace}}}"))
                .replace("namespace: flink,", &format!("namespace: {namespace},"))
                + "\n"
        }
    });
    renamed.collect()
}

/// A file, and its folder.
fn file(text: &str) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("cluster.yaml");
    fs::write(&path, text).unwrap();
    (folder, path.to_str().unwrap().to_owned())
}

/// The report of a run that could look.
fn report(run: &Run) -> Value {
    assert!([0, 1].contains(&run.code), "it could not look\n{run}");
    run.json()
}

fn doctor(test: &Test, arguments: &[&str]) -> Value {
    report(&test.flink(&[&["doctor", "-o", "json"], arguments].concat()))
}

/// The codes of the findings that nobody accepted, without those of how it runs.
fn codes(report: &Value) -> BTreeSet<String> {
    let findings = report["findings"].as_array().unwrap().iter().filter(|finding| finding["suppressed"].is_null());
    findings.map(|one| one["code"].as_str().unwrap().to_owned()).filter(|code| !code.starts_with(RUNTIME)).collect()
}

fn without(codes: BTreeSet<String>, exempt: &[(&str, &str)]) -> BTreeSet<String> {
    codes.into_iter().filter(|code| !exempt.iter().any(|(one, _)| one == code)).collect()
}

#[test]
fn a_cluster_has_the_findings_of_the_files_that_made_it() {
    let Some(test) = Test::begin("a_cluster_has_the_findings_of_the_files_that_made_it", Needs::Api) else { return };
    let mut differ: Vec<String> = Vec::new();
    let mut seen = BTreeSet::new();
    for name in BROKEN {
        let namespace = test.another_namespace();
        let text = in_namespace(name, &namespace);
        let (_folder, path) = file(&text);
        let run = |arguments: &[&str]| {
            report(&Run::of(test.plain_command().args(["doctor", "-o", "json", "-n", &namespace]).args(arguments)))
        };
        let in_files = codes(&run(&["-f", &path]));
        assert!(in_files.contains(name.split('/').next().unwrap()), "{name}: {in_files:?}");
        test.kubectl(&["create", "namespace", &namespace]);
        test.apply(&text).ok();
        let live = run(&[]);
        assert_eq!(live["summary"]["notChecked"], 0, "{name}: {}", live["skipped"]);
        let (in_files, live) = (without(in_files, &ONLY_FILES), without(codes(&live), &ONLY_LIVE));
        seen.extend(live.iter().cloned());
        if in_files != live {
            differ.push(format!("{name}: in the files {in_files:?}, live {live:?}"));
        }
    }
    assert!(differ.is_empty(), "{}", differ.join("\n"));
    assert!(seen.len() > 15, "hardly anything was compared: {seen:?}");
}

/// What the survey reads of a namespace, in the words of a Role, and the word that says that it was refused.
const READ: [(&[&str], &str, &str, &str); 19] = [
    (&["list"], "apps", "deployments", "deployments"),
    (&["list"], "apps", "statefulsets", "statefulsets"),
    (&["list"], "batch", "jobs", "jobs"),
    (&["list"], "flink.apache.org", "flinkdeployments", ""),
    (&["get", "list"], "", "pods", "pods"),
    (&["get", "list"], "", "configmaps", "configmaps"),
    (&["list"], "rbac.authorization.k8s.io", "roles", "roles"),
    (&["list"], "rbac.authorization.k8s.io", "rolebindings", "rolebindings"),
    (&["create"], "authorization.k8s.io", "localsubjectaccessreviews", "localsubjectaccessreviews"),
    (&["get"], "", "serviceaccounts", "serviceaccounts"),
    (&["list"], "", "services", "services"),
    (&["list"], "networking.k8s.io", "ingresses", "ingresses"),
    (&["list"], "networking.k8s.io", "networkpolicies", "networkpolicies"),
    (&["get"], "", "persistentvolumeclaims", "persistentvolumeclaims"),
    (&["list"], "", "resourcequotas", "resourcequotas"),
    (&["list"], "", "limitranges", "limitranges"),
    (&["list"], "policy", "poddisruptionbudgets", "poddisruptionbudgets"),
    (&["list"], "autoscaling", "horizontalpodautoscalers", "horizontalpodautoscalers"),
    // Not asked where no pod has an address or a log.
    (&["list"], "", "events", "events"),
];
/// Without pods that run nothing is asked of these: whether they are missed shows where there are some.
const OF_PODS: [(&[&str], &str, &str); 2] = [(&["get"], "", "pods/log"), (&["create"], "", "pods/portforward")];
const OF_CLUSTER: [(&[&str], &str, &str); 3] = [
    (&["list"], "rbac.authorization.k8s.io", "clusterrolebindings"),
    (&["get"], "rbac.authorization.k8s.io", "clusterroles"),
    (&["get"], "", "namespaces"),
];

/// A role with all but one resource.
fn role(kind: &str, name: &str, rights: &[(&[&str], &str, &str)], lacking: &str) -> String {
    let rights = rights.iter().filter(|(_, _, resource)| *resource != lacking);
    let rules: Vec<Value> = rights
        .map(|(verbs, group, resource)| json!({"apiGroups": [group], "resources": [resource], "verbs": verbs}))
        .collect();
    json!({
        "apiVersion": "rbac.authorization.k8s.io/v1", "kind": kind, "metadata": {"name": name}, "rules": rules
    })
    .to_string()
}

/// What is taken back at the end although it is in no namespace.
struct OfCluster<'a>(&'a Test, String);

impl Drop for OfCluster<'_> {
    fn drop(&mut self) {
        self.0.try_kubectl(&["delete", "clusterrole,clusterrolebinding", &self.1, "--ignore-not-found"]);
    }
}

/// Runs as a user who may read all of the namespace but one resource after the other.
fn all_but_one(test: &Test) {
    // One user for each test, as what is of no namespace is everybody's.
    let user = test.namespace.as_str();
    let of_namespace: Vec<(&[&str], &str, &str)> =
        READ.iter().map(|(verbs, group, resource, _)| (*verbs, *group, *resource)).chain(OF_PODS).collect();
    test.kubectl_with(&["apply", "-f", "-"], &role("Role", "doctor", &of_namespace, "")).ok();
    test.kubectl_here(&["create", "rolebinding", "doctor", "--role=doctor", &format!("--user={user}")]);
    let _of_cluster = OfCluster(test, user.to_owned());
    test.kubectl_with(&["apply", "-f", "-"], &role("ClusterRole", user, &OF_CLUSTER, "")).ok();
    let (with_role, with_user) = (format!("--clusterrole={user}"), format!("--user={user}"));
    test.kubectl(&["create", "clusterrolebinding", user, &with_role, &with_user]);
    let look = || report(&test.flink_as(user, &["doctor", "-o", "json"]));

    let administrator = doctor(test, &[]);
    assert_eq!(administrator["skipped"], json!([]));
    let all = look();
    assert_eq!(all["skipped"], json!([]), "the rights are not enough");
    let all = codes(&all);
    assert_eq!(all, codes(&administrator));

    let words: BTreeMap<&str, &str> = READ.iter().map(|(_, _, resource, word)| (*resource, *word)).collect();
    let lacking = of_namespace.iter().map(|right| ("Role", "doctor", *right));
    for (kind, name, (_, _, resource)) in lacking.chain(OF_CLUSTER.iter().map(|right| ("ClusterRole", user, *right))) {
        let rights = if kind == "Role" { &of_namespace[..] } else { &OF_CLUSTER[..] };
        test.kubectl_with(&["apply", "-f", "-"], &role(kind, name, rights, resource)).ok();
        let run = test.flink_as(user, &["doctor", "-o", "json"]);
        // Without its Deployments there is no cluster, and that may be wrong.
        let blind = resource == "deployments";
        assert!(if blind { run.code == 3 } else { [0, 1].contains(&run.code) }, "without {resource}\n{run}");
        let found = codes(&run.json());
        test.say(&format!("without {resource}: {found:?}"));
        let more: Vec<&String> = found.difference(&all).collect();
        assert!(more.is_empty(), "without {resource} there is more: {more:?}\n{run}");
        let said = run.json()["skipped"].to_string();
        match words.get(resource).copied() {
            // Nothing is asked of claims and events where there are none to ask for.
            Some("events" | "persistentvolumeclaims" | "") | None => {}
            Some(word) => assert!(said.contains(word), "without {resource}: {said}"),
        }
        assert!(found.len() == all.len() || said != "[]", "without {resource} less is found, and nothing said\n{run}");
        test.kubectl_with(&["apply", "-f", "-"], &role(kind, name, rights, "")).ok();
    }
}

#[test]
fn what_may_not_be_read_of_a_sound_cluster_is_no_finding() {
    let Some(test) = Test::begin("what_may_not_be_read_of_a_sound_cluster_is_no_finding", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    up(&test, &[]).ok();
    all_but_one(&test);
}

#[test]
fn what_may_not_be_read_of_a_broken_cluster_is_no_other_finding() {
    let Some(test) = Test::begin("what_may_not_be_read_of_a_broken_cluster_is_no_other_finding", Needs::Api) else {
        return;
    };
    let test = test.with_namespace(&[]);
    test.apply(&in_namespace("FLK105/fail-watch.yaml", &test.namespace)).ok();
    assert!(codes(&doctor(&test, &[])).contains("FLK105"));
    all_but_one(&test);
}

#[test]
fn who_may_read_nothing_is_told_what_it_takes_and_has_it_then() {
    let Some(test) = Test::begin("who_may_read_nothing_is_told_what_it_takes_and_has_it_then", Needs::Api) else {
        return;
    };
    let test = test.with_namespace(&[]);
    let user = test.namespace.as_str();
    test.apply(&in_namespace("FLK105/fail-watch.yaml", &test.namespace)).ok();
    test.flink_as(user, &["doctor"]).exits(3).says(&["forbidden", "hint:", "kubectl flink rules --rbac"]);
    test.flink_as(user, &["doctor", "flink-jobmanager"]).exits(3).says(&["kubectl flink rules --rbac"]);

    // Of what a user of a single kind sees none is a cluster, and he is told that there may be some.
    test.kubectl_here(&["create", "role", "one", "--verb=list", "--resource=services"]);
    test.kubectl_here(&["create", "rolebinding", "one", "--role=one", &format!("--user={user}")]);
    test.flink_as(user, &["doctor"]).exits(3).says(&["as far as could be seen"]);
    test.flink_as(user, &["doctor", "flink-jobmanager"]).exits(3).says(&["may be there and not be seen", "forbidden"]);

    // The Role alone: less only where the ClusterRole is needed.
    let rbac =
        test.flink(&["rules", "--rbac"]).ok().stdout.replace("name: kubectl-flink-doctor", &format!("name: {user}"));
    let (role, cluster_role) = rbac.split_once("---\n").unwrap();
    test.kubectl_with(&["apply", "-f", "-"], role).ok();
    test.kubectl_here(&["create", "rolebinding", "two", &format!("--role={user}"), &format!("--user={user}")]);
    let administrator = codes(&doctor(&test, &[]));
    let of_role = report(&test.flink_as(user, &["doctor", "-o", "json"]));
    assert!(codes(&of_role).is_subset(&administrator), "{of_role}");
    for skip in of_role["skipped"].as_array().unwrap() {
        assert!(skip["reason"].as_str().unwrap().contains("at the cluster scope"), "{skip}");
    }

    // With both it is all that an administrator sees.
    let _of_cluster = OfCluster(&test, user.to_owned());
    test.kubectl_with(&["apply", "-f", "-"], cluster_role).ok();
    let (with_role, with_user) = (format!("--clusterrole={user}"), format!("--user={user}"));
    test.kubectl(&["create", "clusterrolebinding", user, &with_role, &with_user]);
    let of_both = report(&test.flink_as(user, &["doctor", "-o", "json"]));
    assert_eq!((codes(&of_both), &of_both["skipped"]), (administrator, &json!([])));
}

#[test]
fn files_are_laid_over_the_cluster() {
    let Some(test) = Test::begin("files_are_laid_over_the_cluster", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    let broken = in_namespace("FLK105/fail-watch.yaml", &test.namespace);
    let sound = in_namespace("FLK105/pass.yaml", &test.namespace);
    let role_of = |text: &str| {
        let documents = text.split("---\n").filter(|one| one.contains("kind: Role\n"));
        documents.collect::<Vec<_>>().join("---\n")
    };
    assert_ne!(role_of(&broken), role_of(&sound));

    test.apply(&broken).ok();
    assert!(codes(&doctor(&test, &[])).contains("FLK105"));
    let (_mend, mend) = file(&role_of(&sound));
    let mended = doctor(&test, &["-f", &mend, "--overlay"]);
    assert_eq!((codes(&mended), &mended["target"]["mode"]), (BTreeSet::new(), &"overlay".into()), "{mended}");

    test.apply(&sound).ok();
    assert_eq!(codes(&doctor(&test, &[])), BTreeSet::new());
    let text = role_of(&broken);
    let (_break, path) = file(&text);
    let overlaid = doctor(&test, &["-f", &path, "--overlay"]);
    assert_eq!(codes(&overlaid), BTreeSet::from(["FLK105".to_owned()]), "{overlaid}");
    let finding = overlaid["findings"].as_array().unwrap().iter().find(|one| one["code"] == "FLK105").unwrap();
    let line = finding["location"]["line"].as_u64().unwrap();
    assert_eq!(finding["location"]["file"], path.as_str(), "{finding}");
    assert!((1..=text.lines().count() as u64).contains(&line), "{finding}");
    // Without the cluster the Role is nobody's.
    assert_eq!(codes(&doctor(&test, &["-f", &path])), BTreeSet::new());
    // Nothing was changed.
    assert_eq!(codes(&doctor(&test, &[])), BTreeSet::new());
}

#[test]
fn clusters_are_chosen_by_name_and_namespace() {
    let Some(test) = Test::begin("clusters_are_chosen_by_name_and_namespace", Needs::Api) else { return };
    test.flink(&["doctor"]).ok().says(&["No Flink cluster in namespace", &test.namespace]);
    test.flink(&["doctor", "any"]).exits(3).says(&["no Flink cluster \"any\"", "-A"]);
    let test = test.with_namespace(&[]);
    test.flink(&["doctor"]).ok().says(&["No Flink cluster in namespace", &test.namespace]);

    up(&test, &[]).ok();
    test.flink(&[&["up", "other"], &NOWHERE[..]].concat()).ok();
    test.kubectl_here(&[
        "patch",
        "role",
        "other-jobmanager",
        "--type=json",
        "-p",
        r#"[{"op": "remove", "path": "/rules/0"}]"#,
    ]);
    let names = |report: &Value| -> BTreeSet<String> {
        let findings = report["findings"].as_array().unwrap().iter().filter(|one| one["suppressed"].is_null());
        findings.filter_map(|one| Some(one["cluster"]["name"].as_str()?.to_owned())).collect()
    };
    let other = doctor(&test, &["other", "--select=FLK105"]);
    assert_eq!(names(&other), BTreeSet::from(["other".to_owned()]), "{other}");
    let sound = doctor(&test, &["flink"]);
    assert!(codes(&sound).is_empty(), "{sound}");
    let all = doctor(&test, &["--select=FLK105"]);
    assert_eq!((names(&all), &all["summary"]["clusters"]), (BTreeSet::from(["other".to_owned()]), &2.into()), "{all}");
    test.flink(&["doctor", "nope"]).exits(3).says(&["no Flink cluster \"nope\"", "there is: flink, other"]);

    let everywhere = test.plain_command().args(["doctor", "-A", "-o", "json", "--select=FLK105"]).output().unwrap();
    let everywhere: Value = serde_json::from_slice(&everywhere.stdout).unwrap();
    let here = |one: &&Value| one["cluster"]["namespace"] == test.namespace.as_str();
    let findings = everywhere["findings"].as_array().unwrap();
    assert!(findings.iter().any(|one| here(&one) && one["cluster"]["name"] == "other"), "{everywhere}");
    assert!(!findings.iter().any(|one| here(&one) && one["cluster"]["name"] == "flink"), "{everywhere}");
}

#[test]
fn time_is_limited_and_said() {
    let Some(test) = Test::begin("time_is_limited_and_said", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    up(&test, &[]).ok();
    let run = test.flink(&["doctor", "--timeout=1ms"]).exits(3).says(&["as far as could be seen"]);
    assert!(run.stdout.contains("Not checked") && run.stdout.contains("--timeout"), "{run}");

    // What waits for a node settles as soon as nothing waits.
    let started = Instant::now();
    let settled = test.flink(&["doctor", "--wait=60s", "--ignore=runtime"]).ok();
    assert!(started.elapsed() < Duration::from_secs(30), "{settled}");
    test.until("a pod cannot be scheduled", || test.flink(&["doctor", "--select=FLK605"]).code == 1);
    let waits = test.flink(&["doctor", "--wait=5s", "--select=FLK605"]).exits(1);
    assert!(waits.took > Duration::from_secs(1), "it did not wait\n{waits}");

    let mut command = test.command(&["doctor", "--wait=5m", "--select=FLK605"]);
    let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    std::thread::sleep(Duration::from_secs(3));
    crate::flink::kill("INT", child.id());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(130), "{output:?}");
}

#[test]
fn up_sends_nothing_that_the_doctor_finds_wrong() {
    let Some(test) = Test::begin("up_sends_nothing_that_the_doctor_finds_wrong", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    let folder = tempfile::tempdir().unwrap();
    let rendered = folder.path().join("manifests");
    let manifests = rendered.to_str().unwrap();
    test.flink(&[&["render", "--to", manifests], &NOWHERE[1..]].concat()).ok();
    let rbac = rendered.join("02_rbac.yaml");
    let sound = fs::read_to_string(&rbac).unwrap();
    assert!(sound.contains("  - watch\n"), "{sound}");
    fs::write(&rbac, sound.replacen("  - watch\n", "", 1)).unwrap();

    let up = |arguments: &[&str]| test.flink(&[&["up", "-f", manifests, "--wait=false"], arguments].concat());
    let empty = test.settled();
    let refused = up(&[]).exits(1);
    let refused = refused.says(&["nothing was sent", "02_rbac.yaml:", "FLK105", "--skip-doctor", "hint:"]);
    let line = refused.stderr.split("02_rbac.yaml:").nth(1).unwrap();
    let number: usize = line.split(':').next().unwrap().parse().unwrap_or_else(|e| panic!("{e}\n{refused}"));
    assert!((1..=sound.lines().count()).contains(&number), "{refused}");
    assert_eq!(test.settled(), empty);
    up(&["--skip-doctor"]).ok().says(&["02_rbac.yaml"]);
    assert!(test.exists("deployment/flink-jobmanager"));

    test.say("a warning does not stop");
    fs::write(&rbac, sound.replacen("  - watch\n", "  - watch\n  - wach\n", 1)).unwrap();
    let run = up(&[]).ok();
    assert!(run.stderr.contains("warning:") && run.stderr.contains("FLK113"), "{run}");

    test.say("what is accepted neither stops nor warns");
    let accepted = sound.replacen(
        "  - watch\n",
        "  - watch\n  # kubectl-flink: ignore FLK113 -- somebody reads it\n  - wach\n",
        1,
    );
    fs::write(&rbac, accepted).unwrap();
    up(&[]).ok().keeps_silent_about(&["FLK113", "FLK004"]);
}

#[test]
fn what_helm_makes_comes_on_standard_input() {
    let Some(test) = Test::begin("what_helm_makes_comes_on_standard_input", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    let broken = in_namespace("FLK105/fail-watch.yaml", &test.namespace);
    let with_input = |command: &mut Command| {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(broken.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        (output.status.code(), serde_json::from_slice::<Value>(&output.stdout).unwrap())
    };
    let (code, report) = with_input(&mut test.command(&["doctor", "-f", "-", "--overlay", "-o", "json"]));
    assert_eq!((code, codes(&report)), (Some(1), BTreeSet::from(["FLK105".to_owned()])), "{report}");
}
