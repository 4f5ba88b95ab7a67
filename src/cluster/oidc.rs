//! The tokens of an OpenID Connect issuer (`auth-provider: oidc` in the kubeconfig), as kubectl treats them: the ID token is
//! sent until it expires; then the issuer gives a new one for the refresh token, and what it gave is written into the kubeconfig.
//!
//! kube can do the first part, but not with an issuer's own certificate authority, and not for a client without a secret. And
//! it keeps what it got to itself: an issuer that takes each refresh token once would not know the user any more.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::iter;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use form_urlencoded::{Serializer, byte_serialize};
use http::{Request, StatusCode, Uri, header};
use http_body_util::BodyExt;
use jiff::Timestamp;
use kube::client::{Body, ClientBuilder};
use kube::config::Cluster;
use serde::Deserialize;
use serde_json::{Value, json};

use super::connect;
use super::credentials::Credential;
use crate::error::{Error, Result};
use crate::manifests::yaml;

/// Where a user's tokens are kept.
#[derive(Debug, Clone)]
pub(super) struct Home {
    /// The kubeconfig.
    pub(super) file: PathBuf,
    /// The name of the user in it.
    pub(super) user: String,
}

/// Gives tokens to a user who has logged in there.
#[derive(Debug)]
pub(super) struct Issuer {
    url: String,
    client: String,
    /// What the kubeconfig says of it, with the tokens.
    config: HashMap<String, String>,
    home: Option<Home>,
    answer_within: Option<Duration>,
}

impl Issuer {
    /// # Errors
    /// The kubeconfig does not say who it is.
    pub(super) fn new(
        config: HashMap<String, String>,
        home: Option<Home>,
        answer_within: Option<Duration>,
    ) -> Result<Self> {
        let required = |name: &str| {
            let missing = || Error::could_not_run(format!("the user's auth-provider must provide {name}")).hint(SEE);
            field(&config, name).map(str::to_owned).ok_or_else(missing)
        };
        let (url, client) = (required("idp-issuer-url")?, required("client-id")?);
        Ok(Issuer { url: url.trim_end_matches('/').to_owned(), client, config, home, answer_within })
    }

    /// The token of the kubeconfig, if there is one, valid or not.
    ///
    /// # Errors
    /// It is no ID token.
    pub(super) fn token(&self) -> Result<Option<Credential>> {
        field(&self.config, "id-token").map(credential).transpose()
    }

    /// Has the issuer give a new token, and keeps it.
    ///
    /// # Errors
    /// There is no refresh token, or the issuer does not take it, or what it gives cannot be written down.
    pub(super) async fn refresh(&mut self) -> Result<Credential> {
        let Some(refresh_token) = field(&self.config, "refresh-token") else {
            return Err(failed("no valid id-token, and cannot refresh without refresh-token").hint(LOG_IN));
        };
        let discovery = format!("{}/.well-known/openid-configuration", self.url);
        let (status, discovered) = self.ask(Request::get(discovery), String::new()).await?;
        let endpoint = discovered["token_endpoint"].as_str().filter(|_| status.is_success()).ok_or_else(|| {
            failed(format!("oidc: no token_endpoint in the discovery document of {} ({status})", self.url))
        })?;
        let secret = field(&self.config, "client-secret").unwrap_or_default();
        let request = || Request::post(endpoint).header(header::CONTENT_TYPE, "application/x-www-form-urlencoded");
        let form = |pairs: &[(&str, &str)]| Serializer::new(String::new()).extend_pairs(pairs).finish();
        let asked = [("grant_type", "refresh_token"), ("refresh_token", refresh_token)];
        // Some issuers want to know in the header who asks, some in the form: as with kubectl, what works is right.
        let encoded = |text: &str| byte_serialize(text.as_bytes()).collect::<String>();
        let who = STANDARD.encode(format!("{}:{}", encoded(&self.client), encoded(secret)));
        let in_header = request().header(header::AUTHORIZATION, format!("Basic {who}"));
        let (mut status, mut granted) = self.ask(in_header, form(&asked)).await?;
        if !status.is_success() {
            let mut asked = asked.to_vec();
            asked.push(("client_id", &self.client));
            asked.extend(Some(("client_secret", secret)).filter(|_| !secret.is_empty()));
            (status, granted) = self.ask(request(), form(&asked)).await?;
        }
        if !status.is_success() {
            let said = [&granted["error"], &granted["error_description"]].into_iter().filter_map(Value::as_str);
            let said: Vec<_> = iter::once(status.to_string()).chain(said.map(|text| format!("{text:?}"))).collect();
            return Err(failed(format!("failed to refresh token: oauth2: {}", said.join(" "))).hint(LOG_IN));
        }
        let given: Given = serde_json::from_value(granted)
            .map_err(|_| failed("failed to refresh token: the token response did not contain an id_token"))?;
        let credential = credential(&given.id_token)?;
        self.config.insert("id-token".into(), given.id_token);
        let new = given.refresh_token.filter(|token| !token.is_empty());
        self.config.extend(new.map(|token| ("refresh-token".into(), token)));
        self.keep()?;
        Ok(credential)
    }

