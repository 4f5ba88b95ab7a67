//! JobManagers that crash are put to rest while their high-availability data is changed, and started again.

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::apps::v1::{Deployment, StatefulSet};
use k8s_openapi::api::batch::v1::Job;
use kube::api::{Api, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::time::Instant;

use super::server_time;
use super::verdict::User;
use crate::cluster::access::Right;
use crate::cluster::delete::{self, Awaited};
use crate::cluster::workload::Workload;
use crate::cluster::{Connection, FIELD_MANAGER};
use crate::error::{Error, Result};

/// How many pods the workload is to have again. It is written with the change to none, so that a command that was
/// interrupted in between can be run again.
const REPLICAS: &str = "kubectl-flink/replicas";
/// When it was stopped, by the API server's clock.
const SINCE: &str = "kubectl-flink/stopped-at";

/// A workload that a command has stopped, and has not started again yet.
#[derive(Debug, Clone)]
pub struct Resting {
    /// The workload.
    pub workload: Workload,
    /// How many pods it had.
    pub replicas: i32,
    /// When it was stopped, by the API server's clock.
    pub since: Option<Timestamp>,
}

impl Resting {
    /// None where nobody like us has stopped it, or it has been started again.
    pub(super) fn read(workload: &Workload, now: Timestamp) -> Option<Resting> {
        let annotations = workload.metadata.annotations.as_ref().filter(|_| workload.replicas == 0)?;
        let replicas = annotations.get(REPLICAS)?.parse().ok()?;
        let since: Option<Timestamp> = annotations.get(SINCE).and_then(|since| since.parse().ok());
        since.is_some_and(|since| now.duration_since(since) < FORGOTTEN).then_some(())?;
        Some(Resting { workload: workload.clone(), replicas, since })
    }
}

/// What does the same by hand: gives the workload so many pods, none among them.
pub fn command(workload: &Workload, replicas: i32) -> String {
    let (name, namespace) = (&workload.name, workload.namespace());
    match workload.kind.as_str() {
        "Job" => format!(
            "kubectl patch job/{name} -n {namespace} --type=merge -p '{{\"spec\":{{\"suspend\":{}}}}}'",
            replicas == 0
        ),
        kind => format!("kubectl scale {}/{name} -n {namespace} --replicas={replicas}", kind.to_lowercase()),
    }
}

/// What a command of long ago has left is not it any more: somebody may have stopped the workload on purpose since.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(24);

/// What the caller needs for it.
pub fn right(workload: &Workload) -> Right {
    let (group, plural) = match workload.kind.as_str() {
        "StatefulSet" => ("apps", "statefulsets"),
        "Job" => ("batch", "jobs"),
        _ => ("apps", "deployments"),
    };
    Right::new("patch", group, plural, Some(workload.namespace()))
}

/// Refuses what cannot be put to rest without harm.
///
/// # Errors
/// It is of a kind that cannot be scaled, or its volumes would go with its pods.
pub fn check(workload: &Workload) -> Result<()> {
    let (kind, name, namespace) = (workload.kind.to_lowercase(), &workload.name, workload.namespace());
    Err(match (workload.kind.as_str(), workload.deletes_claims) {
        ("Deployment" | "Job", _) | ("StatefulSet", Some(false)) => return Ok(()),
        ("StatefulSet", Some(true)) => Error::could_not_run(format!(
            "scaled to 0, {kind}/{name} would lose its volumes: persistentVolumeClaimRetentionPolicy.whenScaled is Delete"
        ))
        .hint(format!(
            "first have them kept: kubectl patch {kind}/{name} -n {namespace} --type=merge -p \
             '{{\"spec\":{{\"persistentVolumeClaimRetentionPolicy\":{{\"whenScaled\":\"Retain\"}}}}}}'; then run the same \
             command again"
        )),
        ("StatefulSet", None) => Error::could_not_run(format!(
            "whether {kind}/{name} keeps its volumes when it is scaled to 0 is not known: it could not be read"
        ))
        .hint(format!("ask for the right to list statefulsets in namespace {namespace}")),
        _ => Error::could_not_run(format!("{kind}/{name} cannot be scaled to 0"))
            .hint("delete it, or scale to 0 what makes it, and run the same command again"),
    })
}

/// Takes a workload's pods away, and waits until they are gone.
///
/// # Errors
/// It is of a kind that cannot be scaled, may not be patched, or its pods do not go until `deadline`.
pub(super) async fn rest(
    connection: &Connection,
    user: &User,
    deadline: Instant,
    progress: impl Fn(&str),
) -> Result<()> {
    let workload = &user.workload;
    let spec = if workload.kind == "Job" { json!({"suspend": true}) } else { json!({"replicas": 0}) };
    let now = server_time(connection).await?.to_string();
    let annotations = json!({ REPLICAS: workload.replicas.to_string(), SINCE: now });
    patch(connection, workload, &json!({"metadata": {"annotations": annotations}, "spec": spec})).await?;
    let awaited = Awaited {
        controllers: vec![(workload.kind.clone(), workload.name.clone())],
        dying_jobmanagers_of: None,
        ended_too: false,
    };
    let there = Connection { namespace: workload.namespace().to_owned(), ..connection.clone() };
    delete::pods_gone(&there, &awaited, deadline, progress).await
}

/// Gives a workload the pods again that were taken away for it.
///
/// # Errors
/// It may not be patched, or the API server does not answer.
pub async fn resume(connection: &Connection, workload: &Workload, replicas: i32) -> Result<()> {
    let spec = if workload.kind == "Job" { json!({"suspend": false}) } else { json!({ "replicas": replicas }) };
    let annotations = json!({ REPLICAS: null, SINCE: null });
    patch(connection, workload, &json!({"metadata": {"annotations": annotations}, "spec": spec})).await
}

async fn patch(connection: &Connection, workload: &Workload, change: &Value) -> Result<()> {
    let (client, namespace, name) = (connection.client.clone(), workload.namespace(), &workload.name);
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let patch = Patch::Merge(change);
    match workload.kind.as_str() {
        "StatefulSet" => {
            Api::<StatefulSet>::namespaced(client, namespace).patch(name, &params, &patch).await?;
        }
        "Job" => {
            Api::<Job>::namespaced(client, namespace).patch(name, &params, &patch).await?;
        }
        "Deployment" => {
            Api::<Deployment>::namespaced(client, namespace).patch(name, &params, &patch).await?;
        }
        kind => return Err(Error::could_not_run(format!("{}/{name} cannot be scaled", kind.to_lowercase()))),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn volumes_do_not_go_with_the_pods() {
        let template =
            json!({"spec": {"containers": [{"name": "c", "image": "flink:1.20.5", "args": ["jobmanager"]}]}});
        let refusal = |when_scaled: &str| {
            let set: StatefulSet = serde_json::from_value(json!({
                "metadata": {"name": "jm", "namespace": "n"},
                "spec": {
                    "replicas": 1,
                    "persistentVolumeClaimRetentionPolicy": {"whenScaled": when_scaled},
                    "selector": {},
                    "serviceName": "jm",
                    "volumeClaimTemplates": [{}],
                    "template": template
                }
            }))
            .unwrap();
            check(&Workload::of_stateful_set(set).unwrap()).map_err(|error| (error.message, error.hints.concat()))
        };
        assert_eq!(refusal("Retain"), Ok(()));
        let (message, hint) = refusal("Delete").unwrap_err();
        assert!(message.contains("statefulset/jm would lose its volumes"), "{message}");
        assert!(hint.contains(r#"kubectl patch statefulset/jm -n n --type=merge -p '{"spec":{"#), "{hint}");
        let pod = serde_json::from_value(template.clone()).unwrap();
        let unread = check(&Workload::of_pods("StatefulSet", "jm", &[pod]).unwrap()).unwrap_err().message;
        assert!(unread.contains("it could not be read"), "{unread}");
    }
}
