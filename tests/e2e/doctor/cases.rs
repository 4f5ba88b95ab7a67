//! The faults. Texts are what Flink, Kubernetes and their libraries really say: they are the symptoms that the rules name.

use serde_json::json;

use super::{FAULT, Fault, NOTHING, Shows};

const CANNOT_LIST: Shows = Shows::JobManager("cannot list resource \"configmaps\"");

pub const RIGHTS: [Fault; 7] = [
    Fault {
        name: "the binding is in another namespace",
        rule: "FLK101",
        // It is not in the namespace that is looked at.
        on_cluster: Some("FLK105"),
        breaks: |cluster| {
            let elsewhere = json!(cluster.elsewhere);
            cluster.object("rolebinding/flink-jobmanager")["metadata"]["namespace"] = elsewhere;
        },
        shows: CANNOT_LIST,
        ..FAULT
    },
    Fault {
        name: "the binding names an account of another namespace",
        rule: "FLK103",
        breaks: |cluster| {
            cluster.object("rolebinding/flink-jobmanager")["subjects"][0]["namespace"] = json!("default");
        },
        shows: CANNOT_LIST,
        ..FAULT
    },
    Fault {
        name: "the binding names a role that is not there",
        rule: "FLK102",
        breaks: |cluster| cluster.object("rolebinding/flink-jobmanager")["roleRef"]["name"] = json!("flink"),
        shows: Shows::JobManager("RBAC: role.rbac.authorization.k8s.io \"flink\" not found"),
        ..FAULT
    },
    Fault {
        name: "the JobManager has the account default",
        rule: "FLK105",
        breaks: |cluster| {
            cluster.pod("jobmanager").as_object_mut().unwrap().remove("serviceAccountName");
        },
        shows: Shows::JobManager(":default\" cannot list resource"),
        ..FAULT
    },
    Fault {
        name: "the role lacks patch",
        rule: "FLK105",
        breaks: |cluster| cluster.verbs(&["get", "list", "watch", "create", "update", "delete"]),
        shows: Shows::JobManager("cannot patch resource \"configmaps\""),
        ..FAULT
    },
    Fault {
        name: "Flink looks in the namespace default",
        rule: "FLK107",
        breaks: |cluster| cluster.unset(&["kubernetes.namespace"]),
        shows: Shows::JobManager("in the namespace \"default\""),
        ..FAULT
    },
    Fault {
        name: "the TaskManager has the account default",
        rule: "FLK106",
        taskmanagers: true,
        breaks: |cluster| {
            cluster.pod("taskmanager").as_object_mut().unwrap().remove("serviceAccountName");
        },
        shows: Shows::TaskManager(":default\" cannot list resource"),
        ..FAULT
    },
];

