//! The Flink clusters in a snapshot: processes, what they go by, and which belong together.

pub mod config;

use std::collections::HashMap;

use k8s_openapi::api::core::v1::{Container, PodSpec};

use self::config::{Config, ConfigFile, Entry, LogFile, Origin};
use super::known::Known;
use super::place::Place;
use super::snapshot::{BARE_FILE, ObjectId, Snapshot};
use crate::cluster::membership::{self, Member as Grouped};
use crate::cluster::workload::Workload;
use crate::flink::config::{FILE, LEGACY_FILE};
use crate::flink::properties::is_log4j;
use crate::flink::role::{Mode, Role, version_of_flink};
use crate::flink::version::Version;

/// The kinds that make pods, with the pointer to the pods' specification.
pub const WORKLOADS: [(&str, &str); 6] = [
    ("Deployment", "/spec/template/spec"),
    ("StatefulSet", "/spec/template/spec"),
    ("DaemonSet", "/spec/template/spec"),
    ("ReplicaSet", "/spec/template/spec"),
    ("Job", "/spec/template/spec"),
    ("Pod", "/spec"),
];

/// A workload that runs Flink.
#[derive(Debug)]
pub struct Member {
    /// Its object.
    pub object: ObjectId,
    /// Where its pods' specification is in the object.
    pub pod_spec: &'static str,
    /// The workload, typed.
    pub workload: Workload,
    /// What its Flink goes by.
    pub config: Config,
    /// The folder of the configuration in its container.
    pub conf_dir: String,
    /// Flink's version, where the image's tag tells it.
    pub version: Option<Version>,
}

impl Member {
    /// The pods' specification.
    pub fn spec(&self) -> PodSpec {
        self.workload.template.spec.clone().unwrap_or_default()
    }

    /// The container that runs Flink, with its number.
    pub fn container(&self) -> Option<(usize, &Container)> {
        let spec = self.workload.template.spec.as_ref()?;
        spec.containers.iter().enumerate().find(|(_, container)| container.name == self.workload.process.container)
    }

    /// A place in the pods' specification: `serviceAccountName`.
    pub fn in_spec(&self, path: &str) -> Place {
        Place::value(self.object, format!("{}/{path}", self.pod_spec))
    }

    /// A place in the container that runs Flink: `env/0/value`; empty for the container's name.
    pub fn in_container(&self, path: &str) -> Place {
        let number = self.container().map_or(0, |(number, _)| number);
        let path = if path.is_empty() { "name" } else { path };
        Place::value(self.object, format!("{}/containers/{number}/{path}", self.pod_spec))
    }

    /// The service account of its pods.
    pub fn service_account(&self) -> &str {
        let account = self.workload.template.spec.as_ref().and_then(|spec| {
            spec.service_account_name.as_deref().or(spec.service_account.as_deref()).filter(|name| !name.is_empty())
        });
        account.unwrap_or("default")
    }

    /// It leads a cluster.
    pub fn is_jobmanager(&self) -> bool {
        matches!(self.workload.process.role, Role::JobManager(_))
    }

