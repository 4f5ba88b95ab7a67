//! The pod that looks: what it has of the pods of a workload, and what not. No I/O.
//!
//! It has what decides what Flink sees: image, volumes, environment, service account, user, node and network. It has
//! nothing that makes it one of the cluster's pods, no helpers beside it, and asks for little. Of the init containers those
//! run that fill a volume which Flink's container reads and which goes with the pod (`emptyDir`): plugins and
//! configuration come that way. The others wait for something or change what lasts, which is not the probe's to do.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::ByteString;
use k8s_openapi::api::core::v1::{
    Affinity, Container, EmptyDirVolumeSource, EnvVar, PersistentVolumeClaimVolumeSource, Pod, PodAffinityTerm,
    PodSpec, ResourceRequirements, Volume, VolumeMount, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};

use crate::cluster::workload::Workload;
use crate::flink::role::Role;
use crate::manifests::MANAGED_BY;

/// What the pod runs.
const SCRIPT: &str = include_str!("../../../plugin/probe/probe.sh");
/// For the file systems that need Flink: compiled from the source beside it, see plugin/probe/README.md.
const CLASS: &[u8] = include_bytes!("../../../plugin/probe/StorageProbe.class");
/// Probes that belong together, by this label; all of them have it.
pub(super) const GROUP_LABEL: &str = "kubectl-flink/probe";
/// The container that looks.
pub(super) const CONTAINER: &str = "probe";
/// A volume of the pod's own, where script and class keep their files.
const WORK: &str = "kubectl-flink-probe";
/// Azure gives its credentials only to pods with this label.
const AZURE_IDENTITY: &str = "azure.workload.identity/use";
/// How long the pod may live after it should have ended: then the kubelet ends it, whatever became of us.
const MARGIN: i64 = 60;

/// What the script does with its paths.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verb {
    /// Says which are there.
    Look,
    /// Writes the one, and deletes it at the end of the pod.
    Hold,
    /// Reads the one.
    Read,
}

/// A pod's work.
#[derive(Debug, Clone)]
pub(super) struct Task<'a> {
    pub verb: Verb,
    /// What is in the file that is written.
    pub token: &'a str,
    /// Paths of the pod itself: a shell looks at them.
    pub own: Vec<String>,
    /// URIs of other file systems, for which Flink is needed.
    pub others: Vec<String>,
    /// How long it may take.
    pub seconds: u32,
    /// The pods of one group go where the workload's pods go together.
    pub group: &'a str,
    /// It asks for as much as the workload's pods: it is the first to use a volume, and where it goes they must fit.
    pub full_size: bool,
}

/// The pod for a task. None where the workload has no container that runs Flink.
pub(super) fn pod(workload: &Workload, name: &str, task: &Task<'_>) -> Option<Pod> {
    let (spec, flink) = workload.flink_container()?;
    let with_flink = !task.others.is_empty();
    let init_containers: Vec<Container> = if with_flink { init_containers(spec, flink) } else { Vec::new() };
    let container = container(workload, flink, task);
    let mut volumes = volumes(workload, spec, init_containers.iter().chain([&container]));
    if with_flink {
        let empty_dir = Some(EmptyDirVolumeSource::default());
        volumes.push(Volume { name: WORK.to_owned(), empty_dir, ..Volume::default() });
    }
    let account = spec.service_account_name.clone().or_else(|| spec.service_account.clone());
    let pod_spec = PodSpec {
        active_deadline_seconds: Some(i64::from(task.seconds) + MARGIN),
        affinity: spec.affinity.clone().map(|affinity| near_its_group(affinity, task.group)),
        automount_service_account_token: spec.automount_service_account_token,
        containers: vec![container],
        dns_config: spec.dns_config.clone(),
        dns_policy: spec.dns_policy.clone(),
        enable_service_links: spec.enable_service_links,
        host_aliases: spec.host_aliases.clone(),
        host_network: spec.host_network,
        host_users: spec.host_users,
        image_pull_secrets: spec.image_pull_secrets.clone(),
        init_containers: Some(init_containers).filter(|containers| !containers.is_empty()),
        node_name: spec.node_name.clone(),
        node_selector: spec.node_selector.clone(),
        os: spec.os.clone(),
        restart_policy: Some("Never".to_owned()),
        runtime_class_name: spec.runtime_class_name.clone(),
        scheduler_name: spec.scheduler_name.clone(),
        security_context: spec.security_context.clone(),
        service_account_name: account,
        // Time to delete a file; nothing else needs any.
        termination_grace_period_seconds: Some(if task.verb == Verb::Hold { 20 } else { 1 }),
        tolerations: spec.tolerations.clone(),
        volumes: Some(volumes),
        ..PodSpec::default()
    };
    Some(Pod { metadata: metadata(workload, name, task.group), spec: Some(pod_spec), status: None })
}

