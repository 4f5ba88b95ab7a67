//! kubectl's flags and what it goes by, against a real API server: whatever kubectl can connect with, this can.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::desk::Desk;
use crate::support::{Needs, Run, SMALL, Test, skip};

/// The administrator's credentials and the server, apart.
pub struct Parts {
    pub desk: Desk,
    pub server: String,
    namespace: String,
}

impl Parts {
    pub fn of(test: &Test, name: &str) -> Option<Self> {
        let desk = Desk::new(test);
        let (cluster, user) = (&desk.config["clusters"][0]["cluster"], &desk.config["users"][0]["user"]);
        for (file, data) in [
            ("ca.pem", &cluster["certificate-authority-data"]),
            ("cert.pem", &user["client-certificate-data"]),
            ("key.pem", &user["client-key-data"]),
        ] {
            let Some(data) = data.as_str() else {
                skip(name, "needs an administrator with a client certificate");
                return None;
            };
            desk.file(file, STANDARD.decode(data).unwrap());
        }
        let server = cluster["server"].as_str().unwrap().to_owned();
        Some(Parts { desk, server, namespace: test.namespace.clone() })
    }

    /// A kubeconfig of one cluster and one user, whose context is `only`.
    pub fn config(&self, name: &str, cluster: Value, user: Value) -> String {
        let context = json!({"cluster": "only", "user": "only", "namespace": self.namespace});
        let config = json!({"apiVersion": "v1", "kind": "Config", "current-context": "only",
            "clusters": [{"name": "only", "cluster": cluster}], "users": [{"name": "only", "user": user}],
            "contexts": [{"name": "only", "context": context}]});
        self.desk.file(name, config.to_string());
        name.to_owned()
    }

    pub fn trusted(&self) -> Value {
        json!({"server": self.server, "certificate-authority": "ca.pem"})
    }

    /// A request of kubectl's.
    pub fn theirs(&self, kubeconfig: &str, flags: &[&str], environment: &[(&str, &str)]) -> Run {
        let list = format!("/apis/apps/v1/namespaces/{}/deployments", self.namespace);
        let mut command = self.desk.command("kubectl", &["get", "--raw", &list]);
        Run::of(command.env("KUBECONFIG", kubeconfig).args(flags).envs(environment.iter().copied()))
    }

    /// `status`.
    pub fn ours(&self, kubeconfig: &str, flags: &[&str], environment: &[(&str, &str)]) -> Run {
        let mut command = self.desk.command("kubectl-flink", &["status", "-n", &self.namespace]);
        Run::of(command.env("KUBECONFIG", kubeconfig).args(flags).envs(environment.iter().copied()))
    }

    /// Both with these flags: both do well or neither does.
    fn both(&self, kubeconfig: &str, flags: &[&str], environment: &[(&str, &str)]) -> Run {
        let theirs = self.theirs(kubeconfig, flags, environment);
        let ours = self.ours(kubeconfig, flags, environment);
        assert_eq!(ours.code == 0, theirs.code == 0, "{flags:?}\n{ours}\n{theirs}");
        ours
    }
}

const CERTIFICATE: [&str; 4] = ["--client-certificate", "cert.pem", "--client-key", "key.pem"];

