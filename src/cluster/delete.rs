//! What `up` made, found again by its labels and deleted object by object, each only if it is still the one that was
//! found; with the namespace.

use std::collections::{BTreeSet, HashSet};
use std::time::Duration;

use futures::StreamExt;
use jiff::SignedDuration;
use k8s_openapi::api::core::v1::{Namespace, Pod};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::api::{
    Api, ApiResource, DeleteParams, DynamicObject, ListParams, Preconditions, PropagationPolicy, TypeMeta,
};
use kube::discovery::{Discovery, Scope, verbs};
use tokio::time::{Instant, sleep};

use super::access::{PARALLEL, known};
use super::workload::{Workload, controller, has_ended};
use super::{Connection, FIELD_MANAGER};
use crate::error::{Error, Result};
use crate::flink::role::{Process, Role};
use crate::manifests::{INSTANCE_LABEL, MANAGED_BY, kind, name, reference};

/// Between two looks at something that is going away.
const POLL: Duration = Duration::from_millis(400);
/// How long an object may be looked for that its owner's end should end too.
const LEFTOVERS: Duration = Duration::from_secs(30);

/// A kind of object that `up` makes: from its own files, or from the user's.
struct OwnKind {
    api_version: &'static str,
    kind: &'static str,
    plural: &'static str,
}

const fn own(api_version: &'static str, kind: &'static str, plural: &'static str) -> OwnKind {
    OwnKind { api_version, kind, plural }
}

/// In the order in which they are deleted: what makes pods, what leads to them, what they use. Cluster-scoped kinds are
/// not among them: the labels name a cluster only within its namespace.
const KINDS: [OwnKind; 18] = [
    own("batch/v1", "CronJob", "cronjobs"),
    own("apps/v1", "Deployment", "deployments"),
    own("apps/v1", "StatefulSet", "statefulsets"),
    own("apps/v1", "DaemonSet", "daemonsets"),
    own("batch/v1", "Job", "jobs"),
    own("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"),
    own("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    own("networking.k8s.io/v1", "Ingress", "ingresses"),
    own("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    own("v1", "Service", "services"),
    own("v1", "ConfigMap", "configmaps"),
    own("v1", "Secret", "secrets"),
    own("rbac.authorization.k8s.io/v1", "RoleBinding", "rolebindings"),
    own("rbac.authorization.k8s.io/v1", "Role", "roles"),
    own("v1", "ServiceAccount", "serviceaccounts"),
    own("v1", "LimitRange", "limitranges"),
    own("v1", "ResourceQuota", "resourcequotas"),
    own("v1", "PersistentVolumeClaim", "persistentvolumeclaims"),
];

/// An object that carries our labels.
#[derive(Debug, Clone)]
pub struct Owned {
    /// The object as it was found.
    pub object: DynamicObject,
    /// Group, version and plural of its kind.
    pub resource: ApiResource,
}

impl Owned {
    /// The workload, if it makes pods that run Flink.
    pub fn workload(&self) -> Option<Workload> {
        let value = serde_json::to_value(&self.object).ok()?;
        match kind(&self.object) {
            "Deployment" => Workload::of_deployment(serde_json::from_value(value).ok()?),
            "StatefulSet" => Workload::of_stateful_set(serde_json::from_value(value).ok()?),
            "Job" => Workload::of_job(serde_json::from_value(value).ok()?),
            _ => None,
        }
    }

    /// Whether it makes pods.
    pub fn makes_pods(&self) -> bool {
        matches!(kind(&self.object), "CronJob" | "Deployment" | "StatefulSet" | "DaemonSet" | "Job")
    }

    /// Whether it is a claim on a volume.
    pub fn is_claim(&self) -> bool {
        kind(&self.object) == "PersistentVolumeClaim"
    }
}

/// What was found of a cluster.
#[derive(Debug, Clone, Default)]
pub struct Found {
    /// In the order in which it is to be deleted.
    pub objects: Vec<Owned>,
    /// Objects with our labels that something else owns, each with its owner.
    pub foreign: Vec<(String, String)>,
    /// Plurals of the kinds that the user may not list.
    pub not_listed: Vec<String>,
}

/// Finds what `up` made of the cluster NAME, in all kinds at once.
///
/// # Errors
/// The server does not answer.
pub async fn find(connection: &Connection, cluster: &str) -> Result<Found> {
    let selector = format!("{}={},{INSTANCE_LABEL}={cluster}", MANAGED_BY.0, MANAGED_BY.1);
    let params = ListParams::default().labels(&selector);
    let list = |own: &'static OwnKind| {
        let resource = api_resource(own);
        let params = &params;
        async move {
            let listed = api(connection, &resource, &connection.namespace).list(params).await;
            (resource, listed)
        }
    };
    let mut found = Found::default();
    let listed: Vec<_> = futures::stream::iter(&KINDS).map(list).buffered(PARALLEL).collect().await;
    for (resource, listed) in listed {
        match listed {
            Ok(list) => found.objects.extend(list.items.into_iter().map(|mut object| {
                // Items of a list do not say what they are.
                let types = TypeMeta { api_version: resource.api_version.clone(), kind: resource.kind.clone() };
                object.types = Some(types);
                Owned { object, resource: resource.clone() }
            })),
            Err(kube::Error::Api(status)) if status.is_forbidden() => found.not_listed.push(resource.plural),
            // An old server does not have every version.
            Err(kube::Error::Api(status)) if status.is_not_found() => {}
            Err(error) => return Err(error.into()),
        }
    }
    let uids: HashSet<_> = found.objects.iter().filter_map(|owned| owned.object.metadata.uid.clone()).collect();
    found.objects.retain(|owned| match owned.object.metadata.owner_references.iter().flatten().next() {
        None => true,
        Some(owner) => {
            // What belongs to one of ours goes with it.
            if !uids.contains(&owner.uid) {
                let owner = format!("{}/{}", owner.kind.to_lowercase(), owner.name);
                found.foreign.push((reference(&owned.object), owner));
            }
            false
        }
    });
    Ok(found)
}

fn api_resource(own: &OwnKind) -> ApiResource {
    let (group, version) = own.api_version.split_once('/').unwrap_or(("", own.api_version));
    ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: own.api_version.to_owned(),
        kind: own.kind.to_owned(),
        plural: own.plural.to_owned(),
    }
}

