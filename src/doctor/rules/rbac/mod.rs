//! Service accounts and their rights.

pub mod flk101_binding_namespace;
pub mod flk102_role_missing;
pub mod flk103_binding_subject;
pub mod flk104_role_without_lock;
pub mod flk105_jobmanager_rights;
pub mod flk106_taskmanager_rights;
pub mod flk107_kubernetes_namespace;
pub mod flk108_service_account_missing;
pub mod flk109_token_not_mounted;
pub mod flk110_rights_too_wide;
pub mod flk111_native_rights;
pub mod flk112_rights_on_endpoints;
pub mod flk113_unknown_verb;
pub mod flk114_node_list;

use std::collections::HashSet;

use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::known::Known;
use crate::doctor::model::config::Config;
use crate::doctor::model::{Cluster, Member};
use crate::doctor::place::Place;
use crate::doctor::rights::{self, Allowed, Bindings, Need};
use crate::doctor::rule::Check;
use crate::doctor::snapshot::ObjectId;
use crate::flink::version::Version;
use crate::manifests::tree::Node;

/// A service account that Flink's processes run under.
#[derive(Debug, Clone)]
pub(super) struct Account<'a> {
    /// The cluster.
    pub cluster: &'a Cluster,
    /// The process; none for a FlinkDeployment, whose pods the operator makes.
    pub member: Option<&'a Member>,
    /// The account's namespace; empty where it is not known.
    pub namespace: &'a str,
    /// Its name.
    pub name: &'a str,
    /// Where the pods name it.
    pub place: Place,
}

impl<'a> Account<'a> {
    /// Its process leads a cluster.
    pub(super) fn leads(&self) -> bool {
        self.member.is_none_or(Member::is_jobmanager)
    }

    /// The process makes the TaskManagers' pods itself.
    pub(super) fn is_native(&self) -> bool {
        self.leads() && self.cluster.mode.is_some_and(crate::flink::role::Mode::is_native)
    }

    /// What its process goes by.
    pub(super) fn config(&self) -> &'a Config {
        self.member.map_or(&self.cluster.config, |member| &member.config)
    }

    /// Its process keeps its high-availability data in ConfigMaps.
    pub(super) fn has_kubernetes_ha(&self) -> bool {
        self.config().has_kubernetes_ha()
    }

    /// The bindings that name it.
    pub(super) fn bindings(&self, cx: &Check<'_>) -> Bindings {
        rights::bindings(cx.snapshot(), self.namespace, self.name, self.namespace)
    }

    /// The roles that it has, and those that it would have if its bindings were in the right namespace.
    pub(super) fn roles(&self, cx: &Check<'_>) -> Vec<ObjectId> {
        let bindings = self.bindings(cx);
        let own = bindings.named.into_iter().filter_map(|(_, role)| role.present());
        let meant = bindings.elsewhere.into_iter().filter_map(|id| {
            let (kind, name) = rights::role_ref(&cx.object(id).node);
            let namespace = if kind == "ClusterRole" { "" } else { self.namespace };
            cx.find(kind, namespace, name).present()
        });
        own.chain(meant).collect()
    }

    /// Whether it may do this in a namespace.
    pub(super) fn may(&self, cx: &Check<'_>, right: Right, namespace: &str) -> Known<()> {
        let (verb, group, resource) = right;
        let (account_namespace, account) = (self.namespace, self.name);
        // The operator's chart makes an account with its rights in the namespaces that it watches.
        let of_chart = self.member.is_none() && !cx.is_live() && self.bindings(cx).named.is_empty();
        if of_chart && cx.snapshot().find("ServiceAccount", account_namespace, account).present().is_none() {
            return Known::Unknown(format!("service account {account} may come from the operator's chart"));
        }
        // TaskManagers whose account these files neither make nor bind got their rights elsewhere.
        let foreign = !self.leads() && self.name != "default" && !cx.is_live();
        if foreign && cx.snapshot().find("ServiceAccount", account_namespace, account).present().is_none() {
            let bindings = self.bindings(cx);
            if bindings.named.is_empty() && bindings.elsewhere.is_empty() {
                return Known::Unknown(format!("service account {account} is not made in these files"));
            }
        }
        rights::may(cx.snapshot(), Need { account_namespace, account, namespace, verb, group, resource })
    }

    /// `service account flink of namespace flink`, as messages name it.
    pub(super) fn title(&self) -> String {
        format!("service account {}{}", self.name, of_namespace(self.namespace))
    }

    /// `JobManager`, or `FlinkDeployment` where the operator makes the pods.
    pub(super) fn role_name(&self) -> &'static str {
        self.member.map_or("FlinkDeployment", Member::role_name)
    }
}

