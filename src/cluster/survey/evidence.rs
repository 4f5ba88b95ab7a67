//! What helps where something is wrong: events and logs of pods that do not run, and what Flink itself says.

use futures::future::join_all;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{Api, ListParams, LogParams};
use serde_json::{Map, Value, json};

use super::{NotRead, POD, Reader, source};
use crate::cluster::flink_rest::{FlinkRest, RestError};
use crate::cluster::workload::{is_alive, is_ready};
use crate::doctor::live;
use crate::doctor::model::{Cluster, Model};
use crate::doctor::rule::Input;

/// Of so many jobs the details are asked for.
const JOBS: usize = 20;
/// Of so many pods logs and events are read: what keeps them from running is most often the same.
const PODS: usize = 10;
pub(super) const EVENT: super::Source = source("Event", "", "v1", "events");

/// Reads it.
pub(super) async fn read(reader: &mut Reader<'_>) {
    let model = Model::new(reader.snapshot);
    let pods: Vec<Pod> =
        reader.snapshot.of_kind(POD.kind).iter().filter_map(|id| reader.snapshot.object(*id).typed()).collect();
    let troubled: Vec<&Pod> = pods.iter().filter(|pod| is_alive(pod) && !is_ready(pod)).take(PODS).collect();
    let mut uids: Vec<(String, String)> = troubled.iter().filter_map(|pod| identity(pod)).collect();
    for member in &model.members {
        let node = &reader.snapshot.object(member.object).node;
        let missing = member.workload.ready < member.workload.replicas && !member.workload.finished;
        if let (true, Some(uid)) = (missing, node.string_at("/metadata/uid")) {
            uids.push((member.workload.namespace().to_owned(), uid.to_owned()));
        }
    }
    let this = &*reader;
    let events = async {
        let asked = uids.iter().filter(|_| this.wants(Input::Events)).map(|(namespace, uid)| {
            let params = ListParams::default().fields(&format!("involvedObject.uid={uid}"));
            this.list_in(EVENT, Some(namespace.clone()), params)
        });
        join_all(asked).await
    };
    let logs = async {
        let asked = troubled.iter().filter(|_| this.wants(Input::Logs)).map(|pod| log(this, pod));
        join_all(asked).await.into_iter().flatten().collect::<Vec<_>>()
    };
    let rest = async {
        let clusters = model.clusters.iter().filter(|_| this.wants(Input::Rest));
        join_all(clusters.map(|cluster| flink(this, &model, cluster, &pods))).await
    };
    let (events, logs, rest) = futures::join!(events, logs, rest);
    let all = !events.iter().any(|answer| matches!(answer, Err(NotRead::Refused(_) | NotRead::TooLate)));
    for answer in events {
        reader.take(EVENT, answer);
    }
    let scope = reader.scope_name();
    if all {
        reader.snapshot.coverage.complete(EVENT.kind, &scope);
    }
    for (namespace, name, fact) in logs {
        match fact {
            Ok(fact) => reader.add_fact(live::LOG, &namespace, &name, &fact),
            Err(why) => reader.refused(live::LOG, why),
        }
    }
    for (namespace, name, fact) in rest.into_iter().flatten() {
        reader.add_fact(live::REST, &namespace, &name, &fact);
    }
    for kind in [live::LOG, live::REST] {
        reader.snapshot.coverage.complete(kind, &scope);
    }
}

fn identity(pod: &Pod) -> Option<(String, String)> {
    Some((pod.metadata.namespace.clone()?, pod.metadata.uid.clone()?))
}

/// The log of the container that does not run: of the one before, where it was started again.
async fn log(reader: &Reader<'_>, pod: &Pod) -> Option<(String, String, Result<Value, String>)> {
    let (namespace, name) = (pod.metadata.namespace.clone()?, pod.metadata.name.clone()?);
    let status = pod.status.as_ref()?.container_statuses.as_ref()?.iter().find(|status| !status.ready)?;
    let running = status.state.as_ref().is_some_and(|state| state.running.is_some());
    let ended = status.state.as_ref().is_some_and(|state| state.terminated.is_some());
    let previous = status.restart_count > 0 && !ended;
    if !running && !ended && !previous {
        return None;
    }
    let container = status.name.clone();
    let params =
        LogParams { container: Some(container.clone()), previous, tail_lines: Some(500), ..LogParams::default() };
    let api: Api<Pod> = Api::namespaced(reader.connection.client.clone(), &namespace);
    let fact = match tokio::time::timeout_at(reader.deadline, api.logs(&name, &params)).await {
        Ok(Ok(text)) => Ok(json!({"spec": {"text": text, "previous": previous}})),
        Ok(Err(error)) => Err(crate::error::Error::from(error).message),
        Err(_) => Err("the log did not come in time".to_owned()),
    };
    Some((namespace, format!("{name}.{container}"), fact))
}

