//! From kubectl's own flags to a client.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use http::{HeaderValue, Response, Uri, header};
use kube::Client;
use kube::client::ClientBuilder;
use kube::config::{AuthInfo, Cluster, Config, Context, Kubeconfig};
use tower::buffer::BufferLayer;
use tower::filter::AsyncFilterLayer;
use tower::timeout::TimeoutLayer;
use tower::util::{MapErrLayer, MapResponseLayer, option_layer};
use tower::{BoxError, ServiceBuilder};

use super::oidc::Home;
use super::{credentials, kubeconfig, proxy};
use crate::error::{Error, NoAnswer, Result};
use crate::output;

/// How long the API server may take to begin an answer.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);
/// More requests than are ever sent at the same time.
const MANY: usize = 1024;

/// kubectl's connection flags, with its spelling and meaning.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Kubernetes options")]
pub struct ConnectionArgs {
    /// Namespace to work in [default: the context's]
    #[arg(short, long, global = true, value_name = "NAMESPACE")]
    pub namespace: Option<String>,
    /// Path to the kubeconfig file
    #[arg(long, global = true, value_name = "FILE")]
    pub kubeconfig: Option<PathBuf>,
    /// Name of the kubeconfig context to use
    #[arg(long, global = true, value_name = "NAME")]
    pub context: Option<String>,
    /// Name of the kubeconfig cluster to use
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub cluster: Option<String>,
    /// Name of the kubeconfig user to use
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub user: Option<String>,
    /// Address and port of the Kubernetes API server
    #[arg(short, long, global = true, value_name = "URL", hide_short_help = true)]
    pub server: Option<String>,
    /// Bearer token for authentication to the API server
    #[arg(long, global = true, value_name = "TOKEN", hide_short_help = true, hide_env_values = true)]
    pub token: Option<String>,
    /// User to impersonate
    #[arg(long = "as", global = true, value_name = "USER", hide_short_help = true)]
    pub as_user: Option<String>,
    /// Group to impersonate, repeatable
    #[arg(long = "as-group", global = true, value_name = "GROUP", hide_short_help = true)]
    pub as_group: Vec<String>,
    /// UID to impersonate
    #[arg(long = "as-uid", global = true, value_name = "UID", hide_short_help = true)]
    pub as_uid: Option<String>,
    /// What else is known of the user to impersonate, such as scopes=view, repeatable
    #[arg(long = "as-user-extra", global = true, value_name = "KEY=VALUE", hide_short_help = true, value_parser = key_value)]
    pub as_user_extra: Vec<(String, String)>,
    /// Path to the certificate authority's certificate
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub certificate_authority: Option<PathBuf>,
    /// Path to the client certificate
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub client_certificate: Option<PathBuf>,
    /// Path to the client key
    #[arg(long, global = true, value_name = "FILE", hide_short_help = true)]
    pub client_key: Option<PathBuf>,
    /// Do not check the server's certificate: insecure
    #[arg(long, global = true, hide_short_help = true, num_args = 0..=1, require_equals = true,
        default_missing_value = "true", value_name = "BOOL", hide_possible_values = true)]
    pub insecure_skip_tls_verify: Option<bool>,
    /// Name to check the server's certificate against
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub tls_server_name: Option<String>,
    /// Time to wait for a single answer of the API server, like 10s or 2m; 0 waits forever [default: 30s]
    #[arg(long, global = true, value_name = "DURATION", hide_short_help = true, value_parser = crate::commands::duration)]
    pub request_timeout: Option<Duration>,
}

/// A client and the namespace that the command works in.
#[derive(Clone)]
pub struct Connection {
    /// Talks to the API server; its `Warning:` headers are shown once each.
    pub client: Client,
    /// From `-n`, else the context, else `default`.
    pub namespace: String,
    /// `NAME` of the context that is used, for messages; empty where there is none (in a pod, or with `--server`).
    pub context: String,
}

/// The names of a kubeconfig's entries.
#[derive(Debug, Clone, Default)]
pub struct KubeconfigNames {
    /// For `--context`.
    pub contexts: Vec<String>,
    /// For `--cluster`.
    pub clusters: Vec<String>,
    /// For `--user`.
    pub users: Vec<String>,
}

impl ConnectionArgs {
    /// Connects. Nothing is sent yet, except what a credential plugin sends.
    ///
    /// # Errors
    /// The kubeconfig cannot be read, names nothing of that name, or its credentials cannot be loaded.
    pub async fn connect(&self) -> Result<Connection> {
        self.connect_as(false).await
    }

