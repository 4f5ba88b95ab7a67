//! The programs that the tasks start, and where things are.
//!
//! Each runs in a process group of its own. So Ctrl-C reaches this program alone, which ends the group that runs and then
//! still has the time to take down what it had brought up.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use tokio::signal::unix::{SignalKind, signal};

static INTERRUPTED: AtomicBool = AtomicBool::new(false);
/// The process group that an interrupt ends.
static RUNNING: Mutex<Option<u32>> = Mutex::new(None);

/// Whether Ctrl-C was pressed, or the process asked to end in another way.
pub(crate) fn interrupted() -> bool {
    INTERRUPTED.load(Ordering::SeqCst)
}

/// From now on SIGINT, SIGTERM and SIGHUP end what [`run`] and its like have started, not this program.
pub(crate) fn watch_interrupts() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
    let entered = runtime.enter();
    for kind in [SignalKind::interrupt(), SignalKind::terminate(), SignalKind::hangup()] {
        let mut signals = signal(kind)?;
        runtime.spawn(async move {
            while signals.recv().await.is_some() {
                interrupt();
            }
        });
    }
    drop(entered);
    std::thread::spawn(move || runtime.block_on(std::future::pending::<()>()));
    Ok(())
}

/// Ends the group that runs; the second time without mercy.
fn interrupt() {
    let running = running();
    let signal = if INTERRUPTED.swap(true, Ordering::SeqCst) { "KILL" } else { "INT" };
    eprintln!("xtask: interrupted, cleaning up");
    if let Some(group) = *running {
        // A group that ended by itself in this moment is no error.
        let _ = Command::new("sh")
            .args(["-c", "kill -s $0 -- -$1", signal, &group.to_string()])
            .stderr(Stdio::null())
            .status();
    }
}

fn running() -> MutexGuard<'static, Option<u32>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Starts it in a group of its own, without standard input, unless an interrupt came before.
fn spawn(command: &mut Command) -> Result<Child> {
    // Held while it starts: an interrupt comes either before it or finds its group.
    let mut running = running();
    ensure!(!interrupted(), "interrupted");
    let child = start(command)?;
    *running = Some(child.id());
    Ok(child)
}

fn start(command: &mut Command) -> Result<Child> {
    command.process_group(0).spawn().with_context(|| format!("cannot start {}", line(command)))
}

fn wait(mut child: Child) -> Result<ExitStatus> {
    let status = child.wait();
    *running() = None;
    Ok(status?)
}

fn check(command: &Command, status: ExitStatus) -> Result<()> {
    ensure!(!interrupted(), "interrupted");
    ensure!(status.success(), "{}: {status}", line(command));
    Ok(())
}

/// Runs it; what it prints is seen.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = wait(spawn(command.stdin(Stdio::null()))?)?;
    check(command, status)
}

/// Runs it with this file as its standard input.
pub(crate) fn run_with_input(command: &mut Command, input: &Path) -> Result<()> {
    let file = std::fs::File::open(input).with_context(|| input.display().to_string())?;
    let status = wait(spawn(command.stdin(file))?)?;
    check(command, status)
}

/// Runs it whatever was interrupted, and no interrupt ends it: for what must be taken down.
pub(crate) fn run_always(command: &mut Command) -> Result<()> {
    let status = start(command.stdin(Stdio::null()))?.wait()?;
    ensure!(status.success(), "{}: {status}", line(command));
    Ok(())
}

/// Runs it and hands over each line of its standard output as it comes, and at the end whether it went well.
pub(crate) fn lines(command: &mut Command, mut each: impl FnMut(&str)) -> Result<()> {
    let mut child = spawn(command.stdin(Stdio::null()).stdout(Stdio::piped()))?;
    if let Some(stdout) = child.stdout.take() {
        let mut reader = BufReader::new(stdout);
        let mut line = Vec::new();
        while reader.read_until(b'\n', &mut line)? > 0 {
            each(String::from_utf8_lossy(&line).trim_end_matches(['\r', '\n']));
            line.clear();
        }
    }
    let status = wait(child)?;
    check(command, status)
}

/// Runs it and returns its standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let mut text = String::new();
    lines(command, |line| {
        text.push_str(line);
        text.push('\n');
    })?;
    Ok(text)
}

/// Runs it without showing what it says; that is in the error if it fails.
pub(crate) fn quiet(command: &mut Command) -> Result<()> {
    let mut child = spawn(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()))?;
    let mut said = Vec::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_end(&mut said)?;
    }
    let status = wait(child)?;
    // What is behind the first lines is a stack trace.
    check(command, status)
        .with_context(|| String::from_utf8_lossy(&said).lines().take(5).collect::<Vec<_>>().join("\n"))
}

/// Whether it runs and ends well; nothing that it says is shown.
pub(crate) fn succeeds(command: &mut Command) -> bool {
    quiet(command).is_ok()
}

