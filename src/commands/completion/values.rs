//! What can stand at each place of a command line: from the program, from the kubeconfig, and from the live cluster.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::fmt::Debug;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc;
use std::time::Duration;

use clap::{Arg, ArgMatches, Command, CommandFactory, FromArgMatches, ValueEnum, ValueHint};
use clap_complete::{ArgValueCandidates, ArgValueCompleter, CompletionCandidate};
use k8s_openapi::api::core::v1::{Namespace, Secret, ServiceAccount};
use kube::Resource;
use kube::api::{Api, ListParams};
use kube::core::NamespaceResourceScope;
use serde::de::DeserializeOwned;

use crate::cluster::discover::{self, Scope};
use crate::cluster::{Connection, ConnectionArgs, FIELD_MANAGER, ha};
use crate::commands::Cli;
use crate::doctor::rule::{Group, Rule};
use crate::doctor::rules;
use crate::error::Result;
use crate::flink::options::{self, Kind};
use crate::output::findings::Format;

/// How long a cluster may take to answer: with kubectl's own time, completion is there within a second.
const PATIENCE: Duration = Duration::from_millis(700);
/// More names than this help nobody.
const MANY: u32 = 500;

/// The command line as far as it has been typed.
#[derive(Debug, Clone)]
pub(super) struct Asked {
    connection: ConnectionArgs,
    all_namespaces: bool,
    name: Option<String>,
    /// Set when the word is the name of a file; the shell can complete that itself, if it can be told to.
    files: Option<Arc<AtomicBool>>,
}

impl Asked {
    /// Reads the words, the program's own among them, of which the last one is being typed.
    pub(super) fn new(words: &[OsString]) -> Self {
        let typed = words.split_last().map_or(words, |(_, typed)| typed);
        // No matches where help was asked for.
        let matches = Cli::command().ignore_errors(true).try_get_matches_from(typed).ok();
        let of_command = |matches: &ArgMatches| {
            let (_, matches) = matches.subcommand()?;
            let name = matches.try_get_one::<String>("name").ok().flatten().cloned();
            Some((matches.try_get_one("all_namespaces").ok().flatten() == Some(&true), name))
        };
        let (all_namespaces, name) = matches.as_ref().and_then(of_command).unwrap_or_default();
        let connection = matches.and_then(|matches| ConnectionArgs::from_arg_matches(&matches).ok());
        let connection = connection.unwrap_or_default();
        Asked { connection, all_namespaces, name, files: None }
    }

    /// Leaves the names of files to the shell.
    pub(super) fn without_files(mut self) -> Self {
        self.files = Some(Arc::default());
        self
    }

    /// Whether the shell is to complete the name of a file.
    pub(super) fn wants_files(&self) -> bool {
        self.files.as_ref().is_some_and(|files| files.load(Ordering::Relaxed))
    }

    /// The program's command line, where each argument knows what it can be.
    pub(super) fn command(&self) -> Command {
        let command = Cli::command().mut_args(|arg| self.completed("", arg));
        command.mut_subcommands(|command| self.completed_command(command))
    }

    fn completed_command(&self, command: Command) -> Command {
        let name = command.get_name().to_owned();
        let command = command.mut_args(|arg| self.completed(&name, arg));
        command.mut_subcommands(|command| self.completed_command(command))
    }

    fn completed(&self, command: &str, arg: Arg) -> Arg {
        if let Some(values) = values(command, arg.get_id().as_str()) {
            let asked = self.clone();
            return arg.add(ArgValueCompleter::new(move |current: &OsStr| {
                let current = current.to_string_lossy();
                // A flag, whose place could be this argument's too: no reason to ask anyone.
                if current.starts_with('-') {
                    return Vec::new();
                }
                let mut candidates = values(&asked, &current);
                // One of a name is enough, wherever the others are.
                let mut seen = BTreeSet::new();
                candidates.retain(|candidate| {
                    let value = candidate.get_value().to_string_lossy().into_owned();
                    value.starts_with(&*current) && seen.insert(value)
                });
                candidates
            }));
        }
        if let (Some(files), ValueHint::AnyPath) = (&self.files, arg.get_value_hint()) {
            let files = files.clone();
            return arg.add(ArgValueCandidates::new(move || {
                files.store(true, Ordering::Relaxed);
                Vec::new()
            }));
        }
        arg
    }

