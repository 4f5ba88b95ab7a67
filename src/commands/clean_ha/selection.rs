//! What of the data is to be removed, by its verdicts and by what was asked for.

use std::collections::BTreeSet;

use crate::cluster::ha::removal::Removal;
use crate::cluster::ha::verdict::{Judged, Judgement, Situation, Verdict};
use crate::error::{Error, Result};
use crate::flink::ha::{HaMap, MapKind, is_job_id};

/// `--job dead`
pub(super) const ALL_DEAD: &str = "dead";

/// A value of `--job`.
///
/// # Errors
/// It is neither a job id nor `dead`.
pub(super) fn job(text: &str) -> Result<String, String> {
    if text == ALL_DEAD || is_job_id(text) {
        return Ok(text.to_owned());
    }
    Err("a job id has 32 hexadecimal digits in lower case; or write `dead` for all that are proven so".to_owned())
}

/// Which jobs were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Jobs {
    /// Everything, with what the jobs share.
    All,
    /// These, and with `dead` all that are.
    Given { ids: BTreeSet<String>, dead: bool },
}

impl Jobs {
    pub(super) fn given(values: &[String]) -> Jobs {
        if values.is_empty() {
            return Jobs::All;
        }
        let (dead, ids): (Vec<&String>, Vec<&String>) = values.iter().partition(|value| *value == ALL_DEAD);
        Jobs::Given { ids: ids.into_iter().cloned().collect(), dead: !dead.is_empty() }
    }

    /// A job that was named has to be there.
    ///
    /// # Errors
    /// It is in none of them.
    pub(super) fn known(&self, judged: &[(&Situation, Judgement)]) -> Result<()> {
        let Jobs::Given { ids, .. } = self else { return Ok(()) };
        let Some(id) = ids.iter().find(|id| !judged.iter().any(|(_, judgement)| judgement.jobs.contains_key(*id)))
        else {
            return Ok(());
        };
        let there: Vec<&str> =
            judged.iter().flat_map(|(_, judgement)| judgement.jobs.keys()).map(String::as_str).collect();
        let hint =
            if there.is_empty() { "there are none".to_owned() } else { format!("there are: {}", there.join(", ")) };
        Err(Error::usage(format!("nothing was removed: no job {id} in the high-availability data")).hint(hint))
    }
}

/// What was asked for.
#[derive(Debug, Clone)]
pub(super) struct Choice<'a> {
    pub(super) jobs: &'a Jobs,
    /// `--include-recoverable`
    pub(super) recoverable: bool,
    /// `--force`
    pub(super) unknown: bool,
}

impl Choice<'_> {
    fn allows(&self, verdict: Verdict) -> bool {
        match verdict {
            Verdict::Leftover | Verdict::Dead => true,
            Verdict::Recoverable => self.recoverable,
            Verdict::Unknown => self.unknown,
            Verdict::Live => false,
        }
    }
}

/// What goes of one cluster's data.
#[derive(Debug)]
pub(super) struct Selection<'a> {
    pub(super) situation: &'a Situation,
    /// Jobs and applications.
    jobs: BTreeSet<String>,
    /// What they share goes too.
    whole: bool,
    /// Something goes that might have been recovered.
    pub(super) loses: bool,
    /// Jobs that were not to be removed, and whose files may go with the pods that are stopped.
    in_pods: BTreeSet<String>,
    /// What stays, each with its verdict and what would let it go.
    pub(super) left: Vec<Left>,
}

/// Something that stays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Left {
    Live,
    Recoverable,
    Unknown,
    Withheld,
    /// Its removal would take others with it.
    InPods,
}

