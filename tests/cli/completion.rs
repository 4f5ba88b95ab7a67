//! What shells get that ask what can come next, without a cluster, and where kubectl finds the program that it asks.

use std::fs::Permissions;
use std::net::TcpListener;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crate::support::{Home, NoServer, kubeconfig};

/// The program as kubectl asks it: the words after `kubectl flink`.
fn asked(home: &Home, words: &[&str]) -> Command {
    let mut command = home.command(&[&["--"], words].concat());
    command.env("KUBECTL_FLINK_COMPLETE", "kubectl");
    command
}

/// The values alone, for lines of which the descriptions are those of the help.
fn values(home: &Home, words: &[&str]) -> String {
    let shown = home.show(&mut asked(home, words));
    shown.lines().map(|line| line.split('\t').next().unwrap()).collect::<Vec<_>>().join(" ")
}

#[test]
fn what_comes_from_the_program() {
    let (home, server) = (Home::new(), NoServer::new());
    home.file(".kube/config", &server.kubeconfig);
    insta::assert_snapshot!(home.show(&mut asked(&home, &[""])), @"
    up	Bring a highly available Flink session cluster up
    status	Show leader, pods, slots, jobs and high-availability data of Flink clusters
    doctor	Find what is wrong with Flink clusters, in files and live, and say how to mend it
    clean-ha	Show and remove high-availability data that clusters have left behind
    down	Take a Flink cluster down
    render	Write the numbered manifests of a cluster, for kubectl apply or a git repository
    explain	Explain what the doctor's rules find: why it matters, an example, and how to mend it
    rules	List the doctor's rules
    completion	Complete commands, flags and names in your shell
    version	Show the versions of this program, of Kubernetes, and of the Flink clusters in the namespace
    :4
    ");
    insta::assert_snapshot!(home.show(&mut asked(&home, &["-n", "x", "ren"])), @"
    render	Write the numbered manifests of a cluster, for kubectl apply or a git repository
    :4
    ");
    insta::assert_snapshot!(values(&home, &["rules", "-"]), @"--group --rbac --help --version --output --quiet --namespace --kubeconfig --context --cluster --user --server --token --as --as-group --as-uid --as-user-extra --certificate-authority --client-certificate --client-key --insecure-skip-tls-verify --tls-server-name --request-timeout :4");
    insta::assert_snapshot!(values(&home, &["up", "--jobmanager-"]), @"--jobmanager-image --jobmanager-memory --jobmanager-cpu :4");
    insta::assert_snapshot!(values(&home, &["status", "-o", ""]), @"wide json yaml name :4");
    insta::assert_snapshot!(values(&home, &["doctor", "--fail-on", ""]), @"error warning info never :4");
    insta::assert_snapshot!(values(&home, &["doctor", "--output", "s"]), @"sarif :4");
    insta::assert_snapshot!(values(&home, &["explain", "FLK11"]), @"FLK110 FLK111 FLK112 FLK113 FLK114 :4");
    insta::assert_snapshot!(values(&home, &["explain", "FLK101", "binding-"]), @"binding-namespace binding-subject :4");
    insta::assert_snapshot!(values(&home, &["doctor", "--select", "FLK101,r"]), @"FLK101,rbac FLK101,resources FLK101,runtime FLK101,rule-failed FLK101,role-missing FLK101,role-without-lock FLK101,rights-too-wide FLK101,rights-on-endpoints FLK101,rpc-address-unknown FLK101,rest-exposed FLK101,rest-tls FLK101,requests-missing FLK101,requests-above-limits FLK101,reactive-mode FLK101,runs-as-root FLK101,restart-strategy FLK101,rest-silent FLK101,rollout-stuck :4");
    insta::assert_snapshot!(values(&home, &["render", "-D", "state.backend.rocksdb.memory.m"]), @"state.backend.rocksdb.memory.managed= :6");
    insta::assert_snapshot!(values(&home, &["render", "-D", "state.backend.incremental="]), @"state.backend.incremental=true state.backend.incremental=false :4");
    insta::assert_snapshot!(values(&home, &["up", "--ha-storage", "p"]), @"pvc pvc: pod-local :6");
    insta::assert_snapshot!(values(&home, &["completion", ""]), @"install bash zsh fish powershell :4");
    // Nothing: what there is to say is said by nobody.
    for words in [&["status", "--help", "x", ""][..], &["render", ""], &["up", "--slots", ""], &["rules", "--", "--"]] {
        assert_eq!(values(&home, words), ":4", "{words:?}");
    }
}

#[test]
fn values_after_an_equals_sign_come_alone() {
    let home = Home::new();
    insta::assert_snapshot!(values(&home, &["up", "--dry-run="]), @"none client server :4");
    insta::assert_snapshot!(values(&home, &["up", "--wait=f"]), @"false :4");
    // They come there only, so that the next word is another one.
    assert_eq!(values(&home, &["up", "--dry-run", "cl"]), ":4");
    assert_eq!(values(&home, &["down", "-y", "--dry-r"]), "--dry-run :4");
}

#[test]
fn files_are_left_to_the_shell() {
    let home = Home::new();
    home.file("file", "");
    for words in [
        &["doctor", "-f", ""][..],
        &["up", "--filename="],
        &["--kubeconfig", ""],
        &["completion", "install", "--dir", ""],
        &["clean-ha", "--restore", "f"],
    ] {
        assert_eq!(values(&home, words), ":0", "{words:?}");
    }
}

#[test]
fn names_of_the_kubeconfig() {
    let home = Home::new();
    let (one, other) =
        (kubeconfig("http://127.0.0.1:1"), kubeconfig("http://127.0.0.1:1").replace("name: here", "name: elsewhere"));
    home.file("one", &one).file("other", &other.replace("name: c,", "name: d,").replace("name: u,", "name: v,"));
    let values = |words: &[&str]| {
        let mut command = asked(&home, words);
        command.env("KUBECONFIG", "one:missing:other");
        home.show(&mut command).lines().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(values(&["--context", ""]), "here there elsewhere :4");
    assert_eq!(values(&["status", "--context", "e"]), "elsewhere :4");
    assert_eq!(values(&["--cluster="]), "c d :4");
    assert_eq!(values(&["--user", ""]), "u v :4");
    assert_eq!(values(&["--kubeconfig", "other", "--user", ""]), "v :4");
}

/// No candidates, no word, and no error: whoever types must not be disturbed.
fn is_silent(home: &Home, words: &[&str], situation: &str) -> Duration {
    let started = Instant::now();
    let shown = home.show(&mut asked(home, words));
    assert_eq!(shown, ":4\n", "{situation}: {words:?}");
    started.elapsed()
}

#[test]
fn errors_are_silent_and_quick() {
    let waits = TcpListener::bind("127.0.0.1:0").unwrap();
    let plugin = |script: &str| {
        kubeconfig("http://127.0.0.1:1").replace(
            "{token: t}",
            &format!(
                "{{exec: {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: IfAvailable, command: sh, \
                 args: [-c, '{script}']}}}}"
            ),
        )
    };
    for (situation, config) in [
        ("no kubeconfig", None),
        ("a broken kubeconfig", Some("clusters: [".to_owned())),
        ("nobody listens", Some(kubeconfig("http://127.0.0.1:1"))),
        ("nobody answers", Some(kubeconfig(&format!("http://{}", waits.local_addr().unwrap())))),
        ("a plugin fails", Some(plugin("echo no >&2; exit 1"))),
        ("a plugin asks", Some(plugin("echo user? >&2; read user; exit 1"))),
        ("a plugin is slow", Some(plugin("sleep 5"))),
    ] {
        let home = Home::new();
        if let Some(config) = config {
            home.file(".kube/config", &config);
        }
        for words in [&["status", ""][..], &["-n", ""]] {
            let took = is_silent(&home, words, situation);
            // The machine may be busy; without a limit it would be half a minute.
            assert!(took < Duration::from_secs(3), "{situation}: {took:?}");
        }
    }
}

#[test]
fn other_calls_are_not_taken_for_questions() {
    let home = Home::new();
    let version = home.show(home.command(&["--version"]).env("KUBECTL_FLINK_COMPLETE", "kubectl"));
    assert!(version.starts_with("kubectl"), "{version}");
    let unknown = home.show(home.command(&["--", ""]).env("KUBECTL_FLINK_COMPLETE", "tcsh"));
    assert_eq!(unknown, "[exit status: 1]\n");
}

#[test]
fn bash_gives_the_line_and_the_part_that_it_replaces() {
    let home = Home::new();
    home.file("manifests/one.yaml", "");
    let values = |line: &str, part: &str| {
        let mut command = home.command(&["--", line, part]);
        home.show(command.env("KUBECTL_FLINK_COMPLETE", "bash")).lines().collect::<Vec<_>>().join(" ")
    };
    assert_eq!(values("kubectl-flink sta", "sta"), "status");
    assert_eq!(values("kubectl-flink up --dry-run=", ""), "none client server");
    assert_eq!(values("kubectl-flink up --dry-run=cl", "cl"), "client");
    assert_eq!(values("kubectl-flink up --dry-run cl", "cl"), "");
    assert_eq!(values("kubectl-flink doctor -f ma", "ma"), "manifests/");
    assert_eq!(values("kubectl-flink doctor -f manifests/", "manifests/"), "manifests/one.yaml");
    assert_eq!(values("kubectl-flink doctor -f 'manif", "'manif"), "[exit status: 1]");
}

/// As its script asks, with the program's name, and two quotation marks for a word that is yet to come.
#[test]
fn powershell_gives_the_words_of_the_line() {
    let home = Home::new();
    let shown = |words: &[&str]| {
        let mut command = home.command(&[&["--", "kubectl-flink"], words].concat());
        home.show(command.env("KUBECTL_FLINK_COMPLETE", "powershell"))
    };
    insta::assert_snapshot!(shown(&["sta"]), @"status	Show leader, pods, slots, jobs and high-availability data of Flink clusters");
    insta::assert_snapshot!(shown(&["status", "--outp"]), @"--output	Output format");
    let values: Vec<_> =
        shown(&["completion", ""]).lines().map(|line| line.split('\t').next().unwrap().to_owned()).collect();
    assert_eq!(values[..5], ["install", "bash", "zsh", "fish", "powershell"]);
}

#[test]
fn scripts() {
    let home = Home::new();
    for (shell, word) in
        [("bash", "complete "), ("zsh", "compdef "), ("fish", "complete "), ("powershell", "Register-")]
    {
        let script = home.stdout(&["completion", shell]);
        assert!(script.contains(word) && script.contains("KUBECTL_FLINK_COMPLETE"), "{shell}:\n{script}");
        // The program is found by its name, wherever it moves to.
        assert!(!script.contains("target"), "{shell}:\n{script}");
    }
}

/// `completion install` with this PATH.
fn install(home: &Home, path: &str, arguments: &[&str]) -> String {
    home.show(home.command(&[&["completion", "install"], arguments].concat()).env("PATH", path))
}

#[test]
fn install_puts_the_shim_beside_the_program() {
    let home = Home::new();
    // What is in the current folder, or no shell would run, is not the program.
    home.program("kubectl-flink", "").file("other/kubectl-flink", "").program("bin/kubectl-flink", "");
    let path = format!(":{0}/other:{0}/bin", home.path().display());
    insta::assert_snapshot!(install(&home, &path, &[]), @"
    ---- stderr
    Wrote $HOME/bin/kubectl_complete-flink: kubectl, from 1.26 on, completes `kubectl flink`.
    Where it does not complete itself yet: kubectl completion --help
    ");
    // Nothing is done to one that is there, whatever else its owner has set.
    let shim = home.path().join("bin/kubectl_complete-flink");
    let set_mode = |mode| std::fs::set_permissions(&shim, Permissions::from_mode(mode)).unwrap();
    let mode = || shim.metadata().unwrap().permissions().mode() & 0o777;
    set_mode(0o700);
    insta::assert_snapshot!(install(&home, &path, &[]), @"
    ---- stderr
    $HOME/bin/kubectl_complete-flink is there already.
    ");
    assert_eq!(mode(), 0o700);
    set_mode(0o600);
    assert!(install(&home, &path, &[]).contains("Replaced"));
    assert_eq!(mode(), 0o755);
    insta::assert_snapshot!(std::fs::read_to_string(&shim).unwrap(), @r#"
    #!/bin/sh
    # kubectl runs this to complete `kubectl flink ...`. Written by `kubectl flink completion install`.
    KUBECTL_FLINK_COMPLETE=kubectl exec kubectl-flink -- "$@"
    "#);
    // One of ours that is another is replaced, and that is said.
    home.file("bin/kubectl_complete-flink", "#!/bin/sh\n# Written by `kubectl flink completion install`.\nexit 1\n");
    insta::assert_snapshot!(install(&home, &path, &[]), @"
    ---- stderr
    Replaced $HOME/bin/kubectl_complete-flink, which was older or edited: kubectl, from 1.26 on, completes `kubectl flink`.
    Where it does not complete itself yet: kubectl completion --help
    ");
    let mut left: Vec<_> = shim.parent().unwrap().read_dir().unwrap().map(|file| file.unwrap().file_name()).collect();
    left.sort();
    assert_eq!(left, ["kubectl-flink", "kubectl_complete-flink"]);
    // It works: what it runs is the program of that name on the PATH.
    let folder = Path::new(env!("CARGO_BIN_EXE_kubectl-flink")).parent().unwrap();
    let mut command = Command::new(shim);
    command.args(["status", "--all"]).env_clear().env("PATH", format!("{}:/usr/bin:/bin", folder.display()));
    assert_eq!(home.show(&mut command), "--all-namespaces\tLook in all namespaces\n:4\n");
}

#[test]
fn install_refuses() {
    let home = Home::new();
    home.program("bin/kubectl-flink", "").program("other/kubectl_complete-flink", "#!/bin/sh\n").file("off/file", "");
    let path = format!("{0}/other:{0}/bin:{0}/file", home.path().display());
    home.file("file", "");
    insta::assert_snapshot!(install(&home, "/nowhere", &[]), @"
    ---- stderr
    error: kubectl-flink is not on the PATH
    hint: name a folder of the PATH with --dir
    [exit status: 3]
    ");
    insta::assert_snapshot!(install(&home, &path, &["--dir", "off"]), @"
    ---- stderr
    error: off is not on the PATH: kubectl would not find kubectl_complete-flink there
    hint: add it to the PATH, or name a folder that is on it
    [exit status: 2]
    ");
    insta::assert_snapshot!(install(&home, &path, &["--dir", "missing"]), @"
    ---- stderr
    error: cannot use missing: No such file or directory (os error 2)
    hint: name a folder that is there
    [exit status: 2]
    ");
    insta::assert_snapshot!(install(&home, &path, &["--dir", "other"]), @"
    ---- stderr
    error: other/kubectl_complete-flink is there, and not of this program
    hint: remove it, or name another folder of the PATH with --dir
    [exit status: 3]
    ");
    insta::assert_snapshot!(install(&home, &path, &["--dir", "file"]), @"
    ---- stderr
    error: cannot write file/kubectl_complete-flink: Not a directory (os error 20)
    hint: name another folder of the PATH with --dir
    [exit status: 3]
    ");
    assert_eq!(std::fs::read_to_string(home.path().join("other/kubectl_complete-flink")).unwrap(), "#!/bin/sh\n");
    assert!(!home.path().join("off/kubectl_complete-flink").exists());
    // Another one that kubectl finds first is told of.
    insta::assert_snapshot!(install(&home, &path, &["--dir", "bin"]), @"
    ---- stderr
    Wrote bin/kubectl_complete-flink: kubectl, from 1.26 on, completes `kubectl flink`.
    Where it does not complete itself yet: kubectl completion --help
    warning: $HOME/other/kubectl_complete-flink comes first on the PATH: kubectl will run that
    ");
}

#[test]
fn install_follows_no_link() {
    let home = Home::new();
    home.program("bin/kubectl-flink", "").file("folders/kubectl_complete-flink/file", "");
    let path = format!("{0}/bin:{0}/folders", home.path().display());
    symlink("elsewhere", home.path().join("bin/kubectl_complete-flink")).unwrap();
    insta::assert_snapshot!(install(&home, &path, &[]), @"
    ---- stderr
    error: $HOME/bin/kubectl_complete-flink is a link
    hint: remove it, or name another folder of the PATH with --dir
    [exit status: 3]
    ");
    assert!(!home.path().join("bin/elsewhere").exists());
    insta::assert_snapshot!(install(&home, &path, &["--dir", "folders"]), @"
    ---- stderr
    error: folders/kubectl_complete-flink is no file
    hint: remove it, or name another folder of the PATH with --dir
    [exit status: 3]
    ");
}
