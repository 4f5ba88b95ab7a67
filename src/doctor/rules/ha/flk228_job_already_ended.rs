//! FLK228: an application whose job counts as ended.

use super::{STORAGE_DIR, jobmanagers, literal};
use crate::doctor::live;
use crate::doctor::model::{Cluster, Member};
use crate::doctor::rule::{Check, rule};
use crate::flink::ha::is_job_id;
use crate::flink::role::Mode;

rule! {
    /// An application whose job counts as ended
    ///
    /// ## Why it matters
    ///
    /// The result of a job is kept in `high-availability.storageDir`, in `job-result-store`. In application mode with
    /// high availability a job has the same id in each run, made from `high-availability.cluster-id`. If its result is
    /// still there, because the cluster ended before it could clean up or another cluster has the same folder, the job
    /// is not run again, and the JobManager ends:
    ///
    /// ```text
    /// Ignoring job submission 'job' (000000006e6b13320000000000000000) because the job already reached a globally-terminal state (i.e. FAILED, CANCELED, FINISHED) in a previous execution.
    /// ```
    ///
    /// ## Fix
    ///
    /// Set `high-availability.cluster-id` to a new name, or remove `job-result-store/ID/JOB.json` and
    /// `JOB_DIRTY.json` below the storage directory.
    ///
    /// ## References
    ///
    /// - <https://issues.apache.org/jira/browse/FLINK-27569>
    /// - `FileSystemJobResultStore`
    FLK228 "job-already-ended": Ha Warning, reads [Processes, Logs], live
}

const SAID: &str = "because the job already reached a globally-terminal state";

fn check(cx: &mut Check<'_>) {
    for id in cx.of_kind(live::LOG) {
        let log = cx.object(id);
        let text = log.node.string_at("/spec/text").unwrap_or_default();
        let Some(line) = text.lines().find(|line| line.contains(SAID)) else { continue };
        let of_log = |(cluster, member): &(&Cluster, &Member)| {
            let pod = log.name.strip_prefix(&member.workload.name).is_some_and(|rest| rest.starts_with('-'));
            pod && cluster.namespace == log.namespace && cluster.mode.is_some_and(is_application)
        };
        let Some((cluster, member)) = jobmanagers(cx).into_iter().find(of_log) else { continue };
        // 'NAME' (ID)
        let job = line.split(['(', ')']).map(str::trim).find(|part| is_job_id(part)).unwrap_or("JOB");
        cx.report(
            member.in_container(""),
            format!(
                "{} does not run job {job}: its result of an earlier run is still in the storage directory",
                member.workload.name
            ),
        )
        .help(format!("set high-availability.cluster-id to a new name, or remove {}", file(cluster, job)))
        .symptom(line.trim())
        .cluster(&cluster.namespace, &cluster.name);
    }
}

/// The file with the job's result, from Flink's configuration.
fn file(cluster: &Cluster, job: &str) -> String {
    match (literal(&cluster.config, &STORAGE_DIR), literal(&cluster.config, &["high-availability.cluster-id"])) {
        (Some(dir), Some(id)) => {
            let dir = dir.value.trim_end_matches('/');
            format!("{dir}/job-result-store/{}/{job}*.json", id.value.trim_matches('/'))
        }
        _ => format!("{job}*.json in job-result-store below high-availability.storageDir"),
    }
}

fn is_application(mode: Mode) -> bool {
    matches!(mode, Mode::StandaloneApplication | Mode::NativeApplication)
}