#[test]
fn what_kubectl_can_connect_with() {
    let Some(test) = Test::begin("what_kubectl_can_connect_with", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    let Some(parts) = Parts::of(&test, "what_kubectl_can_connect_with") else { return };
    let (server, none) = (parts.server.as_str(), "missing");
    let certificate = json!({"client-certificate": "cert.pem", "client-key": "key.pem"});
    let good = parts.config("good", parts.trusted(), certificate.clone());

    test.say("flags alone, without a kubeconfig");
    let trusted = ["--server", server, "--certificate-authority", "ca.pem"];
    parts.both(none, &[&trusted[..], &CERTIFICATE].concat(), &[]).ok();
    parts.both(none, &trusted, &[]).exits(3).says(&["system:anonymous"]);
    parts.both(none, &[&["-s", server], &CERTIFICATE[..]].concat(), &[]).exits(3).says(&[
        "tls: failed to verify the certificate of",
        "UnknownIssuer",
        "--certificate-authority",
    ]);
    parts.both(none, &[&["-s", server, "--insecure-skip-tls-verify"], &CERTIFICATE[..]].concat(), &[]).ok();

    test.say("tokens, one of which is not valid any more");
    test.kubectl_here(&["create", "serviceaccount", "left"]);
    let token = test.kubectl_here(&["create", "token", "left"]);
    let with_token = [&trusted[..], &["--token", token.trim()]].concat();
    let who = format!("system:serviceaccount:{}:left", test.namespace);
    parts.both(none, &with_token, &[]).exits(3).says(&["(Forbidden)", &who]);
    let by_token = parts.config("by-token", parts.trusted(), json!({"token": "of nobody"}));
    parts.both(&by_token, &["--token", token.trim()], &[]).exits(3).says(&["(Forbidden)", &who]);
    parts.both(&by_token, &[], &[]).exits(3).says(&["you must be logged in to the server", "Unauthorized"]);
    test.kubectl_here(&["delete", "serviceaccount", "left"]);
    test.until("the token is worth nothing", || {
        let run = parts.both(none, &with_token, &[]).exits(3);
        run.stderr.contains("you must be logged in to the server (Unauthorized)")
    });
    // A certificate is preferred to it: kubectl has this from the server too.
    parts.both(&good, &["--token", "of nobody"], &[]).ok();

    test.say("impersonation");
    parts.both(&good, &["--as", "ann"], &[]).exits(3).says(&["User \"ann\" cannot list"]);
    parts.both(&good, &["--as", "ann", "--as-group", "system:masters", "--as-uid", "7"], &[]).ok();
    parts.both(&good, &["--as-group", "devs"], &[]).exits(2).says(&["--as"]);
    parts.both(&good, &["--as-user-extra", "scopes=view"], &[]).exits(2).says(&["--as"]);
    // Whoever may impersonate an account may not say everything of it.
    test.kubectl_here(&["create", "serviceaccount", "actor"]);
    test.kubectl_here(&["create", "role", "actor", "--verb=impersonate", "--resource=serviceaccounts"]);
    let account = |name: &str| format!("system:serviceaccount:{}:{name}", test.namespace);
    let actor = format!("--serviceaccount={}:actor", test.namespace);
    test.kubectl_here(&["create", "rolebinding", "actor", "--role=actor", &actor]);
    let token = test.kubectl_here(&["create", "token", "actor"]);
    let other = account("other");
    let acting = [&trusted[..], &["--token", token.trim(), "--as", &other]].concat();
    let other_cannot = format!("User \"{other}\" cannot list");
    test.until("the role is known", || parts.ours(none, &acting, &[]).stderr.contains(&other_cannot));
    parts.both(none, &acting, &[]).exits(3).says(&[&other_cannot]);
    let extra = [&acting[..], &["--as-user-extra", "example.com/scopes=view"]].concat();
    let refused = parts.both(none, &extra, &[]).exits(3).says(&["userextras/example.com/scopes", &account("actor")]);
    let theirs = parts.theirs(none, &extra, &[]).stderr;
    let (_, reason) = theirs.trim_end().split_once("(Forbidden): ").unwrap();
    refused.says(&[reason]);
    let extra = ["--as", "ann", "--as-group", "system:masters", "--as-user-extra=a=b", "--as-user-extra=a=c"];
    parts.both(&good, &extra, &[]).ok();

    test.say("entries of the kubeconfig by name, from several files");
    let elsewhere = json!({"server": "https://127.0.0.1:1"});
    let bad = parts.config("bad", elsewhere.clone(), json!({}));
    let two = json!({"apiVersion": "v1", "kind": "Config", "current-context": "",
        "clusters": [{"name": "second", "cluster": parts.trusted()}],
        "users": [{"name": "second", "user": certificate}],
        "contexts": [{"name": "second", "context": {"cluster": "second", "user": "second"}}]});
    parts.desk.file("two", two.to_string());
    let files = format!("two:missing:{bad}");
    parts.both(&files, &[], &[]).exits(3).says(&["the connection to the server 127.0.0.1:1 was refused"]);
    parts.both(&files, &["--context", "second"], &[]).ok();
    parts.both(&files, &["--cluster", "second", "--user", "second"], &[]).ok();
    parts.both(&files, &["--cluster", "second"], &[]).exits(3).says(&["system:anonymous"]);
    parts.both(none, &["--kubeconfig", &good], &[]).ok();
    parts.both(&good, &["--context", "third"], &[]).exits(3).says(&["context \"third\" does not exist"]);

    test.say("flags instead of what stands in the kubeconfig");
    parts.both(&bad, &[&trusted[..], &CERTIFICATE].concat(), &[]).ok();
    let distrusted = json!({"server": server, "certificate-authority": "cert.pem", "insecure-skip-tls-verify": false});
    let wrong = parts.config("wrong", distrusted, certificate.clone());
    parts.both(&wrong, &[], &[]).exits(3).says(&["tls: failed to verify the certificate"]);
    parts.both(&wrong, &["--certificate-authority", "ca.pem"], &[]).ok();
    parts.both(&wrong, &["--insecure-skip-tls-verify=true"], &[]).ok();
    parts.both(&good, &["--tls-server-name", "kubernetes.default.svc"], &[]).ok();
    let other_name = parts.both(&good, &["--tls-server-name", "elsewhere.example"], &[]).exits(3);
    other_name.says(&["not valid for name", "--tls-server-name"]);
    parts.both(&good, &["--request-timeout", "0"], &[]).ok();
    parts.both(&good, &["--request-timeout=20s", "--cluster=only", "--user=only", "--context=only"], &[]).ok();

    test.say("credential plugins");
    let exec = |name: &str, command: &str, arguments: &[&str]| {
        let exec = json!({"apiVersion": "client.authentication.k8s.io/v1", "interactiveMode": "IfAvailable",
            "command": command, "args": arguments, "installHint": "get it from the team", "provideClusterInfo": false});
        parts.config(name, parts.trusted(), json!({"exec": exec}))
    };
    test.kubectl_here(&["create", "serviceaccount", "plugged"]);
    let token = test.kubectl_here(&["create", "token", "plugged"]);
    let credential = json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential",
        "status": {"token": token.trim()}});
    parts.desk.file("credential", credential.to_string());
    let gives = exec("gives", "cat", &["credential"]);
    parts.both(&gives, &[], &[]).exits(3).says(&["(Forbidden)", ":plugged"]);
    let status = json!({"clientCertificateData": std::fs::read_to_string(parts.desk.path().join("cert.pem")).unwrap(),
        "clientKeyData": std::fs::read_to_string(parts.desk.path().join("key.pem")).unwrap()});
    let credential =
        json!({"apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": status});
    parts.desk.file("certificate", credential.to_string());
    parts.both(&exec("certifies", "cat", &["certificate"]), &[], &[]).ok();
    let fails = exec("fails", "sh", &["-c", "echo log in first >&2; exit 7"]);
    parts
        .both(&fails, &[], &[])
        .exits(3)
        .says(&["log in first", "getting credentials: exec: executable sh failed with exit code 7"]);
    let babbles = exec("babbles", "echo", &["my secret"]);
    let run = parts.both(&babbles, &[], &[]).exits(3).says(&["executable echo printed no ExecCredential"]);
    run.keeps_silent_about(&["my secret"]);
    let lacks = exec("lacks", "no-such-plugin", &[]);
    parts.both(&lacks, &[], &[]).exits(3).says(&["executable no-such-plugin not found", "get it from the team"]);
}

