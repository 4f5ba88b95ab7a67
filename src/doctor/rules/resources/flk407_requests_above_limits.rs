//! FLK407: requests and limits that the API server refuses.

use k8s_openapi::api::core::v1::ResourceRequirements;

use super::containers;
use crate::doctor::model::Member;
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::flink::quantity::Quantity;
use crate::manifests::tree;

rule! {
    /// A container asks for more than its limit, or for no quantity at all
    ///
    /// ## Why it matters
    ///
    /// The API server refuses the whole object:
    ///
    /// ```text
    /// The Deployment "flink-jobmanager" is invalid: spec.template.spec.containers[0].resources.requests: Invalid value: "2Gi": must be less than or equal to memory limit of 900Mi
    /// ```
    ///
    /// ```text
    /// quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-jobmanager, namespace: flink}
    /// spec:
    ///   selector: {matchLabels: {app: flink}}
    ///   template:
    ///     metadata: {labels: {app: flink}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    ///         resources: {requests: {memory: 2Gi}, limits: {memory: 1600Mi}}
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-jobmanager, namespace: flink}
    /// spec:
    ///   selector: {matchLabels: {app: flink}}
    ///   template:
    ///     metadata: {labels: {app: flink}}
    ///     spec:
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    ///         resources: {requests: {memory: 1600Mi}, limits: {memory: 1600Mi}}
    /// ```
    ///
    /// ## Fix
    ///
    /// Lower the request or raise the limit. For memory, have both the same: a JVM takes what it is given.
    ///
    /// ## References
    ///
    /// - <https://kubernetes.io/docs/concepts/configuration/manage-resources-containers/>
    FLK407 "requests-above-limits": Resources Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for (_, member) in cx.members() {
        for (path, container) in containers(member) {
            let Some(resources) = &container.resources else { continue };
            look(cx, member, &path, resources);
        }
    }
}

fn look(cx: &mut Check<'_>, member: &Member, path: &str, resources: &ResourceRequirements) {
    let (requests, limits) =
        (resources.requests.clone().unwrap_or_default(), resources.limits.clone().unwrap_or_default());
    let at = |what: &str, resource: &str| -> Place {
        member.in_spec(&format!("{path}/resources/{what}/{}", tree::escape(resource)))
    };
    for (what, all) in [("requests", &requests), ("limits", &limits)] {
        for (resource, text) in all {
            // What a template fills in is not known.
            let template = ["{{", "${", "$("].iter().any(|mark| text.0.contains(mark));
            if !template && text.0.parse::<Quantity>().map_or(true, Quantity::is_negative) {
                cx.report(
                    at(what, resource),
                    format!("{:?} is no quantity of {resource} that Kubernetes takes", text.0),
                )
                .help("write a number, for memory with Mi or Gi: 1600Mi, 2Gi")
                .symptom("quantities must match the regular expression");
            }
        }
    }
    for (resource, request) in &requests {
        let Some(limit) = limits.get(resource) else { continue };
        let (Ok(asked), Ok(most)) = (request.0.parse::<Quantity>(), limit.0.parse::<Quantity>()) else { continue };
        if asked > most {
            let (request, limit) = (&request.0, &limit.0);
            cx.report(
                at("requests", resource),
                format!("the request for {resource} {request} is above the limit {limit}"),
            )
            .help(format!("lower the request to {limit}, or raise the limit"))
            .symptom(format!("must be less than or equal to {resource} limit of {limit}"))
            .related(at("limits", resource), format!("the limit is {limit}"));
        }
    }
}