    /// `JobManager` or `TaskManager`.
    pub fn role_name(&self) -> &'static str {
        match self.workload.process.role {
            Role::JobManager(_) => "JobManager",
            Role::TaskManager | Role::NativeTaskManager => "TaskManager",
            Role::HistoryServer => "HistoryServer",
        }
    }

    /// The environment variable NAME of the container, with its number.
    pub fn env(&self, name: &str) -> Option<(usize, &k8s_openapi::api::core::v1::EnvVar)> {
        let (_, container) = self.container()?;
        container.env.iter().flatten().enumerate().find(|(_, variable)| variable.name == name)
    }

    /// What the environment variable NAME of the container is, with its place.
    pub fn variable(&self, snapshot: &Snapshot, name: &str) -> Known<Text> {
        let Some((_, container)) = self.container() else { return Known::Absent };
        variable(snapshot, self.workload.namespace(), container, name, |path| self.in_container(path))
    }

    /// The ConfigMaps from which the containers of its pods take environment variables.
    pub fn environment_maps(&self) -> Vec<EnvironmentMap> {
        let spec = self.spec();
        let mut maps = Vec::new();
        let lists = [("initContainers", spec.init_containers), ("containers", Some(spec.containers))];
        for (list, containers) in lists {
            for (number, container) in containers.into_iter().flatten().enumerate() {
                let at = |path: &str| self.in_spec(&format!("{list}/{number}/{path}"));
                for (source, map) in container.env_from.into_iter().flatten().enumerate() {
                    let Some(map) = map.config_map_ref else { continue };
                    let name_place = at(&format!("envFrom/{source}/configMapRef/name"));
                    let optional = map.optional == Some(true);
                    maps.push(EnvironmentMap { name: map.name, name_place, key: None, optional });
                }
                for (variable, one) in container.env.into_iter().flatten().enumerate() {
                    let Some(map) = one.value_from.and_then(|from| from.config_map_key_ref) else { continue };
                    let at = |field: &str| at(&format!("env/{variable}/valueFrom/configMapKeyRef/{field}"));
                    let (key, optional) = (Some((map.key, at("key"))), map.optional == Some(true));
                    maps.push(EnvironmentMap { name: map.name, name_place: at("name"), key, optional });
                }
            }
        }
        maps
    }

    /// Whether the container takes environment variables from a ConfigMap or Secret, which may hold any.
    pub fn has_env_from(&self) -> bool {
        self.container().is_some_and(|(_, container)| container.env_from.iter().flatten().next().is_some())
    }
}

/// A ConfigMap from which a container takes environment variables.
#[derive(Debug)]
pub struct EnvironmentMap {
    /// Its name.
    pub name: String,
    /// Where that stands.
    pub name_place: Place,
    /// The key, with its place; none for all keys.
    pub key: Option<(String, Place)>,
    /// The container starts without it too.
    pub optional: bool,
}

/// A Flink cluster.
#[derive(Debug)]
pub struct Cluster {
    /// Its namespace; empty where it is not known.
    pub namespace: String,
    /// What people call it.
    pub name: String,
    /// Its object: the JobManager's workload, or the FlinkDeployment.
    pub object: ObjectId,
    /// The JobManager's place among the members.
    pub jobmanager: Option<usize>,
    /// The TaskManagers' places among the members.
    pub taskmanagers: Vec<usize>,
    /// What the cluster goes by: the JobManager's configuration.
    pub config: Config,
    /// Flink's version.
    pub version: Option<Version>,
    /// How it is run; none where only a TaskManager is known.
    pub mode: Option<Mode>,
    /// It is a FlinkDeployment, or was made from one of this name.
    pub operator: Option<String>,
}

impl Cluster {
    /// `high-availability.type` is Kubernetes.
    pub fn has_kubernetes_ha(&self) -> bool {
        self.config.has_kubernetes_ha()
    }

    /// The cluster is a FlinkDeployment itself, not what was made from one.
    pub fn is_custom_resource(&self) -> bool {
        self.operator.is_some() && self.jobmanager.is_none()
    }
}

/// What the rules look at.
#[derive(Debug, Default)]
pub struct Model {
    /// Every workload that runs Flink.
    pub members: Vec<Member>,
    /// The clusters.
    pub clusters: Vec<Cluster>,
    /// Every configuration file, used or not.
    pub config_files: Vec<ConfigFile>,
    /// Every Log4j configuration, used or not.
    pub log_files: Vec<LogFile>,
    file_numbers: HashMap<(ObjectId, String), usize>,
    /// The number of the cluster that an object belongs to.
    owners: HashMap<ObjectId, usize>,
}

