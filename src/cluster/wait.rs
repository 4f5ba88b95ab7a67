//! Waits until a Flink cluster serves: its pods are there, it has a leader, and Flink itself says so.
//!
//! Each stage trusts nothing that the one before it may have left behind: a Deployment can be complete with a former
//! leader's address in the HA ConfigMap, and a leader can be elected with no TaskManager registered.

mod observe;

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;
use tokio::time::{Instant, sleep, timeout};

use self::observe::{Deployed, Leader, Lease, Look, Observation};
use crate::cluster::Connection;
use crate::cluster::diagnose::{self, HaPlace, Problem};
use crate::cluster::flink_rest::{FlinkRest, RestError};
use crate::cluster::workload::rollout;
use crate::error::{Error, Result};
use crate::flink::rest::Overview;
use crate::output::{Step, Ui};

/// Between two looks. A look takes about five requests, which a server answers from memory.
const POLL: Duration = Duration::from_millis(300);
/// How long one look may take before the server counts as unreachable.
const LOOK: Duration = Duration::from_secs(10);
/// Between two diagnoses: while a status shows a problem, and while merely nothing happens.
const DIAGNOSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(3));
/// What was wrong before this wait began may be what has just been mended: pods get this long to show it.
const INHERITED: Duration = Duration::from_secs(15);

/// What to wait for.
#[derive(Debug, Clone)]
pub struct Target {
    /// Where the Deployments are.
    pub namespace: String,
    /// Flink's `kubernetes.cluster-id`; None for a cluster without high availability, which has one JobManager.
    pub cluster_id: Option<String>,
    /// The JobManager's Deployment.
    pub jobmanager: String,
    /// The TaskManagers' Deployment; None where Flink itself starts TaskManagers when a job needs them.
    pub taskmanager: Option<String>,
    /// Slots of each TaskManager (`taskmanager.numberOfTaskSlots`); None where that is not known.
    pub slots: Option<u32>,
}

/// A cluster that serves.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Serving {
    /// The leader's pod.
    pub leader: String,
    /// TaskManagers that are registered with it.
    pub taskmanagers: u32,
    /// Slots of all of them.
    pub slots: u32,
    /// Flink's version, as the leader says.
    pub flink_version: String,
    /// Everything was compared with what is wanted; false where the number of slots or TaskManagers was not known.
    pub verified: bool,
}

/// Waits until the cluster serves, and shows each stage as a step.
///
/// # Errors
/// Unhealthy: something is wrong that does not go away by itself, or the time is over; the message says what is missing.
/// Could not run: the API server is out of reach when the time is over, or the outcome may not be verified with the
/// rights that the user has.
pub async fn until_serving(connection: &Connection, ui: &Ui, target: &Target, timeout: Duration) -> Result<Serving> {
    let mut wait = Wait::new(connection, target, timeout);

    let step = ui.step("waiting for the pods");
    let pods = wait.until(&step, async |seen| Ok(seen.rolled_out())).await;
    ended(step, pods, |pods| format!("{pods} ready"))?;

    let mut lease = Lease::default();
    if target.cluster_id.is_some() {
        let step = ui.step("waiting for a leader");
        let leader = wait.until(&step, async |seen| seen.leader(&mut lease)).await;
        ended(step, leader, |leader| format!("{} leads", leader.pod))?;
    }

    let step = ui.step("waiting for Flink");
    let mut flink = Flink { connection, target, open: None };
    let serving = wait
        .until(&step, async |seen| {
            // Either may be lost again while Flink gathers its TaskManagers.
            if let Look::Missing(what) = seen.rolled_out() {
                return Ok(Look::Missing(what));
            }
            match seen.leader(&mut lease)? {
                Look::Missing(what) => Ok(Look::Missing(what)),
                Look::Found(leader) => flink.serves(&leader, seen.desired_taskmanagers()).await,
            }
        })
        .await;
    ended(step, serving, |serving| {
        let Serving { flink_version, taskmanagers, slots, .. } = serving;
        let plural = |count: &u32| if *count == 1 { "" } else { "s" };
        let (s, of_slots) = (plural(taskmanagers), plural(slots));
        format!("Flink {flink_version} serves: {taskmanagers} TaskManager{s}, {slots} slot{of_slots}")
    })
}

/// Ends a step as its result is.
fn ended<T>(step: Step, result: Result<T>, outcome: impl FnOnce(&T) -> String) -> Result<T> {
    match &result {
        Ok(found) => step.done(outcome(found)),
        Err(_) => step.failed(),
    }
    result
}

