//! FLK216: a file system whose plugin is not there.

use k8s_openapi::api::core::v1::{Container, PodSpec};

use super::{PLUGINS, Plugins, container_place, has_plugin, plugins_for, plugins_of, plugins_place, remote_folders};
use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::model::{Cluster, Member, variable};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, Severity, rule};

rule! {
    /// A file system whose plugin is not there
    ///
    /// ## Why it matters
    ///
    /// Flink's image has the plugins for object stores beside its plugins folder, and `ENABLE_BUILT_IN_PLUGINS` links
    /// those that it names. Without the plugin the JobManager ends, and a TaskManager fails the first checkpoint:
    ///
    /// ```text
    /// org.apache.flink.core.fs.UnsupportedFileSystemSchemeException: Could not find a file system implementation for scheme 's3'. The scheme is directly supported by Flink through the following plugin(s): flink-s3-fs-hadoop, flink-s3-fs-presto. Please ensure that each plugin resides within its own subfolder within the plugins directory.
    /// ```
    ///
    /// Looked at are the folders of high availability, checkpoints and savepoints on `s3`, `s3a`, `s3p`, `gs`, `abfs`, `wasb` and `oss`. What
    /// only one side lacks is FLK218's. Of a FlinkDeployment it is a warning: the operator's defaults may set the variable.
    /// Nothing is said where the plugins are not known: with another image than the official one, init containers, volumes in
    /// Flink's folders, another command, or a variable from a Secret.
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata:
    ///   name: flink-jobmanager
    ///   namespace: flink
    /// spec:
    ///   selector: {matchLabels: {app: flink, component: jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink, component: jobmanager}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager, $(POD_IP)]
    ///         env:
    ///         - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             kubernetes.cluster-id: flink
    ///             kubernetes.namespace: flink
    ///             high-availability.type: kubernetes
    ///             high-availability.cluster-id: flink.flink
    ///             high-availability.storageDir: s3://flink/ha
    ///             execution.checkpointing.dir: s3://flink/checkpoints
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata:
    ///   name: flink-jobmanager
    ///   namespace: flink
    /// spec:
    ///   selector: {matchLabels: {app: flink, component: jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink, component: jobmanager}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager, $(POD_IP)]
    ///         env:
    ///         - {name: POD_IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}
    ///         - {name: ENABLE_BUILT_IN_PLUGINS, value: flink-s3-fs-presto-1.20.5.jar}
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             kubernetes.cluster-id: flink
    ///             kubernetes.namespace: flink
    ///             high-availability.type: kubernetes
    ///             high-availability.cluster-id: flink.flink
    ///             high-availability.storageDir: s3://flink/ha
    ///             execution.checkpointing.dir: s3://flink/checkpoints
    /// ```
    ///
    /// ## Fix
    ///
    /// Set `ENABLE_BUILT_IN_PLUGINS` to the plugin's jar with the version of the image, in the JobManager and in the
    /// TaskManagers: `flink-s3-fs-presto-1.20.5.jar`. An image that has the jar in a folder of its own below
    /// `/opt/flink/plugins` needs no variable.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/filesystems/overview/>
    /// - `docker-entrypoint.sh` of flink-docker
    FLK216 "file-system-missing": Ha Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        of_operator(cx, cluster);
        let members = cx.model.members_of(cluster);
        let mut said: Vec<&str> = Vec::new();
        for (entry, scheme) in remote_folders(&cluster.config) {
            let Some(plugin) = plugins_for(scheme).first().filter(|_| !said.contains(&scheme)) else { continue };
            said.push(scheme);
            let mut missing = Vec::new();
            let mut some = members.is_empty();
            for member in &members {
                match has_plugin(cx, member, scheme) {
                    Ok(true) => some = true,
                    Ok(false) => missing.push(*member),
                    Err(why) => {
                        some = true;
                        cx.unknown(why);
                    }
                }
            }
            // On one side only it is FLK218's.
            let Some(member) = missing.first().filter(|_| !some) else { continue };
            let version = member.workload.process.version().unwrap_or("VERSION");
            let jar = format!("{plugin}-{version}.jar");
            let places: Vec<Place> = missing.iter().map(|member| plugins_place(cx, member)).collect();
            let snapshot = cx.snapshot();
            let finding = cx.report(
                entry.place.clone(),
                format!("{} is on {scheme}://, and no plugin for it is enabled", entry.key),
            );
            finding.help(format!("set the variable ENABLE_BUILT_IN_PLUGINS to {jar} in JobManager and TaskManagers"));
            finding.symptom(format!("Could not find a file system implementation for scheme '{scheme}'"));
            for (member, place) in missing.iter().zip(places) {
                finding.related(place, format!("the {} without it", member.role_name()));
            }
            let item = format!("{{name: ENABLE_BUILT_IN_PLUGINS, value: {jar}}}");
            let add = |member: &&Member| {
                let (_, container) = member.container()?;
                match (member.variable(snapshot, PLUGINS).present(), &container.env) {
                    (Some(_), _) => None,
                    (None, Some(_)) => Some(Edit::InsertItem(member.in_container("env"), item.clone())),
                    (None, None) => {
                        Some(Edit::InsertEntry(container_place(member), "env".to_owned(), format!("[{item}]")))
                    }
                }
            };
            let exact = version.split('.').count() == 3;
            if let Some(edits) = missing.iter().map(add).collect::<Option<Vec<_>>>().filter(|_| exact) {
                finding.fix(Fix::of(format!("enable {plugin}"), Safety::Safe, edits));
            }
        }
    }
}

/// A FlinkDeployment, whose operator may set the variable by itself: a warning.
fn of_operator(cx: &mut Check<'_>, cluster: &Cluster) {
    let Some(pods) = super::templates(cx, cluster) else { return };
    let node = &cx.object(cluster.object).node;
    let (Some(image), name) = (node.string_at("/spec/image"), &cluster.name) else { return };
    let by_option = cluster.config.entries().iter().any(|entry| entry.key.ends_with(".env.ENABLE_BUILT_IN_PLUGINS"));
    let without = |(spec, container): &(PodSpec, Container)| {
        let named = variable(cx.snapshot(), &cluster.namespace, container, PLUGINS, |_| Place::object(cluster.object));
        plugins_of(name, spec, container, image, named.map(|(_, value)| value)) == Plugins::These(Vec::new())
    };
    if by_option || !pods.iter().all(without) {
        return;
    }
    let mut said: Vec<&str> = Vec::new();
    for (entry, scheme) in remote_folders(&cluster.config) {
        let Some(plugin) = plugins_for(scheme).first().filter(|_| !said.contains(&scheme)) else { continue };
        said.push(scheme);
        let version = crate::flink::role::version_of_flink(image).unwrap_or("VERSION");
        let message = format!("{} is on {scheme}://, and no plugin for it is enabled", entry.key);
        cx.report(entry.place.clone(), message)
            .severity(Severity::Warning)
            .help(format!(
                "set the variable ENABLE_BUILT_IN_PLUGINS to {plugin}-{version}.jar in the podTemplate's \
                 flink-main-container"
            ))
            .symptom(format!("Could not find a file system implementation for scheme '{scheme}'"))
            .related(Place::value(cluster.object, "/spec/image"), "the image has it only beside its plugins folder");
    }
}
