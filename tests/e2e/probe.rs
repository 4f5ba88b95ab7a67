//! Files as a pod of the cluster sees them, on a volume and in S3, with each supported generation of Flink.

use std::collections::BTreeMap;
use std::process::{Command, Stdio};
use std::time::Duration;

use kubectl_flink::cluster::probe::{self, Presence, Sharing, Step};
use kubectl_flink::cluster::workload::Workload;
use kubectl_flink::cluster::{Connection, ConnectionArgs, cleanup};
use kubectl_flink::error::Result;
use kubectl_flink::manifests::{self, kind};
use serde_json::{Value, json};

use crate::support::{Needs, Run, SMALL, Test};

const TIMEOUT: Duration = Duration::from_secs(120);

/// The cluster that the options make, with all that its pods need, and without them.
struct Cluster {
    jobmanager: Workload,
    taskmanager: Workload,
}

impl Cluster {
    fn of(test: &Test, options: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let to = format!("--to={}", folder.path().join("f").display());
        test.flink(&[&["render", &to], &SMALL[..], options].concat()).ok();
        let mut workloads = Vec::new();
        for object in
            manifests::read_folder(&folder.path().join("f")).unwrap().into_iter().flat_map(|file| file.objects)
        {
            let value = serde_json::to_value(&object).unwrap();
            if kind(&object) == "Deployment" {
                workloads.push(Workload::of_deployment(serde_json::from_value(value).unwrap()).unwrap());
            } else {
                assert_eq!(test.apply(&value.to_string()).code, 0, "{value}");
            }
        }
        let taskmanager = workloads.pop().unwrap();
        Cluster { jobmanager: workloads.pop().unwrap(), taskmanager }
    }

    fn look(&self, test: &Test, paths: &[&str]) -> BTreeMap<String, Presence> {
        self.look_as(&test.connection_args(), paths).unwrap()
    }

    fn look_as(&self, who: &ConnectionArgs, paths: &[&str]) -> Result<BTreeMap<String, Presence>> {
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        run(who, async |connection| probe::look(&connection, &self.jobmanager, &paths, TIMEOUT, |_| ()).await)
    }

    fn share(&self, test: &Test, dir: &str) -> Sharing {
        run(&test.connection_args(), async |connection| {
            probe::shared(&connection, &self.jobmanager, &self.taskmanager, dir, TIMEOUT, |_| ()).await
        })
        .unwrap()
    }
}

fn run<T>(who: &ConnectionArgs, work: impl AsyncFnOnce(Connection) -> Result<T>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let result = work(who.connect().await.unwrap()).await;
        cleanup::finish(Duration::from_secs(10)).await;
        result
    })
}

fn unknown(presence: &Presence) -> &str {
    match presence {
        Presence::Unknown(why) => why,
        other => panic!("{other:?} is not unknown"),
    }
}

fn nothing_is_left(test: &Test) {
    test.until("no pod of a probe is left", || {
        test.kubectl_here(&["get", "pods", "-l", "kubectl-flink/probe", "-o", "name"]).is_empty()
    });
}

/// Runs this in a pod that has the claim at /d, as Flink's user.
fn in_claim(test: &Test, script: &str) {
    let pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "fills"},
        "spec": {
            "restartPolicy": "Never", "securityContext": {"runAsUser": 9999},
            "containers": [{
                "name": "c", "image": "apache/flink:1.20.5", "command": ["bash", "-ec", script],
                "volumeMounts": [{"name": "d", "mountPath": "/d"}],
            }],
            "volumes": [{"name": "d", "persistentVolumeClaim": {"claimName": "flink-storage"}}],
        },
    });
    test.create(&pod.to_string());
    test.until("the files are there", || test.get("pod/fills")["status"]["phase"] == "Succeeded");
    test.kubectl_here(&["delete", "pod", "fills", "--wait=false"]);
}

