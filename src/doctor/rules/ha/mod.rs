//! High availability, and what has to outlive a pod.

pub mod flk201_storage_dir_missing;
pub mod flk202_cluster_id_missing;
pub mod flk203_storage_local_to_pod;
pub mod flk204_checkpoints_local_to_pod;
pub mod flk205_standby_without_ha;
pub mod flk206_pod_ip_not_passed;
pub mod flk207_pod_ip_not_declared;
pub mod flk208_application_host_argument;
pub mod flk209_cluster_id_shared;
pub mod flk210_storage_shared;
pub mod flk211_cluster_id_invalid;
pub mod flk212_cluster_id_too_long;
pub mod flk213_ha_option_renamed;
pub mod flk214_ha_type_unknown;
pub mod flk215_ha_options_without_type;
pub mod flk216_file_system_missing;
pub mod flk217_plugin_unknown;
pub mod flk218_plugin_on_one_side;
pub mod flk219_s3_path_style;
pub mod flk220_volume_on_one_node;
pub mod flk221_volume_not_writable;
pub mod flk222_lease_timings;
pub mod flk223_elector_lost;
pub mod flk224_leader_address_missing;
pub mod flk225_orphaned_ha_config_maps;
pub mod flk226_orphaned_job_config_map;
pub mod flk227_state_of_another_version;
pub mod flk228_job_already_ended;
pub mod flk229_job_never_restarted;
pub mod flk230_standbys_together;
pub mod flk231_credentials_in_config_map;

use k8s_openapi::api::core::v1::{Container, PodSpec, PodTemplateSpec, Volume};

use crate::doctor::known::Known;
use crate::doctor::model::config::{Config, ConfigFile, Entry, is_literal};
use crate::doctor::model::{Cluster, Member, is_official};
use crate::doctor::place::Place;
use crate::doctor::rule::Check;
use crate::doctor::snapshot::ObjectId;
use crate::flink::ha::{self, HaMap, MapName};
use crate::flink::role::Mode;
use crate::flink::storage::{self, Storage};

/// The option that turns high availability on, then its name up to Flink 1.16.
const TYPE: [&str; 2] = ["high-availability.type", "high-availability"];
/// Where high availability keeps what it points to.
const STORAGE_DIR: [&str; 2] = ["high-availability.storageDir", "high-availability.zookeeper.storageDir"];
/// Where checkpoints go.
const CHECKPOINTS: [&str; 3] =
    ["execution.checkpointing.dir", "state.checkpoints.dir", "state.backend.fs.checkpointdir"];
/// Where savepoints go.
const SAVEPOINTS: [&str; 2] = ["execution.checkpointing.savepoint-dir", "state.savepoints.dir"];
/// The name of a cluster among the high-availability ConfigMaps of a namespace.
const CLUSTER_ID: &str = "kubernetes.cluster-id";

/// Who elects the leader.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Services {
    Kubernetes,
    ZooKeeper,
    Off,
    /// A class of somebody's own, or a typing mistake.
    Other,
}

/// Who elects the leader under this configuration.
fn services(config: &Config) -> Known<Services> {
    match config.known(&TYPE) {
        Known::Present(entry) if !entry.is_literal() => Known::Unknown(format!("{} is a template", entry.key)),
        Known::Present(entry) => Known::Present(match entry.value.to_ascii_lowercase().as_str() {
            "kubernetes" => Services::Kubernetes,
            "zookeeper" => Services::ZooKeeper,
            "none" => Services::Off,
            value if value.ends_with(".kuberneteshaservicesfactory") => Services::Kubernetes,
            _ => Services::Other,
        }),
        Known::Absent => Known::Present(Services::Off),
        Known::Unknown(why) => Known::Unknown(why),
    }
}

/// High availability is on, in one of the ways that Flink brings.
fn is_on(config: &Config) -> bool {
    matches!(services(config), Known::Present(Services::Kubernetes | Services::ZooKeeper))
}

