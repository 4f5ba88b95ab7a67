//! From what the user gave, what the last `up` recorded and what the cluster has, to a profile with everything decided.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::{ConfigMap, ServiceAccount};
use kube::api::Api;

use crate::cluster::access::{self, Right, is_forbidden};
use crate::cluster::discover::{self, Scope};
use crate::cluster::facts::{DefaultStorageClass, Facts, NamespaceState};
use crate::cluster::preflight::{self, Planned};
use crate::cluster::{Connection, status};
use crate::error::{Error, Result};
use crate::flink::ha;
use crate::flink::ha_storage::HaStorage;
use crate::flink::rest::is_globally_terminal;
use crate::manifests::options::Options;
use crate::manifests::session_ha::{self, Profile};
use crate::output::Step;

/// How long Flink may take to clear away a job that has ended: 0.2 to 9 s were seen, the longest on a slow disk.
const CLEARED: Duration = Duration::from_secs(30);
/// Between two looks whether it has.
const LOOK: Duration = Duration::from_millis(500);
/// How long a JobManager may take to say which jobs have ended.
const ASK: Duration = Duration::from_secs(5);

/// Reads what a decision about the cluster NAME is made of.
pub(super) async fn facts(connection: &Connection, name: &str) -> Result<Facts> {
    let names = Profile::by_default(name, &connection.namespace, Options::default());
    Facts::read(connection, &session_ha::config_map_name(name), &names.taskmanager()).await
}

/// Decides what is open: options that were not given, the storage, and what an autoscaler owns.
///
/// # Errors
/// The record cannot be read, or the storage cannot be decided.
pub(super) async fn profile(
    connection: &Connection,
    facts: &Facts,
    name: &str,
    given: Options,
    reset: bool,
) -> Result<Profile> {
    let recorded = if reset { None } else { recorded(facts).transpose()? };
    let options = given.over(recorded.unwrap_or_default());
    let storage = match (&options.ha_storage, &facts.storage_class) {
        (Some(storage), _) => storage.clone(),
        // Unknown: `check` refuses it, once it is clear that the caller may do the rest.
        (None, DefaultStorageClass::Named(_) | DefaultStorageClass::Unknown) => HaStorage::Claim(None),
        (None, DefaultStorageClass::None) => HaStorage::PodLocal,
    };
    let single_node = match &storage {
        HaStorage::Claim(Some(claim)) => !preflight::claim_is_shared(connection, claim).await?,
        HaStorage::Claim(None) | HaStorage::HostPath(_) => true,
        HaStorage::Uri(_) | HaStorage::PodLocal => false,
    };
    let live_replicas = facts.taskmanager.as_ref().and_then(|deployment| deployment.spec.as_ref()?.replicas);
    let autoscaled_taskmanagers = facts.autoscaler.as_ref().and(live_replicas);
    Ok(Profile {
        storage,
        single_node,
        autoscaled_taskmanagers,
        ..Profile::by_default(name, &connection.namespace, options)
    })
}

