//! `cargo xtask release`: what is published, built here: an archive for each platform, what each is made of, the checksums,
//! and the manifest that krew installs the plugin by.

mod archive;
mod binary;
mod build;
mod krew;
mod manifest;
mod platform;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, ensure};

pub(crate) use self::binary::Place;
use self::build::Builder;
pub(crate) use self::platform::{PLATFORMS, Platform};
use crate::{bench, process};

/// Build what is published: an archive, and what it is made of, for each platform, the checksums, and krew's manifest.
///
/// Each program is looked at and, where this machine can, run; the real krew installs, upgrades and removes it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Only for this platform, by Rust's name of it; repeatable.
    #[arg(long, value_name = "TRIPLE", value_parser = Platform::parse)]
    target: Vec<Platform>,
    /// Fail unless this is the tag of the version in Cargo.toml: v0.1.0.
    #[arg(long, value_name = "TAG")]
    tag: Option<String>,
    /// Build everything a second time, from a copy in another folder, and fail unless the bytes are the same.
    #[arg(long)]
    twice: bool,
}

/// A release, in its folder.
#[derive(Debug)]
struct Release {
    /// As the tag has it: v0.1.0.
    version: String,
    folder: PathBuf,
    packed: Vec<Packed>,
}

/// An archive.
#[derive(Debug)]
struct Packed {
    platform: Platform,
    sha256: String,
}

/// The version in Cargo.toml, as a tag has it.
fn version() -> Result<String> {
    let metadata = process::output(&mut process::cargo(&["metadata", "--no-deps", "--format-version", "1"])?)?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata)?;
    let packages = metadata["packages"].as_array().context("cargo metadata names no packages")?;
    let package = packages.iter().find(|package| package["name"] == "kubectl-flink");
    let version = package.and_then(|package| package["version"].as_str()).context("kubectl-flink has no version")?;
    Ok(format!("v{version}"))
}

/// The program for this platform, if a release of this checkout was built.
pub(crate) fn built(platform: Platform) -> Result<Option<PathBuf>> {
    Ok(Some(build::program(&process::root()?, platform)).filter(|program| program.is_file()))
}

pub(crate) fn run(args: &Args) -> Result<ExitCode> {
    let platforms = if args.target.is_empty() { PLATFORMS.to_vec() } else { args.target.clone() };
    let version = version()?;
    if let Some(tag) = &args.tag {
        ensure!(*tag == version, "the tag is {tag}, and Cargo.toml has {version}");
    }
    process::install(&binary::RUNNERS)?;
    let builder = Builder::new(&platforms)?;
    let root = process::root()?;
    let folder = root.join("target/release-files");
    if folder.exists() {
        fs::remove_dir_all(&folder)?;
    }
    fs::create_dir_all(&folder)?;
    let mut release = Release { version, folder, packed: Vec::new() };
    for platform in platforms {
        println!("==> {platform}, {}", platform.target);
        let program = builder.build(&root, platform)?;
        binary::check_imports(platform, &program)?;
        release.add(platform, &program)?;
        builder.sbom(platform, &release.folder.join(platform.file("cdx.json")))?;
        println!("{}", report(platform, &program, &release)?);
    }
    release.finish(&root)?;
    if args.twice {
        release.compare(&builder)?;
    }
    if Platform::host().is_ok_and(|host| release.packed.iter().any(|packed| packed.platform == host)) {
        println!("==> krew");
        krew::check(&release)?;
        println!("the archives were validated; this machine's was installed, upgraded and removed");
    }
    println!("==> {}", release.folder.display());
    Ok(ExitCode::SUCCESS)
}

/// Fails if krew does not take a release of this program, which was built for this machine alone.
pub(crate) fn check_krew(program: &Path) -> Result<()> {
    let folder = tempfile::tempdir()?;
    let mut release = Release { version: version()?, folder: folder.path().to_owned(), packed: Vec::new() };
    release.add(Platform::host()?, program)?;
    krew::check(&release)
}

/// Says what was packed, after a look at whether it runs.
fn report(platform: Platform, program: &Path, release: &Release) -> Result<String> {
    let ran = match Place::new(platform, program)? {
        Some(place) => {
            place.check(release.version.trim_start_matches('v'))?;
            format!("runs {}", place.what)
        }
        None => "not run: nothing on this machine runs it".to_owned(),
    };
    let megabytes = |path: &Path| -> Result<String> { Ok(bench::megabytes(fs::metadata(path)?.len())) };
    let archive = release.folder.join(platform.archive());
    Ok(format!("{} ({} packed), {ran}", megabytes(program)?, megabytes(&archive)?))
}