/// An option that has a meaning with high availability only, where it is known that nothing turns that on.
fn stray_option(config: &Config) -> Option<&Entry> {
    let of_ha = |entry: &&Entry| {
        entry.key.starts_with("high-availability.zookeeper.")
            || entry.key.starts_with("high-availability.kubernetes.")
            || matches!(entry.key.as_str(), "high-availability.storageDir" | "high-availability.cluster-id")
    };
    config
        .known(&TYPE)
        .is_absent()
        .then(|| config.entries().into_iter().filter(of_ha).max_by_key(|e| e.key == STORAGE_DIR[0]))?
}

/// The JobManagers, each with its cluster.
fn jobmanagers<'a>(cx: &Check<'a>) -> Vec<(&'a Cluster, &'a Member)> {
    let model = cx.model;
    cx.clusters().iter().filter_map(|cluster| Some((cluster, model.jobmanager(cluster)?))).collect()
}

/// Manifests make the TaskManagers, not Flink.
fn is_standalone(cluster: &Cluster) -> bool {
    cluster.mode.is_some_and(|mode| !mode.is_native())
}

/// The literal value of an option.
fn literal<'a>(config: &'a Config, keys: &[&str]) -> Option<&'a Entry> {
    config.get(keys).filter(|entry| entry.is_literal())
}

/// The file that a configuration was read from.
fn file_of<'a>(cx: &Check<'a>, config: &Config) -> Option<&'a ConfigFile> {
    let model = cx.model;
    config.file.map(|number| &model.config_files[number])
}

/// The namespace of a cluster's high-availability ConfigMaps.
fn ha_namespace<'a>(config: &'a Config, own: &'a str) -> &'a str {
    literal(config, &["kubernetes.namespace"]).map_or(own, |entry| entry.value.as_str())
}

/// What of the pod itself a folder lies in, and whether a volume is mounted there; none where it lies somewhere else, or
/// that is not known.
fn pod_local(member: &Member, entry: &Entry) -> Option<(String, bool)> {
    let dir = entry.value.trim();
    // A path alone is a path of the default file system.
    if dir.starts_with('/') && member.config.get(&["fs.default-scheme"]).is_some() {
        return None;
    }
    let (spec, container) = member.workload.flink_container()?;
    if storage::behind(spec, &container.name, dir) != Storage::PodLocal {
        return None;
    }
    let mounted = storage::mounted_at(spec, container, storage::local_path(dir)?);
    Some(match mounted.and_then(|mounted| mounted.volume) {
        Some(volume) if volume.empty_dir.is_some() => (format!("the emptyDir {} of the pod", volume.name), true),
        Some(volume) => (format!("the ephemeral volume {} of the pod", volume.name), true),
        None => ("the container's own file system".to_owned(), false),
    })
}

/// Two JobManagers that stand by for each other, or two views of one cluster.
fn is_one_cluster(a: &Cluster, b: &Cluster, cx: &Check<'_>) -> bool {
    let label = |cluster| {
        let member = cx.model.jobmanager(cluster)?;
        member.workload.label("app.kubernetes.io/instance").map(str::to_owned)
    };
    let both = |x: Option<String>, y: Option<String>| x.is_some() && x == y;
    (a.config.file.is_some() && a.config.file == b.config.file)
        || both(label(a), label(b))
        || both(a.operator.clone(), b.operator.clone())
        || a.namespace.is_empty()
        || b.namespace.is_empty()
}

/// Two clusters would keep their leader in the same ConfigMap.
fn share_cluster_id(a: &Cluster, b: &Cluster) -> bool {
    let id = |cluster: &Cluster| Some(literal(&cluster.config, &[CLUSTER_ID])?.value.clone());
    let is_kubernetes = |cluster: &Cluster| services(&cluster.config) == Known::Present(Services::Kubernetes);
    a.namespace == b.namespace
        && is_kubernetes(a)
        && is_kubernetes(b)
        && id(a).is_some()
        && id(a) == id(b)
        && ha_namespace(&a.config, &a.namespace) == ha_namespace(&b.config, &b.namespace)
}

/// A word of a container's command line.
#[derive(Debug)]
struct Word {
    /// `args/1`, or `command/2`.
    path: String,
    text: String,
}