/// ` of namespace flink`, or nothing where it is not known.
pub(super) fn of_namespace(namespace: &str) -> String {
    if namespace.is_empty() { String::new() } else { format!(" of namespace {namespace}") }
}

/// The accounts of all processes, each once for JobManagers and once for TaskManagers. A FlinkDeployment's comes last: its
/// account is seen at the pods where they are there.
pub(super) fn accounts<'a>(cx: &Check<'a>) -> Vec<Account<'a>> {
    let (mut all, mut seen) = (Vec::new(), HashSet::new());
    let of_member = |(cluster, member): (&'a Cluster, &'a Member)| Account {
        cluster,
        member: Some(member),
        namespace: member.workload.namespace(),
        name: member.service_account(),
        place: member.in_spec("serviceAccountName"),
    };
    let of_resource = |cluster: &'a Cluster| {
        Some(Account {
            cluster,
            member: None,
            namespace: &cluster.namespace,
            name: cx.object(cluster.object).node.at("/spec/serviceAccount")?.text()?,
            place: Place::value(cluster.object, "/spec/serviceAccount"),
        })
    };
    let custom = cx.clusters().iter().filter(|cluster| cluster.is_custom_resource());
    for account in cx.members().into_iter().map(of_member).chain(custom.filter_map(of_resource)) {
        if seen.insert((account.namespace, account.name, account.leads())) {
            all.push(account);
        }
    }
    all
}

/// The namespace in which the account needs its rights: that of the pods. Where Flink is told to look in another one, and may
/// do nothing there, that is FLK107's finding, and what the account lacks in its own is one beside it.
fn own_namespace<'a>(cx: &Check<'_>, account: &Account<'a>) -> Option<&'a str> {
    let own = account.namespace;
    // Flink's client sets it for native clusters, and the operator does for its own.
    let set_by_others = account.is_native() || account.cluster.operator.is_some();
    let configured = match account.config().known(&["kubernetes.namespace"]) {
        Known::Present(entry) if entry.is_literal() => entry.value.clone(),
        Known::Absent if !set_by_others => "default".to_owned(),
        _ => own.to_owned(),
    };
    let meant = !rights::same_namespace(&configured, own)
        && account.may(cx, ("create", "", "configmaps"), &configured).present().is_some();
    (!meant).then_some(own)
}

/// Verb, API group, resource.
pub(super) type Right = (&'static str, &'static str, &'static str);

/// The JobManager's rights with high availability, those first whose lack is seen first: the informer lists and watches,
/// the elector gets, creates and patches, the stores of jobs and checkpoints update and delete.
const JOBMANAGER: [Right; 7] = [
    ("list", "", "configmaps"),
    ("watch", "", "configmaps"),
    ("get", "", "configmaps"),
    ("create", "", "configmaps"),
    ("update", "", "configmaps"),
    ("patch", "", "configmaps"),
    ("delete", "", "configmaps"),
];

/// A TaskManager only reads who leads.
const TASKMANAGER: [Right; 3] = [("list", "", "configmaps"), ("watch", "", "configmaps"), ("get", "", "configmaps")];

/// Rights on ConfigMaps that an account needs and lacks.
#[derive(Debug)]
pub(super) struct Shortage<'a> {
    /// The account.
    pub account: Account<'a>,
    /// What it may not do.
    pub missing: Vec<Right>,
    /// Where that is.
    pub lack: Lack,
}

/// Where rights are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Lack {
    /// No binding names the account.
    Unbound,
    /// A rule of this role is for the resource and lacks verbs.
    Verbs(ObjectId, usize),
    /// A rule of this role is for Endpoints.
    Endpoints(ObjectId, usize),
    /// A rule of this role is for the resource in another API group.
    Group(ObjectId, usize),
    /// This role has no rule for the resource.
    Rule(ObjectId),
    /// Roles that are in no file are bound, and are known not to grant it.
    Role(ObjectId),
}

