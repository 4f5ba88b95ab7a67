//! From kubectl's own flags to a client.

use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use clap::Args;
use http::{HeaderValue, Response, Uri, header};
use ipnet::IpNet;
use kube::Client;
use kube::client::ClientBuilder;
use kube::config::{AuthInfo, Cluster, Config, Context, Kubeconfig, NamedAuthInfo, NamedCluster, NamedContext};
use tower::buffer::BufferLayer;
use tower::filter::AsyncFilterLayer;
use tower::timeout::TimeoutLayer;
use tower::util::{MapErrLayer, MapResponseLayer, option_layer};
use tower::{BoxError, ServiceBuilder};

use super::credentials;
use super::oidc::Home;
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
        let home = user.and_then(|user| Some(Home { file: self.file_of(&user)?, user }));
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
        if let Some(namespace) = &self.namespace {
            return Ok(namespace.clone());
        }
        let Some(kubeconfig) = self.kubeconfig()? else { return Ok("default".to_owned()) };
        let context = self.context.as_ref().or(kubeconfig.current_context.as_ref());
        let entry = kubeconfig.contexts.iter().find(|entry| Some(&entry.name) == context);
        let namespace = entry.and_then(|entry| entry.context.as_ref()?.namespace.clone());
        Ok(namespace.unwrap_or_else(|| "default".to_owned()))
    }

    /// The one of `--kubeconfig`; else those of `KUBECONFIG`, a list, of which missing ones are left out, as kubectl does; else
    /// `~/.kube/config`.
    fn files(&self) -> Vec<PathBuf> {
        if let Some(path) = &self.kubeconfig {
            return vec![path.clone()];
        }
        let mut files: Vec<_> = match std::env::var_os("KUBECONFIG").filter(|list| !list.is_empty()) {
            Some(list) => std::env::split_paths(&list).collect(),
            None => home().map(|home| home.join(".kube/config")).into_iter().collect(),
        };
        files.retain(|path| path.exists());
        files
    }

    fn kubeconfig(&self) -> Result<Option<Kubeconfig>> {
        let mut merged: Option<Kubeconfig> = None;
        for path in self.files() {
            let next = read(&path)?;
            merged = Some(match merged {
                Some(earlier) => earlier.merge(next).map_err(|e| {
                    Error::could_not_run(format!("cannot read the kubeconfig: {e}")).hint("see: kubectl config view")
                })?,
                None => next,
            });
        }
        Ok(merged)
    }

    /// The kubeconfig that a user is read from: the first that has it.
    fn file_of(&self, user: &str) -> Option<PathBuf> {
        let has = |file: &Kubeconfig| file.auth_infos.iter().any(|entry| entry.name == user);
        self.files().into_iter().find(|path| read(path).is_ok_and(|file| has(&file)))
    }

    /// What there is in the kubeconfig, by name; nothing where it cannot be read.
    pub fn kubeconfig_names(&self) -> KubeconfigNames {
        let kubeconfig = self.kubeconfig().ok().flatten().unwrap_or_default();
        KubeconfigNames {
            contexts: kubeconfig.contexts.into_iter().map(|entry| entry.name).collect(),
            clusters: kubeconfig.clusters.into_iter().map(|entry| entry.name).collect(),
            users: kubeconfig.auth_infos.into_iter().map(|entry| entry.name).collect(),
        }
    }

    /// What to connect with, and the names of the context and of the user that it is from.
    fn config(&self) -> Result<(Config, String, Option<String>)> {
        let of_user = self.as_uid.is_some() || !self.as_group.is_empty() || !self.as_user_extra.is_empty();
        if of_user && self.as_user.is_none() {
            return Err(Error::usage("--as-uid, --as-group and --as-user-extra need a user to impersonate")
                .hint("name one with --as"));
        }
        let kubeconfig = match self.kubeconfig()?.or_else(in_pod) {
            Some(kubeconfig) => kubeconfig,
            None if self.server.is_some() => Kubeconfig::default(),
            None => return Err(no_kubeconfig()),
        };
        let context = self.context.clone().or(kubeconfig.current_context);
        let contexts = kubeconfig.contexts.iter().map(|entry| entry.name.as_str());
        named("context", context.as_deref(), contexts)?;
        let users = kubeconfig.auth_infos.iter().map(|entry| entry.name.as_str());
        named("user", self.user.as_deref(), users)?;
        let clusters = kubeconfig.clusters.iter().map(|entry| entry.name.as_str());
        named("cluster", self.cluster.as_deref(), clusters)?;
        if context.is_none() && self.server.is_none() && self.cluster.is_none() {
            return Err(unusable("failed to determine current context"));
        }
        let entry = kubeconfig.contexts.into_iter().find(|entry| Some(&entry.name) == context.as_ref());
        // Without one, the flags say all that there is to say.
        let Context { cluster, user, namespace, .. } = entry.and_then(|entry| entry.context).unwrap_or_default();
        let (cluster, user) = (self.cluster.clone().unwrap_or(cluster), self.user.clone().or(user));
        let entry = kubeconfig.clusters.into_iter().find(|entry| entry.name == cluster);
        let cluster = self.overridden_cluster(entry.and_then(|entry| entry.cluster).unwrap_or_default());
        let entry = kubeconfig.auth_infos.into_iter().find(|entry| Some(&entry.name) == user.as_ref());
        let mut config = config_of(&cluster)?;
        config.auth_info = self.overridden_user(entry.and_then(|entry| entry.auth_info).unwrap_or_default());
        if let Some(exec) = config.auth_info.exec.as_mut().filter(|exec| exec.provide_cluster_info) {
            exec.cluster = Some((&cluster).try_into().map_err(unusable)?);
        }
        if let Some(namespace) = self.namespace.clone().or(namespace) {
            config.default_namespace = namespace;
        }
        Ok((config, context.unwrap_or_default(), user))
    }

    fn overridden_cluster(&self, mut cluster: Cluster) -> Cluster {
        if let Some(server) = &self.server {
            // Another server has another name.
            (cluster.server, cluster.tls_server_name) = (Some(server.clone()), None);
        }
        if let Some(file) = text(self.certificate_authority.as_ref()) {
            (cluster.certificate_authority, cluster.certificate_authority_data) = (Some(file), None);
            cluster.insecure_skip_tls_verify = None;
        }
        if let Some(insecure) = self.insecure_skip_tls_verify {
            cluster.insecure_skip_tls_verify = Some(insecure);
        }
        if let Some(name) = &self.tls_server_name {
            cluster.tls_server_name = Some(name.clone());
        }
        cluster
    }

    fn overridden_user(&self, mut user: AuthInfo) -> AuthInfo {
        if let Some(token) = &self.token {
            // A client certificate stays beside it, as with kubectl, and the server prefers that.
            user.token = Some(token.clone().into());
            (user.username, user.password, user.token_file) = (None, None, None);
            (user.exec, user.auth_provider) = (None, None);
        }
        if let Some(file) = text(self.client_certificate.as_ref()) {
            (user.client_certificate, user.client_certificate_data) = (Some(file), None);
        }
        if let Some(file) = text(self.client_key.as_ref()) {
            (user.client_key, user.client_key_data) = (Some(file), None);
        }
        if let Some(name) = &self.as_user {
            user.impersonate = Some(name.clone());
        }
        if let Some(uid) = &self.as_uid {
            user.impersonate_uid = Some(uid.clone());
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
        user
    }
}

