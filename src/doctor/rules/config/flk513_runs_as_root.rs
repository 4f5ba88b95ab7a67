//! FLK513: Flink that runs as root.

use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::rule::{Check, rule};

rule! {
    /// Flink runs as root
    ///
    /// ## Why it matters
    ///
    /// Whoever may submit a job runs code in the container, as root here. The official images have a user for Flink, 9999, and
    /// change to it when they are started as root; a container that starts as root needs rights for that which namespaces with
    /// the Pod Security level `restricted` do not give:
    ///
    /// ```text
    /// Error creating: pods "flink-jobmanager-7d4b9c6f5-" is forbidden: violates PodSecurity "restricted:latest": runAsUser=0 (container "jobmanager" must not set runAsUser=0)
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-jobmanager}
    /// spec:
    ///   selector: {matchLabels: {app: flink-jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink-jobmanager}}
    ///     spec:
    ///       securityContext: {runAsUser: 0}
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: apps/v1
    /// kind: Deployment
    /// metadata: {name: flink-jobmanager}
    /// spec:
    ///   selector: {matchLabels: {app: flink-jobmanager}}
    ///   template:
    ///     metadata: {labels: {app: flink-jobmanager}}
    ///     spec:
    ///       securityContext: {runAsUser: 9999, runAsGroup: 9999, fsGroup: 9999}
    ///       containers:
    ///       - name: jobmanager
    ///         image: flink:1.20.5
    ///         args: [jobmanager]
    /// ```
    ///
    /// ## Fix
    ///
    /// Set `runAsUser: 9999`, with `fsGroup: 9999` so that Flink may write to its volumes.
    ///
    /// ## References
    ///
    /// - <https://kubernetes.io/docs/concepts/security/pod-security-standards/>
    FLK513 "runs-as-root": Config Warning, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for (_, member) in cx.members() {
        let spec = member.spec();
        let Some((_, container)) = member.container() else { continue };
        let own = container.security_context.as_ref().and_then(|context| context.run_as_user);
        let (user, place) = if let Some(user) = own {
            (Some(user), member.in_container("securityContext/runAsUser"))
        } else {
            let user = spec.security_context.and_then(|context| context.run_as_user);
            (user, member.in_spec("securityContext/runAsUser"))
        };
        if user == Some(0) {
            cx.report(place.clone(), format!("the {} runs as root", member.role_name()))
                .help("set runAsUser: 9999, the user of the official images, and fsGroup: 9999 for its volumes")
                .fix(Fix::new("run as user 9999", Safety::Unsafe, Edit::Replace(place, "9999".to_owned())));
        }
    }
}
