//! Every command that the documents and the program's own help show, run as a user would run it.
//!
//! [`WAYS`] says of each where it is run and how it ends. A command that is in no way's words and in no exception's fails, and so
//! does a way or an exception that no command needs any more. Documents that tell a story are in [`guide::STORIES`].

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use clap::CommandFactory;
use kubectl_flink::commands::Cli;

use crate::apply::NOWHERE;
use crate::desk::Desk;
use crate::elector::Era;
use crate::flink::Flink;
use crate::guide;
use crate::races::leave;
use crate::support::{Background, Needs, Run, SMALL, Test};

/// Where the documents are: files, and folders with all below them.
const DOCUMENTS: [&str; 3] = ["README.md", "ARCHITECTURE.md", "docs"];

/// What is not run here: words of the command or of where it stands, and why.
const EXCEPTIONS: [(&str, &str); 8] = [
    ("cargo xtask demo", "makes a test bed, and its story is the guide's, which is run"),
    ("cargo xtask test", "what runs this"),
    ("kubectl krew install", "its stage `krew` installs from a release, by this very line of the README"),
    ("Invoke-Expression", "no PowerShell; tests/cli/completion.rs has the script that is printed"),
    ("FLK110.md", "an object that the rule warns of"),
    ("FLK112.md", "a line of a Role"),
    ("FLK308.md", "a line of HTTP"),
    ("FLK312.md", "a line of Flink's configuration"),
];

/// Where a command is run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// Files, and no cluster is asked.
    Files,
    /// The clusters `flink` and `prod` on an API server, without pods.
    Objects,
    /// High-availability data that a cluster `flink` has left, of which a job is dead.
    Leftovers,
    /// The clusters `flink` and `prod`, which serve as soon as the documents' own `up` has said so.
    Serving,
    /// A cluster that runs a job and has lost its JobManager.
    Recovered,
    /// A JobManager that dies of a job whose files are gone.
    Crashing,
}

