//! `clean-ha` against JobManagers that start: whoever is first has all of a job, and the other nothing of it.
//!
//! `KUBECTL_FLINK_RACES` says how many races are run (`cargo xtask soak`: a thousand).

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;
use std::time::Duration;

use futures::StreamExt;
use http::{HeaderValue, Request, header};
use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::api::PostParams;
use kube::client::Body;
use kube::{Api, Client};
use kubectl_flink::cluster::Connection;
use kubectl_flink::cluster::discover::Scope;
use kubectl_flink::cluster::ha::removal::{Removal, Removed, remove};
use kubectl_flink::cluster::ha::verdict::{Situation, Verdict};
use kubectl_flink::cluster::ha::{Look, Record, record, situations, state_of};
use kubectl_flink::flink::ha::MapKind;
use kubectl_flink::flink::storage::Storage;
use tokio::time::{Instant, sleep};

use crate::elector::{Elector, Era, Life};
use crate::support::{Needs, PATIENCE, Test};

const RACES: &str = "KUBECTL_FLINK_RACES";
/// Races that are run at once: most of the time of each is spent in watching a lease.
const SIDE_BY_SIDE: usize = 30;
const LOCAL: &str = "file:/opt/flink/ha/default";
const REMOTE: &str = "s3://flink/ha/default";

/// Numbers that look random (splitmix64). The seed of a race that went wrong is printed.
#[derive(Clone)]
struct Random(Rc<Cell<u64>>);

impl Random {
    fn new(seed: u64) -> Self {
        Random(Rc::new(Cell::new(seed)))
    }

    fn below(&self, end: u64) -> u64 {
        self.0.set(self.0.get().wrapping_add(0x9e37_79b9_7f4a_7c15));
        let mut x = self.0.get();
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (x ^ (x >> 31)) % end
    }

    fn of<T: Copy>(&self, all: &[T]) -> T {
        all[usize::try_from(self.below(all.len() as u64)).unwrap()]
    }

    fn millis(&self, end: u64) -> Duration {
        Duration::from_millis(self.below(end))
    }
}

/// The same connection, over which each request takes up to so many milliseconds longer, to a server whose clock is so much
/// ahead.
fn delayed(connection: &Connection, seed: u64, millis: u64, ahead: SignedDuration) -> Connection {
    let inner = connection.client.clone();
    let count = std::sync::atomic::AtomicU64::new(0);
    let service = tower::service_fn(move |request: Request<Body>| {
        let inner = inner.clone();
        let number = count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let delay = Random::new(seed ^ (number << 32)).millis(millis);
        async move {
            sleep(delay / 2).await;
            let mut answer = inner.send(request).await?;
            sleep(delay / 2).await;
            let date =
                jiff::fmt::rfc2822::DateTimePrinter::new().timestamp_to_rfc9110_string(&(Timestamp::now() + ahead));
            if let Some(date) = date.ok().and_then(|date| HeaderValue::from_str(&date).ok()) {
                answer.headers_mut().insert(header::DATE, date);
            }
            Ok::<_, kube::Error>(answer)
        }
    });
    Connection { client: Client::new(service, connection.namespace.clone()), ..connection.clone() }
}

pub fn look(connection: &Connection, id: &str) -> Look {
    Look { scope: Scope::Namespace(connection.namespace.clone()), cluster_id: Some(id.to_owned()) }
}

/// Makes what a cluster has left. What was in its pods is recorded as `down` does it.
pub async fn leave(connection: &Connection, era: Era, id: &str, jobs: &BTreeMap<String, String>) {
    let api: Api<ConfigMap> = Api::namespaced(connection.client.clone(), &connection.namespace);
    for map in era.left_by(id, jobs) {
        api.create(&PostParams::default(), &map).await.unwrap();
    }
    if jobs.values().any(|storage| storage == LOCAL) {
        let state = state_of(connection, &connection.namespace, id).await.unwrap();
        let record = Record { storage: Storage::PodLocal, dir: Some(LOCAL.to_owned()) };
        record::leave(connection, &state, &record).await.unwrap();
    }
}

