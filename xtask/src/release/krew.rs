//! What krew and its users do with a release, done with the real krew and the real kubectl: the validator of krew's index,
//! installation, upgrade and removal. Archives come from a web server on loopback, as far as krew fetches them.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};
use tempfile::TempDir;

use super::platform::Platform;
use super::{Release, manifest};
use crate::{process, testbed};

/// The version that an upgrade starts from.
const OLDER: &str = "v0.0.1";

/// Fails if krew does not take the release, which has an archive for this machine.
pub(super) fn check(release: &Release) -> Result<()> {
    let krew = Krew::new()?;
    krew.validate(release)?;
    let _older = krew.publish(release, OLDER)?;
    process::quiet(&mut krew.kubectl(&["krew", "update"])?)?;
    krew.install_from_manifest(release)?;
    krew.upgrade_from_index(release)
}

/// A user of krew, with a home directory of their own and an index in place of krew-index.
struct Krew {
    home: TempDir,
    validator: PathBuf,
}

impl Krew {
    fn new() -> Result<Self> {
        let home = tempfile::tempdir()?;
        // kubectl, and krew as kubectl's plugin; krew itself needs git.
        let bin = home.path().join("bin");
        fs::create_dir(&bin)?;
        let kubectl = match process::find_program("kubectl") {
            Some(kubectl) => kubectl,
            None => testbed::tool("kubernetes", "kubectl")?,
        };
        symlink(kubectl, bin.join("kubectl"))?;
        symlink(testbed::tool("krew", "krew")?, bin.join("kubectl-krew"))?;
        let krew = Krew { validator: testbed::tool("krew", "validate-krew-manifest")?, home };
        fs::create_dir(krew.index())?;
        krew.git(&["init", "--quiet"])?;
        Ok(krew)
    }

    fn index(&self) -> PathBuf {
        self.home.path().join("index")
    }

    /// git, on the index.
    fn git(&self, arguments: &[&str]) -> Result<()> {
        let mut git = self.command("git")?;
        git.args(["-c", "user.name=release", "-c", "user.email=release@localhost", "-C"]).arg(self.index());
        process::quiet(git.args(arguments))
    }

    /// Puts the release into the index, as this version, with its archives on a web server that is returned.
    fn publish(&self, release: &Release, version: &str) -> Result<Server> {
        let server = Server::start(&release.folder, self.home.path(), version)?;
        self.manifest("index/plugins", release, version, &server.address)?;
        self.git(&["add", "--all"])?;
        self.git(&["commit", "--quiet", "--message", version])?;
        Ok(server)
    }

    fn root(&self) -> PathBuf {
        self.home.path().join("krew")
    }

    /// A program in the user's environment.
    fn command(&self, program: &str) -> Result<Command> {
        let mut command = Command::new(program);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let own = [self.root().join("bin"), self.home.path().join("bin")];
        let path = std::env::join_paths(own.into_iter().chain(std::env::split_paths(&path)))?;
        command.current_dir(self.home.path()).env("HOME", self.home.path()).env("KREW_ROOT", self.root());
        command.env("PATH", path).env("KREW_NO_UPGRADE_CHECK", "1").env_remove("KUBECONFIG");
        command.env("KREW_DEFAULT_INDEX_URI", format!("file://{}", self.index().display()));
        Ok(command)
    }

    fn kubectl(&self, arguments: &[&str]) -> Result<Command> {
        // The kubectl of this user's PATH is not found by the PATH of this process.
        let mut command = self.command(&self.home.path().join("bin/kubectl").to_string_lossy())?;
        command.args(arguments);
        Ok(command)
    }

    /// Writes the manifest for a release under this address, as krew wants it called.
    fn manifest(&self, folder: &str, release: &Release, version: &str, downloads: &str) -> Result<PathBuf> {
        let folder = self.home.path().join(folder);
        fs::create_dir_all(&folder)?;
        let path = folder.join("flink.yaml");
        fs::write(&path, manifest::render(version, downloads, &release.packed))?;
        Ok(path)
    }

    /// Has the validator look at the manifest in the repository; and at the release's, and install what that names for each
    /// platform.
    fn validate(&self, release: &Release) -> Result<()> {
        let last = self.home.path().join("flink.yaml");
        fs::copy(process::root()?.join("krew-manifest.yaml"), &last)?;
        process::run(Command::new(&self.validator).arg("-skip-install").arg("-manifest").arg(last))?;
        let server = Server::start(&release.folder, self.home.path(), &release.version)?;
        let path = self.manifest("validate", release, &release.version, &server.address)?;
        let mut validate = self.command(&self.validator.to_string_lossy())?;
        process::run(validate.arg("-manifest").arg(path))
    }