#[test]
fn files_of_a_volume() {
    let Some(test) = Test::begin("files_of_a_volume", Needs::Pods) else { return };
    let test = test.with_namespace(&[]);
    let mut cluster = Cluster::of(&test, &["--ha-storage=pvc"]);
    let odd = "/flink-storage/ha/it's $(date) `x` $(POD_IP)";
    let script = "mkdir -p /d/ha /d/closed /d/read-only; touch /d/ha/there \"/d/ha/it's \\$(date) \\`x\\` \\$(POD_IP)\" /d/closed/x; \
                  ln -s /nowhere /d/ha/link; chmod 0 /d/closed; chmod 500 /d/read-only";
    in_claim(&test, script);

    let seen = cluster.look(
        &test,
        &[
            "file:/flink-storage/ha/there",
            odd,
            "/flink-storage/ha/gone",
            "file:///flink-storage/hb/gone",
            "/flink-storage/closed/x",
            "/flink-storage/ha/link",
            "/flink-storage/ha/there/x",
            "/tmp/pod-local",
        ],
    );
    test.say(&format!("{seen:#?}"));
    assert_eq!(seen["file:/flink-storage/ha/there"], Presence::There);
    assert_eq!(seen[odd], Presence::There);
    assert_eq!(seen["/flink-storage/ha/gone"], Presence::Gone);
    assert_eq!(seen["file:///flink-storage/hb/gone"], Presence::FolderGone);
    assert!(unknown(&seen["/flink-storage/closed/x"]).contains("Permission denied (as user 9999)"));
    assert!(unknown(&seen["/flink-storage/ha/link"]).contains("symbolic link"));
    assert!(unknown(&seen["/flink-storage/ha/there/x"]).contains("Not a directory"));
    assert!(unknown(&seen["/tmp/pod-local"]).contains("pod-local"));

    test.say("what two pods share");
    assert_eq!(cluster.share(&test, "file:///flink-storage/ha"), Sharing::Shared { left: None });
    let Sharing::Failed { step: Step::Write, why } = cluster.share(&test, "file:///flink-storage/read-only") else {
        panic!("nobody may write there")
    };
    assert!(why.contains("Permission denied (as user 9999)"), "{why}");
    assert!(matches!(cluster.share(&test, "/tmp/ha"), Sharing::NotShared { .. }));
    let volumes = cluster.taskmanager.template.spec.as_mut().unwrap().volumes.as_mut().unwrap();
    for volume in volumes.iter_mut().filter(|volume| volume.persistent_volume_claim.is_some()) {
        volume.persistent_volume_claim.as_mut().unwrap().claim_name = "other".to_owned();
    }
    test.create(
        &json!({
            "apiVersion": "v1", "kind": "PersistentVolumeClaim", "metadata": {"name": "other"},
            "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
        })
        .to_string(),
    );
    assert!(matches!(cluster.share(&test, "/flink-storage/ha"), Sharing::NotShared { .. }));
    nothing_is_left(&test);
    let Presence::Gone = cluster.look(&test, &["/flink-storage/read-only/x"])["/flink-storage/read-only/x"] else {
        panic!("it was not written")
    };

    test.say("a pod that cannot run is an answer for each path");
    let spec = cluster.jobmanager.template.spec.as_mut().unwrap();
    spec.containers[0].image = Some("no.such.registry/flink:1.20.5".to_owned());
    let seen = cluster.look(&test, &["/flink-storage/ha/there"]);
    assert!(unknown(&seen["/flink-storage/ha/there"]).contains("image"), "{seen:?}");
    let spec = cluster.jobmanager.template.spec.as_mut().unwrap();
    spec.node_selector = Some(BTreeMap::from([("no".to_owned(), "node".to_owned())]));
    let seen = cluster.look(&test, &["/flink-storage/ha/there"]);
    assert!(unknown(&seen["/flink-storage/ha/there"]).contains("Unschedulable"), "{seen:?}");
    nothing_is_left(&test);
}

