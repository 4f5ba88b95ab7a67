//! What a service account may do, told from Roles and bindings, from the API server's own answer, or not at all.

use super::known::Known;
use super::live;
use super::snapshot::{ObjectId, Snapshot};
use crate::manifests::tree::Node;

/// One thing that a service account may need to do, in one namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Need<'a> {
    /// The namespace of the account.
    pub account_namespace: &'a str,
    /// The account's name.
    pub account: &'a str,
    /// The namespace of what it is done to.
    pub namespace: &'a str,
    /// `get`
    pub verb: &'a str,
    /// Empty for the core group.
    pub group: &'a str,
    /// `configmaps`
    pub resource: &'a str,
}

/// Bindings that speak of an account, good or not.
#[derive(Debug, Clone, Default)]
pub struct Bindings {
    /// Those that count in the namespace, each with its role; none for a role that is not there.
    pub effective: Vec<(ObjectId, Known<ObjectId>)>,
    /// RoleBindings of other namespaces: they grant nothing here.
    pub elsewhere: Vec<ObjectId>,
}

/// The bindings whose subjects include a service account, directly or by one of the groups that every account has.
pub fn bindings(snapshot: &Snapshot, account_namespace: &str, account: &str, namespace: &str) -> Bindings {
    let mut found = Bindings::default();
    for id in snapshot.of_kind("RoleBinding") {
        let binding = snapshot.object(*id);
        if !is_subject(&binding.node, &binding.namespace, account_namespace, account) {
            continue;
        }
        if binding.namespace == namespace {
            found.effective.push((*id, role_of(snapshot, *id)));
        } else {
            found.elsewhere.push(*id);
        }
    }
    for id in snapshot.of_kind("ClusterRoleBinding") {
        if is_subject(&snapshot.object(*id).node, "", account_namespace, account) {
            found.effective.push((*id, role_of(snapshot, *id)));
        }
    }
    found
}

/// Whether one of a binding's subjects is the account, or a group that it is in.
pub fn is_subject(binding: &Node, binding_namespace: &str, account_namespace: &str, account: &str) -> bool {
    let subjects = binding.get("subjects").map(Node::items).unwrap_or_default();
    subjects.iter().any(|subject| {
        let text = |key: &str| subject.get(key).and_then(Node::text).unwrap_or_default();
        let namespace = Some(text("namespace")).filter(|namespace| !namespace.is_empty()).unwrap_or(binding_namespace);
        match text("kind") {
            "ServiceAccount" => text("name") == account && namespace == account_namespace,
            "Group" => {
                let name = text("name");
                matches!(name, "system:serviceaccounts" | "system:authenticated")
                    || name.strip_prefix("system:serviceaccounts:") == Some(account_namespace)
            }
            "User" => text("name") == format!("system:serviceaccount:{account_namespace}:{account}"),
            _ => false,
        }
    })
}

/// The role that a binding grants.
pub fn role_of(snapshot: &Snapshot, binding: ObjectId) -> Known<ObjectId> {
    let binding = snapshot.object(binding);
    let text = |pointer: &str| binding.node.at(pointer).and_then(Node::text).unwrap_or_default();
    match text("/roleRef/kind") {
        "ClusterRole" => snapshot.find("ClusterRole", "", text("/roleRef/name")),
        _ => snapshot.find("Role", &binding.namespace, text("/roleRef/name")),
    }
}

/// Whether a role's rules allow it, on every object of the resource.
pub fn allows(role: &Node, verb: &str, group: &str, resource: &str) -> bool {
    let rules = role.get("rules").map(Node::items).unwrap_or_default();
    rules.iter().any(|rule| {
        let has = |key: &str, wanted: &str| {
            let items = rule.get(key).map(Node::items).unwrap_or_default();
            items.iter().filter_map(Node::text).any(|item| item == wanted || item == "*")
        };
        let names = rule.get("resourceNames").map(Node::items).unwrap_or_default();
        has("verbs", verb) && has("apiGroups", group) && has("resources", resource) && names.is_empty()
    })
}

/// Whether one of the roles that every cluster has allows it (`bootstrappolicy/policy.go`): `cluster-admin`, `admin`,
/// `edit` and `view` are hardly ever among the files. None for another name.
fn built_in(name: &str, verb: &str, group: &str, resource: &str) -> Option<bool> {
    let reads = matches!(verb, "get" | "list" | "watch");
    let known = matches!((group, resource), ("", "configmaps" | "pods" | "services") | ("apps", "deployments"));
    match name {
        "cluster-admin" => Some(true),
        "admin" | "edit" => Some(known),
        "view" => Some(known && reads),
        _ => None,
    }
}

/// Whether the account may do it. The API server's own answer goes before what the roles say, except where the files that
/// are to be applied change it.
pub fn may(snapshot: &Snapshot, need: Need<'_>) -> Known<()> {
    let asked = asked(snapshot, need);
    let bindings = bindings(snapshot, need.account_namespace, need.account, need.namespace);
    let mut unknown = None;
    for (binding, role) in &bindings.effective {
        let reference = snapshot.object(*binding).node.at("/roleRef/name").and_then(Node::text).unwrap_or_default();
        match role {
            Known::Present(role) => {
                if allows(&snapshot.object(*role).node, need.verb, need.group, need.resource) {
                    return Known::Present(());
                }
            }
            Known::Absent => {}
            Known::Unknown(why) => match built_in(reference, need.verb, need.group, need.resource) {
                Some(true) => return Known::Present(()),
                Some(false) => {}
                None => unknown = Some(why.clone()),
            },
        }
    }
    // What the files grant or take away is not in the API server's answer.
    let files_speak = bindings.effective.iter().any(|(binding, _)| snapshot.object(*binding).file.is_some());
    match (asked, unknown) {
        (Some(true), _) => Known::Present(()),
        (Some(false), None) => Known::Absent,
        (Some(false), Some(_)) if !files_speak => Known::Absent,
        (_, Some(why)) => Known::Unknown(why),
        (None, None) if !bindings.effective.is_empty() || files_have_rbac(snapshot) => Known::Absent,
        (None, None) => match snapshot.has_all("RoleBinding", need.namespace) {
            Ok(()) => match snapshot.has_all("ClusterRoleBinding", "") {
                Ok(()) => Known::Absent,
                Err(why) => Known::Unknown(why),
            },
            Err(why) => Known::Unknown(why),
        },
    }
}

/// Files that have bindings of some account are taken to have those of all accounts: nobody spreads one cluster's rights.
pub fn files_have_rbac(snapshot: &Snapshot) -> bool {
    snapshot.live.is_none()
        && ["RoleBinding", "ClusterRoleBinding"].iter().any(|kind| !snapshot.of_kind(kind).is_empty())
}

/// What the API server said, if it was asked.
fn asked(snapshot: &Snapshot, need: Need<'_>) -> Option<bool> {
    let review = snapshot.find(live::ACCESS, need.account_namespace, need.account).present()?;
    let Need { namespace, verb, group, resource, .. } = need;
    let dot = if group.is_empty() { "" } else { "." };
    let right = format!("{verb} {resource}{dot}{group} {namespace}");
    let review = &snapshot.object(review).node;
    let has = |pointer: &str| {
        let items = review.at(pointer).map(Node::items).unwrap_or_default();
        items.iter().any(|item| item.text() == Some(&right))
    };
    if has("/spec/allowed") { Some(true) } else { has("/spec/denied").then_some(false) }
}
