//! What all tests share: the cluster and what it can do, a namespace for each test, the program, kubectl.

use std::ffi::OsStr;
use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Condvar, Mutex, Once, OnceLock};
use std::time::{Duration, Instant};

use kubectl_flink::cluster::ConnectionArgs;
use serde_json::Value;

/// Small sizes, so that three clusters fit on a small machine beside their Kubernetes.
pub const SMALL: [&str; 4] =
    ["--jobmanager-memory=900m", "--taskmanager-memory=1000m", "--jobmanager-cpu=100m", "--taskmanager-cpu=100m"];
/// How long anything may take that has to happen. Nothing is asserted about times: the machine may be slow or busy.
pub const PATIENCE: Duration = Duration::from_secs(400);
/// A wait that ends with a reason ends long before this.
pub const LONG_TIMEOUT: &str = "--timeout=20m";

/// How the tests are told where they run: all of it is read here.
pub struct Environment {
    /// The kubeconfig of the test bed's administrator; None where a context of the user's own is used.
    kubeconfig: Option<PathBuf>,
    /// The test bed's script and the name of its cluster.
    bed: Option<(PathBuf, String)>,
    /// A context of the user's kubeconfig.
    context: Option<String>,
    /// Pods run there.
    pods: bool,
}

fn environment() -> &'static Environment {
    static ENVIRONMENT: OnceLock<Environment> = OnceLock::new();
    let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
    ENVIRONMENT.get_or_init(|| Environment {
        kubeconfig: variable("KUBECTL_FLINK_TESTBED_KUBECONFIG").map(PathBuf::from),
        bed: variable("KUBECTL_FLINK_TESTBED")
            .map(|script| (script.into(), variable("KUBECTL_FLINK_TESTBED_NAME").unwrap_or_else(|| "default".into()))),
        context: variable("KUBECTL_FLINK_TEST_CONTEXT"),
        // `control-plane` where no pod ever runs.
        pods: variable("KUBECTL_FLINK_TESTBED_TIER").as_deref() != Some("control-plane"),
    })
}

/// What a test needs of its cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Needs {
    /// An API server with its controllers.
    Api,
    /// The test bed's API server, and nobody else may use the cluster meanwhile: it will be gone.
    ApiAlone,
    /// Pods that run.
    Pods,
    /// Pods, and the test bed: its S3 server, its nodes, its users.
    Bed,
    /// The same, and nobody else may use the cluster meanwhile: the API server or a node will be gone.
    BedAlone,
}

/// Tests that start Flink clusters run three at a time, one that takes the cluster apart alone.
struct Turns {
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}
static TURNS: Turns = Turns { state: Mutex::new((0, false)), changed: Condvar::new() };
const SIDE_BY_SIDE: usize = 3;

struct Turn {
    alone: bool,
}

impl Turn {
    fn take(alone: bool) -> Self {
        let mut state = TURNS.state.lock().unwrap();
        loop {
            let (running, taken) = *state;
            if alone && running == 0 && !taken {
                *state = (0, true);
                break;
            }
            if !alone && running < SIDE_BY_SIDE && !taken {
                *state = (running + 1, false);
                break;
            }
            state = TURNS.changed.wait(state).unwrap();
        }
        Turn { alone }
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Ok(mut state) = TURNS.state.lock() {
            if self.alone { state.1 = false } else { state.0 -= 1 }
        }
        TURNS.changed.notify_all();
    }
}

/// One test: its namespace, and what it may use. Whatever comes of it, the namespace is gone afterwards.
pub struct Test {
    /// A namespace of its own, which does not exist yet.
    pub namespace: String,
    name: &'static str,
    /// More namespaces to delete.
    others: Mutex<Vec<String>>,
    started: Instant,
    _turn: Turn,
}

impl Test {
    /// Begins the test of this name, or says that it is skipped: None where the cluster is not what it needs.
    ///
    /// # Panics
    /// No cluster is named.
    pub fn begin(name: &'static str, needs: Needs) -> Option<Self> {
        let environment = environment();
        assert!(
            environment.kubeconfig.is_some() || environment.context.is_some(),
            "no cluster is named, so nothing was tested: run `cargo xtask test`, which makes one; or set \
             KUBECTL_FLINK_TEST_CONTEXT to a context of your kubeconfig"
        );
        let lacks = match needs {
            Needs::Api => None,
            Needs::ApiAlone if environment.bed.is_some() => None,
            Needs::Bed | Needs::BedAlone | Needs::ApiAlone if environment.bed.is_none() => Some("needs the test bed"),
            _ if !environment.pods => Some("needs pods that run"),
            _ => None,
        };
        if let Some(lacks) = lacks {
            skip(name, lacks);
            return None;
        }
        tell_at_once_why_a_test_fails();
        let turn = Turn::take(matches!(needs, Needs::ApiAlone | Needs::BedAlone));
        Some(Test { namespace: unique(), name, others: Mutex::default(), started: Instant::now(), _turn: turn })
    }

