//! FLK704: several JobManagers in a FlinkDeployment without high availability.

use super::{HA_TYPE, high_availability, resources};
use crate::doctor::rule::{Check, rule};

rule! {
    /// A FlinkDeployment has standby JobManagers and no high availability
    ///
    /// ## Why it matters
    ///
    /// Without high availability each JobManager leads a cluster of its own. The operator refuses such a resource
    /// (`DefaultValidator`):
    ///
    /// ```text
    /// error when creating "basic.yaml": admission webhook "flinkoperator.flink.apache.org" denied the request: High availability should be enabled when starting standby JobManagers.
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
    ///     high-availability.type: NONE
    ///   jobManager: {replicas: 2, resource: {memory: 2048m, cpu: 1}}
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
    ///   flinkConfiguration:
    ///     high-availability.type: kubernetes
    ///     high-availability.storageDir: s3://bucket/ha
    ///   jobManager: {replicas: 2, resource: {memory: 2048m, cpu: 1}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    /// ```
    ///
    /// ## Fix
    ///
    /// Set `high-availability.type: kubernetes` and `high-availability.storageDir`, or one replica.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-kubernetes-operator-docs-stable/docs/custom-resource/reference/>
    FLK704 "operator-standby-without-ha": Operator Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for resource in resources(cx) {
        let Some(replicas) = resource.number("/spec/jobManager/replicas").filter(|replicas| *replicas > 1) else {
            continue;
        };
        let ha = high_availability(cx, &resource);
        if !cx.absent(&ha) {
            continue;
        }
        let message = format!("{replicas} JobManagers without high availability would each lead a cluster of its own");
        let finding = cx
            .report(resource.at("/spec/jobManager/replicas"), message)
            .help("set high-availability.type: kubernetes and high-availability.storageDir, or replicas: 1")
            .symptom("High availability should be enabled when starting standby JobManagers.");
        if let Some(entry) = resource.cluster.config.get(&HA_TYPE) {
            finding.related(entry.place.clone(), "high availability is off");
        }
    }
}
