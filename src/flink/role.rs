//! Which Flink process a container runs, read from its command line.
//!
//! Labels and names are whatever their author liked, and an image says what could run, not what does. The command line
//! decides, in each of its forms: an argument of the official image's entrypoint, a script of Flink's `bin` folder, the
//! same inside `bash -c` (which is what native mode writes), or Java with the class of an entrypoint.

use std::fmt;

use k8s_openapi::api::core::v1::{Container, PodSpec};

/// How a Flink cluster is run: who makes its TaskManagers, and whether it is there for one application only.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// TaskManagers come from a workload of their own; jobs are submitted.
    StandaloneSession,
    /// TaskManagers come from a workload of their own; the job is part of the deployment.
    StandaloneApplication,
    /// The JobManager makes TaskManager pods as jobs need them; jobs are submitted.
    NativeSession,
    /// The JobManager makes TaskManager pods as its one application needs them.
    NativeApplication,
}

impl Mode {
    /// Flink makes its TaskManager pods itself.
    pub fn is_native(self) -> bool {
        matches!(self, Mode::NativeSession | Mode::NativeApplication)
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::StandaloneSession => "session",
            Mode::StandaloneApplication => "application",
            Mode::NativeSession => "native session",
            Mode::NativeApplication => "native application",
        })
    }
}

/// What a Flink process is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Leads a cluster, or stands by to lead it.
    JobManager(Mode),
    /// Runs tasks in a pod of a Deployment, StatefulSet or the like.
    TaskManager,
    /// Runs tasks in a pod that its JobManager made.
    NativeTaskManager,
    /// Shows the jobs of the past; belongs to no cluster.
    HistoryServer,
}

/// A Flink process as a pod's template describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Process {
    /// What it is for.
    pub role: Role,
    /// The container that runs it.
    pub container: String,
    /// That container's image; empty where the template leaves it to someone else.
    pub image: String,
    /// `-Dkey=value` and `-D key=value`, in order: they override the configuration file.
    pub dynamic: Vec<(String, String)>,
    /// `FLINK_PROPERTIES`: lines for the configuration file, where the entrypoint can write to it.
    pub properties: Option<String>,
    /// `JOB_MANAGER_RPC_ADDRESS`: `jobmanager.rpc.address`, likewise.
    pub rpc_address: Option<String>,
    /// The folder of the configuration file, where `FLINK_CONF_DIR` moves it.
    pub conf_dir: Option<String>,
}

impl Process {
    /// The Flink process of this pod. A pod runs one at most: what is beside it are helpers.
    pub fn of(spec: &PodSpec) -> Option<Process> {
        spec.containers.iter().find_map(Process::of_container)
    }

    fn of_container(container: &Container) -> Option<Process> {
        let commands = simple_commands(container);
        let (role, rest) = commands.iter().find_map(|words| role_of(words))?;
        let value = |name: &str| {
            let variable = container.env.iter().flatten().find(|variable| variable.name == name)?;
            variable.value.clone().filter(|value| !value.is_empty())
        };
        Some(Process {
            role,
            container: container.name.clone(),
            image: container.image.clone().unwrap_or_default(),
            dynamic: dynamic_options(rest),
            properties: value("FLINK_PROPERTIES"),
            rpc_address: value("JOB_MANAGER_RPC_ADDRESS"),
            conf_dir: value("FLINK_CONF_DIR"),
        })
    }

    /// Flink's version as far as the image's tag tells it.
    pub fn version(&self) -> Option<&str> {
        version_of_flink(&self.image)
    }
}

/// Flink's version in an image's tag: `1.20.5` of `flink:1.20.5-scala_2.12-java17`, `2.1` of `flink:2.1`. A tag that does
/// not begin with two numbers (`latest`, a commit) says nothing.
pub fn image_version(image: &str) -> Option<&str> {
    let name = image.split('@').next()?;
    // A colon before the last slash belongs to the registry's port.
    let (_, tag) = name.rsplit('/').next()?.split_once(':')?;
    let tag = tag.strip_prefix('v').unwrap_or(tag);
    let end = tag.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(tag.len());
    let version = tag[..end].trim_end_matches('.');
    let numbers: Vec<_> = version.split('.').collect();
    let plausible = (2..=3).contains(&numbers.len()) && numbers.iter().all(|n| !n.is_empty() && n.len() <= 3);
    plausible.then_some(version)
}

