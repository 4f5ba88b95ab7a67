//! `cargo xtask krew`: the manifest that krew installs the plugin by.
//!
//! `krew-manifest.yaml` at the top is what this makes without archives; a test compares the two.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};
use sha2::{Digest, Sha256};

use crate::{process, testbed};

/// Make krew's manifest for the archives of a release, kubectl-flink-OS-ARCH.tar.gz, and print it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The release, as its tag has it: v0.1.0.
    #[arg(long)]
    version: String,
    /// The folder of the archives. A platform without an archive is left out.
    #[arg(long, value_name = "DIR")]
    archives: PathBuf,
}

const HOMEPAGE: &str = "https://github.com/kubectl-flink/kubectl-flink";

/// What krew calls the platforms that the program is built for: operating system and processor.
const PLATFORMS: [(&str, &str); 5] =
    [("linux", "amd64"), ("linux", "arm64"), ("darwin", "amd64"), ("darwin", "arm64"), ("windows", "amd64")];

/// All but the platforms. krew-index wants a short description of at most 50 characters that does not say "kubectl" or
/// "plugin", and a description without commands, wrapped at 80.
const HEAD: &str = "\
apiVersion: krew.googlecontainertools.github.com/v1alpha2
kind: Plugin
metadata:
  name: flink
spec:
  version: @VERSION@
  homepage: @HOMEPAGE@
  shortDescription: Run highly available Apache Flink clusters
  description: |
    Brings up highly available Apache Flink session clusters without an
    operator and without Java: waits until they really serve, shows who leads,
    which jobs run and where their state is kept, renders the manifests for
    GitOps, and takes the clusters down without losing what can be recovered.
  platforms:
";

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let number = args.version.strip_prefix('v').unwrap_or_default();
    let dots = number.split(['-', '+']).next().unwrap_or_default().split('.');
    ensure!(
        dots.clone().count() == 3 && dots.clone().all(|part| part.parse::<u32>().is_ok()),
        "--version is a tag like v0.1.0, not {:?}",
        args.version
    );
    let mut sums = Vec::new();
    for (os, arch) in PLATFORMS {
        let path = args.archives.join(archive(os, arch));
        if path.is_file() {
            sums.push((os, arch, sha256(&path)?));
        } else {
            eprintln!("left out, for there is no {}: {os}/{arch}", path.display());
        }
    }
    ensure!(!sums.is_empty(), "no archive of a known name in {}", args.archives.display());
    print!("{}", render(&args.version, &sums));
    Ok(ExitCode::SUCCESS)
}

/// The name of a platform's archive.
fn archive(os: &str, arch: &str) -> String {
    format!("kubectl-flink-{os}-{arch}.tar.gz")
}

fn sha256(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    Ok(format!("{:x}", Sha256::digest(bytes)))
}

fn render(version: &str, platforms: &[(&str, &str, String)]) -> String {
    let platforms: String = platforms.iter().map(|(os, arch, sum)| platform(version, os, arch, sum)).collect();
    HEAD.replace("@VERSION@", version).replace("@HOMEPAGE@", HOMEPAGE) + &platforms
}

fn platform(version: &str, os: &str, arch: &str, sum: &str) -> String {
    let archive = archive(os, arch);
    let extension = if os == "windows" { ".exe" } else { "" };
    format!(
        "    - selector:
        matchLabels:
          os: {os}
          arch: {arch}
      uri: {HOMEPAGE}/releases/download/{version}/{archive}
      sha256: \"{sum}\"
      bin: kubectl-flink{extension}
"
    )
}

/// Has krew's own validator look at the manifest at the top. Its archives are not fetched.
pub(crate) fn validate() -> Result<()> {
    let validator = testbed::tool("krew", "validate-krew-manifest")?;
    // It wants the file to be called as the plugin is.
    let folder = tempfile::tempdir()?;
    let copy = folder.path().join("flink.yaml");
    fs::copy(process::root()?.join("krew-manifest.yaml"), &copy)?;
    process::run(Command::new(validator).arg("-skip-install").arg("-manifest").arg(copy))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The comment at the top of the manifest in the repository.
    const COMMENT: &str = "\
# What krew installs the plugin by; see `cargo xtask krew`, which made it. The sha256 are zeros, and no archive has them: the
# manifest of a release has its archives'.
";

    #[test]
    fn the_manifest_in_the_repository_is_what_is_rendered() {
        let platforms: Vec<_> = PLATFORMS.iter().map(|(os, arch)| (*os, *arch, "0".repeat(64))).collect();
        let there = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../krew-manifest.yaml")).unwrap();
        assert_eq!(there, format!("{COMMENT}{}", render("v0.1.0", &platforms)));
    }

    #[test]
    fn descriptions_are_as_krew_index_wants_them() {
        let short = HEAD.lines().find_map(|line| line.trim().strip_prefix("shortDescription: ")).unwrap();
        assert!(short.len() <= 50, "{short}");
        assert!(HEAD.lines().all(|line| line.len() <= 80));
    }

    #[test]
    fn sums_are_lower_case_hex() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let sum = sha256(file.path()).unwrap();
        assert_eq!(sum, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
