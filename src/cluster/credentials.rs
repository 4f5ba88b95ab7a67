//! Tokens that expire: a credential plugin is run, an OIDC issuer asked, or a file read, once for a command, and again when
//! what they gave has expired.
//!
//! kube runs plugins three times for each client: whoever is asked for a password is asked three times.

use std::fs;
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
use secrecy::ExposeSecret;
use serde::Deserialize;
use serde_json::json;

use super::oidc::{Home, Issuer};
use crate::error::{Error, Result};

/// Before a token expires it is renewed: the server's clock may be ahead.
const EARLY: SignedDuration = SignedDuration::from_secs(10);
/// How long what a file says holds (client-go's `NewCachedFileTokenSource`): the kubelet writes a new token in time.
const FILE_HOLDS: SignedDuration = SignedDuration::from_mins(1);

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

    fn without_what_is_empty(mut self) -> Self {
        for text in [&mut self.token, &mut self.client_certificate_data, &mut self.client_key_data] {
            text.take_if(|text| text.is_empty());
        }
        self
    }

    fn has_expired(&self) -> bool {
        self.expiration_timestamp.is_some_and(|expires| Timestamp::now() + EARLY >= expires)
    }
}

/// Who gives credentials.
enum Source {
    Plugin(Box<ExecConfig>),
    Issuer(Box<Issuer>),
    File(String),
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
    let (exec, file) = (user.exec.take(), user.token_file.take().filter(|file| !file.is_empty()));
    // What is empty is as good as not there, which kube does not know.
    user.username = user.username.take().filter(|name| !name.is_empty());
    user.token = user.token.take().filter(|token| !token.expose_secret().is_empty());
    let mut source = if let Some(provider) = user.auth_provider.take_if(|provider| provider.name == "oidc") {
        Source::Issuer(Box::new(Issuer::new(provider.config, home, answer_within)?))
    } else if user.auth_provider.is_some() || user.username.is_some() {
        return Ok(None);
    } else if let Some(file) = file {
        // The file comes before the token that stands in the kubeconfig.
        user.token = None;
        Source::File(file)
    } else if let Some(exec) = exec
        // Whoever has other credentials is not to be asked for any.
        && user.token.is_none()
        && !has_certificate(user)
    {
        Source::Plugin(Box::new(exec))
    } else {
        return Ok(None);
    };
    let credential = match &source {
        Source::Issuer(issuer) => issuer.token()?.filter(|token| !token.has_expired()),
        Source::Plugin(_) | Source::File(_) => None,
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
            Source::File(file) => read(file),
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

fn has_certificate(user: &AuthInfo) -> bool {
    let there = |text: &Option<String>| text.as_ref().is_some_and(|text| !text.is_empty());
    let key_data = user.client_key_data.as_ref().is_some_and(|key| !key.expose_secret().is_empty());
    (there(&user.client_certificate) || there(&user.client_certificate_data)) && (there(&user.client_key) || key_data)
}

/// Reads a token from its file, in which a line may end behind it.
fn read(file: &str) -> Result<Credential> {
    let failed = |why: String| Error::could_not_run(format!("cannot read the token file {file}: {why}"));
    let text = fs::read_to_string(file).map_err(|e| failed(e.to_string()))?;
    let token = text.trim();
    if token.is_empty() {
        return Err(failed("it is empty".to_owned()));
    }
    Ok(Credential::of_token(token, Timestamp::now() + FILE_HOLDS))
}

/// Runs a plugin as kubectl does.
fn run(exec: &ExecConfig, silent: bool) -> Result<Credential> {
    let program = exec.command.as_deref().unwrap_or_default();
    let failed = |why: String| {
        Error::could_not_run(format!("unable to connect to the server: getting credentials: exec: {why}"))
    };
    let see = "it is what the kubeconfig names for this user: kubectl config view";
    // Standard input may be the manifests of `-f -`.
    let interactive = !silent && exec.interactive_mode != Some(ExecInteractiveMode::Never) && io::stdin().is_terminal();
    if exec.interactive_mode == Some(ExecInteractiveMode::Always) && !interactive {
        return Err(failed("plugin cannot support interactive mode: standard input is not a terminal".to_owned()));
    }
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
    let credential = answer.status.without_what_is_empty();
    let (certificate, key) = (credential.client_certificate_data.is_some(), credential.client_key_data.is_some());
    if certificate != key {
        return Err(failed(format!("executable {program} gave only a certificate or only a key, not both")).hint(see));
    }
    if credential.token.is_none() && !certificate {
        return Err(failed(format!("executable {program} gave neither a token nor a certificate")).hint(see));
    }
    Ok(credential)
}