/// What can only be judged with the cluster's help, before anything is sent.
///
/// # Errors
/// Pod Security forbids the storage, a service account that is given cannot serve, or the change would lose jobs.
pub(super) async fn check(
    connection: &Connection,
    facts: &Facts,
    profile: &Profile,
    planned: &[Planned],
    step: &Step,
) -> Result<()> {
    if profile.options.ha_storage.is_none() && facts.storage_class == DefaultStorageClass::Unknown {
        return Err(Error::could_not_run(
            "nothing was sent: whether there is a default StorageClass is not known, you may not ask",
        )
        .hint("choose: --ha-storage pvc, pvc:NAME, s3://BUCKET/FOLDER or pod-local"));
    }
    if matches!(profile.storage, HaStorage::HostPath(_)) {
        preflight::check_pod(connection, &facts.namespace, planned).await?;
    }
    check_accounts(connection, facts, profile).await?;
    let (deadline, mut ended) = (Instant::now() + CLEARED, BTreeSet::new());
    while let Some(loss) = loss(connection, facts, profile).await? {
        if !loss.jobs.is_subset(&ended) {
            ended.extend(ended_jobs(connection, &profile.name).await);
        }
        if Instant::now() >= deadline || !loss.jobs.is_subset(&ended) {
            return Err(loss.refused(profile, &ended));
        }
        step.progress("waiting for Flink to clear away jobs that have ended");
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// Service accounts that the user named are not made here: they have to be there and to have the rights.
async fn check_accounts(connection: &Connection, facts: &Facts, profile: &Profile) -> Result<()> {
    const TASKMANAGER_VERBS: [&str; 3] = ["get", "list", "watch"];
    const JOBMANAGER_VERBS: [&str; 7] = ["get", "list", "watch", "create", "update", "patch", "delete"];
    let namespace = connection.namespace.as_str();
    let [jobmanager, taskmanager] = profile.service_accounts();
    let accounts = [
        (jobmanager, profile.own_account(false), "JobManager", JOBMANAGER_VERBS.as_slice()),
        (taskmanager, profile.own_account(true), "TaskManager", TASKMANAGER_VERBS.as_slice()),
    ];
    for (account, own, role, verbs) in accounts {
        if own {
            continue;
        }
        if facts.namespace == NamespaceState::Missing {
            return Err(Error::could_not_run(format!(
                "nothing was sent: service account {account} cannot be there, namespace {namespace} is not"
            )));
        }
        let api: Api<ServiceAccount> = Api::namespaced(connection.client.clone(), namespace);
        match api.get_opt(&account).await {
            Ok(None) => {
                return Err(Error::could_not_run(format!(
                    "nothing was sent: service account {account} of the {role}s is not in namespace {namespace}"
                ))
                .hint(format!("make it: kubectl create serviceaccount {account} -n {namespace}")));
            }
            Err(error) if !is_forbidden(&error) => return Err(error.into()),
            // Who may not read it may still use it; what it may do is asked next.
            Ok(Some(_)) | Err(_) => {}
        }
        let rights = verbs.iter().map(|verb| Right::new(verb, "", "configmaps", Some(namespace))).collect();
        match access::denied_to_service_account(connection, namespace, &account, rights).await {
            Ok(denied) if denied.is_empty() => {}
            Ok(denied) => {
                let denied: Vec<_> = denied.iter().map(ToString::to_string).collect();
                return Err(Error::could_not_run(format!(
                    "nothing was sent: service account {account} of the {role}s lacks rights in namespace {namespace}: {}",
                    denied.join(", ")
                ))
                .hint("kubectl flink render shows the Role that it needs, in 02_rbac.yaml"));
            }
            Err(error) if is_forbidden(&error) => {
                return Err(Error::could_not_run(format!(
                    "nothing was sent: what service account {account} may do is not known, you may not ask"
                ))
                .hint("ask for `create localsubjectaccessreviews`, or leave the service account to up"));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// The options of the last `up`, from where it left them.
fn recorded(facts: &Facts) -> Option<Result<Options>> {
    session_ha::recorded(facts.config_map.as_ref()?.metadata.annotations.as_ref())
}

/// Jobs that would not come back.
struct Loss {
    jobs: BTreeSet<String>,
    /// Why.
    change: String,
    remedy: &'static str,
}

impl Loss {
    fn refused(&self, profile: &Profile, ended: &BTreeSet<String>) -> Error {
        let ids = |jobs: &BTreeSet<String>| jobs.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        let lost = &self.jobs - ended;
        if lost.is_empty() {
            return Error::could_not_run(format!(
                "nothing was sent: Flink has not cleared away jobs that have ended: {}",
                ids(&self.jobs)
            ))
            .hint(format!(
                "why, the JobManager's log says; then run the same command again: kubectl logs -n {} \
                 deployment/{}",
                profile.namespace,
                profile.jobmanager()
            ));
        }
        Error::could_not_run(format!("nothing was sent: jobs would be lost: {}: {}", self.change, ids(&lost)))
            .hint(self.remedy)
            .hint(format!("or give them up: kubectl flink down {} -n {} --purge-ha", profile.name, profile.namespace))
    }
}

/// Jobs that are recorded in HA ConfigMaps point to files on the storage of then, in the format of the Flink of then.
/// With another storage their JobManager would not start; with another major version Flink would forget them in silence.
/// `down` takes the record of the options with it and leaves the jobs: then their ConfigMaps alone tell.
async fn loss(connection: &Connection, facts: &Facts, profile: &Profile) -> Result<Option<Loss>> {
    let recorded = recorded(facts).transpose()?;
    let new = profile.version()?;
    let moved = match &recorded {
        Some(recorded) => {
            let moved = recorded.ha_storage.as_ref().filter(|storage| **storage != profile.storage);
            let before = Profile::by_default(&profile.name, &profile.namespace, recorded.clone());
            if moved.is_none() && before.version()?.major() == new.major() {
                return Ok(None);
            }
            moved.map(ToString::to_string)
        }
        None if facts.namespace == NamespaceState::Missing => return Ok(None),
        None => None,
    };
    let api: Api<ConfigMap> = Api::namespaced(connection.client.clone(), &connection.namespace);
    let map = match api.get_opt(&ha::cluster_config_map(&profile.name)).await {
        // Whoever may not read it has no jobs in it that an earlier `up` of theirs has recorded.
        Err(error) if is_forbidden(&error) && recorded.is_none() => return Ok(None),
        map => map?,
    };
    let Some(map) = map.and_then(|map| ha::HaMap::read(&map)) else { return Ok(None) };
    let scheme = |path: &str| path.split_once(':').map(|(scheme, _)| scheme.to_owned());
    let mut paths = map.pointers.iter().filter_map(|pointer| pointer.path.as_deref());
    let elsewhere =
        paths.find(|path| recorded.is_none() && scheme(path) != scheme(&profile.storage.root())).map(str::to_owned);
    let (change, jobs) = match moved.or(elsewhere) {
        Some(storage) => (format!("the state of these jobs is on {storage}, not on {}", profile.storage), map.jobs()),
        None => (
            format!("Flink {new} does not read what Flink of another major version recorded of these jobs"),
            map.passed_over_by(new.major()),
        ),
    };
    let remedy = match recorded {
        Some(_) => "stop them with a savepoint first, and start them from it afterwards",
        None => {
            "bring the cluster up as it was: with its --ha-storage, --flink-version, --env-from-secret and the like"
        }
    };
    let jobs: BTreeSet<_> = jobs.into_iter().map(str::to_owned).collect();
    Ok((!jobs.is_empty()).then_some(Loss { jobs, change, remedy }))
}

/// The jobs that the JobManager says are over for good. It says so before it takes them out of the ConfigMaps: whoever has
/// just stopped one, with `flink stop` for instance, finds it there for a moment.
async fn ended_jobs(connection: &Connection, name: &str) -> Vec<String> {
    let found = discover::clusters(connection, &Scope::Namespace(connection.namespace.clone())).await;
    let of_name = |cluster: &discover::FlinkCluster| cluster.cluster_id.as_deref() == Some(name);
    let Some(cluster) = found.ok().and_then(|found| found.clusters.into_iter().find(of_name)) else {
        return Vec::new();
    };
    let told = status::gather(connection, &cluster, ASK, false).await.jobs.unwrap_or_default();
    told.into_iter().filter(|job| is_globally_terminal(&job.state)).map(|job| job.id).collect()
}
