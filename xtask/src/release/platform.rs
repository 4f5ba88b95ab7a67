//! The platforms that the program is built for.

use std::env::consts;

use anyhow::{Context, Result};

/// A platform, as krew and Rust call it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Platform {
    /// The operating system, by krew's name, which is Go's.
    pub(crate) os: &'static str,
    /// The processor, by krew's name.
    pub(crate) arch: &'static str,
    /// Rust's name of both and of what is linked.
    pub(crate) target: &'static str,
}

/// All of them. On Linux the C library is musl, in the program, so that any distribution will do; on Windows it is the system's
/// own (UCRT), by the LLVM tools that Zig has.
pub(crate) const PLATFORMS: [Platform; 5] = [
    Platform { os: "linux", arch: "amd64", target: "x86_64-unknown-linux-musl" },
    Platform { os: "linux", arch: "arm64", target: "aarch64-unknown-linux-musl" },
    Platform { os: "darwin", arch: "amd64", target: "x86_64-apple-darwin" },
    Platform { os: "darwin", arch: "arm64", target: "aarch64-apple-darwin" },
    Platform { os: "windows", arch: "amd64", target: "x86_64-pc-windows-gnullvm" },
];

impl Platform {
    /// This machine's.
    pub(crate) fn host() -> Result<Self> {
        let os = if consts::OS == "macos" { "darwin" } else { consts::OS };
        let arch = match consts::ARCH {
            "x86_64" => "amd64",
            "aarch64" => "arm64",
            other => other,
        };
        let host = PLATFORMS.into_iter().find(|platform| (platform.os, platform.arch) == (os, arch));
        host.with_context(|| format!("there is no release for this machine, {os}/{arch}"))
    }

    /// The platform of this target.
    pub(crate) fn parse(target: &str) -> Result<Self, String> {
        PLATFORMS.into_iter().find(|platform| platform.target == target).ok_or_else(|| {
            let targets: Vec<&str> = PLATFORMS.iter().map(|platform| platform.target).collect();
            format!("not one of {}", targets.join(", "))
        })
    }

    /// The program's file.
    pub(crate) fn program(self) -> &'static str {
        if self.os == "windows" { "kubectl-flink.exe" } else { "kubectl-flink" }
    }

    /// The name of what a release has for this platform, with this ending.
    pub(crate) fn file(self, ending: &str) -> String {
        format!("kubectl-flink-{}-{}.{ending}", self.os, self.arch)
    }

    /// The archive's name.
    pub(crate) fn archive(self) -> String {
        self.file("tar.gz")
    }
}

impl std::fmt::Display for Platform {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.os, self.arch)
    }
}
