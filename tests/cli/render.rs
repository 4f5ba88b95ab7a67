//! What `render` writes, read as YAML by another reader than the program's tests of its own.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::support::Home;

/// Every object that `render` writes with these options, by kind and name.
fn objects(arguments: &[&str]) -> BTreeMap<String, Value> {
    read(&Home::new().stdout(&[&["render", "--quiet"], arguments].concat()))
}

fn read(text: &str) -> BTreeMap<String, Value> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(text).unwrap();
    let named = |object: Value| {
        let kind = object["kind"].as_str().unwrap().to_lowercase();
        (format!("{kind}/{}", object["metadata"]["name"].as_str().unwrap()), object)
    };
    documents.into_iter().filter(|document| !document.is_null()).map(named).collect()
}

/// Flink's configuration in the objects: the file's name and its entries.
fn configuration(objects: &BTreeMap<String, Value>) -> (String, String) {
    let data = objects["configmap/flink-config"]["data"].as_object().unwrap();
    let (name, text) = data.iter().find(|(name, _)| *name != "log4j-console.properties").unwrap();
    assert_eq!(data.len(), 2);
    (name.clone(), text.as_str().unwrap().to_owned())
}

/// A setting of a configuration that is YAML.
fn setting(objects: &BTreeMap<String, Value>, key: &str) -> Value {
    let (_, text) = configuration(objects);
    serde_saphyr::from_str::<Value>(&text).unwrap()[key].clone()
}

fn pod<'a>(objects: &'a BTreeMap<String, Value>, deployment: &str) -> &'a Value {
    &objects[&format!("deployment/{deployment}")]["spec"]["template"]["spec"]
}

fn without_annotations_of_ours(object: &mut Value) {
    for metadata in ["/metadata", "/spec/template/metadata"] {
        let Some(metadata) = object.pointer_mut(metadata).and_then(Value::as_object_mut) else { continue };
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove("kubectl-flink/options");
            annotations.remove("kubectl-flink/configuration");
            if annotations.is_empty() {
                metadata.remove("annotations");
            }
        }
    }
}

#[test]
fn by_default_it_is_the_embedded_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("plugin/manifests/session-ha");
    let mut embedded = BTreeMap::new();
    let mut files: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    for file in &files {
        embedded.extend(read(&std::fs::read_to_string(file).unwrap()));
    }
    let mut rendered = objects(&["-n", "flink"]);
    assert_eq!(rendered.keys().collect::<Vec<_>>(), embedded.keys().collect::<Vec<_>>());
    for (name, object) in &mut rendered {
        without_annotations_of_ours(object);
        assert_eq!(*object, embedded[name], "{name}");
    }
    // The folder has the same files.
    let home = Home::new();
    home.run(&["render", "--to", "d"]);
    let mut written: Vec<_> =
        std::fs::read_dir(home.path().join("d")).unwrap().map(|e| e.unwrap().file_name()).collect();
    written.sort();
    assert_eq!(written, files.iter().map(|file| file.file_name().unwrap().to_owned()).collect::<Vec<_>>());
}

#[test]
fn the_same_options_make_the_same_bytes() {
    let options = ["render", "prod", "-n", "x", "-Db=1", "-Da=2", "--label=z=1", "--label=a=2", "--node-selector=q=1"];
    let (one, other) = (Home::new().run(&options), Home::new().run(&options));
    assert_eq!(one, other);
}

