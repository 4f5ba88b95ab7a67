//! FLK705: upgrades with state and nowhere to put it.

use super::{Resource, high_availability, option, resources};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};

rule! {
    /// A FlinkDeployment keeps state over upgrades and has no folder for it
    ///
    /// ## Why it matters
    ///
    /// `upgradeMode: savepoint` and `last-state` need a folder for checkpoints, `savepoint` and savepoints on demand one for savepoints,
    /// and rollbacks need high availability. The operator refuses a resource without them (`DefaultValidator`):
    ///
    /// ```text
    /// Checkpoint directory[execution.checkpointing.dir] must be defined for last-state and savepoint upgrade modes
    /// Job could not be upgraded with savepoint while config key[execution.checkpointing.savepoint-dir] is not set
    /// HA must be enabled for rollback support.
    /// ```
    ///
    /// The operator looks at its own defaults too, which its chart keeps in the ConfigMap `flink-operator-config`. Where that is not
    /// among what is looked at, nothing is said to be missing.
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: flink.apache.org/v1beta1
    /// kind: FlinkDeployment
    /// metadata: {name: basic, namespace: flink}
    /// spec:
    ///   image: flink:1.20.5
    ///   flinkVersion: v1_20
    ///   serviceAccount: flink
    ///   flinkConfiguration:
    ///     taskmanager.numberOfTaskSlots: "2"
    ///   jobManager: {resource: {memory: 2048m, cpu: 1}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    ///   job: {jarURI: "local:///opt/flink/usrlib/job.jar", parallelism: 2, upgradeMode: savepoint}
    /// ---
    /// apiVersion: v1
    /// kind: ConfigMap
    /// metadata: {name: flink-operator-config, namespace: flink-operator}
    /// data:
    ///   config.yaml: |
    ///     taskmanager.numberOfTaskSlots: 1
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
    ///   flinkConfiguration:
    ///     execution.checkpointing.dir: s3://bucket/checkpoints
    ///     execution.checkpointing.savepoint-dir: s3://bucket/savepoints
    ///   jobManager: {resource: {memory: 2048m, cpu: 1}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    ///   job: {jarURI: "local:///opt/flink/usrlib/job.jar", parallelism: 2, upgradeMode: savepoint}
    /// ---
    /// apiVersion: v1
    /// kind: ConfigMap
    /// metadata: {name: flink-operator-config, namespace: flink-operator}
    /// data:
    ///   config.yaml: |
    ///     taskmanager.numberOfTaskSlots: 1
    /// ```
    ///
    /// ## Fix
    ///
    /// Set `execution.checkpointing.dir` and `execution.checkpointing.savepoint-dir` (up to Flink 1.19 `state.checkpoints.dir` and
    /// `state.savepoints.dir`) to a storage that all pods reach, or `upgradeMode: stateless`.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-kubernetes-operator-docs-stable/docs/custom-resource/job-management/>
    FLK705 "operator-upgrade-mode": Operator Error, reads [Processes]
}

const CHECKPOINTS: [&str; 2] = ["execution.checkpointing.dir", "state.checkpoints.dir"];
const SAVEPOINTS: [&str; 2] = ["execution.checkpointing.savepoint-dir", "state.savepoints.dir"];
const PERIODIC: &str = "kubernetes.operator.periodic.savepoint.interval";
const ROLLBACK: &str = "kubernetes.operator.deployment.rollback.enabled";

fn check(cx: &mut Check<'_>) {
    for resource in resources(cx) {
        if resource.has("/spec/job") {
            folders(cx, &resource);
        }
        let Some(entry) = resource.cluster.config.get(&[ROLLBACK]).filter(|entry| entry.value == "true") else {
            continue;
        };
        let ha = high_availability(cx, &resource);
        if cx.absent(&ha) {
            cx.report(entry.place.clone(), "rollbacks need high availability, which is off")
                .help(
                    "set high-availability.type: kubernetes and high-availability.storageDir, or take the rollback out",
                )
                .symptom("HA must be enabled for rollback support.");
        }
    }
}

fn folders(cx: &mut Check<'_>, resource: &Resource<'_>) {
    let mode = resource.text("/spec/job/upgradeMode").unwrap_or("stateless");
    // Names of today, or those that the version reads.
    let name = |keys: [&'static str; 2]| {
        let old = resource.cluster.version.is_some_and(|version| version.name_of(keys[0]) == keys[1]);
        if old { keys[1] } else { keys[0] }
    };
    let mut lacks = |keys: [&'static str; 2]| {
        let value = option(cx, resource, &keys);
        let empty = matches!(&value, crate::doctor::known::Known::Present(text) if text.trim().is_empty());
        (cx.absent(&value) || empty).then(|| name(keys))
    };
    let needed = match mode {
        "savepoint" => vec![CHECKPOINTS, SAVEPOINTS],
        "last-state" => vec![CHECKPOINTS],
        _ => Vec::new(),
    };
    let missing: Vec<&str> = needed.into_iter().filter_map(&mut lacks).collect();
    if !missing.is_empty() {
        let missing = missing.join(" and ");
        cx.report(
            resource.at("/spec/job/upgradeMode"),
            format!("upgradeMode {mode} needs {missing}, which is not set"),
        )
        .help(format!("set {missing} in flinkConfiguration to a storage that all pods reach"))
        .symptom("must be defined for last-state and savepoint upgrade modes");
        return;
    }
    let nonce = Place::value(resource.id, "/spec/job/savepointTriggerNonce");
    let periodic = resource.cluster.config.get(&[PERIODIC]);
    let asked = if resource.has(&nonce.pointer) { Some(nonce) } else { periodic.map(|entry| entry.place.clone()) };
    if let Some(place) = asked.filter(|_| mode != "savepoint")
        && let Some(missing) = lacks(SAVEPOINTS)
    {
        cx.report(place, format!("savepoints are asked for, and {missing} is not set"))
            .help(format!("set {missing} in flinkConfiguration to a storage that all pods reach"))
            .symptom(format!("while config key[{missing}] is not set"));
    }
}
