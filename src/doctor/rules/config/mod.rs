//! Configuration files, logging, images, the entrypoint.

use std::collections::BTreeSet;

use crate::cluster::membership;
use crate::doctor::known::Known;
use crate::doctor::model::config::{Config, ConfigFile, Entry, LogFile, Origin};
use crate::doctor::model::{Cluster, Member};
use crate::doctor::place::{Part, Place};
use crate::doctor::rule::Check;
use crate::doctor::snapshot::{BARE_FILE, ObjectId};
use crate::flink::config::{FILE, LEGACY_FILE};
use crate::flink::storage;
use crate::flink::version::Version;
use crate::manifests::tree::{Node, escape};

pub mod flk501_log4j_trailing_blank;
pub mod flk502_log_config_missing;
pub mod flk503_log4j_one_syntax;
pub mod flk504_config_file_name;
pub mod flk505_two_config_files;
pub mod flk506_config_yaml_invalid;
pub mod flk507_option_and_group;
pub mod flk508_option_twice;
pub mod flk509_line_ignored;
pub mod flk510_value_format;
pub mod flk511_properties_ignored;
pub mod flk512_properties_blanks;
pub mod flk513_runs_as_root;
pub mod flk514_image_not_pinned;
pub mod flk515_images_differ;
pub mod flk516_restart_strategy;
pub mod flk517_option_removed;
pub mod flk518_option_renamed;
pub mod flk519_java_17_options;
pub mod flk520_option_unit;
pub mod flk521_config_map_missing;
pub mod flk522_version_end_of_life;
pub mod flk523_option_unknown;
/// The Log4j file of Flink's processes in a container.
const CONSOLE_LOG: &str = "log4j-console.properties";

/// Whether a member's pods mount a ConfigMap.
fn mounts(cx: &Check<'_>, member: &Member, map: ObjectId) -> bool {
    let object = cx.object(map);
    member.workload.namespace() == object.namespace
        && config_map_sources(member).iter().any(|(_, source)| source.name == object.name)
}

/// A ConfigMap that a pod mounts, or takes its environment from.
struct Source {
    /// The ConfigMap's name.
    name: String,
    /// The keys that are mounted, with the place of each; none for all.
    items: Option<Vec<(String, Place)>>,
    /// The pod starts without it too.
    optional: bool,
}

/// Every ConfigMap that a member's volumes name, with the place of the name.
fn config_map_sources(member: &Member) -> Vec<(Place, Source)> {
    let spec = member.spec();
    let mut sources = Vec::new();
    let mut add = |path: String, map: &k8s_openapi::api::core::v1::ConfigMapVolumeSource| {
        let items = map.items.as_ref().map(|items| {
            let place = |number| member.in_spec(&format!("{path}/items/{number}/key"));
            items.iter().enumerate().map(|(number, item)| (item.key.clone(), place(number))).collect()
        });
        let source = Source { name: map.name.clone(), items, optional: map.optional == Some(true) };
        sources.push((member.in_spec(&format!("{path}/name")), source));
    };
    for (number, volume) in spec.volumes.iter().flatten().enumerate() {
        if let Some(map) = &volume.config_map {
            add(format!("volumes/{number}/configMap"), map);
        }
        let projected = volume.projected.iter().flat_map(|projected| projected.sources.iter().flatten()).enumerate();
        for (source, map) in projected.filter_map(|(at, source)| Some((at, source.config_map.clone()?))) {
            let map = k8s_openapi::api::core::v1::ConfigMapVolumeSource {
                name: map.name,
                items: map.items,
                optional: map.optional,
                default_mode: None,
            };
            add(format!("volumes/{number}/projected/sources/{source}/configMap"), &map);
        }
    }
    sources
}

/// What keeps a member's pods from starting: a ConfigMap, or a key of one, that they name and that is not there.
pub(super) struct Missing {
    /// Where the name or the key stands.
    place: Place,
    /// The ConfigMap's name.
    name: String,
    /// The ConfigMap, where it is there, and the key that it lacks.
    map: Option<(ObjectId, String)>,
    /// What the kubelet says of it.
    symptom: String,
}

