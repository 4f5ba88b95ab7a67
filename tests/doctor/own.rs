//! What `render` and `up` make: no finding in it, and each mistake made in it found, alone.

use std::collections::BTreeSet;

use kubectl_flink::doctor::place;
use kubectl_flink::doctor::snapshot::SourceFile;
use kubectl_flink::manifests::options::Options;
use kubectl_flink::manifests::session_ha::Profile;

use serde_json::{Value, json};

use crate::fixtures::Run;

/// The latest patch release of each minor version that this program knows.
const VERSIONS: [&str; 9] = ["1.16", "1.17", "1.18", "1.19", "1.20", "2.0", "2.1", "2.2", "2.3"];

/// Each option with the values that are tried; a value is the flags of a command line.
const VALUES: [(&str, &[&str]); 21] = [
    ("image", &["--image apache/flink:1.20.4", "--image registry:5000/team/flink:2.2.0-scala_2.12-java17"]),
    (
        "image of one role",
        &[
            "--jobmanager-image apache/flink:1.20.5-java17 --taskmanager-image apache/flink:1.20.5-java17",
            "--jobmanager-image team/flink:2.2.1 --taskmanager-image team/flink:2.2.1",
        ],
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

/// An edit: the number of the file, the text, which has to be there, and what takes its place, everywhere.
type Replace = (&'static str, &'static str, &'static str);

/// A mistake: the one code that has to be found, the flags of what it is made in, the edits.
type Break = (&'static str, &'static str, &'static [Replace]);

const S3: &str = "--ha-storage s3://bucket/flink --jobmanagers 2 --env-from-secret s3-keys";
const BUCKET: &str = "--ha-storage s3://bucket/flink";
const CONFIG: &str = "  config.yaml: |\n";

/// Each rule that can find something in these files, at least once.
#[rustfmt::skip]
const BREAKS: &[Break] = &[
    ("FLK001", "", &[("04", "spec:\n", "spec: [\n")]),
    ("FLK002", "", &[("05", "  replicas: 1\n", "  replicas: 1\n  replicas: 1\n")]),
    ("FLK003", "", &[("01", "  name: flink\n", "  name: flink\n---\napiVersion: v1\nkind: ServiceAccount\nmetadata:\n  name: flink-taskmanager\n  namespace: flink\n")]),
    ("FLK004", "", &[("04", "metadata:\n  labels:", "metadata:\n  annotations:\n    kubectl-flink/ignore.FLK308: nobody exposes it\n  labels:")]),
    ("FLK005", "", &[("04", "metadata:\n  labels:", "metadata:\n  annotations:\n    kubectl-flink/ignore.FLK399: no such rule\n  labels:")]),
    ("FLK101", "", &[("02", "  name: flink-taskmanager\n  namespace: flink\nroleRef", "  name: flink-taskmanager\n  namespace: default\nroleRef")]),
    ("FLK101", "", &[("02", "  name: flink-jobmanager\n  namespace: flink\nroleRef", "  name: flink-jobmanager\n  namespace: default\nroleRef")]),
    ("FLK102", "", &[("02", "kind: Role\n  name: flink-taskmanager", "kind: Role\n  name: flink-taskmanagers")]),
    ("FLK102", "", &[("02", "kind: Role\n  name: flink-jobmanager", "kind: ClusterRole\n  name: flink-jobmanager")]),
    ("FLK103", "", &[("02", "- kind: ServiceAccount\n  name: flink-taskmanager", "- kind: ServiceAccount\n  name: flink")]),
    ("FLK103", S3, &[("02", "- kind: ServiceAccount\n  name: flink-jobmanager\n  namespace: flink", "- kind: ServiceAccount\n  name: flink-jobmanager\n  namespace: default")]),
    ("FLK104", "", &[("02", "  annotations:\n    kubectl-flink/ignore.FLK104: lock is no verb of Kubernetes; with it only a cluster-admin could apply this file\n", "")]),
    ("FLK105", "", &[("02", "  - patch\n", "")]),
    ("FLK105", "", &[("02", "  - create\n  - update\n", "")]),
    ("FLK106", "", &[("02", "  - watch\n---\napiVersion: rbac", "---\napiVersion: rbac")]),
    ("FLK107", "", &[("03", "kubernetes.namespace: flink\n", "kubernetes.namespace: other\n")]),
    ("FLK107", "", &[("03", "    kubernetes.namespace: flink\n", "")]),
    ("FLK109", "", &[("05", "      serviceAccountName:", "      automountServiceAccountToken: false\n      serviceAccountName:")]),
    ("FLK109", "", &[("06", "      serviceAccountName:", "      automountServiceAccountToken: false\n      serviceAccountName:")]),
    ("FLK110", "", &[("02", "kind: Role\n  name: flink-taskmanager", "kind: ClusterRole\n  name: cluster-admin")]),
    ("FLK112", "", &[("02", "  - configmaps\n  verbs:\n  - get\n  - list\n  - watch\n  - create", "  - configmaps\n  - endpoints\n  verbs:\n  - get\n  - list\n  - watch\n  - create")]),
    ("FLK113", "", &[("02", "  - delete\n", "  - delete\n  - remove\n")]),
    ("FLK201", "", &[("03", "    high-availability.storageDir: file:///flink-storage/ha\n", "")]),
    ("FLK202", "", &[("03", "    kubernetes.cluster-id: flink\n", "")]),
    ("FLK203", "", &[("03", "file:///flink-storage/ha", "file:///tmp/ha")]),
    ("FLK204", "", &[("03", "file:///flink-storage/checkpoints", "file:///tmp/checkpoints")]),
    ("FLK204", "", &[("03", "    execution.checkpointing.dir: file:///flink-storage/checkpoints\n", "")]),
    ("FLK205", S3, &[("03", "high-availability.type: kubernetes", "high-availability.type: none")]),
    ("FLK206", "--ha-storage s3://bucket/flink --jobmanagers 2", &[("05", "        - $(POD_IP)\n", "")]),
    ("FLK207", "", &[("05", "        env:\n        - name: POD_IP\n          valueFrom:\n            fieldRef:\n              fieldPath: status.podIP\n", "")]),
    ("FLK211", "", &[("03", "kubernetes.cluster-id: flink\n", "kubernetes.cluster-id: Flink_1\n")]),
    ("FLK213", "", &[("03", "high-availability.type: kubernetes", "high-availability: kubernetes")]),
    ("FLK214", "", &[("03", "high-availability.type: kubernetes", "high-availability.type: kubernets")]),
    ("FLK215", "", &[("03", "    high-availability.type: kubernetes\n", "")]),
    ("FLK216", BUCKET, &[("05", "        - name: ENABLE_BUILT_IN_PLUGINS\n          value: flink-s3-fs-presto-1.20.5.jar\n", ""), ("06", "        env:\n        - name: ENABLE_BUILT_IN_PLUGINS\n          value: flink-s3-fs-presto-1.20.5.jar\n", "")]),
    ("FLK217", BUCKET, &[("05", "presto-1.20.5.jar", "presto-1.20.4.jar")]),
    ("FLK217", BUCKET, &[("05", "presto-1.20.5.jar", "presto-1.20.4.jar"), ("06", "presto-1.20.5.jar", "presto-1.20.4.jar")]),
    ("FLK218", BUCKET, &[("06", "        env:\n        - name: ENABLE_BUILT_IN_PLUGINS\n          value: flink-s3-fs-presto-1.20.5.jar\n", "")]),
    ("FLK218", BUCKET, &[("05", "        - name: ENABLE_BUILT_IN_PLUGINS\n          value: flink-s3-fs-presto-1.20.5.jar\n", "")]),
    ("FLK219", S3, &[("03", CONFIG, "  config.yaml: |\n    s3.endpoint: http://minio:9000\n")]),
    ("FLK220", "", &[("06", "      affinity:\n        podAffinity:\n          requiredDuringSchedulingIgnoredDuringExecution:\n          - labelSelector:\n              matchLabels:\n                app.kubernetes.io/instance: flink\n                app.kubernetes.io/name: flink\n            topologyKey: kubernetes.io/hostname\n", "")]),
    ("FLK221", "", &[("05", "        fsGroup: 9999\n", "")]),
    ("FLK222", "", &[("03", "renew-deadline: 5 s", "renew-deadline: 8 s")]),
    ("FLK223", "--flink-version 1.18", &[("05", "    kubectl-flink/ignore.FLK223: \"asked for: --flink-version 1.18.1\"\n", "")]),
    ("FLK230", S3, &[("05", "      topologySpreadConstraints:\n      - labelSelector:\n          matchLabels:\n            app.kubernetes.io/component: jobmanager\n            app.kubernetes.io/instance: flink\n            app.kubernetes.io/name: flink\n        maxSkew: 1\n        topologyKey: kubernetes.io/hostname\n        whenUnsatisfiable: ScheduleAnyway\n", "")]),
    ("FLK231", S3, &[("03", CONFIG, "  config.yaml: |\n    s3.secret-key: secret\n")]),
    ("FLK301", "", &[("03", "rest.port: 8081", "rest.port: 8082")]),
    ("FLK301", "", &[("03", "blob.server.port: 6124", "blob.server.port: 6134")]),
    ("FLK301", "", &[("03", "    jobmanager.rpc.port: 6123", "    jobmanager.rpc.port: 6133")]),
    ("FLK301", "", &[("03", "taskmanager.rpc.port: 6122", "taskmanager.rpc.port: 6132")]),
    ("FLK301", "", &[("03", "    taskmanager.rpc.port: 6122\n", "")]),
    ("FLK301", "", &[("04", "targetPort: webui", "targetPort: 8082")]),
    ("FLK301", "", &[("04", "targetPort: blob-server", "targetPort: blob")]),
    ("FLK301", "", &[("05", "containerPort: 6123", "containerPort: 6133")]),
    ("FLK302", "", &[("04", "targetPort: blob-server\n  selector:\n    app.kubernetes.io/component: jobmanager\n", "targetPort: blob-server\n  selector:\n    app.kubernetes.io/component: job-manager\n")]),
    ("FLK307", "", &[("05", "      annotations:\n", "      annotations:\n        sidecar.istio.io/inject: \"true\"\n"), ("05", "- containerPort: 6123\n          name: rpc", "- containerPort: 6123\n          name: rpc")]),
    ("FLK308", "", &[("04", "sessionAffinity: ClientIP\n  type: ClusterIP", "sessionAffinity: ClientIP\n  type: LoadBalancer")]),
    ("FLK308", "", &[("04", "sessionAffinity: ClientIP\n  type: ClusterIP", "sessionAffinity: ClientIP\n  type: NodePort")]),
    ("FLK309", S3, &[("04", "  sessionAffinity: ClientIP\n", "")]),
    ("FLK310", "", &[("05", "        startupProbe:\n          failureThreshold: 150\n          periodSeconds: 2\n          tcpSocket:\n            port: rpc\n", ""), ("05", "periodSeconds: 20", "periodSeconds: 5")]),
    ("FLK311", "", &[("03", CONFIG, "  config.yaml: |\n    security.ssl.rest.enabled: true\n")]),
    ("FLK312", "", &[("03", CONFIG, "  config.yaml: |\n    rest.flamegraph.enabled: true\n")]),
    ("FLK401", "", &[("03", "jobmanager.memory.process.size: 1600m", "jobmanager.memory.process.size: 2g")]),
    ("FLK401", "", &[("06", "limits:\n            memory: 1728Mi", "limits:\n            memory: 1024Mi"), ("06", "            memory: 1728Mi", "            memory: 1024Mi")]),
    ("FLK402", "", &[("03", "taskmanager.memory.process.size: 1728m", "taskmanager.memory.flink.size: 1728m")]),
    ("FLK403", "", &[("03", "    taskmanager.memory.process.size: 1728m\n", "")]),
    ("FLK403", "", &[("03", "    jobmanager.memory.process.size: 1600m\n", "")]),
    ("FLK404", "", &[("03", "taskmanager.memory.process.size: 1728m", "taskmanager.memory.process.size: 400m")]),
    ("FLK407", "", &[("05", "limits:\n            memory: 1600Mi", "limits:\n            cpu: 100m\n            memory: 1600Mi")]),
    ("FLK407", "", &[("06", "cpu: 200m", "cpu: 200 m")]),
    ("FLK408", "", &[("03", "parallelism.default: 2", "parallelism.default: 5")]),
    ("FLK408", "", &[("06", "replicas: 2", "replicas: 0"), ("06", "replicas: 0", "replicas: 1"), ("03", "numberOfTaskSlots: 2", "numberOfTaskSlots: 1")]),
    ("FLK410", "", &[("03", CONFIG, "  config.yaml: |\n    state.backend.type: hashmap\n")]),
    ("FLK411", "", &[("03", CONFIG, "  config.yaml: |\n    scheduler-mode: reactive\n")]),
    ("FLK412", "", &[("03", "taskmanager.memory.process.size: 1728m", "taskmanager.memory.process.size: 1728Mi")]),
    ("FLK501", "", &[("03", "appender.console.name = ConsoleAppender\n", "appender.console.name = ConsoleAppender \n")]),
    ("FLK502", "", &[("03", "log4j-console.properties", "log4j.properties")]),
    ("FLK504", "", &[("03", CONFIG, "  flink-config.yaml: |\n")]),
    ("FLK503", "", &[("03", " rootLogger.", " log4j.rootLogger."), ("03", " appender.", " log4j.appender."), ("03", " logger.", " log4j.logger.")]),
    ("FLK504", "--flink-version 2.1", &[("03", CONFIG, "  flink-conf.yaml: |\n")]),
    ("FLK504", "", &[("03", CONFIG, "  flink-conf.yml: |\n")]),
    ("FLK505", "", &[("03", CONFIG, "  flink-conf.yaml: |\n    rest.port: 8081\n  config.yaml: |\n")]),
    ("FLK506", "", &[("03", "rest.port: 8081", "rest.port : [8081")]),
    ("FLK506", "", &[("03", "    rest.port: 8081", "    rest.port 8081")]),
    ("FLK508", "", &[("03", "    rest.port: 8081", "    rest.port: 8081\n    rest.port: 8081")]),
    ("FLK509", "--flink-version 1.18", &[("03", "    rest.port: 8081", "    rest.port: 8081\n    heartbeat.rpc-failure-threshold:2")]),
    ("FLK510", "", &[("03", CONFIG, "  config.yaml: |\n    web.submit.enable: off\n")]),
    ("FLK510", "--flink-version 1.18", &[("03", "heartbeat.timeout: 15000", "heartbeat.timeout: \"15000\"")]),
    ("FLK511", "", &[("05", "        env:\n", "        env:\n        - name: FLINK_PROPERTIES\n          value: \"web.timeout: 5000\"\n")]),
    ("FLK513", "", &[("05", "runAsUser: 9999", "runAsUser: 0"), ("05", "          runAsNonRoot: true\n", ""), ("05", "        runAsNonRoot: true\n", "")]),
    ("FLK514", "", &[("05", "apache/flink:1.20.5", "apache/flink:latest"), ("06", "apache/flink:1.20.5", "apache/flink:latest")]),
    ("FLK514", "", &[("06", "apache/flink:1.20.5", "apache/flink")]),
    ("FLK515", "", &[("06", "apache/flink:1.20.5", "apache/flink:1.19.3")]),
    ("FLK515", "", &[("05", "apache/flink:1.20.5", "apache/flink:1.20.4")]),
    ("FLK516", "", &[("03", "restart-strategy.type: fixed-delay", "restart-strategy.type: none")]),
    ("FLK405", "--flink-version 2.0", &[("03", CONFIG, "  config.yaml: |\n    taskmanager.network.numberOfBuffers: 2048\n")]),
    ("FLK517", "--flink-version 2.0", &[("03", CONFIG, "  config.yaml: |\n    cluster.evenly-spread-out-slots: true\n")]),
    ("FLK518", "", &[("03", "restart-strategy.type: fixed-delay", "restart-strategy: fixed-delay")]),
    ("FLK518", "", &[("03", "execution.checkpointing.dir:", "state.checkpoints.dir:")]),
    ("FLK519", "--image apache/flink:1.20.5-java17", &[("03", "    env.java.opts.all: ", "    # ")]),
    ("FLK520", "--flink-version 1.16", &[("03", "heartbeat.timeout: 15000", "heartbeat.timeout: 15 s")]),
    ("FLK521", "", &[("05", "      - configMap:\n", "      - configMap:\n          items:\n          - {key: config.yaml, path: config.yaml}\n          - {key: log4j-console.properties, path: log4j-console.properties}\n          - {key: masters, path: masters}\n")]),
    ("FLK522", "--flink-version 1.17", &[("05", "kubectl-flink/ignore.FLK522", "example.com/note")]),
    ("FLK523", "", &[("03", "taskmanager.numberOfTaskSlots", "taskmanager.numberOfTaskSlot")]),
    ("FLK523", "", &[("03", "heartbeat.interval:", "hearbeat.interval:")]),
];

fn broken(files: &[SourceFile], edits: &[Replace]) -> Vec<SourceFile> {
    let mut texts: Vec<(String, String)> = files.iter().map(|file| (file.name.clone(), file.text.clone())).collect();
    for (number, from, to) in edits {
        let (name, text) = texts.iter_mut().find(|(name, _)| name.starts_with(number)).unwrap();
        assert!(text.contains(from), "{name} has no {from:?}:\n{text}");
        *text = text.replace(from, to);
    }
    texts.into_iter().map(|(name, text)| SourceFile::new(name, text)).collect()
}

#[test]
fn each_mistake_is_found_alone() {
    let mut wrong = Vec::new();
    let mut rules = BTreeSet::new();
    for (code, flags, edits) in BREAKS {
        rules.insert(code);
        let found = findings(broken(&files(flags), edits));
        let codes: BTreeSet<&str> = found.iter().map(|finding| &finding[..6]).collect();
        if codes != BTreeSet::from([*code]) {
            wrong.push(format!("{code} {edits:?}:\n  {}", found.join("\n  ")));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(rules.len() >= 60, "{}", rules.len());
}

/// The same as `kubectl get -o json` would write it.
fn as_json(files: &[SourceFile]) -> Vec<SourceFile> {
    let documents = files.iter().flat_map(|file| serde_saphyr::from_multiple::<Value>(&file.text).unwrap());
    let items: Vec<Value> = documents.filter(|document| !document.is_null()).collect();
    let list = json!({"apiVersion": "v1", "kind": "List", "metadata": {"resourceVersion": ""}, "items": items});
    vec![SourceFile::new("all.json", serde_json::to_string_pretty(&list).unwrap())]
}

fn codes(files: Vec<SourceFile>) -> Vec<String> {
    let mut codes: Vec<String> = findings(files).iter().map(|finding| finding[..6].to_owned()).collect();
    codes.sort();
    codes
}

#[test]
fn json_has_the_same_findings() {
    let mut wrong = Vec::new();
    for (code, flags, edits) in BREAKS {
        // What another notation does not have: a document that cannot be read, a key that is there twice.
        if ["FLK001", "FLK002"].contains(code) {
            continue;
        }
        let yaml = broken(&files(flags), edits);
        let json = codes(as_json(&yaml));
        if codes(yaml) != json {
            wrong.push(format!("{code} {edits:?}: {json:?}"));
        }
    }
    for flags in PAIRS {
        let json = codes(as_json(&files(flags)));
        if !json.is_empty() {
            wrong.push(format!("{flags}: {json:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn ports_that_flink_would_choose_are_refused() {
    for option in ["rest.bind-port=0", "rest.port=0", "taskmanager.rpc.port=0", "blob.server.port=0", "rest.port=web"] {
        let error = profile(&format!("-D {option}")).files().unwrap_err();
        assert!(error.message.contains("need a port from 1 on"), "{option}: {error}");
    }
}

/// A new option has to be tried here too.
#[test]
fn every_option_is_tried() {
    let command = <Options as clap::Args>::augment_args(clap::Command::new("own"));
    let tried: String = VALUES.iter().flat_map(|(_, values)| values.iter().map(|value| format!("{value} "))).collect();
    for option in command.get_arguments().filter_map(clap::Arg::get_long).filter(|long| *long != "flink-version") {
        assert!(tried.matches(&format!("--{option} ")).count() >= 2, "--{option}");
    }
}