/// Which address a JobManager is told to announce.
#[derive(Debug)]
enum Host {
    /// This word says it.
    Given(Word),
    /// This word looks like it, but goes to the job.
    ToTheJob(Word),
    /// None.
    NotGiven,
    /// It cannot be told, for this reason.
    Unknown(String),
}

/// Which address a standalone JobManager is told on its command line.
fn host(member: &Member, mode: Mode) -> Host {
    let Some((_, container)) = member.container() else { return Host::NotGiven };
    let numbered = |list: &Option<Vec<String>>, name: &str| -> Vec<Word> {
        let words = list.iter().flatten().enumerate();
        words.map(|(number, text)| Word { path: format!("{name}/{number}"), text: text.clone() }).collect()
    };
    let mut words = numbered(&container.command, "command");
    words.extend(numbered(&container.args, "args"));
    if words.iter().any(|word| matches!(word.text.as_str(), "-c" | "-ec" | "-lc" | "-xc" | "-exc")) {
        return Host::Unknown("a shell starts the JobManager, and may give it its address".to_owned());
    }
    let base = |word: &Word| word.text.rsplit('/').next().unwrap_or_default().to_owned();
    let starter = words.iter().position(|word| {
        matches!(base(word).as_str(), "jobmanager" | "standalone-job" | "jobmanager.sh" | "standalone-job.sh")
    });
    let Some(starter) = starter else {
        return Host::Unknown("the JobManager is not started by a script of Flink".into());
    };
    let is_script = !matches!(words[starter].text.as_str(), "jobmanager" | "standalone-job");
    if !is_script && !is_official(&member.workload.process.image) {
        let image = &member.workload.process.image;
        return Host::Unknown(format!("the entrypoint of the image {image:?} may give the JobManager its address"));
    }
    let mut rest: Vec<Word> = words.split_off(starter + 1);
    if is_script && rest.first().is_some_and(|word| word.text == "start-foreground") {
        rest.remove(0);
    }
    let says_it = |number: usize| {
        let text = rest[number].text.as_str();
        let before = number.checked_sub(1).map(|before| rest[before].text.as_str());
        text.starts_with("--host=")
            || text.starts_with("-Djobmanager.rpc.address=")
            || (before == Some("-D") && text.starts_with("jobmanager.rpc.address="))
            || matches!(before, Some("--host" | "-h"))
            || (number == 0 && mode == Mode::StandaloneSession && !text.starts_with('-'))
    };
    if let Some(number) = (0..rest.len()).find(|number| says_it(*number)) {
        return Host::Given(rest.swap_remove(number));
    }
    match rest.into_iter().next() {
        Some(first) if mode == Mode::StandaloneApplication && is_pod_ip(member, &first.text) => Host::ToTheJob(first),
        _ => Host::NotGiven,
    }
}

/// `$(POD_IP)`, whatever the variable is called.
fn is_pod_ip(member: &Member, word: &str) -> bool {
    let Some(name) = word.strip_prefix("$(").and_then(|rest| rest.strip_suffix(')')) else { return false };
    let field = member.env(name).and_then(|(_, variable)| {
        variable.value_from.as_ref()?.field_ref.as_ref().map(|field| field.field_path.clone())
    });
    field.map_or_else(|| name.contains("POD_IP"), |field| field.starts_with("status.podIP"))
}

/// The mapping of the container that runs Flink.
fn container_place(member: &Member) -> Place {
    let number = member.container().map_or(0, |(number, _)| number);
    Place::value(member.object, format!("{}/containers/{number}", member.pod_spec))
}

/// What the plugins folder of a container has in it.
#[derive(Debug, PartialEq, Eq)]
enum Plugins {
    /// The entrypoint links these jars, which may be none.
    These(Vec<String>),
    /// Something may put others there.
    Unknown(String),
}

/// The variable that names the plugins.
const PLUGINS: &str = "ENABLE_BUILT_IN_PLUGINS";

/// Where a member's plugins are named; the image where nothing names any.
fn plugins_place(cx: &Check<'_>, member: &Member) -> Place {
    let named = member.variable(cx.snapshot(), PLUGINS).present();
    named.map_or_else(|| member.in_container("image"), |(place, _)| place)
}

