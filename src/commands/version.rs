//! `kubectl flink version`: of this program, of Kubernetes, and of Flink.

use std::env::consts;
use std::fmt::Write as _;
use std::time::Duration;

use clap::{Args, ValueEnum};
use k8s_openapi::apimachinery::pkg::version::Info;
use serde::Serialize;

use crate::cluster::discover::{self, Scope};
use crate::cluster::status::gather_all;
use crate::cluster::{Connection, ConnectionArgs};
use crate::error::{Error, Kind, Result};
use crate::output::{Ui, document};

/// How long Flink may take to say what it is.
const ASK: Duration = Duration::from_secs(5);

/// Show the versions of this program, of Kubernetes, and of the Flink clusters in the namespace
///
/// Without a cluster it shows its own version and exits with 1, as `kubectl version` does.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "\
Examples:
  # Of this program, of Kubernetes, and of the Flink clusters
  kubectl flink version -n streaming

  # Of this program alone, for a script
  kubectl flink version --client -o json | jq -r .clientVersion.gitVersion")]
pub struct VersionArgs {
    /// Show the version of this program only; no cluster is asked anything
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_value = "false",
        default_missing_value = "true", action = clap::ArgAction::Set, hide_default_value = true,
        hide_possible_values = true)]
    pub client: bool,
    /// Output format
    #[arg(short, long, value_enum, value_name = "FORMAT")]
    pub output: Option<Format>,
}

/// What `-o` offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// One JSON document
    Json,
    /// One YAML document
    Yaml,
}

/// What `-o json` prints, with kubectl's names.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Versions {
    client_version: ClientVersion,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_version: Option<Info>,
    /// None where they were not asked for.
    #[serde(rename = "flinkVersions", skip_serializing_if = "Option::is_none")]
    flink: Option<Vec<FlinkVersion>>,
    /// Where there may be Flink clusters that were not seen.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    not_checked: Vec<String>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct ClientVersion {
    git_version: &'static str,
    platform: String,
}

#[derive(Debug, Serialize)]
struct FlinkVersion {
    namespace: String,
    cluster: String,
    /// None where neither Flink nor its image tells.
    version: Option<String>,
}

/// Runs the command.
///
/// # Errors
/// There is no server, it does not answer, or the command line is wrong: what is known has been shown then.
pub async fn run(args: &VersionArgs, connection: &ConnectionArgs, ui: &Ui) -> Result<()> {
    let client_version = ClientVersion {
        git_version: concat!("v", env!("CARGO_PKG_VERSION")),
        platform: format!("{}/{}", go_name(consts::OS), go_name(consts::ARCH)),
    };
    let mut versions = Versions { client_version, server_version: None, flink: None, not_checked: Vec::new() };
    let asked = if args.client { Ok(()) } else { versions.ask(connection).await };
    ui.data(versions.render(args.output)?)?;
    if args.output.is_none() {
        versions.not_checked.iter().for_each(|what| ui.warn(format_args!("not checked: {what}")));
    }
    asked.map_err(|error| match error.kind {
        // No server would have mended the command line.
        Kind::Usage => error,
        _ => Error { kind: Kind::Unhealthy, ..error }
            .hint("the version of this program alone: kubectl flink version --client"),
    })
}

impl Versions {
    async fn ask(&mut self, connection: &ConnectionArgs) -> Result<()> {
        let connection = connection.connect().await?;
        self.server_version = Some(connection.client.apiserver_version().await?);
        match flink_versions(&connection).await {
            Ok((versions, not_checked)) => (self.flink, self.not_checked) = (Some(versions), not_checked),
            Err(error) => self.not_checked.push(error.message),
        }
        Ok(())
    }

    fn render(&self, output: Option<Format>) -> Result<String> {
        match output {
            Some(Format::Json) => return document::render(self, document::Format::Json),
            Some(Format::Yaml) => return document::render(self, document::Format::Yaml),
            None => {}
        }
        let mut text = format!("Client Version: {}\n", self.client_version.git_version);
        if let Some(server) = &self.server_version {
            let _ = writeln!(text, "Server Version: {}", server.git_version);
        }
        for FlinkVersion { cluster, version, .. } in self.flink.iter().flatten() {
            let _ = writeln!(text, "Flink Version: {} (cluster {cluster})", version.as_deref().unwrap_or("unknown"));
        }
        Ok(text)
    }
}

/// The versions of the namespace's clusters, by their JobManagers or else by their images, and what was not seen.
async fn flink_versions(connection: &Connection) -> Result<(Vec<FlinkVersion>, Vec<String>)> {
    let found = discover::clusters(connection, &Scope::Namespace(connection.namespace.clone())).await?;
    let clusters: Vec<_> = found.clusters.iter().collect();
    let statuses = gather_all(connection, &clusters, ASK, false).await.into_iter();
    let version = statuses.map(|status| FlinkVersion {
        namespace: status.namespace,
        cluster: status.name,
        version: status.flink_version,
    });
    Ok((version.collect(), found.not_checked))
}

/// What Go, and so kubectl, calls an operating system or a processor.
fn go_name(name: &'static str) -> &'static str {
    match name {
        "macos" => "darwin",
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}
