//! Server-side apply of single objects, as kubectl does it.

use http::{Method, Request, StatusCode, header};
use http_body_util::BodyExt;
use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::core::Status;
use kube::core::response::StatusCause;
use serde_json::{Value, json};

use super::{Connection, FIELD_MANAGER};
use crate::error::{Error, Result};
use crate::manifests::{kind, name, reference};

/// The annotation by which client-side `kubectl apply` remembers what it applied.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";

/// How often it is tried where others write in between (kubectl's `maxPatchRetry`).
const MAX_ATTEMPTS: u32 = 5;

/// What applying did to an object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It was not there.
    Created,
    /// It was there and is different now.
    Configured,
    /// It was there just so.
    Unchanged,
}

impl Outcome {
    /// kubectl's word for it.
    pub fn word(self) -> &'static str {
        match self {
            Outcome::Created => "created",
            Outcome::Configured => "configured",
            Outcome::Unchanged => "unchanged",
        }
    }
}

/// How to apply.
#[derive(Debug, Clone, Copy, Default)]
pub struct ApplyOptions {
    /// Take fields over from other field managers.
    pub force: bool,
    /// Let the server answer as if, and store nothing.
    pub dry_run: bool,
}

/// What was applied.
#[derive(Debug)]
pub struct Applied {
    /// What it did.
    pub outcome: Outcome,
    /// The object as it was before, None where it was not there.
    pub before: Option<DynamicObject>,
    /// The object as the server has it now or, in a dry run, would have it.
    pub after: DynamicObject,
}

/// An object with the URL that it has on the API server.
#[derive(Debug, Clone)]
pub struct Target {
    /// The object as it should be.
    pub object: DynamicObject,
    /// Group, version and plural of its kind.
    pub resource: ApiResource,
    /// Its namespace; None for cluster-scoped kinds.
    pub namespace: Option<String>,
}

impl Target {
    /// The URL path of the collection that the object is in.
    pub fn collection(&self) -> String {
        <DynamicObject as kube::Resource>::url_path(&self.resource, self.namespace.as_deref())
    }

    /// The URL path of the object.
    pub fn path(&self) -> String {
        format!("{}/{}", self.collection(), name(&self.object))
    }
}

