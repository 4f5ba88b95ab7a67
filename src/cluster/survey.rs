//! Reads what the doctor looks at from a cluster: as little as the rules need, in as few requests as that takes.
//!
//! First everything that is listed, at once: workloads, bindings, Services and the like, Flink's own ConfigMaps and pods by
//! their label. Then what those name: pods by their workload's selector, ConfigMaps, accounts and claims by name, what the
//! API server says of rights. Last what only helps where something is wrong: events and logs of pods that do not run, and
//! Flink's REST API. A kind that may not be read is noted, and the rest goes on.

mod evidence;

use std::collections::BTreeSet;
use std::time::Duration;

use futures::future::join_all;
use jiff::Timestamp;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, ListParams};
use serde_json::Value;
use tokio::time::Instant;

use super::Connection;
use super::access::{self, Right};
use super::discover::Scope;
use super::membership;
use super::paging;
use crate::doctor::known::Known;
use crate::doctor::live::{self, LiveFacts};
use crate::doctor::model::{Member, Model};
use crate::doctor::rights;
use crate::doctor::rule::Input;
use crate::doctor::snapshot::{Object, Snapshot};
use crate::error::{Error, Result};
use crate::flink::role::{Mode, Role};
use crate::flink::version::Version;
use crate::manifests::tree::Node;

/// With more workloads than this, all pods of the scope are listed, instead of those of each workload.
const SELECTORS: usize = 20;
/// What Flink itself creates, in every version, has this label: HA ConfigMaps, and all of a native cluster.
const OF_FLINK: &str = "type=flink-native-kubernetes";

/// The group of the operator's kinds.
const OF_OPERATOR: &str = "flink.apache.org";

/// How a kind is read.
#[derive(Debug, Clone, Copy)]
struct Source {
    kind: &'static str,
    group: &'static str,
    version: &'static str,
    plural: &'static str,
    namespaced: bool,
}

/// The kinds of which clusters are made.
pub const WORKLOADS: [&str; 4] = ["Deployment", "StatefulSet", "Job", "FlinkDeployment"];
/// The kinds that are of no namespace.
pub const OF_NO_NAMESPACE: [&str; 3] = ["ClusterRoleBinding", "ClusterRole", "Namespace"];

const fn source(kind: &'static str, group: &'static str, version: &'static str, plural: &'static str) -> Source {
    Source { kind, group, version, plural, namespaced: true }
}

const DEPLOYMENT: Source = source("Deployment", "apps", "v1", "deployments");
const CONFIG_MAP: Source = source("ConfigMap", "", "v1", "configmaps");
const POD: Source = source("Pod", "", "v1", "pods");
const ACCOUNT: Source = source("ServiceAccount", "", "v1", "serviceaccounts");
const CLAIM: Source = source("PersistentVolumeClaim", "", "v1", "persistentvolumeclaims");
const NAMESPACE: Source = Source { namespaced: false, ..source("Namespace", "", "v1", "namespaces") };
const CLUSTER_ROLE: Source =
    Source { namespaced: false, ..source("ClusterRole", "rbac.authorization.k8s.io", "v1", "clusterroles") };

/// What is listed whole, for the inputs that want it.
const LISTED: [(Input, Source); 14] = [
    (Input::Processes, DEPLOYMENT),
    (Input::Processes, source("StatefulSet", "apps", "v1", "statefulsets")),
    (Input::Processes, source("Job", "batch", "v1", "jobs")),
    (Input::Processes, source("FlinkDeployment", OF_OPERATOR, "v1beta1", "flinkdeployments")),
    (Input::Rbac, source("Role", "rbac.authorization.k8s.io", "v1", "roles")),
    (Input::Rbac, source("RoleBinding", "rbac.authorization.k8s.io", "v1", "rolebindings")),
    (
        Input::Rbac,
        Source {
            namespaced: false,
            ..source("ClusterRoleBinding", "rbac.authorization.k8s.io", "v1", "clusterrolebindings")
        },
    ),
    (Input::Services, source("Service", "", "v1", "services")),
    (Input::Ingresses, source("Ingress", "networking.k8s.io", "v1", "ingresses")),
    (Input::NetworkPolicies, source("NetworkPolicy", "networking.k8s.io", "v1", "networkpolicies")),
    (Input::Quotas, source("ResourceQuota", "", "v1", "resourcequotas")),
    (Input::Quotas, source("LimitRange", "", "v1", "limitranges")),
    (Input::DisruptionBudgets, source("PodDisruptionBudget", "policy", "v1", "poddisruptionbudgets")),
    (Input::Autoscalers, source("HorizontalPodAutoscaler", "autoscaling", "v2", "horizontalpodautoscalers")),
];

