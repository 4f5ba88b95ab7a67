//! FLK005: a suppression that cannot be understood.

use crate::doctor::rule::{Check, rule};

rule! {
    /// A suppression names no rule, or gives no reason
    ///
    /// ## Why it matters
    ///
    /// It accepts nothing: a reason has to be given, and the rule has to exist.
    ///
    /// ```text
    /// warning[FLK005]: there is no rule "FLK020" to accept
    /// ```
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
    ///   type: ClusterIP
    ///   selector: {app: flink}
    ///   ports: [{name: rpc, port: 6123}]
    ///   type: NodePort # kubectl-flink: ignore FLK020 -- the second one is meant
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
    ///   type: NodePort # kubectl-flink: ignore FLK002 -- the second one is meant
    /// ```
    ///
    /// ## Fix
    ///
    /// Name a rule that `kubectl flink rules` lists, and say why its finding is accepted: in a comment behind two dashes, in an
    /// annotation as its value.
    FLK005 "suppression-unknown": Input Warning, reads [Processes]
}

/// It is `doctor::control` that reads the suppressions, and reports it.
fn check(_: &mut Check<'_>) {}
