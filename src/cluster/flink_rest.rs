//! Flink's REST API, reached through the API server: no local port, no Service, no Ingress.
//!
//! The API is that of one pod. The leader's is the one to ask; a standby passes most questions on to the leader.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HOST};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::api::Portforwarder;
use kube::{Api, Client};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::cluster::Connection;
use crate::error::{Error, Result};
use crate::flink::rest;

/// How long one request may take unless [`FlinkRest::with_timeout`] says otherwise.
const TIMEOUT: Duration = Duration::from_secs(5);

/// Why Flink's REST API gave no answer, for whom it matters; everybody else turns it into an [`Error`] with `?`.
#[derive(Debug, Clone, thiserror::Error)]
pub enum RestError {
    /// The JobManager waits for a leader: ask again. (`LeaderRetrievalHandler`: "Service temporarily unavailable due to
    /// an ongoing leader election. Please refresh.")
    #[error("Flink has no leader yet")]
    Election,
    /// Flink refused the request.
    #[error("Flink answered {status}: {message}")]
    Flink {
        /// The HTTP status.
        status: StatusCode,
        /// Flink's first error message, without its stack trace.
        message: String,
    },
    /// The pod was not reached, or closed the connection, or took too long: the process may just be starting.
    #[error("{0}")]
    NoAnswer(String),
    /// Neither the port-forward nor the API server's proxy is allowed.
    #[error("not allowed to reach pod {pod}: {proxy}")]
    Forbidden {
        /// The pod.
        pod: String,
        /// The namespace.
        namespace: String,
        /// The API server's words on the way that was tried last.
        proxy: String,
        /// The verb on `pods/proxy` that the request takes.
        verb: &'static str,
    },
    /// The answer is not what this program takes Flink to say.
    #[error("the answer to {path} was not understood: {cause}")]
    NotUnderstood {
        /// The path that was asked.
        path: String,
        /// What is wrong with it.
        cause: String,
    },
    /// The API server itself gave an error.
    #[error("{0}")]
    Server(Error),
}

impl From<RestError> for Error {
    fn from(error: RestError) -> Self {
        match error {
            RestError::Server(error) => error,
            RestError::Forbidden { ref pod, ref namespace, verb, .. } => {
                let hint = format!(
                    "reaching pod {pod} takes one of two rights in namespace {namespace}: `get` and `create` on \
                     pods/portforward, or `{verb}` on pods/proxy"
                );
                Error::could_not_run(error.to_string()).hint(hint)
            }
            other => Error::could_not_run(other.to_string()),
        }
    }
}

/// Access to one pod's REST API, for any number of requests.
pub struct FlinkRest {
    client: Client,
    namespace: String,
    pod: String,
    port: u16,
    timeout: Duration,
    way: Way,
}

/// How requests travel.
enum Way {
    Forward(Forward),
    Proxy,
}

impl FlinkRest {
    /// Opens a way to this port of this pod: a port-forward inside this process, or where that is not possible the API
    /// server's pod proxy.
    ///
    /// # Errors
    /// Neither way is allowed or open, or there is no such pod.
    pub async fn open(connection: &Connection, namespace: &str, pod: &str, port: u16) -> Result<Self> {
        Ok(Self::try_open(connection, namespace, pod, port).await?)
    }
    /// As [`FlinkRest::open`], with the reason of a failure.
    pub async fn try_open(connection: &Connection, namespace: &str, pod: &str, port: u16) -> Result<Self, RestError> {
        let mut rest = FlinkRest {
            client: connection.client.clone(),
            namespace: namespace.to_owned(),
            pod: pod.to_owned(),
            port,
            timeout: TIMEOUT,
            way: Way::Proxy,
        };
        let Err(forward) = rest.forward().await else { return Ok(rest) };
        let status = match &forward {
            kube::Error::Api(status) if status.code == 404 => return Err(RestError::Server(forward.into())),
            kube::Error::Api(status) => Some(status.code),
            // A proxy on the way that does not let WebSockets through, or a server that closed on us.
            _ => None,
        };
        // `/config` is answered by every JobManager, leader or not.
        match rest.request::<Value>(Method::GET, "/config", None).await {
            // The port-forward failed for another reason than a missing right, so that reason is the one to tell.
            Err(RestError::Forbidden { .. }) if status != Some(403) => Err(RestError::Server(forward.into())),
            Err(error @ (RestError::Forbidden { .. } | RestError::Server(_))) => Err(error),
            // Whatever Flink says, or if it does not yet: the way is open.
            _ => Ok(rest),
        }
    }

