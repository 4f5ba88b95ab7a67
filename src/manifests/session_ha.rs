//! The embedded profile: a highly available session cluster, and the typed edits that the options make.

use std::collections::BTreeMap;

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{
    ConfigMap, ContainerPort, EmptyDirVolumeSource, EnvFromSource, EnvVar, HostPathVolumeSource, LocalObjectReference,
    PodSpec, PodTemplateSpec, SecretEnvSource, Service, TopologySpreadConstraint, Volume,
};
use k8s_openapi::api::rbac::v1::RoleBinding;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::api::DynamicObject;
use serde_json::json;
use sha2::{Digest, Sha256};

use super::options::{Assignment, Expose, Options, is_secret};
use super::{CHECKSUM_ANNOTATION, INSTANCE_LABEL, ManifestFile, OPTIONS_ANNOTATION, edit, kind, name};
use crate::error::{Error, Result};
use crate::flink::config::{ConfigFile, Configuration, FILE, LEGACY_FILE};
use crate::flink::ha_storage::{HaStorage, MOUNT_PATH};
use crate::flink::memory::{self, JOBMANAGER_PROCESS_SIZE, MemorySize, TASKMANAGER_PROCESS_SIZE};
use crate::flink::options as flink_options;
use crate::flink::role::version_of_flink;
use crate::flink::storage::is_credential;
use crate::flink::version::{Version, modern_name};

/// The files as they lie in `plugin/manifests/session-ha`.
const FILES: [(&str, &str); 6] = [
    ("01_namespace.yaml", include_str!("../../plugin/manifests/session-ha/01_namespace.yaml")),
    ("02_rbac.yaml", include_str!("../../plugin/manifests/session-ha/02_rbac.yaml")),
    ("03_configmap.yaml", include_str!("../../plugin/manifests/session-ha/03_configmap.yaml")),
    ("04_service.yaml", include_str!("../../plugin/manifests/session-ha/04_service.yaml")),
    ("05_jobmanager-session.yaml", include_str!("../../plugin/manifests/session-ha/05_jobmanager-session.yaml")),
    ("06_taskmanager-session.yaml", include_str!("../../plugin/manifests/session-ha/06_taskmanager-session.yaml")),
];

/// What cluster and namespace are called in the embedded files.
const EMBEDDED_NAME: &str = "flink";
/// The volume for everything that outlives a pod.
const STORAGE_VOLUME: &str = "flink-storage";
/// Says to `doctor` that what its rule finds in an object was asked for.
const ACCEPTS: &str = "kubectl-flink/ignore.";
/// TaskManagers in the embedded files.
const DEFAULT_TASKMANAGERS: u16 = 2;
/// The slots of a TaskManager in the embedded configuration.
const DEFAULT_SLOTS: u16 = 2;

/// One cluster, with everything decided.
#[derive(Debug, Clone)]
pub struct Profile {
    /// NAME, which is the cluster-id.
    pub name: String,
    /// The namespace of everything.
    pub namespace: String,
    /// The options that were given, now or before.
    pub options: Options,
    /// Where the state is kept.
    pub storage: HaStorage,
    /// The storage is a volume that can be used on one node only.
    pub single_node: bool,
    /// TaskManagers that an autoscaler decided on, instead of the option.
    pub autoscaled_taskmanagers: Option<i32>,
}

/// The objects of a profile that options change or leave out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    JobManager,
    TaskManager,
}

impl Profile {
    /// The profile with these options where no cluster is asked: state is on a volume of the cluster's own, unless an
    /// option says otherwise. A named claim counts as one that all nodes can use.
    pub fn by_default(name: &str, namespace: &str, options: Options) -> Self {
        let storage = options.ha_storage.clone().unwrap_or(HaStorage::Claim(None));
        Profile {
            name: name.to_owned(),
            namespace: namespace.to_owned(),
            single_node: matches!(storage, HaStorage::Claim(None) | HaStorage::HostPath(_)),
            storage,
            options,
            autoscaled_taskmanagers: None,
        }
    }