/// What is read by its name, for the inputs that want it.
const NAMED: [(Input, Source); 5] = [
    (Input::Processes, CONFIG_MAP),
    (Input::ServiceAccounts, ACCOUNT),
    (Input::Claims, CLAIM),
    (Input::Rbac, CLUSTER_ROLE),
    (Input::Namespaces, NAMESPACE),
];
/// What is listed by Flink's own label, for the inputs that want it.
const LABELLED: [(Input, Source); 4] =
    [(Input::HaMaps, CONFIG_MAP), (Input::Processes, CONFIG_MAP), (Input::Pods, POD), (Input::Processes, POD)];

/// Reads a cluster into `snapshot`; objects that came from files stay. True where all was read in time.
///
/// # Errors
/// The API server cannot be reached, or nothing at all may be read.
pub async fn read(
    connection: &Connection,
    scope: &Scope,
    inputs: &BTreeSet<Input>,
    snapshot: &mut Snapshot,
    timeout: Duration,
) -> Result<bool> {
    let deadline = Instant::now() + timeout;
    snapshot.live = Some(LiveFacts { now: Timestamp::now() });
    let mut reader = Reader { connection, scope, inputs, snapshot, deadline, in_time: true };
    reader.listed().await?;
    reader.named().await;
    reader.rights().await;
    evidence::read(&mut reader).await;
    Ok(reader.in_time)
}

struct Reader<'a> {
    connection: &'a Connection,
    scope: &'a Scope,
    inputs: &'a BTreeSet<Input>,
    snapshot: &'a mut Snapshot,
    deadline: Instant,
    in_time: bool,
}

/// What a request gave: objects, or why not.
type Answer = Result<Vec<Value>, NotRead>;

enum NotRead {
    /// The kind is not there, or may not be read: the rest goes on.
    Refused(String),
    NotServed,
    TooLate,
    Failed(Error),
}

