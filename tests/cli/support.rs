//! Runs the program with nothing of the user's own around it, and shows what came of it as one text.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tempfile::TempDir;

/// A home directory of its own.
pub struct Home {
    pub folder: TempDir,
}

impl Home {
    pub fn new() -> Self {
        Home { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Writes a file into it.
    pub fn file(&self, name: &str, text: &str) -> &Self {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    /// The same, executable.
    pub fn program(&self, name: &str, text: &str) -> &Self {
        use std::os::unix::fs::PermissionsExt;
        self.file(name, text);
        std::fs::set_permissions(self.path().join(name), std::fs::Permissions::from_mode(0o755)).unwrap();
        self
    }

    /// The program, working in this directory, with nothing in its environment.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-flink"));
        command.env_clear().env("HOME", self.path()).current_dir(self.path()).stdin(Stdio::null()).args(arguments);
        command
    }

    /// Runs it; the text has standard output, then standard error and the exit status where there is something to say.
    pub fn run(&self, arguments: &[&str]) -> String {
        self.show(&mut self.command(arguments))
    }

    /// The help of a command, without the connection's options, which have to be the ones that every command has.
    pub fn help(&self, command: &str, flag: &str) -> String {
        let (text, options) = without_connection(&self.run(&[command, flag]));
        assert_eq!(options, without_connection(&self.run(&[flag])).1);
        text
    }

    pub fn show(&self, command: &mut Command) -> String {
        let output = command.output().unwrap();
        let mut text = String::from_utf8(output.stdout).unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        if !stderr.is_empty() {
            let _ = write!(text, "---- stderr\n{stderr}");
        }
        match output.status.code() {
            Some(0) => {}
            Some(code) => {
                let _ = writeln!(text, "[exit status: {code}]");
            }
            None => panic!("{:?}\n{text}", output.status),
        }
        text.replace(self.path().to_str().unwrap(), "$HOME")
            .replace(self.path().canonicalize().unwrap().to_str().unwrap(), "$HOME")
    }

    /// Standard output of a run that has to do well.
    pub fn stdout(&self, arguments: &[&str]) -> String {
        let output = self.command(arguments).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }
}

/// Cuts the part on the connection's options out of a help text.
fn without_connection(help: &str) -> (String, String) {
    let parts = help.split_inclusive("\n\n");
    let (mut text, mut options, mut inside) = (String::new(), String::new(), false);
    for part in parts {
        if !part.starts_with(' ') {
            inside = part.starts_with("Kubernetes options:");
        }
        let to = if inside { &mut options } else { &mut text };
        to.push_str(part);
    }
    (text, options.trim_end().to_owned())
}

/// An API server that must not be asked anything.
pub struct NoServer {
    connected: Arc<AtomicBool>,
    pub kubeconfig: String,
}

impl NoServer {
    pub fn new() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let kubeconfig = kubeconfig(&format!("http://{}", listener.local_addr().unwrap()));
        let connected = Arc::new(AtomicBool::new(false));
        let seen = connected.clone();
        // Ends with the process. Whoever connects is sent away, so that nothing waits for an answer.
        std::thread::spawn(move || listener.incoming().for_each(|_| seen.store(true, Ordering::SeqCst)));
        NoServer { connected, kubeconfig }
    }
}

impl Drop for NoServer {
    fn drop(&mut self) {
        let connected = self.connected.load(Ordering::SeqCst);
        assert!(!connected || std::thread::panicking(), "the API server was asked something");
    }
}

/// A kubeconfig of one cluster, with the contexts `here` and `there`.
pub fn kubeconfig(server: &str) -> String {
    format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: here\n\
         clusters: [{{name: c, cluster: {{server: \"{server}\"}}}}]\n\
         users: [{{name: u, user: {{token: t}}}}]\n\
         contexts:\n- {{name: here, context: {{cluster: c, user: u, namespace: team}}}}\n\
         - {{name: there, context: {{cluster: c, user: u}}}}\n"
    )
}

/// What each of these command lines comes to, with a server that must not be asked.
pub fn refused(lines: &[&[&str]]) -> String {
    let (home, server) = (Home::new(), NoServer::new());
    home.file(".kube/config", &server.kubeconfig);
    let mut text = String::new();
    for line in lines {
        let shown = home.run(line);
        assert!(shown.ends_with("[exit status: 2]\n"), "{line:?}\n{shown}");
        // clap ends with the usage, the same each time.
        let shown = shown.split("\nUsage:").next().unwrap().split("\nFor more information").next().unwrap();
        let shown =
            shown.trim_start_matches("---- stderr\n").trim_end().trim_end_matches("[exit status: 2]").trim_end();
        let _ = writeln!(text, "$ {}\n{shown}", line.join(" "));
    }
    text
}