/// What `clean-ha` removes of it: everything up to this verdict.
pub fn removal(situation: &Situation, most: Verdict) -> Removal<'_> {
    let judgement = situation.judge();
    let jobs = judgement.jobs.iter().filter(|(_, judged)| judged.verdict <= most).map(|(id, _)| id.clone()).collect();
    let mut shared = (situation.state.maps.iter().zip(&judgement.maps))
        .filter(|(map, _)| !matches!(map.kind, MapKind::Job(_)))
        .peekable();
    let whole = shared.peek().is_some() && shared.all(|(_, judged)| judged.verdict <= most);
    Removal { situation, jobs, whole }
}

/// Who was first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Outcome {
    /// The JobManager led before anything was to be removed.
    SeenAlive,
    /// The JobManager came in between, and nothing was removed.
    JobManager,
    /// The JobManager came when a part was done.
    InBetween,
    /// All was removed.
    CleanHa,
}

/// One race; what went wrong, in words.
async fn race(connection: &Connection, number: u64, seed: u64) -> Result<Outcome, Vec<String>> {
    let random = Random::new(seed);
    let era = random.of(&Era::ALL);
    let id = format!("race-{number}");
    // The JobManager's clock or the API server's is ahead or behind. This program's own has no say in anything.
    let clocks = [(-600, 0), (0, -600), (0, 0), (0, 600), (600, 0)];
    let (ahead, shifted) = random.of(&clocks);
    let (ahead, shifted) = (SignedDuration::from_secs(ahead), SignedDuration::from_secs(shifted));
    // Three jobs, or an application of its own.
    let application = random.below(4) == 0;
    let dead = [LOCAL, LOCAL, LOCAL];
    let storages = random.of(&[dead, [LOCAL, REMOTE, LOCAL], [REMOTE, REMOTE, REMOTE]]);
    let count = if application { 1 } else { 3 };
    let jobs: BTreeMap<String, String> =
        (0..count).map(|job| (format!("{:016x}{number:016x}", 0xabc0 + job), storages[job].to_owned())).collect();
    let most = if storages == dead { Verdict::Dead } else { random.of(&[Verdict::Dead, Verdict::Recoverable]) };
    leave(connection, era, &id, &jobs).await;

    let plain = delayed(connection, seed ^ 1, 20, SignedDuration::ZERO);
    let slow = delayed(connection, seed ^ 2, 100, shifted);
    let elector = Elector {
        api: Api::namespaced(plain.client.clone(), &connection.namespace),
        id: id.clone(),
        era,
        ahead,
        application: jobs.keys().next().filter(|_| application).cloned(),
    };
    let looked = Rc::new(Cell::new(false));
    let cleaned = Rc::new(Cell::new(None::<Instant>));
    let early = random.below(5) == 0;
    let start = if early { random.millis(6000) } else { random.millis(700) };
    let jobmanager = async {
        while !early && !looked.get() {
            sleep(Duration::from_millis(5)).await;
        }
        sleep(start).await;
        let born = Instant::now();
        // For some renewals after all is over.
        elector
            .live(|life| {
                let over = cleaned.get().is_some_and(|at| at.elapsed() > Duration::from_millis(1500));
                (over && life.led.is_some()) || born.elapsed() > PATIENCE / 4
            })
            .await
    };
    let clean_ha = async {
        let found = situations(&slow, &look(&slow, &id), |_| {}).await.unwrap();
        looked.set(true);
        let situation = &found.situations[0];
        let removal = removal(situation, most);
        let live = situation.live().is_some();
        let chosen = (removal.jobs.clone(), removal.whole);
        let deadline = Instant::now() + PATIENCE;
        let mut removed = Removed::default();
        let outcome = match live || removal.jobs.is_empty() {
            true => None,
            false => Some(remove(&slow, &removal, None, deadline, |_| {}, &mut removed).await),
        };
        cleaned.set(Some(Instant::now()));
        (live, chosen, outcome, removed)
    };
    let (life, (live, (chosen, whole), outcome, removed)) = futures::join!(jobmanager, clean_ha);

    let Life { led, started, mut wrong } = life;
    if led.is_none() && wrong.is_empty() {
        wrong.push("the JobManager never led".to_owned());
    }
    let untouched = |job: &&String| !chosen.contains(*job);
    let kept: BTreeSet<&String> = match &outcome {
        None => jobs.keys().collect(),
        Some(Err(_)) if removed.is_empty() => jobs.keys().collect(),
        Some(_) => jobs.keys().filter(untouched).collect(),
    };
    for job in kept {
        if wrong.is_empty() && started.get(job) != Some(&2) {
            wrong.push(format!("job {job}, which was to stay, was started with {:?} checkpoints", started.get(job)));
        }
    }
    if let Some(Err(error)) = &outcome
        && error.message.starts_with("nothing was removed") != removed.is_empty()
    {
        wrong.push(format!("it says {:?}, and removed {removed:?}", error.message));
    }
    // Clocks have no say in verdicts.
    let expected: BTreeSet<&String> = jobs
        .iter()
        .filter(|(_, storage)| most >= Verdict::Recoverable || *storage == LOCAL)
        .map(|(job, _)| job)
        .collect();
    if !early && (live || chosen.iter().collect::<BTreeSet<_>>() != expected) {
        wrong.push(format!("{chosen:?} were chosen and not {expected:?}; live: {live}"));
    }
    let result = match &outcome {
        None => Outcome::SeenAlive,
        Some(Ok(_)) => Outcome::CleanHa,
        Some(Err(_)) if removed.is_empty() => Outcome::JobManager,
        Some(Err(_)) => Outcome::InBetween,
    };
    if wrong.is_empty() {
        return Ok(result);
    }
    wrong.insert(
        0,
        format!(
            "race {number} of seed {seed:#x}: {era:?}, clock {ahead:#}, date {shifted:#}, application {application}, \
             {storages:?}, up to {most}, whole {whole}, {result:?}: {outcome:?}"
        ),
    );
    Err(wrong)
}