impl Reader<'_> {
    fn wants(&self, input: Input) -> bool {
        self.inputs.contains(&input)
    }

    /// What the coverage of a scope is called.
    fn scope_name(&self) -> String {
        match self.scope {
            Scope::All => "*".to_owned(),
            Scope::Namespace(namespace) => namespace.clone(),
        }
    }

    async fn listed(&mut self) -> Result<()> {
        let mut wanted: Vec<(Source, ListParams)> = LISTED
            .into_iter()
            .filter(|(input, _)| self.wants(*input))
            .map(|(_, source)| (source, ListParams::default()))
            .collect();
        for source in [CONFIG_MAP, POD] {
            if LABELLED.iter().any(|(input, labelled)| labelled.kind == source.kind && self.wants(*input)) {
                wanted.push((source, ListParams::default().labels(OF_FLINK)));
            }
        }
        let answers = join_all(wanted.iter().map(|(source, params)| self.list(*source, params.clone()))).await;
        let (scope, mut read, mut refused) = (self.scope_name(), 0, None);
        for ((source, params), answer) in wanted.into_iter().zip(answers) {
            let whole = params.label_selector.is_none();
            match self.or_not_served(source, answer).await {
                Ok(items) => {
                    read += 1;
                    if whole {
                        self.snapshot.coverage.complete(source.kind, if source.namespaced { &scope } else { "" });
                    }
                    self.add(source, items);
                }
                Err(NotRead::NotServed) => self.snapshot.coverage.complete(source.kind, &scope),
                Err(NotRead::Failed(error)) => return Err(error),
                Err(NotRead::Refused(why)) => {
                    refused.get_or_insert_with(|| why.clone());
                    self.refused(source.kind, why);
                }
                Err(NotRead::TooLate) => self.too_late(source.kind),
            }
        }
        match refused {
            Some(why) if read == 0 => Err(Error::could_not_run(why)
                .hint("see what a live run needs: kubectl flink rules --rbac | kubectl apply -f -")),
            _ => Ok(()),
        }
    }

    /// Who may not read a kind is not told that there is no such kind, but may ask for that.
    async fn or_not_served(&self, source: Source, answer: Answer) -> Answer {
        if let Err(NotRead::Refused(_)) = &answer
            && source.group == OF_OPERATOR
        {
            let group = format!("{}/{}", source.group, source.version);
            let asked = self.connection.client.list_api_group_resources(&group);
            if let Ok(Err(error)) = tokio::time::timeout_at(self.deadline, asked).await
                && matches!(not_read(error), NotRead::NotServed)
            {
                return Err(NotRead::NotServed);
            }
        }
        answer
    }

    /// What the workloads name: their pods, and the ConfigMaps, accounts and claims of those.
    async fn named(&mut self) {
        let model = Model::new(self.snapshot);
        let mut names: BTreeSet<(&'static str, String, String)> = BTreeSet::new();
        let mut selectors: BTreeSet<(String, String)> = BTreeSet::new();
        for member in &model.members {
            let namespace = member.workload.namespace().to_owned();
            let spec = member.spec();
            names.extend(config_maps(member).into_iter().map(|name| (CONFIG_MAP.kind, namespace.clone(), name)));
            let account = member.service_account().to_owned();
            names.insert((ACCOUNT.kind, namespace.clone(), account));
            for volume in spec.volumes.iter().flatten() {
                names.extend(
                    volume
                        .persistent_volume_claim
                        .iter()
                        .map(|c| (CLAIM.kind, namespace.clone(), c.claim_name.clone())),
                );
            }
            names.insert((NAMESPACE.kind, String::new(), namespace.clone()));
            if let Some(ha) = member.config.value("kubernetes.namespace").filter(|ha| *ha != namespace) {
                selectors.insert((ha.to_owned(), String::new()));
            }
            let labels = self.snapshot.object(member.object).node.at("/spec/selector/matchLabels");
            let labels = labels.map(Node::entries).unwrap_or_default();
            let pairs = labels.iter().filter_map(|(key, value)| Some(format!("{}={}", key.text()?, value.text()?)));
            let selector = pairs.collect::<Vec<_>>().join(",");
            selectors.extend((!selector.is_empty()).then_some((namespace, selector)));
        }
        names.extend(self.of_bindings(&model));
        names.retain(|(kind, namespace, name)| {
            self.wanted_by_name(kind) && !matches!(self.snapshot.find(kind, namespace, name), Known::Present(_))
        });
        let (maps, selectors): (Vec<_>, Vec<_>) = selectors.into_iter().partition(|(_, selector)| selector.is_empty());
        let pods = if self.wants(Input::Pods) { selectors } else { Vec::new() };
        let everything = pods.len() > SELECTORS;
        let ask_pods = join_all(pods.iter().filter(|_| !everything).map(|(namespace, selector)| {
            self.list_in(POD, Some(namespace.clone()), ListParams::default().labels(selector))
        }));
        let ask_all_pods = join_all(everything.then(|| self.list(POD, ListParams::default())));
        let ask_maps = join_all(maps.iter().map(|(namespace, _)| {
            self.list_in(CONFIG_MAP, Some(namespace.clone()), ListParams::default().labels(OF_FLINK))
        }));
        let ask_names = join_all(names.iter().map(|(kind, namespace, name)| self.get(kind, namespace, name)));
        let (found, all, maps, by_names) = futures::join!(ask_pods, ask_all_pods, ask_maps, ask_names);
        for (source, answer) in
            found.into_iter().chain(all).map(|answer| (POD, answer)).chain(maps.into_iter().map(|a| (CONFIG_MAP, a)))
        {
            self.take(source, answer);
        }
        for ((kind, namespace, name), answer) in names.iter().zip(by_names) {
            match answer {
                Ok(items) if items.is_empty() => self.snapshot.coverage.missing(kind, namespace, name),
                answer => self.take(by_name(kind), answer),
            }
        }
    }

    /// What the bindings name: the ClusterRoles of those that name the account of a process, and where none does, the
    /// accounts that others name instead of it.
    fn of_bindings(&self, model: &Model) -> BTreeSet<(&'static str, String, String)> {
        let of_kind = |kind| self.snapshot.of_kind(kind).iter().map(|id| self.snapshot.object(*id));
        let bindings: Vec<&Object> = of_kind("RoleBinding").chain(of_kind("ClusterRoleBinding")).collect();
        let accounts: BTreeSet<(&str, &str)> =
            model.members.iter().map(|member| (member.workload.namespace(), member.service_account())).collect();
        let mut names = BTreeSet::new();
        for (namespace, account) in accounts {
            let (own, others): (Vec<&Object>, Vec<&Object>) = bindings
                .iter()
                .partition(|binding| rights::names(&binding.node, &binding.namespace, namespace, account).is_some());
            for binding in &own {
                if binding.node.string_at("/roleRef/kind") == Some("ClusterRole") {
                    let role = binding.node.string_at("/roleRef/name").unwrap_or_default();
                    names.insert((CLUSTER_ROLE.kind, String::new(), role.to_owned()));
                }
            }
            // What everybody is given is not meant for this account.
            let is_named = own
                .iter()
                .any(|binding| rights::names(&binding.node, &binding.namespace, namespace, account) == Some(true));
            for binding in others.into_iter().filter(|_| !is_named) {
                for subject in binding.node.get("subjects").map(Node::items).unwrap_or_default() {
                    let (name, of) = (subject.string_at("/name").unwrap_or_default(), subject.string_at("/namespace"));
                    let of = of.unwrap_or(&binding.namespace);
                    let near = name == account || (binding.namespace == namespace && of == namespace);
                    if near
                        && !name.is_empty()
                        && !of.is_empty()
                        && subject.string_at("/kind") == Some("ServiceAccount")
                    {
                        names.insert((ACCOUNT.kind, of.to_owned(), name.to_owned()));
                    }
                }
            }
        }
        names
    }

    fn wanted_by_name(&self, kind: &str) -> bool {
        NAMED.iter().any(|(input, source)| source.kind == kind && self.wants(*input))
    }

    /// Asks the API server what the service accounts of Flink's pods may do.
    async fn rights(&mut self) {
        if !self.wants(Input::Access) {
            return;
        }
        let model = Model::new(self.snapshot);
        let mut asked: Vec<(String, String, BTreeSet<Right>)> = Vec::new();
        for cluster in &model.clusters {
            for member in model.members_of(cluster) {
                let (namespace, account) = (member.workload.namespace(), member.service_account());
                let rights = needed(member, cluster.has_kubernetes_ha());
                match asked.iter_mut().find(|(ns, name, _)| ns == namespace && name == account) {
                    Some((_, _, all)) => all.extend(rights),
                    None if rights.is_empty() => {}
                    None => asked.push((namespace.to_owned(), account.to_owned(), rights.into_iter().collect())),
                }
            }
        }
        let answers = join_all(asked.iter().map(|(namespace, account, rights)| {
            let rights = rights.iter().cloned().collect();
            tokio::time::timeout_at(self.deadline, access::review(self.connection, namespace, account, rights))
        }))
        .await;
        for ((namespace, account, _), answer) in asked.into_iter().zip(answers) {
            match answer {
                Ok(Ok(answers)) => {
                    let list = |wanted: bool| -> Vec<String> {
                        let of = answers.iter().filter(|(_, allowed)| *allowed == wanted);
                        of.map(|(right, _)| format!("{right} {}", right.namespace.as_deref().unwrap_or_default()))
                            .collect()
                    };
                    let spec = serde_json::json!({"spec": {"allowed": list(true), "denied": list(false)}});
                    self.add_fact(live::ACCESS, &namespace, &account, &spec);
                }
                Ok(Err(error)) => self.refused(live::ACCESS, Error::from(error).message),
                Err(_) => self.too_late(live::ACCESS),
            }
        }
    }

    fn add_fact(&mut self, kind: &str, namespace: &str, name: &str, content: &Value) {
        self.snapshot.add_live(Object {
            api_version: String::new(),
            kind: kind.to_owned(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            node: Node::of_json(content),
            file: None,
        });
    }

    fn refused(&mut self, kind: &str, why: String) {
        self.snapshot.coverage.refused(kind, why);
    }

    fn too_late(&mut self, kind: &str) {
        self.in_time = false;
        let why = format!("{kind} objects were not read in time: wait longer with --timeout");
        self.snapshot.coverage.refused(kind, why);
    }

    fn take(&mut self, source: Source, answer: Answer) {
        match answer {
            Ok(items) => self.add(source, items),
            Err(NotRead::NotServed) => {}
            Err(NotRead::Refused(why)) => self.refused(source.kind, why),
            Err(NotRead::Failed(error)) => self.refused(source.kind, error.message),
            Err(NotRead::TooLate) => self.too_late(source.kind),
        }
    }

    fn add(&mut self, source: Source, items: Vec<Value>) {
        for item in items {
            let text = |pointer: &str| item.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
            let (namespace, name) = (text("/metadata/namespace"), text("/metadata/name"));
            let group = if source.group.is_empty() { String::new() } else { format!("{}/", source.group) };
            self.snapshot.add_live(Object {
                api_version: format!("{group}{}", source.version),
                kind: source.kind.to_owned(),
                namespace,
                name,
                node: Node::of_json(&item),
                file: None,
            });
        }
    }

    async fn list(&self, source: Source, params: ListParams) -> Answer {
        let namespace = match self.scope {
            Scope::Namespace(namespace) if source.namespaced => Some(namespace.clone()),
            _ => None,
        };
        self.list_in(source, namespace, params).await
    }

    async fn list_in(&self, source: Source, namespace: Option<String>, params: ListParams) -> Answer {
        let api = self.api(source, namespace);
        let mut items = Vec::new();
        let all = paging::each(params, async |params| api.list(params).await, |item| items.extend(to_value(item)));
        tokio::time::timeout_at(self.deadline, all).await.map_err(|_| NotRead::TooLate)?.map_err(not_read)?;
        Ok(items)
    }

    /// One object; none where it is not there.
    async fn get(&self, kind: &str, namespace: &str, name: &str) -> Answer {
        let api = self.api(by_name(kind), Some(namespace.to_owned()).filter(|namespace| !namespace.is_empty()));
        let found = tokio::time::timeout_at(self.deadline, api.get_opt(name)).await.map_err(|_| NotRead::TooLate)?;
        Ok(found.map_err(not_read)?.and_then(to_value).into_iter().collect())
    }

    fn api(&self, source: Source, namespace: Option<String>) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk(source.group, source.version, source.kind);
        let resource = ApiResource::from_gvk_with_plural(&gvk, source.plural);
        let client = self.connection.client.clone();
        match namespace {
            Some(namespace) => Api::namespaced_with(client, &namespace, &resource),
            None => Api::all_with(client, &resource),
        }
    }
}

