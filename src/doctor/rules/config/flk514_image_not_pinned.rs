//! FLK514: images without a version.

use crate::doctor::rule::{Check, rule};

rule! {
    /// The image has the tag latest, or none
    ///
    /// ## Why it matters
    ///
    /// `latest` is another Flink tomorrow. A pod that is made anew, after a failure of its node for example, then runs another version than
    /// the rest of the cluster, and a JobManager of another major version does not find the jobs in the high-availability data of
    /// the one before it. What goes wrong is seen far from its cause:
    ///
    /// ```text
    /// java.io.InvalidClassException: org.apache.flink.runtime.jobgraph.JobGraph; local class incompatible: stream classdesc serialVersionUID = 1, local class serialVersionUID = 2
    /// ```
    ///
    /// Without a version in the tag this program cannot look for what is wrong with that version either.
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
    ///         image: apache/flink:latest
    ///         args: [jobmanager]
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
    ///         image: apache/flink:1.20.5
    ///         args: [jobmanager]
    /// ```
    ///
    /// ## Fix
    ///
    /// Name the version, of the JobManager and of the TaskManagers.
    FLK514 "image-not-pinned": Config Warning, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for cluster in cx.clusters() {
        let images = super::images(cx, cluster);
        let loose = |image: &str| {
            let (repository, tag) = super::repository_and_tag(image);
            // Names without a tag are often filled in by something else: an overlay, a build.
            let bare =
                matches!(repository, "flink" | "apache/flink" | "docker.io/apache/flink" | "docker.io/library/flink");
            !image.contains('@') && (tag == Some("latest") || tag.is_none() && bare)
        };
        let mut found = images.iter().filter(|(_, image)| loose(image));
        let Some((place, image)) = found.next() else { continue };
        let finding = cx.report(place.clone(), format!("the image {image} names no version of Flink"));
        finding.help("name the version: apache/flink:1.20.5");
        for (place, image) in found {
            finding.related(place.clone(), format!("{image} too"));
        }
    }
}
