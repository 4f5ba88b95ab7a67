//! FLK004: a suppression without a finding.

use crate::doctor::rule::{Check, rule};

rule! {
    /// A suppression accepts nothing
    ///
    /// ## Why it matters
    ///
    /// What it accepted is mended, or it stands in the wrong place. Left there it would hide the same mistake when it comes back.
    ///
    /// ```text
    /// warning[FLK004]: there is no FLK101 here to accept
    /// ```
    ///
    /// A comment accepts findings of its own line, or of the line below it if it has a line of its own. An annotation accepts
    /// findings in its object; on the pods (`spec.template.metadata`) it has no effect. An entry of `.kubectl-flink.yaml` accepts
    /// what its `kind`, `namespace`, `name` and `path` match. Suppressions of rules that did not run, or that could not check
    /// everything, are not judged.
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: Service
    /// metadata:
    ///   name: flink-jobmanager
    ///   namespace: flink
    /// spec:
    ///   type: ClusterIP # kubectl-flink: ignore FLK002 -- the second one is meant
    ///   selector: {app: flink}
    ///   ports: [{name: rpc, port: 6123}]
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: Service
    /// metadata:
    ///   name: flink-jobmanager
    ///   namespace: flink
    /// spec:
    ///   type: ClusterIP
    ///   selector: {app: flink}
    ///   ports: [{name: rpc, port: 6123}]
    /// ```
    ///
    /// ## Fix
    ///
    /// Remove it, or move it to where the finding is.
    FLK004 "suppression-unused": Input Warning, reads [Processes]
}

/// It is `doctor::control` that knows which suppressions were used, and reports it.
fn check(_: &mut Check<'_>) {}