    /// Bounds every request by this time instead of five seconds.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// `GET path`, like `/overview`.
    pub async fn get<T: DeserializeOwned>(&mut self, path: &str) -> Result<T> {
        Ok(self.request(Method::GET, path, None).await?)
    }

    /// Sends a request and reads its JSON answer.
    pub async fn request<T: DeserializeOwned>(
        &mut self,
        method: Method,
        path: &str,
        body: Option<&Value>,
    ) -> Result<T, RestError> {
        let timeout = self.timeout;
        let Ok(answer) = tokio::time::timeout(timeout, self.send(method, path, body)).await else {
            // What the connection still carries belongs to a question that nobody asks any more.
            if let Way::Forward(forward) = &mut self.way {
                forward.sender = None;
            }
            let seconds = timeout.as_secs_f64();
            return Err(RestError::NoAnswer(format!("pod {} did not answer within {seconds} s", self.pod)));
        };
        read(path, &answer?)
    }

    async fn send(&mut self, method: Method, path: &str, body: Option<&Value>) -> Result<Response<Bytes>, RestError> {
        let body = body.map(Value::to_string).unwrap_or_default();
        let unfit = |e: http::Error| RestError::NotUnderstood { path: path.to_owned(), cause: e.to_string() };
        let request =
            |uri: String| Request::builder().method(method.clone()).uri(uri).header(CONTENT_TYPE, "application/json");
        if let Way::Proxy = self.way {
            let uri = format!("/api/v1/namespaces/{}/pods/{}:{}/proxy{path}", self.namespace, self.pod, self.port);
            let request = request(uri).body(body.into_bytes().into()).map_err(unfit)?;
            return self.through_proxy(request, verb(&method)).await;
        }
        // Flink closes connections that rest, and a JobManager that has started anew knows nothing of them.
        if !matches!(&self.way, Way::Forward(Forward { sender: Some(sender), .. }) if !sender.is_closed()) {
            self.forward().await.map_err(|e| RestError::NoAnswer(Error::from(e).message))?;
        }
        let Way::Forward(forward) = &mut self.way else {
            return Err(RestError::NoAnswer(format!("no connection to pod {}", self.pod)));
        };
        let request = request(path.to_owned())
            .header(HOST, format!("localhost:{}", self.port))
            .body(Full::new(Bytes::from(body)))
            .map_err(unfit)?;
        let answer = forward.send(request).await;
        if answer.is_err() {
            forward.sender = None;
        }
        answer.map_err(|cause| {
            let (pod, port) = (&self.pod, self.port);
            // The kubelet wraps these two words into its sandbox's ids and paths.
            if cause.contains("connection refused") {
                return RestError::NoAnswer(format!("pod {pod} does not listen on port {port} (connection refused)"));
            }
            RestError::NoAnswer(format!("pod {pod} gave no answer: {cause}"))
        })
    }

    /// Opens a port-forward with one HTTP connection over it.
    async fn forward(&mut self) -> Result<(), kube::Error> {
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let mut forwarder = pods.portforward(&self.pod, &[self.port]).await?;
        // Each is there once for a port that was asked for.
        let (Some(stream), Some(error)) = (forwarder.take_stream(self.port), forwarder.take_error(self.port)) else {
            return Err(kube::Error::Service("the port-forward has no stream".into()));
        };
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(kube::Error::HyperError)?;
        tokio::spawn(connection);
        self.way = Way::Forward(Forward { sender: Some(sender), error: Some(Box::pin(error)), forwarder });
        Ok(())
    }

    async fn through_proxy(
        &self,
        request: Request<kube::client::Body>,
        verb: &'static str,
    ) -> Result<Response<Bytes>, RestError> {
        let answer = self.client.send(request).await.map_err(|e| RestError::Server(e.into()))?;
        let (head, body) = answer.into_parts();
        let body = body.collect().await.map_err(|e| RestError::NoAnswer(e.to_string()))?.to_bytes();
        // Not every error is Flink's: the API server's own are `Status` objects.
        if let Ok(status) = serde_json::from_slice::<kube::core::Status>(&body)
            && status.code >= 400
        {
            return Err(match status.code {
                403 => RestError::Forbidden {
                    pod: self.pod.clone(),
                    namespace: self.namespace.clone(),
                    proxy: status.message,
                    verb,
                },
                // The server's way to the pod, not the server, is out of order.
                500.. => RestError::NoAnswer(format!("pod {} was not reached: {}", self.pod, status.message)),
                _ => RestError::Server(kube::Error::Api(status.boxed()).into()),
            });
        }
        Ok(Response::from_parts(head, body))
    }
}

