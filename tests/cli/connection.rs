//! From a kubeconfig to a server, or to the reason why not: exit status 3.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::json;

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
    hint: see: kubectl config view
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
    hint: see: kubectl config view
    [exit status: 3]
    ");
    insta::assert_snapshot!(home.run(&["up", "--kubeconfig", "empty"]), @"
    ---- stderr
    error: no server is named
    hint: choose a context: kubectl config use-context NAME, or --context NAME; or give the server's address: --server URL
    [exit status: 3]
    ");
}

#[test]
fn a_broken_kubeconfig_keeps_its_secrets() {
    let home = Home::new();
    for fault in ["as-groups: nobody", "exec: plugin", "password: hunter2: x", "client-key: ["] {
        let users = format!("users:\n- name: u\n  user:\n    token: hunter2\n    {fault}\n    username: hunter2\n");
        home.file("broken", &users);
        let shown = home.run(&["status", "--kubeconfig", "broken"]);
        assert!(shown.contains("cannot read kubeconfig broken: ") && shown.contains("line "), "{fault}\n{shown}");
        assert!(!shown.contains("hunter2"), "{fault}\n{shown}");
    }
    home.file("config", &kubeconfig("https://api.nowhere.invalid"));
    for proxy in ["socks5h://me:hunter2@ ", "ftp://me:hunter2@127.0.0.1:1", "me:hunter2@ :1"] {
        let shown = home.show(home.command(&["status", "--kubeconfig", "config"]).env("HTTPS_PROXY", proxy));
        assert!(shown.contains("error: the proxy ") && !shown.contains("hunter2"), "{proxy}\n{shown}");
    }
}

#[test]
fn an_empty_value_is_none() {
    let (home, server) = (Home::new(), NoServer::new());
    home.file(".kube/config", &server.kubeconfig.replace("user: u}", "user: u, namespace: ''}"));
    let namespace = |flags: &[&str]| {
        let text = home.stdout(&[&["render", "--quiet"], flags].concat());
        text.lines().find_map(|line| line.strip_prefix("  namespace: ")).unwrap().to_owned()
    };
    assert_eq!(namespace(&["-n", "", "--context", ""]), "team");
    assert_eq!(namespace(&["--context", "there"]), "default");
    // A name that is wrong is wrong here too: the output may go to kubectl apply.
    insta::assert_snapshot!(home.run(&["render", "--context", "typo"]), @r#"
    ---- stderr
    error: context "typo" does not exist
    hint: the kubeconfig has: here, there
    [exit status: 3]
    "#);
}

#[test]
fn a_server_without_a_scheme() {
    let home = Home::new();
    let address = nobody();
    let shown = home.run(&["status", "-s", &address[7..]]);
    assert!(shown.contains("was refused - did you specify the right host or port?"), "{shown}");
    assert!(shown.ends_with("[exit status: 3]\n"), "{shown}");
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
        assert!(shown.contains("was refused - did you specify the right host or port?"), "{arguments:?}\n{shown}");
    }
    insta::assert_snapshot!(run(&["up"]), @"
    ---- stderr
    error: the connection to the server ADDRESS was refused - did you specify the right host or port?
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
    assert!(run.contains("did not answer in time") && run.contains("--request-timeout"), "{run}");
    assert!(run.ends_with("[exit status: 3]\n"), "{run}");
    drop(listener);
}

/// An API server that answers everything with 403, and tells what it was sent.
fn recorder() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (told, heads) = mpsc::channel();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut head) = (client.unwrap(), Vec::new());
            let mut byte = [0];
            while !head.ends_with(b"\r\n\r\n") && client.read(&mut byte).unwrap_or(0) == 1 {
                head.extend(byte);
            }
            let _ = told.send(String::from_utf8(head).unwrap().to_lowercase());
            let _ = client.write_all(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
    });
    (address, heads)
}

