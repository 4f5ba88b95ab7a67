//! Before anything is sent: what is there already of each object, and what the caller may do.

use std::collections::BTreeMap;

use futures::StreamExt;
use k8s_openapi::api::core::v1::{PersistentVolumeClaim, Pod};
use k8s_openapi::api::rbac::v1::Role;
use kube::api::{Api, DynamicObject, PostParams};

use super::access::{self, PARALLEL, Right};
use super::apply::{self, Target};
use super::facts::NamespaceState;
use super::{Connection, FIELD_MANAGER};
use crate::error::{Error, Result};
use crate::manifests::{ManifestFile, kind, name};

/// A file with what the API server has of its objects.
#[derive(Debug)]
pub struct Planned {
    /// The file's name.
    pub file: String,
    /// Its objects, each as it should be and as it is.
    pub objects: Vec<(Target, Live)>,
}

/// An object on the server before anything was applied.
#[derive(Debug, Clone)]
pub enum Live {
    /// It is there.
    Present(Box<DynamicObject>),
    /// It is not there.
    Absent,
    /// The caller may not read it.
    Unknown,
}

impl Live {
    /// The object, where it is there and may be read.
    pub fn object(&self) -> Option<&DynamicObject> {
        match self {
            Live::Present(object) => Some(object),
            Live::Absent | Live::Unknown => None,
        }
    }
}

/// Reads what there is of every object, and asks what the caller may do, at the same time.
///
/// # Errors
/// A kind is unknown to the server, the server cannot be reached, or the caller lacks rights: all of them are named.
pub async fn plan(
    connection: &Connection,
    files: Vec<ManifestFile>,
    namespace: &NamespaceState,
) -> Result<Vec<Planned>> {
    let mut planned = Vec::new();
    for file in files {
        let mut objects = Vec::new();
        for object in file.objects {
            let (resource, namespaced) = apply::resource_of(connection, &object).await?;
            let own = object.metadata.namespace.clone();
            let in_namespace = namespaced.then(|| own.unwrap_or_else(|| connection.namespace.clone()));
            objects.push((Target { object, resource, namespace: in_namespace }, Live::Absent));
        }
        planned.push(Planned { file: file.name, objects });
    }
    let targets: Vec<Target> =
        planned.iter().flat_map(|file| &file.objects).map(|(target, _)| target.clone()).collect();
    let read = futures::stream::iter(&targets).map(|target| apply::get(connection, target)).buffered(PARALLEL);
    let rights: Vec<Right> = targets.iter().flat_map(needed).collect();
    let (live, denied) = futures::join!(read.collect::<Vec<_>>(), access::denied_to_caller(connection, rights));
    let mut live = live.into_iter();
    for (_, state) in planned.iter_mut().flat_map(|file| &mut file.objects) {
        *state = match live.next() {
            Some(Ok(Some(object))) => Live::Present(Box::new(object)),
            Some(Err(kube::Error::Api(status))) if status.is_forbidden() => Live::Unknown,
            Some(Err(error)) => return Err(error.into()),
            Some(Ok(None)) | None => Live::Absent,
        };
    }
    refuse(connection, &planned, &denied?, namespace)?;
    Ok(planned)
}

/// What applying an object takes: `patch`, `create` where it is new, and for a Role every right that it grants.
fn needed(target: &Target) -> Vec<Right> {
    let Target { object, resource, namespace } = target;
    if kind(object) == "Namespace" {
        return vec![Right::new("create", "", "namespaces", None)];
    }
    let right = |verb| Right::new(verb, &resource.group, &resource.plural, namespace.as_deref());
    let mut rights = vec![right("create"), right("patch")];
    rights.extend(granted(target));
    match kind(object) {
        "Role" => rights.push(right("escalate")),
        "RoleBinding" => rights.push(Right::new("bind", &resource.group, "roles", namespace.as_deref())),
        _ => {}
    }
    rights
}

/// The rights that a Role grants: the API server lets nobody grant what they do not have.
fn granted(target: &Target) -> Vec<Right> {
    if kind(&target.object) != "Role" {
        return Vec::new();
    }
    let role = serde_json::to_value(&target.object).ok().and_then(|value| serde_json::from_value::<Role>(value).ok());
    let mut rights = Vec::new();
    for rule in role.and_then(|role| role.rules).unwrap_or_default() {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                rights.extend(
                    rule.verbs.iter().map(|verb| Right::new(verb, group, resource, target.namespace.as_deref())),
                );
            }
        }
    }
    rights
}

