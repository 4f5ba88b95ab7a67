//! The jobs in the high-availability ConfigMaps, against those that Flink knows. No I/O.

use jiff::{SignedDuration, Timestamp};

use super::RestData;
use super::model::{HaCheckpoint, HaContents, Orphan};
use crate::cluster::ha::HaState;
use crate::flink::ha::{HaMap, MapKind};
use crate::flink::rest::is_globally_terminal;
use crate::flink::version::Version;

/// How long a leader has led, and a job has run, before both sides are expected to agree.
const SETTLED: SignedDuration = SignedDuration::from_secs(30);

/// Compares them. `version` is that of the JobManager, where it is known.
pub(in crate::cluster) fn compare(
    ha: &HaState,
    rest: Option<&RestData>,
    version: Option<Version>,
    now: Timestamp,
) -> HaContents {
    let cluster = ha.cluster_map();
    let owned = |jobs: Vec<&str>| jobs.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let known = cluster.map(HaMap::jobs).unwrap_or_default();
    let ignored = cluster.zip(version).map(|(map, version)| map.passed_over_by(version.major())).unwrap_or_default();
    let recovered: Vec<&str> = known.iter().copied().filter(|job| !ignored.contains(job)).collect();
    // The jobs of applications stand nowhere but in Flink.
    let complete = !cluster.is_some_and(HaMap::has_applications);
    let jobs = rest.map(|rest| rest.jobs.jobs.as_slice());
    let in_rest = |job: &str| jobs.is_some_and(|jobs| jobs.iter().any(|one| one.jid == job));
    let lease = ha.leader_map().and_then(|map| map.lease.as_ref());
    let settled = lease.and_then(|lease| lease.acquire_time).is_some_and(|since| now.duration_since(since) > SETTLED);
    let orphan = |map: &HaMap| match &map.kind {
        MapKind::Job(job) if complete && !cluster.is_some_and(|map| map.knows(job)) && !in_rest(job) => {
            Some(Orphan { config_map: map.name.clone(), job: job.clone() })
        }
        _ => None,
    };
    let checkpoint = |map: &HaMap| {
        let MapKind::Job(job) = &map.kind else { return None };
        let (id, pointer) = map.latest_checkpoint()?;
        Some(HaCheckpoint { job: job.clone(), id, path: pointer.path.clone(), written: map.written })
    };
    HaContents {
        generation: (!ha.maps.is_empty()).then(|| ha.generation()),
        not_in_rest: (jobs.is_some() && settled)
            .then(|| owned(recovered.iter().copied().filter(|job| !in_rest(job)).collect())),
        // A job stands in the ConfigMap before it runs, and until it is over.
        not_in_ha: jobs.filter(|_| complete && cluster.is_some()).map(|jobs| {
            let runs = |state: &str| !is_globally_terminal(state) && state != "SUSPENDED";
            let settled = jobs.iter().filter(|job| runs(&job.state) && i128::from(job.duration) > SETTLED.as_millis());
            owned(settled.map(|job| job.jid.as_str()).filter(|job| !recovered.contains(job)).collect())
        }),
        orphans: Some(ha.maps.iter().filter_map(orphan).collect()),
        checkpoints: Some(ha.maps.iter().filter_map(checkpoint).collect()),
        ignored: Some(owned(ignored)),
    }
}
