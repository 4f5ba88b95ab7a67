//! An API server that has what a file says, and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use http::{Request, Response, StatusCode};
use kube::Client;
use kube::client::Body;
use serde_json::{Value, json};

use crate::handle::handle;

const LEADER: &str = "control-plane.alpha.kubernetes.io/leader";

/// What is asked of it, and what it has.
pub struct Server {
    objects: Vec<Value>,
    facts: Value,
    answers: AtomicU32,
}

impl Server {
    pub fn new(mut objects: Vec<Value>, facts: &Value) -> Arc<Self> {
        for object in &mut objects {
            complete(object);
        }
        Arc::new(Server { objects, facts: facts.clone(), answers: AtomicU32::new(0) })
    }

    pub fn client(self: &Arc<Self>) -> Client {
        let server = Arc::clone(self);
        let service = tower::service_fn(move |request: Request<Body>| {
            let (status, body) = server.answer(&request);
            let answer = Response::builder().status(status).body(Body::from(body.into_bytes())).unwrap();
            async move { Ok::<_, std::convert::Infallible>(answer) }
        });
        Client::new(service, "default")
    }

    fn answer(&self, request: &Request<Body>) -> (StatusCode, String) {
        let parts: Vec<&str> = request.uri().path().trim_matches('/').split('/').collect();
        if parts == ["apis"] {
            let group = json!({"name": "flink.apache.org", "versions": []});
            return (StatusCode::OK, json!({"kind": "APIGroupList", "groups": [group]}).to_string());
        }
        if parts == ["version"] {
            return (StatusCode::OK, json!({"gitVersion": "v1.36.3"}).to_string());
        }
        // api/v1/..., apis/GROUP/VERSION/...
        let rest = if parts[0] == "api" { &parts[2..] } else { &parts[3..] };
        let (namespace, rest) = match rest {
            ["namespaces", namespace, rest @ ..] => (Some(*namespace), rest),
            rest => (None, rest),
        };
        match rest {
            ["pods", name, "log"] => match self.facts["logs"][name].as_str() {
                Some(log) => (StatusCode::OK, log.to_owned()),
                None => refusal("pods/log", "get"),
            },
            [plural, name] => match self.of(plural, namespace).into_iter().find(|o| o["metadata"]["name"] == *name) {
                Some(object) => (StatusCode::OK, object.to_string()),
                None => status(404, &format!("{plural} {name:?} not found")),
            },
            [plural] => self.list(plural, namespace, request.uri().query().unwrap_or_default()),
            _ => panic!("what is {}?", request.uri()),
        }
    }

    fn list(&self, plural: &str, namespace: Option<&str>, query: &str) -> (StatusCode, String) {
        if self.facts[plural].as_str() == Some("forbidden") {
            return refusal(plural, "list");
        }
        let items = self.of(plural, namespace);
        if plural == "flinkdeployments" && items.is_empty() {
            // Of a group that is not served at all the API server says no more than that.
            return (StatusCode::NOT_FOUND, "404 page not found\n".to_owned());
        }
        let selector = query.split('&').find_map(|pair| pair.strip_prefix("labelSelector=")).unwrap_or_default();
        let selector = selector.replace("%3D", "=").replace("%2C", ",").replace("%21", "!").replace("%2F", "/");
        let matches = |object: &Value| {
            selector.split(',').filter(|part| !part.is_empty()).all(|part| match part.split_once("!=") {
                Some((key, value)) => object["metadata"]["labels"][key] != value,
                None => part.split_once('=').is_some_and(|(key, value)| object["metadata"]["labels"][key] == value),
            })
        };
        let items: Vec<Value> = items.into_iter().filter(matches).collect();
        (StatusCode::OK, json!({"metadata": {"resourceVersion": "1"}, "items": items}).to_string())
    }

    /// What there is of a kind, as it is at this moment.
    fn of(&self, plural: &str, namespace: Option<&str>) -> Vec<Value> {
        let is_it = |object: &&Value| {
            let kind = object["kind"].as_str().unwrap().to_lowercase();
            format!("{kind}s") == plural && namespace.is_none_or(|name| object["metadata"]["namespace"] == name)
        };
        let mut objects: Vec<Value> = self.objects.iter().filter(is_it).cloned().collect();
        for object in &mut objects {
            let renewed = self.facts["renewed"].as_array().into_iter().flatten();
            if renewed.into_iter().any(|name| *name == object["metadata"]["name"]) {
                let answer = self.answers.fetch_add(1, Ordering::Relaxed);
                let lease = object["metadata"]["annotations"][LEADER].as_str().unwrap();
                let renewal = format!("T13:00:{:02}.000000Z\",\"leaderTransitions", answer % 60);
                object["metadata"]["annotations"][LEADER] =
                    lease.replace("T12:24:09.287668Z\",\"leaderTransitions", &renewal).into();
            }
        }
        objects
    }
}

/// Adds what the API server would have, and makes `<handle PATH>` what Flink writes.
fn complete(object: &mut Value) {
    let metadata = object["metadata"].as_object_mut().unwrap();
    metadata.entry("namespace").or_insert(json!("default"));
    let name = metadata["name"].clone();
    metadata.entry("uid").or_insert(json!(format!("uid-of-{name}")));
    metadata.entry("resourceVersion").or_insert(json!("7"));
    metadata.entry("creationTimestamp").or_insert(json!("2026-11-20T12:00:00Z"));
    for (_, value) in object.get_mut("data").and_then(Value::as_object_mut).into_iter().flatten() {
        let path = value.as_str().and_then(|text| text.strip_prefix("<handle ")?.strip_suffix('>'));
        if let Some(path) = path {
            *value = handle(path).into();
        }
    }
}

fn refusal(resource: &str, verb: &str) -> (StatusCode, String) {
    status(403, &format!("{resource} is forbidden: User \"ann\" cannot {verb} resource \"{resource}\""))
}

fn status(code: u16, message: &str) -> (StatusCode, String) {
    let reason = if code == 404 { "NotFound" } else { "Forbidden" };
    let body = json!({"kind": "Status", "status": "Failure", "code": code, "reason": reason, "message": message});
    (StatusCode::from_u16(code).unwrap(), body.to_string())
}