fn by_name(kind: &str) -> Source {
    NAMED.iter().find(|(_, source)| source.kind == kind).map_or(CONFIG_MAP, |(_, source)| *source)
}

/// An object as JSON, without what no rule reads.
fn to_value(mut object: DynamicObject) -> Option<Value> {
    object.metadata.managed_fields = None;
    serde_json::to_value(object).ok()
}

fn not_read(error: kube::Error) -> NotRead {
    match error {
        kube::Error::Api(status) if status.is_forbidden() => NotRead::Refused(status.message.clone()),
        kube::Error::Api(status) if status.code == 404 => NotRead::NotServed,
        error => NotRead::Failed(error.into()),
    }
}

/// The ConfigMaps that a workload's configuration and logging come from: all that it mounts or takes its environment from.
fn config_maps(member: &Member) -> BTreeSet<String> {
    let spec = member.spec();
    let mut names: BTreeSet<String> =
        membership::configuration_files(&member.workload).0.into_iter().map(|file| file.map).collect();
    for volume in spec.volumes.iter().flatten() {
        names.extend(volume.config_map.iter().map(|map| map.name.clone()));
        let sources = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten());
        names.extend(sources.filter_map(|source| source.config_map.as_ref()).map(|map| map.name.clone()));
    }
    names.extend(member.environment_maps().into_iter().map(|map| map.name));
    names
}