/// The ConfigMaps and keys that a member's pods lack, each once, and why of some it is not known.
pub(super) fn missing_maps(cx: &Check<'_>, member: &Member) -> (Vec<Missing>, Vec<String>) {
    let namespace = member.workload.namespace();
    let (mut missing, mut unknown): (Vec<Missing>, Vec<String>) = (Vec::new(), Vec::new());
    let mounted = config_map_sources(member).into_iter().map(|(place, source)| (place, source, true));
    let environment = member.environment_maps().into_iter().map(|map| {
        let items = map.key.map(|key| vec![key]);
        (map.name_place, Source { name: map.name, items, optional: map.optional }, false)
    });
    for (place, source, is_volume) in mounted.chain(environment).filter(|(_, source, _)| !source.optional) {
        let name = source.name;
        match cx.find("ConfigMap", namespace, &name) {
            Known::Present(map) => {
                let lacking = source.items.into_iter().flatten();
                for (key, place) in lacking.filter(|(key, _)| has_key(cx, map, key) == Some(false)) {
                    let symptom = if is_volume {
                        format!("configmap references non-existent config key: {key}")
                    } else {
                        format!("couldn't find key {key} in ConfigMap {namespace}/{name}")
                    };
                    missing.push(Missing { place, name: name.clone(), map: Some((map, key)), symptom });
                }
            }
            Known::Absent => {
                let symptom = format!("configmap \"{name}\" not found");
                missing.push(Missing { place, name, map: None, symptom });
            }
            Known::Unknown(why) => unknown.push(why),
        }
    }
    let mut said = BTreeSet::new();
    missing.retain(|one| said.insert((one.name.clone(), one.map.clone())));
    (missing, unknown)
}

/// Whether FLK521 names the cause of what the kubelet says of a member's pod.
pub(super) fn is_missing_map(cx: &Check<'_>, member: &Member, message: &str) -> bool {
    missing_maps(cx, member).0.iter().any(|missing| message.contains(&missing.symptom))
}

/// Whether a ConfigMap has a key; a ConfigMap without any is a part of one, and says nothing.
fn has_key(cx: &Check<'_>, map: ObjectId, key: &str) -> Option<bool> {
    let parts: Vec<&Node> = ["data", "binaryData"].iter().filter_map(|part| cx.object(map).node.get(part)).collect();
    let filled = parts.iter().any(|part| !part.entries().is_empty());
    filled.then(|| parts.iter().any(|part| part.get(key).is_some()))
}

/// What a member's container finds under a name in its configuration folder.
enum Brings {
    /// What its image has there.
    Image,
    /// A key of a ConfigMap, which is here or, where it is not known, is named here.
    Map(Place),
    /// Nothing: a ConfigMap is mounted over the folder, and it, or the list of its keys, has no such file.
    Nothing(Place),
    /// It cannot be told.
    Unknown,
}

fn brings(cx: &Check<'_>, member: &Member, name: &str) -> Brings {
    let Some((spec, container)) = member.workload.flink_container() else { return Brings::Unknown };
    let path = format!("{}/{name}", member.conf_dir);
    let Some(mounted) = storage::mounted_at(spec, container, &path) else { return Brings::Image };
    let volumes = spec.volumes.iter().flatten();
    let volume = mounted.volume.and_then(|found| Some((volumes.clone().position(|one| one == found)?, found)));
    // Of several sources any may have it.
    let Some((number, source)) = volume.and_then(|(number, volume)| Some((number, volume.config_map.as_ref()?))) else {
        return Brings::Unknown;
    };
    let at = |path: &str| member.in_spec(&format!("volumes/{number}/configMap/{path}"));
    let Some((map, key)) = storage::config_map_behind(spec, container, &path) else {
        return Brings::Nothing(at("items"));
    };
    match cx.find("ConfigMap", member.workload.namespace(), &map) {
        Known::Present(map) => match (has_key(cx, map, &key), &source.items) {
            (Some(true), _) => {
                let part = if cx.object(map).node.at(&format!("/data/{}", escape(&key))).is_some() {
                    "data"
                } else {
                    "binaryData"
                };
                Brings::Map(Place::key(map, format!("/{part}/{}", escape(&key))))
            }
            // A key that is named and is not there keeps the pod from starting, which is another finding.
            (Some(false), None) => Brings::Nothing(Place::value(map, "/data")),
            _ => Brings::Unknown,
        },
        Known::Unknown(_) if source.items.is_some() => Brings::Map(at("items")),
        Known::Absent | Known::Unknown(_) => Brings::Unknown,
    }
}

/// Flink does not read the file that is meant (FLK504, FLK505): what that file would have set is not missing.
pub(super) fn reads_another_file(cx: &Check<'_>, member: &Member) -> bool {
    let Some(version) = member.version else { return false };
    let two = Version::new(2, 0, 0);
    match (brings(cx, member, FILE), brings(cx, member, LEGACY_FILE)) {
        (Brings::Nothing(_), Brings::Nothing(_)) => true,
        (Brings::Map(_), Brings::Map(_)) => version.has_config_yaml() && version < two,
        (Brings::Nothing(_) | Brings::Image, Brings::Map(_)) => version >= two,
        (Brings::Map(_), Brings::Nothing(_) | Brings::Image) => !version.has_config_yaml(),
        _ => false,
    }
}

