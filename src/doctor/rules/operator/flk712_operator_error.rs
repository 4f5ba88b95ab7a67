//! FLK712: what the operator says of a FlinkDeployment.

use super::{Resource, resources};
use crate::doctor::rule::{Check, rule};

rule! {
    /// The operator reports an error of a FlinkDeployment
    ///
    /// ## Why it matters
    ///
    /// What the operator cannot do it writes into `status.error` and into an event, and tries again. `kubectl get flinkdeployment`
    /// shows none of it. A resource whose `lifecycleState` is FAILED, or whose JobManager is in the state ERROR, does not run the job
    /// that its specification asks for:
    ///
    /// ```text
    /// org.apache.flink.kubernetes.operator.exception.ReconciliationException
    /// ```
    ///
    /// ## Fix
    ///
    /// Mend what the message names. Errors of the specification are found by the other rules of this group, all at once; the operator
    /// names the first one only.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-kubernetes-operator-docs-stable/docs/custom-resource/overview/>
    /// - <https://nightlies.apache.org/flink/flink-kubernetes-operator-docs-stable/docs/operations/health/>
    FLK712 "operator-error": Operator Error, reads [Processes], live, transient
}

/// What `DefaultValidator` says of mistakes that other rules find without its help.
const FOUND_BY_OTHERS: [&str; 7] = [
    "Forbidden Flink config key",
    "The FlinkDeployment name:",
    "is not supported by this operator version",
    "Flink Version must be defined",
    "Job parallelism must be larger",
    "Invalid log config key",
    "spec.serviceAccount must be defined",
];

fn check(cx: &mut Check<'_>) {
    for resource in resources(cx) {
        let name = &cx.object(resource.id).name;
        let error = resource.text("/status/error").map(str::trim).filter(|error| !error.is_empty());
        let state = [("/status/lifecycleState", "FAILED"), ("/status/jobManagerDeploymentStatus", "ERROR")];
        let state = state.into_iter().find(|(pointer, bad)| resource.text(pointer) == Some(bad));
        if let Some(error) = error {
            let text = message(error);
            if FOUND_BY_OTHERS.iter().any(|known| text.contains(known)) {
                continue;
            }
            report(cx, &resource, "/status/error", format!("the operator says: {text}"));
        } else if let Some((pointer, bad)) = state {
            let field = pointer.rsplit('/').next().unwrap_or_default();
            report(cx, &resource, pointer, format!("{field} of FlinkDeployment {name} is {bad}"));
        }
    }
}

fn report(cx: &mut Check<'_>, resource: &Resource<'_>, pointer: &str, message: String) {
    let object = cx.object(resource.id);
    let (name, namespace) = (&object.name, &object.namespace);
    let command = format!("kubectl describe flinkdeployment {name} -n {namespace}");
    cx.report(resource.at(pointer), message)
        .help(format!("see its events with {command}, and the operator's log"))
        .cluster(&resource.cluster.namespace, &resource.cluster.name);
}

/// The message of the error, which is JSON from operator 1.2 on, in one line.
fn message(error: &str) -> String {
    let json: Option<serde_json::Value> = serde_json::from_str(error).ok();
    let inner = json.as_ref().and_then(|json| {
        let last = json.get("throwableList").and_then(|list| list.as_array()).and_then(|list| list.last());
        let of = |json: &serde_json::Value| Some(json.get("message")?.as_str()?.to_owned());
        of(json).or_else(|| of(last?))
    });
    let text = inner.unwrap_or_else(|| error.to_owned());
    let line = text.lines().next().unwrap_or_default().trim().trim_end_matches('.');
    line.chars().take(300).collect()
}