impl Model {
    /// Finds everything in a snapshot.
    pub fn new(snapshot: &Snapshot) -> Self {
        let mut model = Model::default();
        model.read_files(snapshot);
        let mut grouped = Vec::new();
        for (kind, pointer) in WORKLOADS {
            for id in snapshot.of_kind(kind) {
                if let Some((member, group)) = model.member(snapshot, *id, pointer) {
                    model.members.push(member);
                    grouped.push(group);
                }
            }
        }
        model.group(&grouped);
        for id in snapshot.of_kind("FlinkDeployment") {
            model.clusters.push(flink_deployment(snapshot, *id));
        }
        model.clusters.sort_by(|a, b| (&a.namespace, &a.name, a.object).cmp(&(&b.namespace, &b.name, b.object)));
        model.find_owners();
        model
    }

    /// The members of a cluster, the JobManager first.
    pub fn members_of(&self, cluster: &Cluster) -> Vec<&Member> {
        cluster.jobmanager.iter().chain(&cluster.taskmanagers).map(|number| &self.members[*number]).collect()
    }

    /// The JobManager of a cluster.
    pub fn jobmanager(&self, cluster: &Cluster) -> Option<&Member> {
        cluster.jobmanager.map(|number| &self.members[number])
    }

    /// The TaskManagers of a cluster.
    pub fn taskmanagers(&self, cluster: &Cluster) -> Vec<&Member> {
        cluster.taskmanagers.iter().map(|number| &self.members[*number]).collect()
    }

    /// The configuration file that stands there.
    pub fn file_at(&self, object: ObjectId, pointer: &str) -> Option<&ConfigFile> {
        self.file_numbers.get(&(object, pointer.to_owned())).map(|number| &self.config_files[*number])
    }

    /// Flink's version for a file: that of the members that read it, where they agree.
    pub fn version_of_file(&self, file: &ConfigFile) -> Option<Version> {
        let number = *self.file_numbers.get(&(file.object, file.pointer.clone()))?;
        let mut versions = self.members.iter().filter(|member| member.config.file == Some(number)).map(|m| m.version);
        let first = versions.next()??;
        versions.all(|version| version == Some(first)).then_some(first)
    }

    /// The cluster that an object belongs to: its configuration, its workloads.
    pub fn cluster_of(&self, object: ObjectId) -> Option<&Cluster> {
        self.owners.get(&object).map(|number| &self.clusters[*number])
    }

    fn find_owners(&mut self) {
        let mut owners = HashMap::new();
        for (number, cluster) in self.clusters.iter().enumerate() {
            owners.entry(cluster.object).or_insert(number);
            for member in self.members_of(cluster) {
                owners.entry(member.object).or_insert(number);
                if let Some(file) = member.config.file {
                    owners.entry(self.config_files[file].object).or_insert(number);
                }
            }
        }
        self.owners = owners;
    }

    fn read_files(&mut self, snapshot: &Snapshot) {
        for id in snapshot.of_kind("ConfigMap") {
            let node = &snapshot.object(*id).node;
            for (key, value) in node.get("data").map(crate::manifests::tree::Node::entries).unwrap_or_default() {
                if let (Some(key), Some(text)) = (key.text(), value.text()) {
                    self.read_file(*id, &format!("/data/{}", crate::manifests::tree::escape(key)), key, text);
                }
            }
        }
        for id in snapshot.of_kind(BARE_FILE) {
            let object = snapshot.object(*id);
            let name = object.name.rsplit(['/', '\\']).next().unwrap_or_default();
            self.read_file(*id, "", name, object.node.text().unwrap_or_default());
        }
    }

    fn read_file(&mut self, object: ObjectId, pointer: &str, name: &str, text: &str) {
        if let Some(name) = [FILE, LEGACY_FILE].into_iter().find(|known| *known == name) {
            self.add_config(object, pointer, name, text);
        } else if is_log4j(name) {
            self.log_files.push(LogFile::read(object, pointer, name, text));
        }
    }

    fn add_config(&mut self, object: ObjectId, pointer: &str, name: &'static str, text: &str) -> usize {
        let key = (object, pointer.to_owned());
        if let Some(number) = self.file_numbers.get(&key) {
            return *number;
        }
        self.config_files.push(ConfigFile::read(object, pointer, name, text));
        self.file_numbers.insert(key, self.config_files.len() - 1);
        self.config_files.len() - 1
    }