pub const HIGH_AVAILABILITY: [Fault; 8] = [
    Fault {
        name: "no storage directory",
        rule: "FLK201",
        breaks: |cluster| cluster.unset(&["high-availability.storageDir"]),
        shows: Shows::JobManager(
            "Configuration is missing the mandatory parameter: Key: 'high-availability.storageDir'",
        ),
        ..FAULT
    },
    Fault {
        name: "no cluster-id",
        rule: "FLK202",
        breaks: |cluster| cluster.unset(&["kubernetes.cluster-id"]),
        shows: Shows::JobManager("Configuration option 'kubernetes.cluster-id' is not set."),
        ..FAULT
    },
    Fault {
        name: "a cluster-id in upper case",
        rule: "FLK211",
        breaks: |cluster| cluster.set("kubernetes.cluster-id", "Flink"),
        shows: Shows::JobManager("ConfigMap \"Flink-cluster-config-map\" is invalid: metadata.name"),
        ..FAULT
    },
    Fault {
        name: "a type that there is not",
        rule: "FLK214",
        breaks: |cluster| cluster.set("high-availability.type", "kuberntes"),
        shows: Shows::JobManager("Could not instantiate class 'kuberntes'"),
        ..FAULT
    },
    Fault {
        name: "the type under a key that 1.16 does not know",
        rule: "FLK214",
        version: "1.16.3",
        breaks: |cluster| {
            cluster.unset(&["high-availability"]);
            cluster.set("high-availability.type", "kubernetes");
        },
        // What a leader has who was never elected.
        shows: Shows::JobManager("granted leadership with leaderSessionID=00000000-0000-0000-0000-000000000000"),
        ..FAULT
    },
    Fault {
        name: "the argument $(POD_IP) without the variable",
        rule: "FLK207",
        breaks: |cluster| cluster.no_environment("jobmanager", "POD_IP"),
        shows: Shows::JobManager("Retrying to connect to pekko.tcp://flink@$(pod_ip):6123"),
        ..FAULT
    },
    Fault {
        name: "S3 without its plugin",
        rule: "FLK216",
        s3: true,
        sound: |cluster| cluster.name_credentials(),
        breaks: |cluster| {
            cluster.no_environment("jobmanager", "ENABLE_BUILT_IN_PLUGINS");
            cluster.no_environment("taskmanager", "ENABLE_BUILT_IN_PLUGINS");
        },
        shows: Shows::JobManager("Could not find a file system implementation for scheme 's3'"),
        ..FAULT
    },
    Fault {
        name: "the plugin of another version",
        rule: "FLK217",
        s3: true,
        sound: |cluster| cluster.name_credentials(),
        breaks: |cluster| {
            for role in ["jobmanager", "taskmanager"] {
                cluster.environment(role, "ENABLE_BUILT_IN_PLUGINS", "flink-s3-fs-presto-1.19.1.jar");
            }
        },
        // What else the line says is the entrypoint's: "Plugin ... does not exist. Exiting." in the official image.
        shows: Shows::JobManager("flink-s3-fs-presto-1.19.1.jar"),
        ..FAULT
    },
];

pub const CONFIGURATION: [Fault; 9] = [
    Fault {
        name: "a duration with a unit, which 1.16 cannot read",
        rule: "FLK520",
        version: "1.16.3",
        breaks: |cluster| cluster.set("heartbeat.timeout", "15 s"),
        shows: Shows::JobManager("Could not parse value '15 s' for key 'heartbeat.timeout'"),
        ..FAULT
    },
    Fault {
        name: "reactive mode in a session cluster",
        rule: "FLK411",
        breaks: |cluster| cluster.set("scheduler-mode", "reactive"),
        shows: Shows::JobManager("Reactive mode is configured for an unsupported cluster type"),
        ..FAULT
    },
    Fault {
        name: "a key twice",
        rule: "FLK508",
        breaks: |cluster| cluster.line("rest.port: 8081"),
        shows: Shows::JobManager("Error parsing YAML configuration"),
        ..FAULT
    },
    Fault {
        name: "a tab",
        rule: "FLK506",
        breaks: |cluster| cluster.line("\trest.bind-port: 8081"),
        shows: Shows::JobManager("Error parsing YAML configuration"),
        ..FAULT
    },
    Fault {
        name: "no size of the JobManager",
        rule: "FLK403",
        breaks: |cluster| cluster.unset(&["jobmanager.memory.process.size"]),
        shows: Shows::JobManager("Either required fine-grained memory (jobmanager.memory.heap.size)"),
        ..FAULT
    },
    Fault {
        name: "a process size that nothing fits in",
        rule: "FLK404",
        breaks: |cluster| cluster.set("jobmanager.memory.process.size", "300m"),
        shows: Shows::JobManager("exceed configured Total Process Memory (300.000mb (314572800 bytes))"),
        ..FAULT
    },
    Fault {
        name: "a size as Kubernetes writes it",
        rule: "FLK412",
        breaks: |cluster| cluster.set("jobmanager.memory.process.size", "900Mi"),
        shows: Shows::JobManager("900Mi"),
        ..FAULT
    },
    Fault {
        name: "a blank after the type of an appender",
        rule: "FLK501",
        breaks: |cluster| cluster.replace("log4j-console.properties", ".type = CONSOLE", ".type = CONSOLE "),
        shows: Shows::JobManager("Unable to locate plugin type for CONSOLE "),
        ..FAULT
    },
    Fault {
        name: "flink-conf.yaml for 2.3",
        rule: "FLK504",
        version: "2.3.0",
        breaks: |cluster| {
            let text = cluster.files().remove("config.yaml").unwrap();
            cluster.files().insert("flink-conf.yaml".into(), text);
        },
        shows: Shows::JobManager("The Flink config file '/opt/flink/conf/config.yaml'"),
        ..FAULT
    },
];

