//! What a rule is, and what it can see.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::finding::Finding;
use super::known::Known;
use super::live;
use super::model::{Cluster, Member, Model};
use super::place::Place;
use super::snapshot::{Object, ObjectId, Snapshot};

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, serde::Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing; nothing fails.
    Info,
    /// It works until something happens, or works worse than it should.
    Warning,
    /// It does not work, or loses state.
    Error,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Info => "info",
            Severity::Warning => "warning",
            Severity::Error => "error",
        })
    }
}

/// What a rule is about: its folder, and the first digit of its code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Group {
    /// The input itself, and this program: FLK0.
    Input,
    /// Service accounts and their rights: FLK1.
    Rbac,
    /// High availability and what must outlive a pod: FLK2.
    Ha,
    /// Addresses, ports, Services, who can reach what: FLK3.
    Network,
    /// Memory, CPU, slots, quotas: FLK4.
    Resources,
    /// Configuration files, logging, images, the entrypoint: FLK5.
    Config,
    /// What a running cluster does: FLK6.
    Runtime,
    /// FlinkDeployments of the Flink Kubernetes Operator: FLK7.
    Operator,
}

impl Group {
    /// Every group, in the order of their codes.
    pub const ALL: [Group; 8] = [
        Group::Input,
        Group::Rbac,
        Group::Ha,
        Group::Network,
        Group::Resources,
        Group::Config,
        Group::Runtime,
        Group::Operator,
    ];

    /// The name by which users select it; also its folder.
    pub fn name(self) -> &'static str {
        match self {
            Group::Input => "input",
            Group::Rbac => "rbac",
            Group::Ha => "ha",
            Group::Network => "network",
            Group::Resources => "resources",
            Group::Config => "config",
            Group::Runtime => "runtime",
            Group::Operator => "operator",
        }
    }

    /// What it is about.
    pub fn title(self) -> &'static str {
        match self {
            Group::Input => "The input itself",
            Group::Rbac => "Service accounts and rights",
            Group::Ha => "High availability and state",
            Group::Network => "Network",
            Group::Resources => "Memory, CPU and slots",
            Group::Config => "Configuration, logging and images",
            Group::Runtime => "The running cluster",
            Group::Operator => "FlinkDeployments",
        }
    }
}

/// What a rule reads. A live run fetches only what the selected rules read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Input {
    /// Workloads that run Flink, their configuration and logging, FlinkDeployments.
    Processes,
    /// Roles, ClusterRoles and their bindings.
    Rbac,
    /// What the API server says of the rights of the service accounts.
    Access,
    /// ServiceAccounts.
    ServiceAccounts,
    /// Namespaces.
    Namespaces,
    /// Services.
    Services,
    /// Ingresses.
    Ingresses,
    /// NetworkPolicies.
    NetworkPolicies,
    /// PersistentVolumeClaims.
    Claims,
    /// StorageClasses.
    StorageClasses,
    /// Secrets that Flink's pods name; only whether they are there.
    Secrets,
    /// ResourceQuotas and LimitRanges.
    Quotas,
    /// PodDisruptionBudgets.
    DisruptionBudgets,
    /// HorizontalPodAutoscalers.
    Autoscalers,
    /// Flink's pods, with their status.
    Pods,
    /// Events of Flink's pods and workloads.
    Events,
    /// Flink's high-availability ConfigMaps.
    HaMaps,
    /// Flink's REST API.
    Rest,
    /// The logs of containers that do not run.
    Logs,
}

impl Input {
    /// All of them.
    pub const ALL: [Input; 19] = [
        Input::Processes,
        Input::Rbac,
        Input::Access,
        Input::ServiceAccounts,
        Input::Namespaces,
        Input::Services,
        Input::Ingresses,
        Input::NetworkPolicies,
        Input::Claims,
        Input::StorageClasses,
        Input::Secrets,
        Input::Quotas,
        Input::DisruptionBudgets,
        Input::Autoscalers,
        Input::Pods,
        Input::Events,
        Input::HaMaps,
        Input::Rest,
        Input::Logs,
    ];

    /// The kinds of objects that it stands for.
    pub fn kinds(self) -> &'static [&'static str] {
        match self {
            Input::Processes => &[
                "Deployment",
                "StatefulSet",
                "DaemonSet",
                "ReplicaSet",
                "Job",
                "Pod",
                "ConfigMap",
                "FlinkDeployment",
                "FlinkSessionJob",
                "File",
            ],
            Input::Rbac => &["Role", "RoleBinding", "ClusterRole", "ClusterRoleBinding"],
            Input::Access => &[live::ACCESS],
            Input::ServiceAccounts => &["ServiceAccount"],
            Input::Namespaces => &["Namespace"],
            Input::Services => &["Service"],
            Input::Ingresses => &["Ingress", "Route"],
            Input::NetworkPolicies => &["NetworkPolicy"],
            Input::Claims => &["PersistentVolumeClaim"],
            Input::StorageClasses => &["StorageClass"],
            Input::Secrets => &["Secret"],
            Input::Quotas => &["ResourceQuota", "LimitRange"],
            Input::DisruptionBudgets => &["PodDisruptionBudget"],
            Input::Autoscalers => &["HorizontalPodAutoscaler"],
            Input::Pods => &["Pod"],
            Input::Events => &["Event"],
            Input::HaMaps => &["ConfigMap"],
            Input::Rest => &[live::REST],
            Input::Logs => &[live::LOG],
        }
    }
}