    /// The Flink of a workload, and the same as grouping wants it.
    fn member(&mut self, snapshot: &Snapshot, id: ObjectId, pod_spec: &'static str) -> Option<(Member, Grouped)> {
        let workload = workload(snapshot, id)?;
        let (container, ()) = {
            let (spec, container) = workload.flink_container()?;
            (spec.containers.iter().position(|one| one.name == container.name)?, ())
        };
        let version = workload.process.version().and_then(Version::lenient);
        let in_container = |path: &str| Place::value(id, format!("{pod_spec}/containers/{container}/{path}"));
        let mut config = Config::default();
        let mut map = None;
        let (files, writable) = membership::configuration_files(&workload);
        for file in &files {
            match snapshot.find("ConfigMap", workload.namespace(), &file.map) {
                Known::Present(found) => {
                    let pointer = format!("/data/{}", crate::manifests::tree::escape(&file.key));
                    let Some(text) = snapshot.object(found).node.at(&pointer).and_then(|node| node.text()) else {
                        continue;
                    };
                    let number = self.add_config(found, &pointer, file.name, text);
                    let read = &self.config_files[number];
                    read.entries.iter().for_each(|entry| config.set(entry.clone()));
                    config.open = read.error.as_ref().map(|_| format!("{} cannot be read", file.name));
                    config.file = Some(number);
                    map = Some(file.map.clone());
                    break;
                }
                Known::Absent => config.open = Some(format!("ConfigMap {} does not exist", file.map)),
                Known::Unknown(_) => {
                    config.open = Some(format!("ConfigMap {}, which has the configuration, is not known", file.map));
                }
            }
        }
        if files.is_empty() {
            // A folder that hides the image's own, with a file of another name or one that a script writes.
            let dir = workload.process.conf_dir.as_deref().unwrap_or(membership::CONF_DIR);
            let hidden = workload
                .flink_container()
                .is_some_and(|(spec, container)| crate::flink::storage::mounted_at(spec, container, dir).is_some());
            match is_official(&workload.process.image) {
                true if hidden => {
                    config.open = Some(format!("what is mounted at {dir} has no configuration file that is known"));
                }
                true => image_defaults(&mut config, version, &in_container("image")),
                false => {
                    let image = &workload.process.image;
                    config.open = Some(format!("the image {image:?} may bring a configuration of its own"));
                }
            }
        }
        if writable {
            environment(&mut config, snapshot, &workload, &in_container);
        }
        arguments(&mut config, &workload, &in_container);
        let group = Grouped {
            workload: workload.clone(),
            configuration: config.configuration(),
            map,
            unknown: config.open.clone(),
        };
        let conf_dir = membership::configuration_folder(&workload).to_owned();
        Some((Member { object: id, pod_spec, workload, config, conf_dir, version }, group))
    }

    fn group(&mut self, grouped: &[Grouped]) {
        let clusters = membership::clusters(grouped);
        let mut taken = vec![false; self.members.len()];
        for (jobmanager, taskmanagers) in clusters {
            let member = &self.members[jobmanager];
            let Role::JobManager(mode) = member.workload.process.role else { continue };
            for number in std::iter::once(&jobmanager).chain(&taskmanagers) {
                taken[*number] = true;
            }
            let cluster = self.cluster(jobmanager, Some(mode), Some(jobmanager), taskmanagers);
            self.clusters.push(cluster);
        }
        // TaskManagers whose JobManager is not here are judged on their own.
        for (number, taken) in taken.into_iter().enumerate() {
            if !taken && matches!(self.members[number].workload.process.role, Role::TaskManager) {
                let cluster = self.cluster(number, None, None, vec![number]);
                self.clusters.push(cluster);
            }
        }
    }

