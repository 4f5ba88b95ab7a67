//! How the program is built for each platform, on one machine: by cargo-zigbuild, whose C compiler and linker is Zig, and by a
//! Rust compiler that has, or can build, the standard library of each.
//!
//! A build depends on the sources and on the compilers alone, not on where the checkout is, nor on the caller's settings.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use super::platform::Platform;
use crate::process;

/// From PyPI: both are programs, for all systems that this runs on.
const ZIG: &str = "0.17.1";
const CARGO_ZIGBUILD: &str = "0.24.0";
const CARGO_CYCLONEDX: &str = "0.5.9";
/// The oldest macOS that the program is to run on.
const MACOS: &str = "12.0";
/// Debian has a compiler that comes with the sources of its standard library.
const DEBIAN: [&str; 3] = ["rustc-web", "cargo-web", "rust-web-src"];
/// Where that is.
const DEBIAN_BIN: &str = "/usr/bin";

/// Apart from other builds, which may be by another compiler.
const TARGET_DIR: &str = "target/dist";

/// Where the program for this platform is, once it is built.
pub(super) fn program(checkout: &Path, platform: Platform) -> PathBuf {
    checkout.join(TARGET_DIR).join(platform.target).join("release").join(platform.program())
}

/// All that builds need.
#[derive(Debug)]
pub(super) struct Builder {
    rust: Rust,
    /// The folder of cargo-zigbuild, and of Zig.
    zig: PathBuf,
    cyclonedx: PathBuf,
    /// The time of the sources: the last commit's, in seconds since 1970.
    time: u64,
}

/// A Rust compiler with its cargo.
#[derive(Debug)]
enum Rust {
    /// rustup's of this checkout, which has the standard libraries.
    Rustup,
    /// One in this folder that builds them from its sources.
    Sources(PathBuf),
}

impl Builder {
    /// Finds or installs what it takes to build for these platforms.
    pub(super) fn new(platforms: &[Platform]) -> Result<Self> {
        let time = match std::env::var("SOURCE_DATE_EPOCH") {
            Ok(time) => time,
            Err(_) => {
                process::output(Command::new("git").args(["log", "-1", "--format=%ct"]).current_dir(process::root()?))?
            }
        };
        Ok(Builder {
            rust: Rust::find(platforms)?,
            zig: zig()?,
            cyclonedx: process::cargo_tool("cargo-cyclonedx", CARGO_CYCLONEDX)?,
            time: time.trim().parse().context("the time of the last commit")?,
        })
    }

    /// Builds the program of the checkout in this folder, and returns its path.
    pub(super) fn build(&self, checkout: &Path, platform: Platform) -> Result<PathBuf> {
        let mut build = Command::new(self.zig.join("bin/cargo-zigbuild"));
        build.args([
            "build",
            "--release",
            "--locked",
            "--quiet",
            "--package",
            "kubectl-flink",
            "--bin",
            "kubectl-flink",
        ]);
        build.args(["--target", platform.target]).current_dir(checkout);
        process::without_cargo(&mut build);
        without_settings(&mut build);
        self.rust.set_up(&mut build)?;
        build
            .env("CARGO_TARGET_DIR", checkout.join(TARGET_DIR))
            .env("CARGO_ZIGBUILD_ZIG_PATH", self.zig.join("ziglang/zig"))
            .env("CARGO_ENCODED_RUSTFLAGS", flags(checkout, platform)?.join(OsStr::new("\u{1f}")));
        if platform.os == "darwin" {
            build.env("MACOSX_DEPLOYMENT_TARGET", MACOS).env_remove("SDKROOT");
        }
        process::run(&mut build)?;
        Ok(program(checkout, platform))
    }

    /// Writes what the program for this platform is made of, as CycloneDX.
    pub(super) fn sbom(&self, platform: Platform, to: &Path) -> Result<()> {
        let root = process::root()?;
        let name = format!("sbom-{}", platform.target);
        let mut command = Command::new(&self.cyclonedx);
        command.args(["cyclonedx", "--quiet", "--format", "json", "--spec-version", "1.5", "--no-build-deps"]);
        command.args(["--target", platform.target, "--override-filename", &name]).current_dir(&root);
        process::without_cargo(&mut command);
        process::run(command.env("SOURCE_DATE_EPOCH", self.time.to_string()))?;
        // One for each package of the workspace, beside its Cargo.toml.
        let name = format!("{name}.json");
        let written = root.join(&name);
        let text = fs::read_to_string(&written).with_context(|| written.display().to_string())?;
        for file in [written, root.join("xtask").join(&name), root.join("xtask/docs").join(&name)] {
            fs::remove_file(&file).with_context(|| file.display().to_string())?;
        }
        // Our own crates are called by the folder that they are in.
        fs::write(to, text.replace(&root.display().to_string(), "."))?;
        Ok(())
    }
}

