//! Credential plugins: run once for a command, and again when what they gave has expired.
//!
//! kube runs them three times for each client: whoever is asked for a password is asked three times.

use std::io::{self, IsTerminal};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http::{HeaderValue, Request, header};
use jiff::{SignedDuration, Timestamp};
use kube::config::{AuthInfo, ExecConfig, ExecInteractiveMode};
use serde::Deserialize;
use serde_json::json;

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
struct Credential {
    token: Option<String>,
    client_certificate_data: Option<String>,
    client_key_data: Option<String>,
    expiration_timestamp: Option<Timestamp>,
}

/// A token that a plugin has given, and gives again when it has expired.
#[derive(Clone)]
pub(super) struct Token {
    exec: ExecConfig,
    silent: bool,
    current: Arc<Mutex<Credential>>,
}

/// Runs the plugin of this user, if it has one, and puts what it gives in its place: a certificate into `user`, a token into
/// what is returned, for each request. `silent` plugins can neither ask nor say anything.
///
/// # Errors
/// The plugin cannot be run, fails, or gives nothing.
pub(super) fn load(user: &mut AuthInfo, silent: bool) -> Result<Option<Token>> {
    let Some(exec) = user.exec.take() else { return Ok(None) };
    // What else there is comes first, as in kube.
    if user.auth_provider.is_some() || user.token.is_some() || user.token_file.is_some() || user.username.is_some() {
        return Ok(None);
    }
    let credential = run(&exec, silent)?;
    if let (Some(certificate), Some(key)) = (&credential.client_certificate_data, &credential.client_key_data) {
        user.client_certificate_data = Some(STANDARD.encode(certificate));
        user.client_key_data = Some(STANDARD.encode(key).into());
    }
    let has_token = credential.token.is_some();
    Ok(has_token.then(|| Token { exec, silent, current: Arc::new(Mutex::new(credential)) }))
}

impl Token {
    /// Puts the token into a request. A plugin that fails now leaves the old one, of which the server says what it thinks.
    pub(super) fn authorize<B>(&self, mut request: Request<B>) -> Request<B> {
        let Ok(mut current) = self.current.lock() else { return request };
        if current.expiration_timestamp.is_some_and(|expires| Timestamp::now() + EARLY >= expires)
            && let Ok(renewed) = run(&self.exec, self.silent)
        {
            *current = renewed;
        }
        let token = current.token.as_deref().unwrap_or_default();
        if let Ok(mut value) = HeaderValue::try_from(format!("Bearer {token}")) {
            value.set_sensitive(true);
            request.headers_mut().insert(header::AUTHORIZATION, value);
        }
        request
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
