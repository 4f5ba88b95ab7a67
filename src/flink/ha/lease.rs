//! The lease by which JobManagers elect their leader: an annotation on the ConfigMap that they share.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Value, json};

/// The annotation that holds the lease, on every ConfigMap that a leader is elected with (`KubernetesLeaderElector`).
pub const LEADER_ANNOTATION: &str = "control-plane.alpha.kubernetes.io/leader";

/// How long a lease is good for, and how often it is renewed, unless the configuration says otherwise
/// (`KubernetesHighAvailabilityOptions`: lease-duration, retry-period).
pub const DEFAULT_LEASE_DURATION: Duration = Duration::from_secs(15);
/// See [`DEFAULT_LEASE_DURATION`].
pub const DEFAULT_RETRY_PERIOD: Duration = Duration::from_secs(5);

/// Who holds the lease, from [`LEADER_ANNOTATION`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeaderRecord {
    /// The leader's identity: a random UUID for each JobManager process, no pod name. None after a clean release.
    pub holder: Option<String>,
    /// How long the lease is good for after a renewal.
    pub lease_duration: Duration,
    /// When the holder became the leader, by the clock of its node.
    pub acquire_time: Option<Timestamp>,
    /// When the holder last renewed, by the clock of its node.
    pub renew_time: Option<Timestamp>,
    /// How often the leader has changed.
    pub transitions: u64,
}

impl LeaderRecord {
    /// Reads the annotation's value. None where it is not what Flink writes.
    pub fn parse(annotation: &str) -> Option<Self> {
        let record: Value = serde_json::from_str(annotation).ok()?;
        let time = |key: &str| record.get(key)?.as_str()?.parse().ok();
        Some(LeaderRecord {
            holder: record.get("holderIdentity")?.as_str().filter(|holder| !holder.is_empty()).map(str::to_owned),
            lease_duration: lease_duration(record.get("leaseDuration")?)?,
            acquire_time: time("acquireTime"),
            renew_time: time("renewTime"),
            transitions: record.get("leaderTransitions").and_then(Value::as_u64).unwrap_or_default(),
        })
    }

    /// The annotation's value for a holder that takes the lease at `now`, written as the one before wrote it: Flink 1.x
    /// fails on a duration of Flink 2.3 and the other way round.
    pub fn taken_by(holder: &str, now: Timestamp, before: Option<&str>) -> String {
        let before: Value = before.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_default();
        let duration = before.get("leaseDuration").filter(|duration| lease_duration(duration).is_some());
        let transitions = before.get("leaderTransitions").and_then(Value::as_u64).unwrap_or_default();
        // Six digits, as Java's ZonedDateTime is written here.
        let now = format!("{now:.6}");
        json!({
            "holderIdentity": holder,
            "leaseDuration": duration.cloned().unwrap_or_else(|| json!(DEFAULT_LEASE_DURATION.as_secs_f64())),
            "acquireTime": now,
            "renewTime": now,
            "leaderTransitions": transitions + 1,
        })
        .to_string()
    }

    /// How long ago the lease was renewed. Zero where the node's clock is ahead of `now`, None if it never was.
    pub fn age(&self, now: Timestamp) -> Option<Duration> {
        Some(Duration::try_from(now.duration_since(self.renew_time?)).unwrap_or_default())
    }

    /// Whether somebody holds the lease and has renewed it within its duration.
    pub fn is_fresh(&self, now: Timestamp) -> bool {
        self.holder.is_some() && self.age(now).is_some_and(|age| age <= self.lease_duration)
    }
}

/// Flink 1.x writes seconds (`15.000000000`), Flink 2.3 an ISO 8601 duration (`"PT15S"`).
fn lease_duration(value: &Value) -> Option<Duration> {
    match value {
        Value::Number(seconds) => Duration::try_from_secs_f64(seconds.as_f64()?).ok(),
        Value::String(text) => Duration::try_from(text.parse::<SignedDuration>().ok()?).ok(),
        _ => None,
    }
}

/// The lease that a ConfigMap carries.
pub fn leader(map: &ConfigMap) -> Option<LeaderRecord> {
    LeaderRecord::parse(map.metadata.annotations.as_ref()?.get(LEADER_ANNOTATION)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leases_of_both_generations() {
        let old = r#"{"holderIdentity":"c8e02db4","leaseDuration":15.000000000,"acquireTime":"2026-11-20T12:24:04.215229Z","renewTime":"2026-11-20T12:24:09.287668Z","leaderTransitions":3}"#;
        let new = r#"{"holderIdentity":"","leaseDuration":"PT8S","acquireTime":"2026-11-20T12:24:47.810261Z","renewTime":"2026-11-20T12:24:52.916004Z","leaderTransitions":0}"#;
        let parsed = LeaderRecord::parse(old).unwrap();
        assert_eq!(parsed.holder.as_deref(), Some("c8e02db4"));
        assert_eq!((parsed.lease_duration, parsed.transitions), (Duration::from_secs(15), 3));
        let at = |seconds: i64| parsed.renew_time.unwrap() + SignedDuration::from_secs(seconds);
        assert!(parsed.is_fresh(at(15)) && parsed.is_fresh(at(-60)) && !parsed.is_fresh(at(16)));
        let newer = LeaderRecord::parse(new).unwrap();
        assert_eq!((newer.lease_duration, &newer.holder), (Duration::from_secs(8), &None));
        assert!(!newer.is_fresh(newer.renew_time.unwrap()));
        assert_eq!(LeaderRecord::parse("no json"), None);
    }

    #[test]
    fn a_lease_is_written_as_the_one_before_was() {
        let now: Timestamp = "2026-11-20T12:24:52.9Z".parse().unwrap();
        let written = |before| LeaderRecord::taken_by("us", now, before);
        let old = written(Some(r#"{"holderIdentity":"a","leaseDuration":30.000000000,"leaderTransitions":7}"#));
        assert!(old.contains(r#""leaseDuration":30.0"#), "{old}");
        assert!(old.contains(r#""renewTime":"2026-11-20T12:24:52.900000Z""#), "{old}");
        let new = written(Some(r#"{"holderIdentity":"a","leaseDuration":"PT8S"}"#));
        assert!(new.contains(r#""leaseDuration":"PT8S""#), "{new}");
        let first = LeaderRecord::parse(&written(None)).unwrap();
        assert_eq!((first.lease_duration, first.transitions), (DEFAULT_LEASE_DURATION, 1));
        assert_eq!((first.holder.as_deref(), first.renew_time), (Some("us"), Some(now)));
        assert_eq!(LeaderRecord::parse(&old).unwrap().transitions, 8);
    }
}