/// Which file-system plugins a process has, where only the official image and its entrypoint can tell.
fn plugins(cx: &Check<'_>, member: &Member) -> Plugins {
    let name = &member.workload.name;
    match member.workload.flink_container() {
        Some((spec, container)) => {
            let named = member.variable(cx.snapshot(), PLUGINS).map(|(_, value)| value);
            plugins_of(name, spec, container, &member.workload.process.image, named)
        }
        None => Plugins::Unknown(format!("{name} may have other plugins: no container")),
    }
}

/// The same of a container with the name of its workload and what the variable is.
fn plugins_of(name: &str, spec: &PodSpec, container: &Container, image: &str, named: Known<String>) -> Plugins {
    let unknown = |why: &str| Plugins::Unknown(format!("{name} may have other plugins: {why}"));
    if !is_official(image) {
        return unknown("its image is not the official one");
    }
    if spec.init_containers.iter().flatten().next().is_some() {
        return unknown("init containers may bring some");
    }
    let into_flink = |path: &str| {
        ["/opt/flink", "/opt/flink/plugins", "/opt/flink/lib", "/opt/flink/opt"].contains(&path)
            || path.starts_with("/opt/flink/plugins/")
            || path.starts_with("/opt/flink/lib/")
            || path.starts_with("/opt/flink/opt/")
    };
    let mut mounts = container.volume_mounts.iter().flatten();
    if mounts.any(|mount| into_flink(mount.mount_path.trim_end_matches('/'))) {
        return unknown("volumes are mounted where plugins are");
    }
    let entrypoint = |word: &String| word.ends_with("entrypoint.sh") || word == "tini" || word == "--";
    if !container.command.iter().flatten().all(entrypoint)
        || container.args.iter().flatten().any(|word| word == "-c" || word.contains(' '))
    {
        return unknown("something else than the entrypoint starts it");
    }
    match named {
        Known::Absent => Plugins::These(Vec::new()),
        Known::Present(value) if is_literal(&value) => Plugins::These(
            value
                .split(|c: char| c == ';' || c.is_whitespace())
                .filter(|jar| !jar.is_empty())
                .map(str::to_owned)
                .collect(),
        ),
        Known::Present(_) => unknown("ENABLE_BUILT_IN_PLUGINS is a template"),
        Known::Unknown(why) => unknown(&why),
    }
}

/// What a FlinkDeployment makes of its templates: the pods' specification and the container that runs Flink, for both
/// roles; none where one cannot be read, or is in a file.
fn templates(cx: &Check<'_>, cluster: &Cluster) -> Option<Vec<(PodSpec, Container)>> {
    let in_files = cluster.config.entries().iter().any(|entry| entry.key.starts_with("kubernetes.pod-template-file"));
    if in_files || !cluster.is_custom_resource() {
        return None;
    }
    let node = &cx.object(cluster.object).node;
    let read = |pointer: &str| match node.at(pointer) {
        Some(template) => serde_json::from_value::<PodTemplateSpec>(template.to_json()).ok(),
        None => Some(PodTemplateSpec::default()),
    };
    let common = read("/spec/podTemplate")?.spec.unwrap_or_default();
    let mut found = Vec::new();
    for own in ["/spec/jobManager/podTemplate", "/spec/taskManager/podTemplate"] {
        let mut spec = read(own)?.spec.unwrap_or_default();
        let mut both = Container::default();
        for part in [&common, &spec] {
            let Some(main) = part.containers.iter().find(|one| one.name == MAIN_CONTAINER) else { continue };
            both.env.get_or_insert_default().extend(main.env.iter().flatten().cloned());
            both.env_from.get_or_insert_default().extend(main.env_from.iter().flatten().cloned());
            both.volume_mounts.get_or_insert_default().extend(main.volume_mounts.iter().flatten().cloned());
            both.command = main.command.clone().or(both.command);
            both.args = main.args.clone().or(both.args);
        }
        spec.volumes.get_or_insert_default().extend(common.volumes.iter().flatten().cloned());
        spec.init_containers.get_or_insert_default().extend(common.init_containers.iter().flatten().cloned());
        MAIN_CONTAINER.clone_into(&mut both.name);
        spec.containers = vec![both.clone()];
        found.push((spec, both));
    }
    Some(found)
}