/// How a server is reached. kube has this too, but fails on any `NO_PROXY` that is not as it wants it, such as `a,*`.
pub(super) fn config_of(cluster: &Cluster) -> Result<Config> {
    let server = cluster.server.as_deref().unwrap_or_default();
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
    config.proxy_url = proxy(cluster.proxy_url.clone(), &config.cluster_url)?;
    Ok(config)
}

fn unusable(why: impl std::fmt::Display) -> Error {
    Error::could_not_run(format!("the kubeconfig cannot be used: {why}")).hint("see: kubectl config view")
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

fn read(path: &Path) -> Result<Kubeconfig> {
    let mut kubeconfig = Kubeconfig::read_from(path).map_err(|e| {
        Error::could_not_run(format!("cannot read kubeconfig {}: {e}", path.display())).hint("see: kubectl config view")
    })?;
    // As good as none: that of the next file counts.
    kubeconfig.current_context = kubeconfig.current_context.filter(|name| !name.is_empty());
    Ok(kubeconfig)
}

/// The user's home, as kubectl has it: elsewhere than on Windows what HOME says, and nothing else.
fn home() -> Option<PathBuf> {
    if cfg!(windows) {
        return std::env::home_dir();
    }
    std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from)
}

fn no_kubeconfig() -> Error {
    let error = Error::could_not_run("no kubeconfig found");
    match home() {
        Some(_) => error.hint("set KUBECONFIG, or name a file with --kubeconfig, or create ~/.kube/config"),
        None => error.hint("HOME is not set: set KUBECONFIG, or name a file with --kubeconfig"),
    }
}

/// What a pod finds of its API server and its account, in the shape of a kubeconfig, so that flags apply to it too.
fn in_pod() -> Option<Kubeconfig> {
    let pod = Config::incluster().ok()?;
    let authority = pod.root_cert_file.map(|file| file.to_string_lossy().into_owned());
    let server = Some(pod.cluster_url.to_string());
    let cluster = Cluster { server, certificate_authority: authority, ..Cluster::default() };
    let context = Context { user: Some(String::new()), namespace: Some(pod.default_namespace), ..Context::default() };
    Some(Kubeconfig {
        clusters: vec![NamedCluster { cluster: Some(cluster), ..NamedCluster::default() }],
        auth_infos: vec![NamedAuthInfo { auth_info: Some(pod.auth_info), ..NamedAuthInfo::default() }],
        contexts: vec![NamedContext { context: Some(context), ..NamedContext::default() }],
        current_context: Some(String::new()),
        ..Kubeconfig::default()
    })
}