    fn cluster(&self, head: usize, mode: Option<Mode>, jobmanager: Option<usize>, taskmanagers: Vec<usize>) -> Cluster {
        let member = &self.members[head];
        let workload = &member.workload;
        let id = member.config.value("kubernetes.cluster-id").map(str::to_owned);
        let instance = workload.label("app.kubernetes.io/instance").map(str::to_owned);
        let base = workload.name.strip_suffix("-jobmanager").unwrap_or(&workload.name).to_owned();
        Cluster {
            namespace: workload.namespace().to_owned(),
            name: instance.or(id).unwrap_or(base),
            object: member.object,
            jobmanager,
            taskmanagers,
            config: member.config.clone(),
            version: member.version,
            mode,
            operator: workload.made_by().and_then(|by| Some(by.strip_prefix("FlinkDeployment/")?.to_owned())),
        }
    }
}

/// The workload of an object, if its pods run Flink.
fn workload(snapshot: &Snapshot, id: ObjectId) -> Option<Workload> {
    let object = snapshot.object(id);
    let mut workload = match object.kind.as_str() {
        "Deployment" => Workload::of_deployment(object.typed()?),
        "StatefulSet" => Workload::of_stateful_set(object.typed()?),
        "Job" => Workload::of_job(object.typed()?),
        // Pods of a workload that is known are that workload's.
        "Pod" if object.node.at("/metadata/ownerReferences/0").is_none() => {
            Workload::of_pods("Pod", &object.name, &[object.typed()?])
        }
        _ => None,
    }?;
    workload.metadata.namespace = Some(object.namespace.clone());
    Some(workload)
}

/// `flink:1.20`, `apache/flink:...`, behind any registry: an image whose configuration is known.
pub fn is_official(image: &str) -> bool {
    let name = image.split('@').next().unwrap_or_default();
    let (path, last) = name.rsplit_once('/').map_or(("", name), |(path, last)| (path, last));
    let repository = last.split(':').next().unwrap_or_default();
    let owner = path.rsplit('/').next().unwrap_or_default();
    repository == "flink" && matches!(owner, "" | "apache" | "library")
}

/// What the image's own file and its entrypoint set (flink-dist `flink-conf.yaml`, `docker-entrypoint.sh`).
fn image_defaults(config: &mut Config, version: Option<Version>, image: &Place) {
    let mut entries = vec![
        ("jobmanager.rpc.port", "6123"),
        ("jobmanager.memory.process.size", "1600m"),
        ("taskmanager.memory.process.size", "1728m"),
        ("parallelism.default", "1"),
        ("blob.server.port", "6124"),
        ("query.server.port", "6125"),
    ];
    if version.is_none_or(Version::knows_java_17) {
        entries.push(("env.java.opts.all", "--add-exports=java.base/sun.net.util=ALL-UNNAMED"));
    }
    for (key, value) in entries {
        config.set(Entry {
            key: key.to_owned(),
            value: value.to_owned(),
            place: image.clone(),
            key_place: image.clone(),
            origin: Origin::Image,
        });
    }
}

/// A text with where it stands.
type Text = (Place, String);

/// What a container's environment variable is, as far as the manifests and the ConfigMaps that they name tell; `place` gives
/// a place in the container.
pub fn variable(
    snapshot: &Snapshot,
    namespace: &str,
    container: &Container,
    name: &str,
    place: impl Fn(&str) -> Place,
) -> Known<Text> {
    let of_map = |map: &str, key: &str| match snapshot.find("ConfigMap", namespace, map) {
        Known::Present(id) => {
            let pointer = format!("/data/{}", crate::manifests::tree::escape(key));
            let text = snapshot.object(id).node.at(&pointer).and_then(|node| node.text());
            text.map_or(Known::Absent, |text| Known::Present((Place::value(id, &pointer), text.to_owned())))
        }
        Known::Absent => Known::Absent,
        Known::Unknown(_) => Known::Unknown(format!("{name} may come from ConfigMap {map}, which is not known")),
    };
    let mut found = Known::Absent;
    for source in container.env_from.iter().flatten() {
        let Some(key) = name.strip_prefix(source.prefix.as_deref().unwrap_or_default()) else { continue };
        match &source.config_map_ref {
            Some(map) => match of_map(&map.name, key) {
                Known::Absent => {}
                text => found = text,
            },
            None => found = Known::Unknown(format!("{name} may come from envFrom")),
        }
    }
    for (number, variable) in container.env.iter().flatten().enumerate().filter(|(_, one)| one.name == name) {
        let source = variable.value_from.as_ref();
        found = match (&variable.value, source.and_then(|source| source.config_map_key_ref.as_ref())) {
            (Some(value), _) => Known::Present((place(&format!("env/{number}/value")), value.clone())),
            (None, Some(reference)) => of_map(&reference.name, &reference.key),
            (None, None) if source.is_some() => Known::Unknown(format!("{name} is no text of the manifest")),
            (None, None) => Known::Absent,
        };
    }
    found
}