impl Rust {
    fn find(platforms: &[Platform]) -> Result<Self> {
        let rustc = || Command::new("rustc");
        let sysroot = process::output(rustc().args(["--print", "sysroot"]).current_dir(process::root()?))?;
        let libraries = Path::new(sysroot.trim()).join("lib/rustlib");
        let missing: Vec<&str> = platforms
            .iter()
            .map(|platform| platform.target)
            .filter(|target| !libraries.join(target).join("lib").is_dir())
            .collect();
        if missing.is_empty() {
            return Ok(Rust::Rustup);
        }
        let sources = Rust::Sources(DEBIAN_BIN.into());
        if !sources.works() && process::find_program("apt-get").is_some() {
            println!("no standard library for {}: looking for a compiler that can build it", missing.join(", "));
            process::install_packages(&DEBIAN)?;
        }
        ensure!(
            sources.works(),
            "no standard library for {missing}. To get it: rustup target add {missing}\n\
             Or, on Debian, have a compiler of at least Rust {oldest} that comes with its sources: apt-get install {packages}",
            missing = missing.join(" "),
            oldest = oldest(),
            packages = DEBIAN.join(" "),
        );
        Ok(sources)
    }

    /// Whether it is there, new enough, and has the sources of its own standard library.
    fn works(&self) -> bool {
        let Rust::Sources(folder) = self else { return true };
        let rustc = folder.join("rustc");
        let sysroot = process::output(Command::new(&rustc).args(["--print", "sysroot"])).unwrap_or_default();
        let version = process::output(Command::new(&rustc).arg("--version")).unwrap_or_default();
        let minor = |version: &str| version.split('.').nth(1).and_then(|minor| minor.parse::<u32>().ok());
        Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/Cargo.lock").is_file()
            && minor(&version) >= minor(oldest())
    }

    /// Makes cargo-zigbuild use it.
    fn set_up(&self, build: &mut Command) -> Result<()> {
        if let Rust::Sources(folder) = self {
            let path = std::env::var_os("PATH").unwrap_or_default();
            let path = std::env::join_paths(std::iter::once(folder.clone()).chain(std::env::split_paths(&path)))?;
            build.arg("-Zbuild-std=std,panic_unwind");
            build.env("PATH", path).env("CARGO", folder.join("cargo")).env("RUSTC", folder.join("rustc"));
            // Building the standard library is not a stable feature of cargo; the library itself is.
            build.env("RUSTC_BOOTSTRAP", "1").env_remove("RUSTUP_TOOLCHAIN");
        }
        Ok(())
    }
}

/// Takes out of a build's environment how its caller likes to build: the same sources are to be the same program for everybody.
/// What the build itself needs is set after this.
fn without_settings(build: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_str().is_some_and(changes_the_program) {
            build.env_remove(name);
        }
    }
}

/// Whether cargo, rustc, or the crates that compile C go by this variable, and the program with them.
fn changes_the_program(name: &str) -> bool {
    const CARGO: [&str; 6] =
        ["CARGO_PROFILE_", "CARGO_BUILD_", "CARGO_TARGET_", "CARGO_INCREMENTAL", "RUSTC", "RUSTFLAGS"];
    const C: [&str; 8] = ["CC", "CFLAGS", "CXX", "CXXFLAGS", "AR", "ARFLAGS", "RANLIB", "RANLIBFLAGS"];
    // For one target they are called CC_x86_64-unknown-linux-musl, or TARGET_CC.
    let of_all = name.strip_prefix("TARGET_").or_else(|| name.strip_prefix("HOST_")).unwrap_or(name);
    let of_all = of_all.split_once('_').map_or(of_all, |(variable, _)| variable);
    let is_of_cargo = CARGO.iter().any(|prefix| name.starts_with(prefix));
    // How much is compiled at a time is the machine's affair.
    (is_of_cargo && name != "CARGO_BUILD_JOBS") || C.contains(&of_all) || name == "CRATE_CC_NO_DEFAULTS"
}

