//! FLK108: pods whose service account does not exist.

use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};

rule! {
    /// The service account of the pods does not exist
    ///
    /// ## Why it matters
    ///
    /// Pods whose service account is not there are refused. There is no pod that could have a log; the ReplicaSet has an event:
    ///
    /// ```text
    /// Error creating: pods "flink-jobmanager-5ddb4cf9cb-" is forbidden: error looking up service account flink/flink: serviceaccount "flink" not found
    /// ```
    ///
    /// The account `default` is in every namespace.
    ///
    /// ## Fix
    ///
    /// Create the account with `kubectl create serviceaccount`, or correct `serviceAccountName`. An account without a Role still has
    /// no rights: FLK105 and FLK106 look at them.
    ///
    /// ## References
    ///
    /// - <https://kubernetes.io/docs/concepts/security/service-accounts/>
    FLK108 "service-account-missing": Rbac Error, reads [Processes, ServiceAccounts], live
}

fn check(cx: &mut Check<'_>) {
    let mut seen: Vec<(&str, &str, Place)> = Vec::new();
    for (_, member) in cx.members() {
        let (namespace, account) = (member.workload.namespace(), member.service_account());
        let found = cx.find("ServiceAccount", namespace, account);
        if account == "default" || !cx.absent(&found) {
            continue;
        }
        if seen.iter().any(|(other, name, _)| (*other, *name) == (namespace, account)) {
            continue;
        }
        seen.push((namespace, account, member.in_spec("serviceAccountName")));
    }
    for (namespace, account, place) in seen {
        cx.report(place, format!("service account {account} does not exist in namespace {namespace}"))
            .help(format!("create it in namespace {namespace}, or name one that is there"))
            .symptom(format!(
                "error looking up service account {namespace}/{account}: serviceaccount \"{account}\" not found"
            ))
            .command(format!("kubectl create serviceaccount {account} -n {namespace}"));
    }
}