/// The object as it is on the server, None where it is not there.
///
/// # Errors
/// Forbidden, or the server cannot be reached.
pub async fn get(connection: &Connection, target: &Target) -> kube::Result<Option<DynamicObject>> {
    let request = Request::get(target.path()).body(Vec::new()).map_err(kube::Error::HttpError)?;
    match connection.client.request::<DynamicObject>(request).await {
        Ok(object) => Ok(Some(object)),
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

/// Applies `target`; `live` is the object as it was before.
///
/// Fields that client-side `kubectl apply` owns are taken over first, as `kubectl apply --server-side` does
/// (client-go `csaupgrade`), so that they do not count as another manager's.
///
/// # Errors
/// A conflict with another field manager names the fields and the manager; otherwise what the server says.
pub async fn apply(
    connection: &Connection,
    target: &Target,
    live: Option<&DynamicObject>,
    options: ApplyOptions,
) -> Result<Applied> {
    let mut before = live.cloned();
    if !options.dry_run {
        before = take_over(connection, target, before).await?;
    }
    let mut params = PatchParams {
        force: options.force,
        dry_run: options.dry_run,
        ..PatchParams::apply(FIELD_MANAGER).validation_strict()
    };
    let version = |object: &DynamicObject| object.metadata.resource_version.clone();
    let mut attempt = 1;
    let (status, after) = loop {
        let request = kube::core::Request::new(target.collection())
            .patch(name(&target.object), &params, &Patch::Apply(&target.object))
            .map_err(kube::Error::BuildRequest)?;
        let (status, after) = match send(connection, request).await {
            Err(kube::Error::Api(status))
                if !params.force && conflicts_are_ours(&status, before.as_ref().filter(|_| options.dry_run)) =>
            {
                params.force = true;
                continue;
            }
            sent => sent.map_err(|error| explain(error, target))?,
        };
        // What a dry run answers is made from the object of that moment, and has its version. Where someone wrote in
        // between (a Deployment's revision, a claim's volume), that is no difference of ours: look again.
        let current = if status == StatusCode::CREATED { None } else { version(&after) };
        let same = before.as_ref().is_none_or(|before| version(before) == current);
        if !options.dry_run || same || attempt == MAX_ATTEMPTS {
            break (status, after);
        }
        before = get(connection, target).await?;
        attempt += 1;
    };
    let outcome = match &before {
        _ if status == StatusCode::CREATED => Outcome::Created,
        Some(before) if is_unchanged(before, &after, options.dry_run) => Outcome::Unchanged,
        _ => Outcome::Configured,
    };
    Ok(Applied { outcome, before, after })
}

/// Creates an object that must not be there yet. An object that came to be in between is left as it is.
///
/// # Errors
/// What the server says.
pub async fn create(connection: &Connection, target: &Target, options: ApplyOptions) -> Result<Outcome> {
    let dry_run = if options.dry_run { "&dryRun=All" } else { "" };
    let uri = format!("{}?fieldManager={FIELD_MANAGER}{dry_run}", target.collection());
    let body = serde_json::to_vec(&target.object).map_err(kube::Error::SerdeError)?;
    let request = Request::builder()
        .method(Method::POST)
        .uri(uri)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body)
        .map_err(kube::Error::HttpError)?;
    match send(connection, request).await {
        Ok(_) => Ok(Outcome::Created),
        Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(Outcome::Unchanged),
        Err(error) => Err(explain(error, target)),
    }
}

/// Sends a request and keeps the status code, by which an apply tells created from configured.
async fn send(connection: &Connection, request: Request<Vec<u8>>) -> kube::Result<(StatusCode, DynamicObject)> {
    let response = connection.client.send(request.map(kube::client::Body::from)).await?;
    let code = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    if code.is_client_error() || code.is_server_error() {
        let status = serde_json::from_slice::<Status>(&body).unwrap_or_else(|_| {
            Status::failure(&String::from_utf8_lossy(&body), code.canonical_reason().unwrap_or_default())
                .with_code(code.as_u16())
        });
        return Err(kube::Error::Api(status.boxed()));
    }
    serde_json::from_slice(&body).map(|object| (code, object)).map_err(kube::Error::SerdeError)
}

/// The fields of other managers that a server-side apply was refused for.
fn conflicts(status: &Status) -> impl Iterator<Item = &StatusCause> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    causes.filter(|cause| cause.reason == "FieldManagerConflict")
}

/// Whether all of them are with ourselves: what we have changed by other means than an apply counts as another manager's
/// (`clean-ha` scales). In a dry run the managers stay as they are, so that what [`take_over`] takes in earnest from client-side
/// `kubectl apply` is ours too; `live` is the object, in a dry run.
fn conflicts_are_ours(status: &Status, live: Option<&DynamicObject>) -> bool {
    let client_side = live.and_then(client_side_manager).map(|(_, client_side)| client_side["manager"].clone());
    let ours = [Some(Value::from(FIELD_MANAGER)), client_side];
    let owners: Vec<_> = ours.into_iter().flatten().map(|manager| format!("conflict with {manager}")).collect();
    let is_ours = |cause: &StatusCause| owners.iter().any(|owner| cause.message.starts_with(owner.as_str()));
    conflicts(status).count() > 0 && conflicts(status).all(is_ours)
}

/// Conflicts and refusals in the words of what to do next.
fn explain(error: kube::Error, target: &Target) -> Error {
    let kube::Error::Api(status) = &error else { return error.into() };
    let what = reference(&target.object);
    let fields: Vec<_> = conflicts(status).map(|cause| format!("{} ({})", cause.field, cause.message)).collect();
    if !fields.is_empty() {
        let fields = fields.join(", ");
        return Error::could_not_run(format!("{what} has fields that another field manager owns: {fields}"))
            .hint("leave them to it by giving the same value, or take them over: --force-conflicts");
    }
    let refused = Error::from(kube::Error::Api(status.clone())).context(format_args!("cannot apply {what}"));
    let message = &status.message;
    if status.is_forbidden() && message.contains("attempting to grant RBAC permissions") {
        return refused.hint(
            "nobody can grant more than they have: ask someone with these rights on configmaps to apply 02_rbac.yaml \
             (kubectl flink render), then use --service-account and --taskmanager-service-account",
        );
    }
    if status.is_not_found() && message.starts_with("namespaces ") {
        return refused
            .hint("the namespace is not there, and you may not create it: ask for it, or name another with -n");
    }
    if status.is_invalid() && message.contains("field is immutable") {
        return refused.hint("this field can only be changed by deleting the object: see kubectl flink down");
    }
    refused
}

