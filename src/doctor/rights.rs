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
    /// Those of them that name the account, or all accounts of its namespace, and not just everybody.
    pub named: Vec<(ObjectId, Known<ObjectId>)>,
    /// RoleBindings of other namespaces: they grant nothing here.
    pub elsewhere: Vec<ObjectId>,
}

/// Whether two namespaces may be the same: one that is not known may be any.
pub fn same_namespace(a: &str, b: &str) -> bool {
    a == b || a.is_empty() || b.is_empty()
}

/// The bindings whose subjects include a service account, directly or by one of the groups that every account has.
pub fn bindings(snapshot: &Snapshot, account_namespace: &str, account: &str, namespace: &str) -> Bindings {
    let mut found = Bindings::default();
    for id in snapshot.bindings_of(account_namespace, account) {
        let binding = snapshot.object(id);
        let Some(named) = names(&binding.node, &binding.namespace, account_namespace, account) else { continue };
        if binding.kind == "RoleBinding" && !same_namespace(&binding.namespace, namespace) {
            found.elsewhere.extend(named.then_some(id));
            continue;
        }
        let granted = (id, role_of(snapshot, id));
        found.named.extend(named.then(|| granted.clone()));
        found.effective.push(granted);
    }
    found
}

/// Whether one of a binding's subjects is the account, or a group that it is in.
pub fn is_subject(binding: &Node, binding_namespace: &str, account_namespace: &str, account: &str) -> bool {
    names(binding, binding_namespace, account_namespace, account).is_some()
}

/// Whether a binding's subjects include the account: itself or its namespace's group (true), or a group of everybody.
pub fn names(binding: &Node, binding_namespace: &str, account_namespace: &str, account: &str) -> Option<bool> {
    let subjects = binding.get("subjects").map(Node::items).unwrap_or_default();
    let named = |subject: &Node| {
        let text = |key: &str| subject.get(key).and_then(Node::text).unwrap_or_default();
        let (kind, name) = (text("kind"), text("name"));
        let namespace = Some(text("namespace")).filter(|namespace| !namespace.is_empty()).unwrap_or(binding_namespace);
        let own = match kind {
            "ServiceAccount" => name == account && same_namespace(namespace, account_namespace),
            "Group" => (name.strip_prefix("system:serviceaccounts:"))
                .is_some_and(|namespace| same_namespace(namespace, account_namespace)),
            "User" => (name.strip_prefix("system:serviceaccount:").and_then(|user| user.split_once(':')))
                .is_some_and(|(namespace, name)| name == account && same_namespace(namespace, account_namespace)),
            _ => false,
        };
        let everybody = kind == "Group" && matches!(name, "system:serviceaccounts" | "system:authenticated");
        own.then_some(true).or(everybody.then_some(false))
    };
    subjects.iter().filter_map(named).max()
}

/// The role that a binding grants. In files it is absent where what they have makes it all but certain that it is meant
/// to be one of theirs, and it is not.
pub fn role_of(snapshot: &Snapshot, binding: ObjectId) -> Known<ObjectId> {
    let object = snapshot.object(binding);
    let (kind, name) = role_ref(&object.node);
    let namespace = if kind == "ClusterRole" { "" } else { object.namespace.as_str() };
    match snapshot.find(kind, namespace, name) {
        Known::Unknown(_) if snapshot.live.is_none() && mistaken_role(snapshot, binding).is_some() => Known::Absent,
        found => found,
    }
}

/// Kind and name of the role that a binding grants.
pub fn role_ref(binding: &Node) -> (&str, &str) {
    let text = |pointer: &str| binding.at(pointer).and_then(Node::text).unwrap_or_default();
    let kind = if text("/roleRef/kind") == "ClusterRole" { "ClusterRole" } else { "Role" };
    (kind, text("/roleRef/name"))
}

/// What a binding, whose role is not in the files, was probably meant to name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mistaken {
    /// A Role of this name is in another namespace.
    Elsewhere(ObjectId),
    /// It is a Role, and the binding says ClusterRole.
    IsRole,
    /// It is a ClusterRole, and the binding says Role.
    IsClusterRole,
    /// This Role is in the namespace, and no binding names it.
    Unbound(ObjectId),
}

/// Why the role of a binding is not there, as far as files can tell.
pub fn mistaken_role(snapshot: &Snapshot, binding: ObjectId) -> Option<Mistaken> {
    let object = snapshot.object(binding);
    let (kind, name) = role_ref(&object.node);
    let roles = || snapshot.of_kind("Role").iter().copied();
    if kind == "ClusterRole" {
        let role = snapshot.find("Role", &object.namespace, name).present();
        let known = snapshot.find("ClusterRole", "", name).present().is_some() || is_built_in(name);
        return role.filter(|_| !known).map(|_| Mistaken::IsRole);
    }
    if roles().any(|id| {
        let role = snapshot.object(id);
        role.name == name && same_namespace(&role.namespace, &object.namespace)
    }) {
        return None;
    }
    if is_built_in(name) || snapshot.find("ClusterRole", "", name).present().is_some() {
        return Some(Mistaken::IsClusterRole);
    }
    if let Some(id) = roles().find(|id| snapshot.object(*id).name == name) {
        return Some(Mistaken::Elsewhere(id));
    }
    let named: Vec<&str> = (snapshot.of_kind("RoleBinding").iter())
        .map(|id| snapshot.object(*id))
        .filter(|other| other.namespace == object.namespace)
        .map(|other| role_ref(&other.node).1)
        .collect();
    let unbound = roles().find(|id| {
        let role = snapshot.object(*id);
        role.namespace == object.namespace && !named.contains(&role.name.as_str())
    });
    unbound.map(Mistaken::Unbound)
}