#[test]
fn what_the_flags_send() {
    let home = Home::new();
    let (address, heads) = recorder();
    home.file(".kube/config", &kubeconfig(&address));
    let sent = |flags: &[&str]| {
        home.run(&[&["status", "--timeout=5s"], flags].concat());
        let head = heads.recv().unwrap();
        while heads.try_recv().is_ok() {}
        let named = ["authorization:", "impersonate-", "user-agent:"];
        let mut lines: Vec<_> = head.lines().filter(|line| named.iter().any(|name| line.starts_with(name))).collect();
        lines.sort_unstable();
        lines.join("\n").replace(env!("CARGO_PKG_VERSION"), "VERSION")
    };
    insta::assert_snapshot!(sent(&[]), @"
    authorization: bearer t
    user-agent: kubectl-flink/vVERSION
    ");
    insta::assert_snapshot!(sent(&["--token", "other"]), @"
    authorization: bearer other
    user-agent: kubectl-flink/vVERSION
    ");
    insta::assert_snapshot!(sent(&["--as", "ann", "--as-uid", "7", "--as-group", "a", "--as-group", "b"]), @"
    authorization: bearer t
    impersonate-group: a
    impersonate-group: b
    impersonate-uid: 7
    impersonate-user: ann
    user-agent: kubectl-flink/vVERSION
    ");
    insta::assert_snapshot!(
        sent(&["--as=ann", "--as-user-extra=scopes=view", "--as-user-extra=scopes=a=b", "--as-user-extra", "a/b=c"]), @"
    authorization: bearer t
    impersonate-extra-a%2fb: c
    impersonate-extra-scopes: a=b
    impersonate-extra-scopes: view
    impersonate-user: ann
    user-agent: kubectl-flink/vVERSION
    ");
    insta::assert_snapshot!(sent(&["--token", "", "--as", "", "--user", "", "--cluster=", "--server="]), @"
    authorization: bearer t
    user-agent: kubectl-flink/vVERSION
    ");
    // The context names no user; a file with a token in it, which comes first.
    home.file(".kube/config", &kubeconfig(&address).replace(", user: u", ""));
    insta::assert_snapshot!(sent(&["--token", "other", "--as", "ann"]), @"
    authorization: bearer other
    impersonate-user: ann
    user-agent: kubectl-flink/vVERSION
    ");
    let token_file = format!("{{token: t, tokenFile: {:?}}}", home.path().join("token"));
    home.file("token", "filed\n").file(".kube/config", &kubeconfig(&address).replace("{token: t}", &token_file));
    insta::assert_snapshot!(sent(&[]), @"
    authorization: bearer filed
    user-agent: kubectl-flink/vVERSION
    ");
    home.file(".kube/config", &kubeconfig(&address).replace("{token: t}", "{exec: {command: 'false'}, token: t}"));
    insta::assert_snapshot!(sent(&[]), @"
    authorization: bearer t
    user-agent: kubectl-flink/vVERSION
    ");
    // No kubeconfig is needed for any of it.
    std::fs::remove_file(home.path().join(".kube/config")).unwrap();
    insta::assert_snapshot!(sent(&["-s", &address, "--token", "alone", "--as=ann"]), @"
    authorization: bearer alone
    impersonate-user: ann
    user-agent: kubectl-flink/vVERSION
    ");
}

/// What works offline does so without a home, with one that cannot be written, and with no kubeconfig; the rest says what
/// is missing.
#[test]
fn without_a_home() {
    let home = Home::new();
    home.file("flink-conf.yaml", "jobmanager.memory.process.size: 1600m\n");
    let environments: [fn(&mut Command) -> &mut Command; 3] = [
        |command| command.env_remove("HOME"),
        |command| command.env("HOME", ""),
        |command| command.env("HOME", "/dev/null/none"),
    ];
    for environment in environments {
        let run = |arguments: &[&str]| home.show(environment(&mut home.command(arguments)));
        for arguments in [
            &["--help"][..],
            &["--version"],
            &["version", "--client"],
            &["render", "-q"],
            &["rules"],
            &["explain", "FLK101"],
            &["completion", "bash"],
            &["doctor", "-f", "flink-conf.yaml"],
        ] {
            let shown = run(arguments);
            assert!(!shown.contains("error:") && !shown.contains("[exit status: 3]"), "{arguments:?}\n{shown}");
        }
        for arguments in [&["status"][..], &["up"], &["down", "--yes"], &["clean-ha"], &["doctor"]] {
            let shown = run(arguments);
            assert!(shown.contains("error: no kubeconfig found\nhint: "), "{arguments:?}\n{shown}");
            assert!(shown.ends_with("[exit status: 3]\n"), "{arguments:?}\n{shown}");
        }
    }
    insta::assert_snapshot!(home.show(home.command(&["status"]).env_remove("HOME")), @"
    ---- stderr
    error: no kubeconfig found
    hint: HOME is not set: set KUBECONFIG, or name a file with --kubeconfig
    [exit status: 3]
    ");
}

#[test]
fn a_flag_that_needs_another() {
    let (home, server) = (Home::new(), NoServer::new());
    home.file(".kube/config", &server.kubeconfig);
    insta::assert_snapshot!(home.run(&["status", "--as-group", "devs"]), @"
    ---- stderr
    error: --as-uid, --as-group and --as-user-extra need a user to impersonate
    hint: name one with --as, or as `as` in the kubeconfig
    [exit status: 2]
    ");
    assert_eq!(home.run(&["status", "--as-user-extra", "a=b"]), home.run(&["status", "--as-group", "devs"]));
    insta::assert_snapshot!(home.run(&["status", "--as", "ann", "--as-user-extra", "scopes"]), @"
    ---- stderr
    error: invalid value 'scopes' for '--as-user-extra <KEY=VALUE>': give it as KEY=VALUE

    For more information, try '--help'.
    [exit status: 2]
    ");
}

#[test]
fn credential_plugins_run_once_and_again_when_their_token_has_expired() {
    let home = Home::new();
    let (address, heads) = recorder();
    home.file(
        "plugin",
        "n=$(($(cat count 2>/dev/null) + 1)); echo $n >count; echo \"$KUBERNETES_EXEC_INFO $OF_CONFIG\" >info; read -r x; echo \"$x\" >>info\n\
         echo \"{kind: ExecCredential, status: {token: token-$n, expirationTimestamp: '$1'}}\"\n",
    );
    let runs = |expires: &str| {
        let plugin = format!(
            "{{exec: {{apiVersion: client.authentication.k8s.io/v1, interactiveMode: IfAvailable, command: sh, \
             args: [plugin, '{expires}'], env: [{{name: OF_CONFIG, value: from-config}}]}}}}"
        );
        home.file("config", &kubeconfig(&address).replace("{token: t}", &plugin));
        let _ = std::fs::remove_file(home.path().join("count"));
        home.run(&["status", "--kubeconfig", "config"]);
        let last = heads.try_iter().last().unwrap();
        let token = last.lines().find_map(|line| line.strip_prefix("authorization: bearer ")).unwrap().to_owned();
        (std::fs::read_to_string(home.path().join("count")).unwrap().trim().parse::<u32>().unwrap(), token)
    };
    assert_eq!(runs("2099-01-01T00:00:00Z"), (1, "token-1".to_owned()));
    let (count, token) = runs("2020-01-01T00:00:00Z");
    assert!(count > 1 && token == format!("token-{count}"), "{count} {token}");
    insta::assert_snapshot!(std::fs::read_to_string(home.path().join("info")).unwrap(), @r#"{"apiVersion":"client.authentication.k8s.io/v1","kind":"ExecCredential","spec":{"interactive":false}} from-config"#);
}

/// An OIDC issuer that gives for each refresh token the next one, and with it an ID token that has expired.
fn issuer() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let endpoint = json!({"token_endpoint": format!("{address}/token")}).to_string();
    let (told, asked) = mpsc::channel();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = BufReader::new(client.unwrap());
            let (mut line, mut length) = (String::new(), 0);
            client.read_line(&mut line).unwrap();
            let is_discovery = line.starts_with("GET /.well-known/openid-configuration ");
            while line != "\r\n" {
                line.clear();
                client.read_line(&mut line).unwrap();
                if let Some(value) = line.to_lowercase().strip_prefix("content-length: ") {
                    length = value.trim().parse().unwrap();
                }
            }
            let mut body = vec![0; length];
            client.read_exact(&mut body).unwrap();
            let body = String::from_utf8(body).unwrap();
            let answer = if is_discovery {
                endpoint.clone()
            } else {
                let given: u32 = body.rsplit_once("refresh_token=").unwrap().1.parse().unwrap();
                let _ = told.send(body);
                json!({"id_token": id_token(given + 1), "refresh_token": (given + 1).to_string()}).to_string()
            };
            let _ = write!(
                client.get_mut(),
                "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{answer}",
                answer.len()
            );
        }
    });
    (address, asked)
}

/// One that has expired.
fn id_token(number: u32) -> String {
    format!("header.{}.{number}", URL_SAFE_NO_PAD.encode("{\"exp\": 1.7e9}"))
}

#[test]
fn an_oidc_issuer_is_asked_for_each_token_once() {
    let home = Home::new();
    let ((address, heads), (issuer, asked)) = (recorder(), issuer());
    let provider = format!(
        "{{auth-provider: {{name: oidc, config: {{client-id: me, idp-issuer-url: \"{issuer}/\", id-token: {}, \
         refresh-token: '1'}}}}}}",
        id_token(1)
    );
    home.file(".kube/config", &(kubeconfig(&address).replace("{token: t}", &provider) + "other: [kept, 'yes']\n"));

    // Whoever presses TAB may be gone before the next token is written down.
    let mut tab = home.command(&["--", "status", ""]);
    assert_eq!(home.show(tab.env("KUBECTL_FLINK_COMPLETE", "kubectl")), ":4\n");
    assert_eq!(asked.try_iter().count(), 0);

    home.run(&["status"]);
    let asked: Vec<_> = asked.try_iter().collect();
    assert!(asked.len() > 1, "asked again when the token has expired: {asked:?}");
    for (index, form) in asked.iter().enumerate() {
        assert_eq!(form, &format!("grant_type=refresh_token&refresh_token={}", index + 1));
    }
    let last = u32::try_from(asked.len()).unwrap() + 1;
    let authorization = format!("authorization: bearer {}", id_token(last).to_lowercase());
    assert!(heads.try_iter().any(|head| head.lines().any(|line| line == authorization)));
    let config = std::fs::read_to_string(home.path().join(".kube/config")).unwrap();
    insta::assert_snapshot!(
        config.replace(&address, "ADDRESS").replace(&issuer, "ISSUER").replace(&id_token(last), "TOKEN")
            .replace(&last.to_string(), "LAST"), @r#"
    apiVersion: v1
    kind: Config
    current-context: here
    clusters:
    - name: c
      cluster:
        server: ADDRESS
    users:
    - name: u
      user:
        auth-provider:
          name: oidc
          config:
            client-id: me
            idp-issuer-url: ISSUER/
            id-token: TOKEN
            refresh-token: "LAST"
    contexts:
    - name: here
      context:
        cluster: c
        user: u
        namespace: team
    - name: there
      context:
        cluster: c
        user: u
    other:
    - kept
    - "yes"
    "#);
    assert!(!home.path().join(".kube/config.lock").exists());
}
