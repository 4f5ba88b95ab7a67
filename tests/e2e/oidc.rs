//! Tokens of an OpenID Connect issuer, beside kubectl: what it can refresh, this can, and leaves the same in the kubeconfig.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::{Value, json};

use crate::connection::Parts;
use crate::desk::Desk;
use crate::support::{Needs, Run, Test};

/// An issuer with a certificate of its own authority, `issuer-ca.pem`.
struct Issuer {
    url: String,
    /// The requests for tokens, since they were last looked at.
    asked: Arc<Mutex<Vec<String>>>,
}

impl Issuer {
    /// One that answers requests for tokens with this, which is given the whole request.
    fn new(desk: &Desk, answer: impl Fn(&str) -> (u16, Value) + Send + 'static) -> Self {
        let certificate = [CertificateDer::from_pem_file(desk.path().join("issuer.pem")).unwrap()];
        let key = PrivateKeyDer::from_pem_file(desk.path().join("issuer.key")).unwrap();
        let config = ServerConfig::builder().with_no_client_auth().with_single_cert(certificate.into(), key);
        let config = Arc::new(config.unwrap());
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("https://{}", listener.local_addr().unwrap());
        let asked = Arc::<Mutex<Vec<String>>>::default();
        let (seen, endpoint) = (asked.clone(), json!({"token_endpoint": format!("{url}/token?of=test")}));
        std::thread::spawn(move || {
            for client in listener.incoming() {
                let tls = ServerConnection::new(config.clone()).unwrap();
                let mut client = BufReader::new(StreamOwned::new(tls, client.unwrap()));
                // Whoever does not trust it says nothing.
                let Some(request) = read(&mut client) else { continue };
                let (status, body) = if request.starts_with("GET /.well-known/openid-configuration ") {
                    (200, endpoint.clone())
                } else {
                    assert!(request.starts_with("POST /token?of=test "), "{request}");
                    let answer = answer(&request);
                    seen.lock().unwrap().push(request);
                    answer
                };
                let body = body.to_string();
                let head = format!("HTTP/1.1 {status} Some\r\nContent-Type: application/json\r\nConnection: close");
                let client = client.get_mut();
                let _ = write!(client, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                client.conn.send_close_notify();
                let _ = client.flush();
            }
        });
        Issuer { url, asked }
    }

    /// How often each of the two programs has asked for a token.
    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut *self.asked.lock().unwrap())
    }
}