/// How it ends.
#[derive(Debug, Clone, Copy)]
enum End {
    /// With one of these exit codes.
    Codes(&'static [i32]),
    /// Well, when its question was answered.
    Answered(&'static str),
    /// By Ctrl-C, once it has shown this.
    Interrupted(&'static str),
    /// Well, in another shell, which first runs this.
    In(&'static str, &'static str),
    /// Well, sooner or later: something has to happen first.
    AtLast,
}

const WELL: End = End::Codes(&[0]);
/// Something is found, or something would change.
const FOUND: End = End::Codes(&[1]);

/// Words that a command, with where it stands before it, has all of; the first way counts.
const WAYS: &[(&[&str], Place, End)] = &[
    (&["completion zsh"], Place::Files, End::In("zsh", "autoload -U compinit && compinit -u")),
    (&["completion fish"], Place::Files, End::In("fish", "true")),
    (&["kubectl-flink completion bash"], Place::Files, WELL),
    (&["kubectl flink completion install"], Place::Files, WELL),
    (&["| kubectl flink explain -"], Place::Crashing, End::AtLast),
    (&["kubectl flink explain"], Place::Files, WELL),
    (&["rules --rbac"], Place::Objects, WELL),
    (&["kubectl flink rules"], Place::Files, WELL),
    (&["kubectl flink render"], Place::Files, WELL),
    (&["kubectl apply -f $f"], Place::Objects, WELL),
    (&["helm template"], Place::Files, WELL),
    (&["doctor -f manifests/ --overlay"], Place::Objects, FOUND),
    (&["doctor -f manifests/"], Place::Files, FOUND),
    (&["kubectl flink doctor"], Place::Serving, WELL),
    (&["kubectl flink --context staging doctor"], Place::Serving, WELL),
    (&["kubectl flink version"], Place::Serving, WELL),
    (&["docs/clean-ha.md", "kubectl flink status"], Place::Crashing, End::AtLast),
    (&["--namespace flink-demo"], Place::Recovered, WELL),
    (&["kubectl flink status", "--watch"], Place::Serving, End::Interrupted("Name:")),
    // Other tests' clusters are not well.
    (&["kubectl flink status -A"], Place::Serving, End::Codes(&[0, 1])),
    (&["kubectl flink status"], Place::Serving, WELL),
    (&["kubectl flink up", "--diff"], Place::Objects, FOUND),
    (&["kubectl flink up", "--dry-run"], Place::Objects, WELL),
    (&["kubectl flink up"], Place::Serving, WELL),
    (&["kubectl flink clean-ha", "--probe"], Place::Crashing, WELL),
    (&["kubectl flink clean-ha", "--dry-run"], Place::Leftovers, WELL),
    (&["kubectl flink clean-ha", "--restore"], Place::Leftovers, WELL),
    (&["kubectl flink clean-ha"], Place::Leftovers, End::Answered("y")),
    (&["kubectl flink down", "--yes"], Place::Objects, WELL),
    (&["kubectl flink down", "--dry-run"], Place::Objects, WELL),
    (&["kubectl flink down"], Place::Objects, End::Answered("y")),
];

const JOB: &str = "7601318e4ccd7281759507f40830fea9";
/// What the copy is called in the help.
const COPY: &str = "flink-ha-default-flink-20261121T081500Z.yaml";

/// A command that is shown.
#[derive(Debug)]
struct Shown {
    /// The document and the line, or whose help it is.
    at: String,
    command: String,
    /// What a console shows after it.
    output: Option<String>,
}

impl Shown {
    fn has(&self, words: &[&str]) -> bool {
        let all = format!("{} {}", self.at, self.command);
        words.iter().all(|words| all.contains(words))
    }

    fn exception(&self) -> Option<usize> {
        EXCEPTIONS.iter().position(|(words, _)| self.has(&[words]))
    }

    fn way(&self) -> Option<usize> {
        WAYS.iter().position(|(words, ..)| self.has(words))
    }
}

/// A fenced block of a Markdown file.
pub struct Block {
    line: usize,
    pub language: String,
    pub text: String,
}

/// The blocks of a text; one in a list is indented as the list is.
pub fn blocks(text: &str) -> Vec<Block> {
    let (mut blocks, mut open) = (Vec::new(), None::<(Block, usize)>);
    for (number, line) in (1..).zip(text.lines()) {
        let indent = line.len() - line.trim_start().len();
        match (&mut open, line.trim_start().strip_prefix("```")) {
            (Some(_), Some(_)) => blocks.extend(open.take().map(|(block, _)| block)),
            (Some((block, indent)), None) => block.text += &format!("{}\n", line.get(*indent..).unwrap_or_default()),
            (None, Some(info)) => {
                let language = info.split(' ').next().unwrap_or_default().to_owned();
                open = Some((Block { line: number, language, text: String::new() }, indent));
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block has no end");
    blocks
}

/// The commands of a script, each with the lines that it goes on in, without comments.
fn commands(script: &str) -> Vec<String> {
    let (mut commands, mut command) = (Vec::new(), String::new());
    for line in script.lines() {
        let line = line.split("  #").next().unwrap().trim();
        if command.is_empty() && (line.is_empty() || line.starts_with('#')) {
            continue;
        }
        assert!(!line.contains("<<"), "a text in a script is for a story: {line}");
        command += line;
        if let Some(goes_on) = command.strip_suffix('\\') {
            command = goes_on.to_owned();
        } else {
            commands.push(std::mem::take(&mut command));
        }
    }
    assert!(command.is_empty(), "it has no end: {command}");
    commands
}

fn of_block(document: &str, block: &Block) -> Vec<Shown> {
    let at = format!("{document}:{}", block.line);
    let shown = |command: String, output| Shown { at: at.clone(), command, output };
    match block.language.as_str() {
        "sh" => commands(&block.text).into_iter().map(|command| shown(command, None)).collect(),
        "console" if block.text.starts_with("$ ") => {
            let commands = format!("\n{}", block.text);
            let commands = commands.split("\n$ ").skip(1).map(|text| text.split_once('\n').unwrap_or((text, "")));
            commands.map(|(command, output)| shown(command.to_owned(), Some(output.trim_end().to_owned()))).collect()
        }
        "console" => vec![shown(block.text.clone(), None)],
        "yaml" | "text" | "properties" => Vec::new(),
        other => panic!("{at}: a block of {other:?}: are these commands?"),
    }
}

/// All Markdown files below a path of the checkout.
fn files(path: &str) -> Vec<String> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    if !root.join(path).is_dir() {
        return if path.ends_with(".md") { vec![path.to_owned()] } else { Vec::new() };
    }
    let entries = std::fs::read_dir(root.join(path)).unwrap();
    let mut names: Vec<String> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names.iter().flat_map(|name| files(&format!("{path}/{name}"))).collect()
}

fn of_help(command: &clap::Command, path: &str, shown: &mut Vec<Shown>) {
    let help = [command.get_after_help(), command.get_after_long_help()];
    for text in help.into_iter().flatten().map(ToString::to_string) {
        let examples = text.split_once("Examples:\n").map_or("", |(_, examples)| examples);
        // Up to the next heading.
        let examples = examples.lines().take_while(|line| line.is_empty() || line.starts_with("  "));
        let examples = examples.collect::<Vec<_>>().join("\n");
        let at = format!("the help of {path}");
        shown.extend(commands(&examples).into_iter().map(|command| Shown { at: at.clone(), command, output: None }));
    }
    for command in command.get_subcommands() {
        of_help(command, command.get_name(), shown);
    }
}

/// Everything that is shown, each command once.
fn all() -> Vec<Shown> {
    let mut shown = Vec::new();
    for document in DOCUMENTS.iter().flat_map(|path| files(path)) {
        let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&document)).unwrap();
        if !guide::STORIES.contains(&document.as_str()) {
            shown.extend(blocks(&text).iter().flat_map(|block| of_block(&document, block)));
        }
    }
    of_help(&Cli::command(), "flink", &mut shown);
    let mut seen = BTreeSet::new();
    shown.retain(|shown| shown.output.is_some() || seen.insert(shown.command.clone()));
    shown
}

#[test]
fn every_command_of_the_documents_is_known() {
    let (mut ways, mut exceptions) = (BTreeSet::new(), BTreeSet::new());
    for shown in all() {
        match (shown.exception(), shown.way()) {
            (Some(exception), _) => drop(exceptions.insert(exception)),
            (None, Some(way)) => drop(ways.insert(way)),
            (None, None) => panic!("nobody knows how to run this, see WAYS: {shown:#?}"),
        }
    }
    let idle: Vec<_> = (0..WAYS.len()).filter(|way| !ways.contains(way)).map(|way| WAYS[way].0).collect();
    assert!(idle.is_empty(), "no command goes these ways: {idle:?}");
    let idle: Vec<_> = (0..EXCEPTIONS.len()).filter(|at| !exceptions.contains(at)).map(|at| EXCEPTIONS[at].0).collect();
    assert!(idle.is_empty(), "exceptions of nothing: {idle:?}");
}

/// A user of the test's namespace, who has what the commands name.
struct User<'a> {
    test: &'a Test,
    desk: Desk,
    /// Commands so far: each is run in a folder of its own.
    count: std::cell::Cell<usize>,
}

impl<'a> User<'a> {
    fn new(test: &'a Test) -> Self {
        let mut desk = Desk::new(test);
        desk.config["contexts"][0]["context"]["namespace"] = test.namespace.as_str().into();
        desk.file("config", desk.config.to_string());
        let helm = desk.file("bin/helm", "#!/bin/sh\n# What a chart makes.\nexec kubectl-flink render\n");
        std::fs::set_permissions(helm, std::fs::Permissions::from_mode(0o755)).unwrap();
        User { test, desk, count: 0.into() }
    }

    /// A new folder, with the files that the command reads.
    fn folder(&self, command: &str) -> PathBuf {
        self.count.set(self.count.get() + 1);
        let folder = self.desk.path().join(format!("work-{}", self.count.get()));
        std::fs::create_dir(&folder).unwrap();
        let manifests = folder.join("manifests");
        if command.contains("doctor -f manifests/") {
            std::fs::create_dir(&manifests).unwrap();
            for file in std::fs::read_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/doctor/guide")).unwrap() {
                let file = file.unwrap();
                std::fs::copy(file.path(), manifests.join(file.file_name())).unwrap();
            }
        } else if command.contains("up -f ./manifests") || command.contains("in manifests/*.yaml") {
            let to = format!("--to={}", manifests.display());
            let serving = command.contains("up -f");
            let pods = if serving { "--taskmanagers=1" } else { "--node-selector=kf-test=nowhere" };
            self.test.flink(&[&["render", &to, pods], &SMALL[..]].concat()).ok();
        }
        folder
    }

    /// A command, or what it says, with the names of what is there.
    fn real(&self, shown: &str) -> String {
        let mut real = shown.to_owned();
        let context = &self.desk.config["contexts"][0]["name"];
        for (name, there) in [
            ("--context staging", format!("--context {context}")),
            ("clean-ha ID -n NAMESPACE --job JOB", format!("clean-ha flink -n {} --job {JOB}", self.test.namespace)),
            ("--job ID", format!("--job {JOB}")),
            ("--restore FILE", format!("--restore {COPY}")),
            ("~/.local/bin", "~/bin".to_owned()),
            ("-n streaming", format!("-n {}", self.test.namespace)),
            ("flink-demo", self.test.namespace.clone()),
            ("s3://bucket/", format!("s3://flink/{}/", self.test.namespace)),
        ] {
            real = real.replace(name, &there);
        }
        real
    }

    fn run(&self, shown: &Shown, end: End) {
        self.run_in(&self.folder(&shown.command), shown, end);
    }

    fn run_in(&self, folder: &Path, shown: &Shown, end: End) {
        let script = self.real(&shown.command);
        let output = shown.output.as_ref().map(|output| self.real(output));
        let command = |program: &str, arguments: &[&str]| {
            let mut command = self.desk.command(program, arguments);
            command.current_dir(folder).env("NO_COLOR", "1");
            command
        };
        // What is said stands in the order in which a user reads it.
        let both = format!("exec 2>&1\n{script}");
        let bash = || Run::of(&mut command("bash", &["-euo", "pipefail", "-c", &both]));
        let run = match end {
            End::Codes(_) => bash(),
            End::AtLast => self.test.until_some(&shown.command, || {
                let run = bash();
                let done = output.as_ref().map_or(run.code == 0, |expected| is_like(&run.stdout, expected));
                done.then_some(run)
            }),
            End::Answered(answer) => {
                let mut terminal = command("script", &["-qfec", &script, "/dev/null"]);
                Run::with_input(&mut terminal, &format!("{answer}\n"))
            }
            End::Interrupted(after) => self.interrupt(command("bash", &["-euo", "pipefail", "-c", &script]), after),
            End::In(shell, first) => Run::of(&mut command(shell, &["-c", &format!("{first}\n{script}")])),
        };
        self.test.say(&format!("{}\n{run}", shown.at));
        match end {
            End::Codes(codes) => assert!(codes.contains(&run.code), "{}: should end with {codes:?}\n{run}", shown.at),
            End::Interrupted(_) => drop(run.clone().exits(130)),
            End::AtLast => {}
            _ => drop(run.clone().ok()),
        }
        if let Some(expected) = &output {
            assert!(is_like(&run.stdout, expected), "{}: does not say\n{expected}\nbut\n{run}", shown.at);
        }
    }

    /// Runs it until it has shown this, and presses Ctrl-C.
    fn interrupt(&self, mut command: Command, after: &str) -> Run {
        command.process_group(0).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = Background(command.spawn().unwrap());
        let mut screen = BufReader::new(child.0.stdout.take().unwrap());
        let mut line = String::new();
        while !line.contains(after) {
            line.clear();
            assert_ne!(screen.read_line(&mut line).unwrap(), 0, "never showed {after:?}");
        }
        let group = format!("-{}", child.0.id());
        Run::of(Command::new("kill").args(["-INT", "--", &group])).ok();
        let code = child.0.wait().unwrap().code().unwrap_or(-1);
        Run::of(Command::new("sh").args(["-c", &format!("exit {code}")]))
    }
}

/// Whether a text is what a document shows: `...` is anything, and so are numbers, times, ids and the ends of pods' names.
fn is_like(text: &str, shown: &str) -> bool {
    let text: Vec<String> = text.lines().map(even).collect();
    let shown: Vec<String> = shown.lines().map(|line| even(&general(line))).collect();
    let text: Vec<&str> = text.iter().map(String::as_str).collect();
    let shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    fits(&text, &shown, "*", |line, pattern| {
        let (line, pattern): (Vec<_>, Vec<_>) = (line.chars().collect(), pattern.chars().collect());
        fits(&line, &pattern, '*', |a, b| a == b)
    })
}

/// Without what differs in columns and plurals.
fn even(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ").replace(" changes of", " change of")
}

/// A line with `*` for what may be anything.
fn general(line: &str) -> String {
    let word = |word: &str| {
        let pod = ["flink-jobmanager-", "flink-taskmanager-"].iter().find_map(|pod| {
            let (before, _) = word.split_once(pod)?;
            Some(format!("{before}{pod}*"))
        });
        let is_id = word.len() == 32 && word.chars().all(|c| c.is_ascii_hexdigit());
        let number = || word.replace("...", "*").replace(|c: char| c.is_ascii_digit(), "*");
        if is_id { "*".to_owned() } else { pod.unwrap_or_else(number) }
    };
    line.split_whitespace().map(word).collect::<Vec<_>>().join(" ")
}

/// Whether all of `items` is what the pattern says, in which `any` stands for any number of items.
fn fits<T: PartialEq + Copy>(items: &[T], pattern: &[T], any: T, same: impl Fn(T, T) -> bool + Copy) -> bool {
    // Which beginnings of the items the pattern so far fits.
    let mut fit: Vec<bool> = (0..=items.len()).map(|length| length == 0).collect();
    for part in pattern {
        let mut next = vec![false; items.len() + 1];
        for length in 0..=items.len() {
            next[length] = if *part == any {
                fit[length] || length > 0 && next[length - 1]
            } else {
                length > 0 && fit[length - 1] && same(items[length - 1], *part)
            };
        }
        fit = next;
    }
    fit[items.len()]
}

#[test]
fn what_is_shown_is_compared() {
    let shown = "Created:   41s ago\n...\n  Leader: flink-jobmanager-747c69bd69-cvdf9 on node1\n✘ pod/x: ... is gone";
    let says = |end: &str| format!("Created: 1m2s ago\na\nb\nLeader:   flink-jobmanager-x-y on node2\n{end}");
    assert!(is_like(&says("✘ pod/x: the file is gone"), shown));
    for other in ["✘ pod/x: the file is there", "✘ pod/y: the file is gone", "✘ pod/x: it is gone\nmore", ""] {
        assert!(!is_like(&says(other), shown), "{other}");
    }
}

/// The commands that are run there.
fn at(places: &[Place]) -> Vec<(Shown, Place, End)> {
    let known = |shown: Shown| {
        let (_, place, end) = WAYS[shown.way().filter(|_| shown.exception().is_none())?];
        places.contains(&place).then_some((shown, place, end))
    };
    all().into_iter().filter_map(known).collect()
}

/// Storage as a JobManager names it in its pointers; what was in a pod is known to be gone.
const ON_THE_VOLUME: &str = "file:/flink-storage/ha";
const IN_A_POD: &str = "file:/opt/flink/ha/default";

/// Leaves the high-availability data of one job, with its files there.
fn leave_job(test: &Test, storage: &str) {
    test.kubectl_here(&["delete", "configmaps", "-l", "app=flink"]);
    let jobs = BTreeMap::from([(JOB.to_owned(), storage.to_owned())]);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let connection = test.connection_args().connect().await.unwrap();
        leave(&connection, Era::V1_20, "flink", &jobs).await;
    });
}