/// A right that a live run needs to read an input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    /// It is of no namespace: a ClusterRole has to give it.
    pub cluster: bool,
    /// The API group; empty for the core group.
    pub group: &'static str,
    /// The resource, with its subresource.
    pub resource: &'static str,
    /// The verb.
    pub verb: &'static str,
}

const fn right(verb: &'static str, group: &'static str, resource: &'static str) -> Right {
    Right { cluster: false, group, resource, verb }
}

const fn of_cluster(verb: &'static str, group: &'static str, resource: &'static str) -> Right {
    Right { cluster: true, group, resource, verb }
}

const RBAC: &str = "rbac.authorization.k8s.io";

impl Input {
    /// What has to be allowed to a user whose run reads it.
    pub fn rights(self) -> &'static [Right] {
        match self {
            Input::Processes => {
                const {
                    &[
                        right("list", "apps", "deployments"),
                        right("list", "apps", "statefulsets"),
                        right("list", "batch", "jobs"),
                        right("list", "flink.apache.org", "flinkdeployments"),
                        right("list", "", "pods"),
                        right("get", "", "configmaps"),
                        right("list", "", "configmaps"),
                    ]
                }
            }
            Input::Rbac => {
                const {
                    &[
                        right("list", RBAC, "roles"),
                        right("list", RBAC, "rolebindings"),
                        of_cluster("list", RBAC, "clusterrolebindings"),
                        of_cluster("get", RBAC, "clusterroles"),
                    ]
                }
            }
            Input::Access => const { &[right("create", "authorization.k8s.io", "localsubjectaccessreviews")] },
            Input::ServiceAccounts => const { &[right("get", "", "serviceaccounts")] },
            Input::Namespaces => const { &[of_cluster("get", "", "namespaces")] },
            Input::Services => const { &[right("list", "", "services")] },
            Input::Ingresses => const { &[right("list", "networking.k8s.io", "ingresses")] },
            Input::NetworkPolicies => const { &[right("list", "networking.k8s.io", "networkpolicies")] },
            Input::Claims => const { &[right("get", "", "persistentvolumeclaims")] },
            // No rule reads them in a running cluster.
            Input::StorageClasses | Input::Secrets => &[],
            Input::Quotas => const { &[right("list", "", "resourcequotas"), right("list", "", "limitranges")] },
            Input::DisruptionBudgets => const { &[right("list", "policy", "poddisruptionbudgets")] },
            Input::Autoscalers => const { &[right("list", "autoscaling", "horizontalpodautoscalers")] },
            Input::Pods => const { &[right("list", "", "pods")] },
            Input::Events => const { &[right("list", "", "events")] },
            Input::HaMaps => const { &[right("list", "", "configmaps")] },
            Input::Rest => {
                // The verb is `create` or, for a WebSocket, `get`; where neither is allowed the proxy is asked.
                const {
                    &[
                        right("create", "", "pods/portforward"),
                        right("get", "", "pods/portforward"),
                        right("get", "", "pods/proxy"),
                    ]
                }
            }
            Input::Logs => const { &[right("get", "", "pods/log")] },
        }
    }
}

/// A rule: one thing that can be wrong. Made by `rule!`, whose doc comment is the rule's documentation.
#[derive(Debug, Clone, Copy)]
pub struct Rule {
    /// `FLK101`. Never used for anything else, also when the rule is gone.
    pub code: &'static str,
    /// `binding-namespace`; both are accepted everywhere.
    pub name: &'static str,
    /// What it is about.
    pub group: Group,
    /// How bad its findings are, unless the user says otherwise.
    pub severity: Severity,
    /// What it reads.
    pub inputs: &'static [Input],
    /// It says something only of a running cluster.
    pub live: bool,
    /// What it finds may settle by itself: `--wait` looks again.
    pub transient: bool,
    /// Its documentation, in Markdown.
    pub doc: &'static str,
    /// Looks.
    pub check: fn(&mut Check<'_>),
}

impl Rule {
    /// Its findings say that the run itself is not whole: a document cannot be read, a rule failed.
    pub fn is_broken(&self) -> bool {
        matches!(self.code, "FLK001" | "FLK007")
    }

    /// The first line of the documentation.
    pub fn summary(&self) -> &'static str {
        self.doc.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or_default()
    }

    /// The documentation without the blank that `///` leaves before each line.
    pub fn text(&self) -> String {
        let lines = self.doc.lines().map(|line| line.strip_prefix(' ').unwrap_or(line).trim_end());
        lines.collect::<Vec<_>>().join("\n").trim().to_owned() + "\n"
    }
}

