//! Completion as people have it: through kubectl and without it, in shells, with the names of a live cluster.

use std::net::TcpListener;
use std::path::Path;

use serde_json::json;

use crate::desk::Desk;
use crate::support::{Needs, SMALL, Test, skip};

const JOB: &str = "7601318e4ccd7281759507f40830fea9";
/// Empties the line that is being typed.
const CLEAR: &str = "\u{15}";

#[test]
fn kubectl_completes_names_of_the_live_cluster() {
    let Some(test) = Test::begin("kubectl_completes_names_of_the_live_cluster", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    // Where pods run, these do not: JobManagers would write high-availability data of their own.
    for name in ["flink", "other"] {
        let arguments = ["up", name, "--wait=false", "--image=example.invalid/flink:1.20.5"];
        test.flink(&[&arguments[..], &SMALL[..]].concat()).ok();
    }
    test.create(
        &json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {
            "name": format!("flink-{JOB}-config-map"),
            "labels": {"app": "flink", "configmap-type": "high-availability", "type": "flink-native-kubernetes"}}})
        .to_string(),
    );
    test.kubectl_here(&["create", "secret", "generic", "s3-credentials"]);
    let desk = Desk::new(&test);
    desk.run("kubectl", &["flink", "completion", "install"]).ok().says(&["kubectl_complete-flink"]);
    let candidates = |words: &[&str]| {
        let run = desk.run("kubectl", &[&["__complete", "flink"], words].concat()).ok();
        let (values, directive) = run.stdout.trim_end().rsplit_once(":").unwrap();
        assert_eq!(directive, "4", "{run}");
        assert!(!run.stderr.contains("error"), "{run}");
        values.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    // On a machine that is busy the cluster may not answer in time: then there is nothing, and one presses TAB again.
    let are = |words: &[&str], expected: &[&str]| {
        test.until(&format!("{words:?} is completed to {expected:?}"), || candidates(words) == expected);
    };
    let has = |words: &[&str], expected: &str| {
        let count = || candidates(words).iter().filter(|name| *name == expected).count();
        test.until(&format!("{words:?} offers {expected:?} once"), || count() == 1);
    };
    let here = ["-n", test.namespace.as_str()];
    for words in [&["status"][..], &["doctor"], &["up"], &["down"]] {
        are(&[words, &here, &[""]].concat(), &["flink", "other"]);
    }
    // A flag before the command, a beginning, and nothing of another namespace.
    are(&[&here[..], &["status", "o"]].concat(), &["other"]);
    assert!(candidates(&["status", "-n", "no-such-namespace", ""]).is_empty());
    has(&["status", "-A", ""], "other");
    has(&["-n", &test.namespace[..5]], &test.namespace);
    has(&["status", "--namespace="], &test.namespace);
    are(&["--context", ""], &[desk.config["contexts"][0]["name"].as_str().unwrap()]);
    are(&[&["clean-ha"], &here[..], &[""]].concat(), &["flink"]);
    are(&[&["clean-ha", "flink"], &here[..], &["--job", ""]].concat(), &[JOB, "dead"]);
    are(&[&["clean-ha", "other"], &here[..], &["--job", ""]].concat(), &["dead"]);
    are(&[&["up"], &here[..], &["--env-from-secret", ""]].concat(), &["s3-credentials"]);
    has(&[&["up"], &here[..], &["--service-account", "def"]].concat(), "default");
    // Someone who may nothing is not told so.
    assert!(candidates(&[&["--as", "ann", "status"], &here[..], &[""]].concat()).is_empty());

    // A server that never answers gives no names, and an end nevertheless.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", silent.local_addr().unwrap());
    for words in [&["status", "-A", ""][..], &["-n", ""], &["status", "-s", &address, ""]] {
        let took = desk.run("kubectl", &[&["__complete", "flink"], words].concat()).ok().took;
        test.announce(&format!("kubectl flink {} <TAB> took {:.0} ms", words.join(" "), took.as_secs_f64() * 1000.0));
    }
}

#[test]
fn shells_complete_what_is_typed() {
    let Some(test) = Test::begin("shells_complete_what_is_typed", Needs::Api) else { return };
    for program in ["/usr/bin/script", "/usr/bin/zsh", "/usr/bin/fish", "/usr/share/bash-completion/bash_completion"] {
        if !Path::new(program).exists() {
            return skip("shells_complete_what_is_typed", &format!("needs {program}"));
        }
    }
    let test = test.with_namespace(&[]);
    let desk = Desk::new(&test);
    desk.run("kubectl", &["flink", "completion", "install"]).ok();
    test.flink(&[&["up", "only-one", "--wait=false"], &SMALL[..]].concat()).ok();
    let beginning = format!("-n {} on", test.namespace);

    test.say("bash, with kubectl's own completion");
    let mut bash = desk.terminal("bash --norc -i");
    bash.types("PS1='> '; source /usr/share/bash-completion/bash_completion; echo re''ady\n", "ready");
    bash.types("source <(kubectl completion bash); echo re''ady\n", "ready");
    bash.types("kubectl flink sta\t", "kubectl flink status ");
    bash.types(&beginning, &beginning);
    bash.completes("ly-one ");
    bash.types(&format!("{CLEAR}kubectl flink up --dry-run=cl\t"), "--dry-run=client");
    bash.types(&format!("{CLEAR}kubectl flink doctor -f conf\t"), "doctor -f config");

    test.say("bash, without kubectl");
    bash.types(&format!("{CLEAR}source <(kubectl-flink completion bash); echo re''ady\n"), "ready");
    bash.types("kubectl-flink sta\t", "kubectl-flink status ");
    bash.types(&beginning, &beginning);
    bash.completes("ly-one ");
    bash.types(&format!("{CLEAR}kubectl-flink up --dry-run=cl\t"), "--dry-run=client");
    bash.types(&format!("{CLEAR}kubectl-flink doctor -f conf\t"), "doctor -f config");

    test.say("zsh");
    let mut zsh = desk.terminal("zsh -f -i");
    zsh.types("PS1='> '; autoload -U compinit; compinit -u; echo re''ady\n", "ready");
    zsh.types("source <(kubectl-flink completion zsh); source <(kubectl completion zsh); echo re''ady\n", "ready");
    zsh.types("kubectl-flink sta\t", "kubectl-flink status");
    zsh.types(&format!("{CLEAR}kubectl-flink up --dry-run=cl\t"), "--dry-run=client");
    zsh.types(&format!("{CLEAR}kubectl flink explain FLK10\t"), "FLK101");

    test.say("fish");
    let fish = |script: &str, line: &str| {
        let text = format!("{script} | source; complete -C '{line}'");
        let run = desk.run("fish", &["--no-config", "-c", &text]).ok();
        run.stdout.lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let (direct, through) = ("kubectl-flink completion fish", "kubectl completion fish");
    assert_eq!(fish(direct, "kubectl-flink sta"), ["status"]);
    test.until("fish knows the cluster", || fish(direct, &format!("kubectl-flink status {beginning}")) == ["only-one"]);
    assert_eq!(fish(through, "kubectl flink sta"), ["status"]);
    assert_eq!(fish(through, "kubectl flink up --dry-run=cl"), ["--dry-run=client"]);
}
