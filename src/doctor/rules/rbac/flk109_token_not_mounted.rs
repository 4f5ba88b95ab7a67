//! FLK109: pods without the token of their service account.

use super::Account;
use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::model::Member;
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::manifests::tree::Node;

rule! {
    /// Pods that talk to the API server do not have the token of their service account
    ///
    /// ## Why it matters
    ///
    /// `automountServiceAccountToken: false`, in the pods or in their service account, leaves out the token and with it the
    /// certificate of the API server. With Kubernetes high availability, and in native mode, Flink needs both. The JobManager tries
    /// for half a minute and ends:
    ///
    /// ```text
    /// ERROR Reflector [] - listSyncAndWatch failed for v1/namespaces/flink/configmaps, will stop
    /// SSLHandshakeException: (certificate_unknown) PKIX path building failed: unable to find valid certification path to requested target
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
    ///       automountServiceAccountToken: false
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
    /// Set `automountServiceAccountToken: true` in the specification of the pods: it goes before what the service account says.
    ///
    /// ## When to ignore
    ///
    /// A token that a projected volume mounts at `/var/run/secrets/kubernetes.io/serviceaccount` is seen, and so are `KUBECONFIG`
    /// and `kubernetes.config.file`. One that something else puts there, such as an admission webhook, is not.
    ///
    /// ## References
    ///
    /// - <https://kubernetes.io/docs/tasks/configure-pod-container/configure-service-account/#opt-out-of-api-credential-automounting>
    FLK109 "token-not-mounted": Rbac Error, reads [Processes, ServiceAccounts]
}

/// Where the token is mounted, and looked for by Flink's client.
const MOUNT: &str = "/var/run/secrets/kubernetes.io/serviceaccount";

fn check(cx: &mut Check<'_>) {
    let mut seen: Vec<Place> = Vec::new();
    for (cluster, member) in cx.members() {
        let (namespace, name) = (member.workload.namespace(), member.service_account());
        let account =
            Account { cluster, member: Some(member), namespace, name, place: member.in_spec("serviceAccountName") };
        if !(account.has_kubernetes_ha() || account.is_native()) || has_other_credentials(member) {
            continue;
        }
        let of_pod = member.spec().automount_service_account_token;
        let of_account = cx
            .find("ServiceAccount", namespace, name)
            .present()
            .filter(|id| cx.object(*id).node.get("automountServiceAccountToken").and_then(Node::text) == Some("false"));
        let key = "automountServiceAccountToken";
        let (place, edit, message) = match (of_pod, of_account) {
            (Some(false), _) => {
                let place = member.in_spec(key);
                (
                    place.clone(),
                    Edit::Replace(place, "true".to_owned()),
                    format!(
                        "the pods of the {} do not mount the token that Flink needs for the API server",
                        member.role_name()
                    ),
                )
            }
            (None, Some(id)) => {
                let pods = Place::value(member.object, member.pod_spec);
                let edit = Edit::InsertEntry(pods, key.to_owned(), "true".to_owned());
                (
                    Place::value(id, format!("/{key}")),
                    edit,
                    format!(
                        "service account {name} does not mount the token that the {} needs for the API server",
                        member.role_name()
                    ),
                )
            }
            _ => continue,
        };
        if seen.contains(&place) {
            continue;
        }
        seen.push(place.clone());
        cx.report(place, message)
            .help(format!("set {key}: true in the specification of the pods"))
            .symptom("SSLHandshakeException: (certificate_unknown) PKIX path building failed")
            .fix(Fix::new(format!("set {key}: true"), Safety::Safe, edit));
    }
}

/// The token is mounted in another way, or the client is told of other credentials.
fn has_other_credentials(member: &Member) -> bool {
    let mounts = |member: &Member| {
        let (_, container) = member.container()?;
        container
            .volume_mounts
            .iter()
            .flatten()
            .find(|mount| mount.mount_path.trim_end_matches('/') == MOUNT)
            .map(|_| ())
    };
    mounts(member).is_some()
        || member.env("KUBECONFIG").is_some()
        || member.config.value("kubernetes.config.file").is_some()
}
