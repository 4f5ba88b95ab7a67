//! FLK608: JobManagers run and none of them leads.

use super::pods;
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::flink::ha::{HaMap, cluster_config_map};

rule! {
    /// JobManagers run and none of them leads
    ///
    /// ## Why it matters
    ///
    /// With high availability in ConfigMaps one JobManager holds a lease there and announces its address. Without a leader no job
    /// runs and REST answers everything with 503:
    ///
    /// ```text
    /// Service temporarily unavailable due to an ongoing leader election. Please refresh.
    /// ```
    ///
    /// After a loss the others wait for the lease to run out (15 s by default) before one of them takes over.
    ///
    /// ## Fix
    ///
    /// See the JobManager's log for what the election is waiting for: rights on ConfigMaps, a cluster-id that is no valid name, an
    /// address (`$(POD_IP)`) that nobody reaches. Where an old leader holds the lease and cannot serve, delete its pod.
    FLK608 "no-leader": Runtime Error, reads [Processes, Pods, HaMaps], live, transient
}

fn check(cx: &mut Check<'_>) {
    let Some(now) = cx.snapshot().live.as_ref().map(|live| live.now) else { return };
    let pods = pods(cx);
    for cluster in cx.clusters().iter().filter(|cluster| cluster.has_kubernetes_ha()) {
        let Some(jobmanager) = cx.model.jobmanager(cluster) else { continue };
        let alive: Vec<_> = pods.iter().filter(|pod| pod.member.object == jobmanager.object).collect();
        let Some(id) = cluster.config.value("kubernetes.cluster-id").filter(|_| !alive.is_empty()) else { continue };
        // A container that does not run has a finding of its own.
        let runs = alive.iter().any(|pod| {
            pod.containers().iter().any(|(_, c)| c.state.as_ref().is_some_and(|state| state.running.is_some()))
        });
        let namespace = cluster.config.value("kubernetes.namespace").unwrap_or("default");
        if !runs || namespace != cluster.namespace {
            continue;
        }
        let name = cluster_config_map(id);
        let map = cx.find("ConfigMap", namespace, &name);
        let Some(found) = map.clone().present() else {
            if cx.absent(&map) {
                cx.report(
                    Place::object(jobmanager.object),
                    format!("no JobManager of {} leads: there is no ConfigMap {name}", cluster.name),
                )
                .help("see what the election waits for in the JobManager's log: rights on ConfigMaps, the cluster-id")
                .cluster(&cluster.namespace, &cluster.name);
            }
            continue;
        };
        let Some(read) = cx.object(found).typed().and_then(|map| HaMap::read(&map)) else { continue };
        let lost = match &read.lease {
            None => "nobody ever held the lease".to_owned(),
            Some(record) if record.holder.is_none() => "nobody holds the lease".to_owned(),
            Some(record) if !record.is_fresh(now) => {
                let age = record.age(now).map(|age| age.as_secs()).unwrap_or_default();
                format!("the lease was last renewed {age} s ago, and is for {} s", record.lease_duration.as_secs())
            }
            Some(_) => match &read.rest {
                None => continue,
                Some(address) => {
                    let known = alive.iter().any(|pod| {
                        pod.pod.status.as_ref().and_then(|status| status.pod_ip.as_ref()) == Some(&address.host)
                    });
                    if known {
                        continue;
                    }
                    format!("the address that the leader announced, {}, is that of no JobManager pod", address.host)
                }
            },
        };
        let pointer = "/metadata/annotations/control-plane.alpha.kubernetes.io~1leader";
        cx.report(Place::value(found, pointer), format!("no JobManager of {} leads: {lost}", cluster.name))
            .help("see what the election waits for in the JobManager's log; where a leader that cannot serve holds the lease, delete its pod")
            .symptom("Service temporarily unavailable due to an ongoing leader election. Please refresh.")
            .cluster(&cluster.namespace, &cluster.name);
    }
}