impl Release {
    /// Packs a program, with the licence and the manual pages.
    fn add(&mut self, platform: Platform, program: &Path) -> Result<()> {
        let path = self.folder.join(platform.archive());
        let root = process::root()?;
        let mut files = vec![
            (platform.program().to_owned(), 0o755, program.to_owned()),
            ("LICENSE".to_owned(), 0o644, root.join("LICENSE")),
        ];
        let mut pages: Vec<_> = fs::read_dir(root.join("docs/man"))?.collect::<Result<_, _>>()?;
        pages.sort_by_key(fs::DirEntry::file_name);
        files.extend(pages.iter().map(|page| (format!("man/{}", page.file_name().display()), 0o644, page.path())));
        archive::pack(&path, &files)?;
        self.packed.push(Packed { platform, sha256: archive::sha256(&path)? });
        Ok(())
    }

    /// Writes krew's manifest, and then the checksums of all files, which it is one of.
    fn finish(&self, root: &Path) -> Result<()> {
        self.write_manifest(root)?;
        self.write_checksums()
    }

    /// Writes the checksums of all files, as `sha256sum --check` reads them.
    fn write_checksums(&self) -> Result<()> {
        let mut names: Vec<String> = fs::read_dir(&self.folder)?
            .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<_>>()?;
        names.sort_unstable();
        let lines = names.iter().map(|name| Ok(format!("{}  {name}\n", archive::sha256(&self.folder.join(name))?)));
        fs::write(self.folder.join("SHA256SUMS"), lines.collect::<Result<String>>()?)?;
        Ok(())
    }

    /// Writes krew's manifest; of a whole release also the one at the top of the checkout.
    fn write_manifest(&self, root: &Path) -> Result<()> {
        let text = manifest::render(&self.version, manifest::DOWNLOADS, &self.packed);
        fs::write(self.folder.join("krew-manifest.yaml"), &text)?;
        if self.packed.len() == PLATFORMS.len() {
            fs::write(root.join("krew-manifest.yaml"), text)?;
        }
        Ok(())
    }

    /// Builds and packs again, from a copy of the sources that is elsewhere.
    fn compare(&self, builder: &Builder) -> Result<()> {
        let copy = tempfile::tempdir_in(process::tools()?)?;
        let root = process::root()?;
        let mut git = Command::new("git");
        git.args(["ls-files", "--cached", "--others", "--exclude-standard"]).current_dir(&root);
        for file in process::output(&mut git)?.lines() {
            let (from, to) = (root.join(file), copy.path().join(file));
            fs::create_dir_all(to.parent().context("a file without a folder")?)?;
            fs::copy(&from, to).with_context(|| from.display().to_string())?;
        }
        let again = tempfile::tempdir()?;
        let mut second = Release { version: self.version.clone(), folder: again.path().to_owned(), packed: Vec::new() };
        for Packed { platform, sha256 } in &self.packed {
            println!("==> {platform}, a second time");
            let program = builder.build(copy.path(), *platform)?;
            second.add(*platform, &program)?;
            let other = second.packed.last().map(|packed| packed.sha256.as_str());
            ensure!(other == Some(sha256), "{platform}: the second build has other bytes than the first");
            println!("the same bytes");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_archive_has_the_program_the_licence_and_a_manual_page_for_each_command() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        fs::write(&program, "#!").unwrap();
        let mut release = Release { version: "v1.0.0".into(), folder: folder.path().to_owned(), packed: Vec::new() };
        release.add(PLATFORMS[0], &program).unwrap();
        let archive = fs::File::open(folder.path().join(PLATFORMS[0].archive())).unwrap();
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(archive));
        let names = tar.entries().unwrap().map(|entry| entry.unwrap().path().unwrap().display().to_string());
        let names: Vec<String> = names.collect();
        assert_eq!(names[..3], ["kubectl-flink", "LICENSE", "man/kubectl-flink-clean-ha.1"]);
        assert!(names[2..].iter().all(|name| name.starts_with("man/kubectl-flink") && name.ends_with(".1")));
        assert!(names.len() > 10, "{names:?}");
    }

    #[test]
    fn every_file_has_its_checksum() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("kubectl-flink.cdx.json"), "{}").unwrap();
        let release = Release { version: "v1.0.0".into(), folder: folder.path().to_owned(), packed: Vec::new() };
        release.finish(folder.path()).unwrap();
        let sums = fs::read_to_string(folder.path().join("SHA256SUMS")).unwrap();
        let names: Vec<&str> = sums.lines().filter_map(|line| Some(line.split_once("  ")?.1)).collect();
        assert_eq!(names, ["krew-manifest.yaml", "kubectl-flink.cdx.json"]);
    }
}