/// A proxy that knows one server, whatever it is asked for, and counts.
fn proxy_to(server: &str) -> (String, Arc<AtomicUsize>) {
    let server = server.trim_start_matches("https://").to_owned();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let pass = |mut from: TcpStream, mut to: TcpStream| {
        std::thread::spawn(move || {
            let _ = std::io::copy(&mut from, &mut to);
            let _ = to.shutdown(Shutdown::Write);
        });
    };
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let (mut client, mut head) = (client.unwrap(), Vec::new());
            while !head.ends_with(b"\r\n\r\n") {
                let mut byte = [0];
                if client.read(&mut byte).unwrap_or(0) == 0 {
                    break;
                }
                head.extend(byte);
            }
            if !head.starts_with(b"CONNECT ") {
                continue;
            }
            counted.fetch_add(1, Ordering::SeqCst);
            let server = TcpStream::connect(&server).unwrap();
            client.write_all(b"HTTP/1.1 200 OK\r\n\r\n").unwrap();
            pass(client.try_clone().unwrap(), server.try_clone().unwrap());
            pass(server, client);
        }
    });
    (address, count)
}

#[test]
fn proxies() {
    let Some(test) = Test::begin("proxies", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    let Some(parts) = Parts::of(&test, "proxies") else { return };
    let certificate = json!({"client-certificate": "cert.pem", "client-key": "key.pem"});
    let (proxy, count) = proxy_to(&parts.server);
    let used = |run: Run| (run.code, count.swap(0, Ordering::SeqCst) > 0);

    let mut cluster = parts.trusted();
    cluster["proxy-url"] = json!(proxy);
    let configured = parts.config("configured", cluster.clone(), certificate.clone());
    assert_eq!(used(parts.both(&configured, &[], &[])), (0, true));
    // NO_PROXY is about those of the environment.
    assert_eq!(used(parts.both(&configured, &[], &[("NO_PROXY", "*")])), (0, true));
    cluster["proxy-url"] = json!("http://127.0.0.1:1");
    let broken = parts.config("broken", cluster, certificate.clone());
    parts.both(&broken, &[], &[]).exits(3);

    // A name that only the proxy knows.
    let mut cluster = parts.trusted();
    (cluster["server"], cluster["tls-server-name"]) = (json!("https://api.nowhere.invalid:6443"), json!("kubernetes"));
    let plain = parts.config("plain", cluster, certificate);
    let schemeless = proxy.trim_start_matches("http://");
    assert_eq!(used(parts.both(&plain, &[], &[("HTTPS_PROXY", &proxy)])), (0, true));
    assert_eq!(used(parts.both(&plain, &[], &[("https_proxy", schemeless)])), (0, true));
    assert_eq!(used(parts.both(&plain, &[], &[("HTTP_PROXY", &proxy)])), (3, false));
    for (no_proxy, exempt) in [
        ("api.nowhere.invalid", true),
        ("example.com,nowhere.invalid", true),
        (".invalid", true),
        ("*.nowhere.invalid", true),
        ("nowhere.invalid:6443", true),
        ("API.nowhere.INVALID:6443", true),
        ("example.com , *", true),
        (".api.nowhere.invalid", false),
        ("*.api.nowhere.invalid", false),
        ("where.invalid", false),
        ("nowhere.invalid:443", false),
        ("0.0.0.0/0", false),
    ] {
        let environment = [("HTTPS_PROXY", proxy.as_str()), ("NO_PROXY", no_proxy)];
        let expected = if exempt { (3, false) } else { (0, true) };
        assert_eq!(used(parts.both(&plain, &[], &environment)), expected, "{no_proxy}");
    }
    // The proxy's own name there is of no matter, and this machine is reached without one.
    let environment = [("HTTPS_PROXY", proxy.as_str()), ("NO_PROXY", "127.0.0.1")];
    assert_eq!(used(parts.both(&plain, &[], &environment)), (0, true));
    if parts.server.contains("127.0.0.1") {
        let local = parts.desk.path().join("config");
        assert_eq!(used(parts.both(local.to_str().unwrap(), &[], &[("HTTPS_PROXY", &proxy)])), (0, false));
        // Another address of this machine, which nobody takes for one.
        let (_, port) = parts.server.rsplit_once(':').unwrap();
        let here = ["--server", &parts.server.replace("127.0.0.1", "0.0.0.0"), "--tls-server-name", "kubernetes"];
        for (no_proxy, exempt) in [
            ("", false),
            ("0.0.0.0", true),
            (&format!("0.0.0.0:{port}"), true),
            ("0.0.0.0:443", false),
            ("127.0.0.0/8, 0.0.0.0/8", true),
            ("127.0.0.0/8", false),
            ("::/0,0", false),
            ("example.com,*", true),
        ] {
            let environment = [("HTTPS_PROXY", proxy.as_str()), ("NO_PROXY", no_proxy)];
            assert_eq!(used(parts.both(&plain, &here, &environment)), (0, !exempt), "{no_proxy}");
        }
    }
}

/// A service account's token with other claims, and the API server's own signature: openssl's in the form that JWTs have.
fn signed(token: &str, change: impl FnOnce(&mut Value), key: &Path, desk: &Desk) -> String {
    let parts: Vec<_> = token.trim().split('.').collect();
    let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
    change(&mut claims);
    let text = format!("{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims.to_string()));
    desk.file("unsigned", &text);
    let sign = ["dgst", "-sha256", "-out", "signature", "-sign", key.to_str().unwrap(), "unsigned"];
    desk.run("openssl", &sign).ok();
    let der = std::fs::read(desk.path().join("signature")).unwrap();
    // SEQUENCE { INTEGER r, INTEGER s }, each of which may be shorter than 32 bytes, or have a zero before it.
    let (mut signature, mut rest) = (Vec::new(), &der[2..]);
    for _ in 0..2 {
        let (number, after) = rest[2..].split_at(rest[1].into());
        let number = &number[number.len().saturating_sub(32)..];
        signature.resize(signature.len() + 32 - number.len(), 0);
        signature.extend(number);
        rest = after;
    }
    format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature))
}

