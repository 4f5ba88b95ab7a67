//! What is refused before anything is sent: exit status 2, with the rule.

use crate::support::{Home, NoServer, refused};

#[test]
fn names() {
    let long = "a".repeat(46);
    let names = ["Flink", "a_b", "a.b", "1abc", "abc-", "-abc", "ä", "", &long, "kube system"];
    let lines: Vec<Vec<&str>> = names.iter().map(|name| vec!["up", name]).collect();
    let lines: Vec<&[&str]> = lines.iter().map(Vec::as_slice).collect();
    insta::assert_snapshot!(refused(&lines), @r#"
    $ up Flink
    error: invalid value 'Flink' for '[NAME]': "Flink" cannot be a cluster's name: it has 'F': only a-z, 0-9 and '-' may be in it
    $ up a_b
    error: invalid value 'a_b' for '[NAME]': "a_b" cannot be a cluster's name: it has '_': only a-z, 0-9 and '-' may be in it
    $ up a.b
    error: invalid value 'a.b' for '[NAME]': "a.b" cannot be a cluster's name: it has '.': only a-z, 0-9 and '-' may be in it
    $ up 1abc
    error: invalid value '1abc' for '[NAME]': "1abc" cannot be a cluster's name: it has to begin with a letter, because Services are named after it
    $ up abc-
    error: invalid value 'abc-' for '[NAME]': "abc-" cannot be a cluster's name: it must not end with '-'
    $ up -abc
    error: unexpected argument '-a' found

      tip: to pass '-a' as a value, use '-- -a'
    $ up ä
    error: invalid value 'ä' for '[NAME]': "ä" cannot be a cluster's name: it has 'ä': only a-z, 0-9 and '-' may be in it
    $ up 
    error: invalid value '' for '[NAME]': "" cannot be a cluster's name: it is empty
    $ up aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
    error: invalid value 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa' for '[NAME]': "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" cannot be a cluster's name: it has 46 characters, and Flink takes at most 45
    $ up kube system
    error: invalid value 'kube system' for '[NAME]': "kube system" cannot be a cluster's name: it has ' ': only a-z, 0-9 and '-' may be in it
    "#);
    insta::assert_snapshot!(refused(&[&["render", "Flink"]]), @r#"
    $ render Flink
    error: invalid value 'Flink' for '[NAME]': "Flink" cannot be a cluster's name: it has 'F': only a-z, 0-9 and '-' may be in it
    "#);
}

#[test]
fn numbers() {
    insta::assert_snapshot!(refused(&[
        &["up", "--taskmanagers", "0"],
        &["up", "--taskmanagers=-1"],
        &["up", "--taskmanagers", "two"],
        &["up", "--jobmanagers", "0"],
        &["up", "--slots", "0"],
        &["up", "--parallelism", "0"],
        &["up", "--jobmanager-cpu", "lots"],
        &["up", "--taskmanager-cpu", "0"],
        &["up", "--timeout", "soon"],
    ]), @r#"
    $ up --taskmanagers 0
    error: invalid value '0' for '--taskmanagers <N>': 0 is not in 1..=65535
    $ up --taskmanagers=-1
    error: invalid value '-1' for '--taskmanagers <N>': -1 is not in 1..=65535
    $ up --taskmanagers two
    error: invalid value 'two' for '--taskmanagers <N>': invalid digit found in string
    $ up --jobmanagers 0
    error: invalid value '0' for '--jobmanagers <N>': 0 is not in 1..=99
    $ up --slots 0
    error: invalid value '0' for '--slots <N>': 0 is not in 1..=65535
    $ up --parallelism 0
    error: invalid value '0' for '--parallelism <N>': 0 is not in 1..=65535
    $ up --jobmanager-cpu lots
    error: invalid value 'lots' for '--jobmanager-cpu <CPU>': "lots" is no CPU quantity: write 2, 0.5 or 200m
    $ up --taskmanager-cpu 0
    error: invalid value '0' for '--taskmanager-cpu <CPU>': "0" is no CPU quantity: write 2, 0.5 or 200m
    $ up --timeout soon
    error: invalid value 'soon' for '--timeout <DURATION>': "soon" is no duration: write 30s, 5m or 1h30m
    "#);
}

#[test]
fn memory() {
    insta::assert_snapshot!(refused(&[
        &["up", "--taskmanager-memory", "1.5GB"],
        &["up", "--taskmanager-memory", "1.5g"],
        &["up", "--taskmanager-memory", "2Gi"],
        &["up", "--jobmanager-memory", "lots"],
        &["up", "--jobmanager-memory", "99999999999g"],
        &["up", "--jobmanager-memory", "500m"],
        &["up", "--taskmanager-memory", "500m"],
        &["up", "-Djobmanager.memory.process.size=448m"],
        &["up", "-Dtaskmanager.memory.managed.size=2g"],
        &["render", "--taskmanager-memory", "500m"],
    ]), @r#"
    $ up --taskmanager-memory 1.5GB
    error: invalid value '1.5GB' for '--taskmanager-memory <SIZE>': "1.5GB" is no memory size that Flink reads: it takes whole numbers only; write 1600m or 2g
    $ up --taskmanager-memory 1.5g
    error: invalid value '1.5g' for '--taskmanager-memory <SIZE>': "1.5g" is no memory size that Flink reads: it takes whole numbers only; write 1600m or 2g
    $ up --taskmanager-memory 2Gi
    error: invalid value '2Gi' for '--taskmanager-memory <SIZE>': "2Gi" is no memory size that Flink reads: Flink has no Ki, Mi or Gi, its m and g mean the same; write 1600m or 2g
    $ up --jobmanager-memory lots
    error: invalid value 'lots' for '--jobmanager-memory <SIZE>': "lots" is no memory size that Flink reads: it has to begin with a whole number; write 1600m or 2g
    $ up --jobmanager-memory 99999999999g
    error: invalid value '99999999999g' for '--jobmanager-memory <SIZE>': "99999999999g" is no memory size that Flink reads: it is too large; write 1600m or 2g
    $ up --jobmanager-memory 500m
    error: Flink could not start: jobmanager.memory.process.size is 500m, which leaves 0m for the heap: at least 128m are needed, that is 704m in all
    $ up --taskmanager-memory 500m
    error: Flink could not start: taskmanager.memory.process.size is 500m, which leaves 52m for Flink; its framework heap (128m), framework off-heap (128m), managed (21m) and network memory (64m) need 341m: raise it (with Flink's defaults to 984m or more)
    $ up -Djobmanager.memory.process.size=448m
    error: Flink could not start: jobmanager.memory.process.size is 448m, but JVM metaspace (256m) and JVM overhead (192m) alone take 448m
    $ up -Dtaskmanager.memory.managed.size=2g
    error: Flink could not start: taskmanager.memory.process.size is 1728m, which leaves 1280m for Flink; its framework heap (128m), framework off-heap (128m), managed (2048m) and network memory (128m) need 2432m: raise it (with Flink's defaults to 984m or more)
    $ render --taskmanager-memory 500m
    error: Flink could not start: taskmanager.memory.process.size is 500m, which leaves 52m for Flink; its framework heap (128m), framework off-heap (128m), managed (21m) and network memory (64m) need 341m: raise it (with Flink's defaults to 984m or more)
    "#);
}

#[test]
fn versions_and_images() {
    insta::assert_snapshot!(refused(&[
        &["up", "--flink-version", "3.0"],
        &["up", "--flink-version", "1.15.4"],
        &["up", "--flink-version", "latest"],
        &["up", "--image", "mine:latest"],
        &["up", "--image", "example.com:5000/flink"],
    ]), @r#"
    $ up --flink-version 3.0
    error: invalid value '3.0' for '--flink-version <VERSION>': "3.0" is no Flink version that is known here: write 1.20 or 1.20.5; known are 1.16, 1.17, 1.18, 1.19, 1.20, 2.0, 2.1, 2.2, 2.3
    $ up --flink-version 1.15.4
    error: invalid value '1.15.4' for '--flink-version <VERSION>': "1.15.4" is no Flink version that is known here: write 1.20 or 1.20.5; known are 1.16, 1.17, 1.18, 1.19, 1.20, 2.0, 2.1, 2.2, 2.3
    $ up --flink-version latest
    error: invalid value 'latest' for '--flink-version <VERSION>': "latest" is no Flink version that is known here: write 1.20 or 1.20.5; known are 1.16, 1.17, 1.18, 1.19, 1.20, 2.0, 2.1, 2.2, 2.3
    $ up --image mine:latest
    error: the tag of image mine:latest does not tell which Flink version is in it
    hint: say it: --flink-version 1.20.5
    $ up --image example.com:5000/flink
    error: the tag of image example.com:5000/flink does not tell which Flink version is in it
    hint: say it: --flink-version 1.20.5
    "#);
}

#[test]
fn dynamic_options() {
    insta::assert_snapshot!(refused(&[
        &["up", "-D", "novalue"],
        &["up", "-D=x"],
        &["up", "-Dhas space=x"],
        &["up", "-Dkubernetes.cluster-id=x"],
        &["up", "-Dkubernetes.namespace=x"],
        &["up", "-Dhigh-availability.cluster-id=x"],
        &["up", "-Dhigh-availability.type=none"],
        &["up", "-Dhigh-availability=zookeeper"],
        &["up", "-Dparallelism.default=0"],
        &["up", "--slots=2", "-Dtaskmanager.numberOfTaskSlots=3"],
        &["up", "--taskmanager-memory=2g", "-Dtaskmanager.memory.process.size=3g"],
    ]), @r#"
    $ up -D novalue
    error: invalid value 'novalue' for '-D <KEY=VALUE>': "novalue" is not KEY=VALUE
    $ up -D=x
    error: invalid value 'x' for '-D <KEY=VALUE>': "x" is not KEY=VALUE
    $ up -Dhas space=x
    error: invalid value 'has space=x' for '-D <KEY=VALUE>': "has space" is no key: it has a blank in it
    $ up -Dkubernetes.cluster-id=x
    error: -D kubernetes.cluster-id=x cannot be set: it is the NAME of the cluster
    $ up -Dkubernetes.namespace=x
    error: -D kubernetes.namespace=x cannot be set: it is the namespace, see --namespace
    $ up -Dhigh-availability.cluster-id=x
    error: -D high-availability.cluster-id=x cannot be set: it is made of the namespace and the NAME of the cluster
    $ up -Dhigh-availability.type=none
    error: -D high-availability.type=none cannot be set: this profile is highly available through Kubernetes
    $ up -Dhigh-availability=zookeeper
    error: -D high-availability=zookeeper cannot be set: this profile is highly available through Kubernetes
    $ up -Dparallelism.default=0
    error: -D parallelism.default=0: it has to be a whole number from 1 on
    $ up --slots=2 -Dtaskmanager.numberOfTaskSlots=3
    error: -D taskmanager.numberOfTaskSlots=3 contradicts --slots 2
    $ up --taskmanager-memory=2g -Dtaskmanager.memory.process.size=3g
    error: -D taskmanager.memory.process.size=3g contradicts --taskmanager-memory 2048m
    "#);
}

#[test]
fn places() {
    insta::assert_snapshot!(refused(&[
        &["up", "--ha-storage", "nfs"],
        &["up", "--ha-storage", "s3:bucket"],
        &["up", "--ha-storage", "s3://"],
        &["up", "--ha-storage", "ftp://host/x"],
        &["up", "--ha-storage", "pvc:"],
        &["up", "--ha-storage", "host-path:data"],
        &["up", "--ha-storage", "host-path:/"],
        &["up", "--expose", "ingress"],
        &["up", "--expose", "node-port=0"],
        &["up", "--expose", "node-port=high"],
        &["up", "--node-selector", "zone"],
        &["up", "--toleration", ":NoSchedule"],
        &["up", "--toleration", "a=b:Never"],
        &["up", "--label", "team"],
        &["up", "--label", "app.kubernetes.io/name=x"],
    ]), @r#"
    $ up --ha-storage nfs
    error: invalid value 'nfs' for '--ha-storage <STORAGE>': "nfs" is no storage: write s3://BUCKET/FOLDER (or gs, abfs, hdfs, oss), pvc, pvc:NAME, host-path:DIR or pod-local
    $ up --ha-storage s3:bucket
    error: invalid value 's3:bucket' for '--ha-storage <STORAGE>': "s3:bucket" is no storage: write s3://BUCKET/FOLDER (or gs, abfs, hdfs, oss), pvc, pvc:NAME, host-path:DIR or pod-local
    $ up --ha-storage s3://
    error: invalid value 's3://' for '--ha-storage <STORAGE>': "s3://" names no bucket: write s3://BUCKET/FOLDER
    $ up --ha-storage ftp://host/x
    error: invalid value 'ftp://host/x' for '--ha-storage <STORAGE>': ftp:// is no storage that Flink has a plugin for: s3, s3p, s3a, gs, abfs, abfss, wasb, wasbs, oss, hdfs
    $ up --ha-storage pvc:
    error: invalid value 'pvc:' for '--ha-storage <STORAGE>': "" cannot be an object's name: only a-z, 0-9, '-' and '.' may be in it, not '-' or '.' at an end
    $ up --ha-storage host-path:data
    error: invalid value 'host-path:data' for '--ha-storage <STORAGE>': host-path: needs an absolute directory: host-path:/var/lib/flink
    $ up --ha-storage host-path:/
    error: invalid value 'host-path:/' for '--ha-storage <STORAGE>': host-path: needs an absolute directory: host-path:/var/lib/flink
    $ up --expose ingress
    error: invalid value 'ingress' for '--expose <HOW>': "ingress" is not one of cluster-ip, node-port, node-port=PORT, load-balancer
    $ up --expose node-port=0
    error: invalid value 'node-port=0' for '--expose <HOW>': "0" is no port; API servers take 30000 to 32767 by default
    $ up --expose node-port=high
    error: invalid value 'node-port=high' for '--expose <HOW>': "high" is no port; API servers take 30000 to 32767 by default
    $ up --node-selector zone
    error: invalid value 'zone' for '--node-selector <KEY=VALUE>': "zone" is not KEY=VALUE
    $ up --toleration :NoSchedule
    error: invalid value ':NoSchedule' for '--toleration <TAINT>': ":NoSchedule" names no taint: write KEY, KEY=VALUE or KEY=VALUE:NoSchedule
    $ up --toleration a=b:Never
    error: invalid value 'a=b:Never' for '--toleration <TAINT>': "Never" is no effect: NoSchedule, PreferNoSchedule or NoExecute
    $ up --label team
    error: invalid value 'team' for '--label <KEY=VALUE>': "team" is not KEY=VALUE
    $ up --label app.kubernetes.io/name=x
    error: --label app.kubernetes.io/name=x: objects are found again by this label, it cannot be changed
    "#);
}

#[test]
fn names_of_other_objects() {
    for line in [
        ["up", "--ha-storage", "pvc:My_Claim"],
        ["up", "--service-account", "My Robot"],
        ["up", "--pull-secret", "A_B"],
        ["up", "--env-from-secret", ""],
    ] {
        let shown = refused(&[&line]);
        assert!(shown.contains("error: "), "{shown}");
    }
}

#[test]
fn commands_and_flags() {
    insta::assert_snapshot!(refused(&[
        &[],
        &["upp"],
        &["up", "a", "b"],
        &["up", "--task-managers", "3"],
        &["up", "--dry-run=maybe"],
        &["up", "--wait=maybe"],
        &["up", "--output", "xml"],
        &["status", "--output", "xml"],
        &["down", "--keep-ha", "--purge-ha"],
        &["down", "Flink"],
    ]), @r#"
    $ 
    Run Apache Flink on Kubernetes: highly available clusters from one command, without Java
    $ upp
    error: unrecognized subcommand 'upp'

      tip: a similar subcommand exists: 'up'
    $ up a b
    error: unexpected argument 'b' found
    $ up --task-managers 3
    error: unexpected argument '--task-managers' found

      tip: a similar argument exists: '--taskmanagers'
    $ up --dry-run=maybe
    error: invalid value 'maybe' for '--dry-run[=<none|client|server>]'
      [possible values: none, client, server]
    $ up --wait=maybe
    error: invalid value 'maybe' for '--wait[=<BOOL>]'
      [possible values: true, false]
    $ up --output xml
    error: invalid value 'xml' for '--output <json|yaml|name>'
      [possible values: json, yaml, name]

      tip: a similar value exists: 'yaml'
    $ status --output xml
    error: invalid value 'xml' for '--output <FORMAT>'
      [possible values: wide, json, yaml, name]

      tip: a similar value exists: 'yaml'
    $ down --keep-ha --purge-ha
    error: --keep-ha and --purge-ha exclude each other
    $ down Flink
    error: invalid value 'Flink' for '[NAME]': "Flink" cannot be a cluster's name: it has 'F': only a-z, 0-9 and '-' may be in it
    "#);
}

#[test]
fn folders() {
    let (home, server) = (Home::new(), NoServer::new());
    home.file(".kube/config", &server.kubeconfig)
        .file("empty/notes.txt", "nothing to apply")
        .file("broken/01_a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a\n")
        .file("tabs/01_a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata:\n\tname: a\n")
        .file("list/01_a.yaml", "- a\n- b\n")
        .file("nameless/02_b.json", r#"{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {}}"#)
        .file("elsewhere/01_a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, namespace: other}\n")
        .file(
            "helm/01_a.yaml",
            "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, labels: {app.kubernetes.io/managed-by: Helm}}\n",
        )
        .file("fine/01_a.yaml", "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a}\n");
    let lines: [&[&str]; 12] = [
        &["up", "-f", "missing"],
        &["up", "-f", "empty"],
        &["up", "-f", "empty/notes.txt"],
        &["up", "-f", "broken"],
        &["up", "-f", "tabs"],
        &["up", "-f", "list"],
        &["up", "-f", "nameless"],
        &["up", "-f", "elsewhere", "-n", "here"],
        &["up", "-f", "helm"],
        &["up", "-f", "fine", "--taskmanagers=3"],
        &["up", "-f", "fine", "--reset"],
        &["up", "-f", "fine", "-Da=b"],
    ];
    let shown: String = lines.iter().map(|line| format!("$ {}\n{}", line.join(" "), home.run(line))).collect();
    insta::assert_snapshot!(shown, @"
    $ up -f missing
    ---- stderr
    error: cannot read missing: No such file or directory (os error 2)
    [exit status: 2]
    $ up -f empty
    ---- stderr
    error: empty holds no .yaml, .yml or .json file
    [exit status: 2]
    $ up -f empty/notes.txt
    ---- stderr
    error: cannot read empty/notes.txt: Not a directory (os error 20)
    [exit status: 2]
    $ up -f broken
    ---- stderr
    error: broken/01_a.yaml:3:11: not valid YAML: unclosed bracket '{'
    hint: see what kubectl makes of it: kubectl create --dry-run=client -f broken/01_a.yaml
    [exit status: 2]
    $ up -f tabs
    ---- stderr
    error: tabs/01_a.yaml:4:2: not valid YAML: tabs disallowed within this context (block indentation)
    hint: see what kubectl makes of it: kubectl create --dry-run=client -f tabs/01_a.yaml
    [exit status: 2]
    $ up -f list
    ---- stderr
    error: list/01_a.yaml: document 1 is no Kubernetes object
    hint: every document needs apiVersion, kind and metadata.name
    [exit status: 2]
    $ up -f nameless
    ---- stderr
    error: nameless/02_b.json: document 1 is no Kubernetes object
    hint: every document needs apiVersion, kind and metadata.name
    [exit status: 2]
    $ up -f elsewhere -n here
    ---- stderr
    error: elsewhere/01_a.yaml: the namespace of configmap/a is other, not here
    hint: leave -n out, or the namespace in the file
    [exit status: 2]
    $ up -f helm
    ---- stderr
    error: helm/01_a.yaml: configmap/a is managed by Helm, as its label app.kubernetes.io/managed-by says
    [exit status: 2]
    $ up -f fine --taskmanagers=3
    ---- stderr
    error: -f takes the files as they are: options of the profile cannot be given with it
    hint: kubectl flink render --to DIR writes files with these options to begin from
    [exit status: 2]
    $ up -f fine --reset
    ---- stderr
    error: -f takes the files as they are: options of the profile cannot be given with it
    hint: kubectl flink render --to DIR writes files with these options to begin from
    [exit status: 2]
    $ up -f fine -Da=b
    ---- stderr
    error: -f takes the files as they are: options of the profile cannot be given with it
    hint: kubectl flink render --to DIR writes files with these options to begin from
    [exit status: 2]
    ");
}

#[test]
fn render_keeps_apart_what_it_writes() {
    let (home, server) = (Home::new(), NoServer::new());
    home.file(".kube/config", &server.kubeconfig).file("taken/00_other.yaml", "").file("file", "");
    insta::assert_snapshot!(home.run(&["render", "--to", "taken"]), @"
    ---- stderr
    Storage: pvc, a claim for the default StorageClass; see --ha-storage.
    error: taken holds 00_other.yaml, which is not one of these files
    hint: name an empty folder
    [exit status: 2]
    ");
    insta::assert_snapshot!(home.run(&["render", "--to", "file"]), @"
    ---- stderr
    Storage: pvc, a claim for the default StorageClass; see --ha-storage.
    error: cannot write file: File exists (os error 17)
    [exit status: 3]
    ");
    // Its own files of before are written again, and a README is no manifest.
    home.file("mine/README.md", "");
    insta::assert_snapshot!(home.run(&["render", "--to", "mine"]), @"
    ---- stderr
    Storage: pvc, a claim for the default StorageClass; see --ha-storage.
    Wrote 6 files to mine.
    ");
    insta::assert_snapshot!(home.run(&["render", "--to", "mine", "--slots=3", "--quiet"]), @"");
    let mut names: Vec<_> = std::fs::read_dir(home.path().join("mine"))
        .unwrap()
        .map(|e| e.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    insta::assert_snapshot!(names.join(" "), @"01_namespace.yaml 02_rbac.yaml 03_configmap.yaml 04_service.yaml 05_jobmanager-session.yaml 06_taskmanager-session.yaml README.md");
}
