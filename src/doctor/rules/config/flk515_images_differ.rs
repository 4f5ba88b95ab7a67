//! FLK515: JobManager and TaskManagers of different images.

use crate::doctor::rule::{Check, Severity, rule};
use crate::flink::role::image_version;

rule! {
    /// JobManager and TaskManager run different versions of Flink
    ///
    /// ## Why it matters
    ///
    /// The processes of a cluster send each other serialized Java objects. Between versions these do not fit, and a TaskManager
    /// does not register, or a job fails as soon as it is deployed:
    ///
    /// ```text
    /// java.io.InvalidClassException: org.apache.flink.runtime.taskexecutor.TaskExecutorRegistration; local class incompatible
    /// ```
    ///
    /// Two variants of one version, with another Scala or Java, are a warning: a job whose classes were compiled for the newer one fails on the older one.
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-jobmanager}
    /// spec:
    ///   selector: {matchLabels: {app: flink-jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink-jobmanager}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    ///         env:
    ///         - {name: JOB_MANAGER_RPC_ADDRESS, value: flink-jobmanager}
    /// ---
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-taskmanager}
    /// spec:
    ///   selector: {matchLabels: {app: flink-taskmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink-taskmanager}}
    ///     spec:
    ///       containers:
    ///       - name: taskmanager
    ///         image: flink:1.19.3
    ///         args: [taskmanager]
    ///         env:
    ///         - {name: JOB_MANAGER_RPC_ADDRESS, value: flink-jobmanager}
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-jobmanager}
    /// spec:
    ///   selector: {matchLabels: {app: flink-jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink-jobmanager}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    ///         env:
    ///         - {name: JOB_MANAGER_RPC_ADDRESS, value: flink-jobmanager}
    /// ---
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-taskmanager}
    /// spec:
    ///   selector: {matchLabels: {app: flink-taskmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink-taskmanager}}
    ///     spec:
    ///       containers:
    ///       - name: taskmanager
    ///         image: flink:1.20.5
    ///         args: [taskmanager]
    ///         env:
    ///         - {name: JOB_MANAGER_RPC_ADDRESS, value: flink-jobmanager}
    /// ```
    ///
    /// ## Fix
    ///
    /// Give both the same image.
    FLK515 "images-differ": Config Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        let Some(jobmanager) = cx.model.jobmanager(cluster) else { continue };
        let ours = jobmanager.workload.process.image.clone();
        for member in cx.model.taskmanagers(cluster) {
            let theirs = member.workload.process.image.clone();
            if ours == theirs {
                continue;
            }
            let (our_repository, our_tag) = super::repository_and_tag(&ours);
            let (their_repository, their_tag) = super::repository_and_tag(&theirs);
            // An image without a tag of its own is FLK514's, and is mended with it.
            if [our_tag, their_tag].iter().any(|tag| tag.is_none_or(|tag| tag == "latest"))
                && !ours.contains('@')
                && !theirs.contains('@')
            {
                continue;
            }
            let (severity, what) = match (image_version(&ours), image_version(&theirs)) {
                (Some(a), Some(b)) if jobmanager.version.is_some() && member.version.is_some() && differ(a, b) => {
                    (Severity::Error, "another version")
                }
                // An image of one's own for each may well have the same Flink in it.
                _ if our_repository == their_repository && our_tag != their_tag => (Severity::Warning, "another tag"),
                _ => continue,
            };
            cx.report(
                member.in_container("image"),
                format!("the TaskManager runs {theirs}, {what} than the JobManager, which runs {ours}"),
            )
            .help(format!("give both the same image: {ours}"))
            .related(jobmanager.in_container("image"), "the JobManager's image")
            .severity(severity);
        }
    }
}

/// `1.20` and `1.20.5` may be the same.
fn differ(a: &str, b: &str) -> bool {
    a.split('.').zip(b.split('.')).any(|(a, b)| a != b)
}