#[test]
fn a_token_that_has_expired() {
    let Some(test) = Test::begin("a_token_that_has_expired", Needs::Api) else { return };
    let Some(key) = test.token_key() else {
        return skip("a_token_that_has_expired", "needs the key of the test bed's API server");
    };
    let test = test.with_namespace(&[]);
    let Some(parts) = Parts::of(&test, "a_token_that_has_expired") else { return };
    test.kubectl_here(&["create", "serviceaccount", "member"]);
    let token = test.kubectl_here(&["create", "token", "member"]);
    let with = |token: String| parts.config("with", parts.trusted(), json!({"token": token}));

    // The signature is taken: what follows is about the time alone.
    let again = with(signed(&token, |_| {}, &key, &parts.desk));
    parts.both(&again, &[], &[]).exits(3).says(&["(Forbidden)", &format!("serviceaccount:{}:member", test.namespace)]);
    let past = |claims: &mut Value| {
        for (claim, time) in [("iat", 1_700_000_000), ("nbf", 1_700_000_000), ("exp", 1_700_003_600)] {
            claims[claim] = json!(time);
        }
    };
    let expired = with(signed(&token, past, &key, &parts.desk));
    let ours = parts.both(&expired, &[], &[]).exits(3);
    let words = "ou must be logged in to the server (Unauthorized)";
    parts.theirs(&expired, &[], &[]).exits(1).says(&[words]);
    ours.says(&[words, "kubectl auth whoami"]).keeps_silent_about(&[token.split('.').next().unwrap()]);
}

