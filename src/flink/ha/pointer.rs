//! What the entries of high-availability ConfigMaps point to: files in `high-availability.storageDir`.
//!
//! An entry's value is the Base64 of a `RetrievableStreamStateHandle` that Java has serialized, since Flink 1.15 inside a
//! `StateHandleWithDeleteMarker`. Only the path matters here, and it stands in the bytes as a string; no Java is needed.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::is_job_id;

/// What an entry points to.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Target {
    /// `jobGraph-JOB`, up to Flink 1.20: what a new leader starts the job from.
    JobGraph(String),
    /// `executionPlan-JOB`, from Flink 2.0 on, which does not read the former.
    ExecutionPlan(String),
    /// `application-ID`, from Flink 2.3 on.
    Application(String),
    /// `checkpointID-` and 19 digits, in a job's own ConfigMap (`KubernetesCheckpointStoreUtil`).
    Checkpoint(u64),
}

impl Target {
    /// Reads an entry's key; none for keys of other kinds.
    pub fn of_key(key: &str) -> Option<Target> {
        let id = |prefix: &str| key.strip_prefix(prefix).filter(|id| is_job_id(id)).map(str::to_owned);
        None.or_else(|| id("jobGraph-").map(Target::JobGraph))
            .or_else(|| id("executionPlan-").map(Target::ExecutionPlan))
            .or_else(|| id("application-").map(Target::Application))
            .or_else(|| key.strip_prefix("checkpointID-")?.parse().ok().map(Target::Checkpoint))
    }

    /// The job or application whose entry in the cluster's ConfigMap it is.
    pub fn id(&self) -> Option<&str> {
        match self {
            Target::JobGraph(id) | Target::ExecutionPlan(id) | Target::Application(id) => Some(id),
            Target::Checkpoint(_) => None,
        }
    }

    /// The job that a leader would recover from it.
    pub fn job(&self) -> Option<&str> {
        match self {
            Target::JobGraph(job) | Target::ExecutionPlan(job) => Some(job),
            Target::Application(_) | Target::Checkpoint(_) => None,
        }
    }
}

/// An entry that points to a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    /// The entry's key.
    pub key: String,
    /// What the file is.
    pub target: Target,
    /// The file, as Flink's `Path` writes it: `file:/data/ha/submittedJobGraph1a2b`, `s3://bucket/ha/...`. None where the
    /// value is not what Flink writes.
    pub path: Option<String>,
}

impl Pointer {
    /// Reads an entry; none where the key is of another kind.
    pub fn read(key: &str, value: &str) -> Option<Pointer> {
        Some(Pointer { key: key.to_owned(), target: Target::of_key(key)?, path: path_in(value) })
    }
}

/// The path in a serialized state handle.
fn path_in(value: &str) -> Option<String> {
    let bytes = STANDARD.decode(value.trim()).ok()?;
    // Java's serialization stream begins with STREAM_MAGIC.
    if !bytes.starts_with(&[0xac, 0xed]) {
        return None;
    }
    // TC_STRING is followed by a length of two bytes and that much text. The names of types are such strings too.
    let strings = bytes.iter().enumerate().filter(|(_, byte)| **byte == b't').filter_map(|(at, _)| {
        let length = usize::from(u16::from_be_bytes([*bytes.get(at + 1)?, *bytes.get(at + 2)?]));
        std::str::from_utf8(bytes.get(at + 3..at + 3 + length)?).ok()
    });
    strings.filter(|text| is_path(text)).max_by_key(|text| text.len()).map(str::to_owned)
}

/// `/a/b` or `scheme:/a/b`, and nothing that does not print.
fn is_path(text: &str) -> bool {
    let rest = match text.split_once(':') {
        Some((scheme, rest)) if is_scheme(scheme) => rest,
        _ => text,
    };
    rest.starts_with('/') && rest.len() > 1 && !text.contains(char::is_control)
}

fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A state handle around this path, with what else stands in Flink's.
    pub(crate) fn handle(path: &str) -> String {
        let mut bytes = vec![0xac, 0xed, 0, 5, b's', b'r', 0, 9];
        bytes.extend(b"a.b.State");
        for text in ["Ljava/net/URI;", path] {
            bytes.push(b't');
            bytes.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
            bytes.extend(text.as_bytes());
        }
        bytes.push(b'x');
        STANDARD.encode(bytes)
    }

    #[test]
    fn keys() {
        let job = "7601318e4ccd7281759507f40830fea9";
        let of = |prefix: &str| Target::of_key(&format!("{prefix}{job}"));
        assert_eq!(of("jobGraph-"), Some(Target::JobGraph(job.into())));
        assert_eq!(of("executionPlan-"), Some(Target::ExecutionPlan(job.into())));
        assert_eq!(of("application-"), Some(Target::Application(job.into())));
        assert_eq!(Target::of_key("checkpointID-0000000000000000012"), Some(Target::Checkpoint(12)));
        for other in ["counter", "jobGraph-x", "address", "runningJobsRegistry-7601318e4ccd7281759507f40830fea9"] {
            assert_eq!(Target::of_key(other), None, "{other}");
        }
    }

    #[test]
    fn paths() {
        for path in ["file:/tmp/flink/ha/default/submittedJobGraph3f", "s3://bucket/ha/a.b/completedCheckpoint0", "/x"]
        {
            assert_eq!(path_in(&handle(path)).as_deref(), Some(path));
        }
        for no in ["", "rO0ABX", "not base64!", &STANDARD.encode("hello"), &handle("Ljava/lang/String;")] {
            assert_eq!(path_in(no), None, "{no}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_are_read(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let mut stream = vec![0xac, 0xed];
            stream.extend(bytes);
            let _ = path_in(&STANDARD.encode(stream));
        }

        #[test]
        fn the_path_is_found_among_anything(before in "[a-zA-Z0-9]{0,40}", path in "(file:|s3:/)/[a-z0-9./]{1,80}") {
            let mut bytes = vec![0xac, 0xed];
            bytes.extend(before.replace('t', "u").as_bytes());
            bytes.push(b't');
            bytes.extend(u16::try_from(path.len()).unwrap().to_be_bytes());
            bytes.extend(path.as_bytes());
            prop_assert_eq!(path_in(&STANDARD.encode(bytes)), Some(path));
        }
    }
}