/// The same where the image is called `flink`, whoever made it. The tag of `team/orders:2.1.0` counts the releases of
/// something else.
pub fn version_of_flink(image: &str) -> Option<&str> {
    let name = image.split('@').next().unwrap_or_default();
    let repository = name.rsplit('/').next().and_then(|last| last.split(':').next());
    image_version(image).filter(|_| repository == Some("flink"))
}

/// The commands that a container runs, one after the other: its command line, opened up where it is a shell's.
fn simple_commands(container: &Container) -> Vec<Vec<String>> {
    let line: Vec<&String> = container.command.iter().chain(&container.args).flatten().collect();
    let script = line.iter().position(|word| matches!(word.as_str(), "-c" | "-ec" | "-lc" | "-xc" | "-exc"));
    match script.and_then(|flag| line.get(flag + 1)) {
        Some(script) => shell_commands(script),
        None => vec![line.into_iter().cloned().collect()],
    }
}

/// Splits a script into commands and words, as far as start scripts in manifests go: quotes, `\` at the end of a line,
/// and `;`, `&&`, `||`, `|`, newline between commands.
fn shell_commands(script: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words, mut word) = (Vec::new(), Vec::new(), String::new());
    let mut quote = None;
    let mut chars = script.chars().peekable();
    while let Some(c) = chars.next() {
        match (quote, c) {
            (Some(open), _) if c == open => quote = None,
            (None, '\'' | '"') => quote = Some(c),
            (None, '\\') if chars.peek() == Some(&'\n') => {
                chars.next();
            }
            (None, ';' | '&' | '|' | '\n') => {
                words.extend((!word.is_empty()).then(|| std::mem::take(&mut word)));
                commands.push(std::mem::take(&mut words));
            }
            (None, _) if c.is_whitespace() => words.extend((!word.is_empty()).then(|| std::mem::take(&mut word))),
            _ => word.push(c),
        }
    }
    words.extend((!word.is_empty()).then_some(word));
    commands.push(words);
    commands
}

/// The role of one command, and the words after the one that gave it away.
fn role_of(words: &[String]) -> Option<(Role, &[String])> {
    let rest = |index: usize| words.get(index + 1..).unwrap_or_default();
    let start = words.iter().position(|word| !is_wrapper(word))?;
    // Only as the first word: `monitor jobmanager` watches one.
    let role = match words[start].as_str() {
        "jobmanager" => Some(Role::JobManager(Mode::StandaloneSession)),
        "standalone-job" => Some(Role::JobManager(Mode::StandaloneApplication)),
        "taskmanager" => Some(Role::TaskManager),
        "history-server" => Some(Role::HistoryServer),
        _ => None,
    };
    if let Some(role) = role {
        return Some((role, rest(start)));
    }
    let role = match base_name(&words[start]) {
        "jobmanager.sh" => Some(Role::JobManager(Mode::StandaloneSession)),
        "standalone-job.sh" => Some(Role::JobManager(Mode::StandaloneApplication)),
        "taskmanager.sh" => Some(Role::TaskManager),
        "historyserver.sh" => Some(Role::HistoryServer),
        "kubernetes-taskmanager.sh" => Some(Role::NativeTaskManager),
        "kubernetes-jobmanager.sh" => match words.get(start + 1).map(String::as_str) {
            Some("kubernetes-application") => Some(Role::JobManager(Mode::NativeApplication)),
            _ => Some(Role::JobManager(Mode::NativeSession)),
        },
        "java" | "$JAVA_HOME/bin/java" => {
            return words.iter().enumerate().find_map(|(index, word)| Some((role_of_class(word)?, rest(index))));
        }
        _ => None,
    };
    role.map(|role| (role, rest(start)))
}

