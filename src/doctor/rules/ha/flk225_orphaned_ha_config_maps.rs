//! FLK225: high-availability data that no cluster goes by any more.

use std::collections::BTreeMap;

use super::{CLUSTER_ID, HaObject, ha_maps, ha_namespace};
use crate::doctor::known::Known;
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::flink::ha::{MapKind, Pointer};
use crate::flink::storage;

rule! {
    /// High-availability data that no cluster goes by any more
    ///
    /// ## Why it matters
    ///
    /// Flink's high-availability ConfigMaps outlive its pods on purpose, and nothing removes them with the Deployments.
    /// The next cluster with this cluster-id recovers the jobs that stand in them: jobs that nobody has submitted to
    /// it, from old checkpoints, or not at all where the files are gone:
    ///
    /// ```text
    /// Could not retrieve submitted JobGraph from state handle under jobGraph-7601318e4ccd7281759507f40830fea9. This indicates that the retrieved state handle is broken. Try cleaning the state handle store.
    /// ```
    ///
    /// ## Fix
    ///
    /// If the jobs are not wanted any more, remove the ConfigMaps: `kubectl flink clean-ha ID -n NAMESPACE` shows what
    /// they are still good for, removes what leads nowhere, and keeps a copy. Jobs that may still be recovered it
    /// removes with `--include-recoverable` only.
    ///
    /// ## When to ignore
    ///
    /// Where the cluster is to come back, as after `kubectl flink down --keep-ha`.
    ///
    /// ## References
    ///
    /// - `KubernetesLeaderElectionHaServices`
    FLK225 "orphaned-ha-config-maps": Ha Warning, reads [Processes, Pods, HaMaps], live
}

/// What may go by a cluster-id.
const USERS: [&str; 5] = ["Deployment", "StatefulSet", "Job", "Pod", "FlinkDeployment"];

fn check(cx: &mut Check<'_>) {
    let Some(now) = cx.snapshot().live.as_ref().map(|live| live.now) else { return };
    let mut all: BTreeMap<(String, String), Vec<HaObject>> = BTreeMap::new();
    for one in ha_maps(cx) {
        all.entry((one.namespace.clone(), one.map.cluster_id.clone())).or_default().push(one);
    }
    for ((namespace, id), maps) in all {
        let Some(first) = maps.iter().find(|one| one.map.kind == MapKind::Cluster).or(maps.first()) else { continue };
        let fresh = |one: &HaObject| one.map.lease.as_ref().is_some_and(|lease| lease.is_fresh(now));
        let kept = |one: &HaObject| one.map.owner.is_some() || one.map.terminating;
        if maps.iter().any(|one| fresh(one) || kept(one)) || is_used(cx, &namespace, &id) {
            continue;
        }
        let jobs = maps.iter().filter(|one| matches!(one.map.kind, MapKind::Job(_))).count();
        let jobs = match jobs {
            0 => String::new(),
            1 => ", with a job".to_owned(),
            jobs => format!(", with {jobs} jobs"),
        };
        let place = Place::object(first.object);
        cx.report(
            place,
            format!(
                "nothing in namespace {namespace} goes by cluster-id {id}, and its \
                                  high-availability data is still there{jobs}"
            ),
        )
        .help(help(&maps, &format!("kubectl flink clean-ha {id} -n {namespace}")))
        .cluster(&namespace, &id);
    }
}

/// What to do, with what the command would say of the data where that is plain.
fn help(maps: &[HaObject], command: &str) -> String {
    let mut pointers = maps.iter().flat_map(|one| &one.map.pointers).peekable();
    let elsewhere = |pointer: &Pointer| pointer.path.as_ref().is_some_and(|path| storage::local_path(path).is_none());
    if pointers.peek().is_none() {
        format!("no job and no checkpoint stands in it, so that nothing is lost: {command}")
    } else if pointers.any(elsewhere) {
        format!("its jobs may still be recovered; to give them up: {command} --include-recoverable")
    } else {
        format!("{command} shows whether its jobs may still be recovered, and removes what leads nowhere")
    }
}

/// Something goes by this cluster-id, or that cannot be told. What is scaled to 0 counts.
fn is_used(cx: &mut Check<'_>, namespace: &str, id: &str) -> bool {
    if !USERS.iter().all(|kind| cx.has_all(kind, namespace)) {
        return true;
    }
    if let Known::Present(_) = cx.find("FlinkDeployment", namespace, id) {
        return true;
    }
    for member in &cx.model.members {
        let own = member.workload.namespace();
        // Without the option it is the namespace `default`.
        let there = ha_namespace(&member.config, own) == namespace || own == namespace;
        match member.config.known(&[CLUSTER_ID]) {
            Known::Present(entry) if there && (entry.value == id || !entry.is_literal()) => return true,
            Known::Unknown(why) if own == namespace => {
                cx.unknown(why);
                return true;
            }
            _ => {}
        }
    }
    false
}