/// Whether a file is Flink's: other programs have a `config.yaml` and a `log4j.properties` too.
pub(super) fn is_flinks(cx: &Check<'_>, object: ObjectId, text: &str) -> bool {
    let sure =
        ["jobmanager", "taskmanager", "high-availability", "parallelism.default", "state.backend", "restart-strategy"];
    let words = |text: &str| sure.iter().any(|word| text.contains(word));
    if cx.object(object).kind == BARE_FILE {
        return words(text);
    }
    let beside = cx.model.config_files.iter().filter(|file| file.object == object);
    words(text)
        || beside.clone().any(|file| file.is_legacy() || words(&file.text))
        || cx.members().iter().any(|(_, member)| mounts(cx, member, object))
}

/// Flink's configuration files, used or not. One with a template in it is no file yet.
fn config_files<'a>(cx: &Check<'a>) -> Vec<&'a ConfigFile> {
    let files = cx.model.config_files.iter();
    files.filter(|file| !file.text.contains("{{") && is_flinks(cx, file.object, &file.text)).collect()
}

/// Flink's Log4j files, used or not.
fn log_files<'a>(cx: &Check<'a>) -> Vec<&'a LogFile> {
    let own = |file: &LogFile| {
        let bare = cx.object(file.object).kind == BARE_FILE;
        let name = file.name.as_str();
        bare && name != "log4j.properties" || is_flinks(cx, file.object, if bare { &file.text } else { "" })
    };
    cx.model.log_files.iter().filter(|file| own(file)).collect()
}

/// The versions of those that mount a ConfigMap; none in place of one that is not known.
fn versions(cx: &Check<'_>, map: ObjectId) -> Vec<Option<Version>> {
    cx.members().iter().filter(|(_, member)| mounts(cx, member, map)).map(|(_, member)| member.version).collect()
}

/// What each process goes by, and each FlinkDeployment, with its version.
fn configs<'a>(cx: &Check<'a>) -> Vec<(&'a Config, Option<Version>)> {
    let resources = cx.clusters().iter().filter(|cluster| cluster.is_custom_resource());
    let resources = resources.map(|cluster| (&cluster.config, cluster.version));
    cx.members().into_iter().map(|(_, member)| (&member.config, member.version)).chain(resources).collect()
}

/// The entries that someone wrote, as they are: not the image's, and none that something else fills in.
fn written(config: &Config) -> impl Iterator<Item = &Entry> {
    config.entries().into_iter().filter(|entry| entry.origin != Origin::Image && entry.is_literal())
}

/// Where a key stands in one piece, and not as a mapping in another.
fn whole_key(cx: &Check<'_>, entry: &Entry) -> Option<Place> {
    let place = &entry.key_place;
    let (key, value) = cx.object(place.object).node.entry_at(&place.pointer)?;
    let text = match &place.part {
        Part::Key => key?.text()?,
        Part::Within(range) => value.text()?.get(range.clone())?,
        Part::Value => return None,
    };
    (text == entry.key).then(|| place.clone())
}

/// Whether the container starts with the entrypoint of its image, which writes the environment into the configuration.
fn has_entrypoint(member: &Member) -> bool {
    member.container().is_some_and(|(_, container)| container.command.iter().flatten().next().is_none())
}

/// Whether the entrypoint can write to the configuration.
fn is_writable(member: &Member) -> bool {
    membership::configuration_files(&member.workload).1
}

/// The images of a cluster, each with its place and whose it is.
fn images(cx: &Check<'_>, cluster: &Cluster) -> Vec<(Place, String)> {
    if cluster.is_custom_resource() {
        let image = cx.object(cluster.object).node.string_at("/spec/image");
        return image
            .map(|image| (Place::value(cluster.object, "/spec/image"), image.to_owned()))
            .into_iter()
            .collect();
    }
    let members = cx.model.members_of(cluster).into_iter();
    members.map(|member| (member.in_container("image"), member.workload.process.image.clone())).collect()
}

/// The repository and the tag of an image; its digest is left out.
fn repository_and_tag(image: &str) -> (&str, Option<&str>) {
    let name = image.split('@').next().unwrap_or_default();
    let last = name.rfind('/').map_or(0, |slash| slash + 1);
    match name[last..].find(':') {
        Some(colon) => (&name[..last + colon], Some(&name[last + colon + 1..])),
        None => (name, None),
    }
}

/// The file that a version prefers, and whether it reads the other one too.
fn file_of(version: Version) -> &'static str {
    if version.has_config_yaml() { FILE } else { LEGACY_FILE }
}

/// A script of Flink starts the process in the background (`jobmanager.sh start`), not in the foreground.
fn is_daemon(member: &Member) -> bool {
    let Some((_, container)) = member.container() else { return false };
    let line: Vec<&str> = container.command.iter().chain(&container.args).flatten().map(String::as_str).collect();
    let line = line.join(" ");
    let words: Vec<&str> = line.split(|c: char| c.is_whitespace() || c == ';' || c == '&').collect();
    words.windows(2).any(|pair| pair[0].ends_with("manager.sh") && pair[1] == "start")
}
