//! What becomes of HA data, and what needs consent: decided without asking anybody.

use std::fmt;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::flink::storage::Storage;

/// A job that is not over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(super) struct Job {
    pub(super) id: String,
    /// Not known where only the HA data could be read.
    pub(super) name: Option<String>,
    pub(super) state: Option<String>,
}

/// Which jobs run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Jobs {
    Known(Vec<Job>),
    /// It could not be learnt, and why.
    Unknown(String),
}

/// What happens to the high-availability ConfigMaps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum HaFate {
    /// They stay, because ...
    Kept(Kept),
    /// They go, because ...
    Removed(Why),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kept {
    Asked,
    Durable,
    /// It is not known what is behind them.
    Unknown,
    /// Another cluster, made by someone else, goes by the same id.
    InUse(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Why {
    Asked,
    /// What they point to is gone with the pods.
    PodLocal,
    /// What they point to is on a volume that goes.
    VolumeGoes,
}

/// The flags that decide on state.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Flags {
    pub(super) keep_ha: bool,
    pub(super) purge_ha: bool,
    pub(super) purge_volumes: bool,
}

/// Decides on the high-availability ConfigMaps. `claims` are those that --purge-volumes would delete.
pub(super) fn ha_fate(storage: &Storage, flags: Flags, claims: &[&str], in_use_by: Option<&str>) -> Result<HaFate> {
    let volume_goes =
        flags.purge_volumes && matches!(storage, Storage::Claim { name } if claims.contains(&name.as_str()));
    if let Some(other) = in_use_by {
        return if flags.purge_ha {
            Err(Error::could_not_run(format!("nothing was deleted: the HA ConfigMaps are in use by {other}")))
        } else {
            Ok(HaFate::Kept(Kept::InUse(other.to_owned())))
        };
    }
    if flags.purge_ha {
        return Ok(HaFate::Removed(Why::Asked));
    }
    if flags.keep_ha {
        if volume_goes {
            return Err(Error::usage(
                "--keep-ha with --purge-volumes: the HA ConfigMaps would point to a volume that is gone, and the next \
                 up would crash",
            )
            .hint("give one of them"));
        }
        return Ok(HaFate::Kept(Kept::Asked));
    }
    match storage {
        Storage::Claim { .. } if volume_goes => Ok(HaFate::Removed(Why::VolumeGoes)),
        Storage::Uri(_) | Storage::Claim { .. } | Storage::HostPath { .. } => Ok(HaFate::Kept(Kept::Durable)),
        Storage::PodLocal => Ok(HaFate::Removed(Why::PodLocal)),
        Storage::None | Storage::Unknown if flags.purge_volumes && !claims.is_empty() => Err(Error::usage(format!(
            "nothing was deleted: it is not known whether the HA ConfigMaps point to the volumes that go ({})",
            claims.join(", ")
        ))
        .hint("say it: --purge-ha if they do, --keep-ha if not")),
        Storage::None | Storage::Unknown => Ok(HaFate::Kept(Kept::Unknown)),
    }
}

/// What is lost or interrupted, for which consent is needed.
#[derive(Debug, Default)]
pub(super) struct Loss<'a> {
    pub(super) jobs: &'a [Job],
    /// The jobs' HA data stays, and with it what it points to.
    pub(super) recoverable: bool,
    /// Jobs that could have been recovered.
    pub(super) forgotten: &'a [&'a str],
    pub(super) claims: &'a [&'a str],
}

impl Loss<'_> {
    /// What happens, a sentence each; nothing where no consent is needed.
    pub(super) fn sentences(&self) -> Vec<String> {
        let mut sentences = Vec::new();
        if !self.jobs.is_empty() {
            let list: Vec<_> = self.jobs.iter().map(Job::to_string).collect();
            let fate = match (self.recoverable, self.jobs.len()) {
                (true, 1) => "the next `up` recovers it from its last checkpoint",
                (true, _) => "the next `up` recovers them from their last checkpoints",
                (false, 1) => "it cannot be recovered",
                (false, _) => "they cannot be recovered",
            };
            sentences.push(format!("{}: {}; {fate}", jobs_run(self.jobs.len()), list.join(", ")));
        }
        if !self.forgotten.is_empty() && (self.jobs.is_empty() || self.recoverable) {
            sentences.push(format!("the data to recover jobs from is removed: {}", self.forgotten.join(", ")));
        }
        if !self.claims.is_empty() {
            sentences.push(format!("deleted with all that is on them: volumes {}", self.claims.join(", ")));
        }
        sentences
    }
}

