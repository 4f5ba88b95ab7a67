//! Where a kubeconfig is found, and what it says.

use std::io;
use std::path::{Path, PathBuf};

use kube::config::{Cluster, Config, Context, Kubeconfig, NamedAuthInfo, NamedCluster, NamedContext};

use crate::error::{Error, Result};

/// What to do about a kubeconfig that is not right.
pub(super) const SEE: &str = "see: kubectl config view";

/// The files: the one that is named; else those of `KUBECONFIG`, a list, of which missing ones are left out, as kubectl does;
/// else `~/.kube/config`.
fn files(named: Option<&Path>) -> Result<Vec<PathBuf>> {
    if let Some(path) = named {
        return Ok(vec![path.to_owned()]);
    }
    let files: Vec<_> = match std::env::var_os("KUBECONFIG").filter(|list| !list.is_empty()) {
        Some(list) => std::env::split_paths(&list).collect(),
        None => home().map(|home| home.join(".kube/config")).into_iter().collect(),
    };
    let mut there = Vec::new();
    for path in files {
        match path.try_exists() {
            Ok(true) => there.push(path),
            Ok(false) => {}
            Err(e) if e.kind() == io::ErrorKind::NotADirectory => {}
            // It may be the one that counts.
            Err(e) => return Err(Error::could_not_run(format!("cannot read kubeconfig {}: {e}", path.display()))),
        }
    }
    Ok(there)
}

/// What the files say, those that come first before the others; None where there are none.
///
/// # Errors
/// One of them cannot be read.
pub(super) fn load(named: Option<&Path>) -> Result<Option<Kubeconfig>> {
    let mut merged: Option<Kubeconfig> = None;
    for path in files(named)? {
        let next = read(&path)?;
        merged = Some(match merged {
            Some(earlier) => earlier
                .merge(next)
                .map_err(|e| Error::could_not_run(format!("cannot read the kubeconfig: {e}")).hint(SEE))?,
            None => next,
        });
    }
    Ok(merged)
}

/// The file that a user is read from: the first that has it.
pub(super) fn file_of(named: Option<&Path>, user: &str) -> Option<PathBuf> {
    let has = |file: &Kubeconfig| file.auth_infos.iter().any(|entry| entry.name == user);
    files(named).ok()?.into_iter().find(|path| read(path).is_ok_and(|file| has(&file)))
}

/// Whether there is nothing in it to connect with.
pub(super) fn is_empty(kubeconfig: &Kubeconfig) -> bool {
    kubeconfig.clusters.is_empty() && kubeconfig.contexts.is_empty() && kubeconfig.auth_infos.is_empty()
}

fn read(path: &Path) -> Result<Kubeconfig> {
    let mut kubeconfig = Kubeconfig::read_from(path).map_err(|e| {
        // Below the first line stands what is around the fault: maybe a token.
        let why = e.to_string();
        let why = why.lines().next().unwrap_or_default();
        Error::could_not_run(format!("cannot read kubeconfig {}: {why}", path.display())).hint(SEE)
    })?;
    // As good as none: that of the next file counts.
    kubeconfig.current_context = kubeconfig.current_context.filter(|name| !name.is_empty());
    Ok(kubeconfig)
}

/// The user's home, as kubectl has it: elsewhere than on Windows what HOME says, and nothing else.
fn home() -> Option<PathBuf> {
    if cfg!(windows) {
        return std::env::home_dir();
    }
    std::env::var_os("HOME").filter(|home| !home.is_empty()).map(PathBuf::from)
}

pub(super) fn missing() -> Error {
    let error = Error::could_not_run("no kubeconfig found");
    match home() {
        Some(_) => error.hint("set KUBECONFIG, or name a file with --kubeconfig, or create ~/.kube/config"),
        None => error.hint("HOME is not set: set KUBECONFIG, or name a file with --kubeconfig"),
    }
}

/// What a pod finds of its API server and its account, in the shape of a kubeconfig, so that flags apply to it too.
pub(super) fn in_pod() -> Option<Kubeconfig> {
    let pod = Config::incluster().ok()?;
    let authority = pod.root_cert_file.map(|file| file.to_string_lossy().into_owned());
    let server = Some(pod.cluster_url.to_string());
    let cluster = Cluster { server, certificate_authority: authority, ..Cluster::default() };
    // As with kubectl, a pod may say that its namespace is another one.
    let namespace = std::env::var("POD_NAMESPACE").ok().filter(|namespace| !namespace.is_empty());
    let namespace = namespace.unwrap_or(pod.default_namespace);
    let context = Context { user: Some(String::new()), namespace: Some(namespace), ..Context::default() };
    Some(Kubeconfig {
        clusters: vec![NamedCluster { cluster: Some(cluster), ..NamedCluster::default() }],
        auth_infos: vec![NamedAuthInfo { auth_info: Some(pod.auth_info), ..NamedAuthInfo::default() }],
        contexts: vec![NamedContext { context: Some(context), ..NamedContext::default() }],
        current_context: Some(String::new()),
        ..Kubeconfig::default()
    })
}
