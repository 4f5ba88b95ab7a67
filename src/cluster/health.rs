//! What is wrong with a cluster, judged from what was learnt of it. No I/O.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::discover::{FlinkCluster, ha_storage};
use super::ha::HaState;
use super::status::{Fault, HaContents, NoRest, RestData, age, leader_pod};
use super::workload::{Workload, is_alive, is_ready, rollout};
use crate::flink::ha::cluster_config_map;
use crate::flink::storage::Storage;
use crate::output::age::short;

/// What is wrong, what may become so, and what is not known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Verdict {
    /// What is wrong, the causes before their consequences.
    pub(super) problems: Vec<Fault>,
    /// What is worth knowing and no fault of the moment.
    pub(super) notes: Vec<String>,
    /// What could not be checked, and why.
    pub(super) not_checked: Vec<String>,
}

impl Verdict {
    fn fault(&mut self, message: impl Into<String>) {
        self.problems.push(message.into().into());
    }
}

/// Judges a cluster; `causes` is what is known already of why pods are missing, `contents` how what stands in its
/// ConfigMaps compares with what Flink says.
pub(super) fn judge(
    cluster: &FlinkCluster,
    causes: Vec<Fault>,
    ha: &Result<Option<HaState>, String>,
    rest: &Result<RestData, NoRest>,
    contents: &HaContents,
    now: Timestamp,
) -> Verdict {
    let mut verdict = Verdict { problems: causes, ..Verdict::default() };
    if let Some(why) = &cluster.configuration_unknown {
        verdict.not_checked.push(format!("configuration: {why}"));
    }
    storage(cluster, &mut verdict);
    if cluster.jobmanager.finished {
        verdict.notes.push("the application has ended".to_owned());
        return verdict;
    }
    pods(cluster, &mut verdict);
    match ha {
        Ok(Some(ha)) => {
            leader(cluster, ha, rest.is_ok(), now, &mut verdict);
            ha_jobs(ha, contents, &mut verdict);
        }
        Ok(None) => {}
        Err(why) => verdict.not_checked.push(format!("leader and high-availability data: {why}")),
    }
    match rest {
        Ok(rest) => flink(cluster, rest, &mut verdict),
        Err(why) => {
            let unknown = "registered TaskManagers, slots and jobs";
            match why {
                NoRest::NoPod => verdict.not_checked.push(format!("{unknown}: no JobManager runs")),
                NoRest::Problem(problem) => {
                    // Without a leader nobody can answer, and that has been said.
                    if !verdict.problems.iter().any(|fault| fault.message.starts_with("no leader")) {
                        verdict.fault(problem.as_str());
                    }
                    verdict.not_checked.push(format!("{unknown}: the JobManager does not answer"));
                }
                NoRest::NotChecked(why) => verdict.not_checked.push(format!("{unknown}: {why}")),
            }
        }
    }
    verdict
}

fn storage(cluster: &FlinkCluster, verdict: &mut Verdict) {
    if ha_storage(cluster) == Storage::PodLocal {
        verdict.notes.push(
            "high-availability.storageDir is local to the pod: jobs cannot be recovered once the JobManager's pod is \
             gone, and the next one fails at them"
                .to_owned(),
        );
    }
    if cluster.has_kubernetes_ha() && cluster.ha_namespace() != cluster.namespace {
        let namespace = cluster.ha_namespace();
        let set = cluster.configuration.get("kubernetes.namespace").map_or("is not set", |_| "says so");
        verdict.notes.push(format!("Flink keeps its ConfigMaps in namespace {namespace}: kubernetes.namespace {set}"));
    }
}

