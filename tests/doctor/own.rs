//! What `render` and `up` make: no finding in it, and each mistake made in it found, alone.

use std::collections::BTreeSet;

use kubectl_flink::doctor::place;
use kubectl_flink::doctor::snapshot::SourceFile;
use kubectl_flink::manifests::options::Options;
use kubectl_flink::manifests::session_ha::Profile;

use crate::fixtures::Run;

/// The latest patch release of each minor version that this program knows.
const VERSIONS: [&str; 9] = ["1.16", "1.17", "1.18", "1.19", "1.20", "2.0", "2.1", "2.2", "2.3"];

/// Each option with the values that are tried; a value is the flags of a command line.
const VALUES: [(&str, &[&str]); 21] = [
    ("image", &["--image apache/flink:1.20.4", "--image registry:5000/team/flink:2.2.0-scala_2.12-java17"]),
    (
        "image of one role",
        &["--jobmanager-image apache/flink:1.20.5-java17 --taskmanager-image apache/flink:1.20.5-java17"],
    ),
    ("jobmanagers", &["--jobmanagers 2", "--jobmanagers 3"]),
    ("taskmanagers", &["--taskmanagers 1", "--taskmanagers 40"]),
    ("slots", &["--slots 1", "--slots 8"]),
    ("parallelism", &["--parallelism 1", "--parallelism 4", "--parallelism 9", "--parallelism 300"]),
    ("jobmanager memory", &["--jobmanager-memory 1g", "--jobmanager-memory 8gb", "--jobmanager-memory 1100m"]),
    ("taskmanager memory", &["--taskmanager-memory 1g", "--taskmanager-memory 16gb"]),
    ("jobmanager cpu", &["--jobmanager-cpu 0.5", "--jobmanager-cpu 2"]),
    ("taskmanager cpu", &["--taskmanager-cpu 100m", "--taskmanager-cpu 4"]),
    (
        "storage",
        &[
            "--ha-storage s3://bucket/flink",
            "--ha-storage s3p://bucket/flink",
            "--ha-storage s3a://bucket/flink",
            "--ha-storage gs://bucket/flink",
            "--ha-storage abfs://c@account.dfs.core.windows.net/flink",
            "--ha-storage abfss://c@account.dfs.core.windows.net/flink",
            "--ha-storage wasb://c@account.blob.core.windows.net/flink",
            "--ha-storage wasbs://c@account.blob.core.windows.net/flink",
            "--ha-storage oss://bucket/flink",
            "--ha-storage hdfs://namenode:8020/flink",
            "--ha-storage pvc",
            "--ha-storage pvc:shared",
            "--ha-storage host-path:/var/lib/flink",
            "--ha-storage pod-local",
        ],
    ),
    ("env from secret", &["--env-from-secret s3-keys", "--env-from-secret s3-keys --env-from-secret other.keys"]),
    ("expose", &["--expose cluster-ip", "--expose node-port", "--expose node-port=31081", "--expose load-balancer"]),
    (
        "service account",
        &[
            "--service-account flink",
            "--service-account flink --taskmanager-service-account workers",
            "--taskmanager-service-account workers",
        ],
    ),
    ("pull secret", &["--pull-secret registry", "--pull-secret registry --pull-secret mirror"]),
    (
        "node selector",
        &["--node-selector disk=ssd", "--node-selector disk=ssd --node-selector kubernetes.io/arch=arm64"],
    ),
    ("toleration", &["--toleration flink", "--toleration team=data:NoSchedule --toleration spot:NoExecute"]),
    ("label", &["--label team=data", "--label team=data --label cost=7"]),
    ("annotation", &["--annotation team=data", "--annotation note=yes --annotation on-call=a,b"]),
    (
        "ports",
        &[
            "-D rest.port=8082",
            "-D rest.bind-port=8083",
            "-D rest.port=8082 -D rest.bind-port=8083",
            "-D blob.server.port=6200",
            "-D jobmanager.rpc.port=6200",
            "-D taskmanager.rpc.port=6200",
            "-D queryable-state.proxy.ports=9999",
            "-D jobmanager.rpc.bind-port=6200",
            "-D taskmanager.rpc.bind-port=6200",
            "-D rest.bind-port=8081-8089",
            "-D blob.server.port=6200-6210",
            "-D taskmanager.rpc.port=50100-50200",
        ],
    ),
    // Not here: what a finding is right about, as nobody can have asked for it (an endpoint without path style, reactive
    // mode in a session cluster, managed memory for the hashmap backend).
    (
        "Flink options",
        &[
            "-D s3.access-key=AKIAEXAMPLE -D s3.secret-key=secret",
            "-D fs.azure.account.key.a.blob.core.windows.net=k",
            "-D some.password=x",
            "-D state.checkpoints.dir=s3://other/checkpoints",
            "-D execution.checkpointing.dir=s3a://other/checkpoints",
            "-D state.savepoints.dir=gs://other/savepoints",
            "-D high-availability.storageDir=s3://other/ha",
            "-D restart-strategy=fixed-delay",
            "-D restart-strategy.type=exponential-delay",
            "-D security.ssl.rest.enabled=true",
            "-D execution.checkpointing.interval=1min",
            "-D taskmanager.memory.managed.fraction=0.2",
            "-D jobmanager.scheduler=adaptive",
            "-D state.backend=rocksdb",
            "-D state.backend.type=rocksdb",
            "-D state.backend.type=hashmap -D taskmanager.memory.managed.fraction=0.1",
            "-D web.submit.enable=false",
            "-D s3.endpoint=http://minio:9000 -D s3.path.style.access=true",
            "-D high-availability.kubernetes.leader-election.lease-duration=30s",
            "-D heartbeat.timeout=60000",
            "-D env.java.opts.all=-Dx=y",
            "-D env.java.opts=-Dx=y",
            "-D jobstore.max-capacity=100",
            "-D historyserver.archive.fs.dir=file:///flink-storage/archive",
        ],
    ),
];

