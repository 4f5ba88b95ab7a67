//! FLK706: a job, or a cluster, of nothing.

use super::flk713_operator_field_unknown::unknown_fields;
use super::{resources, whole};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::manifests::tree::Node;

rule! {
    /// A FlinkDeployment or FlinkSessionJob asks for less than one of something
    ///
    /// ## Why it matters
    ///
    /// A job needs a parallelism, or in a FlinkDeployment a number of TaskManagers, of at least one; what is not written counts as
    /// zero. The operator refuses anything else (`DefaultValidator`):
    ///
    /// ```text
    /// error when creating "basic.yaml": admission webhook "flinkoperator.flink.apache.org" denied the request: Job parallelism must be larger than 0
    /// ```
    ///
    /// The other lines are `TaskManager replicas must be larger than 0` and `JobManager replicas should not be configured less than
    /// one.` A job is stopped with `state: suspended`, not with a parallelism of 0.
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
    ///   jobManager: {resource: {memory: 2048m, cpu: 1}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    ///   job: {jarURI: "local:///opt/flink/usrlib/job.jar", upgradeMode: stateless}
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
    ///   job: {jarURI: "local:///opt/flink/usrlib/job.jar", parallelism: 2, upgradeMode: stateless}
    /// ```
    ///
    /// ## Fix
    ///
    /// Set `spec.job.parallelism`.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-kubernetes-operator-docs-stable/docs/custom-resource/reference/>
    FLK706 "operator-parallelism": Operator Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for resource in resources(cx) {
        for (part, name) in [("jobManager", "JobManager"), ("taskManager", "TaskManager")] {
            let pointer = format!("/spec/{part}/replicas");
            if let Some(replicas) = resource.number(&pointer).filter(|replicas| *replicas < 1) {
                cx.report(resource.at(&pointer), format!("{replicas} {name} replicas are refused by the operator"))
                    .help(format!("set spec.{part}.replicas to 1 or more, or take it out"))
                    .symptom(format!("{name} replicas"));
            }
        }
        if resource.has("/spec/job/parallelism") && !resource.has("/spec/taskManager/replicas") {
            parallelism(cx, resource.at("/spec/job/parallelism"), resource.number("/spec/job/parallelism"));
        }
    }
    for resource in whole(cx) {
        let job = resource.has("/spec/job") && !resource.has("/spec/job/parallelism");
        if job && !resource.has("/spec/taskManager/replicas") {
            parallelism(cx, Place::key(resource.id, "/spec/job"), Some(0));
        }
    }
    for id in cx.of_kind("FlinkSessionJob") {
        let node = &cx.object(id).node;
        let value = node.at("/spec/job/parallelism");
        let number = value.map_or(Some(0), |value| value.text().and_then(|text| text.trim().parse().ok()));
        let is_whole = unknown_fields("FlinkSessionJob", node).is_empty()
            && node.at("/spec/job/jarURI").is_some()
            && node.at("/spec/deploymentName").is_some_and(|name| !Node::is_null(name));
        match value {
            Some(_) => parallelism(cx, Place::value(id, "/spec/job/parallelism"), number),
            None if is_whole => parallelism(cx, Place::key(id, "/spec/job"), number),
            None => {}
        }
    }
}

fn parallelism(cx: &mut Check<'_>, place: Place, number: Option<i64>) {
    if let Some(number) = number.filter(|number| *number < 1) {
        cx.report(place, format!("the job's parallelism is {number}, and the operator takes 1 or more"))
            .help("set spec.job.parallelism; stop a job with state: suspended")
            .symptom("Job parallelism must be larger than 0");
    }
}