impl Lack {
    /// The role that lacks it.
    pub(super) fn role(&self) -> Option<ObjectId> {
        match self {
            Lack::Verbs(role, _) | Lack::Endpoints(role, _) | Lack::Group(role, _) | Lack::Rule(role) => Some(*role),
            Lack::Unbound | Lack::Role(_) => None,
        }
    }
}

/// The accounts that lack rights on ConfigMaps which high availability needs: JobManagers' and then TaskManagers'. A lack
/// with a cause of its own is left out, and so is a TaskManager's where the JobManager lacks the same in the same place.
pub(super) fn shortages<'a>(cx: &mut Check<'a>) -> Vec<Shortage<'a>> {
    let mut found: Vec<Shortage<'a>> = Vec::new();
    let mut all = accounts(cx);
    all.sort_by_key(|account| !account.leads());
    for account in all.into_iter().filter(Account::has_kubernetes_ha) {
        let Some(namespace) = own_namespace(cx, &account) else { continue };
        let patches = account.cluster.version.is_some_and(|version| version >= Version::new(1, 18, 0));
        let needs: &[Right] = if account.leads() { &JOBMANAGER } else { &TASKMANAGER };
        let needs = needs.iter().filter(|right| right.0 != "patch" || patches);
        let mut missing = missing(cx, &account, needs, namespace);
        if !missing.is_empty() && has_other_cause(cx, &account) {
            // Mended, it would still lack what its roles do not grant.
            let roles = account.roles(cx);
            let grants = |right: &Right| {
                let allowed = |role: &ObjectId| rights::allows(&cx.object(*role).node, right.0, right.1, right.2);
                roles.iter().any(|role| allowed(role) != Allowed::No)
            };
            missing.retain(|right| !roles.is_empty() && !grants(right));
        }
        if missing.is_empty() {
            continue;
        }
        let lack = lack(cx, &account, &missing);
        // A native JobManager's account without any rights is FLK111's finding.
        let native = lack == Lack::Unbound && account.is_native();
        let same = |other: &Shortage<'_>| {
            let account_is = (other.account.namespace, other.account.name) == (account.namespace, account.name);
            account_is || (lack.role().is_some() && other.lack.role() == lack.role())
        };
        if !native && !found.iter().any(same) {
            found.push(Shortage { account, missing, lack });
        }
    }
    found
}

/// Those of the rights that the account is known to lack; what cannot be told is noted.
pub(super) fn missing<'r>(
    cx: &mut Check<'_>,
    account: &Account<'_>,
    needs: impl IntoIterator<Item = &'r Right>,
    namespace: &str,
) -> Vec<Right> {
    let needs: Vec<Right> = needs.into_iter().copied().collect();
    needs
        .into_iter()
        .filter(|right| {
            let fact = account.may(cx, *right, namespace);
            cx.absent(&fact)
        })
        .collect()
}

/// The account has no rights for a reason that another rule finds: its bindings are in another namespace (FLK101), their
/// role is missing (FLK102), they name another account (FLK103), or there is no such account (FLK108, FLK708).
pub(super) fn has_other_cause(cx: &Check<'_>, account: &Account<'_>) -> bool {
    let bindings = account.bindings(cx);
    let gone = account.name != "default" && cx.find("ServiceAccount", account.namespace, account.name).is_absent();
    gone || (bindings.named.is_empty() && !bindings.elsewhere.is_empty())
        || bindings.named.iter().any(|(_, role)| role.is_absent())
        || !wrong_subjects(cx, account).is_empty()
}