/// Words that start something else and say nothing about what.
fn is_wrapper(word: &str) -> bool {
    let name = base_name(word);
    matches!(name, "tini" | "dumb-init" | "env" | "exec" | "bash" | "sh" | "gosu" | "flink" | "su-exec" | "nice")
        || name.ends_with("entrypoint.sh")
        || word.starts_with('-')
        || (word.contains('=') && !word.contains('/'))
}

fn role_of_class(word: &str) -> Option<Role> {
    if !word.starts_with("org.apache.flink.") {
        return None;
    }
    Some(match word.rsplit('.').next()? {
        "StandaloneSessionClusterEntrypoint" => Role::JobManager(Mode::StandaloneSession),
        // Written with a capital P in these two, and called a job cluster before it was called an application.
        "StandaloneApplicationClusterEntryPoint" | "StandaloneJobClusterEntryPoint" => {
            Role::JobManager(Mode::StandaloneApplication)
        }
        "KubernetesSessionClusterEntrypoint" => Role::JobManager(Mode::NativeSession),
        "KubernetesApplicationClusterEntrypoint" => Role::JobManager(Mode::NativeApplication),
        "TaskManagerRunner" => Role::TaskManager,
        "KubernetesTaskExecutorRunner" => Role::NativeTaskManager,
        "HistoryServer" => Role::HistoryServer,
        _ => return None,
    })
}