/// The outcome is there and could not be looked at.
fn not_verified(cause: &Error) -> Error {
    let mut error = Error::could_not_run(format!("applied and rolled out, but not verified: {}", cause.message));
    error.hints.clone_from(&cause.hints);
    error
}

/// The state of one wait.
struct Wait<'a> {
    connection: &'a Connection,
    target: &'a Target,
    timeout: Duration,
    started: Instant,
    /// Why the server was not reached the last time.
    unreachable: Option<Error>,
    diagnosed: Option<Instant>,
    /// What is wrong now.
    problems: Vec<Problem>,
    /// Since when, and from when on it is believed, by object and reason.
    standing: BTreeMap<(String, String), Instant>,
    first_look: bool,
}

impl<'a> Wait<'a> {
    fn new(connection: &'a Connection, target: &'a Target, timeout: Duration) -> Self {
        Wait {
            connection,
            target,
            timeout,
            started: Instant::now(),
            unreachable: None,
            diagnosed: None,
            problems: Vec::new(),
            standing: BTreeMap::new(),
            first_look: true,
        }
    }

    /// Looks again and again until `check` finds what it waits for.
    async fn until<T>(
        &mut self,
        step: &Step,
        mut check: impl AsyncFnMut(&Observation) -> Result<Look<T>>,
    ) -> Result<T> {
        loop {
            let bound = self.left().clamp(Duration::from_secs(1), LOOK);
            let look = Box::pin(Observation::take(self.connection, self.target));
            let missing = match timeout(bound, look).await {
                Ok(Ok(seen)) => {
                    self.unreachable = None;
                    match check(&seen).await? {
                        Look::Found(found) => return Ok(found),
                        Look::Missing(what) => {
                            Box::pin(self.diagnose(&seen)).await?;
                            self.first_look = false;
                            what
                        }
                    }
                }
                Ok(Err(error)) if is_transient(&error) => self.out_of_reach(error.into()),
                Ok(Err(error)) => return Err(error.into()),
                Err(_) => self.out_of_reach(Error::could_not_run("the API server does not answer")),
            };
            step.progress(&missing);
            if self.left().is_zero() {
                return Err(self.out_of_time(&missing));
            }
            sleep(POLL.min(self.left())).await;
        }
    }

    fn left(&self) -> Duration {
        self.timeout.saturating_sub(self.started.elapsed())
    }

    fn out_of_reach(&mut self, error: Error) -> String {
        let what = format!("the API server, which is out of reach ({})", error.message);
        self.unreachable = Some(error);
        // Controllers were as blind as we were: what they say first is not what they will say.
        self.standing.clear();
        what
    }

    /// Ends the wait where something is wrong for good.
    async fn diagnose(&mut self, seen: &Observation) -> Result<()> {
        let unfinished = || seen.workloads().filter(|w| w.is_observed() && rollout(&w.deployment).is_some());
        let suspicious = unfinished().any(|w| diagnose::suspicious(&w.deployment, &w.pods));
        let interval = if suspicious { DIAGNOSE.0 } else { DIAGNOSE.1 };
        // What shows in a status is looked into at once; that nothing happens says little in the first seconds.
        let due = self.diagnosed.map_or(suspicious, |last| last.elapsed() >= interval)
            || (self.diagnosed.is_none() && self.started.elapsed() >= interval);
        if !due {
            return Ok(());
        }
        self.diagnosed = Some(Instant::now());
        self.problems.clear();
        for workload in unfinished() {
            let namespace = &self.target.namespace;
            let ha = HaPlace { namespace, cluster_id: self.target.cluster_id.as_deref() };
            let found = diagnose::problems(self.connection, namespace, ha, &workload.deployment, &workload.pods).await;
            self.problems.extend(found);
        }
        // Pods that are being replaced still count against quotas and nodes.
        if seen.workloads().any(Deployed::is_replacing) {
            for problem in self.problems.iter_mut().filter(|problem| problem.lacks_room()) {
                problem.terminal = false;
            }
        }
        let believed = self.believed();
        let Some(worst) = believed else { return Ok(()) };
        let problem = self.problems.remove(worst);
        let mut error = Error::unhealthy(problem.to_string());
        if !problem.hint.is_empty() {
            error = error.hint(problem.hint.clone());
        }
        // One pod stands for all that have the same.
        let others = distinct(self.problems.iter().filter(|other| other.terminal && other.reason != problem.reason));
        Err(others.into_iter().fold(error, |error, other| error.hint(format!("also: {other}"))))
    }