/// Whether our apply changed nothing. Controllers may have written in between (a Deployment's revision, a claim's
/// volume): then our own entry among the managed fields tells, whose time moves only when we change something. A dry run
/// stores nothing, so that only what came back can be compared.
fn is_unchanged(before: &DynamicObject, after: &DynamicObject, dry_run: bool) -> bool {
    if dry_run {
        return content(before) == content(after);
    }
    let ours = |object: &DynamicObject| {
        let entries = object.metadata.managed_fields.iter().flatten();
        entries.filter(|entry| entry.manager.as_deref() == Some(FIELD_MANAGER)).cloned().collect::<Vec<_>>()
    };
    before.metadata.resource_version == after.metadata.resource_version
        || (before.metadata.generation == after.metadata.generation && ours(before) == ours(after))
}

/// What a user means by an object being different: everything but the server's own bookkeeping.
pub fn content(object: &DynamicObject) -> Value {
    let mut object = object.clone();
    let metadata = &mut object.metadata;
    metadata.managed_fields = None;
    metadata.resource_version = None;
    metadata.generation = None;
    let mut value = serde_json::to_value(&object).unwrap_or_default();
    if let Some(map) = value.as_object_mut() {
        map.remove("status");
    }
    value
}

/// The managed fields of an object that client-side `kubectl apply` made: all others' parts, and its own; None where it has no
/// part, or no longer.
fn client_side_manager(live: &DynamicObject) -> Option<(Vec<Value>, Value)> {
    let entries = serde_json::to_value(live.metadata.managed_fields.as_ref()?).ok()?;
    let mut entries: Vec<Value> = entries.as_array()?.clone();
    let annotation = format!("f:{LAST_APPLIED}");
    let is_client_side = |entry: &Value| {
        entry["operation"] == "Update"
            && entry["subresource"].as_str().unwrap_or_default().is_empty()
            && entry["fieldsV1"]["f:metadata"]["f:annotations"].get(&annotation).is_some()
    };
    let position = entries.iter().position(is_client_side)?;
    let client_side = entries.remove(position);
    Some((entries, client_side))
}

/// Those managed fields with the part of client-side `kubectl apply` given to us.
fn without_client_side_manager(live: &DynamicObject) -> Option<Vec<Value>> {
    let (mut entries, client_side) = client_side_manager(live)?;
    let ours = entries.iter_mut().find(|entry| {
        entry["manager"] == FIELD_MANAGER
            && entry["operation"] == "Apply"
            && entry["subresource"].as_str().unwrap_or_default().is_empty()
    });
    if let Some(entry) = ours {
        union(&mut entry["fieldsV1"], &client_side["fieldsV1"]);
    } else {
        let mut entry = client_side;
        entry["manager"] = json!(FIELD_MANAGER);
        entry["operation"] = json!("Apply");
        entries.push(entry);
    }
    Some(entries)
}

/// A field set is a tree of field names; the union has the names of both.
fn union(into: &mut Value, from: &Value) {
    let (Some(target), Some(source)) = (into.as_object_mut(), from.as_object()) else { return };
    for (field, subset) in source {
        union(target.entry(field.clone()).or_insert_with(|| json!({})), subset);
    }
}

/// Gives us what client-side apply owns. Controllers write all the time (a Deployment's status): where one did in
/// between, the object is read again.
async fn take_over(
    connection: &Connection,
    target: &Target,
    mut live: Option<DynamicObject>,
) -> Result<Option<DynamicObject>> {
    for attempt in 1.. {
        let Some(upgraded) = live.as_ref().and_then(without_client_side_manager) else { break };
        let resource_version = live.as_ref().and_then(|live| live.metadata.resource_version.clone());
        // The resourceVersion makes it fail, and not overwrite, where someone else wrote in between.
        let patch = json!([
            {"op": "replace", "path": "/metadata/managedFields", "value": upgraded},
            {"op": "replace", "path": "/metadata/resourceVersion", "value": resource_version},
        ]);
        let request = Request::builder()
            .method(Method::PATCH)
            .uri(format!("{}?fieldManager={FIELD_MANAGER}", target.path()))
            .header(header::CONTENT_TYPE, "application/json-patch+json")
            .body(serde_json::to_vec(&patch).map_err(kube::Error::SerdeError)?)
            .map_err(kube::Error::HttpError)?;
        match send(connection, request).await {
            Ok((_, object)) => return Ok(Some(object)),
            Err(kube::Error::Api(status)) if status.is_conflict() && attempt < MAX_ATTEMPTS => {
                live = get(connection, target).await?;
            }
            Err(error) => return Err(explain(error, target)),
        }
    }
    Ok(live)
}

