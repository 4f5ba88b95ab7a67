//! FLK611: TaskManager pods run and Flink does not know them.

use super::{answers, number, pods};
use crate::cluster::workload::is_ready;
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};

rule! {
    /// TaskManager pods run and Flink does not know them
    ///
    /// ## Why it matters
    ///
    /// A pod that is ready is not yet a TaskManager: it has to reach the JobManager's RPC port, with high availability also the HA
    /// ConfigMaps. Until it does its slots do not exist for jobs. Its log repeats one line:
    ///
    /// ```text
    /// Could not resolve ResourceManager address pekko.tcp://flink@flink-jobmanager:6123/user/rpc/resourcemanager_*, retrying in 10000 ms
    /// ```
    ///
    /// ## Fix
    ///
    /// See that the TaskManagers have the same `kubernetes.cluster-id` or `jobmanager.rpc.address` as the JobManager, that a Service of
    /// that name leads to it on port 6123, that no NetworkPolicy stands between them, and that their service account may read
    /// ConfigMaps.
    FLK611 "taskmanagers-not-registered": Runtime Error, reads [Processes, Pods, Rest], live, transient
}

fn check(cx: &mut Check<'_>) {
    let pods = pods(cx);
    for (cluster, jobmanager, answer) in answers(cx) {
        let Some(registered) = number(answer, "/overview/taskmanagers") else { continue };
        let ready = pods.iter().filter(|pod| {
            let of_cluster = cluster.object == pod.cluster.object && pod.member.object != jobmanager.object;
            of_cluster && is_ready(&pod.pod)
        });
        let ready = i64::try_from(ready.count()).unwrap_or(i64::MAX);
        if registered >= ready {
            continue;
        }
        cx.report(
            Place::object(cluster.taskmanagers.first().map_or(jobmanager.object, |number| cx.model.members[*number].object)),
            format!("{ready} TaskManager pods of {} are ready, and Flink knows {registered} of them", cluster.name),
        )
        .help("see why in a TaskManager's log: address, port, cluster-id, NetworkPolicy, rights on ConfigMaps")
        .symptom("Could not resolve ResourceManager address pekko.tcp://flink@...:6123/user/rpc/resourcemanager_*, retrying in 10000 ms")
        .cluster(&cluster.namespace, &cluster.name);
    }
}