#[test]
fn whoever_is_first_has_all_of_a_job() {
    let Some(test) = Test::begin("whoever_is_first_has_all_of_a_job", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    let races = std::env::var(RACES).ok().and_then(|text| text.parse().ok()).unwrap_or(30);
    let seed = u64::try_from(Timestamp::now().as_millisecond()).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let outcomes: Vec<_> = runtime.block_on(async {
        let connection = test.connection_args().connect().await.unwrap();
        let connection = &connection;
        let all = (0..races).map(|number| async move {
            let outcome = race(connection, number, seed.wrapping_mul(number + 1)).await;
            let api: Api<ConfigMap> = Api::namespaced(connection.client.clone(), &connection.namespace);
            let rest = kube::api::ListParams::default().labels(&format!("app=race-{number}"));
            api.delete_collection(&kube::api::DeleteParams::default(), &rest).await.unwrap();
            outcome
        });
        futures::stream::iter(all).buffer_unordered(SIDE_BY_SIDE).collect().await
    });
    let mut counts: BTreeMap<Outcome, u32> = BTreeMap::new();
    let mut wrong = Vec::new();
    for outcome in outcomes {
        match outcome {
            Ok(outcome) => *counts.entry(outcome).or_default() += 1,
            Err(text) => wrong.push(text.join("\n    ")),
        }
    }
    test.announce(&format!("{races} races: {counts:?}, {} went wrong", wrong.len()));
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    // Else it was no race.
    let both = [Outcome::JobManager, Outcome::CleanHa].iter().all(|outcome| counts.contains_key(outcome));
    assert!(both, "{counts:?}");
}