/// A request, its body too.
fn read(client: &mut impl BufRead) -> Option<String> {
    let (mut head, mut length) = (String::new(), 0);
    while !head.ends_with("\r\n\r\n") {
        let start = head.len();
        if client.read_line(&mut head).ok()? == 0 {
            return None;
        }
        if let Some(value) = head[start..].to_lowercase().strip_prefix("content-length: ") {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    client.read_exact(&mut body).ok()?;
    Some(head + &String::from_utf8(body).ok()?)
}

/// The authority, and what it says of 127.0.0.1.
fn certificates(desk: &Desk) {
    let new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"];
    let authority = ["-subj", "/CN=authority", "-keyout", "issuer-ca.key", "-out", "issuer-ca.pem"];
    desk.run("openssl", &[&new[..], &authority].concat()).ok();
    let issuer = ["-subj", "/CN=issuer", "-keyout", "issuer.key", "-out", "issuer.pem"];
    let by = ["-CA", "issuer-ca.pem", "-CAkey", "issuer-ca.key", "-addext", "subjectAltName=IP:127.0.0.1"];
    let leaf = ["-addext", "basicConstraints=critical,CA:FALSE"];
    desk.run("openssl", &[&new[..], &issuer, &by, &leaf].concat()).ok();
}

#[test]
fn an_oidc_issuer() {
    let Some(test) = Test::begin("an_oidc_issuer", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    let Some(parts) = Parts::of(&test, "an_oidc_issuer") else { return };
    certificates(&parts.desk);
    test.kubectl_here(&["create", "serviceaccount", "member"]);
    let member = format!("{}:member", test.namespace);
    test.kubectl_here(&[
        "create",
        "rolebinding",
        "member",
        "--clusterrole=view",
        &format!("--serviceaccount={member}"),
    ]);
    let account = format!("--as=system:serviceaccount:{member}");
    test.until("the account may look", || {
        test.try_kubectl(&["auth", "can-i", "list", "deployments", &account]).code == 0
    });
    // Both are JWTs: a client looks at their time alone.
    let token = || test.kubectl_here(&["create", "token", "member"]).trim().to_owned();
    let expired = format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode("{\"exp\": 1700000000}"));

    // Each program has a kubeconfig of its own, with this of the issuer; both do well or neither does, and leave the same.
    let both = |config: &Value| {
        let user = json!({"auth-provider": {"name": "oidc", "config": config}});
        let [theirs, ours] = ["theirs", "ours"].map(|name| parts.config(name, parts.trusted(), user.clone()));
        let runs = (parts.theirs(&theirs, &[], &[]), parts.ours(&ours, &[], &[]));
        assert_eq!(runs.0.code == 0, runs.1.code == 0, "{}\n{}", runs.0, runs.1);
        let [theirs, ours] = [theirs, ours].map(|file| {
            let run = parts.desk.run("kubectl", &["config", "view", "--raw", "-o", "json", "--kubeconfig", &file]);
            run.ok().json()
        });
        assert_eq!(ours, theirs);
        let of_issuer = ours["users"][0]["user"]["auth-provider"]["config"].clone();
        (runs.0, runs.1, of_issuer)
    };
    let with = |config: &Value, more: Value| {
        let mut config = config.clone();
        config.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        config
    };

    test.say("a token that is valid, and one that a client without a secret gets");
    let given = token();
    let answer = given.clone();
    let issuer = Issuer::new(&parts.desk, move |request| {
        if request.to_lowercase().contains("\r\nauthorization: ") {
            return (401, json!({"error": "invalid_client"}));
        }
        assert!(request.contains("client_id=kube+test") && !request.contains("client_secret"), "{request}");
        (200, json!({"access_token": "a", "token_type": "Bearer", "id_token": answer, "refresh_token": "second"}))
    });
    let public = json!({"client-id": "kube test", "idp-issuer-url": format!("{}/", issuer.url),
        "idp-certificate-authority": "issuer-ca.pem"});
    let valid = with(&public, json!({"id-token": token(), "refresh-token": "first"}));
    let (_, ours, config) = both(&valid);
    ours.ok();
    assert_eq!((config, issuer.asked().len()), (valid, 0));
    let (_, ours, config) = both(&with(&public, json!({"id-token": expired, "refresh-token": "first"})));
    ours.ok();
    let renewed = with(&public, json!({"id-token": given, "refresh-token": "second"}));
    assert_eq!(config, renewed);
    let asked = issuer.asked();
    // Each asks in two ways.
    assert_eq!(asked.len(), 4, "{asked:?}");
    assert!(asked.iter().all(|request| request.contains("refresh_token=first")), "{asked:?}");
    let (_, ours, _) = both(&renewed);
    ours.ok();
    assert_eq!(issuer.asked().len(), 0);

    test.say("a client with a secret, and an issuer whose refresh tokens stay");
    let answer = given.clone();
    let issuer = Issuer::new(&parts.desk, move |request| {
        let who = STANDARD.encode("kube:s%26cret");
        assert!(request.contains(&format!("uthorization: Basic {who}\r\n")), "{request}");
        (200, json!({"access_token": "a", "token_type": "Bearer", "id_token": answer}))
    });
    let authority = STANDARD.encode(std::fs::read(parts.desk.path().join("issuer-ca.pem")).unwrap());
    let secret = json!({"client-id": "kube", "client-secret": "s&cret", "idp-issuer-url": issuer.url,
        "idp-certificate-authority-data": authority, "refresh-token": "stays"});
    let (_, ours, config) = both(&secret);
    ours.ok();
    assert_eq!((config, issuer.asked().len()), (with(&secret, json!({"id-token": given})), 2));

    test.say("what does not work");
    let fails = |config: &Value, says: &[&str]| {
        let (theirs, ours, after) = both(config);
        assert_eq!(&after, config);
        let ours = ours.exits(3).says(says).keeps_silent_about(&["s&cret", "stays", &expired]);
        (theirs, ours)
    };
    let same = |(theirs, ours): (Run, Run), words: &str| {
        for run in [theirs, ours] {
            assert!(run.stderr.to_lowercase().contains(words), "{run}");
        }
    };
    let old = with(&public, json!({"id-token": expired}));
    same(
        fails(&old, &[]),
        "unable to connect to the server: no valid id-token, and cannot refresh without refresh-token",
    );
    same(fails(&with(&public, json!({"id-token": "none"})), &[]), "is not a valid jwt");
    same(fails(&json!({"client-id": "kube", "id-token": given}), &[]), "must provide idp-issuer-url");
    same(fails(&json!({"idp-issuer-url": issuer.url, "id-token": given}), &[]), "must provide client-id");
    let mut strange = secret.clone();
    strange.as_object_mut().unwrap().remove("idp-certificate-authority-data");
    same(fails(&strange, &[&issuer.url, "UnknownIssuer"]), "tls: failed to verify");
    fails(
        &with(&secret, json!({"idp-issuer-url": "https://127.0.0.1:1"})),
        &["issuer https://127.0.0.1:1", "was refused"],
    );
    let lock = |name: &str| parts.desk.file(&format!("{name}.lock"), "");
    let locks = [lock("ours"), lock("theirs")];
    same(fails(&secret, &["ours.lock"]), "unable to connect to the server: could not persist new tokens");
    for lock in locks {
        std::fs::remove_file(lock).unwrap();
    }

    let refuses = Issuer::new(&parts.desk, |_| {
        (400, json!({"error": "invalid_grant", "error_description": "the session is over"}))
    });
    let refused = with(&secret, json!({"idp-issuer-url": refuses.url}));
    same(fails(&refused, &["\"the session is over\"", "log in"]), "failed to refresh token: oauth2: ");
    same(fails(&refused, &[]), "\"invalid_grant\"");
    let forgets = Issuer::new(&parts.desk, |_| (200, json!({"access_token": "a", "token_type": "Bearer"})));
    let forgotten = with(&secret, json!({"idp-issuer-url": forgets.url}));
    same(fails(&forgotten, &[]), "token response did not contain an id_token");
}