impl<'a> Selection<'a> {
    /// # Errors
    /// A job was named that must stay.
    pub(super) fn make(situation: &'a Situation, judgement: &Judgement, choice: &Choice<'_>) -> Result<Self> {
        let is_owned = |map: Option<&HaMap>| {
            situation.operators_resource().is_some() || map.is_some_and(|map| map.owner.is_some())
        };
        let withheld = |job: &str| is_owned(situation.state.job_map(job));
        let (jobs, in_pods) = (BTreeSet::new(), BTreeSet::new());
        let mut selection = Selection { situation, jobs, whole: false, loses: false, in_pods, left: Vec::new() };
        for (id, judged) in &judgement.jobs {
            let wanted = match choice.jobs {
                Jobs::All => true,
                Jobs::Given { ids, .. } if ids.contains(id) => {
                    let known = situation.state.cluster_map().is_some_and(|map| map.knows(id));
                    if let Some(error) = refusal(id, judged, known, withheld(id), choice) {
                        return Err(error);
                    }
                    true
                }
                // Without its entries, which go first, a dead job is leftover: what was interrupted is finished.
                Jobs::Given { dead, .. } => *dead && judged.verdict <= Verdict::Dead,
            };
            if !wanted {
                continue;
            }
            if choice.allows(judged.verdict) && !withheld(id) {
                selection.jobs.insert(id.clone());
                selection.loses |= judged.verdict > Verdict::Dead;
            } else {
                selection.left.push(left(judged.verdict, withheld(id)));
            }
        }
        if *choice.jobs == Jobs::All {
            let shared = situation.state.maps.iter().zip(&judgement.maps);
            let shared: Vec<_> = shared.filter(|(map, _)| !matches!(map.kind, MapKind::Job(_))).collect();
            let kept = shared.iter().find(|(map, judged)| !choice.allows(judged.verdict) || is_owned(Some(map)));
            selection.whole = !shared.is_empty() && kept.is_none();
            selection.loses |= selection.whole && shared.iter().any(|(_, judged)| judged.verdict > Verdict::Dead);
            // Jobs have told their part.
            if let Some((map, judged)) = kept.filter(|(map, _)| map.pointers.is_empty()) {
                selection.left.push(left(judged.verdict, is_owned(Some(map))));
            }
        }
        if !selection.is_empty() {
            selection.spare_pods(choice)?;
        }
        Ok(selection)
    }

    /// JobManagers are stopped for the removal, and what is in a volume of their pods goes with them.
    ///
    /// # Errors
    /// A job was named, and others would be lost with it.
    fn spare_pods(&mut self, choice: &Choice<'_>) -> Result<()> {
        self.in_pods = &self.situation.in_pods() - &self.jobs;
        if self.in_pods.is_empty() {
            return Ok(());
        }
        if choice.unknown {
            self.loses = true;
            return Ok(());
        }
        if let Jobs::Given { ids, .. } = choice.jobs
            && let Some(id) = ids.intersection(&self.jobs).next()
        {
            return Err(Error::usage(format!(
                "nothing was removed: to remove job {id}, {} is stopped, and what is in its pods' volumes is lost: {}",
                self.stopped(),
                self.of_others()
            ))
            .hint("move what can be saved, or remove it all the same: --force"));
        }
        self.left.extend(self.jobs.iter().map(|_| Left::InPods));
        (self.jobs, self.whole, self.loses) = (BTreeSet::new(), false, false);
        Ok(())
    }

    /// `deployment/x, deployment/y`.
    fn stopped(&self) -> String {
        self.situation.crashing().map(|user| user.reference.as_str()).collect::<Vec<_>>().join(", ")
    }

    fn of_others(&self) -> String {
        let jobs: Vec<&str> = self.in_pods.iter().map(String::as_str).collect();
        format!("files of job {}", jobs.join(", "))
    }

    pub(super) fn is_empty(&self) -> bool {
        self.jobs.is_empty() && !self.whole
    }