/// A port-forward and the HTTP connection over it.
struct Forward {
    /// None once the connection is not to be used again.
    sender: Option<http1::SendRequest<Full<Bytes>>>,
    /// Ends with the kubelet's message when the port cannot be used.
    error: Option<Pin<Box<dyn Future<Output = Option<String>> + Send>>>,
    forwarder: Portforwarder,
}

impl Forward {
    /// The kubelet accepts a forward before it tries the port, so that a refused connection shows only here.
    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Bytes>, String> {
        let Some(sender) = &mut self.sender else { return Err("the connection is closed".to_owned()) };
        let answer = async {
            let (head, body) = sender.send_request(request).await?.into_parts();
            Ok::<_, hyper::Error>(Response::from_parts(head, body.collect().await?.to_bytes()))
        };
        let mut answer = std::pin::pin!(answer);
        if let Some(error) = &mut self.error {
            tokio::select! {
                biased;
                answer = &mut answer => {
                    let Err(cause) = answer else { return answer.map_err(|e| e.to_string()) };
                    // The kubelet's message ("connection refused") follows the end of the stream.
                    let said = tokio::time::timeout(Duration::from_millis(200), error).await.ok().flatten();
                    self.error = None;
                    return Err(said.map_or_else(|| cause.to_string(), |said| said.trim().to_owned()));
                }
                error = &mut *error => {
                    self.error = None;
                    if let Some(error) = error {
                        return Err(error.trim().to_owned());
                    }
                    // No message: the forward has ended, and what it carried may still wait to be read.
                }
            }
        }
        answer.await.map_err(|e| e.to_string())
    }
}

impl Drop for Forward {
    fn drop(&mut self) {
        self.forwarder.abort();
    }
}

/// The verb on `pods/proxy` that the API server checks for a method.
fn verb(method: &Method) -> &'static str {
    match *method {
        Method::POST => "create",
        Method::PATCH => "patch",
        Method::PUT => "update",
        Method::DELETE => "delete",
        _ => "get",
    }
}

/// Reads an answer of Flink.
fn read<T: DeserializeOwned>(path: &str, answer: &Response<Bytes>) -> Result<T, RestError> {
    let (status, body) = (answer.status(), answer.body());
    if status.is_success() {
        return serde_json::from_slice(body)
            .map_err(|e| RestError::NotUnderstood { path: path.to_owned(), cause: e.to_string() });
    }
    let text = match serde_json::from_slice::<rest::Errors>(body) {
        Ok(answer) => answer.errors.join("\n"),
        Err(_) => String::from_utf8_lossy(body).into_owned(),
    };
    // The election's message is a page of text, no JSON, in some versions.
    if status == StatusCode::SERVICE_UNAVAILABLE {
        return Err(RestError::Election);
    }
    let message = text.lines().next().unwrap_or_default().trim().to_owned();
    Err(RestError::Flink { status, message })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Kind;

    fn answer(status: u16, body: &'static str) -> Result<Value, RestError> {
        let answer = Response::builder().status(status).body(Bytes::from_static(body.as_bytes())).unwrap();
        read("/overview", &answer)
    }

    #[test]
    fn an_election_is_told_apart() {
        let body =
            r#"{"errors":["Service temporarily unavailable due to an ongoing leader election. Please refresh."]}"#;
        assert!(matches!(answer(503, body), Err(RestError::Election)));
    }

    #[test]
    fn flinks_errors_lose_their_stack_traces() {
        let body =
            r#"{"errors":["org.apache.flink.runtime.rest.NotFoundException: Job 1 not found\n\tat x.y(Z.java:1)"]}"#;
        let error = answer(404, body).unwrap_err().to_string();
        assert_eq!(
            error,
            "Flink answered 404 Not Found: org.apache.flink.runtime.rest.NotFoundException: Job 1 not found"
        );
    }

    #[test]
    fn a_missing_right_is_named() {
        let error = RestError::Forbidden {
            pod: "jm".into(),
            namespace: "flink".into(),
            proxy: "pods is forbidden".into(),
            verb: verb(&Method::GET),
        };
        let error = Error::from(error);
        assert_eq!(error.kind, Kind::CouldNotRun);
        assert!(error.hints[0].contains("`create` on pods/portforward, or `get` on pods/proxy"), "{:?}", error.hints);
    }
}
