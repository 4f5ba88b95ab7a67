//! What is behind the high-availability data, as far as it can be told.

use k8s_openapi::api::core::v1::ConfigMap;

use super::DownArgs;
use crate::cluster::Connection;
use crate::cluster::delete::{Found, Owned};
use crate::cluster::discover::{self, FlinkCluster};
use crate::cluster::ha::verdict::Verdict;
use crate::cluster::ha::{self, HaState, Record};
use crate::flink::config::{Configuration, FILE, LEGACY_FILE};
use crate::flink::ha_storage::HaStorage;
use crate::flink::storage::{self, Storage};
use crate::manifests::{kind, name, session_ha};

/// Flink's configuration among the objects, where no JobManager is left to say which it reads.
pub(super) fn configuration(found: &Found) -> Option<Configuration> {
    found.objects.iter().filter(|owned| kind(&owned.object) == "ConfigMap").find_map(|owned| {
        let map: ConfigMap = serde_json::to_value(&owned.object).and_then(serde_json::from_value).ok()?;
        let data = map.data?;
        let (file, text) = [FILE, LEGACY_FILE].into_iter().find_map(|file| Some((file, data.get(file)?)))?;
        Configuration::read(name(&owned.object), file, text).ok()
    })
}

/// What is behind the HA data, with the folder that this is said of. Not known where an entry points elsewhere, or may have
/// been written when something else was mounted there: what was true of it then is not seen from today's configuration.
pub(super) async fn storage_of(
    args: &DownArgs,
    connection: &Connection,
    found: &Found,
    cluster: Option<&FlinkCluster>,
    configuration: Option<&Configuration>,
    state: &HaState,
) -> Record {
    let of_cluster = cluster.and_then(|cluster| discover::ha_storage_dir(&cluster.configuration));
    let dir = of_cluster.or_else(|| discover::ha_storage_dir(configuration?)).map(str::to_owned);
    let record = Record { storage: as_configured(args, found, cluster, configuration), dir };
    // What lies on storage of its own is not removed with anything.
    if !matches!(record.storage, Storage::PodLocal | Storage::Claim { .. }) {
        return record;
    }
    let mut paths = state.maps.iter().flat_map(|map| &map.pointers).map(|pointer| pointer.path.as_deref());
    let astray = paths.any(|path| {
        let dir = record.dir.as_deref();
        !path.zip(dir).is_some_and(|(path, dir)| storage::is_in(path, dir))
    });
    let other = astray
        || match cluster {
            _ if record.storage != Storage::PodLocal => false,
            Some(cluster) => {
                let judged = ha::after_its_end(connection, cluster, state.clone()).await.judge();
                judged.jobs.values().any(|judged| judged.verdict > Verdict::Dead)
            }
            // An earlier attempt has deleted what would tell what the JobManagers had before.
            None => {
                state.maps.iter().any(|map| !map.pointers.is_empty())
                    && !matches!(state.record, Some(Record { storage: Storage::PodLocal, .. }))
            }
        };
    if other { Record { storage: Storage::Unknown, ..record } } else { record }
}

/// What is behind `high-availability.storageDir`: as the JobManager's pods have it, else the TaskManagers', else as `up` recorded it.
fn as_configured(
    args: &DownArgs,
    found: &Found,
    cluster: Option<&FlinkCluster>,
    configuration: Option<&Configuration>,
) -> Storage {
    let of_jobmanager = cluster.map(discover::ha_storage);
    let of_taskmanager = || {
        let dir = discover::ha_storage_dir(configuration?)?;
        let workload = found.objects.iter().find_map(Owned::workload)?;
        Some(storage::behind(workload.template.spec.as_ref()?, &workload.process.container, dir))
    };
    let as_recorded = || {
        let mut maps = found.objects.iter().filter(|owned| kind(&owned.object) == "ConfigMap");
        let options = maps.find_map(|owned| session_ha::recorded(owned.object.metadata.annotations.as_ref()))?;
        Some(match options.ok()?.ha_storage? {
            HaStorage::Uri(uri) => Storage::Uri(uri),
            HaStorage::Claim(claim) => {
                Storage::Claim { name: claim.unwrap_or_else(|| format!("{}-storage", args.name)) }
            }
            HaStorage::HostPath(path) => Storage::HostPath { path },
            HaStorage::PodLocal => Storage::PodLocal,
        })
    };
    let known = |storage: &Storage| *storage != Storage::Unknown;
    of_jobmanager
        .filter(known)
        .or_else(|| of_taskmanager().filter(known))
        .or_else(as_recorded)
        .unwrap_or(Storage::Unknown)
}