/// The kubeconfig's proxy, else that of the environment, by Go's rules: none for this machine itself, and none for what
/// `NO_PROXY` names. (kube looks for the proxy's own name in it.)
fn proxy(of_kubeconfig: Option<String>, server: &Uri) -> Result<Option<Uri>> {
    let variable = |name: &str| {
        let values = [name.to_owned(), name.to_lowercase()].into_iter().filter_map(|name| std::env::var(name).ok());
        values.into_iter().find(|value| !value.is_empty())
    };
    let of_environment = || {
        let host = server.host()?.trim_matches(['[', ']']);
        let is_plain = server.scheme_str() == Some("http");
        if host == "localhost" || host.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback()) {
            return None;
        }
        let proxy = variable(if is_plain { "HTTP_PROXY" } else { "HTTPS_PROXY" })?;
        let port = server.port_u16().unwrap_or(if is_plain { 80 } else { 443 });
        let exempt = variable("NO_PROXY").is_some_and(|list| is_exempt(&list, host, port));
        Some(proxy).filter(|_| !exempt)
    };
    let Some(proxy) = of_kubeconfig.filter(|proxy| !proxy.is_empty()).or_else(of_environment) else { return Ok(None) };
    let with_scheme = if proxy.contains("://") { proxy.clone() } else { format!("http://{proxy}") };
    with_scheme.parse().map(Some).map_err(|e| {
        Error::could_not_run(format!("the proxy {proxy:?} is no address: {e}"))
            .hint("it stands in the kubeconfig (proxy-url) or in HTTPS_PROXY")
    })
}

/// Whether `NO_PROXY` names this server, as Go reads it: `*`, addresses, networks, and domains with all that is in them, or
/// without themselves if they begin with a dot; all but networks with or without a port.
fn is_exempt(no_proxy: &str, host: &str, port: u16) -> bool {
    let (host, ip) = (host.to_lowercase(), host.parse::<IpAddr>().ok());
    no_proxy.split(',').any(|entry| {
        let entry = entry.trim().to_lowercase();
        if entry == "*" {
            return true;
        }
        if let Ok(network) = entry.parse::<IpNet>() {
            return ip.is_some_and(|ip| network.contains(&ip));
        }
        // The colons of an IPv6 address begin no port.
        let (name, of_port) = match entry.rsplit_once(':') {
            Some((name, of_port)) if !name.contains(':') || name.ends_with(']') => (name, Some(of_port)),
            _ => (entry.as_str(), None),
        };
        if of_port.is_some_and(|of_port| of_port != port.to_string()) {
            return false;
        }
        match (ip, name.trim_matches(['[', ']']).parse::<IpAddr>()) {
            (Some(ip), named) => named == Ok(ip),
            (None, Ok(_)) => false,
            (None, Err(_)) => match name.strip_prefix("*.").or_else(|| name.strip_prefix('.')) {
                Some(domain) => is_in(&host, domain),
                None => host == name || is_in(&host, name),
            },
        }
    })
}

/// Whether a host is in a domain and not that domain itself.
fn is_in(host: &str, domain: &str) -> bool {
    !domain.is_empty() && host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_proxy_is_read_as_go_reads_it() {
        for (no_proxy, exempt) in [
            ("*", true),
            (" other.org , * ", true),
            ("api.example.com", true),
            ("API.Example.com", true),
            ("api.example.com:6443", true),
            ("api.example.com:443", false),
            ("example.com", true),
            (".example.com", true),
            ("*.example.com", true),
            ("*.example.com:6443", true),
            (".com:443", false),
            // A domain that begins with a dot is not that host itself.
            (".api.example.com", false),
            ("*.api.example.com", false),
            ("ample.com", false),
            ("10.0.0.0/8", false),
            ("10.1.2.3", false),
            (",,:6443,", false),
        ] {
            assert_eq!(is_exempt(no_proxy, "api.example.com", 6443), exempt, "{no_proxy}");
        }
        for (no_proxy, host, exempt) in [
            ("*", "10.1.2.3", true),
            ("10.0.0.0/8", "10.1.2.3", true),
            ("10.0.0.0/16", "10.1.2.3", false),
            ("10.1.2.3", "10.1.2.3", true),
            ("10.1.2.3:443", "10.1.2.3", true),
            ("10.1.2.3:6443", "10.1.2.3", false),
            (".3", "10.1.2.3", false),
            ("fd00::/8", "fd00::7", true),
            ("fd00::7", "fd00::7", true),
            ("[fd00::7]:443", "fd00::7", true),
            ("[fd00::7]:6443", "fd00::7", false),
        ] {
            assert_eq!(is_exempt(no_proxy, host, 443), exempt, "{no_proxy} {host}");
        }
    }
}