    /// The same for someone who must not be disturbed: no warning is shown, and credential plugins can neither ask nor say
    /// anything.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn connect_silently(&self) -> Result<Connection> {
        self.connect_as(true).await
    }

    async fn connect_as(&self, silent: bool) -> Result<Connection> {
        let (mut config, context, user) = self.config()?;
        let answer_within = Some(self.request_timeout.unwrap_or(DEFAULT_TIMEOUT)).filter(|timeout| !timeout.is_zero());
        config.connect_timeout = answer_within;
        config.headers.push((
            header::USER_AGENT,
            HeaderValue::from_static(concat!("kubectl-flink/v", env!("CARGO_PKG_VERSION"))),
        ));
        let namespace = config.default_namespace.clone();
        let server = server_name(&config);
        // Only an issuer's tokens are kept: nobody else's kubeconfig has to be read once more.
        let user = user.filter(|_| config.auth_info.auth_provider.is_some());
        let home =
            user.and_then(|user| Some(Home { file: kubeconfig::file_of(self.kubeconfig.as_deref(), &user)?, user }));
        let token = credentials::load(&mut config.auth_info, silent, home, answer_within).await?;
        let authorized = token.map(|token| {
            let authorize = AsyncFilterLayer::new(move |sent| token.clone().authorize(sent));
            // The filter wants a service that it can clone.
            ServiceBuilder::new().layer(authorize).layer(BufferLayer::new(MANY))
        });
        let shown = Arc::new(Mutex::new(BTreeSet::new()));
        let client = ClientBuilder::try_from(config)
            .map_err(Error::from)?
            .with_layer(&option_layer(authorized))
            .with_layer(&MapResponseLayer::new(move |response| show_warnings(response, &shown, silent)))
            // Until an answer begins: a forward or a log may then go on for as long as it likes.
            .with_layer(&option_layer(answer_within.map(TimeoutLayer::new)))
            .with_layer(&MapErrLayer::new(move |source: BoxError| NoAnswer { server: server.clone(), source }))
            .build();
        Ok(Connection { client, namespace, context })
    }

    /// The namespace of `-n`, else of the context; no server is asked, and no kubeconfig is needed.
    ///
    /// # Errors
    /// There is a kubeconfig, and it cannot be read.
    pub fn namespace_offline(&self) -> Result<String> {
        if let Some(namespace) = given(self.namespace.as_deref()) {
            return Ok(namespace.to_owned());
        }
        let kubeconfig = kubeconfig::load(self.kubeconfig.as_deref())?.unwrap_or_default();
        Ok(namespace_of(self.chosen_context(&kubeconfig)?.1.namespace))
    }

    /// The context of `--context`, else the current one, with its name; both are empty where there is none.
    fn chosen_context(&self, kubeconfig: &Kubeconfig) -> Result<(String, Context)> {
        let Some(name) = given(self.context.as_deref()).or(kubeconfig.current_context.as_deref()) else {
            return Ok((String::new(), Context::default()));
        };
        named("context", Some(name), kubeconfig.contexts.iter().map(|entry| entry.name.as_str()))?;
        let entry = kubeconfig.contexts.iter().find(|entry| entry.name == name);
        Ok((name.to_owned(), entry.and_then(|entry| entry.context.clone()).unwrap_or_default()))
    }

    /// What there is in the kubeconfig, by name; nothing where it cannot be read.
    pub fn kubeconfig_names(&self) -> KubeconfigNames {
        let kubeconfig = kubeconfig::load(self.kubeconfig.as_deref()).ok().flatten().unwrap_or_default();
        KubeconfigNames {
            contexts: kubeconfig.contexts.into_iter().map(|entry| entry.name).collect(),
            clusters: kubeconfig.clusters.into_iter().map(|entry| entry.name).collect(),
            users: kubeconfig.auth_infos.into_iter().map(|entry| entry.name).collect(),
        }
    }

    /// What to connect with, and the names of the context and of the user that it is from.
    fn config(&self) -> Result<(Config, String, Option<String>)> {
        let there = kubeconfig::load(self.kubeconfig.as_deref())?;
        let is_empty = there.as_ref().is_none_or(kubeconfig::is_empty);
        // A pod's token is for its own server only.
        let of_pod = if is_empty && given(self.server.as_deref()).is_none() { kubeconfig::in_pod() } else { None };
        let kubeconfig = match of_pod.or(there) {
            Some(kubeconfig) => kubeconfig,
            None if given(self.server.as_deref()).is_some() => Kubeconfig::default(),
            None => return Err(kubeconfig::missing()),
        };
        let (context, Context { cluster, user, namespace, .. }) = self.chosen_context(&kubeconfig)?;
        let users = kubeconfig.auth_infos.iter().map(|entry| entry.name.as_str());
        named("user", given(self.user.as_deref()), users)?;
        let clusters = kubeconfig.clusters.iter().map(|entry| entry.name.as_str());
        named("cluster", given(self.cluster.as_deref()), clusters)?;
        let cluster = given(self.cluster.as_deref()).map_or(cluster, str::to_owned);
        let user = given(self.user.as_deref()).map(str::to_owned).or(user);
        let entry = kubeconfig.clusters.into_iter().find(|entry| entry.name == cluster);
        let mut cluster = self.overridden_cluster(entry.and_then(|entry| entry.cluster).unwrap_or_default());
        let entry = kubeconfig.auth_infos.into_iter().find(|entry| Some(&entry.name) == user.as_ref());
        let auth_info = self.overridden_user(entry.and_then(|entry| entry.auth_info).unwrap_or_default())?;
        cluster.server = cluster.server.as_deref().map(|server| with_scheme(server, &cluster, &auth_info));
        let mut config = config_of(&cluster)?;
        config.auth_info = auth_info;
        if let Some(exec) = config.auth_info.exec.as_mut().filter(|exec| exec.provide_cluster_info) {
            exec.cluster = Some((&cluster).try_into().map_err(unusable)?);
        }
        config.default_namespace =
            given(self.namespace.as_deref()).map_or_else(|| namespace_of(namespace), str::to_owned);
        Ok((config, context, user))
    }

    fn overridden_cluster(&self, mut cluster: Cluster) -> Cluster {
        if let Some(server) = given(self.server.as_deref()) {
            // Another server has another name.
            (cluster.server, cluster.tls_server_name) = (Some(server.to_owned()), None);
        }
        if let Some(file) = text(self.certificate_authority.as_ref()) {
            (cluster.certificate_authority, cluster.certificate_authority_data) = (Some(file), None);
            cluster.insecure_skip_tls_verify = None;
        }
        if let Some(insecure) = self.insecure_skip_tls_verify {
            cluster.insecure_skip_tls_verify = Some(insecure);
        }
        if let Some(name) = given(self.tls_server_name.as_deref()) {
            cluster.tls_server_name = Some(name.to_owned());
        }
        cluster
    }

    fn overridden_user(&self, mut user: AuthInfo) -> Result<AuthInfo> {
        if let Some(token) = given(self.token.as_deref()) {
            // A client certificate stays beside it, as with kubectl, and the server prefers that.
            user.token = Some(token.to_owned().into());
            (user.username, user.password, user.token_file) = (None, None, None);
            (user.exec, user.auth_provider) = (None, None);
        }
        if let Some(file) = text(self.client_certificate.as_ref()) {
            (user.client_certificate, user.client_certificate_data) = (Some(file), None);
        }
        if let Some(file) = text(self.client_key.as_ref()) {
            (user.client_key, user.client_key_data) = (Some(file), None);
        }
        if let Some(name) = given(self.as_user.as_deref()) {
            user.impersonate = Some(name.to_owned());
        }
        if let Some(uid) = given(self.as_uid.as_deref()) {
            user.impersonate_uid = Some(uid.to_owned());
        }
        if !self.as_group.is_empty() {
            user.impersonate_groups = Some(self.as_group.clone());
        }
        if !self.as_user_extra.is_empty() {
            let mut extra: HashMap<_, Vec<_>> = HashMap::new();
            for (key, value) in self.as_user_extra.iter().cloned() {
                extra.entry(key).or_default().push(value);
            }
            user.impersonate_user_extra = Some(extra);
        }
        let of_user = user.impersonate_uid.is_some()
            || user.impersonate_groups.as_ref().is_some_and(|groups| !groups.is_empty())
            || user.impersonate_user_extra.as_ref().is_some_and(|extra| !extra.is_empty());
        if of_user && user.impersonate.as_ref().is_none_or(String::is_empty) {
            return Err(Error::usage("--as-uid, --as-group and --as-user-extra need a user to impersonate")
                .hint("name one with --as, or as `as` in the kubeconfig"));
        }
        Ok(user)
    }
}