#[test]
fn the_account_of_a_pod() {
    let Some(test) = Test::begin("the_account_of_a_pod", Needs::Pods) else { return };
    let test = test.with_namespace(&[]);
    let desk = Desk::new(&test);
    test.kubectl_here(&["create", "serviceaccount", "inside"]);
    let image = "apache/flink:1.20.5";
    let container =
        json!({"name": "main", "image": image, "imagePullPolicy": "IfNotPresent", "command": ["sleep", "1d"]});
    let spec = json!({"serviceAccountName": "inside", "terminationGracePeriodSeconds": 0, "containers": [container]});
    test.create(&json!({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "desk"}, "spec": spec}).to_string());
    let up = ["up", "prod", "--wait=false", "--image=example.invalid/flink:1.20.5"];
    test.flink(&[&up[..], &SMALL[..]].concat()).ok();
    test.kubectl_here(&["wait", "--for=condition=Ready", "pod/desk", "--timeout=400s"]);
    let exec = |command: &str| {
        let mut exec = desk.command("kubectl", &["exec", "-i", "desk", "--namespace", &test.namespace, "--"]);
        exec.args(["sh", "-c", command]);
        exec
    };
    for program in ["kubectl", "kubectl-flink"] {
        let file = File::open(desk.path().join("bin").join(program)).unwrap();
        Run::of(exec(&format!("cat >/tmp/{program} && chmod +x /tmp/{program}")).stdin(file)).ok();
    }
    let inside = |command: &str| Run::of(&mut exec(&format!("/tmp/{command}")));

    let account = format!("\"system:serviceaccount:{}:inside\" cannot list resource", test.namespace);
    inside("kubectl get deployments -o name").exits(1).says(&["(Forbidden)", &account]);
    for command in ["status", "doctor"] {
        inside(&format!("kubectl-flink {command}")).exits(3).says(&["forbidden", &account]);
    }

    let subject = format!("--serviceaccount={}:inside", test.namespace);
    test.kubectl_here(&["create", "rolebinding", "inside", "--clusterrole=view", &subject]);
    test.until("the account may look", || inside("kubectl auth can-i list deployments").code == 0);
    let theirs = inside("kubectl get deployments -o name").ok().stdout;
    assert!(theirs.contains("deployment.apps/prod-jobmanager"), "{theirs}");
    let status = inside("kubectl-flink status -o json");
    let (document, namespace) = (status.json(), json!(test.namespace));
    assert_eq!(
        (&document["items"][0]["name"], &document["items"][0]["namespace"]),
        (&json!("prod"), &namespace),
        "{status}"
    );
    let doctor = inside("kubectl-flink doctor");
    assert!(doctor.stdout.contains("prod-jobmanager"), "{doctor}");
    // Flags apply to it too. (kubectl with a flag forgets that it is in a pod, and asks localhost:8080.)
    inside("kubectl-flink status --as=ann").exits(3).says(&["cannot impersonate"]);
}