/// Labels by which leftovers are found, and none by which a Deployment or a Service takes it for one of its pods. The
/// annotations are the workload's: in some clouds credentials depend on them.
fn metadata(workload: &Workload, name: &str, group: &str) -> ObjectMeta {
    let template = workload.template.metadata.clone().unwrap_or_default();
    let mut labels: BTreeMap<String, String> = [
        ("app.kubernetes.io/name", "kubectl-flink-probe"),
        ("app.kubernetes.io/component", "storage-probe"),
        (MANAGED_BY.0, MANAGED_BY.1),
        (GROUP_LABEL, group),
    ]
    .into_iter()
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .collect();
    labels.extend(template.labels.unwrap_or_default().into_iter().filter(|(key, _)| key == AZURE_IDENTITY));
    let mut annotations = template.annotations.unwrap_or_default();
    annotations.retain(|key, _| !key.starts_with("kubectl.kubernetes.io/"));
    ObjectMeta {
        name: Some(name.to_owned()),
        namespace: workload.metadata.namespace.clone(),
        labels: Some(labels),
        annotations: Some(annotations),
        ..ObjectMeta::default()
    }
}

fn container(workload: &Workload, flink: &Container, task: &Task<'_>) -> Container {
    let with_flink = !task.others.is_empty();
    let role = match workload.process.role {
        Role::TaskManager | Role::NativeTaskManager => "taskmanager",
        Role::JobManager(_) | Role::HistoryServer => "jobmanager",
    };
    let verb = match task.verb {
        Verb::Look => "look",
        Verb::Hold => "hold",
        Verb::Read => "read",
    };
    // Without a command of its own the container runs the image's entrypoint, which does not stay root.
    let entrypoint =
        flink.command.as_ref().is_none_or(|words| words.iter().any(|word| word.ends_with("entrypoint.sh")));
    let drop = if entrypoint { "1" } else { "0" };
    let (seconds, own) = (task.seconds.to_string(), task.own.len().to_string());
    let mut args: Vec<String> = [verb, task.token, &seconds, role, drop, &own].map(str::to_owned).into();
    // In arguments Kubernetes expands $(NAME): for these as it does in the workload's own.
    args.extend(workload.process.dynamic.iter().map(|(key, value)| format!("-D{key}={value}")));
    args.extend(task.own.iter().chain(&task.others).map(|path| literally(path)));
    let mut env = flink.env.clone().unwrap_or_default();
    let mut volume_mounts = flink.volume_mounts.clone().unwrap_or_default();
    if with_flink {
        let class = serde_json::to_value(ByteString(CLASS.to_owned())).ok();
        let class = class.as_ref().and_then(|class| class.as_str()).map(str::to_owned);
        env.push(EnvVar { name: "KUBECTL_FLINK_PROBE_CLASS".to_owned(), value: class, ..EnvVar::default() });
        let mount_path = format!("/{WORK}");
        volume_mounts.push(VolumeMount { name: WORK.to_owned(), mount_path, ..VolumeMount::default() });
    }
    Container {
        name: CONTAINER.to_owned(),
        image: flink.image.clone(),
        image_pull_policy: flink.image_pull_policy.clone(),
        command: Some(["bash", "-c", &literally(SCRIPT), CONTAINER].map(str::to_owned).into()),
        args: Some(args),
        env: Some(env),
        env_from: flink.env_from.clone(),
        resources: if task.full_size { flink.resources.clone() } else { Some(small(flink, with_flink)) },
        security_context: flink.security_context.clone(),
        volume_mounts: Some(volume_mounts),
        working_dir: flink.working_dir.clone(),
        ..Container::default()
    }
}

/// Little, and a limit on CPU only where the workload has one: a quota may want it.
fn small(flink: &Container, with_flink: bool) -> ResourceRequirements {
    let amount = |name: &str, amount: &str| (name.to_owned(), Quantity(amount.to_owned()));
    let memory = if with_flink { "448Mi" } else { "64Mi" };
    let mut limits = BTreeMap::from([amount("memory", memory)]);
    let given = flink.resources.as_ref().and_then(|resources| resources.limits.as_ref()?.get_key_value("cpu"));
    limits.extend(given.map(|(name, amount)| (name.clone(), amount.clone())));
    let requests = Some(BTreeMap::from([amount("cpu", "50m"), amount("memory", memory)]));
    ResourceRequirements { requests, limits: Some(limits), ..ResourceRequirements::default() }
}

