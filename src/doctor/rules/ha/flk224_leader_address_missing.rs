//! FLK224: a leader that has not announced its address.

use super::{HaObject, cluster_map};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};

rule! {
    /// A leader that has not announced its address
    ///
    /// ## Why it matters
    ///
    /// The leader writes its addresses into the high-availability ConfigMap. While it holds the lease and its REST
    /// address is not there, clients and standbys do not find it:
    ///
    /// ```text
    /// Service temporarily unavailable due to an ongoing leader election. Please refresh.
    /// ```
    ///
    /// ## Fix
    ///
    /// Wait a minute: a new leader writes it when it is ready. If it stays away, restart the JobManager.
    ///
    /// ## References
    ///
    /// - <https://issues.apache.org/jira/browse/FLINK-40114>
    FLK224 "leader-address-missing": Ha Info, reads [Processes, HaMaps], live, transient
}

fn check(cx: &mut Check<'_>) {
    let Some(now) = cx.snapshot().live.as_ref().map(|live| live.now) else { return };
    for cluster in cx.clusters() {
        let Some(HaObject { object, map, .. }) = cluster_map(cx, cluster) else { continue };
        let Some(leader) = map.lease.filter(|leader| leader.is_fresh(now)) else { continue };
        let settled = leader.acquire_time.is_some_and(|since| now.duration_since(since).as_secs() > 30);
        if settled && map.rest.is_none() {
            cx.report(Place::object(object), "the leader holds the lease and has not written its REST address")
                .help("restart the JobManager if it stays so")
                .cluster(&cluster.namespace, &cluster.name);
        }
    }
}