fn api(connection: &Connection, resource: &ApiResource, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(connection.client.clone(), namespace, resource)
}

/// Deletes an object if it is still the one that was found; one that has gone meanwhile is as good.
///
/// # Errors
/// What the server says; also where another object has taken its name.
pub async fn delete(connection: &Connection, owned: &Owned, dry_run: bool) -> Result<()> {
    let object = &owned.object;
    let params = DeleteParams {
        dry_run,
        propagation_policy: Some(PropagationPolicy::Background),
        preconditions: Some(Preconditions { uid: object.metadata.uid.clone(), resource_version: None }),
        ..DeleteParams::default()
    };
    match api(connection, &owned.resource, &connection.namespace).delete(name(object), &params).await {
        Ok(_) => Ok(()),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        Err(kube::Error::Api(status)) if status.is_conflict() => Err(Error::could_not_run(format!(
            "{} is not the one that was found: someone has made it anew meanwhile",
            reference(object)
        ))),
        Err(error) => Err(error.into()),
    }
}

/// Pods that must be gone before the next step.
#[derive(Debug, Clone)]
pub struct Awaited {
    /// Kind and name of what makes them.
    pub controllers: Vec<(String, String)>,
    /// NAME, by which the dying JobManagers of an earlier attempt are known, whose controller is gone already.
    pub dying_jobmanagers_of: Option<String>,
    /// Pods that have ended and are still there count too: an owner that is deleted takes them along, one that is scaled
    /// to 0 does not.
    pub ended_too: bool,
}

impl Awaited {
    fn includes(&self, pod: &Pod) -> bool {
        if controller(pod).is_some_and(|maker| self.controllers.contains(&maker)) {
            return self.ended_too || !has_ended(pod);
        }
        let label = pod.metadata.labels.as_ref().and_then(|labels| labels.get(INSTANCE_LABEL));
        pod.metadata.deletion_timestamp.is_some()
            && self.dying_jobmanagers_of.is_some()
            && label == self.dying_jobmanagers_of.as_ref()
            && pod
                .spec
                .as_ref()
                .and_then(Process::of)
                .is_some_and(|process| matches!(process.role, Role::JobManager(_)))
    }
}

