//! From kubectl's own flags to a client.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use clap::Args;
use http::{HeaderValue, Response, header};
use kube::Client;
use kube::client::ClientBuilder;
use kube::config::{AuthInfo, Cluster, Config, ExecInteractiveMode, KubeConfigOptions, Kubeconfig};
use tower::timeout::TimeoutLayer;
use tower::util::MapResponseLayer;

use crate::error::{Error, Result};
use crate::output;

/// How long the API server may take to begin an answer.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(30);

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
        default_missing_value = "true", value_name = "BOOL")]
    pub insecure_skip_tls_verify: Option<bool>,
    /// Name to check the server's certificate against
    #[arg(long, global = true, value_name = "NAME", hide_short_help = true)]
    pub tls_server_name: Option<String>,
    /// Time to wait for a single answer of the API server, like 10s or 2m [default: 30s]
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
        self.connect_with(self.kubeconfig()?, output::server_warning).await
    }

    /// The same for someone who must not be disturbed: no warning is shown, and credential plugins can neither ask nor say
    /// anything.
    ///
    /// # Errors
    /// As [`Self::connect`].
    pub async fn connect_silently(&self) -> Result<Connection> {
        let mut kubeconfig = self.kubeconfig()?;
        let users = kubeconfig.iter_mut().flat_map(|kubeconfig| &mut kubeconfig.auth_infos);
        for exec in users.filter_map(|user| user.auth_info.as_mut()?.exec.as_mut()) {
            exec.interactive_mode = Some(ExecInteractiveMode::Never);
        }
        self.connect_with(kubeconfig, |_| ()).await
    }

    async fn connect_with(&self, kubeconfig: Option<Kubeconfig>, warn: fn(&str)) -> Result<Connection> {
        let (mut config, context) = self.config(kubeconfig).await?;
        if let Some(namespace) = &self.namespace {
            config.default_namespace.clone_from(namespace);
        }
        let answer_within = self.request_timeout.filter(|timeout| !timeout.is_zero()).unwrap_or(DEFAULT_TIMEOUT);
        config.connect_timeout = Some(answer_within);
        config.headers.push((
            header::USER_AGENT,
            HeaderValue::from_static(concat!("kubectl-flink/v", env!("CARGO_PKG_VERSION"))),
        ));
        let namespace = config.default_namespace.clone();
        let shown = Arc::new(Mutex::new(BTreeSet::new()));
        let client = ClientBuilder::try_from(config)
            .map_err(Error::from)?
            .with_layer(&MapResponseLayer::new(move |response| show_warnings(response, &shown, warn)))
            // Until an answer begins: a forward or a log may then go on for as long as it likes.
            .with_layer(&TimeoutLayer::new(answer_within))
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

    fn kubeconfig(&self) -> Result<Option<Kubeconfig>> {
        let Some(path) = &self.kubeconfig else { return Self::kubeconfig_from_environment() };
        Kubeconfig::read_from(path)
            .map(Some)
            .map_err(|e| Error::could_not_run(format!("cannot read kubeconfig {}: {e}", path.display())))
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

    async fn config(&self, kubeconfig: Option<Kubeconfig>) -> Result<(Config, String)> {
        let Some(mut kubeconfig) = kubeconfig else {
            return match Config::incluster() {
                Ok(config) => Ok((config, String::new())),
                Err(_) => Err(Error::could_not_run("no kubeconfig found")
                    .hint("set KUBECONFIG, or name a file with --kubeconfig, or create ~/.kube/config")),
            };
        };
        let context = self.context.clone().or_else(|| kubeconfig.current_context.clone()).unwrap_or_default();
        let contexts = kubeconfig.contexts.iter().map(|entry| entry.name.as_str());
        named("context", self.context.as_deref(), contexts)?;
        let users = kubeconfig.auth_infos.iter().map(|entry| entry.name.as_str());
        named("user", self.user.as_deref(), users)?;
        let clusters = kubeconfig.clusters.iter().map(|entry| entry.name.as_str());
        named("cluster", self.cluster.as_deref(), clusters)?;
        self.override_entries(&mut kubeconfig);
        let options =
            KubeConfigOptions { context: self.context.clone(), cluster: self.cluster.clone(), user: self.user.clone() };
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await.map_err(|e| {
            Error::could_not_run(format!("the kubeconfig cannot be used: {e}")).hint("see: kubectl config view")
        })?;
        Ok((config, context))
    }

    /// `KUBECONFIG` (a list of files, of which missing ones are left out, as kubectl does), else `~/.kube/config`.
    fn kubeconfig_from_environment() -> Result<Option<Kubeconfig>> {
        let unreadable = |e| Error::could_not_run(format!("cannot read the kubeconfig: {e}"));
        if let Some(list) = std::env::var_os("KUBECONFIG").filter(|list| !list.is_empty()) {
            let mut merged: Option<Kubeconfig> = None;
            for path in std::env::split_paths(&list).filter(|path| path.exists()) {
                let next = Kubeconfig::read_from(&path)
                    .map_err(|e| Error::could_not_run(format!("cannot read kubeconfig {}: {e}", path.display())))?;
                merged = Some(match merged {
                    Some(earlier) => earlier.merge(next).map_err(unreadable)?,
                    None => next,
                });
            }
            return Ok(merged);
        }
        match std::env::home_dir().map(|home| home.join(".kube/config")).filter(|path| path.exists()) {
            Some(path) => Kubeconfig::read_from(path).map(Some).map_err(unreadable),
            None => Ok(None),
        }
    }

    /// Flags that change a cluster or a user are written over every entry: only one of them is used.
    fn override_entries(&self, kubeconfig: &mut Kubeconfig) {
        let path = |path: &Option<PathBuf>| path.as_ref().map(|p| p.to_string_lossy().into_owned());
        for entry in &mut kubeconfig.clusters {
            let cluster: &mut Cluster = entry.cluster.get_or_insert_default();
            if let Some(server) = &self.server {
                cluster.server = Some(server.clone());
            }
            if let Some(file) = path(&self.certificate_authority) {
                (cluster.certificate_authority, cluster.certificate_authority_data) = (Some(file), None);
            }
            if let Some(insecure) = self.insecure_skip_tls_verify {
                cluster.insecure_skip_tls_verify = Some(insecure);
            }
            if let Some(name) = &self.tls_server_name {
                cluster.tls_server_name = Some(name.clone());
            }
        }
        for entry in &mut kubeconfig.auth_infos {
            let user: &mut AuthInfo = entry.auth_info.get_or_insert_default();
            if let Some(token) = &self.token {
                *user = AuthInfo { token: Some(token.clone().into()), ..AuthInfo::default() };
            }
            if let Some(file) = path(&self.client_certificate) {
                (user.client_certificate, user.client_certificate_data) = (Some(file), None);
            }
            if let Some(file) = path(&self.client_key) {
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
        }
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
fn show_warnings<B>(response: Response<B>, shown: &Mutex<BTreeSet<String>>, warn: fn(&str)) -> Response<B> {
    for value in response.headers().get_all(header::WARNING) {
        // 299 - "text": RFC 7234, 5.5; the API server escapes quotes in the text.
        let Ok(value) = value.to_str() else { continue };
        let text =
            value.split_once('"').map_or(value, |(_, rest)| rest.rsplit_once('"').map_or(rest, |(text, _)| text));
        let text = text.replace("\\\"", "\"");
        if let Ok(mut shown) = shown.lock()
            && shown.insert(text.clone())
        {
            warn(&text);
        }
    }
    response
}
