//! FLK107: `kubernetes.namespace` is not the namespace of the pods.

use super::{Account, accounts};
use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::known::Known;
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, Severity, rule};

rule! {
    /// kubernetes.namespace is not the namespace of the pods
    ///
    /// ## Why it matters
    ///
    /// Flink keeps its ConfigMaps in the namespace `kubernetes.namespace`, which is `default` where nobody sets it, wherever its
    /// pods run (`KubernetesConfigOptions.NAMESPACE`). There the pods' account has no rights, or it finds the ConfigMaps of another
    /// cluster:
    ///
    /// ```text
    /// configmaps "flink-cluster-config-map" is forbidden: User "system:serviceaccount:flink:flink" cannot list resource "configmaps" in API group "" in the namespace "default"
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
    ///       serviceAccountName: flink
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    ///         env:
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             high-availability.type: kubernetes
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
    ///       serviceAccountName: flink
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    ///         env:
    ///         - name: FLINK_PROPERTIES
    ///           value: |
    ///             high-availability.type: kubernetes
    ///             kubernetes.namespace: flink
    /// ```
    ///
    /// ## Fix
    ///
    /// Set `kubernetes.namespace` to the namespace of the pods.
    ///
    /// ## When to ignore
    ///
    /// Where ConfigMaps of several clusters are kept in one namespace on purpose. With a RoleBinding there this is silent.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/config/#kubernetes-namespace>
    FLK107 "kubernetes-namespace": Rbac Error, reads [Processes, Rbac, Access]
}

fn check(cx: &mut Check<'_>) {
    let mut seen: Vec<Place> = Vec::new();
    for account in accounts(cx).into_iter().filter(Account::has_kubernetes_ha) {
        let Some(member) = account.member else { continue };
        let config = account.config();
        let entry = match config.known(&["kubernetes.namespace"]) {
            Known::Present(entry) if !entry.is_literal() => continue,
            Known::Present(entry) => Some(entry),
            // Flink's client sets it for native clusters, and the operator for its own.
            _ if account.is_native() || account.cluster.operator.is_some() => continue,
            Known::Absent => None,
            Known::Unknown(why) => {
                cx.unknown(why);
                continue;
            }
        };
        let own = account.namespace;
        let used = entry.map_or("default", |entry| entry.value.as_str());
        if own.is_empty() {
            cx.unknown(format!("the namespace of {} is not known: give it with -n", member.workload.name));
            continue;
        }
        let works = account.may(cx, ("create", "", "configmaps"), used);
        // A namespace that someone chose, and gave rights in, is meant.
        if used == own || (entry.is_some() && works.clone().present().is_some()) {
            continue;
        }
        let file = config.file.map(|number| &cx.model.config_files[number]);
        let ha = config.get(&["high-availability.type", "high-availability"]);
        let place = match (entry, file) {
            (Some(entry), _) => entry.place.clone(),
            (None, Some(file)) if file.pointer.is_empty() => file.place(0..0),
            (None, Some(file)) => Place::key(file.object, file.pointer.as_str()),
            (None, None) => ha.map_or_else(|| member.in_container(""), |entry| entry.place.clone()),
        };
        if seen.contains(&place) {
            continue;
        }
        seen.push(place.clone());
        let fix = match (entry, file) {
            (Some(entry), _) => {
                let edit = Edit::Replace(entry.place.clone(), own.to_owned());
                Some(Fix::new(format!("set kubernetes.namespace to {own}"), Safety::Safe, edit))
            }
            (None, Some(file)) => Some(Fix::add_option(file, "kubernetes.namespace", own, Safety::Safe)),
            (None, None) => None,
        };
        let message = match entry {
            Some(_) => format!("kubernetes.namespace is {used}, and the pods run in namespace {own}"),
            None => format!(
                "kubernetes.namespace is not set, so Flink looks for its ConfigMaps in namespace {used}, not in {own}"
            ),
        };
        let (id, name) = (config.value("kubernetes.cluster-id").unwrap_or(&account.cluster.name), account.name);
        let finding = cx
            .report(place, message)
            .help(format!("set kubernetes.namespace: {own}"))
            .symptom(format!(
                "configmaps \"{id}-cluster-config-map\" is forbidden: User \"system:serviceaccount:{own}:{name}\" cannot list \
                 resource \"configmaps\" in API group \"\" in the namespace \"{used}\""
            ))
            .related(Place::value(member.object, "/metadata/namespace"), "the namespace of the pods");
        if works.present().is_some() {
            finding.severity(Severity::Warning);
        }
        if let Some(fix) = fix {
            finding.fix(fix);
        }
    }
}