    /// The Flink version: the one that was asked for, else that of the image's tag, else the embedded files' own.
    ///
    /// # Errors
    /// An image is named whose tag tells no version, and no version is given.
    pub fn version(&self) -> Result<Version> {
        let options = &self.options;
        let image = options.image.as_ref().or(options.jobmanager_image.as_ref()).or(options.taskmanager_image.as_ref());
        match (options.flink_version, image) {
            (Some(version), _) => Ok(version),
            (None, None) => Ok(Version::new(1, 20, 5)),
            (None, Some(image)) => Version::of_image(image).ok_or_else(|| {
                Error::usage(format!("the tag of image {image} does not tell which Flink version is in it"))
                    .hint("say it: --flink-version 1.20.5")
            }),
        }
    }

    /// The numbered files of this cluster.
    ///
    /// # Errors
    /// The options do not go together, or Flink could not start with them.
    pub fn files(&self) -> Result<Vec<ManifestFile>> {
        let version = self.version()?;
        let mut configuration: Option<(Configuration, String)> = None;
        let mut files = Vec::new();
        for (file_name, text) in FILES {
            let mut file = ManifestFile::parse(file_name, file_name, text)?;
            file.objects.retain(|object| self.wants(object));
            for object in &mut file.objects {
                self.rename(object);
                match kind(object) {
                    "RoleBinding" => edit(object, |binding| self.edit_binding(binding))?,
                    "ConfigMap" => {
                        let edited = edit(object, |config_map| self.edit_configuration(config_map, version))?;
                        configuration = Some(edited?);
                    }
                    "Service" => edit(object, |service| self.edit_service(service))?,
                    "Deployment" => {
                        let (configuration, checksum) = configuration.as_ref().ok_or_else(|| {
                            Error::could_not_run("the embedded files have no configuration before their Deployments")
                        })?;
                        edit(object, |deployment| {
                            self.edit_deployment(deployment, version, configuration, checksum);
                        })?;
                    }
                    _ => {}
                }
                if kind(object) != "Namespace" {
                    self.decorate(&mut object.metadata);
                }
                if let Some((configuration, _)) = &configuration {
                    self.accept(object, version, configuration);
                }
            }
            if !file.objects.is_empty() {
                files.push(file);
            }
        }
        Ok(files)
    }

    /// Whether an embedded object is a part of this cluster.
    fn wants(&self, object: &DynamicObject) -> bool {
        let of_taskmanager = name(object).ends_with("-taskmanager");
        match kind(object) {
            "ServiceAccount" | "Role" | "RoleBinding" => self.own_account(of_taskmanager),
            "PersistentVolumeClaim" => self.storage == HaStorage::Claim(None),
            _ => true,
        }
    }

    /// Whether this role's service account is made here, and not given by the user.
    pub fn own_account(&self, taskmanager: bool) -> bool {
        self.options.service_account.is_none() && !(taskmanager && self.options.taskmanager_service_account.is_some())
    }

    /// The service accounts of JobManagers and TaskManagers.
    pub fn service_accounts(&self) -> [String; 2] {
        let given = &self.options.service_account;
        let jobmanager = given.clone().unwrap_or_else(|| self.named("flink-jobmanager"));
        let taskmanager = self.options.taskmanager_service_account.clone().or_else(|| given.clone());
        [jobmanager, taskmanager.unwrap_or_else(|| self.named("flink-taskmanager"))]
    }

    /// The Deployment of the JobManagers.
    pub fn jobmanager(&self) -> String {
        self.named("flink-jobmanager")
    }

    /// The Deployment of the TaskManagers.
    pub fn taskmanager(&self) -> String {
        self.named("flink-taskmanager")
    }

    /// Slots of each TaskManager.
    pub fn slots(&self) -> u16 {
        self.options.slots.unwrap_or(DEFAULT_SLOTS)
    }

    /// The claim behind the storage, if there is one.
    pub fn claim(&self) -> Option<String> {
        match &self.storage {
            HaStorage::Claim(claim) => Some(claim.clone().unwrap_or_else(|| self.named(STORAGE_VOLUME))),
            _ => None,
        }
    }