    /// The index of a problem that has stood for long enough. Keeps account of what stands since when.
    fn believed(&mut self) -> Option<usize> {
        let now = Instant::now();
        let key = |problem: &Problem| (problem.object.clone(), problem.reason.clone());
        let before = std::mem::take(&mut self.standing);
        for problem in self.problems.iter().filter(|problem| problem.terminal) {
            let grace = if self.first_look { problem.grace.max(INHERITED) } else { problem.grace };
            let from = before.get(&key(problem)).copied().unwrap_or(now + grace);
            self.standing.insert(key(problem), from);
        }
        self.problems.iter().position(|problem| self.standing.get(&key(problem)).is_some_and(|from| *from <= now))
    }

    fn out_of_time(&self, missing: &str) -> Error {
        let after = SignedDuration::try_from(self.timeout).unwrap_or(SignedDuration::MAX);
        if let Some(cause) = &self.unreachable {
            let mut error = Error::could_not_run(format!("gave up after {after:#}: {}", cause.message));
            error.hints.clone_from(&cause.hints);
            return error;
        }
        let error = Error::unhealthy(format!("not serving after {after:#}: still waiting for {missing}"));
        distinct(self.problems.iter()).into_iter().fold(error, |error, problem| {
            let error = error.hint(problem.to_string());
            if problem.hint.is_empty() { error } else { error.hint(problem.hint.clone()) }
        })
    }
}

/// The first three problems of different reasons.
fn distinct<'p>(problems: impl Iterator<Item = &'p Problem>) -> Vec<&'p Problem> {
    let mut distinct: Vec<&Problem> = Vec::new();
    for problem in problems {
        if distinct.len() < 3 && distinct.iter().all(|other| other.reason != problem.reason) {
            distinct.push(problem);
        }
    }
    distinct
}

/// What an API server that restarts, or a network that hiccups, gives. A refusal stays one.
pub(super) fn is_transient(error: &kube::Error) -> bool {
    match error {
        kube::Error::Api(status) => status.code >= 500 || status.code == 429,
        kube::Error::HyperError(_) | kube::Error::Service(_) => true,
        _ => false,
    }
}

/// The leader's REST API, kept open between looks.
struct Flink<'a> {
    connection: &'a Connection,
    target: &'a Target,
    /// With the pod that it belongs to.
    open: Option<(String, FlinkRest)>,
}

impl Flink<'_> {
    /// Whether the leader has the TaskManagers that it should have.
    async fn serves(&mut self, leader: &Leader, desired: Option<u32>) -> Result<Look<Serving>> {
        if leader.address.tls {
            let tls = Error::could_not_run("Flink's REST API is served over TLS, which is not supported");
            return Err(not_verified(&tls));
        }
        let overview = match self.overview(leader).await {
            Ok(overview) => overview,
            Err(error @ RestError::Forbidden { .. }) => return Err(not_verified(&error.into())),
            Err(error) => {
                self.open = None;
                return Ok(Look::Missing(format!("Flink's REST API: {error}")));
            }
        };
        let Overview { taskmanagers, slots_total, flink_version, .. } = overview;
        let desired_slots = desired.zip(self.target.slots).map(|(taskmanagers, slots)| taskmanagers * slots);
        if let Some(desired) = desired.filter(|desired| *desired != taskmanagers) {
            // More than desired: one that died without a word is missed only after heartbeat.timeout.
            return Ok(Look::Missing(format!("TaskManagers to register ({taskmanagers} of {desired})")));
        }
        if let Some(desired) = desired_slots.filter(|desired| *desired != slots_total) {
            return Ok(Look::Missing(format!("slots ({slots_total} of {desired})")));
        }
        Ok(Look::Found(Serving {
            leader: leader.pod.clone(),
            taskmanagers,
            slots: slots_total,
            flink_version,
            verified: desired_slots.is_some(),
        }))
    }

    async fn overview(&mut self, leader: &Leader) -> Result<Overview, RestError> {
        let mut rest = match self.open.take() {
            Some((pod, rest)) if pod == leader.pod => rest,
            _ => {
                let namespace = &self.target.namespace;
                FlinkRest::try_open(self.connection, namespace, &leader.pod, leader.address.port).await?
            }
        };
        let overview = rest.request(http::Method::GET, "/overview", None).await;
        self.open = Some((leader.pod.clone(), rest));
        overview
    }
}

#[cfg(test)]
#[path = "wait/tests.rs"]
mod tests;