/// Declares a file's rule: its doc comment is what `explain` prints and what `docs/rules/` is made from.
macro_rules! rule {
    (
        $(#[doc = $doc:literal])+
        $code:ident $name:literal: $group:ident $severity:ident, reads [$($input:ident),* $(,)?] $(, $flag:ident)*
    ) => {
        $(#[doc = $doc])+
        #[allow(
            clippy::allow_attributes,
            rustdoc::invalid_codeblock_attributes,
            reason = "a block may name its file, which may begin with a dot"
        )]
        pub const RULE: $crate::doctor::rule::Rule = {
            #[allow(clippy::allow_attributes, unused_mut, reason = "without flags nothing changes it")]
            let mut rule = $crate::doctor::rule::Rule {
                code: stringify!($code),
                name: $name,
                group: $crate::doctor::rule::Group::$group,
                severity: $crate::doctor::rule::Severity::$severity,
                inputs: &[$($crate::doctor::rule::Input::$input),*],
                live: false,
                transient: false,
                doc: concat!($($doc, "\n"),+),
                check,
            };
            $(rule.$flag = true;)*
            rule
        };
    };
}
pub(crate) use rule;

/// What a rule sees while it looks, and where it says what it found.
#[derive(Debug)]
pub struct Check<'a> {
    /// The rule.
    pub rule: &'static Rule,
    /// The clusters.
    pub model: &'a Model,
    snapshot: &'a Snapshot,
    pub(super) findings: Vec<Finding>,
    pub(super) skipped: BTreeSet<String>,
    pub(super) undeclared: RefCell<BTreeSet<String>>,
}

impl<'a> Check<'a> {
    pub(super) fn new(rule: &'static Rule, snapshot: &'a Snapshot, model: &'a Model) -> Self {
        Check {
            rule,
            model,
            snapshot,
            findings: Vec::new(),
            skipped: BTreeSet::new(),
            undeclared: RefCell::new(BTreeSet::new()),
        }
    }

    fn declared(&self, kind: &str) {
        if !self.rule.inputs.iter().any(|input| input.kinds().contains(&kind)) {
            self.undeclared.borrow_mut().insert(kind.to_owned());
        }
    }

    /// The objects of a kind that the rule has declared.
    pub fn of_kind(&self, kind: &str) -> Vec<ObjectId> {
        self.declared(kind);
        self.snapshot.of_kind(kind).to_vec()
    }

    /// The objects of a kind that the rule has declared in one namespace: among thousands of clusters these are few.
    pub fn of_kind_in(&self, kind: &str, namespace: &str) -> Vec<ObjectId> {
        self.declared(kind);
        self.snapshot.of_kind_in(kind, namespace).to_vec()
    }

    /// One object of a kind that the rule has declared.
    pub fn find(&self, kind: &str, namespace: &str, name: &str) -> Known<ObjectId> {
        self.declared(kind);
        self.snapshot.find(kind, namespace, name)
    }

    /// Whether all objects of this kind in this namespace are known; if not, that is noted and the rule should be silent.
    pub fn has_all(&mut self, kind: &str, namespace: &str) -> bool {
        self.declared(kind);
        match self.snapshot.has_all(kind, namespace) {
            Ok(()) => true,
            Err(why) => {
                self.unknown(why);
                false
            }
        }
    }

    /// An object.
    pub fn object(&self, id: ObjectId) -> &'a Object {
        self.snapshot.object(id)
    }

    /// The snapshot, for what is shared between rules.
    pub fn snapshot(&self) -> &'a Snapshot {
        self.snapshot
    }

    /// The cluster is running, and this is not only about files.
    pub fn is_live(&self) -> bool {
        self.snapshot.live.is_some()
    }

    /// The clusters.
    pub fn clusters(&self) -> &'a [Cluster] {
        &self.model.clusters
    }

    /// Every cluster's members, each with its cluster.
    pub fn members(&self) -> Vec<(&'a Cluster, &'a Member)> {
        let model = self.model;
        model
            .clusters
            .iter()
            .flat_map(|cluster| model.members_of(cluster).into_iter().map(move |m| (cluster, m)))
            .collect()
    }

    /// Notes that something could not be checked, and why. True only for what is known to be absent.
    pub fn absent<T>(&mut self, fact: &Known<T>) -> bool {
        if let Known::Unknown(why) = fact {
            self.unknown(why.clone());
        }
        fact.is_absent()
    }

    /// Notes that something could not be checked, and why.
    pub fn unknown(&mut self, why: impl Into<String>) {
        self.skipped.insert(why.into());
    }

    /// Says that something is wrong: a cause, in one line without a period. What else there is to say is added to what it
    /// gives back.
    pub fn report(&mut self, place: Place, message: impl Into<String>) -> &mut Finding {
        let cluster =
            self.model.cluster_of(place.object).map(|cluster| (cluster.namespace.clone(), cluster.name.clone()));
        let at = self.findings.len();
        self.findings.push(Finding::new(self.rule, place, message.into(), cluster));
        &mut self.findings[at]
    }
}
