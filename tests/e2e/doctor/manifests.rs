//! What `render` writes, as objects that a fault edits.

use serde_json::{Value, json};

use super::Fault;
use crate::support::{SMALL, Test, reference};

#[derive(Clone)]
pub struct Manifests {
    objects: Vec<Value>,
    namespace: String,
    /// Another namespace, which is there.
    pub elsewhere: String,
}

impl Manifests {
    /// The manifests of a small cluster, as kubectl reads them.
    pub fn rendered(test: &Test, fault: &Fault, s3: &[String], elsewhere: &str) -> Self {
        let s3: Vec<&str> = s3.iter().filter(|_| fault.s3).map(String::as_str).collect();
        let version = ["render", "--taskmanagers=1", "--flink-version", fault.version];
        let files = test.flink(&[&version[..], &SMALL, fault.options, &s3].concat()).ok().stdout;
        let create = ["create", "--dry-run=client", "--validate=false", "-o", "json", "-f", "-"];
        let objects = test.kubectl_with(&create, &files).ok().stdout;
        let objects = serde_json::Deserializer::from_str(&objects).into_iter::<Value>();
        let objects = objects.map(Result::unwrap).filter(|object| object["kind"] != "Namespace");
        Manifests { objects: objects.collect(), namespace: test.namespace.clone(), elsewhere: elsewhere.to_owned() }
    }

    /// As a file.
    pub fn text(&self) -> String {
        self.objects.iter().map(|object| format!("---\n{}\n", serde_json::to_string_pretty(object).unwrap())).collect()
    }

    /// What is applied: most faults show without a TaskManager.
    pub fn applied(&self, taskmanagers: bool) -> String {
        let mut manifests = self.clone();
        if !taskmanagers {
            manifests.objects.retain(|object| reference(object) != "deployment/flink-taskmanager");
        }
        manifests.text()
    }

    /// `role/flink-jobmanager`.
    pub fn object(&mut self, name: &str) -> &mut Value {
        self.objects.iter_mut().find(|object| reference(object) == name).unwrap_or_else(|| panic!("no {name}"))
    }

    /// Adds an object to the namespace of the cluster.
    pub fn add(&mut self, mut object: Value) {
        object["metadata"]["namespace"] = json!(self.namespace);
        self.objects.insert(0, object);
    }

    /// The specification of the pods of a role, `jobmanager` or `taskmanager`.
    pub fn pod(&mut self, role: &str) -> &mut Value {
        &mut self.object(&format!("deployment/flink-{role}"))["spec"]["template"]["spec"]
    }

    pub fn container(&mut self, role: &str) -> &mut Value {
        &mut self.pod(role)["containers"][0]
    }

    /// Sets a variable of a role's environment.
    pub fn environment(&mut self, role: &str, name: &str, value: &str) {
        let variables = &mut self.container(role)["env"];
        if variables.is_null() {
            *variables = json!([]);
        }
        let variables = variables.as_array_mut().unwrap();
        variables.retain(|variable| variable["name"] != name);
        variables.push(json!({"name": name, "value": value}));
    }

    /// Takes a variable out of a role's environment.
    pub fn no_environment(&mut self, role: &str, name: &str) {
        let variables = self.container(role)["env"].as_array_mut().unwrap();
        let before = variables.len();
        variables.retain(|variable| variable["name"] != name);
        assert_ne!(variables.len(), before, "no {name}");
    }

    /// Names the variables of the secret `s3`: a secret as a whole might have any variable in it.
    pub fn name_credentials(&mut self) {
        for role in ["jobmanager", "taskmanager"] {
            let container = self.container(role);
            container.as_object_mut().unwrap().remove("envFrom").unwrap();
            for name in ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"] {
                let from = json!({"secretKeyRef": {"name": "s3", "key": name}});
                container["env"].as_array_mut().unwrap().push(json!({"name": name, "valueFrom": from}));
            }
        }
    }

    /// What the JobManagers' role may do with ConfigMaps.
    pub fn verbs(&mut self, verbs: &[&str]) {
        self.object("role/flink-jobmanager")["rules"][0]["verbs"] = json!(verbs);
    }

    /// The files of the configuration's ConfigMap.
    pub fn files(&mut self) -> &mut serde_json::Map<String, Value> {
        self.object("configmap/flink-config")["data"].as_object_mut().unwrap()
    }

    /// The name of Flink's configuration file.
    pub fn file(&mut self) -> &'static str {
        if self.files().contains_key("config.yaml") { "config.yaml" } else { "flink-conf.yaml" }
    }

    /// Replaces a text of a file, which has to be there.
    pub fn replace(&mut self, file: &str, from: &str, to: &str) {
        let Value::String(text) = &mut self.files()[file] else { panic!("{file} is no text") };
        assert!(text.contains(from), "{file} has no {from:?}");
        *text = text.replace(from, to);
    }

    /// The lines of Flink's configuration.
    fn edit(&mut self, edit: impl FnOnce(&mut Vec<String>)) {
        let file = self.file();
        let Value::String(text) = &mut self.files()[file] else { panic!("{file} is no text") };
        let mut lines = text.lines().map(str::to_owned).collect();
        edit(&mut lines);
        *text = lines.join("\n") + "\n";
    }

    /// Sets an option of Flink's configuration.
    pub fn set(&mut self, key: &str, value: &str) {
        let (begin, line) = (format!("{key}:"), format!("{key}: {value}"));
        self.edit(|lines| match lines.iter_mut().find(|line| line.starts_with(&begin)) {
            Some(old) => *old = line,
            None => lines.push(line),
        });
    }

    /// Takes options out of Flink's configuration.
    pub fn unset(&mut self, keys: &[&str]) {
        self.edit(|lines| {
            for key in keys {
                let before = lines.len();
                lines.retain(|line| !line.starts_with(&format!("{key}:")));
                assert_ne!(lines.len(), before, "no {key}");
            }
        });
    }

    /// Adds a line to Flink's configuration as it is.
    pub fn line(&mut self, line: &str) {
        self.edit(|lines| lines.push(line.to_owned()));
    }

    /// Turns high availability off: one JobManager, which the TaskManagers find by the name of its Service.
    pub fn without_high_availability(&mut self) {
        self.unset(&["high-availability.type", "high-availability.cluster-id", "high-availability.storageDir"]);
        self.container("jobmanager")["args"] = json!(["jobmanager"]);
    }
}
