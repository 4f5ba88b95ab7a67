//! One error type for the whole program: what failed, what to do next, and the exit code that it means.

use std::fmt;
use std::io;

/// The result of everything that can fail in a way that a user is told about.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What an [`Error`] means to a script: each kind is one exit code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The work was done, and what it found or left is not healthy: exit code 1.
    Unhealthy,
    /// The command line or an input file is wrong, nothing was sent: exit code 2.
    Usage,
    /// The work could not be done, or its outcome could not be verified: exit code 3.
    CouldNotRun,
    /// The user pressed Ctrl-C: exit code 130.
    Interrupted,
    /// Standard output was closed by its reader; nobody is left to be told: exit code 0.
    BrokenPipe,
}

impl Kind {
    /// The process exit code of this kind, the same for every command and output format.
    pub fn exit_code(self) -> u8 {
        match self {
            Kind::BrokenPipe => 0,
            Kind::Unhealthy => 1,
            Kind::Usage => 2,
            Kind::CouldNotRun => 3,
            Kind::Interrupted => 130,
        }
    }
}

/// A failure as the user reads it.
#[derive(Debug, Clone)]
pub struct Error {
    /// Decides the exit code.
    pub kind: Kind,
    /// One sentence without a period, starting in lower case, as kubectl's are.
    pub message: String,
    /// What to do next, each a line of its own.
    pub hints: Vec<String>,
}

impl Error {
    /// An error of this kind without hints.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Error { kind, message: message.into(), hints: Vec::new() }
    }

    /// The command line or an input file is wrong.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Kind::Usage, message)
    }

    /// The work could not be done or not be verified.
    pub fn could_not_run(message: impl Into<String>) -> Self {
        Self::new(Kind::CouldNotRun, message)
    }

    /// The work was done, and the outcome is not healthy.
    pub fn unhealthy(message: impl Into<String>) -> Self {
        Self::new(Kind::Unhealthy, message)
    }

    /// Adds what the user can do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Puts what was being done before the message: `applying 02_rbac.yaml: ...`.
    #[must_use]
    pub fn context(mut self, doing: impl fmt::Display) -> Self {
        self.message = format!("{doing}: {}", self.message);
        self
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}

/// Speaks of an API error as kubectl does, so that what people know of its messages stays true.
impl From<kube::Error> for Error {
    fn from(error: kube::Error) -> Self {
        match &error {
            kube::Error::Api(status) => {
                if status.code == 401 {
                    return Error::could_not_run("you must be logged in to the server (Unauthorized)")
                        .hint("check the credentials of this context: kubectl auth whoami");
                }
                let reason = if status.reason.is_empty() { "Unknown" } else { &status.reason };
                Error::could_not_run(format!("error from server ({reason}): {}", status.message))
            }
            kube::Error::SerdeError(_) => {
                Error::could_not_run(format!("the server's answer was not understood: {error}"))
            }
            _ => no_answer(&error),
        }
    }
}

/// A request that was not answered, with the server that it was sent to: kube's errors do not name it.
#[derive(Debug, thiserror::Error)]
#[error("{server} gave no answer")]
pub struct NoAnswer {
    /// Host and port, and the proxy where there is one.
    pub server: String,
    /// What kept it.
    pub source: tower::BoxError,
}

/// Says why a server was not reached, with kubectl's words.
fn no_answer(error: &kube::Error) -> Error {
    let first: &(dyn std::error::Error + 'static) = error;
    let causes: Vec<_> = std::iter::successors(Some(first), |error| error.source()).collect();
    let named = causes.iter().find_map(|cause| cause.downcast_ref::<NoAnswer>()).map(|error| error.server.as_str());
    let server = named.unwrap_or("the server");
    let io = causes.iter().find_map(|cause| cause.downcast_ref::<io::Error>()).map(io::Error::kind);
    let is_late = causes.iter().any(|cause| cause.is::<tower::timeout::error::Elapsed>());
    // The cause at the bottom is the part that says something.
    let root = causes.last().map(ToString::to_string).unwrap_or_default();
    let unable = |why: String| Error::could_not_run(format!("unable to connect to the server: {why}"));
    if io == Some(io::ErrorKind::ConnectionRefused) {
        Error::could_not_run(format!(
            "the connection to the server {server} was refused - did you specify the right host or port?"
        ))
        .hint("check the context and the server's address: kubectl cluster-info")
    } else if is_late || io == Some(io::ErrorKind::TimedOut) {
        unable(format!("{server} did not answer in time"))
            .hint("check the context and the server's address, or give it more time with --request-timeout")
    } else if let Some(why) = root.strip_prefix("invalid peer certificate: ") {
        unable(format!("tls: failed to verify the certificate of {server}: {why}")).hint(
            "the authority that it is from is named by --certificate-authority, another name of the server by \
             --tls-server-name",
        )
    } else {
        unable(named.map_or_else(|| root.clone(), |server| format!("{server}: {root}")))
            .hint("check the context and the server's address: kubectl cluster-info")
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Error::new(Kind::BrokenPipe, "standard output was closed");
        }
        Error::could_not_run(error.to_string())
    }
}