#[test]
fn documents_without_pods() {
    let Some(test) = Test::begin("documents_without_pods", Needs::Api) else { return };
    let test = test.with_namespace(&[]);
    let user = User::new(&test);
    for (shown, place, end) in at(&[Place::Files, Place::Leftovers]) {
        let folder = user.folder(&shown.command);
        if place == Place::Leftovers {
            leave_job(&test, IN_A_POD);
        }
        if shown.command.contains("--restore") {
            let backup = format!("--backup-dir={}", folder.display());
            test.flink(&["clean-ha", "flink", "--yes", &backup]).ok();
            let copy = std::fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
            std::fs::rename(copy, folder.join(COPY)).unwrap();
        }
        user.run_in(&folder, &shown, end);
    }
    test.kubectl_here(&["delete", "configmaps", "-l", "app=flink"]);
    for (shown, _, end) in at(&[Place::Objects]) {
        for name in ["flink", "prod"] {
            test.flink(&[&["up", name], &NOWHERE[..]].concat()).ok();
        }
        if shown.command.contains("kubectl flink down") {
            leave_job(&test, ON_THE_VOLUME);
        }
        user.run(&shown, end);
    }
}

#[test]
fn documents_with_clusters_that_serve() {
    let Some(test) = Test::begin("documents_with_clusters_that_serve", Needs::Bed) else { return };
    let test = test.with_namespace(&[]);
    let user = User::new(&test);
    // What is recorded goes on: small sizes, and where the test bed's S3 server is.
    let record = |name: &str, options: &[&str]| {
        test.flink(&[&["up", name, "--wait=false", "--taskmanagers=1"], &SMALL[..], options].concat()).ok();
    };
    let s3 = test.s3();
    test.s3_secret("s3-credentials");
    record("prod", &s3.iter().map(String::as_str).collect::<Vec<_>>());
    record("flink", &[]);
    for (shown, _, end) in at(&[Place::Serving]) {
        user.run(&shown, end);
    }
}