/// What the operator and native mode call the container that runs Flink.
const MAIN_CONTAINER: &str = "flink-main-container";

/// The plugins of which one has to be there for a scheme; none for schemes that need none, or are not known.
fn plugins_for(scheme: &str) -> &'static [&'static str] {
    match scheme {
        "s3" => &["flink-s3-fs-presto", "flink-s3-fs-hadoop", "flink-s3-fs-native"],
        "s3a" => &["flink-s3-fs-hadoop", "flink-s3-fs-native"],
        "s3p" => &["flink-s3-fs-presto"],
        "gs" => &["flink-gs-fs-hadoop"],
        "abfs" | "abfss" | "wasb" | "wasbs" => &["flink-azure-fs-hadoop"],
        "oss" => &["flink-oss-fs-hadoop"],
        _ => &[],
    }
}

/// What is wrong with a jar's name in `ENABLE_BUILT_IN_PLUGINS`, with the name that would be right.
fn plugin_mistake(jar: &str, version: &str) -> Option<(String, Option<String>)> {
    const KNOWN: [&str; 6] = [
        "flink-s3-fs-presto",
        "flink-s3-fs-hadoop",
        "flink-s3-fs-native",
        "flink-gs-fs-hadoop",
        "flink-azure-fs-hadoop",
        "flink-oss-fs-hadoop",
    ];
    if jar.contains(',') {
        let right: Vec<String> = jar
            .split(',')
            .filter(|part| !part.is_empty())
            .map(|part| plugin_mistake(part, version).map_or(Some(part.to_owned()), |(_, right)| right))
            .collect::<Option<_>>()
            .unwrap_or_default();
        let right = (!right.is_empty()).then(|| right.join(";"));
        return Some((format!("{jar} is one name to the entrypoint, which separates by `;` or blanks"), right));
    }
    let stem = jar.strip_suffix(".jar").unwrap_or(jar);
    let known = KNOWN.iter().find(|known| stem == **known || stem.starts_with(&format!("{known}-")));
    match known {
        Some(known) if jar != format!("{known}-{version}.jar") => {
            // Of an image that names its minor version only, any patch may be the one.
            let patch = stem.strip_prefix(&format!("{known}-{version}.")).filter(|_| stem.len() < jar.len());
            let is_minor = version.split('.').count() == 2;
            if is_minor && patch.is_some_and(|patch| patch.bytes().all(|c| c.is_ascii_digit())) {
                return None;
            }
            let right = (!is_minor).then(|| format!("{known}-{version}.jar"));
            Some((format!("{jar} is not in the image of Flink {version}"), right))
        }
        Some(_) => None,
        None => ["flink-s3-", "flink-gs-", "flink-azure-", "flink-oss-"]
            .iter()
            .any(|start| stem.starts_with(start))
            .then(|| (format!("{jar} is no plugin that Flink's image has"), None)),
    }
}

/// The mistakes in a member's `ENABLE_BUILT_IN_PLUGINS`.
fn plugin_mistakes(cx: &Check<'_>, member: &Member) -> Vec<(String, String, Option<String>)> {
    let (Plugins::These(jars), Some(version)) = (plugins(cx, member), member.workload.process.version()) else {
        return Vec::new();
    };
    jars.iter().filter_map(|jar| plugin_mistake(jar, version).map(|(what, right)| (jar.clone(), what, right))).collect()
}

/// The folders that Flink has on file systems of their own: each with its scheme.
fn remote_folders(config: &Config) -> Vec<(&Entry, &str)> {
    let of_ha = is_on(config).then(|| literal(config, &STORAGE_DIR)).flatten();
    let folders = [of_ha, literal(config, &CHECKPOINTS), literal(config, &SAVEPOINTS)];
    folders.into_iter().flatten().filter_map(|entry| Some((entry, entry.value.split_once("://")?.0))).collect()
}

