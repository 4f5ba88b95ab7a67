//! Users who may not do everything: what they lack is said before anything is sent.

use serde_json::{Value, json};

use crate::apply::{NOWHERE, up};
use crate::support::{Needs, Run, Test};

/// What `up` takes in a namespace that is there, in the words of `kubectl auth can-i`.
const NEEDED: [(&str, &str, &str); 14] = [
    ("create", "", "serviceaccounts"),
    ("patch", "", "serviceaccounts"),
    ("create", "rbac.authorization.k8s.io", "roles"),
    ("patch", "rbac.authorization.k8s.io", "roles"),
    ("create", "rbac.authorization.k8s.io", "rolebindings"),
    ("patch", "rbac.authorization.k8s.io", "rolebindings"),
    ("create", "", "configmaps"),
    ("patch", "", "configmaps"),
    ("create", "", "services"),
    ("patch", "", "services"),
    ("create", "", "persistentvolumeclaims"),
    ("patch", "", "persistentvolumeclaims"),
    ("create", "apps", "deployments"),
    ("patch", "apps", "deployments"),
];
/// What the Roles grant, which their creator has to have.
const GRANTED: [&str; 7] = ["get", "list", "watch", "create", "update", "patch", "delete"];

/// A Role with all that `up` takes but one verb on one kind.
fn role_without(lacking: Option<(&str, &str)>) -> Value {
    let mut rules: Vec<Value> = Vec::new();
    let mut add = |verbs: &[&str], group: &str, resource: &str| {
        let verbs: Vec<_> = verbs.iter().filter(|verb| lacking != Some((verb, resource))).collect();
        rules.push(json!({"apiGroups": [group], "resources": [resource], "verbs": verbs}));
    };
    add(&["get", "create", "patch"], "", "serviceaccounts");
    add(&["get", "create", "patch"], "", "services");
    add(&["get", "create", "patch"], "", "persistentvolumeclaims");
    add(&["get", "create", "patch"], "rbac.authorization.k8s.io", "roles");
    add(&["get", "create", "patch"], "rbac.authorization.k8s.io", "rolebindings");
    add(&["get", "list", "create", "patch"], "apps", "deployments");
    add(&["get", "list"], "autoscaling", "horizontalpodautoscalers");
    add(&GRANTED, "", "configmaps");
    json!({"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "Role", "metadata": {"name": "runs-up"}, "rules": rules})
}

fn replace_role(test: &Test, lacking: Option<(&str, &str)>) {
    let run = test.kubectl_with(&["apply", "-f", "-"], &role_without(lacking).to_string());
    assert_eq!(run.code, 0, "{run}");
}

/// `up` as the user ann, who knows about storage what the option says: she may not look for StorageClasses.
fn up_as_ann(test: &Test, arguments: &[&str]) -> Run {
    test.flink_as("ann", &[&["up", "--ha-storage=pvc"], &NOWHERE[..], arguments].concat())
}

#[test]
fn each_verb_that_is_missing_is_named_before_anything_is_sent() {
    let Some(test) = Test::begin("each_verb_that_is_missing_is_named_before_anything_is_sent", Needs::Api) else {
        return;
    };
    let test = test.with_namespace(&[]);
    replace_role(&test, None);
    test.kubectl_here(&["create", "rolebinding", "ann", "--role=runs-up", "--user=ann"]);
    let empty = test.fingerprint();

    let lacking = NEEDED.iter().map(|(verb, group, resource)| (*verb, *group, *resource));
    let lacking = lacking.chain(GRANTED.map(|verb| (verb, "", "configmaps")));
    for (verb, group, resource) in lacking {
        replace_role(&test, Some((verb, resource)));
        let before = test.fingerprint();
        let right = if group.is_empty() { format!("{verb} {resource}") } else { format!("{verb} {resource}.{group}") };
        up_as_ann(&test, &[]).exits(3).says(&["nothing was sent", &right, &test.namespace]);
        assert_eq!(test.fingerprint(), before, "without {right} something was changed");
    }
    // With all of them it works: none is asked for that is not needed.
    replace_role(&test, None);
    up_as_ann(&test, &[]).ok().keeps_silent_about(&["Warning:"]);
    assert_ne!(test.fingerprint(), empty);
    up_as_ann(&test, &["--slots=3"]).ok();
}

#[test]
fn a_namespace_that_is_missing_takes_a_right_of_its_own() {
    let Some(test) = Test::begin("a_namespace_that_is_missing_takes_a_right_of_its_own", Needs::Bed) else { return };
    // Who may not even look cannot be told that it is the namespace.
    up_as_ann(&test, &[]).exits(3).says(&["nothing was sent", "create/patch deployments.apps"]);
    let role = ClusterRole::that_may(&test, "get", "namespaces", "ann");
    up_as_ann(&test, &[]).exits(3).says(&["nothing was sent", "create namespaces"]);
    up_as_ann(&test, &["--dry-run=server"]).exits(3).says(&["create namespaces"]);
    drop(role);
    assert!(!test.kubectl(&["get", "namespaces", "-o", "name"]).contains(&test.namespace));
}

#[test]
fn who_cannot_tell_what_storage_there_is_chooses_it() {
    let Some(test) = Test::begin("who_cannot_tell_what_storage_there_is_chooses_it", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    replace_role(&test, Some(("create", "persistentvolumeclaims")));
    test.kubectl_here(&["create", "rolebinding", "ann", "--role=runs-up", "--user=ann"]);
    let up = |arguments: &[&str]| test.flink_as("ann", &[&["up"], &NOWHERE[..], arguments].concat());
    up(&[]).exits(3).says(&["nothing was sent", "create persistentvolumeclaims"]);
    up(&["--ha-storage=pod-local"]).ok();
}

#[test]
fn a_users_certificate_and_the_clusterrole_admin_are_enough() {
    let Some(test) = Test::begin("a_users_certificate_and_the_clusterrole_admin_are_enough", Needs::Bed) else {
        return;
    };
    let test = test.with_namespace(&[
        "pod-security.kubernetes.io/enforce=restricted",
        "pod-security.kubernetes.io/warn=restricted",
    ]);
    test.kubectl_here(&["create", "rolebinding", "devs", "--clusterrole=admin", "--group=devs"]);
    let arguments = [&["up", "--ha-storage=pvc"], &crate::support::SMALL[..], &["--taskmanagers=1"]].concat();
    let run = Run::of(&mut test.command_of(&["bob", "devs"], &arguments)).ok();
    run.says(&["Flink 1.20.5 serves: 1 TaskManager, 2 slots"]).keeps_silent_about(&["Warning:", "warning:"]);
    let phases: Vec<_> = test.list("pods").iter().map(|pod| pod["status"]["phase"].clone()).collect();
    assert_eq!(phases, ["Running", "Running"]);
    // Another user of no group may not even look.
    Run::of(&mut test.command_of(&["mallory"], &["up", "--ha-storage=pvc", "--wait=false"])).exits(3);
    Run::of(&mut test.command_of(&["bob", "devs"], &["status"])).ok();
}

#[test]
fn service_accounts_that_are_given_are_checked() {
    let Some(test) = Test::begin("service_accounts_that_are_given_are_checked", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    let with_account = ["--service-account=robot"];
    up(&test, &with_account).exits(3).says(&["nothing was sent", "robot", "kubectl create serviceaccount robot"]);
    test.kubectl_here(&["create", "serviceaccount", "robot"]);
    up(&test, &with_account).exits(3).says(&["nothing was sent", "robot", "patch configmaps"]);
    let robot = format!("--serviceaccount={}:robot", test.namespace);
    test.kubectl_here(&["create", "rolebinding", "robot", "--clusterrole=edit", &robot]);
    up(&test, &with_account).ok().keeps_silent_about(&["02_rbac.yaml"]);
    assert!(!test.exists("role/flink-jobmanager"));
    assert!(!test.exists("serviceaccount/flink-taskmanager"));
    let spec = test.get("deployment/flink-taskmanager")["spec"]["template"]["spec"].clone();
    assert_eq!(spec["serviceAccountName"], "robot");
}

#[test]
fn host_path_is_refused_where_pod_security_forbids_it() {
    let Some(test) = Test::begin("host_path_is_refused_where_pod_security_forbids_it", Needs::Api) else { return };
    let test = test.with_namespace(&["pod-security.kubernetes.io/enforce=baseline"]);
    let before = test.fingerprint();
    up(&test, &["--ha-storage=host-path:/var/lib/flink"]).exits(3).says(&["nothing was sent", "baseline", "host-path"]);
    assert_eq!(test.fingerprint(), before);
    test.kubectl(&["label", "namespace", &test.namespace, "pod-security.kubernetes.io/enforce-"]);
    up(&test, &["--ha-storage=host-path:/var/lib/flink"]).ok();
    test.flink(&["up", "other", "--ha-storage=host-path:/x", "--dry-run=server"]).ok().says(&["--node-selector"]);
}

/// A right on a cluster-scoped kind, taken back at the end.
struct ClusterRole<'a> {
    test: &'a Test,
}

impl<'a> ClusterRole<'a> {
    fn that_may(test: &'a Test, verb: &str, resource: &str, user: &str) -> Self {
        let name = test.namespace.as_str();
        let (verb, resource) = (format!("--verb={verb}"), format!("--resource={resource}"));
        test.kubectl(&["create", "clusterrole", name, &verb, &resource]);
        let (role, user) = (format!("--clusterrole={name}"), format!("--user={user}"));
        test.kubectl(&["create", "clusterrolebinding", name, &role, &user]);
        ClusterRole { test }
    }
}

impl Drop for ClusterRole<'_> {
    fn drop(&mut self) {
        self.test.try_kubectl(&["delete", "clusterrole,clusterrolebinding", &self.test.namespace]);
    }
}