#[test]
fn documents_with_a_job_that_recovers() {
    let Some(test) = Test::begin("documents_with_a_job_that_recovers", Needs::Bed) else { return };
    let user = User::new(&test);
    let shown = at(&[Place::Recovered]);
    let [(up, _, end), (status, _, healthy)] = &shown[..] else { panic!("{shown:#?}") };
    user.run(up, *end);
    let flink = Flink::of(&test, "flink");
    let job = flink.start_job("1.20.5", 2);
    let (before, fault) = (flink.saved(&job), std::time::Instant::now());
    test.kubectl_here(&["delete", "pod", "-l", "app.kubernetes.io/component=jobmanager"]);
    flink.recovers("the README: the JobManager is lost", &job, &before, fault);
    user.run(status, *healthy);
}

#[test]
fn documents_with_a_jobmanager_that_crashes() {
    let Some(test) = Test::begin("documents_with_a_jobmanager_that_crashes", Needs::Pods) else { return };
    let test = test.with_namespace(&[]);
    let user = User::new(&test);
    // The volume is older than the job's checkpoints, as far as can be seen, so it may be believed.
    test.flink(&[&["up"], &NOWHERE[..]].concat()).ok();
    test.kubectl_here(&["delete", "deployments", "--all"]);
    leave_job(&test, ON_THE_VOLUME);
    test.flink(&[&["up", "--reset", "--wait=false", "--taskmanagers=1"], &SMALL[..]].concat()).ok();
    let mut shown = at(&[Place::Crashing]);
    // What ends the crashes comes last.
    shown.sort_by_key(|(_, _, end)| !matches!(end, End::AtLast));
    for (shown, _, end) in shown {
        user.run(&shown, end);
    }
    test.until("it serves", || test.flink(&["status", "flink"]).code == 0);
}