/// Whether a member has a plugin for the scheme; none where that is not known, or its plugins have mistakes.
fn has_plugin(cx: &Check<'_>, member: &Member, scheme: &str) -> Result<bool, String> {
    match plugins(cx, member) {
        Plugins::Unknown(why) => Err(why),
        Plugins::These(_) if !plugin_mistakes(cx, member).is_empty() => Ok(true),
        Plugins::These(jars) => {
            Ok(jars.iter().any(|jar| plugins_for(scheme).iter().any(|plugin| jar.starts_with(plugin))))
        }
    }
}

/// Something keeps these pods on one node, or together.
fn is_pinned(spec: &PodSpec) -> bool {
    const HOST: &str = "kubernetes.io/hostname";
    let affinity = spec.affinity.as_ref();
    let selected = spec.node_selector.iter().flatten().any(|(key, _)| key == HOST);
    let together = affinity.and_then(|affinity| affinity.pod_affinity.as_ref()).is_some_and(|pods| {
        let terms = pods.required_during_scheduling_ignored_during_execution.iter().flatten();
        terms.into_iter().any(|term| term.topology_key == HOST)
    });
    let on_nodes = affinity.and_then(|affinity| affinity.node_affinity.as_ref()).is_some_and(|nodes| {
        let terms = nodes.required_during_scheduling_ignored_during_execution.iter();
        let terms = terms.flat_map(|selector| &selector.node_selector_terms);
        terms.flat_map(|term| term.match_expressions.iter().flatten()).any(|expression| expression.key == HOST)
    });
    spec.node_name.is_some() || selected || together || on_nodes
}

/// The volumes that hold a member's high-availability data, checkpoints and savepoints, each once with its number.
fn state_volumes<'a>(cluster: &Cluster, member: &'a Member) -> Vec<(usize, &'a Volume)> {
    let Some((spec, container)) = member.workload.flink_container() else { return Vec::new() };
    let folders = [
        literal(&cluster.config, &STORAGE_DIR),
        literal(&cluster.config, &CHECKPOINTS),
        literal(&cluster.config, &SAVEPOINTS),
    ];
    let mut found: Vec<(usize, &Volume)> = Vec::new();
    for path in folders.into_iter().flatten().filter_map(|entry| storage::local_path(entry.value.trim())) {
        let Some(volume) = storage::mounted_at(spec, container, path).and_then(|mounted| mounted.volume) else {
            continue;
        };
        let number = spec.volumes.iter().flatten().position(|one| one.name == volume.name).unwrap_or(0);
        if !found.iter().any(|(other, _)| *other == number) {
            found.push((number, volume));
        }
    }
    found
}

/// The claims among them that can be written to: name, and the number of its volume.
fn claims(cluster: &Cluster, member: &Member) -> Vec<(String, usize)> {
    let all = state_volumes(cluster, member).into_iter();
    all.filter_map(|(number, volume)| Some((number, volume.persistent_volume_claim.as_ref()?)))
        .filter(|(_, claim)| claim.read_only != Some(true))
        .map(|(number, claim)| (claim.claim_name.clone(), number))
        .collect()
}

/// A high-availability ConfigMap of the running cluster.
#[derive(Debug)]
struct HaObject {
    object: ObjectId,
    namespace: String,
    map: HaMap,
}

/// Every high-availability ConfigMap.
fn ha_maps(cx: &Check<'_>) -> Vec<HaObject> {
    // Others may be large, and many.
    let named = cx.of_kind("ConfigMap").into_iter().filter(|id| MapName::parse(&cx.object(*id).name).is_some());
    named.filter_map(|id| ha_object(cx, id)).collect()
}

fn ha_object(cx: &Check<'_>, object: ObjectId) -> Option<HaObject> {
    let map = HaMap::read(&cx.object(object).typed()?)?;
    Some(HaObject { object, namespace: cx.object(object).namespace.clone(), map })
}

/// The ConfigMap of a running cluster's leader.
fn cluster_map(cx: &Check<'_>, cluster: &Cluster) -> Option<HaObject> {
    if services(&cluster.config) != Known::Present(Services::Kubernetes) {
        return None;
    }
    let id = &literal(&cluster.config, &[CLUSTER_ID])?.value;
    let namespace = ha_namespace(&cluster.config, &cluster.namespace);
    ha_object(cx, cx.find("ConfigMap", namespace, &ha::cluster_config_map(id)).present()?)
}
