//! FLK703: a flinkVersion that the operator does not know, or that is not the image's.

use super::{is_template, resources};
use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::model::is_official;
use crate::doctor::rule::{Check, Severity, rule};
use crate::flink::role::image_version;
use crate::flink::version::Version;

rule! {
    /// flinkVersion is none that the operator takes, or not that of the image
    ///
    /// ## Why it matters
    ///
    /// `spec.flinkVersion` says how the operator writes the configuration and talks to the cluster. It is written `v1_20`; 1.13 and
    /// 1.14 are refused from operator 1.7 on:
    ///
    /// ```text
    /// Flink version v1_14 is not supported by this operator version
    /// ```
    ///
    /// Where the image has another version, the operator writes what that Flink may not read: up to `v1_18` it writes
    /// `flink-conf.yaml`, and Flink 2 reads `config.yaml` only. It also takes the features of the version that it was told for given.
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: flink.apache.org/v1beta1
    /// kind: FlinkDeployment
    /// metadata: {name: basic, namespace: flink}
    /// spec:
    ///   image: flink:1.20.5
    ///   flinkVersion: v1_18
    ///   serviceAccount: flink
    ///   jobManager: {resource: {memory: 2048m, cpu: 1}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: flink.apache.org/v1beta1
    /// kind: FlinkDeployment
    /// metadata: {name: basic, namespace: flink}
    /// spec:
    ///   image: flink:1.20.5
    ///   flinkVersion: v1_20
    ///   serviceAccount: flink
    ///   jobManager: {resource: {memory: 2048m, cpu: 1}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    /// ```
    ///
    /// ## Fix
    ///
    /// Write the minor version of the image: `v1_20` for `flink:1.20.5`.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-kubernetes-operator-docs-stable/docs/concepts/overview/>
    FLK703 "operator-version": Operator Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for resource in resources(cx) {
        let Some(written) = resource.text("/spec/flinkVersion").filter(|text| !text.is_empty() && !is_template(text))
        else {
            continue;
        };
        let place = resource.at("/spec/flinkVersion");
        let Some(version) = minor(written) else {
            let guess = Version::lenient(written.trim_start_matches('v').trim_matches('"'));
            let finding = cx
                .report(place.clone(), format!("flinkVersion {written} is not written as the operator reads it"))
                .help("write it with v and _, as in v1_20");
            if let Some(guess) = guess {
                let text = format!("v{}_{}", guess.major(), guess.minor());
                finding.fix(Fix::new(format!("write {text}"), Safety::Safe, Edit::Replace(place, text)));
            }
            continue;
        };
        if version < (1, 15) {
            cx.report(
                place,
                format!("the operator has not run Flink {}.{} since its release 1.7", version.0, version.1),
            )
            .help("move to a version that it runs, v1_20 or newer")
            .symptom(format!("Flink version {written} is not supported by this operator version"));
            continue;
        }
        let image = resource.text("/spec/image").filter(|image| is_official(image));
        let Some(of_image) = image.and_then(image_version).and_then(Version::lenient) else { continue };
        let of_image = (of_image.major(), of_image.minor());
        if of_image != version {
            let text = format!("v{}_{}", of_image.0, of_image.1);
            let message = format!("flinkVersion is {written}, and the image has Flink {}.{}", of_image.0, of_image.1);
            let finding =
                cx.report(place.clone(), message).help(format!("write flinkVersion: {text}, or change the image"));
            finding.related(resource.at("/spec/image"), "the image");
            finding.fix(Fix::new(format!("write {text}"), Safety::Unsafe, Edit::Replace(place, text)));
            // Both sides of a minor version mostly understand each other.
            if of_image.0 == version.0 {
                finding.severity(Severity::Warning);
            }
        }
    }
}

/// `v1_20`
fn minor(text: &str) -> Option<(u32, u32)> {
    let (major, minor) = text.strip_prefix('v')?.split_once('_')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}