/// How a server is reached. kube has this too, but fails on any `NO_PROXY` that is not as it wants it, such as `a,*`.
pub(super) fn config_of(cluster: &Cluster) -> Result<Config> {
    let Some(server) = cluster.server.as_deref().filter(|server| !server.is_empty()) else {
        return Err(Error::could_not_run("no server is named").hint(
            "choose a context: kubectl config use-context NAME, or --context NAME; or give the server's address: --server URL",
        ));
    };
    let mut config = Config::new(server.parse().map_err(|e| unusable(format!("the server {server:?}: {e}")))?);
    let data = cluster.certificate_authority_data.as_ref().filter(|data| !data.is_empty());
    let file = cluster.certificate_authority.as_ref().filter(|file| !file.is_empty());
    let authority = match (data, file) {
        (Some(data), _) => {
            Some(STANDARD.decode(data).map_err(|e| unusable(format!("certificate-authority-data: {e}")))?)
        }
        (None, Some(file)) => Some(fs::read(file).map_err(|e| unusable(format!("certificate-authority {file}: {e}")))?),
        (None, None) => None,
    };
    if let Some(authority) = authority {
        let blocks = pem::parse_many(authority).map_err(|e| unusable(format!("the certificate authority: {e}")))?;
        let certificates = blocks.into_iter().filter(|block| block.tag() == "CERTIFICATE");
        config.root_cert = Some(certificates.map(pem::Pem::into_contents).collect());
    }
    config.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or_default();
    config.disable_compression = cluster.disable_compression.unwrap_or_default();
    config.tls_server_name.clone_from(&cluster.tls_server_name);
    config.proxy_url = proxy::of(cluster.proxy_url.as_deref(), &config.cluster_url)?;
    Ok(config)
}

