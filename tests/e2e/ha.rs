//! `clean-ha` where no pod is needed: which ConfigMaps are whose, clocks, and an API server that goes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jiff::SignedDuration;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::Api;
use kubectl_flink::cluster::ha::removal::{Removal, Removed, remove};
use kubectl_flink::cluster::ha::situations;
use kubectl_flink::cluster::ha::verdict::Verdict;
use serde_json::json;
use tokio::time::{Instant, sleep};

use crate::elector::{Elector, Era};
use crate::flink::kill;
use crate::races::{leave, look, removal};
use crate::support::{Needs, PATIENCE, Test};

const LOCAL: &str = "file:/opt/flink/ha/default";

fn block_on<T>(work: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(work)
}

/// One job of this number, with its files in the pods.
fn job(number: u32) -> BTreeMap<String, String> {
    BTreeMap::from([(format!("{number:032x}"), LOCAL.to_owned())])
}

fn config_maps(test: &Test) -> BTreeMap<String, String> {
    let of = |map: &serde_json::Value| {
        let text = |key: &str| map["metadata"][key].as_str().unwrap().to_owned();
        (text("name"), text("resourceVersion"))
    };
    test.list("configmaps").iter().map(of).collect()
}

/// Runs a JobManager of each of these cluster-ids, with its clock so much ahead, while `work` is done.
fn beside<T>(test: &Test, live: &[(&str, i64)], work: impl FnOnce() -> T) -> T {
    let (over, leading) = (AtomicBool::new(false), std::sync::Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            block_on(async {
                let connection = test.connection_args().connect().await.unwrap();
                let electors: Vec<Elector> = (live.iter())
                    .map(|(id, ahead)| Elector {
                        api: Api::namespaced(connection.client.clone(), &connection.namespace),
                        id: (*id).to_owned(),
                        era: Era::V1_20,
                        ahead: SignedDuration::from_secs(*ahead),
                        application: None,
                    })
                    .collect();
                let lives = electors.iter().map(|elector| elector.live(|life| life.led.is_some()));
                futures::future::join_all(lives).await;
                leading.wait();
                let lives = electors.iter().map(|elector| elector.live(|_| over.load(Ordering::Relaxed)));
                for life in futures::future::join_all(lives).await {
                    assert!(life.wrong.is_empty(), "{:?}", life.wrong);
                }
            });
        });
        leading.wait();
        let done = work();
        over.store(true, Ordering::Relaxed);
        done
    })
}