/// What a role says to a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Allowed {
    /// For every object of the resource.
    Yes,
    /// For objects of some names.
    ByName,
    /// Not at all.
    No,
}

/// Whether a list of a rule has an item, or `*`.
pub fn lists(rule: &Node, key: &str, wanted: &str) -> bool {
    let items = rule.get(key).map(Node::items).unwrap_or_default();
    items.iter().filter_map(Node::text).any(|item| item == wanted || item == "*")
}

/// Whether a role's rules allow it. What a rule grants for names cannot be `create`, whose requests have no name.
pub fn allows(role: &Node, verb: &str, group: &str, resource: &str) -> Allowed {
    let mut allowed = Allowed::No;
    for rule in role.get("rules").map(Node::items).unwrap_or_default() {
        if lists(rule, "verbs", verb) && lists(rule, "apiGroups", group) && lists(rule, "resources", resource) {
            if rule.get("resourceNames").map(Node::items).unwrap_or_default().is_empty() {
                return Allowed::Yes;
            }
            if verb != "create" {
                allowed = Allowed::ByName;
            }
        }
    }
    allowed
}

/// The roles for people that every cluster has.
pub fn is_built_in(name: &str) -> bool {
    matches!(name, "cluster-admin" | "admin" | "edit" | "view")
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
/// are to be applied change it, and where rights are for names, which was not asked.
pub fn may(snapshot: &Snapshot, need: Need<'_>) -> Known<()> {
    let bindings = bindings(snapshot, need.account_namespace, need.account, need.namespace);
    let (mut unknown, mut by_name, mut files_speak) = (None, None, false);
    for (binding, role) in &bindings.effective {
        files_speak |= snapshot.object(*binding).file.is_some();
        match role {
            Known::Present(role) => {
                let role = snapshot.object(*role);
                files_speak |= role.file.is_some();
                match allows(&role.node, need.verb, need.group, need.resource) {
                    Allowed::Yes => return Known::Present(()),
                    Allowed::ByName => {
                        by_name = Some(format!("{} {} grants rights by resourceNames", role.kind, role.name));
                    }
                    // The control plane fills its rules from other ClusterRoles.
                    Allowed::No if role.file.is_some() && role.node.get("aggregationRule").is_some() => {
                        unknown = Some(format!("ClusterRole {} is put together from others", role.name));
                    }
                    Allowed::No => {}
                }
            }
            Known::Absent => {}
            Known::Unknown(why) => {
                let (kind, name) = role_ref(&snapshot.object(*binding).node);
                let granted = built_in(name, need.verb, need.group, need.resource).filter(|_| kind == "ClusterRole");
                match granted {
                    Some(true) => return Known::Present(()),
                    Some(false) => {}
                    None => unknown = Some(why.clone()),
                }
            }
        }
    }
    if let Some(why) = by_name {
        return Known::Unknown(why);
    }
    match (asked(snapshot, need), unknown) {
        (Some(true), None) if files_speak => {}
        (Some(true), _) => return Known::Present(()),
        (Some(false), None) => return Known::Absent,
        (Some(false), Some(_)) if !files_speak => return Known::Absent,
        (_, Some(why)) => return Known::Unknown(why),
        (None, None) => {}
    }
    if snapshot.live.is_none() && (files_speak || files_have_rights(snapshot, need)) {
        return Known::Absent;
    }
    let all = snapshot.has_all("RoleBinding", need.namespace).and_then(|()| snapshot.has_all("ClusterRoleBinding", ""));
    all.map_or_else(Known::Unknown, |()| Known::Absent)
}

/// Files that have bindings of a namespace and the account itself, or that give the right to another of its accounts, are
/// taken to have all of its bindings: nobody spreads one cluster's rights.
fn files_have_rights(snapshot: &Snapshot, need: Need<'_>) -> bool {
    // Nobody writes down the account `default`; who writes down another one has not forgotten its rights.
    let has_account = snapshot
        .accounts_in(need.account_namespace)
        .iter()
        .map(|id| snapshot.object(*id))
        .any(|account| account.name == need.account || need.account == "default");
    let speaks = |id: &ObjectId| {
        let binding = snapshot.object(*id);
        let subjects = binding.node.get("subjects").map(Node::items).unwrap_or_default();
        let mut namespaces = subjects.iter().filter_map(|subject| subject.get("namespace").and_then(Node::text));
        let here = (binding.kind == "RoleBinding" && same_namespace(&binding.namespace, need.namespace))
            || namespaces.any(|namespace| same_namespace(namespace, need.namespace));
        let (kind, name) = role_ref(&binding.node);
        let grants = match role_of(snapshot, *id) {
            Known::Present(role) => {
                allows(&snapshot.object(role).node, need.verb, need.group, need.resource) == Allowed::Yes
            }
            _ => kind == "ClusterRole" && built_in(name, need.verb, need.group, need.resource) == Some(true),
        };
        here && (has_account || grants)
    };
    snapshot.bindings_in(need.namespace).iter().any(speaks)
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