/// What Flink's processes ask of the API server (`KubernetesLeaderElector`, `Fabric8FlinkKubeClient`).
fn needed(member: &Member, ha: bool) -> Vec<Right> {
    let own = member.workload.namespace();
    let namespace = member.config.value("kubernetes.namespace").unwrap_or("default");
    let on = |verbs: &[&str], group: &str, resource: &str, namespace: &str| -> Vec<Right> {
        verbs.iter().map(|verb| Right::new(verb, group, resource, Some(namespace))).collect()
    };
    let mut rights = Vec::new();
    if let Role::JobManager(mode) = member.workload.process.role {
        if ha {
            let verbs = ["get", "list", "watch", "create", "update", "delete"];
            rights.extend(on(&verbs, "", "configmaps", namespace));
            if member.version.is_none_or(|version| version >= Version::new(1, 18, 0)) {
                rights.extend(on(&["patch"], "", "configmaps", namespace));
            }
        }
        if matches!(mode, Mode::NativeSession | Mode::NativeApplication) {
            rights.extend(on(&["get", "list", "watch", "create", "delete"], "", "pods", own));
            rights.extend(on(&["get"], "apps", "deployments", own));
            rights.extend(on(&["get"], "", "services", own));
        }
    } else if ha {
        rights.extend(on(&["get", "list", "watch"], "", "configmaps", namespace));
    }
    rights
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::doctor::rule::Right;

    /// What a user has to be allowed, as `rules --rbac` prints it, is what is read here: no more and no less.
    #[test]
    fn the_rights_are_those_that_are_used() {
        let of = |verb, source: Source| Right {
            cluster: !source.namespaced,
            group: source.group,
            resource: source.plural,
            verb,
        };
        let core = |verb, resource| Right { cluster: false, group: "", resource, verb };
        let mut used: BTreeSet<(Input, Right)> = BTreeSet::new();
        used.extend(LISTED.into_iter().chain(LABELLED).map(|(input, source)| (input, of("list", source))));
        used.extend(NAMED.map(|(input, source)| (input, of("get", source))));
        used.insert((Input::Events, of("list", evidence::EVENT)));
        used.insert((Input::Logs, core("get", "pods/log")));
        // `flink_rest` goes through the one or the other.
        for (verb, resource) in [("create", "pods/portforward"), ("get", "pods/portforward"), ("get", "pods/proxy")] {
            used.insert((Input::Rest, core(verb, resource)));
        }
        let review = Right { group: "authorization.k8s.io", ..core("create", "localsubjectaccessreviews") };
        used.insert((Input::Access, review));
        let granted: BTreeSet<(Input, Right)> = (Input::ALL.into_iter())
            .flat_map(|input| input.rights().iter().map(move |right| (input, *right)))
            .collect();
        assert_eq!(granted, used);
    }
}