    /// What a cluster answers in time, or nothing.
    fn ask<T, F>(&self, question: impl FnOnce(Connection) -> F + Send + 'static) -> Vec<T>
    where
        T: Send + 'static,
        F: Future<Output = Result<Vec<T>>>,
    {
        let (answer, answered) = mpsc::channel();
        let connection = self.connection.clone();
        // On a thread of its own: a credential plugin that takes its time cannot be interrupted, but be left behind.
        std::thread::spawn(move || {
            let Ok(runtime) = tokio::runtime::Builder::new_current_thread().enable_all().build() else { return };
            let values = runtime.block_on(async { question(connection.connect_silently().await?).await });
            let _ = answer.send(values);
        });
        answered.recv_timeout(PATIENCE).ok().and_then(Result::ok).unwrap_or_default()
    }

    fn scope(&self, connection: &Connection) -> Scope {
        if self.all_namespaces { Scope::All } else { Scope::Namespace(connection.namespace.clone()) }
    }
}

/// Flags whose value can only follow after `=` get one, empty: the library would take the next word for it.
pub(super) fn with_equals(words: &mut [OsString]) {
    let whole = Cli::command();
    let all = whole.get_subcommands().chain([&whole]).flat_map(Command::get_arguments);
    let flags: Vec<&Arg> = all.filter(|arg| arg.is_require_equals_set()).collect();
    let Some((_, typed)) = words.split_last_mut() else { return };
    for word in typed {
        let is_it = |arg: &&&Arg| {
            let long = arg.get_long().map(|name| format!("--{name}"));
            let short = arg.get_short().map(|name| format!("-{name}"));
            long.into_iter().chain(short).any(|name| *word == *name)
        };
        if let Some(long) = flags.iter().find(is_it).and_then(|arg| arg.get_long()) {
            *word = format!("--{long}=").into();
        }
    }
}

type Values = fn(&Asked, &str) -> Vec<CompletionCandidate>;

/// What an argument of a command can be; those of all commands have the command "". None where the library knows it, from
/// the argument's type, or nobody does.
fn values(command: &str, argument: &str) -> Option<Values> {
    Some(match (command, argument) {
        ("", "namespace") => namespaces,
        ("", "context") => |asked, _| named(asked.connection.kubeconfig_names().contexts),
        ("", "cluster") => |asked, _| named(asked.connection.kubeconfig_names().clusters),
        ("", "user") => |asked, _| named(asked.connection.kubeconfig_names().users),
        ("status" | "doctor", "name") => |asked, _| clusters(asked, |_| true),
        ("up" | "down", "name") => |asked, _| clusters(asked, |made_by| made_by == FIELD_MANAGER),
        ("clean-ha", "name") => |asked, _| ha_data(asked, |state| vec![state.cluster_id.clone()]),
        ("clean-ha", "job") => |asked, _| {
            let mut jobs = ha_data(asked, |state| state.jobs().into_iter().map(str::to_owned).collect());
            jobs.push(CompletionCandidate::new("dead").help(Some("All that are proven so".into())));
            jobs
        },
        ("explain", "rules") => rule_names,
        ("doctor", "select" | "ignore") | ("rules", "group") => |asked, current| {
            let groups = Group::ALL.iter();
            let groups = groups.map(|group| CompletionCandidate::new(group.name()).help(Some(group.title().into())));
            groups.chain(rule_names(asked, current)).collect()
        },
        ("doctor", "output") => |_, _| {
            let formats = Format::value_variants().iter().filter_map(ValueEnum::to_possible_value);
            formats.map(|value| CompletionCandidate::new(value.get_name()).help(value.get_help().cloned())).collect()
        },
        ("up" | "render", "dynamic") => |_, current| flink_options(current),
        ("up" | "render", "ha_storage") => {
            |_, _| named(["s3://", "gs://", "abfs://", "oss://", "hdfs://", "pvc", "pvc:", "host-path:/", "pod-local"])
        }
        ("up" | "render", "expose") => |_, _| named(["cluster-ip", "node-port", "load-balancer"]),
        ("up" | "render", "service_account" | "taskmanager_service_account") => {
            |asked, _| objects::<ServiceAccount>(asked)
        }
        ("up" | "render", "env_from_secret" | "pull_secret") => |asked, _| objects::<Secret>(asked),
        _ => return None,
    })
}

fn named(names: impl IntoIterator<Item = impl Into<OsString>>) -> Vec<CompletionCandidate> {
    names.into_iter().map(CompletionCandidate::new).collect()
}

fn namespaces(asked: &Asked, _: &str) -> Vec<CompletionCandidate> {
    named(asked.ask(|connection| list::<Namespace>(Api::all(connection.client))))
}

fn objects<K>(asked: &Asked) -> Vec<CompletionCandidate>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope> + Clone + Debug + DeserializeOwned + 'static,
{
    named(asked.ask(|connection| list(Api::<K>::namespaced(connection.client, &connection.namespace))))
}

async fn list<K>(api: Api<K>) -> Result<Vec<String>>
where
    K: Clone + Debug + DeserializeOwned,
{
    let list = api.list_metadata(&ListParams::default().limit(MANY)).await?;
    Ok(list.items.into_iter().filter_map(|object| object.metadata.name).collect())
}

/// The Flink clusters that are made by someone that `is_it` is true of, with what they are.
fn clusters(asked: &Asked, is_it: fn(&str) -> bool) -> Vec<CompletionCandidate> {
    let scope = asked.clone();
    let clusters = asked.ask(move |connection| async move {
        Ok(discover::clusters(&connection, &scope.scope(&connection)).await?.clusters)
    });
    let clusters = clusters.into_iter().filter(|cluster| is_it(&cluster.made_by));
    let candidate = |cluster: discover::FlinkCluster| {
        let version = cluster.jobmanager.process.version().map(|version| format!("Flink {version}, "));
        let help = format!("{}{}, made by {}", version.unwrap_or_default(), cluster.mode, cluster.made_by);
        CompletionCandidate::new(cluster.name).help(Some(help.into()))
    };
    clusters.map(candidate).collect()
}

/// What there is of high-availability data, of the cluster that was named or of all.
fn ha_data(asked: &Asked, names: fn(&ha::HaState) -> Vec<String>) -> Vec<CompletionCandidate> {
    let (scope, cluster) = (asked.clone(), asked.name.clone());
    let states = asked.ask(move |connection| async move {
        ha::read(&connection, &scope.scope(&connection), cluster.as_deref()).await
    });
    let candidate = |state: &ha::HaState| {
        let help = format!("Cluster {} in {}", state.cluster_id, state.namespace);
        let candidates = names(state).into_iter().map(CompletionCandidate::new);
        candidates.map(|candidate| candidate.help(Some(help.clone().into()))).collect::<Vec<_>>()
    };
    states.iter().flat_map(candidate).collect()
}

/// Codes, or names where something was typed that no code begins with.
fn rule_names(_: &Asked, current: &str) -> Vec<CompletionCandidate> {
    let by_code = current.is_empty() || current.starts_with('F');
    let name = |rule: &Rule| if by_code { rule.code } else { rule.name };
    rules::ALL.iter().map(|rule| CompletionCandidate::new(name(rule)).help(Some(rule.summary().into()))).collect()
}

/// `KEY=`, and what some keys can be.
fn flink_options(current: &str) -> Vec<CompletionCandidate> {
    match current.split_once('=').map(|(key, _)| (key, options::find(key).map(|option| option.kind))) {
        None => named(options::current().map(|option| format!("{}=", option.key))),
        Some((key, Some(Kind::Boolean))) => named(["true", "false"].map(|value| format!("{key}={value}"))),
        Some(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An argument that is renamed would no longer be completed, without a word.
    #[test]
    fn what_is_completed() {
        fn of(command: &Command) -> Vec<String> {
            let mut names: Vec<String> = command
                .get_arguments()
                .map(|arg| arg.get_id().as_str())
                .filter(|arg| values(command.get_name(), arg).is_some())
                .map(|arg| format!("{} {arg}", command.get_name()))
                .collect();
            names.extend(command.get_subcommands().flat_map(of));
            names
        }
        let whole = Cli::command();
        let global = whole.get_arguments().map(|arg| arg.get_id().as_str()).filter(|arg| values("", arg).is_some());
        assert_eq!(global.collect::<Vec<_>>(), ["namespace", "context", "cluster", "user"]);
        insta::assert_snapshot!(of(&whole).join("\n"), @"
        up name
        up ha_storage
        up env_from_secret
        up dynamic
        up expose
        up service_account
        up taskmanager_service_account
        up pull_secret
        status name
        doctor name
        doctor select
        doctor ignore
        doctor output
        clean-ha name
        clean-ha job
        down name
        render ha_storage
        render env_from_secret
        render dynamic
        render expose
        render service_account
        render taskmanager_service_account
        render pull_secret
        explain rules
        rules group
        ");
    }
}