/// Waits until these pods are gone. `progress` is told which are not.
///
/// # Errors
/// Some are still there at `deadline`, or they may not be listed.
pub async fn pods_gone(
    connection: &Connection,
    awaited: &Awaited,
    deadline: Instant,
    progress: impl Fn(&str),
) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(connection.client.clone(), &connection.namespace);
    loop {
        let left: Vec<String> = pods
            .list(&ListParams::default())
            .await?
            .into_iter()
            .filter(|pod| awaited.includes(pod))
            .map(|pod| {
                let node = pod.spec.and_then(|spec| spec.node_name).map(|node| format!(" on {node}"));
                format!("pod/{}{}", pod.metadata.name.unwrap_or_default(), node.unwrap_or_default())
            })
            .collect();
        if left.is_empty() {
            return Ok(());
        }
        progress(&left.join(", "));
        if Instant::now() >= deadline {
            return Err(Error::could_not_run(format!("still there: {}", left.join(", ")))
                .hint("if its node is lost for good: kubectl delete node NODE, or the pod with --force"));
        }
        sleep(POLL).await;
    }
}

/// Waits until these objects are gone, as claims are once no pod uses them.
///
/// # Errors
/// Some are still there at `deadline`.
pub async fn objects_gone(connection: &Connection, objects: &[&Owned], deadline: Instant) -> Result<()> {
    for owned in objects {
        let api = api(connection, &owned.resource, &connection.namespace);
        while let Some(metadata) = api.get_metadata_opt(name(&owned.object)).await? {
            if metadata.metadata.uid != owned.object.metadata.uid {
                break;
            }
            if Instant::now() >= deadline {
                let finalizers = metadata.metadata.finalizers.unwrap_or_default().join(", ");
                return Err(Error::could_not_run(format!("{} is still there", reference(&owned.object)))
                    .hint(format!("it waits for: {finalizers}")));
            }
            sleep(POLL).await;
        }
    }
    Ok(())
}

/// The namespace, if `up` created it: its field manager is among those that wrote it. `up` writes to no other.
///
/// # Errors
/// The server does not answer.
pub async fn own_namespace(connection: &Connection) -> Result<Option<Namespace>> {
    let api: Api<Namespace> = Api::all(connection.client.clone());
    // Whoever may not read it cannot have created it.
    let found = known(api.get_opt(&connection.namespace).await)?.flatten();
    Ok(found.filter(|namespace| {
        let mut managers = namespace.metadata.managed_fields.iter().flatten();
        managers.any(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER))
    }))
}

/// Deletes the namespace and, with a `deadline`, waits until it is gone.
///
/// # Errors
/// What the server says, or it is still there at the deadline.
pub async fn delete_namespace(
    connection: &Connection,
    namespace: &Namespace,
    dry_run: bool,
    deadline: Option<Instant>,
) -> Result<()> {
    let api: Api<Namespace> = Api::all(connection.client.clone());
    let uid = namespace.metadata.uid.clone();
    let preconditions = Some(Preconditions { uid: uid.clone(), resource_version: None });
    match api.delete(&connection.namespace, &DeleteParams { dry_run, preconditions, ..DeleteParams::default() }).await {
        Ok(_) => {}
        Err(kube::Error::Api(status)) if status.is_not_found() => return Ok(()),
        Err(error) => return Err(error.into()),
    }
    let Some(deadline) = deadline else { return Ok(()) };
    while api.get_metadata_opt(&connection.namespace).await?.is_some_and(|found| found.metadata.uid == uid) {
        if Instant::now() >= deadline {
            return Err(Error::could_not_run(format!("namespace/{} is still terminating", connection.namespace))
                .hint(format!("see why: kubectl get namespace {} -o yaml", connection.namespace)));
        }
        sleep(POLL).await;
    }
    Ok(())
}

/// What keeps a namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contents {
    /// Objects that are there to stay.
    pub staying: Vec<String>,
    /// Objects that are going, or should go because what made them has gone.
    pub leaving: Vec<String>,
    /// Kinds that could not be listed, with the reason.
    pub unknown: Vec<String>,
}