    /// Makes the test's namespace, with these labels.
    pub fn with_namespace(self, labels: &[&str]) -> Self {
        self.kubectl(&["create", "namespace", &self.namespace]);
        if !labels.is_empty() {
            self.kubectl(&[&["label", "namespace", &self.namespace], labels].concat());
        }
        self
    }

    /// The name of another namespace, which is deleted too.
    pub fn another_namespace(&self) -> String {
        let namespace = unique();
        self.others.lock().unwrap().push(namespace.clone());
        namespace
    }

    /// Says something in the test's output, with the time.
    pub fn say(&self, what: &str) {
        eprintln!("[{:7.1} s] {}: {what}", self.started.elapsed().as_secs_f64(), self.name);
    }

    /// The same for what people want to see of tests that pass too: the test harness keeps prints back, but not this.
    pub fn announce(&self, what: &str) {
        let _ = writeln!(std::io::stderr(), "[{:7.1} s] {}: {what}", self.started.elapsed().as_secs_f64(), self.name);
    }

    /// The program, in the test's namespace.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = self.plain_command();
        command.args(arguments).args(["--namespace", &self.namespace]);
        command
    }

    /// The program, without a namespace.
    pub fn plain_command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-flink"));
        connect(&mut command);
        command.env("NO_COLOR", "1").stdin(Stdio::null());
        command
    }

    /// The test's namespace, for what is asked of the library.
    pub fn connection_args(&self) -> ConnectionArgs {
        let Environment { kubeconfig, context, .. } = environment();
        ConnectionArgs {
            namespace: Some(self.namespace.clone()),
            kubeconfig: kubeconfig.clone(),
            context: context.clone().filter(|_| kubeconfig.is_none()),
            ..ConnectionArgs::default()
        }
    }

    /// Runs the program in the test's namespace.
    pub fn flink(&self, arguments: &[&str]) -> Run {
        Run::of(&mut self.command(arguments))
    }

    /// `up` with small sizes, which has to do well.
    pub fn up(&self, arguments: &[&str]) -> Run {
        let run = self.flink(&[&["up"], &SMALL[..], arguments].concat()).ok();
        self.say(&format!("up {} took {:.1} s", arguments.join(" "), run.took.as_secs_f64()));
        run
    }

    /// Runs the program as another user, whom the API server has to let the administrator impersonate.
    pub fn flink_as(&self, user: &str, arguments: &[&str]) -> Run {
        Run::of(self.command(arguments).args(["--as", user]))
    }

    /// For commands as people type them: finds kubectl and the program as its plugin, and the cluster.
    pub fn as_users_have_it(&self, command: &mut Command) {
        let kubectl = kubectl();
        let programs = [Path::new(env!("CARGO_BIN_EXE_kubectl-flink")), Path::new(kubectl.get_program())];
        let folders = programs.iter().filter_map(|program| program.parent()).map(Path::to_path_buf);
        let path = std::env::var_os("PATH").unwrap_or_default();
        let folders = folders.chain(std::env::split_paths(&path)).filter(|folder| !folder.as_os_str().is_empty());
        command.env("PATH", std::env::join_paths(folders).unwrap());
        connect(command);
    }

    /// Runs kubectl, which has to do well, and gives back what it printed.
    pub fn kubectl(&self, arguments: &[&str]) -> String {
        let run = Run::of(kubectl().args(arguments));
        assert_eq!(run.code, 0, "kubectl {}\n{run}", arguments.join(" "));
        run.stdout
    }

    /// Runs kubectl in the test's namespace.
    pub fn kubectl_here(&self, arguments: &[&str]) -> String {
        self.kubectl(&[arguments, &["--namespace", &self.namespace]].concat())
    }

    /// Runs kubectl in the test's namespace, whatever comes of it.
    pub fn try_kubectl(&self, arguments: &[&str]) -> Run {
        Run::of(kubectl().args(arguments).args(["--namespace", &self.namespace]))
    }

    /// The same, but not for longer than some seconds: a pod or a node that is gone may let it wait.
    pub fn try_kubectl_quickly(&self, arguments: &[&str]) -> Run {
        Run::of(kubectl().args(arguments).args(["--namespace", &self.namespace, "--request-timeout=5s"]))
    }

    /// kubectl in the test's namespace.
    pub fn kubectl_command(&self, arguments: &[&str]) -> Command {
        let mut command = kubectl();
        command.args(arguments).args(["--namespace", &self.namespace]);
        command
    }

    /// Runs the program, and does something as soon as it has said this on standard error.
    pub fn run_until(&self, arguments: &[&str], after: &str, act: impl FnOnce()) -> Run {
        let started = Instant::now();
        let mut command = self.command(arguments);
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (mut said, mut act) = (String::new(), Some(act));
        for line in BufReader::new(child.stderr.take().unwrap()).lines() {
            let line = line.unwrap();
            said = said + &line + "\n";
            if line.contains(after)
                && let Some(act) = act.take()
            {
                act();
            }
        }
        let mut output = child.wait_with_output().unwrap();
        assert!(act.is_none(), "never said {after:?}:\n{said}");
        output.stderr = said.into_bytes();
        Run::ended(&command, &output, started)
    }

    /// `kubectl create -f -`, or whatever the arguments say, with this text.
    pub fn kubectl_with(&self, arguments: &[&str], input: &str) -> Run {
        Run::with_input(kubectl().args(arguments).args(["--namespace", &self.namespace]), input)
    }

    /// `kubectl apply` of these manifests, each object to the namespace that it names.
    pub fn apply(&self, manifests: &str) -> Run {
        Run::with_input(kubectl().args(["apply", "-f", "-"]), manifests)
    }

    /// Creates what this manifest says in the test's namespace.
    pub fn create(&self, manifest: &str) {
        let run = self.kubectl_with(&["create", "-f", "-"], manifest);
        assert_eq!(run.code, 0, "{run}");
    }

    /// An object, as JSON.
    pub fn get(&self, object: &str) -> Value {
        serde_json::from_str(&self.kubectl_here(&["get", object, "-o", "json", "--show-managed-fields"])).unwrap()
    }

    /// The objects of these kinds, as JSON.
    pub fn list(&self, kinds: &str) -> Vec<Value> {
        let text = self.kubectl_here(&["get", kinds, "-o", "json", "--show-managed-fields"]);
        match serde_json::from_str::<Value>(&text).unwrap()["items"].take() {
            Value::Array(items) => items,
            other => panic!("no list: {other}"),
        }
    }

    /// Whether an object is there.
    pub fn exists(&self, object: &str) -> bool {
        let run = self.try_kubectl(&["get", object, "-o", "name", "--ignore-not-found"]);
        assert_eq!(run.code, 0, "{run}");
        !run.stdout.trim().is_empty()
    }

    /// `kind/name` of all that is in the namespace and not Kubernetes' own, with its resourceVersion, or uid for pods.
    pub fn fingerprint(&self) -> Vec<String> {
        let kinds = "serviceaccounts,roles,rolebindings,configmaps,services,persistentvolumeclaims,deployments";
        let mut all: Vec<String> = self
            .list(kinds)
            .iter()
            .filter(|object| {
                // Flink writes its leader and its jobs there all the time.
                let name = object["metadata"]["name"].as_str().unwrap();
                !["kube-root-ca.crt", "default"].contains(&name) && !name.ends_with("-config-map")
            })
            .map(|object| format!("{} {}", reference(object), object["metadata"]["resourceVersion"]))
            .collect();
        all.extend(self.list("pods").iter().map(|pod| format!("{} {}", reference(pod), pod["metadata"]["uid"])));
        all.sort();
        all
    }

    /// The fingerprint once the controllers have written what they write.
    pub fn settled(&self) -> Vec<String> {
        let mut before = Vec::new();
        self.until_some("the controllers are done", || {
            std::thread::sleep(Duration::from_secs(1));
            let now = self.fingerprint();
            if now == before {
                return Some(now);
            }
            before = now;
            None
        })
    }

    /// Names of the pods of a role, `jobmanager` or `taskmanager`, that are not on their way out.
    pub fn pods(&self, component: &str) -> Vec<String> {
        self.list("pods")
            .iter()
            .filter(|pod| pod["metadata"]["labels"]["app.kubernetes.io/component"] == component)
            .filter(|pod| pod["metadata"]["deletionTimestamp"].is_null())
            .map(|pod| pod["metadata"]["name"].as_str().unwrap().to_owned())
            .collect()
    }

    /// Waits until it is so.
    ///
    /// # Panics
    /// It is not so after [`PATIENCE`].
    pub fn until(&self, what: &str, mut check: impl FnMut() -> bool) {
        self.until_some(what, || check().then_some(()));
    }

    /// Waits until there is one.
    ///
    /// # Panics
    /// There is none after [`PATIENCE`].
    pub fn until_some<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let started = Instant::now();
        loop {
            if let Some(found) = look() {
                self.say(&format!("{what} after {:.1} s", started.elapsed().as_secs_f64()));
                return found;
            }
            assert!(started.elapsed() < PATIENCE, "waited in vain: {what}");
            std::thread::sleep(Duration::from_millis(250));
        }
    }

    /// The test bed's script.
    pub fn bed(&self, arguments: &[&str]) -> String {
        let (script, name) = environment().bed.as_ref().expect("the test has begun with Needs::Bed");
        let run = Run::of(Command::new(script).args(["--name", name]).args(arguments));
        assert_eq!(run.code, 0, "testbed {}\n{run}", arguments.join(" "));
        run.stdout
    }

    /// The key that the test bed's API server signs the tokens of service accounts with.
    pub fn token_key(&self) -> Option<PathBuf> {
        let Environment { kubeconfig, bed, .. } = environment();
        bed.as_ref().and(kubeconfig.as_ref()).map(|file| file.with_file_name("pki").join("sa.key"))
    }

    /// The program with the certificate of a user of these groups, who has the rights that the test gives.
    pub fn command_of(&self, user: &[&str], arguments: &[&str]) -> Command {
        let kubeconfig = self.bed(&[&["kubeconfig", "--as"], user].concat());
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-flink"));
        command.env_remove("KUBECONFIG").env("NO_COLOR", "1").stdin(Stdio::null());
        command.args(arguments).args(["--namespace", &self.namespace, "--kubeconfig", kubeconfig.trim()]);
        command
    }

    /// The credentials of the test bed's S3 server, as environment variables.
    pub fn s3_credentials(&self) -> [(&'static str, String); 2] {
        let text = self.bed(&["s3", "env"]);
        ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"].map(|name| {
            let value =
                text.lines().find_map(|line| line.trim_start_matches("export ").strip_prefix(&format!("{name}=")));
            let value = value.unwrap_or_else(|| panic!("`s3 env` has no {name}:\n{text}"));
            (name, value.trim_matches(['"', '\'']).to_owned())
        })
    }

    /// Makes a Secret with them.
    pub fn s3_secret(&self, name: &str) {
        let entries = self.s3_credentials().map(|(name, value)| format!("--from-literal={name}={value}"));
        self.kubectl_here(&["create", "secret", "generic", name, &entries[0], &entries[1]]);
    }

    /// Options with which Flink keeps its state on the test bed's S3 server, under a folder of this test. The credentials
    /// are in the secret `s3`, which this makes.
    pub fn s3(&self) -> Vec<String> {
        self.s3_secret("s3");
        [
            &format!("--ha-storage=s3://flink/{}", self.namespace),
            "--env-from-secret=s3",
            "-Ds3.endpoint=http://s3.testbed.svc:9000",
            "-Ds3.path.style.access=true",
        ]
        .map(str::to_owned)
        .to_vec()
    }

    /// What there is to see when a test has failed.
    fn report(&self) {
        let mut report = format!("\n==== {} failed; namespace {}\n", self.name, self.namespace);
        let mut add = |arguments: &[&str]| {
            let run = self.try_kubectl(arguments);
            let _ = writeln!(report, "---- kubectl {}\n{}{}", arguments.join(" "), run.stdout, run.stderr);
        };
        add(&["get", "deployments,pods,persistentvolumeclaims,configmaps", "-o", "wide"]);
        add(&["get", "events", "--sort-by=.lastTimestamp"]);
        for component in ["jobmanager", "taskmanager"] {
            let selector = format!("app.kubernetes.io/component={component}");
            add(&["logs", "--tail=40", "--prefix", "--selector", &selector]);
        }
        eprintln!("{report}");
    }
}

