//! FLK609: The leadership changes again and again.

use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::flink::ha::{self, cluster_config_map};

rule! {
    /// The leadership changes again and again
    ///
    /// ## Why it matters
    ///
    /// With each change all jobs are restarted from their last checkpoint. The leader loses its lease when it cannot renew it in time:
    /// the API server is slow, the JobManager gets no CPU, or it collects garbage for longer than the lease lasts.
    ///
    /// ```text
    /// LeaderElector [] - Lost leadership, exiting
    /// ```
    ///
    /// ## Fix
    ///
    /// Give the JobManager its CPU (a limit throttles it), see that the API server answers within a second, and do not set
    /// `high-availability.kubernetes.leader-election.lease-duration` lower than the longest pause.
    FLK609 "leader-changes-often": Runtime Warning, reads [Processes, HaMaps], live
}

/// Fewer changes are no pattern, whatever the time.
const LEAST: u64 = 10;
/// Seconds: on average more often than this.
const EACH: i64 = 3600;

fn check(cx: &mut Check<'_>) {
    let Some(now) = cx.snapshot().live.as_ref().map(|live| live.now) else { return };
    for cluster in cx.clusters().iter().filter(|cluster| cluster.has_kubernetes_ha()) {
        let Some(id) = cluster.config.value("kubernetes.cluster-id") else { continue };
        let namespace = cluster.config.value("kubernetes.namespace").unwrap_or("default");
        let Some(found) = cx.find("ConfigMap", namespace, &cluster_config_map(id)).present() else { continue };
        let Some(map) = cx.object(found).typed::<k8s_openapi::api::core::v1::ConfigMap>() else { continue };
        let Some(created) = map.metadata.creation_timestamp.as_ref().map(|time| time.0) else { continue };
        let Some(leader) = ha::leader(&map) else { continue };
        let seconds = now.duration_since(created).as_secs();
        let often = i64::try_from(leader.transitions).is_ok_and(|changes| changes.saturating_mul(EACH) > seconds);
        if leader.transitions < LEAST || !often {
            continue;
        }
        cx.report(
            Place::value(found, "/metadata/annotations/control-plane.alpha.kubernetes.io~1leader"),
            format!(
                "the leader of {} has changed {} times in {} hours",
                cluster.name,
                leader.transitions,
                seconds / 3600
            ),
        )
        .help(
            "give the JobManager CPU without a limit that throttles it, and the lease more time than its longest pause",
        )
        .cluster(&cluster.namespace, &cluster.name);
    }
}