const ADDRESS: &str = "JOB_MANAGER_RPC_ADDRESS";
const PROPERTIES: &str = "FLINK_PROPERTIES";

/// What the entrypoint writes into the file from the environment, where it can.
fn environment(config: &mut Config, snapshot: &Snapshot, workload: &Workload, place: &impl Fn(&str) -> Place) {
    let Some((_, container)) = workload.flink_container() else { return };
    for name in [ADDRESS, PROPERTIES] {
        match variable(snapshot, workload.namespace(), container, name, place) {
            Known::Present((at, value)) if name == ADDRESS => config.set(Entry {
                key: "jobmanager.rpc.address".to_owned(),
                value,
                place: at.clone(),
                key_place: at,
                origin: Origin::Environment,
            }),
            Known::Present((at, value)) => {
                for entry in ConfigFile::read(at.object, &at.pointer, LEGACY_FILE, &value).entries {
                    config.set(Entry { origin: Origin::Environment, ..Entry::clone(&entry) });
                }
            }
            Known::Unknown(why) if name == PROPERTIES => {
                config.open.get_or_insert(why);
            }
            // Rules about the address ask for it themselves.
            Known::Absent | Known::Unknown(_) => {}
        }
    }
}

/// `-Dkey=value`: each is shown at the argument that has it.
fn arguments(config: &mut Config, workload: &Workload, place: &impl Fn(&str) -> Place) {
    let Some((_, container)) = workload.flink_container() else { return };
    for (key, value) in &workload.process.dynamic {
        let words = container.args.iter().flatten();
        let number = words.clone().position(|word| word.contains(&format!("{key}={value}")));
        let at = number.map_or_else(|| place("name"), |number| place(&format!("args/{number}")));
        config.set(Entry {
            key: key.clone(),
            value: value.clone(),
            place: at.clone(),
            key_place: at,
            origin: Origin::Argument,
        });
    }
}

/// A FlinkDeployment, of which the operator makes the rest.
fn flink_deployment(snapshot: &Snapshot, id: ObjectId) -> Cluster {
    let object = snapshot.object(id);
    let mut config = Config::default();
    config.open = Some("the operator's own defaults are not known".to_owned());
    config.set_mapping(id, "/spec/flinkConfiguration", snapshot, Origin::Operator);
    let of_image = object.node.string_at("/spec/image").and_then(version_of_flink).and_then(Version::lenient);
    let declared =
        object.node.string_at("/spec/flinkVersion").map(|text| text.trim_start_matches('v').replace('_', "."));
    let version = of_image.or_else(|| Version::lenient(&declared?));
    let standalone = object.node.string_at("/spec/mode") == Some("standalone");
    let mode = match (object.node.at("/spec/job").is_some(), standalone) {
        (true, true) => Mode::StandaloneApplication,
        (true, false) => Mode::NativeApplication,
        (false, true) => Mode::StandaloneSession,
        (false, false) => Mode::NativeSession,
    };
    Cluster {
        namespace: object.namespace.clone(),
        name: object.name.clone(),
        object: id,
        jobmanager: None,
        taskmanagers: Vec::new(),
        config,
        version,
        mode: Some(mode),
        operator: Some(object.name.clone()),
    }
}