    /// `flink-config` of the embedded files, as this cluster's `NAME-config`.
    fn named(&self, embedded: &str) -> String {
        embedded.replacen(EMBEDDED_NAME, &self.name, 1)
    }

    fn rename(&self, object: &mut DynamicObject) {
        let metadata = &mut object.metadata;
        if object.types.as_ref().is_some_and(|types| types.kind == "Namespace") {
            metadata.name = Some(self.namespace.clone());
            return;
        }
        metadata.name = metadata.name.as_deref().map(|embedded| self.named(embedded));
        metadata.namespace = Some(self.namespace.clone());
    }

    /// The user's labels and annotations, and the NAME in our own label.
    fn decorate(&self, metadata: &mut ObjectMeta) {
        let labels = metadata.labels.get_or_insert_default();
        labels.insert(INSTANCE_LABEL.to_owned(), self.name.clone());
        labels.extend(pairs(&self.options.label));
        if !self.options.annotation.is_empty() {
            metadata.annotations.get_or_insert_default().extend(pairs(&self.options.annotation));
        }
    }

    /// `doctor` does not warn of what was asked for on the command line: the object in which it finds that says so.
    fn accept(&self, object: &mut DynamicObject, version: Version, configuration: &Configuration) {
        let accepted = match kind(object) {
            "ConfigMap" => self.accepted_configuration(version, configuration),
            "Service" => self.accepted_service(object, configuration),
            "Deployment" if name(object) == self.jobmanager() => self.accepted_version(version),
            _ => Vec::new(),
        };
        for (code, flags) in accepted {
            let annotations = object.metadata.annotations.get_or_insert_default();
            annotations.entry(format!("{ACCEPTS}{code}")).or_insert_with(|| format!("asked for: {flags}"));
        }
    }

    fn accepted_configuration(&self, version: Version, configuration: &Configuration) -> Vec<(&'static str, String)> {
        let options = &self.options;
        let mut accepted = Vec::new();
        if self.storage == HaStorage::PodLocal && options.ha_storage.is_some() {
            // -D may have led them elsewhere.
            let inside =
                |key: &str| configuration.get(version.name_of(key)).is_some_and(|dir| dir.contains(MOUNT_PATH));
            for (code, key) in [("FLK203", "high-availability.storageDir"), ("FLK204", "execution.checkpointing.dir")] {
                accepted.extend(inside(key).then(|| (code, format!("--ha-storage {}", self.storage))));
            }
        }
        let taskmanagers = options.taskmanagers.unwrap_or(DEFAULT_TASKMANAGERS);
        let slots = u32::from(taskmanagers) * u32::from(self.slots());
        let is = |key: &str, value: &str| configuration.get(key).is_some_and(|text| text.eq_ignore_ascii_case(value));
        // Batch jobs and the adaptive schedulers make do with fewer.
        let elastic = is("scheduler-mode", "reactive")
            || is("jobmanager.scheduler", "adaptive")
            || is("jobmanager.scheduler", "AdaptiveBatch")
            || is("execution.runtime-mode", "batch");
        if let Some(parallelism) = options.parallelism.filter(|parallelism| u32::from(*parallelism) > slots && !elastic)
            && self.autoscaled_taskmanagers.is_none()
        {
            accepted.push(("FLK408", format!("--parallelism {parallelism}")));
        }
        for option in &options.dynamic {
            // The value may be a secret.
            let flag = || format!("-D {}", option.key);
            let literal = !["${", "$(", "{{"].iter().any(|template| option.value.contains(template));
            if is_credential(&option.key) && !option.value.is_empty() && literal {
                accepted.push(("FLK231", flag()));
            }
            let written = version.name_of(modern_name(&option.key));
            let known = flink_options::find(written);
            let gone = known.and_then(|known| known.removed).is_some_and(|removed| version >= removed);
            let renamed = known.and_then(|known| known.renamed).is_some_and(|(since, _)| version >= since);
            if renamed && !gone {
                accepted.push(("FLK518", flag()));
            }
        }
        accepted
    }