impl Contents {
    /// Why the namespace cannot go, in words; none where it can.
    pub fn obstacle(&self) -> Option<String> {
        let some = |objects: &[String]| {
            let rest = objects.len().saturating_sub(3);
            let shown = objects.iter().take(3).cloned().collect::<Vec<_>>().join(", ");
            if rest == 0 { shown } else { format!("{shown} and {rest} more") }
        };
        if !self.staying.is_empty() {
            return Some(format!("it holds {}", some(&self.staying)));
        }
        if !self.unknown.is_empty() {
            return Some(format!("it may hold {}", some(&self.unknown)));
        }
        (!self.leaving.is_empty()).then(|| format!("it still holds {}", some(&self.leaving)))
    }
}

/// What is in the namespace besides `ours`, named as [`reference()`] does. With `settle`, waits for what is going away by
/// itself; without, that does not count.
///
/// # Errors
/// The server does not answer.
pub async fn contents(connection: &Connection, ours: &BTreeSet<String>, settle: bool) -> Result<Contents> {
    let (kinds, unknown) = listable_kinds(connection).await?;
    let deadline = Instant::now() + LEFTOVERS;
    loop {
        let mut contents = Contents { unknown: unknown.clone(), ..Contents::default() };
        let list = |resource: ApiResource| async move {
            let listed = api(connection, &resource, &connection.namespace).list_metadata(&ListParams::default()).await;
            (resource, listed)
        };
        let listed: Vec<_> = futures::stream::iter(kinds.clone()).map(list).buffered(PARALLEL).collect().await;
        for (resource, listed) in listed {
            match listed {
                Ok(list) => {
                    for object in list.items {
                        let what = object.metadata.name.as_deref().unwrap_or_default();
                        let what = format!("{}/{what}", resource.kind.to_lowercase());
                        match presence(&resource, &object.metadata) {
                            Presence::Leaving if settle => contents.leaving.push(what),
                            Presence::Staying if !ours.contains(&what) => contents.staying.push(what),
                            _ => {}
                        }
                    }
                }
                // A kind that was there a moment ago.
                Err(kube::Error::Api(status)) if status.is_not_found() => {}
                Err(kube::Error::Api(status)) => {
                    contents.unknown.push(format!("{} ({})", resource.plural, status.message));
                }
                Err(error) => return Err(error.into()),
            }
        }
        let settled = contents.leaving.is_empty() || !contents.staying.is_empty() || !contents.unknown.is_empty();
        if settled || Instant::now() >= deadline {
            return Ok(contents);
        }
        sleep(POLL).await;
    }
}

/// How an object is in a namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Presence {
    /// Kubernetes puts it into every namespace, or writes it down beside the objects.
    Kubernetes,
    /// It is going, or something owns it that is there itself or has gone.
    Leaving,
    /// Somebody put it there.
    Staying,
}

fn presence(resource: &ApiResource, metadata: &ObjectMeta) -> Presence {
    let name = metadata.name.as_deref().unwrap_or_default();
    match (resource.group.as_str(), resource.kind.as_str(), name) {
        ("", "ConfigMap", "kube-root-ca.crt") | ("", "ServiceAccount", "default") | (_, "Event", _) => {
            Presence::Kubernetes
        }
        _ if metadata.deletion_timestamp.is_some() => Presence::Leaving,
        _ if metadata.owner_references.iter().flatten().next().is_some() => Presence::Leaving,
        _ => Presence::Staying,
    }
}