/// What Kubernetes says of the pods.
fn pods(cluster: &FlinkCluster, verdict: &mut Verdict) {
    let missing = |workload: &Workload, what: &str| match workload {
        workload if workload.replicas == 0 => Some(format!("no {what}s: {} is scaled to 0", of(workload))),
        workload if workload.ready < workload.replicas => {
            Some(format!("{} of {} {what}s are ready ({})", workload.ready, workload.replicas, of(workload)))
        }
        _ => None,
    };
    verdict.problems.extend(missing(&cluster.jobmanager, "JobManager").map(Fault::from));
    let taskmanagers = cluster.taskmanagers.iter().filter_map(|workload| missing(workload, "TaskManager"));
    verdict.problems.extend(taskmanagers.map(Fault::from));
    for workload in std::iter::once(&cluster.jobmanager).chain(&cluster.taskmanagers) {
        let updating = workload.deployment.as_deref().and_then(rollout).filter(|_| workload.ready >= workload.replicas);
        verdict.notes.extend(updating.map(|what| format!("{} is being updated: {what}", of(workload))));
    }
    if cluster.taskmanagers.is_empty() && !cluster.mode.is_native() {
        verdict.fault("no TaskManagers: no workload of the namespace belongs to this cluster");
    }
}

fn of(workload: &Workload) -> String {
    format!("{}/{}", workload.kind.to_lowercase(), workload.name)
}

/// What the high-availability ConfigMaps say of the leader; `answers` says whether REST does. Without pods there is no
/// leader to expect.
fn leader(cluster: &FlinkCluster, ha: &HaState, answers: bool, now: Timestamp, verdict: &mut Verdict) {
    let alive: Vec<&Pod> = cluster.jobmanager_pods.iter().filter(|pod| is_alive(pod)).collect();
    if alive.is_empty() {
        return;
    }
    let Some(map) = ha.leader_map() else {
        let (namespace, map) = (&ha.namespace, cluster_config_map(&ha.cluster_id));
        verdict.fault(format!("no leader: there is no ConfigMap {map} in namespace {namespace}"));
        return;
    };
    let Some(record) = map.lease.as_ref().filter(|record| record.holder.is_some()) else {
        verdict.fault("no leader: nobody holds the lease");
        return;
    };
    if !record.is_fresh(now) {
        let (lease, renewed) = (record.lease_duration.as_secs(), record.age(now).map(short));
        let renewed = renewed.map_or("was never renewed".to_owned(), |age| format!("was last renewed {age} ago"));
        if !answers {
            verdict.fault(format!("no leader: the lease of {lease}s {renewed}"));
            return;
        }
        // Without a leader REST would refuse: it is the clocks, of a node and of this machine, that differ.
        verdict
            .notes
            .push(format!("the leader's lease of {lease}s {renewed}, and yet it leads: do the clocks differ?"));
    }
    let Some(address) = &map.rest else {
        verdict.fault("the leader has not announced its address yet".to_owned());
        return;
    };
    match leader_pod(cluster, Some(ha)) {
        None => verdict.fault(format!("the leader's address {} is that of no living JobManager pod", address.host)),
        Some(pod) if !is_ready(pod) => {
            let since =
                pod.metadata.creation_timestamp.as_ref().map(|time| short(age(time.0, now))).unwrap_or_default();
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            verdict.fault(format!("the leader's pod {name} is not ready, {since} after it was made"));
        }
        Some(_) => {}
    }
}

/// Jobs of which the high-availability ConfigMaps and Flink do not say the same. What may be a matter of moments is a note.
fn ha_jobs(ha: &HaState, contents: &HaContents, verdict: &mut Verdict) {
    let map = ha.cluster_map().map(|map| format!("configmap/{}", map.name)).unwrap_or_default();
    let clean = |job: &str| {
        let HaState { cluster_id, namespace, .. } = ha;
        format!("kubectl flink clean-ha {cluster_id} -n {namespace} --job {job} --include-recoverable")
    };
    for job in contents.ignored.iter().flatten() {
        let hint = format!(
            "to keep it, stop it with a savepoint under the version that it ran on, and submit it from there; if it is \
             not wanted, with the JobManager scaled to 0: {}",
            clean(job)
        );
        let message = format!("job {job} in {map} is ignored: another major version of Flink has left it there");
        verdict.problems.push(Fault { message, hint: Some(hint) });
    }
    for job in contents.not_in_rest.iter().flatten() {
        verdict.notes.push(format!("job {job} is in {map} and Flink does not know it: the next leader would start it"));
    }
    for job in contents.not_in_ha.iter().flatten() {
        verdict.notes.push(format!("job {job} runs and is not in {map}: the next leader would not recover it"));
    }
    for orphan in contents.orphans.iter().flatten() {
        verdict.notes.push(format!(
            "configmap/{} is of a job that the cluster does not have; to remove it, with the JobManager scaled to 0: {}",
            orphan.config_map,
            clean(&orphan.job)
        ));
    }
}