    fn accepted_service(&self, object: &DynamicObject, configuration: &Configuration) -> Vec<(&'static str, String)> {
        let is = |key: &str, value: &str| configuration.get(key).is_some_and(|text| text.eq_ignore_ascii_case(value));
        // Where nobody can send code there is nothing to find.
        let harmless = is("web.submit.enable", "false") || is("security.ssl.rest.authentication-enabled", "true");
        let exposed = self.options.expose.filter(|expose| *expose != Expose::ClusterIp);
        let exposed = exposed.filter(|_| name(object).ends_with("-webui") && !harmless);
        exposed.map(|expose| ("FLK308", format!("--expose {expose}"))).into_iter().collect()
    }

    fn accepted_version(&self, version: Version) -> Vec<(&'static str, String)> {
        let options = &self.options;
        let (version, flag) = match (&options.jobmanager_image, &options.image) {
            (Some(image), _) => {
                (version_of_flink(image).and_then(Version::lenient), format!("--jobmanager-image {image}"))
            }
            (None, Some(image)) => (version_of_flink(image).and_then(Version::lenient), format!("--image {image}")),
            (None, None) => (Some(version), format!("--flink-version {version}")),
        };
        let Some(version) = version else { return Vec::new() };
        let elector = (Version::new(1, 18, 0)..Version::new(1, 18, 2)).contains(&version);
        let old = version < Version::new(1, 19, 0);
        [("FLK223", elector), ("FLK522", old)]
            .into_iter()
            .filter(|(_, found)| *found)
            .map(|(code, _)| (code, flag.clone()))
            .collect()
    }

    fn edit_binding(&self, binding: &mut RoleBinding) {
        binding.role_ref.name = self.named(&binding.role_ref.name);
        for subject in binding.subjects.iter_mut().flatten() {
            subject.name = self.named(&subject.name);
            subject.namespace = Some(self.namespace.clone());
        }
    }

    fn edit_service(&self, service: &mut Service) {
        let is_webui = service.metadata.name.as_deref().is_some_and(|name| name.ends_with("-webui"));
        let Some(spec) = &mut service.spec else { return };
        if let Some(selector) = &mut spec.selector {
            selector.insert(INSTANCE_LABEL.to_owned(), self.name.clone());
        }
        if let Some(expose) = self.options.expose.filter(|_| is_webui) {
            spec.type_ = Some(expose.service_type().to_owned());
            if let (Expose::NodePort(Some(port)), Some(first)) = (expose, spec.ports.iter_mut().flatten().next()) {
                first.node_port = Some(port.into());
            }
        }
    }