/// The subjects of bindings in the account's namespace that were meant to name it: binding, number of the subject, and
/// whether it is its namespace that is wrong, and not its name. None where another binding names the account.
pub(super) fn wrong_subjects(cx: &Check<'_>, account: &Account<'_>) -> Vec<(ObjectId, usize, bool)> {
    let mut found = Vec::new();
    if account.namespace.is_empty() || !account.bindings(cx).named.is_empty() {
        return found;
    }
    let is_there = |name: &str| cx.find("ServiceAccount", account.namespace, name);
    for (kind, namespace) in [("RoleBinding", account.namespace), ("ClusterRoleBinding", "")] {
        for id in cx.of_kind_in(kind, namespace) {
            let binding = cx.object(id);
            let subjects = binding.node.get("subjects").map(Node::items).unwrap_or_default();
            for (number, subject) in subjects.iter().enumerate() {
                let text = |key: &str| subject.get(key).and_then(Node::text).unwrap_or_default();
                if text("kind") != "ServiceAccount" {
                    continue;
                }
                let (name, namespace) = (text("name"), text("namespace"));
                if name == account.name && !namespace.is_empty() {
                    // An account of this name in that namespace may be meant.
                    let meant = !names_nobody(cx, &cx.find("ServiceAccount", namespace, name))
                        || cx.members().iter().any(|(_, member)| {
                            member.workload.namespace() == namespace && member.service_account() == name
                        });
                    found.extend((!meant).then_some((id, number, true)));
                } else if name != account.name
                    && (namespace == account.namespace || namespace.is_empty())
                    && is_there(account.name).present().is_some()
                    && names_nobody(cx, &is_there(name))
                    && !cx.members().iter().any(|(_, member)| member.service_account() == name)
                    && grants_config_maps(cx, id)
                {
                    found.push((id, number, false));
                }
            }
        }
    }
    found
}

/// In files that have the account which is meant, one that they do not have is a mistake.
fn names_nobody(cx: &Check<'_>, account: &Known<ObjectId>) -> bool {
    match account {
        Known::Present(_) => false,
        Known::Absent => true,
        Known::Unknown(_) => !cx.is_live(),
    }
}

fn grants_config_maps(cx: &Check<'_>, binding: ObjectId) -> bool {
    let role = rights::role_of(cx.snapshot(), binding).present();
    role.is_some_and(|role| rights::allows(&cx.object(role).node, "get", "", "configmaps") == rights::Allowed::Yes)
}

/// Where the first of the rights is missing: in the role that is nearest to granting it.
pub(super) fn lack(cx: &Check<'_>, account: &Account<'_>, missing: &[Right]) -> Lack {
    let Some((_, group, resource)) = missing.first().copied() else { return Lack::Unbound };
    let bindings = account.bindings(cx);
    let granted = account.roles(cx);
    let find = |matches: &dyn Fn(&Node) -> bool| {
        granted.iter().find_map(|role| {
            let rules = cx.object(*role).node.get("rules").map(Node::items).unwrap_or_default();
            let named = |rule: &Node| rule.get("resourceNames").is_some_and(|names| !names.items().is_empty());
            Some((*role, rules.iter().position(|rule| matches(rule) && !named(rule))?))
        })
    };
    let is_for = |rule: &Node, resource: &str| rights::lists(rule, "resources", resource);
    if let Some((role, number)) = find(&|rule| is_for(rule, resource) && rights::lists(rule, "apiGroups", group)) {
        return Lack::Verbs(role, number);
    }
    if let Some((role, number)) = find(&|rule| is_for(rule, resource)) {
        return Lack::Group(role, number);
    }
    if let Some((role, number)) = find(&|rule| resource == "configmaps" && is_for(rule, "endpoints")) {
        return Lack::Endpoints(role, number);
    }
    match (granted.first(), bindings.named.first()) {
        (Some(role), _) => Lack::Rule(*role),
        (None, Some((binding, _))) => Lack::Role(*binding),
        (None, None) => Lack::Unbound,
    }
}