/// Every namespaced kind whose objects can be listed and deleted, and those groups of which it is not known.
async fn listable_kinds(connection: &Connection) -> Result<(Vec<ApiResource>, Vec<String>)> {
    let client = &connection.client;
    let (core, groups) =
        futures::try_join!(client.list_core_api_versions_aggregated(), client.list_api_groups_aggregated())?;
    let (mut kinds, mut stale) = (Vec::new(), Vec::new());
    for group in core.items.into_iter().chain(groups.items) {
        let group_name = group.metadata.and_then(|metadata| metadata.name).unwrap_or_default();
        let mut seen = HashSet::new();
        // In order of preference: each kind is listed in one version only.
        for version in group.versions {
            let version_name = version.version.unwrap_or_default();
            if version.freshness.as_deref() == Some("Stale") {
                stale.push(format!("objects of {group_name}/{version_name}, whose API server does not answer"));
            }
            for resource in version.resources {
                let has = |verb: &str| resource.verbs.iter().any(|own| own == verb);
                // Endpoints are the shadow of Services, and asking for them earns a warning.
                let is_candidate = resource.scope.as_deref() == Some("Namespaced")
                    && has("list")
                    && has("delete")
                    && !(group_name.is_empty() && resource.resource.as_deref() == Some("endpoints"));
                if let Some(plural) = resource.resource.filter(|plural| is_candidate && seen.insert(plural.clone())) {
                    let api_version = if group_name.is_empty() {
                        version_name.clone()
                    } else {
                        format!("{group_name}/{version_name}")
                    };
                    let kind = resource.response_kind.and_then(|kind| kind.kind).unwrap_or_else(|| plural.clone());
                    let (group, version) = (group_name.clone(), version_name.clone());
                    kinds.push(ApiResource { group, version, api_version, kind, plural });
                }
            }
        }
    }
    if !kinds.is_empty() {
        return Ok((kinds, stale));
    }
    // Before Kubernetes 1.26 there is only one answer for each group.
    let discovery = Discovery::new(client.clone()).run().await?;
    let resources = discovery.groups().flat_map(kube::discovery::ApiGroup::recommended_resources);
    let namespaced = resources.filter(|(_, capabilities)| {
        capabilities.scope == Scope::Namespaced
            && capabilities.supports_operation(verbs::LIST)
            && capabilities.supports_operation(verbs::DELETE)
    });
    Ok((namespaced.map(|(resource, _)| resource).collect(), stale))
}

/// When a wait that begins now ends.
pub fn deadline(timeout: Duration) -> Instant {
    // A timeout of centuries is one of a year.
    Instant::now() + timeout.min(SignedDuration::from_hours(24 * 365).unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    #[test]
    fn what_keeps_a_namespace() {
        let presence = |plural: &str, object: Value| {
            let own = KINDS.iter().find(|own| own.plural == plural);
            presence(&api_resource(own.unwrap()), &serde_json::from_value(object).unwrap())
        };
        let owner = json!([{"apiVersion": "v1", "kind": "Service", "name": "s", "uid": "u"}]);
        assert_eq!(presence("configmaps", json!({"name": "kube-root-ca.crt"})), Presence::Kubernetes);
        assert_eq!(presence("serviceaccounts", json!({"name": "default"})), Presence::Kubernetes);
        assert_eq!(presence("serviceaccounts", json!({"name": "builder"})), Presence::Staying);
        assert_eq!(presence("configmaps", json!({"name": "flink-cluster-config-map"})), Presence::Staying);
        assert_eq!(presence("services", json!({"name": "s", "ownerReferences": owner})), Presence::Leaving);
        let going = json!({"name": "c", "deletionTimestamp": "2026-11-20T12:00:00Z"});
        assert_eq!(presence("persistentvolumeclaims", going), Presence::Leaving);
    }

    #[test]
    fn why_a_namespace_stays() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(Contents::default().obstacle(), None);
        let contents = Contents { staying: names(&["a", "b", "c", "d"]), ..Contents::default() };
        assert_eq!(contents.obstacle().unwrap(), "it holds a, b, c and 1 more");
        let contents = Contents { unknown: names(&["widgets"]), leaving: names(&["pod/x"]), ..Contents::default() };
        assert_eq!(contents.obstacle().unwrap(), "it may hold widgets");
    }

    #[test]
    fn pods_that_are_waited_for() {
        let pod = |name: &str, dying: bool, owner: &str| -> Pod {
            let mut pod = json!({
                "metadata": {"name": name, "labels": {INSTANCE_LABEL: "flink"}, "ownerReferences":
                    [{"apiVersion": "v1", "kind": "StatefulSet", "name": owner, "uid": "u", "controller": true}]},
                "spec": {"containers": [{"name": "main", "args": ["jobmanager"]}]}
            });
            if dying {
                pod["metadata"]["deletionTimestamp"] = json!("2026-11-20T12:00:00Z");
            }
            serde_json::from_value(pod).unwrap()
        };
        let controllers = vec![("StatefulSet".to_owned(), "jm".to_owned())];
        let awaited = Awaited { controllers, dying_jobmanagers_of: Some("flink".into()), ended_too: true };
        assert!(awaited.includes(&pod("a", false, "jm")));
        assert!(awaited.includes(&pod("a", true, "earlier")));
        assert!(!awaited.includes(&pod("a", false, "somebody-elses")));
    }
}
