//! One pod from its creation to its end, whatever comes between.

use std::time::Duration;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{ContainerStateTerminated, ContainerStatus, Pod};
use kube::Api;
use kube::api::{DeleteParams, LogParams, PostParams};
use tokio::time::{Instant, sleep};

use super::answer::{self, Answer};
use super::pod::{self, CONTAINER, Task};
use super::{namespace, random};
use crate::cluster::access::is_forbidden;
use crate::cluster::diagnose::{self, Problem};
use crate::cluster::wait::is_transient;
use crate::cluster::workload::Workload;
use crate::cluster::{Connection, FIELD_MANAGER, cleanup};
use crate::error::{Error, Result};

/// Between two looks at the pod.
const POLL: Duration = Duration::from_millis(300);
/// Between two looks for what keeps it from starting.
const DIAGNOSE: Duration = Duration::from_secs(1);
/// How long its end may take, with what it has to delete.
const END: Duration = Duration::from_secs(25);

/// A pod that looks. Dropped, it is deleted.
pub(super) struct Probe<'a> {
    connection: &'a Connection,
    namespace: String,
    api: Api<Pod>,
    name: String,
    /// How many paths it has.
    count: usize,
    started: Instant,
    deadline: Instant,
    answers: Vec<(usize, Answer)>,
    /// The log may not be read: the termination message has to do.
    no_log: bool,
    deleted: bool,
}

/// What a pod has said.
pub(super) struct Heard {
    /// The number of a path, and the answer.
    pub answers: Vec<(usize, Answer)>,
    /// Why there are no more.
    pub why: String,
}

impl<'a> Probe<'a> {
    /// Creates the pod. Its name is ours and not the server's to choose: it is deleted by it even where the answer to its
    /// creation was never read.
    ///
    /// # Errors
    /// The server's, which says why a pod is refused.
    pub(super) async fn start(
        connection: &'a Connection,
        workload: &Workload,
        task: &Task<'_>,
        deadline: Instant,
    ) -> Result<Self> {
        let name = format!("kubectl-flink-probe-{}", random());
        let pod = pod::pod(workload, &name, task)
            .ok_or_else(|| Error::could_not_run(format!("{} has no container that runs Flink", workload.name)))?;
        let namespace = namespace(connection, workload).to_owned();
        let api: Api<Pod> = Api::namespaced(connection.client.clone(), &namespace);
        let count = task.own.len() + task.others.len();
        let mut probe = Probe {
            connection,
            namespace,
            api,
            name,
            count,
            started: Instant::now(),
            deadline,
            answers: Vec::new(),
            no_log: false,
            deleted: false,
        };
        let params = PostParams { dry_run: false, field_manager: Some(FIELD_MANAGER.to_owned()) };
        if let Err(error) = probe.api.create(&params, &pod).await {
            // What was refused is not there; of anything else that is not known.
            probe.deleted = matches!(error, kube::Error::Api(_));
            let what = format!("creating a pod like those of {}/{}", workload.kind.to_lowercase(), workload.name);
            return Err(Error::from(error).context(what));
        }
        Ok(probe)
    }

    /// Waits until the answers are `enough`, the pod has ended or cannot start, or the time is over.
    ///
    /// # Errors
    /// The server's.
    pub(super) async fn hear(
        &mut self,
        enough: impl Fn(&[(usize, Answer)]) -> bool,
        progress: impl Fn(&str),
    ) -> Result<Heard> {
        let (mut diagnosed, mut standing): (Option<Instant>, Option<(String, Instant)>) = (None, None);
        let (mut problem, mut runs): (Option<Problem>, bool) = (None, false);
        let why = loop {
            let late = Instant::now() >= self.deadline;
            match self.api.get_opt(&self.name).await {
                Ok(None) => break format!("pod/{} has gone: someone has deleted it", self.name),
                Ok(Some(pod)) => {
                    self.read(&pod).await;
                    if enough(&self.answers) {
                        break String::new();
                    }
                    if let Some(end) = terminated(&pod) {
                        break format!("pod/{} has ended without an answer ({})", self.name, describe(end));
                    }
                    runs = is_running(&pod);
                    if runs {
                        problem = None;
                        progress("the pod runs");
                    } else if diagnosed.is_none_or(|last| last.elapsed() >= DIAGNOSE) {
                        diagnosed = Some(Instant::now());
                        if let Some(why) = failed(&pod) {
                            break format!("pod/{}: {why}", self.name);
                        }
                        problem = diagnose::of_pod(self.connection, &self.namespace, &pod).await.into_iter().next();
                        match &problem {
                            None => progress("the pod starts"),
                            Some(problem) => progress(&problem.to_string()),
                        }
                    }
                }
                Err(error) if is_transient(&error) && !late => {}
                Err(error) => return Err(error.into()),
            }
            if let Some(found) = problem.as_ref().filter(|problem| problem.terminal) {
                let since = match standing.take().filter(|(reason, _)| *reason == found.reason) {
                    Some((_, since)) => since,
                    None => Instant::now(),
                };
                standing = Some((found.reason.clone(), since));
                if since.elapsed() >= found.grace {
                    break found.to_string();
                }
            }
            if late {
                let took = SignedDuration::from_secs(self.started.elapsed().as_secs().try_into().unwrap_or(i64::MAX));
                break match &problem {
                    Some(problem) => format!("no answer within {took:#}: {problem}"),
                    None if runs => format!("the storage has not answered within {took:#}"),
                    None => format!("the pod has not started within {took:#}"),
                };
            }
            sleep(POLL).await;
        };
        Ok(Heard { answers: self.answers.clone(), why })
    }

