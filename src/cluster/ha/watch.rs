//! Whether somebody renews a lease: seen from whether it changes, because clocks differ and a JobManager that was killed
//! leaves a lease that looks fresh.

use std::collections::BTreeMap;
use std::time::Duration;

use futures::StreamExt;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use tokio::time::{Instant, sleep};

use super::HaState;
use super::verdict::Lease;
use crate::cluster::Connection;
use crate::cluster::access::PARALLEL;
use crate::error::Result;
use crate::flink::ha::{DEFAULT_RETRY_PERIOD, LEADER_ANNOTATION};

/// Between two looks, where there are few leases to look at.
const POLL: Duration = Duration::from_secs(1);
/// Of more leases than these only the first and the last look is taken.
const FEW: usize = 16;

/// A ConfigMap with a lease: the state that it belongs to, and its name.
type Place = (usize, String);

/// Watches the leases of several clusters for as long as a living leader would take to renew them, and says of each what
/// it saw. `progress` is told how many seconds are left.
///
/// # Errors
/// A ConfigMap may not be read, or the API server does not answer.
pub(super) async fn watch(
    connection: &Connection,
    states: &[&HaState],
    progress: impl Fn(Duration),
) -> Result<Vec<Lease>> {
    let mut outcome = vec![Lease::None; states.len()];
    let mut places: Vec<Place> = Vec::new();
    let mut longest = Duration::ZERO;
    for (index, state) in states.iter().enumerate() {
        for map in &state.maps {
            let Some(lease) = &map.lease else { continue };
            outcome[index] = Lease::Still(Duration::ZERO);
            // One that was given back needs no patience: whoever takes it changes what is about to be changed.
            if lease.holder.is_some() {
                longest = longest.max(lease.lease_duration + DEFAULT_RETRY_PERIOD);
                places.push((index, map.name.clone()));
            }
        }
    }
    let first = leases(connection, states, &places).await?;
    for (index, _) in &places {
        outcome[*index] = Lease::Still(longest);
    }
    let deadline = Instant::now() + longest;
    while !places.is_empty() && Instant::now() < deadline {
        let left = deadline - Instant::now();
        progress(left);
        sleep(if places.len() > FEW { left } else { left.min(POLL) }).await;
        let now = leases(connection, states, &places).await?;
        for place in &places {
            if now.get(place) != first.get(place) {
                outcome[place.0] = Lease::Renewed(place.1.clone());
            }
        }
        places.retain(|(index, _)| matches!(outcome[*index], Lease::Still(_)));
    }
    Ok(outcome)
}

/// The leases as they are written; none where the ConfigMap has gone, which is a change too.
async fn leases(
    connection: &Connection,
    states: &[&HaState],
    places: &[Place],
) -> Result<BTreeMap<Place, Option<String>>> {
    let get = |place: &Place| {
        let api: Api<ConfigMap> = Api::namespaced(connection.client.clone(), &states[place.0].namespace);
        let place = place.clone();
        async move {
            let map = api.get_metadata_opt(&place.1).await;
            (place, map)
        }
    };
    let mut read = BTreeMap::new();
    let mut answers = futures::stream::iter(places).map(get).buffered(PARALLEL);
    while let Some((place, map)) = answers.next().await {
        let lease = map?.and_then(|map| map.metadata.annotations?.remove(LEADER_ANNOTATION));
        read.insert(place, lease);
    }
    Ok(read)
}
