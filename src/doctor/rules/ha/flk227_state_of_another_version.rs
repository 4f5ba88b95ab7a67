//! FLK227: jobs that another major version of Flink has left.

use super::{HaObject, cluster_map};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::manifests::tree;

rule! {
    /// Jobs that another major version of Flink has left
    ///
    /// ## Why it matters
    ///
    /// Flink 1.x keeps a job under `jobGraph-JOB`, Flink 2 under `executionPlan-JOB`, and neither reads the other's.
    /// After an upgrade in place the jobs are not recovered, without an error; the ConfigMap and the files stay. Where
    /// one of them does read the other's files, it says:
    ///
    /// ```text
    /// This indicates that you are trying to recover from state written by an older Flink version which is not compatible. Try cleaning the state handle store.
    /// ```
    ///
    /// ## Fix
    ///
    /// Start the old version again, stop each job with a savepoint, which also removes its data, and submit the jobs from
    /// their savepoints to the new version. A job that is not wanted any more is given up with
    /// `kubectl flink clean-ha ID -n NAMESPACE --job JOB --include-recoverable`, while the JobManager is scaled to 0.
    ///
    /// ## References
    ///
    /// - `DefaultExecutionPlanStore`, `Constants` of flink-kubernetes
    FLK227 "state-of-another-version": Ha Error, reads [Processes, HaMaps], live
}

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        let Some(version) = cluster.version else { continue };
        let Some(HaObject { object, namespace, map }) = cluster_map(cx, cluster) else { continue };
        let of = if version.major() < 2 { "Flink 2" } else { "Flink 1" };
        let jobs = map.passed_over_by(version.major());
        let Some((job, first)) = jobs.first().and_then(|job| {
            let entry = map.pointers.iter().find(|pointer| pointer.target.job() == Some(*job))?;
            Some((job, &entry.key))
        }) else {
            continue;
        };
        let several = if jobs.len() > 1 { format!(" and {} more", jobs.len() - 1) } else { String::new() };
        let running = cx.model.jobmanager(cluster).map(|member| member.in_container("image"));
        let finding = cx.report(
            Place::key(object, format!("/data/{}", tree::escape(first))),
            format!("Flink {version} does not recover {first}{several}, which {of} has left"),
        );
        finding.help(format!(
            "stop the jobs with savepoints under the old version, and submit them from there; to give one up, with the \
             JobManager scaled to 0: kubectl flink clean-ha {} -n {namespace} --job {job} --include-recoverable",
            map.cluster_id
        ));
        finding.cluster(&cluster.namespace, &cluster.name);
        if let Some(running) = running {
            finding.related(running, "the version that runs");
        }
    }
}
