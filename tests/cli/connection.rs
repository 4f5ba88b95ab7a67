//! From a kubeconfig to a server, or to the reason why not: exit status 3.

use std::net::TcpListener;

use crate::support::{Home, NoServer, kubeconfig};

/// An address where nobody listens: it was free a moment ago.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    format!("http://{}", listener.local_addr().unwrap())
}

#[test]
fn without_a_kubeconfig() {
    let home = Home::new();
    insta::assert_snapshot!(home.run(&["up"]), @"
    ---- stderr
    error: no kubeconfig found
    hint: set KUBECONFIG, or name a file with --kubeconfig, or create ~/.kube/config
    [exit status: 3]
    ");
    insta::assert_snapshot!(home.run(&["status"]), @"
    ---- stderr
    error: no kubeconfig found
    hint: set KUBECONFIG, or name a file with --kubeconfig, or create ~/.kube/config
    [exit status: 3]
    ");
    insta::assert_snapshot!(home.show(home.command(&["up"]).env("KUBECONFIG", "missing:also-missing")), @"
    ---- stderr
    error: no kubeconfig found
    hint: set KUBECONFIG, or name a file with --kubeconfig, or create ~/.kube/config
    [exit status: 3]
    ");
    insta::assert_snapshot!(home.run(&["up", "--kubeconfig", "missing"]), @r#"
    ---- stderr
    error: cannot read kubeconfig missing: failed to read kubeconfig from '"missing"': No such file or directory (os error 2)
    [exit status: 3]
    "#);
}

#[test]
fn with_a_kubeconfig_that_says_something_else() {
    let (home, server) = (Home::new(), NoServer::new());
    home.file(".kube/config", &server.kubeconfig).file("broken", "clusters: [").file("empty", "");
    insta::assert_snapshot!(home.run(&["up", "--context", "staging"]), @r#"
    ---- stderr
    error: context "staging" does not exist
    hint: the kubeconfig has: here, there
    [exit status: 3]
    "#);
    insta::assert_snapshot!(home.run(&["up", "--cluster", "staging"]), @r#"
    ---- stderr
    error: cluster "staging" does not exist
    hint: the kubeconfig has: c
    [exit status: 3]
    "#);
    insta::assert_snapshot!(home.run(&["up", "--user", "staging"]), @r#"
    ---- stderr
    error: user "staging" does not exist
    hint: the kubeconfig has: u
    [exit status: 3]
    "#);
    insta::assert_snapshot!(home.run(&["up", "--kubeconfig", "broken"]), @"
    ---- stderr
    error: cannot read kubeconfig broken: failed to parse kubeconfig YAML: error: line 1 column 11: unclosed bracket '['
     --> <input>:1:11
      |
    1 | clusters: [
      |           ^ unclosed bracket '['
    [exit status: 3]
    ");
    insta::assert_snapshot!(home.run(&["up", "--kubeconfig", "empty"]), @"
    ---- stderr
    error: the kubeconfig cannot be used: failed to determine current context
    hint: see: kubectl config view
    [exit status: 3]
    ");
}

#[test]
fn with_a_server_that_is_not_there() {
    let home = Home::new();
    let address = nobody();
    home.file(".kube/config", &kubeconfig(&address));
    let run = |arguments: &[&str]| home.run(arguments).replace(&address, "ADDRESS").replace(&address[7..], "ADDRESS");
    for arguments in
        [&["up"][..], &["up", "--dry-run=server"], &["up", "--diff"], &["status"], &["status", "-o", "json"]]
    {
        let shown = run(arguments);
        assert!(shown.ends_with("[exit status: 3]\n"), "{arguments:?}\n{shown}");
        assert!(shown.contains("onnection refused"), "{arguments:?}\n{shown}");
    }
    insta::assert_snapshot!(run(&["up"]), @"
    ---- stderr
    error: unable to connect to the server: Connection refused (os error 111)
    hint: check the context and the server's address: kubectl cluster-info
    [exit status: 3]
    ");
}

#[test]
fn render_asks_nobody() {
    let (home, server) = (Home::new(), NoServer::new());
    let namespaces = |home: &Home, arguments: &[&str]| {
        let text = home.stdout(&[&["render", "--quiet"], arguments].concat());
        let mut namespaces: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("  namespace: ")).collect();
        namespaces.dedup();
        namespaces.join(",")
    };
    // Without any kubeconfig, with one, with another context of it, with an option.
    assert_eq!(namespaces(&home, &[]), "default");
    home.file(".kube/config", &server.kubeconfig);
    assert_eq!(namespaces(&home, &[]), "team");
    assert_eq!(namespaces(&home, &["--context", "there"]), "default");
    assert_eq!(namespaces(&home, &["-n", "mine"]), "mine");
}

#[test]
fn a_server_that_never_answers() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let home = Home::new();
    home.file("config", &kubeconfig(&format!("http://{}", listener.local_addr().unwrap())));
    let run = home.run(&["up", "--kubeconfig", "config", "--request-timeout", "1s"]);
    assert!(run.contains("unable to connect to the server") && run.ends_with("[exit status: 3]\n"), "{run}");
    drop(listener);
}