#[test]
fn everything_bears_the_name_and_the_namespace() {
    let objects = objects(&["prod", "-n", "streaming"]);
    insta::assert_snapshot!(objects.keys().cloned().collect::<Vec<_>>().join("\n"), @"
    configmap/prod-config
    deployment/prod-jobmanager
    deployment/prod-taskmanager
    namespace/streaming
    persistentvolumeclaim/prod-storage
    role/prod-jobmanager
    role/prod-taskmanager
    rolebinding/prod-jobmanager
    rolebinding/prod-taskmanager
    service/prod-jobmanager
    service/prod-webui
    serviceaccount/prod-jobmanager
    serviceaccount/prod-taskmanager
    ");
    for (name, object) in objects.iter().filter(|(name, _)| !name.starts_with("namespace/")) {
        assert_eq!(object["metadata"]["namespace"], "streaming", "{name}");
        assert_eq!(object["metadata"]["labels"]["app.kubernetes.io/instance"], "prod", "{name}");
        assert_eq!(object["metadata"]["labels"]["app.kubernetes.io/managed-by"], "kubectl-flink", "{name}");
    }
    let text = objects["configmap/prod-config"]["data"]["config.yaml"].as_str().unwrap();
    for line in [
        "kubernetes.cluster-id: prod",
        "kubernetes.namespace: streaming",
        "high-availability.cluster-id: streaming.prod",
        "jobmanager.rpc.address: prod-jobmanager",
    ] {
        assert!(text.lines().any(|l| l == line), "{line}\n{text}");
    }
    let binding = &objects["rolebinding/prod-jobmanager"];
    assert_eq!(binding["roleRef"]["name"], "prod-jobmanager");
    assert_eq!(
        binding["subjects"],
        json!([{"kind": "ServiceAccount", "name": "prod-jobmanager", "namespace": "streaming"}])
    );
    for role in ["jobmanager", "taskmanager"] {
        let deployment = &objects[&format!("deployment/prod-{role}")];
        let labels = deployment["spec"]["template"]["metadata"]["labels"].as_object().unwrap();
        for (key, value) in deployment["spec"]["selector"]["matchLabels"].as_object().unwrap() {
            assert_eq!(labels.get(key), Some(value), "{role}");
        }
    }
}

#[test]
fn the_configuration_is_spelled_as_the_version_does() {
    let of = |version: &str| {
        let (name, text) = configuration(&objects(&["--flink-version", version]));
        let wanted = [
            "high-availability:",
            "high-availability.type",
            "restart-strategy:",
            "restart-strategy.type",
            "checkpoint",
            "savepoint",
        ];
        let lines: Vec<_> = text
            .lines()
            .filter(|line| wanted.iter().any(|word| line.contains(word)) || line.starts_with("env.java.opts"))
            .map(|line| line.chars().take(70).collect::<String>())
            .collect();
        format!("{version}: {name}\n{}\n", lines.join("\n"))
    };
    let all: Vec<_> = ["1.16.3", "1.17", "1.18", "1.19", "1.20", "2.3.0"].map(of).into();
    insta::assert_snapshot!(all.join("\n"), @"
    1.16.3: flink-conf.yaml
    high-availability: kubernetes
    state.checkpoints.dir: file:///flink-storage/checkpoints
    state.savepoints.dir: file:///flink-storage/savepoints
    restart-strategy: fixed-delay

    1.17: flink-conf.yaml
    high-availability.type: kubernetes
    state.checkpoints.dir: file:///flink-storage/checkpoints
    state.savepoints.dir: file:///flink-storage/savepoints
    restart-strategy.type: fixed-delay

    1.18: flink-conf.yaml
    high-availability.type: kubernetes
    state.checkpoints.dir: file:///flink-storage/checkpoints
    state.savepoints.dir: file:///flink-storage/savepoints
    restart-strategy.type: fixed-delay
    env.java.opts.all: --add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED

    1.19: config.yaml
    high-availability.type: kubernetes
    state.checkpoints.dir: file:///flink-storage/checkpoints
    state.savepoints.dir: file:///flink-storage/savepoints
    restart-strategy.type: fixed-delay
    env.java.opts.all: --add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED

    1.20: config.yaml
    high-availability.type: kubernetes
    execution.checkpointing.dir: file:///flink-storage/checkpoints
    execution.checkpointing.savepoint-dir: file:///flink-storage/savepoint
    restart-strategy.type: fixed-delay
    env.java.opts.all: --add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED

    2.3.0: config.yaml
    high-availability.type: kubernetes
    execution.checkpointing.dir: file:///flink-storage/checkpoints
    execution.checkpointing.savepoint-dir: file:///flink-storage/savepoint
    restart-strategy.type: fixed-delay
    env.java.opts.all: --add-exports=java.rmi/sun.rmi.registry=ALL-UNNAMED
    ");
}

#[test]
fn images_follow_the_version() {
    let images = |arguments: &[&str]| {
        let objects = objects(arguments);
        ["flink-jobmanager", "flink-taskmanager"]
            .map(|name| pod(&objects, name)["containers"][0]["image"].as_str().unwrap().to_owned())
    };
    assert_eq!(images(&["--flink-version=1.16"]), ["apache/flink:1.16.3", "apache/flink:1.16.3"]);
    assert_eq!(images(&["--image=r:5000/f:2.3.0-java17"]), ["r:5000/f:2.3.0-java17", "r:5000/f:2.3.0-java17"]);
    assert_eq!(images(&["--image=a/f:1.20.5", "--taskmanager-image=a/py:1.20.5"]), ["a/f:1.20.5", "a/py:1.20.5"]);
    assert_eq!(images(&["--flink-version=2.3", "--jobmanager-image=mine"]), ["mine", "apache/flink:2.3.0"]);
}

#[test]
fn each_kind_of_storage() {
    let mut text = String::new();
    for storage in [
        "pvc",
        "pvc:shared",
        "host-path:/data/flink",
        "pod-local",
        "s3://b/x",
        "s3a://b/x",
        "gs://b/x",
        "abfs://c@a/x",
        "abfss://c@a/x",
        "oss://b/x",
        "hdfs://nn/x",
    ] {
        let objects = objects(&["--ha-storage", storage, "--flink-version=1.20.1"]);
        let pod = pod(&objects, "flink-taskmanager");
        let volume = pod["volumes"].as_array().unwrap().iter().find(|volume| volume["name"] == "flink-storage");
        let environment = pod["containers"][0]["env"].as_array().cloned().unwrap_or_default();
        let plugin = environment
            .iter()
            .find(|variable| variable["name"] == "ENABLE_BUILT_IN_PLUGINS")
            .map(|v| v["value"].clone());
        let placed = if pod["affinity"].is_null() { "spread" } else { "one node" };
        text += &format!(
            "{storage}: {}\n  claim made: {}; {placed}; plugin {}\n  volume {}\n",
            setting(&objects, "high-availability.storageDir"),
            objects.contains_key("persistentvolumeclaim/flink-storage"),
            plugin.unwrap_or_default(),
            volume.cloned().unwrap_or_default(),
        );
        let [jobmanager, taskmanager] = ["flink-jobmanager", "flink-taskmanager"].map(|name| {
            let mut mounts = self::pod(&objects, name)["containers"][0]["volumeMounts"].clone();
            mounts.as_array_mut().unwrap().sort_by_key(Value::to_string);
            mounts
        });
        assert_eq!(jobmanager, taskmanager, "{storage}");
    }
    insta::assert_snapshot!(text, @r#"
    pvc: "file:///flink-storage/ha"
      claim made: true; one node; plugin null
      volume {"name":"flink-storage","persistentVolumeClaim":{"claimName":"flink-storage"}}
    pvc:shared: "file:///flink-storage/ha"
      claim made: false; spread; plugin null
      volume {"name":"flink-storage","persistentVolumeClaim":{"claimName":"shared"}}
    host-path:/data/flink: "file:///flink-storage/ha"
      claim made: false; one node; plugin null
      volume {"hostPath":{"path":"/data/flink","type":"Directory"},"name":"flink-storage"}
    pod-local: "file:///flink-storage/ha"
      claim made: false; spread; plugin null
      volume {"emptyDir":{},"name":"flink-storage"}
    s3://b/x: "s3://b/x/ha"
      claim made: false; spread; plugin "flink-s3-fs-presto-1.20.1.jar"
      volume null
    s3a://b/x: "s3a://b/x/ha"
      claim made: false; spread; plugin "flink-s3-fs-hadoop-1.20.1.jar"
      volume null
    gs://b/x: "gs://b/x/ha"
      claim made: false; spread; plugin "flink-gs-fs-hadoop-1.20.1.jar"
      volume null
    abfs://c@a/x: "abfs://c@a/x/ha"
      claim made: false; spread; plugin "flink-azure-fs-hadoop-1.20.1.jar"
      volume null
    abfss://c@a/x: "abfss://c@a/x/ha"
      claim made: false; spread; plugin "flink-azure-fs-hadoop-1.20.1.jar"
      volume null
    oss://b/x: "oss://b/x/ha"
      claim made: false; spread; plugin "flink-oss-fs-hadoop-1.20.1.jar"
      volume null
    hdfs://nn/x: "hdfs://nn/x/ha"
      claim made: false; spread; plugin null
      volume null
    "#);
}

#[test]
fn values_arrive_as_they_were_typed() {
    let values = [
        "a: b",
        "a # b",
        "x#y",
        "- a",
        "007",
        "1e3",
        "0x1f",
        "0o17",
        ".5",
        "1.50",
        "12:30",
        "2020-01-01",
        "null",
        "true ",
        "~",
        "{a}",
        "[a]",
        "'q'",
        "\"q\"",
        "*a",
        "&a",
        "%d",
        "@x",
        "a\\b",
        " ",
        "日本",
    ];
    // Flink takes a scalar's text as YAML has it: what that takes for a number of another form, or for nothing, is quoted.
    let changed: Vec<_> = values
        .iter()
        .map(|value| (*value, setting(&objects(&["-D", &format!("my.key={value}")]), "my.key")))
        .filter(|(value, read)| read.as_str() != Some(*value))
        .collect();
    assert_eq!(changed, []);
    // Numbers stay numbers.
    assert_eq!(setting(&objects(&["-Dmy.key=8082"]), "my.key").to_string().trim_matches('"'), "8082");
}

#[test]
fn pods_bear_what_is_asked_for() {
    let objects = objects(&[
        "--jobmanagers=2",
        "--taskmanagers=5",
        "--slots=3",
        "--parallelism=6",
        "--jobmanager-memory=2g",
        "--taskmanager-memory=3g",
        "--jobmanager-cpu=1",
        "--taskmanager-cpu=1500m",
        "--env-from-secret=s3",
        "--env-from-secret=more",
        "--pull-secret=registry",
        "--node-selector=disk=ssd",
        "--toleration=dedicated=flink:NoSchedule",
        "--toleration=spot",
        "--label=team=blue",
        "--annotation=note=x: y",
        "--ha-storage=pod-local",
    ]);
    let taskmanager = &objects["deployment/flink-taskmanager"];
    assert_eq!(
        (&objects["deployment/flink-jobmanager"]["spec"]["replicas"], &taskmanager["spec"]["replicas"]),
        (&json!(2), &json!(5))
    );
    assert_eq!(taskmanager["metadata"]["annotations"]["note"], "x: y");
    assert_eq!(taskmanager["spec"]["template"]["metadata"]["labels"]["team"], "blue");
    assert_eq!(taskmanager["spec"]["selector"]["matchLabels"].get("team"), None);
    assert_eq!(objects["service/flink-webui"]["metadata"]["labels"]["team"], "blue");
    assert_eq!(objects["namespace/default"]["metadata"].get("labels"), None);
    let pod = pod(&objects, "flink-taskmanager");
    insta::assert_snapshot!(serde_json::to_string_pretty(&json!({
        "resources": pod["containers"][0]["resources"], "envFrom": pod["containers"][0]["envFrom"],
        "imagePullSecrets": pod["imagePullSecrets"], "nodeSelector": pod["nodeSelector"], "tolerations": pod["tolerations"],
        "topologySpreadConstraints": pod["topologySpreadConstraints"],
    })).unwrap(), @r#"
    {
      "resources": {
        "limits": {
          "memory": "3072Mi"
        },
        "requests": {
          "cpu": "1500m",
          "memory": "3072Mi"
        }
      },
      "envFrom": [
        {
          "secretRef": {
            "name": "s3"
          }
        },
        {
          "secretRef": {
            "name": "more"
          }
        }
      ],
      "imagePullSecrets": [
        {
          "name": "registry"
        }
      ],
      "nodeSelector": {
        "disk": "ssd"
      },
      "tolerations": [
        {
          "effect": "NoSchedule",
          "key": "dedicated",
          "operator": "Equal",
          "value": "flink"
        },
        {
          "key": "spot",
          "operator": "Exists"
        }
      ],
      "topologySpreadConstraints": [
        {
          "labelSelector": {
            "matchLabels": {
              "app.kubernetes.io/component": "taskmanager",
              "app.kubernetes.io/instance": "flink",
              "app.kubernetes.io/name": "flink"
            }
          },
          "maxSkew": 1,
          "topologyKey": "kubernetes.io/hostname",
          "whenUnsatisfiable": "ScheduleAnyway"
        }
      ]
    }
    "#);
}

#[test]
fn the_web_ui_is_exposed_as_asked() {
    let service = |how: &str| objects(&["--expose", how])["service/flink-webui"]["spec"].clone();
    assert_eq!(service("cluster-ip")["type"], "ClusterIP");
    assert_eq!(
        (&service("node-port")["type"], service("node-port")["ports"][0].get("nodePort")),
        (&json!("NodePort"), None)
    );
    assert_eq!(service("node-port=31081")["ports"][0]["nodePort"], 31081);
    assert_eq!(service("load-balancer")["type"], "LoadBalancer");
    assert_eq!(objects(&["--expose=load-balancer"])["service/flink-jobmanager"]["spec"]["type"], "ClusterIP");
}

#[test]
fn service_accounts_of_ones_own_take_no_rbac() {
    let kinds = |arguments: &[&str]| {
        let objects = objects(arguments);
        let rbac: Vec<_> = objects
            .keys()
            .filter(|name| name.contains("role") || name.starts_with("serviceaccount/"))
            .cloned()
            .collect();
        let accounts = ["flink-jobmanager", "flink-taskmanager"]
            .map(|name| pod(&objects, name)["serviceAccountName"].as_str().unwrap().to_owned());
        format!("{}; {}", accounts.join(" "), rbac.join(" "))
    };
    assert_eq!(kinds(&["--service-account=a"]), "a a; ");
    assert_eq!(kinds(&["--service-account=a", "--taskmanager-service-account=b"]), "a b; ");
    assert_eq!(
        kinds(&["--taskmanager-service-account=b"]),
        "flink-jobmanager b; role/flink-jobmanager rolebinding/flink-jobmanager serviceaccount/flink-jobmanager"
    );
}

#[test]
fn ports_follow_the_configuration() {
    let objects = objects(&["-Drest.port=9081", "-Dblob.server.port=9124"]);
    let ports = pod(&objects, "flink-jobmanager")["containers"][0]["ports"].clone();
    let port = |name: &str| {
        ports.as_array().unwrap().iter().find(|port| port["name"] == name).unwrap()["containerPort"].clone()
    };
    assert_eq!((port("webui"), port("blob-server"), port("rpc")), (json!(9081), json!(9124), json!(6123)));
}

#[test]
fn secrets_on_the_command_line_are_warned_of() {
    let shown = Home::new().run(&["render", "-Ds3.secret-key=hunter2", "--to", "d"]);
    insta::assert_snapshot!(shown, @"
    ---- stderr
    warning: -D s3.secret-key puts a secret into these files: better --env-from-secret SECRET
    Storage: pvc, a claim for the default StorageClass; see --ha-storage.
    Wrote 6 files to d.
    ");
}

#[test]
fn restricted_pods() {
    let objects = objects(&[]);
    for name in ["flink-jobmanager", "flink-taskmanager"] {
        let pod = pod(&objects, name);
        assert_eq!(pod["securityContext"]["fsGroup"], 9999, "{name}");
        let containers =
            pod["containers"].as_array().unwrap().iter().chain(pod["initContainers"].as_array().into_iter().flatten());
        for container in containers {
            let context = &container["securityContext"];
            assert_eq!(context["runAsNonRoot"], true, "{name}");
            assert_eq!(context["allowPrivilegeEscalation"], false, "{name}");
            assert_eq!(context["capabilities"], json!({"drop": ["ALL"]}), "{name}");
            assert_eq!(context["seccompProfile"], json!({"type": "RuntimeDefault"}), "{name}");
            let resources = &container["resources"];
            assert_eq!(resources["limits"].get("cpu"), None, "{name}");
            assert_eq!(resources["requests"]["memory"], resources["limits"]["memory"], "{name}");
        }
    }
    // `lock` and `edit` are no verbs; only ConfigMaps are needed.
    for role in ["role/flink-jobmanager", "role/flink-taskmanager"] {
        assert_eq!(objects[role]["rules"].as_array().unwrap().len(), 1);
        assert_eq!(objects[role]["rules"][0]["resources"], json!(["configmaps"]));
    }
    assert_eq!(
        objects["role/flink-jobmanager"]["rules"][0]["verbs"],
        json!(["get", "list", "watch", "create", "update", "patch", "delete"])
    );
    assert_eq!(objects["role/flink-taskmanager"]["rules"][0]["verbs"], json!(["get", "list", "watch"]));
}