/// The command as a person would type it.
pub(crate) fn line(command: &Command) -> String {
    let program = Path::new(command.get_program());
    std::iter::once(program.file_name().unwrap_or(program.as_os_str()))
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .map(
            |word| {
                if word.is_empty() || word.contains([' ', '*', '$']) { format!("'{word}'") } else { word.into_owned() }
            },
        )
        .collect::<Vec<_>>()
        .join(" ")
}

/// The top of the checkout.
pub(crate) fn root() -> Result<PathBuf> {
    let xtask = env::var_os("CARGO_MANIFEST_DIR").context("start it as: cargo xtask")?;
    Ok(Path::new(&xtask).parent().context("xtask has no parent folder")?.to_owned())
}

/// This project's folder in the user's cache.
pub(crate) fn cache() -> Result<PathBuf> {
    Ok(user_cache()?.join("kubectl-flink"))
}

/// The user's folder for what can be made again.
pub(crate) fn user_cache() -> Result<PathBuf> {
    match (env::var_os("XDG_CACHE_HOME"), env::var_os("HOME")) {
        (Some(cache), _) if !cache.is_empty() => Ok(cache.into()),
        (_, Some(home)) => Ok(Path::new(&home).join(".cache")),
        _ => bail!("neither XDG_CACHE_HOME nor HOME is set"),
    }
}

/// This program on the PATH.
pub(crate) fn find_program(name: &str) -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// cargo, at the top of the checkout, as if this program had not been started by cargo itself.
pub(crate) fn cargo(arguments: &[&str]) -> Result<Command> {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(arguments).current_dir(root()?);
    without_cargo(&mut cargo);
    Ok(cargo)
}

/// Takes out of a command's environment what cargo has told this program about itself.
pub(crate) fn without_cargo(command: &mut Command) {
    for (name, _) in env::vars_os() {
        // Some build scripts depend on these: with xtask's values they would be run again each time.
        if name.to_str().is_some_and(|name| name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_")) {
            command.env_remove(name);
        }
    }
}

/// The path of a program that is a crate of this name, at this version. It is built into the cache the first time, which takes
/// minutes.
pub(crate) fn cargo_tool(name: &str, version: &str) -> Result<PathBuf> {
    let tools = tools()?;
    let binary = tools.join("bin").join(name);
    let installed = fs::read_to_string(tools.join(".crates.toml")).unwrap_or_default();
    if !binary.is_file() || !installed.contains(&format!("\"{name} {version} ")) {
        let arguments = ["install", name, "--quiet", "--force", "--locked", "--version", version, "--root"];
        run(cargo(&arguments)?.arg(tools).env_remove("CARGO_TARGET_DIR"))?;
    }
    Ok(binary)
}

/// The folder of programs that are installed for this project alone.
pub(crate) fn tools() -> Result<PathBuf> {
    let tools = cache()?.join("tools");
    fs::create_dir_all(&tools)?;
    Ok(tools)
}

/// Installs the programs that are missing, each named with its Debian package, where that can be done: as root, on Debian. What
/// is still missing then fails what needs it, which says so better than this could.
pub(crate) fn install(programs: &[(&str, &str)]) -> Result<()> {
    let missing: BTreeSet<&str> =
        programs.iter().filter(|(program, _)| find_program(program).is_none()).map(|(_, package)| *package).collect();
    if missing.is_empty() || find_program("apt-get").is_none() {
        return Ok(());
    }
    install_packages(&Vec::from_iter(missing))
}

/// Installs Debian packages, as root; otherwise says which.
pub(crate) fn install_packages(packages: &[&str]) -> Result<()> {
    if output(Command::new("id").arg("-u"))?.trim() != "0" {
        println!("missing, and only root can install them: {}", packages.join(" "));
        return Ok(());
    }
    quiet(Command::new("apt-get").args(["update", "-qq"]))?;
    let mut install = Command::new("apt-get");
    install.args(["install", "-qqy", "--no-install-recommends"]).args(packages);
    quiet(install.env("DEBIAN_FRONTEND", "noninteractive"))
}

/// Builds the program and returns its path.
pub(crate) fn build(release: bool) -> Result<PathBuf> {
    let mut cargo = cargo(&[
        "build",
        "--package",
        "kubectl-flink",
        "--bin",
        "kubectl-flink",
        "--message-format",
        "json-render-diagnostics",
    ])?;
    if release {
        cargo.arg("--release");
    }
    let mut binary = None;
    lines(&mut cargo, |line| {
        let message: serde_json::Value = serde_json::from_str(line).unwrap_or_default();
        if let Some(path) = message["executable"].as_str() {
            binary = Some(PathBuf::from(path));
        }
    })?;
    binary.context("cargo built no program")
}