/// `get, list and watch`
pub(super) fn join(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Reports a shortage: the whole of it in one finding, at the role that lacks the rights.
pub(super) fn report(cx: &mut Check<'_>, shortage: &Shortage<'_>) {
    let Shortage { account, missing, lack } = shortage;
    let verbs: Vec<&str> = missing.iter().map(|right| right.0).collect();
    let (title, process) = (account.title(), account.role_name());
    let title_of = |id: ObjectId| format!("{} {}", cx.object(id).kind, cx.object(id).name);
    let (list, insert) = (join(&verbs), |place: Place| {
        verbs.iter().map(|verb| Edit::InsertItem(place.clone(), (*verb).to_owned())).collect::<Vec<_>>()
    });
    let at = |role: ObjectId, path: String| Place::value(role, path);
    let new_rule = format!("{{apiGroups: [\"\"], resources: [configmaps], verbs: [{}]}}", verbs.join(", "));
    let (place, message, help, edits) = match *lack {
        Lack::Unbound => (
            account.place.clone(),
            format!("the {process}s run as {title}, which no binding gives the rights to {list} configmaps"),
            match account.name {
                "default" => format!(
                    "set serviceAccountName to an account with a Role for configmaps ({}) in the namespace of the pods",
                    verbs.join(", ")
                ),
                _ => format!("bind the account to a Role for configmaps with the verbs {}", verbs.join(", ")),
            },
            Vec::new(),
        ),
        Lack::Verbs(id, number) => (
            at(id, format!("/rules/{number}/verbs")),
            format!("{} does not let the {process}'s {title} {list} configmaps", title_of(id)),
            format!("add {} to its verbs", verbs.join(", ")),
            insert(at(id, format!("/rules/{number}/verbs"))),
        ),
        Lack::Endpoints(id, number) => {
            let resource = at(id, format!("/rules/{number}/resources/0"));
            let only =
                cx.object(id).node.at(&format!("/rules/{number}/resources")).is_some_and(|all| all.items().len() == 1);
            let given = cx.object(id).node.at(&format!("/rules/{number}/verbs")).map(Node::items).unwrap_or_default();
            let mut edits = vec![Edit::Replace(resource.clone(), "configmaps".to_owned())];
            edits.extend(
                verbs
                    .iter()
                    .filter(|verb| !given.iter().any(|item| item.text() == Some(**verb)))
                    .map(|verb| Edit::InsertItem(at(id, format!("/rules/{number}/verbs")), (*verb).to_owned())),
            );
            (
                resource,
                format!(
                    "{} is for endpoints, and Flink elects its leader and keeps its jobs in configmaps, which the \
                     {process}'s {title} may not {}",
                    title_of(id),
                    list.replace(" and ", " or ")
                ),
                format!("put configmaps in the place of endpoints, with the verbs {}", verbs.join(", ")),
                if only { edits } else { Vec::new() },
            )
        }
        Lack::Group(id, number) => (
            at(id, format!("/rules/{number}/apiGroups")),
            format!("{} is for configmaps of another API group than the core one, whose name is empty", title_of(id)),
            "write apiGroups: [\"\"]".to_owned(),
            vec![Edit::InsertItem(at(id, format!("/rules/{number}/apiGroups")), "\"\"".to_owned())],
        ),
        Lack::Rule(id) => (
            at(id, "/rules".to_owned()),
            format!("{} has no rule for configmaps, which the {process}'s {title} has to {list}", title_of(id)),
            format!("add a rule for configmaps with the verbs {}", verbs.join(", ")),
            vec![Edit::InsertItem(at(id, "/rules".to_owned()), new_rule)],
        ),
        Lack::Role(id) => (
            at(id, "/roleRef/name".to_owned()),
            format!("what {} grants does not let the {process}'s {title} {list} configmaps", title_of(id)),
            format!("bind the account to a Role for configmaps with the verbs {}", verbs.join(", ")),
            Vec::new(),
        ),
    };
    let id = account.config().value("kubernetes.cluster-id").unwrap_or(&account.cluster.name);
    let symptom = symptom(verbs[0], id, account);
    let pods = account.place.clone();
    let cluster = account.cluster;
    let finding = cx.report(place, message).help(help).symptom(symptom).cluster(&cluster.namespace, &cluster.name);
    if *lack != Lack::Unbound {
        finding.related(pods, format!("the {process}'s account"));
    }
    if !edits.is_empty() {
        finding.fix(Fix::of(format!("grant {} on configmaps", verbs.join(", ")), Safety::Safe, edits));
    }
}

/// The line of the log that shows the first right that is refused.
fn symptom(verb: &str, id: &str, account: &Account<'_>) -> String {
    let namespace = if account.namespace.is_empty() { "NAMESPACE" } else { account.namespace };
    let object = if verb == "create" {
        "configmaps is".to_owned()
    } else {
        format!("configmaps \"{id}-cluster-config-map\" is")
    };
    match verb {
        "watch" => {
            "Received 403 on websocket. Failure executing: GET at: .../configmaps?allowWatchBookmarks=true".to_owned()
        }
        _ => format!(
            "{object} forbidden: User \"system:serviceaccount:{namespace}:{}\" cannot {verb} resource \"configmaps\" in API \
             group \"\" in the namespace \"{namespace}\"",
            account.name
        ),
    }
}