/// The oldest Rust that the program is built with.
fn oldest() -> &'static str {
    env!("CARGO_PKG_RUST_VERSION")
}

/// The compiler's flags. No path of this machine may get into the program.
fn flags(checkout: &Path, platform: Platform) -> Result<Vec<OsString>> {
    let remap = |from: &Path, to: &str| {
        let mut flag = OsString::from("--remap-path-prefix=");
        flag.push(from);
        flag.push(format!("={to}"));
        flag
    };
    let mut flags = vec![remap(checkout, ".")];
    // Where there are sources: rustc wants the whole path, with a folder for each registry.
    process::run(process::cargo(&["fetch", "--locked", "--quiet"])?.current_dir(checkout))?;
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(std::env::home_dir()?.join(".cargo")));
    let registries = home.context("no home directory")?.join("registry/src");
    for registry in fs::read_dir(&registries).with_context(|| registries.display().to_string())? {
        flags.push(remap(&registry?.path(), "crates"));
    }
    match platform.os {
        // Zig has the files with which musl starts a program.
        "linux" => flags.push("-Clink-self-contained=no".into()),
        "darwin" => {
            // Apple's SDK is not to be had everywhere. What of it is needed are the names in two frameworks.
            let mut frameworks = OsString::from("-Clink-arg=-F");
            frameworks.push(checkout.join("xtask/darwin"));
            // The linker strips, of debug information and local symbols, before it signs.
            flags.extend([frameworks, "-Cstrip=none".into(), "-Clink-arg=-Wl,-S,-x".into()]);
        }
        _ => {}
    }
    Ok(flags)
}

/// Puts what Wine may lack beside a program for Windows.
pub(super) fn complete_wine(folder: &Path) -> Result<()> {
    let mut compile = Command::new(zig()?.join("ziglang/zig"));
    compile.args(["cc", "-target", "x86_64-windows-gnu", "-shared", "-o", "bcryptprimitives.dll"]);
    compile.arg(process::root()?.join("xtask/windows/bcryptprimitives.c")).arg("-ladvapi32");
    process::run(compile.current_dir(folder))
}

/// The folder of Zig and cargo-zigbuild, which are installed into the cache the first time.
fn zig() -> Result<PathBuf> {
    let folder = process::cache()?.join("tools").join(format!("zig-{ZIG}-{CARGO_ZIGBUILD}"));
    if !folder.is_dir() {
        process::install(&[("python3", "python3-pip")])?;
        let new = tempfile::tempdir_in(process::tools()?)?;
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check", "--target"]);
        pip.env("PIP_ROOT_USER_ACTION", "ignore");
        pip.arg(new.path()).args([format!("ziglang=={ZIG}"), format!("cargo-zigbuild=={CARGO_ZIGBUILD}")]);
        process::run(&mut pip)?;
        if let Err(error) = fs::rename(new.keep(), &folder) {
            bail!("{}: {error}", folder.display());
        }
    }
    Ok(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn builds_do_not_hear_how_their_caller_builds() {
        for name in [
            "CARGO_PROFILE_RELEASE_OPT_LEVEL",
            "CARGO_BUILD_RUSTC_WRAPPER",
            "CARGO_TARGET_X86_64_UNKNOWN_LINUX_MUSL_LINKER",
            "RUSTC_WRAPPER",
            "RUSTC_WORKSPACE_WRAPPER",
            "RUSTFLAGS",
            "CC",
            "CC_x86_64-unknown-linux-musl",
            "CFLAGS_aarch64_unknown_linux_musl",
            "TARGET_CC",
            "HOST_CFLAGS",
            "AR_x86_64_apple_darwin",
        ] {
            assert!(changes_the_program(name), "{name}");
        }
        for name in ["CARGO", "CARGO_HOME", "CARGO_BUILD_JOBS", "CARGO_NET_OFFLINE", "RUSTUP_HOME", "PATH", "ARCH"] {
            assert!(!changes_the_program(name), "{name}");
        }
    }

    #[test]
    fn what_a_build_needs_is_set_all_the_same() {
        let mut build = Command::new("cargo");
        without_settings(&mut build);
        Rust::Sources("/folder".into()).set_up(&mut build).unwrap();
        let rustc = build.get_envs().find(|(name, _)| *name == "RUSTC");
        assert_eq!(rustc, Some((OsStr::new("RUSTC"), Some(OsStr::new("/folder/rustc")))));
    }
}