/// Group, version and plural of a kind, from the API server where it is none of those that the profile uses.
///
/// # Errors
/// The server does not know the kind.
pub async fn resource_of(connection: &Connection, object: &DynamicObject) -> Result<(ApiResource, bool)> {
    const KNOWN: [(&str, &str, &str, &str, bool); 9] = [
        ("", "v1", "Namespace", "namespaces", false),
        ("", "v1", "ServiceAccount", "serviceaccounts", true),
        ("", "v1", "ConfigMap", "configmaps", true),
        ("", "v1", "Secret", "secrets", true),
        ("", "v1", "Service", "services", true),
        ("", "v1", "PersistentVolumeClaim", "persistentvolumeclaims", true),
        ("rbac.authorization.k8s.io", "v1", "Role", "roles", true),
        ("rbac.authorization.k8s.io", "v1", "RoleBinding", "rolebindings", true),
        ("apps", "v1", "Deployment", "deployments", true),
    ];
    let types = object.types.clone().unwrap_or_default();
    let (group, version) = types.api_version.split_once('/').unwrap_or(("", &types.api_version));
    let api_resource = |plural: &str| ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: types.api_version.clone(),
        kind: types.kind.clone(),
        plural: plural.to_owned(),
    };
    let known = KNOWN.iter().find(|(g, v, k, ..)| (*g, *v, *k) == (group, version, types.kind.as_str()));
    if let Some((.., plural, namespaced)) = known {
        return Ok((api_resource(plural), *namespaced));
    }
    let list = if group.is_empty() {
        connection.client.list_core_api_resources(version).await
    } else {
        connection.client.list_api_group_resources(&types.api_version).await
    };
    let unknown = || {
        Error::could_not_run(format!("the server has no kind {} in {}", kind(object), types.api_version))
            .hint("see what it has: kubectl api-resources")
    };
    let list = match list {
        Ok(list) => list,
        // A path of an unknown group is answered with plain text, which kube makes a status of its own of.
        Err(kube::Error::Api(status)) if status.code == 404 => return Err(unknown()),
        Err(error) => return Err(error.into()),
    };
    let found = list.resources.into_iter().find(|resource| resource.kind == types.kind && !resource.name.contains('/'));
    found.map(|resource| (api_resource(&resource.name), resource.namespaced)).ok_or_else(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn object(managed_fields: &Value) -> DynamicObject {
        serde_json::from_value(json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a", "managedFields": managed_fields},
        }))
        .unwrap()
    }

    #[test]
    fn what_client_side_apply_owns_becomes_ours() {
        let annotations = json!({"f:annotations": {"f:kubectl.kubernetes.io/last-applied-configuration": {}}});
        let client_side = json!({"manager": "kubectl-client-side-apply", "operation": "Update", "apiVersion": "v1",
            "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:x": {}}, "f:metadata": annotations}});
        let other = json!({"manager": "else", "operation": "Update", "apiVersion": "v1", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {"f:y": {}}}});
        let entries = without_client_side_manager(&object(&json!([other, client_side]))).unwrap();
        assert_eq!(entries.len(), 2);
        assert_eq!((&entries[1]["manager"], &entries[1]["operation"]), (&json!("kubectl-flink"), &json!("Apply")));

        let ours = json!({"manager": "kubectl-flink", "operation": "Apply", "apiVersion": "v1", "fieldsType": "FieldsV1",
            "fieldsV1": {"f:data": {"f:z": {}}}});
        let entries = without_client_side_manager(&object(&json!([ours, client_side]))).unwrap();
        assert_eq!(entries[0]["fieldsV1"]["f:data"], json!({"f:z": {}, "f:x": {}}));

        assert_eq!(without_client_side_manager(&object(&json!([other]))), None);
    }
}