#[test]
fn what_a_probe_takes_of_its_user() {
    let Some(test) = Test::begin("what_a_probe_takes_of_its_user", Needs::Pods) else { return };
    let test = test.with_namespace(&[]);
    let mut cluster = Cluster::of(&test, &["--ha-storage=pvc"]);
    let ann = ConnectionArgs { as_user: Some("ann".to_owned()), ..test.connection_args() };
    let error = cluster.look_as(&ann, &["/flink-storage/x"]).unwrap_err();
    assert!(error.message.contains("create pods, delete pods, get pods"), "{error}");

    test.say("the termination message does for whoever may not read logs");
    test.kubectl_here(&["create", "role", "probes", "--verb=create,get,delete", "--resource=pods"]);
    test.kubectl_here(&["create", "rolebinding", "probes", "--role=probes", "--user=ann"]);
    let seen = cluster.look_as(&ann, &["/flink-storage/x"]).unwrap();
    assert_eq!(seen["/flink-storage/x"], Presence::Gone);

    test.say("a pod that is refused is an error, in the server's words");
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none"}, "spec": {"hard": {"pods": "0"}},
    });
    test.create(&quota.to_string());
    test.until("the quota counts", || !test.get("resourcequota/none")["status"]["hard"].is_null());
    let error = cluster.look_as(&ann, &["/flink-storage/x"]).unwrap_err();
    assert!(error.message.contains("exceeded quota"), "{error}");
    test.kubectl_here(&["delete", "resourcequota", "none"]);
    cluster.jobmanager.template.spec.as_mut().unwrap().service_account_name = Some("nobody".to_owned());
    let error = cluster.look_as(&ann, &["/flink-storage/x"]).unwrap_err();
    assert!(error.message.contains("nobody"), "{error}");
    nothing_is_left(&test);
}

/// The test bed's S3 server, from the machine.
struct S3 {
    url: String,
    user: String,
}

impl S3 {
    fn of(test: &Test) -> Self {
        let text = test.bed(&["s3", "env"]);
        let value = |name: &str| {
            let line =
                text.lines().find_map(|line| line.trim_start_matches("export ").strip_prefix(&format!("{name}=")));
            // A comment may follow.
            let value = line.and_then(|line| line.split_whitespace().next());
            value.unwrap_or_else(|| panic!("no {name}:\n{text}")).trim_matches(['"', '\'']).to_owned()
        };
        let user = format!("{}:{}", value("AWS_ACCESS_KEY_ID"), value("AWS_SECRET_ACCESS_KEY"));
        S3 { url: value("AWS_ENDPOINT_URL"), user }
    }

    fn ask(&self, arguments: &[&str], path: &str) -> Run {
        let sign = ["-sS", "--fail", "--noproxy", "*", "--aws-sigv4", "aws:amz:us-east-1:s3", "--user", &self.user];
        let run = Run::of(Command::new("curl").args(sign).args(arguments).arg(format!("{}/{path}", self.url)));
        run.ok()
    }
}