    /// The manifest and the archive that a person has at hand, by the README's command.
    fn install_from_manifest(&self, release: &Release) -> Result<()> {
        let path = self.manifest("release", release, &release.version, manifest::DOWNLOADS)?;
        fs::copy(path, self.home.path().join("krew-manifest.yaml"))?;
        let archive = Platform::host()?.archive();
        let here = self.home.path().join(&archive);
        let readme = fs::read_to_string(process::root()?.join("README.md"))?;
        let shown = readme.lines().find_map(|line| line.strip_prefix("kubectl krew install "));
        let shown = shown.context("the README has no `kubectl krew install`")?;
        // For another platform it is another archive.
        let shown = shown.replace("kubectl-flink-linux-amd64.tar.gz", &archive);
        let words: Vec<&str> = ["krew", "install"].into_iter().chain(shown.split_whitespace()).collect();
        // Another archive than the manifest's is refused.
        let right = fs::read(release.folder.join(&archive))?;
        fs::write(&here, [&right[..], b"\0"].concat())?;
        ensure!(!process::succeeds(&mut self.kubectl(&words)?), "krew installed an archive of another checksum");
        let before = self.files()?;

        fs::write(&here, right)?;
        process::quiet(&mut self.kubectl(&words)?)?;
        self.use_plugin(release)?;
        self.uninstall(&before)
    }

    /// The way by an index: the older version is installed, the index goes on, and the plugin is upgraded.
    fn upgrade_from_index(&self, release: &Release) -> Result<()> {
        let krew = |arguments: &[&str]| process::quiet(&mut self.kubectl(&[&["krew"], arguments].concat())?);
        let before = self.files()?;
        krew(&["install", "flink"])?;
        ensure!(self.installed() == [OLDER], "installed: {:?}", self.installed());

        let _newer = self.publish(release, &release.version)?;
        krew(&["upgrade"])?;
        ensure!(self.installed() == [release.version.as_str()], "after the upgrade: {:?}", self.installed());
        self.use_plugin(release)?;
        self.uninstall(&before)
    }

    /// The versions in krew's store.
    fn installed(&self) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.root().join("store/flink")) else { return Vec::new() };
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
    }

    /// Runs the plugin through kubectl: what needs no cluster.
    fn use_plugin(&self, release: &Release) -> Result<()> {
        let said = process::output(&mut self.kubectl(&["flink", "--version"])?)?;
        let version = release.version.trim_start_matches('v');
        ensure!(said.contains(version), "kubectl flink --version says {said:?}, not {version}");
        for arguments in [&["flink", "rules"][..], &["flink", "render", "--quiet"]] {
            let said = process::output(&mut self.kubectl(arguments)?)?;
            ensure!(said.len() > 1000, "kubectl {} says next to nothing: {said:?}", arguments.join(" "));
        }
        Ok(())
    }

    /// Removes the plugin; what was there before it is there, and nothing else.
    fn uninstall(&self, before: &BTreeSet<PathBuf>) -> Result<()> {
        process::quiet(&mut self.kubectl(&["krew", "uninstall", "flink"])?)?;
        let left = self.files()?;
        let left: Vec<_> =
            left.difference(before).filter(|path| !path.starts_with(self.root().join("index"))).collect();
        ensure!(left.is_empty(), "krew uninstall left {left:?}");
        ensure!(!process::succeeds(&mut self.kubectl(&["flink", "--version"])?), "kubectl flink is still there");
        Ok(())
    }

    /// Every file and folder that krew and the plugin could have made.
    fn files(&self) -> Result<BTreeSet<PathBuf>> {
        let mut files = BTreeSet::new();
        let mut folders = vec![self.root()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(&folder).with_context(|| folder.display().to_string())? {
                let entry = entry?;
                if entry.file_type()?.is_dir() {
                    folders.push(entry.path());
                }
                files.insert(entry.path());
            }
        }
        Ok(files)
    }
}

/// A web server on loopback with a release's archives.
struct Server {
    child: Child,
    address: String,
}

impl Server {
    /// Serves the archives in this folder as those of this version.
    fn start(archives: &Path, home: &Path, version: &str) -> Result<Self> {
        let folder = home.join("downloads");
        fs::create_dir_all(&folder)?;
        let link = folder.join(version);
        if !link.exists() {
            symlink(archives, link)?;
        }
        let mut command = Command::new("python3");
        command.args(["-u", "-m", "http.server", "--bind", "127.0.0.1", "--directory"]).arg(folder).arg("0");
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().context("python3")?;
        let stdout = child.stdout.take().context("no standard output")?;
        let mut server = Server { child, address: String::new() };
        let mut said = String::new();
        BufReader::new(stdout).read_line(&mut said)?;
        // Serving HTTP on 127.0.0.1 port 41041 (http://127.0.0.1:41041/) ...
        let port = said.split_whitespace().skip_while(|word| *word != "port").nth(1);
        server.address = format!("http://127.0.0.1:{}", port.with_context(|| format!("the web server says {said:?}"))?);
        Ok(server)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