pub const PODS: [Fault; 9] = [
    Fault {
        name: "more is requested than is allowed",
        rule: "FLK407",
        breaks: |cluster| {
            let resources = json!({"requests": {"memory": "2Gi"}, "limits": {"memory": "900Mi"}});
            cluster.container("jobmanager")["resources"] = resources;
        },
        shows: Shows::Apply("must be less than or equal to memory limit of 900Mi"),
        ..FAULT
    },
    Fault {
        name: "an account that is not there",
        rule: "FLK108",
        // It may be in the cluster; but nothing in the files gives it rights.
        in_files: Some("FLK105"),
        breaks: |cluster| cluster.pod("jobmanager")["serviceAccountName"] = json!("nobody"),
        shows: Shows::Event("serviceaccount \"nobody\" not found"),
        ..FAULT
    },
    Fault {
        name: "a ConfigMap that is not there",
        rule: "FLK521",
        in_files: Some(NOTHING),
        breaks: |cluster| {
            let volumes = cluster.pod("jobmanager")["volumes"].as_array_mut().unwrap();
            let volume = volumes.iter_mut().find(|volume| volume["name"] == "flink-config").unwrap();
            volume["configMap"]["name"] = json!("flink-configuration");
        },
        shows: Shows::Event("configmap \"flink-configuration\" not found"),
        ..FAULT
    },
    Fault {
        name: "an item that the ConfigMap does not have",
        rule: "FLK521",
        breaks: |cluster| {
            let volumes = cluster.pod("jobmanager")["volumes"].as_array_mut().unwrap();
            let volume = volumes.iter_mut().find(|volume| volume["name"] == "flink-config").unwrap();
            volume["configMap"]["items"] = json!([{"key": "flink-conf.yaml", "path": "config.yaml"}]);
        },
        shows: Shows::Event("configmap references non-existent config key: flink-conf.yaml"),
        ..FAULT
    },
    Fault {
        name: "a quota that wants limits",
        rule: "FLK406",
        // A LimitRange of the cluster might give what is missing.
        in_files: Some(NOTHING),
        breaks: |cluster| {
            cluster.add(json!({
                "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "tight"},
                "spec": {"hard": {"limits.cpu": "4"}},
            }));
        },
        shows: Shows::Event("failed quota: tight: must specify limits.cpu"),
        ..FAULT
    },
    Fault {
        name: "less memory than the process has",
        rule: "FLK401",
        breaks: |cluster| {
            let resources = json!({"requests": {"memory": "256Mi"}, "limits": {"memory": "256Mi"}});
            cluster.container("jobmanager")["resources"] = resources;
        },
        shows: Shows::Container("OOMKilled"),
        ..FAULT
    },
    Fault {
        name: "a Service that selects nothing",
        rule: "FLK302",
        taskmanagers: true,
        sound: |cluster| cluster.without_high_availability(),
        breaks: |cluster| {
            let selector = &mut cluster.object("service/flink-jobmanager")["spec"]["selector"];
            selector["app.kubernetes.io/component"] = json!("job-manager");
        },
        shows: Shows::TaskManager("Could not resolve ResourceManager address"),
        ..FAULT
    },
    Fault {
        name: "a Service whose port leads elsewhere",
        rule: "FLK301",
        taskmanagers: true,
        sound: |cluster| cluster.without_high_availability(),
        breaks: |cluster| {
            for port in cluster.object("service/flink-jobmanager")["spec"]["ports"].as_array_mut().unwrap() {
                if port["name"] == "rpc" {
                    port["targetPort"] = json!(6132);
                }
            }
        },
        shows: Shows::TaskManager("Could not resolve ResourceManager address"),
        ..FAULT
    },
    Fault {
        name: "an address that no Service has",
        rule: "FLK303",
        taskmanagers: true,
        sound: |cluster| cluster.without_high_availability(),
        breaks: |cluster| cluster.set("jobmanager.rpc.address", "jobmanager"),
        shows: Shows::TaskManager("java.net.UnknownHostException: jobmanager"),
        ..FAULT
    },
];