    /// Reads what the pod has said by now.
    async fn read(&mut self, pod: &Pod) {
        let mut text = None;
        if !self.no_log && (is_running(pod) || terminated(pod).is_some()) {
            let params = LogParams { container: Some(CONTAINER.to_owned()), ..LogParams::default() };
            match self.api.logs(&self.name, &params).await {
                Ok(log) => text = Some(log),
                Err(error) if is_forbidden(&error) => self.no_log = true,
                // The next look has it, or the termination message.
                Err(_) => {}
            }
        }
        let message = || terminated(pod).and_then(|end| end.message.clone());
        let found = answer::parse(&text.or_else(message).unwrap_or_default(), self.count);
        if found.len() > self.answers.len() {
            self.answers = found;
        }
    }

    /// Deletes the pod; does not wait until it is gone.
    pub(super) async fn delete(&mut self) {
        self.deleted = self.api.delete(&self.name, &DeleteParams::default()).await.is_ok()
            || matches!(self.api.get_opt(&self.name).await, Ok(None));
    }

    /// Deletes the pod, and gives what it has said until it was gone.
    pub(super) async fn end(mut self) -> Vec<(usize, Answer)> {
        self.delete().await;
        let deadline = Instant::now() + END;
        while Instant::now() < deadline {
            let Ok(Some(pod)) = self.api.get_opt(&self.name).await else { break };
            self.read(&pod).await;
            if terminated(&pod).is_some() {
                break;
            }
            sleep(POLL).await;
        }
        std::mem::take(&mut self.answers)
    }
}

impl Drop for Probe<'_> {
    fn drop(&mut self) {
        if self.deleted {
            return;
        }
        let (api, name) = (self.api.clone(), self.name.clone());
        cleanup::begin(async move {
            // Not found is no end: its creation may be under way.
            for _ in 0..5 {
                if api.delete(&name, &DeleteParams::default()).await.is_ok() {
                    return;
                }
                sleep(POLL).await;
            }
        });
    }
}

fn status(pod: &Pod) -> Option<&ContainerStatus> {
    let mut all = pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
    all.find(|status| status.name == CONTAINER)
}

fn terminated(pod: &Pod) -> Option<&ContainerStateTerminated> {
    status(pod)?.state.as_ref()?.terminated.as_ref()
}

fn is_running(pod: &Pod) -> bool {
    status(pod).is_some_and(|status| status.state.as_ref().is_some_and(|state| state.running.is_some()))
}

/// Why it will not start any more: an init container has failed, or the kubelet has given it up.
fn failed(pod: &Pod) -> Option<String> {
    let status = pod.status.as_ref().filter(|status| status.phase.as_deref() == Some("Failed"))?;
    let init = status.init_container_statuses.iter().flatten().find_map(|status| {
        let end = status.state.as_ref()?.terminated.as_ref().filter(|end| end.exit_code != 0)?;
        Some(format!("init container {} has failed ({})", status.name, describe(end)))
    });
    Some(init.unwrap_or_else(|| {
        let reason = status.reason.as_deref().unwrap_or("Failed");
        status.message.as_ref().map_or_else(|| reason.to_owned(), |message| format!("{reason}: {message}"))
    }))
}

/// `OOMKilled, exit code 137`.
fn describe(end: &ContainerStateTerminated) -> String {
    let reason = end.reason.as_deref().filter(|reason| !matches!(*reason, "Error" | "Completed"));
    let reason = reason.map(|reason| format!("{reason}, ")).unwrap_or_default();
    // The runtime's own words where the process could not be started.
    let message = end.message.as_deref().filter(|_| !reason.is_empty() && end.exit_code >= 126);
    let message = message.map(|message| format!(": {}", crate::flink::log::shorten(message))).unwrap_or_default();
    format!("{reason}exit code {}{message}", end.exit_code)
}