/// What Flink itself says.
fn flink(cluster: &FlinkCluster, rest: &RestData, verdict: &mut Verdict) {
    let registered = i64::from(rest.overview.taskmanagers);
    // In native mode Flink asks for pods as it needs them: those that are there are those that should be.
    let expected = if cluster.mode.is_native() {
        let pods = cluster.taskmanager_pods.iter().filter(|pod| is_alive(pod)).count();
        i64::try_from(pods).unwrap_or(i64::MAX)
    } else {
        cluster.taskmanagers.iter().map(|workload| i64::from(workload.replicas)).sum()
    };
    if registered < expected {
        verdict.fault(format!("{registered} of {expected} TaskManagers are registered with the JobManager"));
    }
    for job in rest.jobs.jobs.iter().filter(|job| matches!(job.state.as_str(), "FAILING" | "RESTARTING")) {
        verdict.fault(format!("job {} ({}) is {}", job.name, job.jid, job.state));
    }
    // It is over, and nobody need do anything for the cluster; its owner will want to know.
    for job in rest.jobs.jobs.iter().filter(|job| job.state == "FAILED") {
        verdict.notes.push(format!("job {} ({}) has FAILED", job.name, job.jid));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cluster::discover::assemble;
    use crate::cluster::status::{Orphan, compare};
    use crate::cluster::workload::Workload;
    use crate::flink::ha::{HaMap, LEADER_ANNOTATION};
    use crate::flink::rest::{JobsOverview, Overview};
    use crate::flink::role::Process;
    use serde_json::{Value, json};

    fn cluster(options: &[&str], ready: i32) -> FlinkCluster {
        let workload = |name: &str, args: Vec<&str>, ready: i32| {
            let deployment = json!({
                "metadata": {"namespace": "n", "name": name},
                "spec": {"selector": {}, "template": {"spec": {"containers": [{"name": "flink", "args": args}]}}},
                "status": {"readyReplicas": ready, "replicas": 1, "updatedReplicas": 1, "availableReplicas": ready}
            });
            Workload::of_deployment(serde_json::from_value(deployment).unwrap()).unwrap()
        };
        let pod = json!({
            "metadata": {"namespace": "n", "name": "jm-1-a", "uid": "a", "labels": {"pod-template-hash": "1"}, "ownerReferences": [
                {"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "jm-1", "uid": "u", "controller": true}
            ]},
            "spec": {"containers": [{"name": "flink", "args": ["jobmanager"]}]},
            "status": {"phase": "Running", "podIP": "10.0.0.1", "conditions": [{"type": "Ready", "status": "True"}]}
        });
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let process = Process::of(pod.spec.as_ref().unwrap()).unwrap();
        let with = |role| [&[role], options].concat();
        let workloads = vec![workload("jm", with("jobmanager"), ready), workload("tm", with("taskmanager"), 1)];
        assemble(workloads, &[(pod, process)], &std::collections::BTreeMap::new()).remove(0)
    }

    const LED: &str = "7601318e4ccd7281759507f40830fea9";

    /// The cluster's ConfigMap with a leader that was elected at eight, and these entries; and others' by their names.
    fn state(host: &str, renewed: &str, entries: &[&str], others: &[&str]) -> HaState {
        let record = json!({
            "holderIdentity": "h", "leaseDuration": 15.0, "acquireTime": "2025-12-31T08:00:00Z", "renewTime": renewed
        });
        let mut map = json!({
            "metadata": {"name": "x-cluster-config-map", "annotations": {LEADER_ANNOTATION: record.to_string()}},
            "data": {"org.apache.flink.k8s.leader.restserver": format!("s,http://{host}:8081")}
        });
        for entry in entries {
            map["data"][entry] = json!("rO0ABX");
        }
        let job = |name: &&str| json!({"metadata": {"name": name}, "data": {"counter": "1"}});
        let maps = std::iter::once(map).chain(others.iter().map(job));
        let maps = maps.map(|map| HaMap::read(&serde_json::from_value(map).unwrap()).unwrap()).collect();
        HaState { maps, ..empty() }
    }

    fn empty() -> HaState {
        HaState { namespace: "n".to_owned(), cluster_id: "x".to_owned(), maps: Vec::new(), record: None }
    }

    fn ha(host: &str, renewed: &str) -> HaState {
        state(host, renewed, &[], &[])
    }

    fn rest(taskmanagers: u32, jobs: &Value) -> RestData {
        let overview = json!({
            "taskmanagers": taskmanagers, "slots-total": 1, "slots-available": 1, "jobs-running": 0, "jobs-finished": 0,
            "jobs-cancelled": 0, "jobs-failed": 0, "flink-version": "1.20.5"
        });
        let overview: Overview = serde_json::from_value(overview).unwrap();
        let jobs: JobsOverview = serde_json::from_value(json!({ "jobs": jobs })).unwrap();
        RestData { overview, jobs, checkpoints: Vec::new() }
    }

    const HA: &[&str] = &[
        "-Dhigh-availability.type=kubernetes",
        "-Dhigh-availability.storageDir=s3://b/ha",
        "-Dkubernetes.cluster-id=x",
        "-Dkubernetes.namespace=n",
        "-Djobmanager.rpc.address=jm",
    ];
    const PLAIN: &[&str] = &["-Djobmanager.rpc.address=jm"];
    const NOW: &str = "2026-01-01T00:00:20Z";

    fn judged(
        cluster: &FlinkCluster,
        ha: &Result<Option<HaState>, String>,
        rest: &Result<RestData, NoRest>,
    ) -> Verdict {
        judge(cluster, Vec::new(), ha, rest, &HaContents::default(), NOW.parse().unwrap())
    }

    fn problems(verdict: &Verdict) -> Vec<&str> {
        verdict.problems.iter().map(|fault| fault.message.as_str()).collect()
    }

    #[test]
    fn a_healthy_cluster() {
        let fresh = Ok(Some(ha("10.0.0.1", "2026-01-01T00:00:10Z")));
        assert_eq!(judged(&cluster(HA, 1), &fresh, &Ok(rest(1, &json!([])))), Verdict::default());
        assert_eq!(judged(&cluster(PLAIN, 1), &Ok(None), &Ok(rest(1, &json!([])))), Verdict::default());
    }

    #[test]
    fn faults_of_the_leader() {
        let election = || Err(NoRest::Problem("the JobManager waits for a leader to be elected".to_owned()));
        let stale = Ok(Some(ha("10.0.0.1", "2026-01-01T00:00:00Z")));
        assert_eq!(
            problems(&judged(&cluster(HA, 1), &stale, &election())),
            ["no leader: the lease of 15s was last renewed 20s ago"]
        );
        // It answers all the same: the clocks differ.
        let verdict = judged(&cluster(HA, 1), &stale, &Ok(rest(1, &json!([]))));
        assert_eq!((problems(&verdict), verdict.notes.len()), (vec![], 1));
        let elsewhere = Ok(Some(ha("10.0.0.9", "2026-01-01T00:00:10Z")));
        assert_eq!(
            problems(&judged(&cluster(HA, 1), &elsewhere, &Ok(rest(1, &json!([]))))),
            ["the leader's address 10.0.0.9 is that of no living JobManager pod"]
        );
        let verdict = judged(&cluster(HA, 1), &Ok(Some(empty())), &election());
        assert_eq!(problems(&verdict), ["no leader: there is no ConfigMap x-cluster-config-map in namespace n"]);
        let verdict = judged(&cluster(HA, 1), &Err("forbidden".to_owned()), &Ok(rest(1, &json!([]))));
        assert_eq!(verdict.not_checked, ["leader and high-availability data: forbidden"]);
    }

    #[test]
    fn faults_that_flink_tells() {
        let job = |name: &str, state: &str| json!({"jid": "1", "name": name, "state": state, "start-time": 1, "end-time": -1, "duration": 1});
        let rest = rest(0, &json!([job("a", "RUNNING"), job("b", "RESTARTING"), job("c", "FAILED")]));
        let verdict = judged(&cluster(PLAIN, 1), &Ok(None), &Ok(rest));
        let expected = ["0 of 1 TaskManagers are registered with the JobManager", "job b (1) is RESTARTING"];
        assert_eq!(problems(&verdict), expected);
        assert_eq!(verdict.notes, ["job c (1) has FAILED"]);
    }

    #[test]
    fn causes_come_before_what_follows_from_them() {
        let causes = vec![Fault { message: "pod/jm-1-a: CrashLoopBackOff".to_owned(), hint: None }];
        let verdict = judge(
            &cluster(PLAIN, 0),
            causes,
            &Ok(None),
            &Err(NoRest::NoPod),
            &HaContents::default(),
            NOW.parse().unwrap(),
        );
        let expected = ["pod/jm-1-a: CrashLoopBackOff", "0 of 1 JobManagers are ready (deployment/jm)"];
        assert_eq!(problems(&verdict), expected);
        assert_eq!(verdict.not_checked, ["registered TaskManagers, slots and jobs: no JobManager runs"]);
    }

    #[test]
    fn what_may_become_a_fault_is_a_note() {
        let mut options = HA.to_vec();
        (options[1], options[3]) = ("-Dhigh-availability.storageDir=file:///tmp/ha", "-Dx=y");
        let verdict =
            judged(&cluster(&options, 1), &Ok(Some(ha("10.0.0.1", "2026-01-01T00:00:10Z"))), &Ok(rest(1, &json!([]))));
        assert_eq!((verdict.problems.len(), verdict.notes.len()), (0, 2));
        assert!(verdict.notes[1].ends_with("namespace default: kubernetes.namespace is not set"));
    }

    /// What is said of jobs, with Flink of this version that knows these.
    fn of_jobs(ha: HaState, jobs: &Value, version: &str) -> Verdict {
        let (rest, now) = (rest(1, jobs), NOW.parse().unwrap());
        let contents = compare(&ha, Some(&rest), crate::flink::version::Version::lenient(version), now);
        judge(&cluster(HA, 1), Vec::new(), &Ok(Some(ha)), &Ok(rest), &contents, now)
    }

    fn job(id: &str, state: &str, duration: i64) -> Value {
        json!({"jid": id, "name": "a", "state": state, "start-time": 1, "end-time": -1, "duration": duration})
    }

    #[test]
    fn jobs_on_both_sides_are_no_news() {
        let (graph, own) = (format!("jobGraph-{LED}"), format!("x-{LED}-config-map"));
        let now = "2026-01-01T00:00:10Z";
        let both = || state("10.0.0.1", now, &[&graph], &[&own]);
        assert_eq!(of_jobs(both(), &json!([job(LED, "RUNNING", 60_000)]), "1.20.5"), Verdict::default());
        // It has just ended, and its data is about to go.
        for ended in ["FINISHED", "CANCELED"] {
            assert_eq!(of_jobs(both(), &json!([job(LED, ended, 60_000)]), "1.20.5"), Verdict::default());
            let map = state("10.0.0.1", now, &[], &[&own]);
            assert_eq!(of_jobs(map, &json!([job(LED, ended, 60_000)]), "1.20.5"), Verdict::default());
        }
        // It was submitted after the ConfigMaps were read.
        let none = state("10.0.0.1", now, &[], &[]);
        assert_eq!(of_jobs(none, &json!([job(LED, "RUNNING", 900)]), "1.20.5"), Verdict::default());
    }

    #[test]
    fn jobs_on_one_side_are_notes() {
        let (graph, own) = (format!("jobGraph-{LED}"), format!("x-{LED}-config-map"));
        let now = "2026-01-01T00:00:10Z";
        let verdict = of_jobs(state("10.0.0.1", now, &[&graph], &[&own]), &json!([]), "1.20.5");
        let expected =
            "is in configmap/x-cluster-config-map and Flink does not know it: the next leader would start it";
        assert!(problems(&verdict).is_empty());
        assert_eq!(verdict.notes, [format!("job {LED} {expected}")]);
        let verdict = of_jobs(state("10.0.0.1", now, &[], &[]), &json!([job(LED, "RUNNING", 60_000)]), "1.20.5");
        assert!(
            problems(&verdict).is_empty() && verdict.notes[0].starts_with(&format!("job {LED} runs and is not in"))
        );
        let verdict = of_jobs(state("10.0.0.1", now, &[], &[&own]), &json!([]), "1.20.5");
        assert!(problems(&verdict).is_empty());
        assert!(verdict.notes[0].contains(&format!("kubectl flink clean-ha x -n n --job {LED} --include-rec")));
        // The jobs of an application are not in the cluster's ConfigMap.
        let application = format!("application-{LED}");
        let verdict = of_jobs(state("10.0.0.1", now, &[&application], &[&own]), &json!([]), "2.3.0");
        assert_eq!(verdict, Verdict::default());
    }

    #[test]
    fn a_new_leader_is_given_time() {
        let graph = format!("jobGraph-{LED}");
        let mut new = state("10.0.0.1", "2026-01-01T00:00:10Z", &[&graph], &[]);
        let lease = new.maps[0].lease.as_mut().unwrap();
        lease.acquire_time = lease.renew_time;
        let contents = compare(&new, Some(&rest(1, &json!([]))), None, NOW.parse().unwrap());
        assert_eq!((contents.not_in_rest, contents.not_in_ha), (None, Some(Vec::new())));
        let contents = compare(&new, None, None, NOW.parse().unwrap());
        assert_eq!((contents.not_in_rest, contents.not_in_ha), (None, None));
    }

    #[test]
    fn jobs_of_another_major_version_are_a_fault() {
        let graph = format!("jobGraph-{LED}");
        let old = || state("10.0.0.1", "2026-01-01T00:00:10Z", &[&graph], &[]);
        let verdict = of_jobs(old(), &json!([]), "2.3.0");
        let message = format!(
            "job {LED} in configmap/x-cluster-config-map is ignored: another major version of Flink has left it there"
        );
        assert_eq!((problems(&verdict), verdict.notes.len()), (vec![message.as_str()], 0));
        assert!(verdict.problems[0].hint.as_ref().unwrap().contains(&format!("clean-ha x -n n --job {LED} --")));
        assert!(compare(&old(), None, None, NOW.parse().unwrap()).ignored.unwrap().is_empty());
        let orphaned = state("10.0.0.1", "2026-01-01T00:00:10Z", &[], &[&format!("x-{LED}-config-map")]);
        let orphans = compare(&orphaned, None, None, NOW.parse().unwrap()).orphans.unwrap();
        assert_eq!(orphans, [Orphan { config_map: format!("x-{LED}-config-map"), job: LED.to_owned() }]);
    }
}
