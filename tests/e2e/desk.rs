//! A user's desk: a home, a PATH with kubectl and this program, one kubeconfig, and shells to type in.

use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use crate::support::{Background, Run, Test};

pub struct Desk {
    folder: TempDir,
    /// The kubeconfig, which is one context of the cluster that is tested on.
    pub config: Value,
}

impl Desk {
    pub fn new(test: &Test) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let text = test.kubectl(&["config", "view", "--raw", "--minify", "--flatten", "-o", "json"]);
        let desk = Desk { config: serde_json::from_str(&text).unwrap(), folder };
        desk.file("config", &text);
        for (name, program) in [
            ("kubectl", which(&test.kubectl_command(&[]).get_program().to_string_lossy())),
            ("kubectl-flink", env!("CARGO_BIN_EXE_kubectl-flink").into()),
        ] {
            desk.file("bin/none", "");
            std::os::unix::fs::symlink(program, desk.path().join("bin").join(name)).unwrap();
        }
        desk
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    }

    /// A program, with nothing of the tests' own environment.
    pub fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let found = self.path().join("bin").join(program);
        let mut command = Command::new(if found.exists() { found } else { program.into() });
        command.args(arguments).env_clear().current_dir(self.path()).stdin(Stdio::null());
        command.env("PATH", format!("{}:/usr/bin:/bin", self.path().join("bin").display()));
        command.env("HOME", self.path()).env("KUBECONFIG", self.path().join("config")).env("TERM", "dumb");
        command
    }

    pub fn run(&self, program: &str, arguments: &[&str]) -> Run {
        Run::of(&mut self.command(program, arguments))
    }

    /// A shell in a terminal of its own.
    pub fn terminal(&self, shell: &str) -> Terminal {
        let mut command = self.command("script", &["-qfec", shell, "/dev/null"]);
        let mut shell = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (keyboard, mut screen) = (shell.stdin.take().unwrap(), shell.stdout.take().unwrap());
        let shown = Arc::new(Mutex::new(String::new()));
        let seen = shown.clone();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            while let Ok(count @ 1..) = screen.read(&mut bytes) {
                seen.lock().unwrap().push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        });
        Terminal { _shell: Background(shell), keyboard, shown }
    }
}

/// A program's path, wherever the tests' own PATH has it.
fn which(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap();
    std::env::split_paths(&path).map(|folder| folder.join(program)).find(|path| path.is_file()).unwrap()
}

pub struct Terminal {
    _shell: Background,
    keyboard: ChildStdin,
    shown: Arc<Mutex<String>>,
}

impl Terminal {
    /// Types this, and waits until that is seen, after which the screen is empty again.
    pub fn types(&mut self, keys: &str, until: &str) {
        self.keyboard.write_all(keys.as_bytes()).unwrap();
        let seen = self.shows(until, Duration::from_secs(60));
        assert!(seen, "{keys:?} never showed {until:?}:\n{:?}", self.shown.lock().unwrap());
    }

    /// Presses TAB until that is seen: a machine that is busy may not have the names in time.
    pub fn completes(&mut self, until: &str) {
        for _ in 0..20 {
            self.keyboard.write_all(b"\t").unwrap();
            if self.shows(until, Duration::from_secs(3)) {
                return;
            }
        }
        panic!("TAB never showed {until:?}:\n{:?}", self.shown.lock().unwrap());
    }

    fn shows(&self, what: &str, patience: Duration) -> bool {
        let started = Instant::now();
        loop {
            let mut shown = self.shown.lock().unwrap();
            if shown.contains(what) {
                shown.clear();
                return true;
            }
            drop(shown);
            if started.elapsed() > patience {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
