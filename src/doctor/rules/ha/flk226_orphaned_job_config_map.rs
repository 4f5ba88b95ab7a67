//! FLK226: checkpoints of a job that the cluster does not have.

use super::{HaObject, cluster_map, ha_maps};
use crate::doctor::known::Known;
use crate::doctor::live;
use crate::doctor::model::Cluster;
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::flink::ha::MapKind;
use crate::manifests::tree::Node;

rule! {
    /// Checkpoints of a job that the cluster does not have
    ///
    /// ## Why it matters
    ///
    /// Each job has a ConfigMap that points to its checkpoints, and an entry in the cluster's. Where the entry is gone
    /// the job is not recovered, and its checkpoints stay on the storage. A job that is submitted with the same id
    /// later, as application mode does, starts from them. Since Flink 1.18 an orderly end of the cluster leaves these
    /// ConfigMaps behind.
    ///
    /// ## Fix
    ///
    /// If the job is not wanted any more, scale the JobManager to 0 and remove its ConfigMap:
    /// `kubectl flink clean-ha ID -n NAMESPACE --job JOB --include-recoverable` keeps a copy. The files that it points to
    /// are removed by hand.
    ///
    /// ## References
    ///
    /// - `KubernetesLeaderElectionHaServices.internalCleanup`
    FLK226 "orphaned-job-config-map": Ha Warning, reads [Processes, HaMaps, Rest], live, transient
}

fn check(cx: &mut Check<'_>) {
    let Some(now) = cx.snapshot().live.as_ref().map(|live| live.now) else { return };
    let maps = ha_maps(cx);
    for cluster in cx.clusters() {
        let Some(HaObject { namespace, map, .. }) = cluster_map(cx, cluster) else { continue };
        // Without a leader nobody keeps them in order; applications of Flink 2.3 have their jobs elsewhere.
        let led = map.lease.as_ref().is_some_and(|leader| leader.is_fresh(now));
        if !led || map.has_applications() {
            continue;
        }
        let id = &map.cluster_id;
        for one in maps.iter().filter(|one| one.map.cluster_id == *id && one.namespace == namespace) {
            let MapKind::Job(job) = &one.map.kind else { continue };
            if map.knows(job) || knows(cx, cluster, job) {
                continue;
            }
            cx.report(
                Place::object(one.object),
                format!("{} has the checkpoints of job {job}, which cluster {id} does not have", one.map.name),
            )
            .help(format!(
                "if it is not wanted, with the JobManager scaled to 0: kubectl flink clean-ha {id} -n {namespace} \
                 --job {job} --include-recoverable"
            ))
            .cluster(&cluster.namespace, &cluster.name);
        }
    }
}

/// Flink knows the job. One that has just ended is about to take its ConfigMap along.
fn knows(cx: &Check<'_>, cluster: &Cluster, job: &str) -> bool {
    let Some(member) = cx.model.jobmanager(cluster) else { return false };
    let Known::Present(answer) = cx.find(live::REST, &cluster.namespace, &member.workload.name) else { return false };
    let jobs = cx.object(answer).node.at("/spec/jobs").map(Node::items).unwrap_or_default();
    jobs.iter().any(|one| one.string_at("/jid") == Some(job))
}