fn base_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// `-Dkey=value`, `-D key=value`; without a value it is `true`, as commons-cli has it.
fn dynamic_options(words: &[String]) -> Vec<(String, String)> {
    let mut options = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let option = match word.strip_prefix("-D") {
            Some("") => words.next().map(String::as_str),
            option => option,
        };
        if let Some(option) = option {
            let (key, value) = option.split_once('=').unwrap_or((option, "true"));
            options.push((key.to_owned(), value.to_owned()));
        }
    }
    options
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn process(container: Value) -> Option<Process> {
        let mut container = container;
        container["name"] = json!("main");
        Process::of(&serde_json::from_value(json!({ "containers": [container] })).unwrap())
    }

    fn role(container: Value) -> Option<Role> {
        process(container).map(|process| process.role)
    }

    #[test]
    fn arguments_of_the_official_entrypoint() {
        assert_eq!(role(json!({"args": ["jobmanager"]})), Some(Role::JobManager(Mode::StandaloneSession)));
        assert_eq!(role(json!({"args": ["jobmanager", "$(POD_IP)"]})), Some(Role::JobManager(Mode::StandaloneSession)));
        assert_eq!(
            role(json!({"command": ["/docker-entrypoint.sh"], "args": ["standalone-job", "--job-classname", "a.B"]})),
            Some(Role::JobManager(Mode::StandaloneApplication))
        );
        assert_eq!(role(json!({"command": ["tini", "--"], "args": ["taskmanager"]})), Some(Role::TaskManager));
        assert_eq!(role(json!({"args": ["history-server"]})), Some(Role::HistoryServer));
    }

    #[test]
    fn scripts_of_the_bin_folder() {
        assert_eq!(
            role(json!({"command": ["/opt/flink/bin/jobmanager.sh", "start-foreground"]})),
            Some(Role::JobManager(Mode::StandaloneSession))
        );
        assert_eq!(
            role(
                json!({"command": ["bash", "-c"], "args": ["mkdir -p /tmp/x && exec $FLINK_HOME/bin/standalone-job.sh start-foreground"]})
            ),
            Some(Role::JobManager(Mode::StandaloneApplication))
        );
        assert_eq!(
            role(json!({"command": ["sh", "-ec", "cp /conf/* /opt/flink/conf\n/docker-entrypoint.sh taskmanager\n"]})),
            Some(Role::TaskManager)
        );
        assert_eq!(role(json!({"args": ["bin/historyserver.sh", "start-foreground"]})), Some(Role::HistoryServer));
    }

    #[test]
    fn native_mode() {
        let args = |script: &str| json!({"command": ["/docker-entrypoint.sh"], "args": ["bash", "-c", script]});
        assert_eq!(
            role(args("kubernetes-jobmanager.sh kubernetes-session ")),
            Some(Role::JobManager(Mode::NativeSession))
        );
        assert_eq!(
            role(args("kubernetes-jobmanager.sh kubernetes-application ")),
            Some(Role::JobManager(Mode::NativeApplication))
        );
        let task_manager = process(args(
            "kubernetes-taskmanager.sh -Djobmanager.memory.jvm-overhead.min='201326592b' -D taskmanager.resource-id=a-1-1",
        ))
        .unwrap();
        assert_eq!(task_manager.role, Role::NativeTaskManager);
        assert_eq!(
            task_manager.dynamic,
            [
                ("jobmanager.memory.jvm-overhead.min".to_owned(), "201326592b".to_owned()),
                ("taskmanager.resource-id".to_owned(), "a-1-1".to_owned())
            ]
        );
    }

    #[test]
    fn java_with_a_class() {
        let java = |class: &str| json!({"command": ["java", "-Xmx1g", "-Dlog.file=x", "-cp", "/opt/flink/lib/*", class, "-Da=b"]});
        let job_manager =
            process(java("org.apache.flink.runtime.entrypoint.StandaloneSessionClusterEntrypoint")).unwrap();
        assert_eq!(job_manager.role, Role::JobManager(Mode::StandaloneSession));
        // What stands before the class is Java's own.
        assert_eq!(job_manager.dynamic, [("a".to_owned(), "b".to_owned())]);
        assert_eq!(
            role(java("org.apache.flink.kubernetes.entrypoint.KubernetesApplicationClusterEntrypoint")),
            Some(Role::JobManager(Mode::NativeApplication))
        );
        assert_eq!(role(java("org.apache.flink.runtime.taskexecutor.TaskManagerRunner")), Some(Role::TaskManager));
        assert_eq!(role(java("com.example.jobmanager.Main")), None);
    }

    #[test]
    fn what_is_no_flink_process() {
        assert_eq!(role(json!({"image": "flink:1.20.5"})), None);
        assert_eq!(role(json!({"args": ["help"]})), None);
        assert_eq!(role(json!({"command": ["python", "watch.py"], "args": ["jobmanager"]})), None);
        assert_eq!(role(json!({"args": ["/opt/flink/bin/flink", "run", "-d", "job.jar"]})), None);
        assert_eq!(
            role(json!({"command": ["bash", "-c", "wait-for jobmanager 8081; curl http://jobmanager:8081"]})),
            None
        );
    }

    #[test]
    fn the_flink_container_among_others() {
        let spec = json!({"containers": [
            {"name": "fluent-bit", "image": "fluent/fluent-bit"},
            {"name": "jm", "image": "flink:1.20.5", "args": ["jobmanager", "-D", "a=b=c", "-Dx"],
             "env": [{"name": "FLINK_PROPERTIES", "value": "a: b"}, {"name": "JOB_MANAGER_RPC_ADDRESS", "value": "jm"}]}
        ]});
        let process = Process::of(&serde_json::from_value(spec).unwrap()).unwrap();
        assert_eq!((process.container.as_str(), process.version()), ("jm", Some("1.20.5")));
        assert_eq!(process.dynamic, [("a".into(), "b=c".into()), ("x".into(), "true".into())]);
        assert_eq!((process.properties.as_deref(), process.rpc_address.as_deref()), (Some("a: b"), Some("jm")));
    }

    #[test]
    fn versions_of_images() {
        assert_eq!(image_version("apache/flink:1.20.5-scala_2.12-java17"), Some("1.20.5"));
        assert_eq!(image_version("registry:5000/team/flink:2.1"), Some("2.1"));
        assert_eq!(image_version("flink:v1.18.1@sha256:abc"), Some("1.18.1"));
        assert_eq!(image_version("flink:latest"), None);
        assert_eq!(image_version("flink"), None);
        assert_eq!(image_version("registry:5000/flink"), None);
        assert_eq!(image_version("my-job:20260101"), None);
    }
}