/// Options that say something about each other.
const PAIRS: [&str; 26] = [
    "--jobmanagers 2 --ha-storage s3://bucket/flink",
    "--jobmanagers 3 --ha-storage pvc",
    "--jobmanagers 2 --ha-storage pvc:shared",
    "--jobmanagers 2 --ha-storage pod-local",
    "--jobmanagers 2 --ha-storage host-path:/data --node-selector kubernetes.io/hostname=one",
    "--ha-storage pod-local -D execution.checkpointing.dir=s3://bucket/checkpoints",
    "--ha-storage pod-local -D state.checkpoints.dir=s3://bucket/checkpoints --flink-version 1.18",
    "--ha-storage pod-local -D high-availability.storageDir=s3://bucket/ha",
    "--ha-storage s3://bucket/flink -D state.savepoints.dir=s3a://other/savepoints",
    "--ha-storage s3://bucket/flink --env-from-secret s3-keys -D s3.endpoint=http://minio:9000 -D s3.path.style.access=true",
    "--parallelism 9 --slots 5",
    "--parallelism 9 --taskmanagers 5",
    "--parallelism 9 -D jobmanager.scheduler=adaptive",
    "--parallelism 9 -D execution.runtime-mode=BATCH",
    "-D parallelism.default=9",
    "--expose node-port -D web.submit.enable=false",
    "--expose load-balancer -D security.ssl.rest.enabled=true",
    "--expose load-balancer -D security.ssl.rest.enabled=true -D security.ssl.rest.authentication-enabled=true",
    "--image apache/flink:1.18.1 --expose node-port",
    "--image apache/flink:1.17",
    "--image team/orders:1.17.3 --flink-version 1.18",
    "--image team/orders@sha256:0000000000000000000000000000000000000000000000000000000000000000 --flink-version 1.16",
    "--service-account flink --expose load-balancer",
    "--jobmanager-memory 4g --taskmanager-memory 32g --slots 16 --parallelism 32",
    "--flink-version 2.0 -D state.backend=hashmap -D taskmanager.memory.managed.fraction=0",
    "--flink-version 1.18 -D rest.port=8082 -D s3.secret-key=x -D state.backend=rocksdb --parallelism 7 --ha-storage pod-local",
];

/// The profile with the flags of a command line.
fn profile(flags: &str) -> Profile {
    use clap::{Args, Command, FromArgMatches};

    let command = Options::augment_args(Command::new("own").no_binary_name(true));
    let matches = command.try_get_matches_from(flags.split_whitespace()).unwrap_or_else(|e| panic!("{flags}: {e}"));
    let options = Options::from_arg_matches(&matches).unwrap();
    Profile::by_default("flink", "flink", options.normalized().unwrap_or_else(|e| panic!("{flags}: {e}")))
}

/// The files of a profile, as `render` writes them.
fn files(flags: &str) -> Vec<SourceFile> {
    let files = profile(flags).files().unwrap_or_else(|e| panic!("{flags}: {e}"));
    files.iter().map(|file| SourceFile::new(&file.name, file.to_yaml().unwrap())).collect()
}

/// What nobody accepted, with where it is.
fn findings(files: Vec<SourceFile>) -> Vec<String> {
    let run = Run::new(files, false);
    let at = |finding: &kubectl_flink::doctor::finding::Finding| {
        let at = place::locate(&run.snapshot, &finding.place);
        format!(
            "{} {}:{} {}",
            finding.rule.code,
            at.file.unwrap_or_default(),
            at.line.unwrap_or_default(),
            finding.message
        )
    };
    run.findings().map(at).collect()
}

#[test]
fn no_finding_in_what_is_made() {
    let singles: Vec<&str> = VALUES.iter().flat_map(|(_, values)| values.iter().copied()).collect();
    let mut lines: Vec<String> = singles.iter().map(|&flags| flags.to_owned()).collect();
    lines.push(String::new());
    // Every version with every storage and with standbys.
    for version in VERSIONS {
        for storage in VALUES.iter().find(|(name, _)| *name == "storage").unwrap().1 {
            lines.push(format!("--flink-version {version} {storage}"));
        }
        for flags in
            ["", "--jobmanagers 2", "--parallelism 9", "--expose node-port", "-D rest.port=8082", "-D s3.secret-key=x"]
        {
            lines.push(format!("--flink-version {version} {flags}"));
        }
    }
    for pair in PAIRS {
        lines.push(pair.to_owned());
    }
    let mut wrong = BTreeSet::new();
    for flags in &lines {
        for finding in findings(files(flags)) {
            wrong.insert(format!("{flags}: {finding}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.into_iter().collect::<Vec<_>>().join("\n"));
}
