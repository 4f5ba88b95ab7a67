//! FLK006: a suppression whose last day is over.

use crate::doctor::rule::{Check, rule};

rule! {
    /// A suppression has expired
    ///
    /// ## Why it matters
    ///
    /// An entry of `.kubectl-flink.yaml` may have a last day, `until`. It is over, and what the entry accepted is reported again.
    ///
    /// ```text
    /// warning[FLK006]: this accepted FLK002 until 2025-06-30, which is over
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
    ///   type: NodePort
    /// ```
    ///
    /// ```yaml .kubectl-flink.yaml
    /// ignore:
    /// - code: FLK002
    ///   name: flink-jobmanager
    ///   reason: mended in the next release
    ///   until: 2025-06-30
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
    ///   selector: {app: flink}
    ///   ports: [{name: rpc, port: 6123}]
    ///   type: NodePort
    /// ```
    ///
    /// ## Fix
    ///
    /// Mend what was accepted and remove the entry, or set a later date.
    FLK006 "suppression-expired": Input Warning, reads [Processes]
}

/// It is `doctor::control` that knows the date, and reports it.
fn check(_: &mut Check<'_>) {}