impl Drop for Test {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.report();
        }
        let others = self.others.lock().map(|others| others.clone()).unwrap_or_default();
        for namespace in others.iter().chain([&self.namespace]) {
            // A TaskManager that loses its JobManager takes its time to go; nobody wants to know what it would say.
            let hurry = ["delete", "pods", "--all", "--namespace", namespace, "--grace-period=1", "--wait=false"];
            Run::of(kubectl().args(hurry));
            Run::of(kubectl().args(["delete", "namespace", namespace, "--ignore-not-found", "--wait=false"]));
        }
        self.say("ended");
    }
}

/// The test harness keeps back why a test has failed until all have run, and then says it below all that the test has said:
/// whoever sees only a part of that shall see why.
fn tell_at_once_why_a_test_fails() {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            before(panic);
            let _ = writeln!(std::io::stderr(), "{}: {panic}", std::thread::current().name().unwrap_or("?"));
        }));
    });
}

/// Counts a test as skipped: the runner reads the file, people read the line.
pub fn skip(name: &str, why: &str) {
    eprintln!("test-skipped: {name}: {why}");
    if let Some(path) = std::env::var_os("KUBECTL_FLINK_TEST_SKIPPED") {
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        writeln!(file.unwrap(), "{name}: {why}").unwrap();
    }
}