    /// Sends a request to the issuer, wherever it has its endpoints; an answer that is no JSON says nothing.
    async fn ask(&self, request: http::request::Builder, body: String) -> Result<(StatusCode, Value)> {
        let unreachable = |error: Error| failed(format!("the OIDC issuer {}: {}", self.url, error.message));
        let request = request.body(Body::from(body.into_bytes())).map_err(|e| failed(format!("{}: {e}", self.url)))?;
        let uri: &Uri = request.uri();
        let (Some(scheme), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(failed(format!("the OIDC issuer {}: {uri} is no address", self.url)));
        };
        let authority_of = |name: &str| field(&self.config, name).map(str::to_owned);
        let cluster = Cluster {
            server: Some(format!("{scheme}://{authority}")),
            certificate_authority: authority_of("idp-certificate-authority"),
            certificate_authority_data: authority_of("idp-certificate-authority-data"),
            ..Cluster::default()
        };
        let mut config = connect::config_of(&cluster).map_err(unreachable)?;
        (config.connect_timeout, config.read_timeout) = (self.answer_within, self.answer_within);
        let client = ClientBuilder::try_from(config).map_err(|e| unreachable(e.into()))?.build();
        let response = client.send(request).await.map_err(|e| unreachable(e.into()))?;
        let status = response.status();
        let body = response.into_body().collect().await.map_err(|e| unreachable(e.into()))?.to_bytes();
        Ok((status, serde_json::from_slice(&body).unwrap_or_default()))
    }

    /// Writes the tokens into the kubeconfig.
    fn keep(&self) -> Result<()> {
        let Some(Home { file, user }) = &self.home else { return Ok(()) };
        let failed = |why: String| failed(format!("could not persist new tokens: {}: {why}", file.display()));
        // kubectl's own lock on a kubeconfig that it changes.
        let mut lock = file.clone().into_os_string();
        lock.push(".lock");
        let locked = OpenOptions::new().write(true).create_new(true).open(&lock);
        locked.map_err(|e| failed(format!("cannot lock it by {}: {e}", Path::new(&lock).display())))?;
        let written = self.rewrite(file, user);
        let _ = fs::remove_file(&lock);
        written.map_err(|e| failed(e.message))
    }

    fn rewrite(&self, file: &Path, user: &str) -> Result<()> {
        let text = fs::read_to_string(file)?;
        let mut document = yaml::documents(&file.display().to_string(), &text)?.into_iter().next().unwrap_or_default();
        let users = document["users"].as_array_mut();
        let Some(entry) = users.and_then(|users| users.iter_mut().find(|entry| entry["name"] == user)) else {
            return Ok(());
        };
        let config = &mut entry["user"]["auth-provider"]["config"];
        for name in ["id-token", "refresh-token"] {
            config[name] = json!(self.config.get(name));
        }
        Ok(fs::write(file, yaml::to_string(&document)?)?)
    }
}

/// What an issuer answers to a refresh token. Only some give a new one of those.
#[derive(Deserialize)]
struct Given {
    id_token: String,
    refresh_token: Option<String>,
}

const LOG_IN: &str = "log in to the issuer again";
const SEE: &str = "see the user's auth-provider: kubectl config view";

fn field<'a>(config: &'a HashMap<String, String>, name: &str) -> Option<&'a str> {
    config.get(name).map(String::as_str).filter(|value| !value.is_empty())
}

fn failed(why: impl std::fmt::Display) -> Error {
    Error::could_not_run(format!("unable to connect to the server: {why}")).hint(SEE)
}

/// Reads when a token expires; whether it is genuine is the server's question.
fn credential(id_token: &str) -> Result<Credential> {
    #[derive(Deserialize)]
    struct Claims {
        exp: f64,
    }
    let claims = id_token.split('.').nth(1).and_then(|claims| URL_SAFE_NO_PAD.decode(claims).ok());
    let claims = claims.and_then(|claims| serde_json::from_slice::<Claims>(&claims).ok());
    #[expect(clippy::cast_possible_truncation, reason = "seconds; some issuers write them as 1.7e9")]
    let expires = claims.and_then(|claims| Timestamp::from_second(claims.exp as i64).ok());
    let expires = expires.ok_or_else(|| failed("the id-token is not a valid JWT"))?;
    Ok(Credential::of_token(id_token, expires))
}
