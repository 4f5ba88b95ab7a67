//! Runs the rules and gathers what they say.

use std::cell::RefCell;
use std::panic::{self, AssertUnwindSafe, PanicHookInfo, catch_unwind};
use std::sync::Once;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::finding::Finding;
use super::model::Model;
use super::place::Place;
use super::rule::{Check, Rule};
use super::snapshot::Snapshot;

/// Something that a rule could not check.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skipped {
    /// The rule's code.
    pub code: &'static str,
    /// Why.
    pub reason: String,
}

/// What came of a run.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What is wrong, the worst of each cluster first.
    pub findings: Vec<Finding>,
    /// What could not be checked.
    pub skipped: Vec<Skipped>,
    /// Rules that failed themselves, with what they said: this program's fault.
    pub failed: Vec<(&'static str, String)>,
    /// Kinds that a rule read without having declared them; only tests look at it.
    pub undeclared: Vec<(&'static str, String)>,
}

/// With fewer members than this, threads cost more than they save.
const MANY: usize = 200;

/// Runs all `rules` on a snapshot, on all processors where there is much to look at. A rule that panics does not keep the
/// others from running.
pub fn run(snapshot: &Snapshot, model: &Model, rules: &[&'static Rule]) -> Outcome {
    let rules: Vec<&'static Rule> =
        rules.iter().copied().filter(|rule| snapshot.live.is_some() || !rule.live).collect();
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let threads = if model.members.len() < MANY { 1 } else { processors };
    let mut outcome = Outcome::default();
    if threads == 1 {
        for rule in &rules {
            outcome.add(look(snapshot, model, rule));
        }
    } else {
        // Each takes the next rule when it is done with one: some take a hundred times as long as others.
        let next = AtomicUsize::new(0);
        let work = || {
            let mut part = Outcome::default();
            while let Some(rule) = rules.get(next.fetch_add(1, Ordering::Relaxed)) {
                part.add(look(snapshot, model, rule));
            }
            part
        };
        std::thread::scope(|scope| {
            let handles: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
            for part in handles.into_iter().filter_map(|handle| handle.join().ok()) {
                outcome.add(part);
            }
        });
        outcome.skipped.sort();
    }
    for finding in &mut outcome.findings {
        leave_to_the_operator(snapshot, model, finding);
    }
    sort(snapshot, &mut outcome.findings, |finding| finding);
    outcome
}

impl Outcome {
    fn add(&mut self, part: Outcome) {
        self.findings.extend(part.findings);
        self.skipped.extend(part.skipped);
        self.failed.extend(part.failed);
        self.undeclared.extend(part.undeclared);
    }
}

/// What one rule says.
fn look(snapshot: &Snapshot, model: &Model, rule: &'static Rule) -> Outcome {
    let looked = quietly(|| {
        let mut check = Check::new(rule, snapshot, model);
        (rule.check)(&mut check);
        check
    });
    match looked {
        Ok(check) => Outcome {
            findings: check.findings,
            skipped: check.skipped.into_iter().map(|reason| Skipped { code: rule.code, reason }).collect(),
            undeclared: check.undeclared.into_inner().into_iter().map(|kind| (rule.code, kind)).collect(),
            failed: Vec::new(),
        },
        Err(said) => Outcome { failed: vec![(rule.code, said)], ..Outcome::default() },
    }
}

thread_local! {
    /// What the panic of this thread said; none while one is to be printed as usual.
    static CAUGHT: RefCell<Option<String>> = const { RefCell::new(None) };
}

/// Runs something that may panic. What the panic says, and where it was, is the answer, and not printed.
fn quietly<T>(look: impl FnOnce() -> T) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let usual = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            let caught = CAUGHT.with_borrow_mut(|caught| caught.as_mut().map(|text| *text = described(info)).is_some());
            if !caught {
                usual(info);
            }
        }));
    });
    CAUGHT.set(Some(String::new()));
    let done = catch_unwind(AssertUnwindSafe(look));
    let said = CAUGHT.take().unwrap_or_default();
    done.map_err(|_| said)
}

/// `index out of bounds (src/doctor/x.rs:12)`, on one line.
fn described(info: &PanicHookInfo<'_>) -> String {
    let text = info.payload_as_str().unwrap_or("it panicked").split_whitespace().collect::<Vec<_>>().join(" ");
    match info.location() {
        Some(at) => format!("{text} ({}:{})", at.file(), at.line()),
        None => text,
    }
}

/// Puts findings in the order in which they are shown, each once: by cluster, the worst first. They may be parts of something
/// larger.
pub fn sort<T>(snapshot: &Snapshot, all: &mut Vec<T>, finding: impl Fn(&T) -> &Finding) {
    let order = |place: &Place| {
        let span = super::place::locate(snapshot, place).span;
        (span.map(|(file, span)| (file, span.start)), place.object)
    };
    all.sort_by_cached_key(|one| {
        let finding = finding(one);
        let cluster = finding.cluster.clone();
        (cluster.is_none(), cluster, std::cmp::Reverse(finding.severity), finding.rule.code, order(&finding.place))
    });
    all.dedup_by(|a, b| {
        let (a, b) = (finding(a), finding(b));
        a.rule.code == b.rule.code && a.place == b.place && a.message == b.message
    });
}

/// What the operator made it would make again: it is mended in its own resource.
fn leave_to_the_operator(snapshot: &Snapshot, model: &Model, finding: &mut Finding) {
    let object = snapshot.object(finding.place.object);
    let Some(cluster) = model.cluster_of(finding.place.object) else { return };
    let Some(name) = cluster.operator.as_ref().filter(|_| object.kind != "FlinkDeployment") else { return };
    let help = std::mem::take(&mut finding.help);
    finding.help = format!("in FlinkDeployment/{name}, from which the operator made this: {help}");
    finding.fix = None;
    finding.command = None;
}

#[cfg(test)]
mod tests {
    use super::quietly;

    #[test]
    fn a_panic_is_told_and_not_printed() {
        let said = quietly(|| -> () { panic!("of {}\n  bounds", 3) }).unwrap_err();
        assert!(said.starts_with("of 3 bounds (") && said.contains("engine.rs:"), "{said}");
        assert_eq!(quietly(|| 1), Ok(1));
    }
}
