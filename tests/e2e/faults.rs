//! What keeps a cluster from starting is said at once, with what to do; and nothing is lost by an API server that goes.

use crate::flink::Flink;
use crate::support::{LONG_TIMEOUT, Needs, Run, SMALL, Test};

/// An `up` that cannot end well, with a timeout that it must not need.
fn fails(test: &Test, arguments: &[&str], texts: &[&str]) -> Run {
    let sizes =
        SMALL.into_iter().filter(|size| !arguments.iter().any(|a| a.split('=').next() == size.split('=').next()));
    let run = test.flink(&[&["up", LONG_TIMEOUT], &sizes.collect::<Vec<_>>()[..], arguments].concat());
    test.say(&format!("up {} gave up after {:.1} s", arguments.join(" "), run.took.as_secs_f64()));
    run.exits(1).says(texts).keeps_silent_about(&["not serving after"])
}

#[test]
fn an_image_that_is_not_there() {
    let Some(test) = Test::begin("an_image_that_is_not_there", Needs::Pods) else { return };
    fails(&test, &["--image=example.invalid/flink:1.20.5"], &["example.invalid/flink:1.20.5", "image"]);
    // What was wrong can be mended by the same command.
    test.up(&["--reset", "--taskmanagers=1"]).says(&["1 TaskManager, 2 slots"]);
}

#[test]
fn a_quota_that_is_too_small() {
    let Some(test) = Test::begin("a_quota_that_is_too_small", Needs::Pods) else { return };
    let test = test.with_namespace(&[]);
    test.kubectl_here(&["create", "quota", "tight", "--hard=requests.memory=1Gi"]);
    fails(&test, &[], &["exceeded quota: tight", "hint:"]);
}

#[test]
fn memory_that_no_node_has() {
    let Some(test) = Test::begin("memory_that_no_node_has", Needs::Pods) else { return };
    fails(&test, &["--taskmanager-memory=900g", "--ha-storage=pod-local"], &["Insufficient memory", "hint:"]);
}

#[test]
fn a_secret_that_is_missing() {
    let Some(test) = Test::begin("a_secret_that_is_missing", Needs::Pods) else { return };
    fails(&test, &["--env-from-secret=credentials"], &["credentials", "not found"]);
}

#[test]
fn a_configuration_that_flink_refuses() {
    let Some(test) = Test::begin("a_configuration_that_flink_refuses", Needs::Pods) else { return };
    // What the doctor would have said before.
    fails(
        &test,
        &["-Dpekko.ask.timeout=nonsense", "--skip-doctor"],
        &["nonsense", "pekko.ask.timeout", "kubectl logs"],
    );
}

#[test]
fn s3_that_does_not_answer() {
    let Some(test) = Test::begin("s3_that_does_not_answer", Needs::Pods) else { return };
    // Nobody answers there.
    let options =
        ["-Ds3.endpoint=http://127.0.0.1:1", "-Ds3.access-key=a", "-Ds3.secret-key=b", "--ha-storage=s3://x/y"];
    fails(&test, &options, &["Connection refused", "kubectl logs"]);
}

#[test]
fn admission_that_refuses_the_pods() {
    let Some(test) = Test::begin("admission_that_refuses_the_pods", Needs::Pods) else { return };
    let test = test.with_namespace(&[]);
    test.create(&format!(
        "apiVersion: v1\nkind: LimitRange\nmetadata: {{name: tight, namespace: {}}}\n\
         spec: {{limits: [{{type: Container, max: {{memory: 100Mi}}}}]}}\n",
        test.namespace
    ));
    fails(&test, &[], &["maximum memory usage per Container"]);
}

#[test]
fn the_time_is_over() {
    let Some(test) = Test::begin("the_time_is_over", Needs::Pods) else { return };
    let run = test.flink(&[&["up", "--timeout=1s"], &SMALL[..]].concat());
    run.exits(1).says(&["not serving after 1s", "waiting for"]);
}

#[test]
fn the_api_server_goes_in_the_middle_and_comes_back() {
    let Some(test) = Test::begin("the_api_server_goes_in_the_middle_and_comes_back", Needs::BedAlone) else { return };
    let arguments = [&["up", "--taskmanagers=1", "--request-timeout=5s"], &SMALL[..]].concat();

    test.say("it goes after the first files, and stays away");
    let stopped = ApiServer::stop_when(&test, &[&arguments[..], &["--timeout=20s"]].concat(), "03_configmap.yaml");
    stopped.exits(3).says(&["to the server"]);
    test.flink(&arguments).exits(3).says(&["to the server"]);
    ApiServer::start(&test);

    test.say("it goes while the pods start, and comes back");
    let run = ApiServer::away_for_a_while(&test, &[&arguments[..], &["--timeout=20m"]].concat(), "06_taskmanager");
    run.ok().says(&["1 TaskManager, 2 slots"]);

    test.say("the cluster has outlived it");
    test.flink(&arguments).ok().keeps_silent_about(&["created", "configured"]);
    assert!(Flink::of(&test, "flink").ask("/overview").is_some());
}

/// The API server of the test bed, which is started again whatever comes.
struct ApiServer<'a>(&'a Test);

impl Drop for ApiServer<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            ApiServer::start(self.0);
        }
    }
}

impl ApiServer<'_> {
    fn start(test: &Test) {
        test.bed(&["apiserver", "start"]);
        // Leases and caches of its clients come back after it.
        test.until("the API server is ready", || test.try_kubectl(&["get", "--raw", "/readyz"]).code == 0);
    }

    /// Runs the program and kills the API server when it has said this.
    fn stop_when(test: &Test, arguments: &[&str], after: &str) -> Run {
        let _guard = ApiServer(test);
        test.run_until(arguments, after, || {
            test.bed(&["apiserver", "stop"]);
        })
    }

    /// The same, and starts it again after some seconds.
    fn away_for_a_while(test: &Test, arguments: &[&str], after: &str) -> Run {
        let _guard = ApiServer(test);
        test.run_until(arguments, after, || {
            test.bed(&["apiserver", "stop"]);
            std::thread::sleep(std::time::Duration::from_secs(8));
            ApiServer::start(test);
        })
    }
}