/// A namespace that no other test and no other run has.
fn unique() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let time = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let run = (time.as_millis() / 100) % 0x0fff_ffff;
    format!("kf-{:x}-{}", run ^ u128::from(std::process::id()) << 12, COUNT.fetch_add(1, Ordering::Relaxed))
}

/// Tells a command which cluster it is.
fn connect(command: &mut Command) {
    let environment = environment();
    if let Some(kubeconfig) = &environment.kubeconfig {
        command.env("KUBECONFIG", kubeconfig);
    } else if let Some(context) = &environment.context {
        command.args(["--context", context]);
    }
}

/// kubectl: the test bed's own, else the one in PATH.
fn kubectl() -> Command {
    static PROGRAM: OnceLock<PathBuf> = OnceLock::new();
    let program = PROGRAM.get_or_init(|| {
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        let cache = std::env::var_os("XDG_CACHE_HOME").map_or_else(|| home.join(".cache"), PathBuf::from);
        let cache = std::env::var_os("FLINK_TESTBED_CACHE").map_or_else(|| cache.join("flink-testbed"), PathBuf::from);
        let of_bed = cache.join("bin/kubectl");
        if environment().bed.is_some() && of_bed.is_file() { of_bed } else { "kubectl".into() }
    });
    let mut command = Command::new(program);
    connect(&mut command);
    command
}