/// What Flink's REST API says of a cluster, from the first JobManager that answers.
async fn flink(reader: &Reader<'_>, model: &Model, cluster: &Cluster, pods: &[Pod]) -> Option<(String, String, Value)> {
    let jobmanager = model.jobmanager(cluster)?;
    let mut own: Vec<&Pod> =
        pods.iter().filter(|pod| jobmanager.workload.owns(pod) && is_alive(pod) && has_address(pod)).collect();
    own.sort_by_key(|pod| !is_ready(pod));
    if own.is_empty() {
        return None;
    }
    let name = jobmanager.workload.name.clone();
    let fact = |spec: Value| Some((cluster.namespace.clone(), name.clone(), json!({ "spec": spec })));
    if cluster.config.value("security.ssl.rest.enabled") == Some("true") {
        return fact(json!({"notAsked": "the REST API is served over TLS, which is not supported"}));
    }
    let port = ["rest.bind-port", "rest.port", "web.port"]
        .into_iter()
        .find_map(|key| cluster.config.value(key)?.parse().ok())
        .unwrap_or(8081);
    let mut failure = None;
    for pod in own {
        let name = pod.metadata.name.as_deref().unwrap_or_default();
        match tokio::time::timeout_at(reader.deadline, ask(reader, &cluster.namespace, name, port)).await {
            Ok(Ok(spec)) => return fact(spec),
            Ok(Err(error)) => {
                failure.get_or_insert(match &error {
                    RestError::Forbidden { .. } | RestError::Server(_) => json!({"notAsked": error.to_string()}),
                    _ => json!({"failure": error.to_string(), "pod": name}),
                });
            }
            Err(_) => {
                failure.get_or_insert_with(|| json!({"notAsked": "Flink did not answer within --timeout"}));
                break;
            }
        }
    }
    fact(failure.unwrap_or_default())
}

async fn ask(reader: &Reader<'_>, namespace: &str, pod: &str, port: u16) -> Result<Value, RestError> {
    let mut rest = FlinkRest::try_open(reader.connection, namespace, pod, port).await?;
    let get = http::Method::GET;
    let overview: Value = rest.request(get.clone(), "/overview", None).await?;
    let jobs: Value = rest.request(get.clone(), "/jobs/overview", None).await?;
    let configuration: Value = rest.request(get.clone(), "/jobmanager/config", None).await.unwrap_or_default();
    let (mut checkpoints, mut settings) = (Map::new(), Map::new());
    let list = jobs.get("jobs").and_then(Value::as_array).cloned().unwrap_or_default();
    let running = list.iter().filter(|job| job["state"] == "RUNNING" || job["state"] == "RESTARTING");
    for id in running.filter_map(|job| job["jid"].as_str()).take(JOBS) {
        let path = format!("/jobs/{id}/checkpoints");
        match rest.request::<Value>(get.clone(), &path, None).await {
            Ok(answer) => {
                checkpoints.insert(id.to_owned(), answer);
            }
            Err(RestError::Flink { status: http::StatusCode::NOT_FOUND, message })
                if message.contains("heckpointing") =>
            {
                checkpoints.insert(id.to_owned(), Value::Null);
            }
            // The job may be gone by now.
            Err(_) => {}
        }
        if let Ok(answer) = rest.request::<Value>(get.clone(), &format!("{path}/config"), None).await {
            settings.insert(id.to_owned(), answer);
        }
    }
    Ok(json!({
        "pod": pod, "overview": overview, "jobs": list, "checkpoints": checkpoints, "checkpointConfig": settings,
        "configuration": configuration,
    }))
}

fn has_address(pod: &Pod) -> bool {
    pod.status.as_ref().is_some_and(|status| status.pod_ip.is_some())
}