#[test]
fn only_the_dead_ones_go() {
    let Some(test) = Test::begin("only_the_dead_ones_go", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    // Each id begins another one, or what follows an id in a name.
    let ids = ["flink", "flink-2", "flink-cluster", "flink-config"];
    block_on(async {
        let connection = test.connection_args().connect().await.unwrap();
        for (number, id) in (0..).zip(ids) {
            leave(&connection, Era::V1_20, id, &job(number)).await;
        }
    });
    // What native mode and the operator make has the labels of the data.
    let foreign = ids.iter().flat_map(|id| {
        ["flink-config-", "pod-template-", "autoscaler-", "hadoop-config-"].map(|prefix| {
            json!({"apiVersion": "v1", "kind": "ConfigMap", "data": {"x": "y"},
                "metadata": {"name": format!("{prefix}{id}"), "labels": {"app": id, "type": "flink-native-kubernetes"}}})
        })
    });
    let list = json!({"apiVersion": "v1", "kind": "List", "items": foreign.collect::<Vec<_>>()});
    test.create(&list.to_string());
    let before = config_maps(&test);
    let folder = tempfile::tempdir().unwrap();
    let backup = format!("--backup-dir={}", folder.path().display());

    beside(&test, &[("flink-cluster", 0)], || test.flink(&["clean-ha", "flink", "--yes", &backup]).ok());
    let of = |number: usize| {
        let id = ids[number];
        [format!("{id}-cluster-config-map"), format!("{id}-{number:032x}-config-map")]
    };
    let gone = |numbers: &[usize]| -> BTreeSet<String> {
        let gone: Vec<String> = numbers.iter().flat_map(|number| of(*number)).collect();
        before.keys().filter(|name| !gone.contains(name)).cloned().collect()
    };
    assert_eq!(config_maps(&test).into_keys().collect::<BTreeSet<_>>(), gone(&[0]));

    // Without an id: all of the namespace, but for the one that lives.
    beside(&test, &[("flink-cluster", 0)], || test.flink(&["clean-ha", "--yes", &backup]).ok());
    let after = config_maps(&test);
    assert_eq!(after.keys().cloned().collect::<BTreeSet<_>>(), gone(&[0, 1, 3]));
    for (name, version) in &after {
        assert!(name == "flink-cluster-cluster-config-map" || before.get(name) == Some(version), "{name} was written");
    }
}

#[test]
fn a_leader_is_seen_whatever_its_clock() {
    let Some(test) = Test::begin("a_leader_is_seen_whatever_its_clock", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    let live = [("behind", -600), ("right", 0), ("ahead", 600)];
    block_on(async {
        let connection = test.connection_args().connect().await.unwrap();
        for (number, (id, _)) in (0..).zip(live) {
            leave(&connection, Era::V1_20, id, &job(number)).await;
        }
        leave(&connection, Era::V1_20, "dead", &job(9)).await;
    });
    let run = beside(&test, &live, || test.flink(&["clean-ha", "--dry-run", "-o", "json"]).ok());
    let report = run.json();
    for item in report["items"].as_array().unwrap() {
        let expected = if item["clusterId"] == "dead" { "dead" } else { "live" };
        for map in item["configMaps"].as_array().unwrap() {
            assert_eq!(map["verdict"], expected, "{item}");
        }
    }
    assert_eq!(report["items"].as_array().unwrap().len(), 4);
}

/// Ends a `clean-ha` of each cluster at another moment: no lease stays with it, and the next one finishes.
#[test]
fn interrupted_it_gives_the_lease_back() {
    let Some(test) = Test::begin("interrupted_it_gives_the_lease_back", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    let folder = tempfile::tempdir().unwrap();
    let backup = format!("--backup-dir={}", folder.path().display());
    let jobs: BTreeMap<String, String> = (0..20).map(|job| (format!("{job:032x}"), LOCAL.to_owned())).collect();
    let clusters: Vec<String> = (0..6).map(|number| format!("flink-{number}")).collect();
    block_on(async {
        let connection = test.connection_args().connect().await.unwrap();
        for id in &clusters {
            leave(&connection, Era::V1_20, id, &jobs).await;
        }
    });
    let total = config_maps(&test).len();
    let mut broken_off = 0;
    for (number, id) in (0..).zip(&clusters) {
        let mut child = test
            .command(&["clean-ha", id, "--yes", &backup])
            .stdout(std::process::Stdio::null())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut said = String::new();
        for line in lines.map_while(Result::ok) {
            said = said + &line + "\n";
            // What it said was read; now it removes.
            if line.contains("high-availability ConfigMaps of 1 cluster") {
                std::thread::sleep(Duration::from_millis(40 * number));
                kill(["TERM", "INT"][usize::from(number % 2 == 0)], child.id());
            }
        }
        let code = child.wait().unwrap().code();
        broken_off += usize::from(code == Some(130));
        assert!(matches!(code, Some(0 | 130)), "{code:?}");
        // A copy that was written is spoken of, however it ended.
        let copies = std::fs::read_dir(folder.path()).unwrap().map(|file| file.unwrap().path());
        for copy in copies.filter(|copy| copy.to_string_lossy().contains(id.as_str())) {
            assert!(said.contains(&copy.display().to_string()), "{said}");
        }
        for map in test.list("configmaps") {
            let lease = map["metadata"]["annotations"]["control-plane.alpha.kubernetes.io/leader"].as_str();
            assert!(lease.is_none_or(|lease| !lease.contains("kubectl-flink")), "{map}");
        }
    }
    test.announce(&format!(
        "{broken_off} of {} were broken off, {} of {total} ConfigMaps left",
        clusters.len(),
        config_maps(&test).len()
    ));
    assert!(broken_off > 0);
    test.flink(&["clean-ha", "--yes", &backup]).ok().keeps_silent_about(&["given back"]);
    assert_eq!(config_maps(&test).len(), total - clusters.len() * (jobs.len() + 1));
}

/// A cluster that was updated from Flink 1.14 has a dispatcher's ConfigMap beside the cluster's.
#[test]
fn one_job_of_two_generations() {
    let Some(test) = Test::begin("one_job_of_two_generations", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    let jobs: BTreeMap<String, String> = (0..2).map(|job| (format!("{job:032x}"), LOCAL.to_owned())).collect();
    let gone = format!("{:032x}", 0);
    block_on(async {
        let connection = test.connection_args().connect().await.unwrap();
        let api: Api<ConfigMap> = Api::namespaced(connection.client.clone(), &connection.namespace);
        leave(&connection, Era::V1_20, "flink", &jobs).await;
        leave(&connection, Era::V1_14, "flink", &jobs).await;
        let mut found = situations(&connection, &look(&connection, "flink"), |_| {}).await.unwrap();
        let situation = found.situations.remove(0);
        let removal = Removal { situation: &situation, jobs: [gone.clone()].into(), whole: false };
        let mut removed = Removed::default();
        remove(&connection, &removal, None, Instant::now() + PATIENCE, |_| {}, &mut removed).await.unwrap();
        let sorted = |names: &[String]| names.iter().cloned().collect::<BTreeSet<_>>();
        let expected = removal.expected();
        assert_eq!(sorted(&removed.config_maps), sorted(&expected.config_maps));
        assert!(sorted(&removed.entries).is_superset(&sorted(&expected.entries)), "{removed:?}");
        for map in ["flink-cluster-config-map", "flink-dispatcher-leader"] {
            let map = api.get(map).await.unwrap();
            let keys: Vec<&String> = map.data.as_ref().unwrap().keys().collect();
            assert!(!keys.iter().any(|key| key.ends_with(&gone)), "{keys:?}");
            assert!(keys.contains(&&format!("jobGraph-{:032x}", 1)), "{keys:?}");
        }
    });
}

#[test]
fn an_api_server_that_goes_in_the_middle() {
    let Some(test) = Test::begin("an_api_server_that_goes_in_the_middle", Needs::ApiAlone) else { return };
    let test = test.with_namespace(&[]);
    let jobs: BTreeMap<String, String> = (0..40).map(|job| (format!("{job:032x}"), LOCAL.to_owned())).collect();
    let folder = tempfile::tempdir().unwrap();
    block_on(async {
        let connection = test.connection_args().connect().await.unwrap();
        let api: Api<ConfigMap> = Api::namespaced(connection.client.clone(), &connection.namespace);
        leave(&connection, Era::V1_20, "flink", &jobs).await;
        let found = situations(&connection, &look(&connection, "flink"), |_| {}).await.unwrap();
        let removal_ = removal(&found.situations[0], Verdict::Dead);
        assert_eq!((removal_.jobs.len(), removal_.whole), (jobs.len(), true));
        // When some of them are gone.
        let (deleted, stopped) = (std::cell::Cell::new(0), std::cell::Cell::new(false));
        let progress = |what: &str| {
            deleted.set(deleted.get() + u32::from(what.starts_with("configmap/")));
            if deleted.get() == 10 && !stopped.replace(true) {
                test.bed(&["apiserver", "stop"]);
            }
        };
        let mut gone = Removed::default();
        let broken =
            remove(&connection, &removal_, Some(folder.path()), Instant::now() + PATIENCE, progress, &mut gone).await;
        test.bed(&["apiserver", "start"]);
        test.until("the API server is ready", || test.try_kubectl(&["get", "--raw", "/readyz"]).code == 0);
        let error = broken.unwrap_err();
        test.say(&error.message);

        // Of no job an entry is left without its checkpoints.
        let state = kubectl_flink::cluster::ha::state_of(&connection, &connection.namespace, "flink").await.unwrap();
        assert!(state.cluster_map().unwrap().jobs().is_empty(), "the entries go first");
        let left = state.maps.len();
        assert!((20..40).contains(&left), "{left} are left");
        assert_eq!(
            (gone.config_maps.len(), gone.backup.is_some()),
            (jobs.len() + 1 - left, true),
            "what it says is gone"
        );

        // The same once more finishes it, or says what is left of it.
        sleep(Duration::from_secs(1)).await;
        let found = situations(&connection, &look(&connection, "flink"), |_| {}).await.unwrap();
        let rest = removal(&found.situations[0], Verdict::Dead);
        assert_eq!((rest.jobs.len(), rest.whole), (left - 1, true), "{:?}", found.situations[0].judge());
        remove(&connection, &rest, Some(folder.path()), Instant::now() + PATIENCE, |_| {}, &mut Removed::default())
            .await
            .unwrap();
        let state = kubectl_flink::cluster::ha::state_of(&connection, &connection.namespace, "flink").await.unwrap();
        assert!(state.maps.is_empty(), "{:?}", state.maps);
        assert!(api.get_opt("flink-cluster-config-map").await.unwrap().is_none());
    });
}