/// `deployment/flink-jobmanager`.
pub fn reference(object: &Value) -> String {
    let kind = object["kind"].as_str().unwrap().to_lowercase();
    format!("{kind}/{}", object["metadata"]["name"].as_str().unwrap())
}

/// A program that has ended: what it said and its exit code.
#[derive(Debug, Clone)]
pub struct Run {
    pub stdout: String,
    pub stderr: String,
    pub code: i32,
    pub took: Duration,
    what: String,
}

impl Run {
    pub fn of(command: &mut Command) -> Self {
        let started = Instant::now();
        let output = command.output().unwrap_or_else(|e| panic!("{}: {e}", command.get_program().display()));
        Self::ended(command, &output, started)
    }

    pub fn with_input(command: &mut Command, input: &str) -> Self {
        let started = Instant::now();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        Self::ended(command, &output, started)
    }

    fn ended(command: &Command, output: &Output, started: Instant) -> Self {
        let words = command.get_args().map(OsStr::to_string_lossy).collect::<Vec<_>>().join(" ");
        Run {
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
            code: output.status.code().unwrap_or(-1),
            took: started.elapsed(),
            what: format!("{} {words}", command.get_program().to_string_lossy()),
        }
    }

    /// It has ended with 0.
    pub fn ok(self) -> Self {
        self.exits(0)
    }

    /// It has ended with this code.
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "the exit code should be {code}\n{self}");
        self
    }

    /// Standard error has all of these texts.
    pub fn says(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(self.stderr.contains(text), "should say {text:?}\n{self}");
        }
        self
    }

    /// Standard error has none of these texts.
    pub fn keeps_silent_about(self, texts: &[&str]) -> Self {
        for text in texts {
            assert!(!self.stderr.contains(text), "should not say {text:?}\n{self}");
        }
        self
    }

    /// Standard output, as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|e| panic!("no JSON: {e}\n{self}"))
    }
}

impl std::fmt::Display for Run {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Run { stdout, stderr, code, took, what } = self;
        let seconds = took.as_secs_f64();
        write!(f, "$ {what}\n{stdout}---- stderr\n{stderr}---- exit code {code} after {seconds:.1} s")
    }
}

/// A program in the background, ended with the test.
pub struct Background(pub Child);

impl Drop for Background {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