    /// Edits Flink's configuration; gives it back, with a checksum of all that is mounted with it.
    fn edit_configuration(&self, config_map: &mut ConfigMap, version: Version) -> Result<(Configuration, String)> {
        let options = &self.options;
        let data = config_map.data.get_or_insert_default();
        let mut file = ConfigFile::parse(&data.remove(FILE).unwrap_or_default())?;
        let root = self.storage.root();
        file.set("jobmanager.rpc.address", &self.jobmanager());
        file.set("kubernetes.cluster-id", &self.name);
        file.set("kubernetes.namespace", &self.namespace);
        // With a dot, which is in no namespace and in no NAME: no two clusters on one storage have the same.
        file.set("high-availability.cluster-id", &format!("{}.{}", self.namespace, self.name));
        file.set("high-availability.storageDir", &format!("{root}/ha"));
        file.set("execution.checkpointing.dir", &format!("{root}/checkpoints"));
        file.set("execution.checkpointing.savepoint-dir", &format!("{root}/savepoints"));
        for (key, value) in [
            (JOBMANAGER_PROCESS_SIZE, options.jobmanager_memory.map(|size| size.to_string())),
            (TASKMANAGER_PROCESS_SIZE, options.taskmanager_memory.map(|size| size.to_string())),
            ("taskmanager.numberOfTaskSlots", options.slots.map(|n| n.to_string())),
            ("parallelism.default", options.parallelism.map(|n| n.to_string())),
        ] {
            if let Some(value) = value {
                file.set(key, &value);
            }
        }
        if !version.knows_java_17() {
            file.remove("env.java.opts.all");
        }
        if options.dynamic.iter().any(|Assignment { key, .. }| !file.has(modern_name(key))) {
            file.comment("Set with -D.");
        }
        for Assignment { key, value } in &options.dynamic {
            file.set(modern_name(key), value);
        }
        file.rename(|key| version.name_of(key).to_owned());
        let configuration = file.configuration();
        let does_not_fit = |why: String| Error::usage(format!("Flink could not start: {why}"));
        check_ports(&configuration)?;
        memory::check_jobmanager(&configuration).map_err(does_not_fit)?;
        memory::check_taskmanager(&configuration).map_err(does_not_fit)?;

        let file_name = if version.has_config_yaml() { FILE } else { LEGACY_FILE };
        data.insert(file_name.to_owned(), file.write(file_name)?);
        let mut digest = Sha256::new();
        for (key, value) in &*data {
            digest.update([key.as_bytes(), b"\0", value.as_bytes(), b"\0"].concat());
        }
        // Half of it is enough to tell configurations apart, and can be read out.
        let checksum =
            digest.finalize().iter().take(16).fold(String::new(), |text, byte| text + &format!("{byte:02x}"));
        let record = Options { ha_storage: Some(self.storage.clone()), ..options.clone() };
        let record = serde_json::to_string(&record)
            .map_err(|e| Error::could_not_run(format!("the options cannot be recorded: {e}")))?;
        config_map.metadata.annotations.get_or_insert_default().insert(OPTIONS_ANNOTATION.to_owned(), record);
        Ok((configuration, checksum))
    }

    fn edit_deployment(
        &self,
        deployment: &mut Deployment,
        version: Version,
        configuration: &Configuration,
        checksum: &str,
    ) {
        let role = match deployment.metadata.name.as_deref() {
            Some(name) if name == self.jobmanager() => Role::JobManager,
            _ => Role::TaskManager,
        };
        let Some(spec) = &mut deployment.spec else { return };
        let replicas = match role {
            Role::JobManager => self.options.jobmanagers.map(i32::from),
            Role::TaskManager => self.autoscaled_taskmanagers.or(self.options.taskmanagers.map(i32::from)),
        };
        spec.replicas = replicas.or(spec.replicas);
        spec.selector.match_labels.get_or_insert_default().insert(INSTANCE_LABEL.to_owned(), self.name.clone());
        let selector = spec.selector.clone();
        self.edit_pods(&mut spec.template, role, version, configuration, checksum, selector);
    }