#[test]
fn versions() {
    let Some(test) = Test::begin("versions", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    let theirs: Value = serde_json::from_str(&test.kubectl(&["version", "-o", "json"])).unwrap();
    let server = theirs["serverVersion"]["gitVersion"].as_str().unwrap();
    let lines = format!("Client Version: v{}\nServer Version: {server}\n", env!("CARGO_PKG_VERSION"));
    let run = test.flink(&["version"]).ok();
    assert_eq!((run.stdout.as_str(), run.stderr.as_str()), (lines.as_str(), ""));

    test.flink(&[&["up", "prod", "--wait=false", "--flink-version=1.19.3"], &SMALL[..]].concat()).ok();
    let run = test.flink(&["version"]).ok();
    assert_eq!(run.stdout, format!("{lines}Flink Version: 1.19.3 (cluster prod)\n"), "{run}");
    let document = test.flink(&["version", "-o", "json"]).ok().json();
    assert_eq!(document["serverVersion"], theirs["serverVersion"]);
    let flink = json!([{"namespace": test.namespace, "cluster": "prod", "version": "1.19.3"}]);
    assert_eq!(document["flinkVersions"], flink);
    assert!(test.flink(&["version", "-o", "yaml"]).ok().stdout.contains("1.19.3"));

    // The server tells everyone its version, but not what is in a namespace.
    let run = test.flink_as("ann", &["version"]).ok().says(&["not checked: ", "ann"]);
    assert_eq!(run.stdout, lines);
    let run = test.flink(&["version", "--server=https://127.0.0.1:1"]).exits(1).says(&["was refused", "--client"]);
    assert_eq!(run.stdout, format!("Client Version: v{}\n", env!("CARGO_PKG_VERSION")));
}