/// The address with a scheme: kubectl's is https where anything is said of TLS, and http otherwise.
fn with_scheme(server: &str, cluster: &Cluster, user: &AuthInfo) -> String {
    if server.is_empty() || server.contains("://") {
        return server.to_owned();
    }
    let files = [&cluster.certificate_authority, &cluster.certificate_authority_data];
    let files = files.into_iter().chain([&user.client_certificate, &user.client_certificate_data]);
    let is_tls = files.flatten().any(|file| !file.is_empty()) || cluster.insecure_skip_tls_verify == Some(true);
    format!("{}://{server}", if is_tls { "https" } else { "http" })
}

/// A flag with an empty value is none, as with kubectl: scripts give `-n "$NAMESPACE"`.
fn given(flag: Option<&str>) -> Option<&str> {
    flag.filter(|value| !value.is_empty())
}

fn namespace_of(context: Option<String>) -> String {
    context.filter(|namespace| !namespace.is_empty()).unwrap_or_else(|| "default".to_owned())
}

fn unusable(why: impl std::fmt::Display) -> Error {
    Error::could_not_run(format!("the kubeconfig cannot be used: {why}")).hint(kubeconfig::SEE)
}

fn text(path: Option<&PathBuf>) -> Option<String> {
    path.map(|path| path.to_string_lossy().into_owned())
}

fn key_value(text: &str) -> Result<(String, String), &'static str> {
    match text.split_once('=') {
        Some((key, value)) if !key.is_empty() => Ok((key.to_owned(), value.to_owned())),
        _ => Err("give it as KEY=VALUE"),
    }
}

/// How messages name the API server.
fn server_name(config: &Config) -> String {
    let name = |uri: &Uri| {
        let port = uri.port().map(|port| format!(":{port}")).unwrap_or_default();
        uri.host().unwrap_or_default().to_owned() + &port
    };
    match &config.proxy_url {
        Some(proxy) => format!("{} through the proxy {}", name(&config.cluster_url), name(proxy)),
        None => name(&config.cluster_url),
    }
}

/// A flag that names an entry of the kubeconfig has to name one that is there.
fn named<'a>(what: &str, name: Option<&str>, known: impl Iterator<Item = &'a str>) -> Result<()> {
    let known: Vec<_> = known.collect();
    match name {
        Some(name) if !known.contains(&name) => Err(Error::could_not_run(format!("{what} {name:?} does not exist"))
            .hint(format!("the kubeconfig has: {}", known.join(", ")))),
        _ => Ok(()),
    }
}

/// Shows each `Warning:` header of the API server once; kube drops them.
fn show_warnings<B>(response: Response<B>, shown: &Mutex<BTreeSet<String>>, silent: bool) -> Response<B> {
    for value in response.headers().get_all(header::WARNING) {
        // 299 - "text": RFC 7234, 5.5; the API server escapes quotes in the text.
        let Ok(value) = value.to_str() else { continue };
        let text =
            value.split_once('"').map_or(value, |(_, rest)| rest.rsplit_once('"').map_or(rest, |(text, _)| text));
        let text = text.replace("\\\"", "\"");
        if let Ok(mut shown) = shown.lock()
            && shown.insert(text.clone())
            && !silent
        {
            output::server_warning(&text);
        }
    }
    response
}