    fn edit_pods(
        &self,
        template: &mut PodTemplateSpec,
        role: Role,
        version: Version,
        configuration: &Configuration,
        checksum: &str,
        selector: LabelSelector,
    ) {
        let metadata = template.metadata.get_or_insert_default();
        self.decorate(metadata);
        metadata.annotations.get_or_insert_default().insert(CHECKSUM_ANNOTATION.to_owned(), checksum.to_owned());

        let options = &self.options;
        let [jobmanager_account, taskmanager_account] = self.service_accounts();
        let Some(pod) = &mut template.spec else { return };
        let (account, own_image, cpu, size_key) = match role {
            Role::JobManager => {
                (jobmanager_account, &options.jobmanager_image, &options.jobmanager_cpu, JOBMANAGER_PROCESS_SIZE)
            }
            Role::TaskManager => {
                (taskmanager_account, &options.taskmanager_image, &options.taskmanager_cpu, TASKMANAGER_PROCESS_SIZE)
            }
        };
        pod.service_account_name = Some(account);
        self.place(pod, selector);
        self.mount(pod);
        let Some(container) = pod.containers.first_mut() else { return };
        let image = own_image.as_ref().or(options.image.as_ref());
        container.image = Some(image.cloned().unwrap_or_else(|| format!("apache/flink:{version}")));
        for port in container.ports.iter_mut().flatten() {
            follow_configuration(port, configuration);
        }
        let resources = container.resources.get_or_insert_default();
        if let Some(cpu) = cpu {
            resources.requests.get_or_insert_default().insert("cpu".to_owned(), Quantity(cpu.to_string()));
        }
        // The process size is what Flink makes of the container's whole memory: less would be killed.
        if let Some(size) = configuration.get(size_key).and_then(|size| size.parse::<MemorySize>().ok()) {
            for amounts in [&mut resources.requests, &mut resources.limits] {
                amounts.get_or_insert_default().insert("memory".to_owned(), Quantity(size.quantity()));
            }
        }
        let plugins = self.plugins(version, configuration);
        if !plugins.is_empty() {
            let plugins = Some(plugins.join(";"));
            let variable = EnvVar { name: "ENABLE_BUILT_IN_PLUGINS".to_owned(), value: plugins, ..EnvVar::default() };
            container.env.get_or_insert_default().push(variable);
        }
        for secret in &options.env_from_secret {
            let secret_ref = Some(SecretEnvSource { name: secret.clone(), optional: None });
            container.env_from.get_or_insert_default().push(EnvFromSource { secret_ref, ..EnvFromSource::default() });
        }
        // The kubelet's probe speaks HTTP; with TLS (and perhaps client certificates) an open port has to do.
        if configuration.get("security.ssl.rest.enabled") == Some("true")
            && let Some(probe) = container.readiness_probe.as_mut()
            && let Some(http) = probe.http_get.take()
        {
            probe.tcp_socket = serde_json::from_value(json!({"port": http.port})).ok();
        }
    }

    /// The plugins for the storage, and for what `-D` leads elsewhere.
    fn plugins(&self, version: Version, configuration: &Configuration) -> Vec<String> {
        let keys = [
            "high-availability.storageDir",
            version.name_of("execution.checkpointing.dir"),
            version.name_of("execution.checkpointing.savepoint-dir"),
        ];
        let folders = keys.iter().filter_map(|key| configuration.get(key)?.parse::<HaStorage>().ok());
        let mut plugins = Vec::new();
        for plugin in std::iter::once(self.storage.clone()).chain(folders).filter_map(|folder| folder.plugin(version)) {
            if !plugins.contains(&plugin) {
                plugins.push(plugin);
            }
        }
        plugins
    }

    /// Where the pods may run.
    fn place(&self, pod: &mut PodSpec, selector: LabelSelector) {
        let options = &self.options;
        if self.single_node {
            for term in pod
                .affinity
                .iter_mut()
                .filter_map(|affinity| affinity.pod_affinity.as_mut())
                .filter_map(|affinity| affinity.required_during_scheduling_ignored_during_execution.as_mut())
                .flatten()
            {
                let labels = term.label_selector.get_or_insert_default().match_labels.get_or_insert_default();
                labels.insert(INSTANCE_LABEL.to_owned(), self.name.clone());
            }
        } else {
            pod.affinity = None;
            pod.topology_spread_constraints = Some(vec![TopologySpreadConstraint {
                max_skew: 1,
                topology_key: "kubernetes.io/hostname".to_owned(),
                when_unsatisfiable: "ScheduleAnyway".to_owned(),
                label_selector: Some(selector),
                ..TopologySpreadConstraint::default()
            }]);
        }
        if !options.node_selector.is_empty() {
            pod.node_selector = Some(pairs(&options.node_selector).collect());
        }
        if !options.toleration.is_empty() {
            pod.tolerations = Some(options.toleration.iter().map(super::options::Taint::toleration).collect());
        }
        if !options.pull_secret.is_empty() {
            let secret = |name: &String| LocalObjectReference { name: name.clone() };
            pod.image_pull_secrets = Some(options.pull_secret.iter().map(secret).collect());
        }
    }

