//! `up --probe`: before a JVM starts, whether what a JobManager writes a TaskManager reads.

use std::path::Path;
use std::time::Duration;

use super::examine::texts;
use crate::cluster::Connection;
use crate::cluster::preflight::Planned;
use crate::cluster::probe::{self, Sharing};
use crate::cluster::workload::Workload;
use crate::doctor::model::Model;
use crate::doctor::snapshot::Snapshot;
use crate::doctor::source;
use crate::error::{Error, Result};
use crate::output::Ui;

/// What the planned cluster keeps where, and who uses it.
#[derive(Debug)]
pub(super) struct Storage {
    jobmanager: Workload,
    taskmanager: Workload,
    dir: String,
}

/// The storage of the cluster in these files; none where it is the pods' own, which nobody shares and `up` warns of. Asks
/// for the rights that probing it takes.
///
/// # Errors
/// The files have no JobManager with high availability, or the caller lacks a right.
pub(super) async fn storage(
    connection: &Connection,
    planned: &[Planned],
    folder: Option<&Path>,
) -> Result<Option<Storage>> {
    let mut snapshot = Snapshot::default();
    source::load(&mut snapshot, texts(planned, folder)?, &connection.namespace);
    let model = Model::new(&snapshot);
    let found = model.clusters.iter().find_map(|cluster| {
        let jobmanager = &model.jobmanager(cluster)?.workload;
        let keys = ["high-availability.storageDir", "high-availability.zookeeper.storageDir"];
        let dir = keys.iter().find_map(|key| cluster.config.value(key))?.to_owned();
        // In native mode TaskManagers are made from what the JobManager has.
        let taskmanager = model.taskmanagers(cluster).first().map_or(jobmanager, |member| &member.workload).clone();
        Some(Storage { jobmanager: jobmanager.clone(), taskmanager, dir })
    });
    let storage = found.ok_or_else(|| {
        Error::usage("there is nothing to probe: these files have no JobManager with high-availability.storageDir")
            .hint("leave --probe out")
    })?;
    if probe::is_pod_local(&storage.jobmanager, &storage.dir) {
        return Ok(None);
    }
    probe::check_rights(connection, &storage.jobmanager, true).await?;
    Ok(Some(storage))
}

/// Probes it, as a step of its own.
///
/// # Errors
/// The TaskManagers would not read what the JobManager writes, or that could not be found out.
pub(super) async fn run(connection: &Connection, ui: &Ui, storage: &Storage, timeout: Duration) -> Result<()> {
    let Storage { jobmanager, taskmanager, dir } = storage;
    let step = ui.step(format!("Probing {dir}"));
    let sharing = probe::shared(connection, jobmanager, taskmanager, dir, timeout, |what| step.progress(what)).await;
    let error = match sharing {
        Ok(Sharing::Shared { left }) => {
            step.done(format_args!("{dir}: what the JobManager writes the TaskManagers read"));
            if let Some((file, why)) = left {
                ui.warn(format_args!("the JobManager could not delete {file}, nor will it its checkpoints: {why}"));
            }
            return Ok(());
        }
        Ok(Sharing::NotShared { file }) => Error::unhealthy(format!(
            "the TaskManagers do not have the storage of the JobManager: it writes {file}, and for them it is not there"
        ))
        .hint("use storage that every pod reaches: --ha-storage s3://BUCKET/FOLDER (or gs, abfs, hdfs, oss), pvc or pvc:NAME"),
        Ok(Sharing::Failed { step, why }) => Error::unhealthy(format!("{step} has failed for {dir}: {why}")),
        Err(error) => error,
    };
    step.failed();
    Err(error)
}