#[test]
fn files_in_s3() {
    let Some(test) = Test::begin("files_in_s3", Needs::Bed) else { return };
    let test = test.with_namespace(&[]);
    let options = test.s3();
    let options: Vec<&str> = options.iter().map(String::as_str).collect();
    let s3 = S3::of(&test);
    // curl signs only what it is told of the body.
    let put = ["-X", "PUT", "-H", "x-amz-content-sha256: UNSIGNED-PAYLOAD", "--data-binary", "x"];
    s3.ask(&put, &format!("flink/{}/ha/there", test.namespace));
    test.kubectl_here(&[
        "create",
        "secret",
        "generic",
        "bad",
        "--from-literal=AWS_ACCESS_KEY_ID=nobody",
        "--from-literal=AWS_SECRET_ACCESS_KEY=certainly-wrong",
    ]);
    // Flink has two plugins for S3, which differ in nearly all that they say.
    for (version, scheme) in [("1.16.3", "s3"), ("1.20.5", "s3"), ("1.20.5", "s3a"), ("2.3.0", "s3"), ("2.3.0", "s3a")]
    {
        let path = |path: &str| format!("{scheme}://flink/{}/{path}", test.namespace);
        let (there, gone, folder_gone) = (path("ha/there"), path("ha/gone"), path("hb/gone"));
        let elsewhere = format!("{scheme}://no-such-bucket/ha/x");
        let mut cluster = Cluster::of(
            &test,
            &[&options[..], &[&format!("--flink-version={version}"), &format!("--ha-storage={}", path(""))]].concat(),
        );
        let seen = cluster.look(&test, &[&there, &gone, &folder_gone, &elsewhere, "unheard-of://x/y"]);
        test.say(&format!("{version} {scheme} {seen:#?}"));
        assert_eq!(seen[&there], Presence::There, "{seen:?}");
        assert_eq!(seen[&gone], Presence::Gone, "{seen:?}");
        assert_eq!(seen[&folder_gone], Presence::FolderGone, "{seen:?}");
        assert!(matches!(seen[&elsewhere], Presence::Unknown(_) | Presence::FolderGone), "{seen:?}");
        assert!(unknown(&seen["unheard-of://x/y"]).contains("UnsupportedFileSystemScheme"), "{seen:?}");

        assert_eq!(cluster.share(&test, &path("ha")), Sharing::Shared { left: None });

        for environment in
            cluster.jobmanager.template.spec.as_mut().unwrap().containers[0].env_from.iter_mut().flatten()
        {
            environment.secret_ref.as_mut().unwrap().name = "bad".to_owned();
        }
        let seen = cluster.look(&test, &[&there, &gone, &folder_gone]);
        test.say(&format!("{version} {scheme} with wrong credentials {seen:#?}"));
        assert!(seen.values().all(|presence| !unknown(presence).contains("certainly-wrong")), "{seen:?}");
        let sharing = cluster.share(&test, &path("ha"));
        assert!(matches!(sharing, Sharing::Failed { step: Step::Write, .. }), "{sharing:?}");
    }
    nothing_is_left(&test);
    let list = s3.ask(&[], &format!("flink?list-type=2&prefix={}", test.namespace)).stdout;
    assert_eq!(list.matches("<Key>").count(), 1, "{list}");
}

#[test]
fn up_starts_nothing_on_storage_that_does_not_work() {
    let Some(test) = Test::begin("up_starts_nothing_on_storage_that_does_not_work", Needs::Bed) else { return };
    let test = test.with_namespace(&[]);
    test.s3();
    let s3 = |endpoint| {
        ["up", "--probe", "--wait=false", "--ha-storage=s3://flink/up", "--env-from-secret=s3", endpoint]
            .into_iter()
            .chain(["-Ds3.path.style.access=true"])
            .chain(SMALL)
            .collect::<Vec<_>>()
    };
    test.say("broken off, it leaves no pod");
    let mut child = test.command(&s3("-Ds3.endpoint=http://127.0.0.1:1")).stderr(Stdio::piped()).spawn().unwrap();
    test.until("its pod runs", || {
        let pods = test.list("pods");
        pods.iter().any(|pod| pod["status"]["phase"] == "Running")
    });
    assert!(Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap().success());
    assert_eq!(child.wait().unwrap().code(), Some(130));
    nothing_is_left(&test);

    test.say("storage that refuses");
    test.kubectl_here(&[
        "patch",
        "secret",
        "s3",
        "-p",
        r#"{"stringData":{"AWS_SECRET_ACCESS_KEY":"certainly-wrong"}}"#,
    ]);
    let run = test.flink(&s3("-Ds3.endpoint=http://s3.testbed.svc:9000")).exits(1);
    let run = run.says(&["writing as the JobManager has failed", "Run the same command again"]);
    run.keeps_silent_about(&["certainly-wrong"]);
    assert!(test.list("deployments").is_empty());

    test.say("and storage that works, with a volume that is made for its first pod");
    let run =
        test.flink(&[&["up", "--probe", "--reset", "--wait=false", "--ha-storage=pvc"], &SMALL[..]].concat()).ok();
    run.says(&["what the JobManager writes the TaskManagers read", "05_jobmanager-session.yaml"]);
    let names: Vec<Value> = test.list("deployments").iter().map(|object| object["metadata"]["name"].clone()).collect();
    assert_eq!(names, ["flink-jobmanager", "flink-taskmanager"]);
    nothing_is_left(&test);
}
