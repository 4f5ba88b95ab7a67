//! A program that was built: that it needs nothing but what its system has, and that it runs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};
use goblin::{Object, mach::Mach};
use tempfile::TempDir;

use super::build;
use super::platform::Platform;
use crate::process;

/// What runs programs of other platforms, and its Debian package.
pub(super) const RUNNERS: [(&str, &str); 2] = [("qemu-aarch64-static", "qemu-user-static"), ("wine", "wine")];

/// Fails if the program asks for a library that its system need not have: on Linux any, elsewhere all but the system's own.
pub(super) fn check_imports(platform: Platform, program: &Path) -> Result<()> {
    let bytes = fs::read(program).with_context(|| program.display().to_string())?;
    let foreign: Vec<String> =
        libraries(&bytes)?.into_iter().filter(|library| !is_of_system(platform, library)).collect();
    ensure!(foreign.is_empty(), "the program for {platform} needs {}", foreign.join(", "));
    Ok(())
}

/// What the system has to load with a program.
fn libraries(program: &[u8]) -> Result<Vec<String>> {
    let names: Vec<&str> = match Object::parse(program)? {
        Object::Elf(elf) => elf.interpreter.into_iter().chain(elf.libraries).collect(),
        Object::PE(pe) => pe.libraries,
        // The first is the program itself.
        Object::Mach(Mach::Binary(mach)) => mach.libs.into_iter().skip(1).collect(),
        _ => bail!("this is no program of a platform that is known here"),
    };
    Ok(names.into_iter().map(str::to_owned).collect())
}

/// Whether each such system has this library.
fn is_of_system(platform: Platform, library: &str) -> bool {
    // Those of Windows 10, the oldest that Rust's library runs on; the names that begin with api-ms-win are theirs too.
    const WINDOWS: [&str; 12] = [
        "advapi32.dll",
        "bcrypt.dll",
        "bcryptprimitives.dll",
        "crypt32.dll",
        "kernel32.dll",
        "ntdll.dll",
        "ole32.dll",
        "secur32.dll",
        "shell32.dll",
        "user32.dll",
        "ws2_32.dll",
        "userenv.dll",
    ];
    let lower = library.to_lowercase();
    match platform.os {
        "darwin" => library.starts_with("/usr/lib/") || library.starts_with("/System/Library/Frameworks/"),
        "windows" => lower.starts_with("api-ms-win-") || WINDOWS.contains(&lower.as_str()),
        _ => false,
    }
}

/// A place where a program of some platform runs.
#[derive(Debug)]
pub(crate) struct Place {
    /// Where the program is, with all that it could find there.
    folder: TempDir,
    /// What is put before the program's arguments.
    line: Vec<String>,
    /// Wine's Windows.
    wine: PathBuf,
    /// In words.
    pub(crate) what: &'static str,
}

impl Place {
    /// Makes one for this program. None if this machine has nothing that runs it.
    pub(crate) fn new(platform: Platform, program: &Path) -> Result<Option<Self>> {
        let host = Platform::host()?;
        let here = process::find_program;
        let folder = tempfile::tempdir()?;
        let copy = folder.path().join(platform.program());
        let inside = format!("/{}", platform.program());
        let root = format!("--root={}", folder.path().display());
        let unshare = ["unshare".to_owned(), "--map-root-user".to_owned(), root];
        let (line, what) = if platform == host && platform.os == "linux" && here("unshare").is_some() {
            (unshare.into_iter().chain([inside]).collect(), "in an empty root")
        } else if platform == host {
            (vec![copy.display().to_string()], "here")
        } else if platform.os == "linux"
            && let (Some(qemu), Some(_)) = (here(RUNNERS[0].0), here("unshare"))
        {
            fs::copy(qemu, folder.path().join("qemu"))?;
            (unshare.into_iter().chain(["/qemu".into(), inside]).collect(), "by qemu, in an empty root")
        } else if platform.os == "windows" && here(RUNNERS[1].0).is_some() {
            build::complete_wine(folder.path())?;
            (vec![RUNNERS[1].0.to_owned(), copy.display().to_string()], "by wine")
        } else {
            return Ok(None);
        };
        fs::copy(program, copy).with_context(|| program.display().to_string())?;
        Ok(Some(Place { folder, line, wine: process::tools()?.join("wine"), what }))
    }

    /// The program with these arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.line[0]);
        command.args(&self.line[1..]).args(arguments);
        command.env("HOME", self.folder.path()).env_remove("KUBECONFIG");
        // Wine makes a Windows the first time, and its server, which keeps that on disk, outlives the program.
        command.env("WINEPREFIX", &self.wine).env("WINEDEBUG", "-all");
        command
    }

    /// Runs what needs no cluster.
    pub(super) fn check(&self, version: &str) -> Result<()> {
        let said = process::output(&mut self.command(&["--version"]))?;
        ensure!(said.contains(version), "--version says {said:?}, not {version}");
        for arguments in [&["rules"][..], &["render", "--quiet"]] {
            let said = process::output(&mut self.command(arguments))?;
            ensure!(said.len() > 1000, "{arguments:?} says next to nothing: {said:?}");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::platform::PLATFORMS;
    use super::*;

    #[test]
    fn a_program_that_needs_a_c_library_is_not_for_linux() {
        // This test is such a program.
        let this = std::env::current_exe().unwrap();
        let error = check_imports(PLATFORMS[0], &this).unwrap_err().to_string();
        assert!(error.starts_with("the program for linux/amd64 needs /"), "{error}");
    }

    #[test]
    fn the_libraries_of_a_mingw_are_not_windows_own() {
        let windows = PLATFORMS[4];
        assert!(is_of_system(windows, "KERNEL32.dll"));
        assert!(is_of_system(windows, "api-ms-win-crt-heap-l1-1-0.dll"));
        assert!(!is_of_system(windows, "libgcc_s_seh-1.dll"));
        assert!(!is_of_system(PLATFORMS[3], "/opt/homebrew/lib/libssl.dylib"));
    }
}