/// Those that fill a volume of the pod's own for Flink's container.
fn init_containers(spec: &PodSpec, flink: &Container) -> Vec<Container> {
    let of_the_pod = |name: &str| {
        spec.volumes.iter().flatten().any(|volume| volume.name == name && volume.empty_dir.is_some())
            && flink.volume_mounts.iter().flatten().any(|mount| mount.name == name)
    };
    let fills = |container: &&Container| {
        let mut mounts = container.volume_mounts.iter().flatten();
        container.restart_policy.is_none()
            && mounts.any(|mount| mount.read_only != Some(true) && of_the_pod(&mount.name))
    };
    let mut kept: Vec<Container> = spec.init_containers.iter().flatten().filter(fills).cloned().collect();
    for container in &mut kept {
        let resources = container.resources.get_or_insert_default();
        resources.requests =
            Some([("cpu", "10m"), ("memory", "32Mi")].map(|(k, v)| (k.into(), Quantity(v.into()))).into());
    }
    kept
}

/// The volumes that are mounted, but none that a claim would be made for.
fn volumes<'a>(workload: &Workload, spec: &PodSpec, containers: impl Iterator<Item = &'a Container>) -> Vec<Volume> {
    let mounted: BTreeSet<&str> = containers
        .flat_map(|container| container.volume_mounts.iter().flatten())
        .map(|mount| mount.name.as_str())
        .filter(|name| *name != WORK)
        .collect();
    let mut volumes: Vec<Volume> =
        spec.volumes.iter().flatten().filter(|volume| mounted.contains(volume.name.as_str())).cloned().collect();
    for volume in volumes.iter_mut().filter(|volume| volume.ephemeral.is_some()) {
        volume.ephemeral = None;
        volume.empty_dir = Some(EmptyDirVolumeSource::default());
    }
    if workload.kind == "StatefulSet" {
        // A mount without a volume is a claim template: the first pod's claim.
        for name in
            mounted.into_iter().filter(|name| volumes.iter().all(|volume| volume.name != **name)).collect::<Vec<_>>()
        {
            let claim_name = claim_name(workload, name);
            let claim = PersistentVolumeClaimVolumeSource { claim_name, read_only: None };
            volumes.push(Volume { name: name.to_owned(), persistent_volume_claim: Some(claim), ..Volume::default() });
        }
    }
    volumes
}

/// The claim of this name, or the one that a StatefulSet has made for its first pod from its template of this name.
pub fn claim_name(workload: &Workload, name: &str) -> String {
    let volumes = || workload.template.spec.iter().flat_map(|spec| spec.volumes.iter().flatten());
    let is_claim =
        volumes().any(|volume| volume.persistent_volume_claim.as_ref().is_some_and(|claim| claim.claim_name == name));
    if workload.kind == "StatefulSet" && !is_claim { format!("{name}-{}-0", workload.name) } else { name.to_owned() }
}

/// Nodes as the workload has them. To be near other pods is preferred only: there may be none. The probes of one group are
/// near each other instead, as the workload's pods would be. Nothing keeps them off other pods.
fn near_its_group(mut affinity: Affinity, group: &str) -> Affinity {
    affinity.pod_anti_affinity = None;
    if let Some(near) = &mut affinity.pod_affinity {
        let required = near.required_during_scheduling_ignored_during_execution.take().unwrap_or_default();
        let of_group = LabelSelector {
            match_labels: Some(BTreeMap::from([(GROUP_LABEL.to_owned(), group.to_owned())])),
            ..LabelSelector::default()
        };
        near.required_during_scheduling_ignored_during_execution = Some(
            required
                .iter()
                .map(|term| PodAffinityTerm {
                    label_selector: Some(of_group.clone()),
                    topology_key: term.topology_key.clone(),
                    ..PodAffinityTerm::default()
                })
                .collect(),
        );
        near.preferred_during_scheduling_ignored_during_execution.get_or_insert_default().extend(
            required.into_iter().map(|pod_affinity_term| WeightedPodAffinityTerm { weight: 100, pod_affinity_term }),
        );
    }
    affinity
}

/// A text of which Kubernetes expands nothing: `$$` stands for `$`.
fn literally(text: &str) -> String {
    text.replace('$', "$$")
}

#[cfg(test)]
#[path = "pod_tests.rs"]
mod tests;
