//! An archive: the program, its licence and its manual pages, the same bytes whenever and wherever it is packed.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::{Compression, GzBuilder};
use sha2::{Digest, Sha256};
use tar::{Builder, Header};

/// The time that all files bear, in seconds since 1970: the first day of 1980, which every archiver takes. A commit's would
/// change the checksums with the commit that carries them, in krew's manifest.
const TIME: u64 = 315_532_800;

/// Packs these files, each with its name in the archive and its mode. They have no owner.
pub(super) fn pack(archive: &Path, files: &[(String, u32, PathBuf)]) -> Result<()> {
    let file = BufWriter::new(File::create(archive).with_context(|| archive.display().to_string())?);
    // Without a time, a name and a system: gzip's header would have those of this machine.
    let gzip = GzBuilder::new().operating_system(255).write(file, Compression::best());
    let mut tar = Builder::new(gzip);
    for (name, mode, path) in files {
        let content = fs::read(path).with_context(|| path.display().to_string())?;
        let mut header = Header::new_ustar();
        header.set_size(u64::try_from(content.len())?);
        header.set_mode(*mode);
        header.set_mtime(TIME);
        header.set_uid(0);
        header.set_gid(0);
        tar.append_data(&mut header, name, content.as_slice())?;
    }
    tar.into_inner()?.finish()?.flush()?;
    Ok(())
}

/// A file's checksum, in lower-case hex as krew wants it.
pub(super) fn sha256(path: &Path) -> Result<String> {
    let bytes = fs::read(path).with_context(|| path.display().to_string())?;
    Ok(format!("{:x}", Sha256::digest(bytes)))
}

#[cfg(test)]
mod tests {
    use std::io::Read;
    use std::time::{Duration, SystemTime};

    use super::*;

    #[test]
    fn the_same_files_are_the_same_bytes() {
        let folder = tempfile::tempdir().unwrap();
        let mut archives = Vec::new();
        for (name, age) in [("one", 0), ("two", 90_000)] {
            let program = folder.path().join(name);
            fs::write(&program, "#!").unwrap();
            let file = File::options().write(true).open(&program).unwrap();
            file.set_modified(SystemTime::now() - Duration::from_secs(age)).unwrap();
            let archive = folder.path().join(format!("{name}.tar.gz"));
            pack(&archive, &[("kubectl-flink".into(), 0o755, program)]).unwrap();
            archives.push(fs::read(archive).unwrap());
        }
        assert_eq!(archives[0], archives[1]);

        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(archives[0].as_slice()));
        let mut entries = tar.entries().unwrap();
        let mut entry = entries.next().unwrap().unwrap();
        assert_eq!(entry.path().unwrap(), Path::new("kubectl-flink"));
        let header = entry.header();
        assert_eq!((header.mode().unwrap(), header.mtime().unwrap(), header.uid().unwrap()), (0o755, TIME, 0));
        let mut content = String::new();
        entry.read_to_string(&mut content).unwrap();
        assert_eq!(content, "#!");
        assert!(entries.next().is_none());
    }

    #[test]
    fn sums_are_lower_case_hex() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let sum = sha256(file.path()).unwrap();
        assert_eq!(sum, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    }
}
