//! Tokens that expire: a credential plugin is run, or an OIDC issuer asked, once for a command, and again when what they gave
//! has expired.
//!
//! kube runs plugins three times for each client: whoever is asked for a password is asked three times.

use std::io::{self, IsTerminal};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::lock::Mutex;
use http::{HeaderValue, Request, header};
use jiff::{SignedDuration, Timestamp};
use kube::config::{AuthInfo, ExecConfig, ExecInteractiveMode};
use serde::Deserialize;
use serde_json::json;

use super::oidc::{Home, Issuer};
use crate::error::{Error, Result};

/// Before a token expires it is renewed: the server's clock may be ahead.
const EARLY: SignedDuration = SignedDuration::from_secs(10);

/// What a plugin prints: an ExecCredential of client.authentication.k8s.io.
#[derive(Debug, Default, Deserialize)]
struct Answer {
    #[serde(default)]
    status: Credential,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Credential {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    expiration_timestamp: Option<Timestamp>,
}

impl Credential {
    pub(super) fn of_token(token: &str, expires: Timestamp) -> Self {
        let expiration_timestamp = Some(expires);
        Credential { token: Some(token.to_owned()), expiration_timestamp, ..Credential::default() }
    }

    fn has_expired(&self) -> bool {
        self.expiration_timestamp.is_some_and(|expires| Timestamp::now() + EARLY >= expires)
    }
}

/// Who gives credentials.
enum Source {
    Plugin(Box<ExecConfig>),
    Issuer(Box<Issuer>),
}

/// A token that was given, and is given again when it has expired.
#[derive(Clone)]
pub(super) struct Token {
    current: Arc<Mutex<(Source, Credential)>>,
    silent: bool,
}

/// Asks who gives this user credentials, if there is someone, and puts what they give in its place: a certificate into `user`,
/// a token into what is returned, for each request. `silent` plugins can neither ask nor say anything. `home` is where an
/// issuer's tokens are kept.
///
/// # Errors
/// The plugin cannot be run, fails, or gives nothing; or the issuer does.
pub(super) async fn load(
    user: &mut AuthInfo,
    silent: bool,
    home: Option<Home>,
    answer_within: Option<Duration>,
) -> Result<Option<Token>> {
    let exec = user.exec.take();
    let mut source = if let Some(provider) = user.auth_provider.take_if(|provider| provider.name == "oidc") {
        Source::Issuer(Box::new(Issuer::new(provider.config, home, answer_within)?))
    } else if let Some(exec) = exec
        // What else there is comes first, as in kube.
        && !(user.auth_provider.is_some() || user.token.is_some() || user.token_file.is_some() || user.username.is_some())
    {
        Source::Plugin(Box::new(exec))
    } else {
        return Ok(None);
    };
    let credential = match &source {
        Source::Issuer(issuer) => issuer.token()?.filter(|token| !token.has_expired()),
        Source::Plugin(_) => None,
    };
    let credential = match credential {
        Some(credential) => credential,
        None => source.give(silent).await?,
    };
    if let (Some(certificate), Some(key)) = (&credential.client_certificate_data, &credential.client_key_data) {
        user.client_certificate_data = Some(STANDARD.encode(certificate));
        user.client_key_data = Some(STANDARD.encode(key).into());
    }
    let has_token = credential.token.is_some();
    Ok(has_token.then(|| Token { current: Arc::new(Mutex::new((source, credential))), silent }))
}

impl Source {
    async fn give(&mut self, silent: bool) -> Result<Credential> {
        match self {
            Source::Plugin(exec) => run(exec, silent),
            // Whoever presses TAB may be gone before the answer is there, and with it a token that is given once.
            Source::Issuer(_) if silent => Err(Error::could_not_run("the ID token has expired")),
            Source::Issuer(issuer) => issuer.refresh().await,
        }
    }
}

impl Token {
    /// Puts the token into a request. If no new one can be had now, the server says what it thinks of the old one.
    pub(super) async fn authorize<B>(self, mut request: Request<B>) -> Result<Request<B>> {
        let mut current = self.current.lock().await;
        let (source, credential) = &mut *current;
        if credential.has_expired()
            && let Ok(renewed) = source.give(self.silent).await
        {
            *credential = renewed;
        }
        let token = credential.token.as_deref().unwrap_or_default();
        if let Ok(mut value) = HeaderValue::try_from(format!("Bearer {token}")) {
            value.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        Ok(request)
    }
}

/// Runs a plugin as kubectl does.
fn run(exec: &ExecConfig, silent: bool) -> Result<Credential> {
    let program = exec.command.as_deref().unwrap_or_default();
    let failed = |why: String| {
        Error::could_not_run(format!("unable to connect to the server: getting credentials: exec: {why}"))
    };
    let see = "it is what the kubeconfig names for this user: kubectl config view";
    let interactive = match exec.interactive_mode {
        _ if silent => false,
        Some(ExecInteractiveMode::Never) => false,
        Some(ExecInteractiveMode::Always) => true,
        // Standard input may be the manifests of `-f -`.
        _ => io::stdin().is_terminal(),
    };
    let mut spec = json!({"interactive": interactive});
    if let Some(cluster) = exec.cluster.as_ref().filter(|_| exec.provide_cluster_info) {
        spec["cluster"] = json!(cluster);
    }
    let info = json!({"apiVersion": exec.api_version, "kind": "ExecCredential", "spec": spec});
    let mut command = Command::new(program);
    command.args(exec.args.iter().flatten()).env("KUBERNETES_EXEC_INFO", info.to_string());
    for variable in exec.env.iter().flatten() {
        if let (Some(name), Some(value)) = (variable.get("name"), variable.get("value")) {
            command.env(name, value);
        }
    }
    command.stdin(if interactive { Stdio::inherit() } else { Stdio::null() });
    command.stderr(if silent { Stdio::null() } else { Stdio::inherit() });
    let output = command.output().map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => failed(format!("executable {program} not found"))
            .hint(exec.install_hint.as_deref().unwrap_or("install it, or put it on the PATH")),
        _ => failed(format!("cannot run {program}: {error}")).hint(see),
    })?;
    if !output.status.success() {
        let code = output.status.code().map_or_else(|| output.status.to_string(), |code| format!("exit code {code}"));
        return Err(failed(format!("executable {program} failed with {code}")).hint(see));
    }
    // JSON, or YAML, which kubectl reads too.
    let answer: Answer = serde_saphyr::from_slice(&output.stdout).map_err(|_| {
        // What it printed may be a secret.
        failed(format!("executable {program} printed no ExecCredential")).hint(see)
    })?;
    let credential = answer.status;
    if credential.token.is_none() && credential.client_certificate_data.is_none() {
        return Err(failed(format!("executable {program} gave neither a token nor a certificate")).hint(see));
    }
    Ok(credential)
}