impl fmt::Display for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.name, &self.state) {
            (Some(name), Some(state)) => write!(f, "{} {name:?} {state}", self.id),
            _ => f.write_str(&self.id),
        }
    }
}

/// `1 job`, `2 jobs`.
pub(super) fn jobs_of(count: usize) -> String {
    if count == 1 { "1 job".to_owned() } else { format!("{count} jobs") }
}

/// `1 job runs`, `2 jobs run`.
pub(super) fn jobs_run(count: usize) -> String {
    if count == 1 { "1 job runs".to_owned() } else { format!("{count} jobs run") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: Flags = Flags { keep_ha: false, purge_ha: false, purge_volumes: false };
    const KEEP: Flags = Flags { keep_ha: true, ..NONE };
    const PURGE: Flags = Flags { purge_ha: true, ..NONE };
    const VOLUMES: Flags = Flags { purge_volumes: true, ..NONE };

    fn claim() -> Storage {
        Storage::Claim { name: "flink-storage".into() }
    }

    #[test]
    fn what_becomes_of_ha_data() {
        let uri = || Storage::Uri("s3://bucket/flink".into());
        let host = || Storage::HostPath { path: "/mnt".into() };
        for (storage, flags, expected) in [
            (uri(), NONE, HaFate::Kept(Kept::Durable)),
            (claim(), NONE, HaFate::Kept(Kept::Durable)),
            (host(), NONE, HaFate::Kept(Kept::Durable)),
            (Storage::PodLocal, NONE, HaFate::Removed(Why::PodLocal)),
            (Storage::Unknown, NONE, HaFate::Kept(Kept::Unknown)),
            (Storage::None, NONE, HaFate::Kept(Kept::Unknown)),
            (claim(), KEEP, HaFate::Kept(Kept::Asked)),
            (Storage::PodLocal, KEEP, HaFate::Kept(Kept::Asked)),
            (claim(), PURGE, HaFate::Removed(Why::Asked)),
            (Storage::Unknown, PURGE, HaFate::Removed(Why::Asked)),
            (claim(), VOLUMES, HaFate::Removed(Why::VolumeGoes)),
            // A claim that `up` did not make is not deleted, nor is what is elsewhere.
            (Storage::Claim { name: "shared".into() }, VOLUMES, HaFate::Kept(Kept::Durable)),
            (uri(), VOLUMES, HaFate::Kept(Kept::Durable)),
            (uri(), Flags { keep_ha: true, ..VOLUMES }, HaFate::Kept(Kept::Asked)),
            (claim(), Flags { purge_ha: true, ..VOLUMES }, HaFate::Removed(Why::Asked)),
        ] {
            assert_eq!(ha_fate(&storage, flags, &["flink-storage"], None).unwrap(), expected, "{storage:?} {flags:?}");
        }
        assert!(ha_fate(&claim(), Flags { keep_ha: true, ..VOLUMES }, &["flink-storage"], None).is_err());
        assert!(ha_fate(&Storage::Unknown, VOLUMES, &["flink-storage"], None).is_err());
        assert_eq!(ha_fate(&Storage::Unknown, VOLUMES, &[], None).unwrap(), HaFate::Kept(Kept::Unknown));
        assert_eq!(ha_fate(&Storage::PodLocal, NONE, &[], Some("x")).unwrap(), HaFate::Kept(Kept::InUse("x".into())));
        assert!(ha_fate(&Storage::PodLocal, PURGE, &[], Some("x")).is_err());
    }

    #[test]
    fn what_needs_consent() {
        assert!(Loss::default().sentences().is_empty());
        let jobs = [Job { id: "76".into(), name: Some("Count".into()), state: Some("RUNNING".into()) }];
        let sentences = |loss: Loss<'_>| loss.sentences();
        assert_eq!(
            sentences(Loss { jobs: &jobs, recoverable: true, ..Loss::default() }),
            ["1 job runs: 76 \"Count\" RUNNING; the next `up` recovers it from its last checkpoint"]
        );
        let unrecoverable = sentences(Loss { jobs: &jobs, forgotten: &["76"], ..Loss::default() });
        assert_eq!(unrecoverable, ["1 job runs: 76 \"Count\" RUNNING; it cannot be recovered"]);
        let loss = Loss { forgotten: &["76"], claims: &["flink-storage"], ..Loss::default() };
        assert_eq!(loss.sentences().len(), 2);
    }
}