    pub(super) fn removal(&self) -> Removal<'a> {
        Removal { situation: self.situation, jobs: self.jobs.clone(), whole: self.whole }
    }

    /// What goes, in words.
    pub(super) fn sentence(&self) -> String {
        let state = &self.situation.state;
        let stops = match self.stopped() {
            stopped if stopped.is_empty() => stopped,
            stopped => format!("; {stopped} is stopped for it and started again"),
        };
        let lost = if self.in_pods.is_empty() {
            String::new()
        } else {
            format!("; lost with the volumes of its pods: {}", self.of_others())
        };
        let what = super::report::removed(&self.removal().expected());
        format!("{what} of cluster-id {} in namespace {}{stops}{lost}", state.cluster_id, state.namespace)
    }
}

fn left(verdict: Verdict, withheld: bool) -> Left {
    match verdict {
        Verdict::Live => Left::Live,
        _ if withheld => Left::Withheld,
        Verdict::Unknown => Left::Unknown,
        Verdict::Recoverable | Verdict::Leftover | Verdict::Dead => Left::Recoverable,
    }
}

/// Why a job that was named is not removed.
fn refusal(id: &str, judged: &Judged, known: bool, withheld: bool, choice: &Choice<'_>) -> Option<Error> {
    if choice.allows(judged.verdict) && !withheld {
        return None;
    }
    let message = format!("nothing was removed: job {id} is {}: {}", judged.verdict, judged.why);
    Some(match judged.verdict {
        Verdict::Live if !known => Error::could_not_run(message)
            .hint("the cluster does not know the job: scale its JobManagers to 0, and run the same command again"),
        Verdict::Live => Error::could_not_run(message).hint(
            "cancel the job in Flink, and Flink removes its data: POST /jobs/ID/stop or PATCH /jobs/ID?mode=cancel",
        ),
        _ if withheld => Error::could_not_run(message).hint("let its owner remove it"),
        Verdict::Recoverable => Error::usage(message).hint("give it up all the same: --include-recoverable"),
        _ => Error::usage(message).hint("look whether its files are there: --probe; remove it all the same: --force"),
    })
}

/// What stays, and what would let it go: a line for each verdict.
pub(super) fn summary(left: &[Left]) -> Vec<String> {
    let lines = [
        (Left::Live, "live", "a cluster runs on it"),
        (Left::Recoverable, "recoverable", "given up with --include-recoverable"),
        (Left::Unknown, "unknown", "--probe looks whether the files are there; removed with --force"),
        (Left::Withheld, "recoverable", "left to its owner"),
        (
            Left::InPods,
            "more",
            "the JobManager would be stopped for it, and with its pods go files of other jobs; removed with --force",
        ),
    ];
    let count = |kind| left.iter().filter(|one| **one == kind).count();
    let lines = lines.into_iter().map(|(kind, word, why)| (count(kind), word, why));
    lines.filter(|(count, ..)| *count > 0).map(|(count, word, why)| format!("Kept: {count} {word} ({why})")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::cluster::ha::HaState;

    /// The entries are gone, and the ConfigMap of the job is not.
    #[test]
    fn an_interrupted_removal_of_dead_jobs_is_finished() {
        let job = "7601318e4ccd7281759507f40830fea9";
        let map = |name: &str, data: serde_json::Value| {
            HaMap::read(&serde_json::from_value(json!({"metadata": {"name": name}, "data": data})).unwrap()).unwrap()
        };
        let leader = json!({"org.apache.flink.k8s.leader.dispatcher": "3f2a6d0e,pekko.tcp://flink@10.244.0.6:6123"});
        let maps = vec![
            map("flink-cluster-config-map", leader),
            map(&format!("flink-{job}-config-map"), json!({"counter": "1"})),
        ];
        let situation = Situation::unattended(HaState { maps, ..HaState::empty("default", "flink") });
        let jobs = Jobs::given(&[ALL_DEAD.to_owned()]);
        let choice = Choice { jobs: &jobs, recoverable: false, unknown: false };
        let selection = Selection::make(&situation, &situation.judge(), &choice).unwrap();
        assert_eq!(selection.removal().expected().config_maps, [format!("flink-{job}-config-map")]);
    }
}
