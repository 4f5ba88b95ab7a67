//! FLK702: a FlinkDeployment whose name the operator refuses.

use super::{is_template, resources};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::flink::cluster_id;

rule! {
    /// The operator refuses the name of a FlinkDeployment
    ///
    /// ## Why it matters
    ///
    /// The name becomes Flink's cluster-id and the name of Deployments and Services. The API server takes dots, digits in front and
    /// 253 characters; the operator takes lower-case letters, digits and `-`, a letter in front, and 45 characters
    /// (`DefaultValidator`):
    ///
    /// ```text
    /// The FlinkDeployment name: 1-basic is invalid, must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123'), and the length must be no more than 45 characters.
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: flink.apache.org/v1beta1
    /// kind: FlinkDeployment
    /// metadata: {name: 1-basic, namespace: flink}
    /// spec:
    ///   image: flink:1.20.5
    ///   flinkVersion: v1_20
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
    /// metadata: {name: basic-1, namespace: flink}
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
    /// Choose another name. A resource cannot be renamed: for one that has state, take a savepoint first.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-kubernetes-operator-docs-stable/docs/custom-resource/reference/>
    FLK702 "operator-name": Operator Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for resource in resources(cx) {
        let name = &cx.object(resource.id).name;
        if name.is_empty() || is_template(name) {
            continue;
        }
        if let Err(why) = cluster_id::check(name) {
            let why = why.split_once(": ").map_or(why.as_str(), |(_, rule)| rule).to_owned();
            cx.report(Place::object(resource.id), format!("the operator refuses the name {name:?}: {why}"))
                .help("use a-z, 0-9 and '-', a letter in front, at most 45 characters")
                .symptom(format!("The FlinkDeployment name: {name} is invalid"));
        }
    }
}