/// Ends the command where rights are missing that it will need, before it did half of its work.
fn refuse(connection: &Connection, planned: &[Planned], denied: &[Right], namespace: &NamespaceState) -> Result<()> {
    let lacks = |right: &Right| denied.contains(right);
    let mut missing: Vec<Right> = Vec::new();
    for (target, live) in planned.iter().flat_map(|file| &file.objects) {
        let Target { object, resource, namespace: in_namespace } = target;
        if kind(object) == "Namespace" {
            // Who may not even read it may still use one that is there.
            if *namespace == NamespaceState::Missing {
                missing.extend(needed(target).into_iter().filter(lacks));
            }
            continue;
        }
        let right = |verb| Right::new(verb, &resource.group, &resource.plural, in_namespace.as_deref());
        missing.extend(Some(right("patch")).filter(lacks));
        if !matches!(live, Live::Present(_)) {
            missing.extend(Some(right("create")).filter(lacks));
        }
        if lacks(&right("escalate")) {
            missing.extend(granted(target).into_iter().filter(lacks));
        }
    }
    missing.sort();
    missing.dedup();
    if missing.is_empty() {
        return Ok(());
    }
    // `create/patch configmaps, create deployments.apps`
    let mut verbs: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for right in &missing {
        verbs.entry(right.kind()).or_default().push(&right.verb);
    }
    let list: Vec<_> = verbs.iter().map(|(kind, verbs)| format!("{} {kind}", verbs.join("/"))).collect();
    let mut error = Error::could_not_run(format!(
        "nothing was sent: you lack rights in namespace {}: {}",
        connection.namespace,
        list.join(", ")
    ))
    .hint(format!(
        "ask for the ClusterRole `admin` there: kubectl create rolebinding flink-admin --clusterrole=admin --user=YOU -n {}",
        connection.namespace
    ));
    if list.iter().any(|right| right.ends_with("rbac.authorization.k8s.io") || right.ends_with("configmaps")) {
        error = error
            .hint("or let someone else make the service accounts: --service-account, --taskmanager-service-account");
    }
    Err(error)
}

/// Lets the API server judge the pods of a Deployment that would use a directory of the node, before anything is sent:
/// Pod Security does not refuse the Deployment, only its pods, later.
///
/// # Errors
/// Admission refuses the pod; its own words say why.
pub async fn check_pod(connection: &Connection, namespace: &NamespaceState, planned: &[Planned]) -> Result<()> {
    if let NamespaceState::Exists(labels) = namespace
        && let Some(level) = labels.get("pod-security.kubernetes.io/enforce").filter(|level| *level != "privileged")
    {
        return Err(Error::could_not_run(format!(
            "nothing was sent: namespace {} enforces Pod Security `{level}`, which forbids host-path storage",
            connection.namespace
        ))
        .hint("use --ha-storage pvc, pvc:NAME or a URI like s3://BUCKET/FOLDER"));
    }
    if *namespace == NamespaceState::Missing {
        return Ok(());
    }
    let api: Api<Pod> = Api::namespaced(connection.client.clone(), &connection.namespace);
    for (target, _) in
        planned.iter().flat_map(|file| &file.objects).filter(|(target, _)| kind(&target.object) == "Deployment")
    {
        let mut spec = target.object.data["spec"]["template"]["spec"].clone();
        // The account may not be there yet; what is asked here is about the volume.
        if let Some(spec) = spec.as_object_mut() {
            spec.remove("serviceAccountName");
        }
        let pod = serde_json::from_value::<Pod>(serde_json::json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "kubectl-flink-"}, "spec": spec,
        }));
        let Ok(pod) = pod else { continue };
        let params = PostParams { dry_run: true, field_manager: Some(FIELD_MANAGER.to_owned()) };
        match api.create(&params, &pod).await {
            Err(kube::Error::Api(status)) if status.is_forbidden() && status.message.contains("PodSecurity") => {
                return Err(Error::could_not_run(format!(
                    "nothing was sent: the pods of {} would be refused: {}",
                    name(&target.object),
                    status.message
                ))
                .hint("use --ha-storage pvc, pvc:NAME or a URI like s3://BUCKET/FOLDER"));
            }
            // Anything else, like not being allowed to make pods, says nothing about the volume.
            Ok(_) | Err(_) => {}
        }
    }
    Ok(())
}

/// Whether pods on different nodes can use the claim NAME at once.
///
/// # Errors
/// It is not there, or may not be read.
pub async fn claim_is_shared(connection: &Connection, claim: &str) -> Result<bool> {
    let api: Api<PersistentVolumeClaim> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let found = api.get_opt(claim).await?.ok_or_else(|| {
        Error::could_not_run(format!(
            "nothing was sent: persistentvolumeclaim {claim:?} is not in namespace {}",
            connection.namespace
        ))
        .hint(format!("see what is there: kubectl get pvc -n {}", connection.namespace))
    })?;
    let modes = found.spec.and_then(|spec| spec.access_modes).unwrap_or_default();
    Ok(modes.iter().any(|mode| mode == "ReadWriteMany"))
}
