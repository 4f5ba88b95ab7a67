//! `kubectl flink render`: the numbered manifests that `up` would apply.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cluster::ConnectionArgs;
use crate::error::{Error, Result};
use crate::flink::cluster_id;
use crate::flink::ha_storage::HaStorage;
use crate::manifests::ManifestFile;
use crate::manifests::options::Options;
use crate::manifests::session_ha::Profile;
use crate::output::Ui;

/// Write the numbered manifests of a cluster, for kubectl apply or a git repository
///
/// Takes the options of `up` and asks no cluster anything. Applied with kubectl in the order of their numbers, the files
/// make the same cluster as `up` with these options. Where `up` would look what storage the cluster has, this writes a
/// PersistentVolumeClaim.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "\
Examples:
  # To look at
  kubectl flink render

  # Numbered files, to apply in order
  kubectl flink render prod -n streaming --ha-storage s3://bucket/flink --to manifests
  for f in manifests/*.yaml; do kubectl apply -f $f; done")]
pub struct RenderArgs {
    /// Name of the cluster: Flink's cluster-id, and what its objects' names begin with
    #[arg(default_value = "flink", value_parser = cluster_id::check)]
    pub name: String,
    #[command(flatten)]
    #[expect(missing_docs, reason = "a doc comment here would become help text")]
    pub options: Options,
    /// Write one file for each number into this folder, which may not hold other manifests
    #[arg(long, value_name = "DIR")]
    pub to: Option<PathBuf>,
}

/// Runs the command.
///
/// # Errors
/// The options do not go together, or a file cannot be written.
pub fn run(args: &RenderArgs, connection: &ConnectionArgs, ui: &Ui) -> Result<()> {
    let namespace = connection.namespace_offline()?;
    let profile = Profile::by_default(&args.name, &namespace, args.options.clone().normalized()?);
    let files = profile.files()?;
    for key in profile.secrets_in_configuration() {
        ui.warn(format_args!("-D {key} puts a secret into these files: better --env-from-secret SECRET"));
    }
    if profile.options.ha_storage.is_none() {
        ui.note(format_args!(
            "Storage: {}, a claim for the default StorageClass; see --ha-storage.",
            HaStorage::Claim(None)
        ));
    }
    match &args.to {
        None => {
            for (index, file) in files.iter().enumerate() {
                let separator = if index == 0 { "" } else { "---\n" };
                ui.data(format_args!("{separator}# {}\n{}", file.name, file.to_yaml()?))?;
            }
        }
        Some(folder) => {
            write(folder, &files)?;
            ui.note(format_args!("Wrote {} files to {}.", files.len(), folder.display()));
        }
    }
    Ok(())
}

/// Writes the files, unless that would mix them with others: kubectl would apply those too.
fn write(folder: &Path, files: &[ManifestFile]) -> Result<()> {
    let cannot = |path: &Path, e: std::io::Error| Error::could_not_run(format!("cannot write {}: {e}", path.display()));
    std::fs::create_dir_all(folder).map_err(|e| cannot(folder, e))?;
    for entry in std::fs::read_dir(folder).map_err(|e| cannot(folder, e))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_manifest = [".yaml", ".yml", ".json"].iter().any(|ending| name.ends_with(ending));
        if is_manifest && !files.iter().any(|file| file.name == name) {
            return Err(Error::usage(format!("{} holds {name}, which is not one of these files", folder.display()))
                .hint("name an empty folder"));
        }
    }
    for file in files {
        let path = folder.join(&file.name);
        std::fs::write(&path, file.to_yaml()?).map_err(|e| cannot(&path, e))?;
    }
    Ok(())
}