    /// The volumes: the configuration, and whatever stands behind the storage.
    fn mount(&self, pod: &mut PodSpec) {
        let volumes = pod.volumes.get_or_insert_default();
        for volume in volumes.iter_mut() {
            if let Some(config_map) = &mut volume.config_map {
                config_map.name = self.named(&config_map.name);
            }
        }
        let storage = Volume { name: STORAGE_VOLUME.to_owned(), ..Volume::default() };
        let storage = match &self.storage {
            HaStorage::Uri(_) => None,
            HaStorage::Claim(_) => {
                let source = serde_json::from_value(json!({"claimName": self.claim()})).ok();
                Some(Volume { persistent_volume_claim: source, ..storage })
            }
            HaStorage::HostPath(dir) => {
                // Not made where it is missing: it would belong to root, and Flink could not write to it.
                let source = HostPathVolumeSource { path: dir.clone(), type_: Some("Directory".to_owned()) };
                Some(Volume { host_path: Some(source), ..storage })
            }
            HaStorage::PodLocal => Some(Volume { empty_dir: Some(EmptyDirVolumeSource::default()), ..storage }),
        };
        volumes.retain(|volume| volume.name != STORAGE_VOLUME);
        let mounted = storage.is_some();
        volumes.extend(storage);
        if !mounted {
            for container in &mut pod.containers {
                container.volume_mounts.get_or_insert_default().retain(|mount| mount.mount_path != MOUNT_PATH);
            }
        }
    }

    /// Options that put a secret where everyone who may read ConfigMaps can read it.
    pub fn secrets_in_configuration(&self) -> Vec<&str> {
        self.options.dynamic.iter().map(|option| option.key.as_str()).filter(|key| is_secret(key)).collect()
    }
}

/// The ports of the containers in the embedded files, each with the options that say where Flink listens.
const PORTS: [(&str, u16, &[&str]); 5] = [
    ("webui", 8081, &["rest.bind-port", "rest.port"]),
    ("blob-server", 6124, &["blob.server.port"]),
    ("query-state", 6125, &["queryable-state.proxy.ports"]),
    ("rpc", 6123, &["jobmanager.rpc.bind-port", "jobmanager.rpc.port"]),
    ("rpc", 6122, &["taskmanager.rpc.bind-port", "taskmanager.rpc.port"]),
];

/// The port on which Flink listens: the first of a range or list, as nothing else listens in a pod.
fn port_of(text: &str) -> Option<u16> {
    let first = text.split([',', '-']).next()?;
    first.trim().parse().ok().filter(|port| *port > 0)
}

/// Probes and Services lead to these ports: Flink may not choose them itself.
fn check_ports(configuration: &Configuration) -> Result<()> {
    for key in PORTS.iter().flat_map(|(_, _, keys)| keys.iter()) {
        if let Some(value) = configuration.get(key).filter(|value| port_of(value).is_none()) {
            return Err(Error::usage(format!("-D {key}={value}: the pods' probes and Services need a port from 1 on")));
        }
    }
    Ok(())
}

/// A container's port has the number that Flink's configuration gives it; Services and probes name ports, not numbers.
fn follow_configuration(port: &mut ContainerPort, configuration: &Configuration) {
    let own = |(name, number, _): &&(&str, u16, &[&str])| {
        port.name.as_deref() == Some(*name) && (*name != "rpc" || i32::from(*number) == port.container_port)
    };
    let keys = PORTS.iter().find(own).map_or(&[][..], |(_, _, keys)| *keys);
    if let Some(number) = configuration.first(keys).and_then(port_of) {
        port.container_port = number.into();
    }
}

fn pairs(assignments: &[Assignment]) -> impl Iterator<Item = (String, String)> {
    assignments.iter().map(|assignment| (assignment.key.clone(), assignment.value.clone()))
}

/// Reads the options that an earlier `up` left on the configuration's ConfigMap.
pub fn recorded(config_map_annotations: Option<&BTreeMap<String, String>>) -> Option<Result<Options>> {
    let text = config_map_annotations?.get(OPTIONS_ANNOTATION)?;
    Some(serde_json::from_str(text).map_err(|e| {
        Error::could_not_run(format!("the options that the last up recorded cannot be read: {e}"))
            .hint("give all options again and add --reset")
    }))
}

/// The name of the ConfigMap with the configuration of the cluster NAME.
pub fn config_map_name(name: &str) -> String {
    format!("{name}-config")
}
