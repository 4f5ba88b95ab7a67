//! Makes fixes, and looks again whether they did what they are for.

use std::collections::BTreeSet;
use std::ops::Range;

use super::{Change, Fix, Safety, resolve};
use crate::doctor::finding::Finding;
use crate::doctor::place;
use crate::doctor::snapshot::{Snapshot, SourceFile};

/// A fix may make way for another one; more often than this it does not.
const PASSES: usize = 12;

/// A fix that was made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Made {
    /// The rule's code.
    pub code: &'static str,
    /// What it did.
    pub title: String,
    /// The file.
    pub file: String,
}

/// A fix that was not made.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Dropped {
    /// The rule's code.
    pub code: &'static str,
    /// What it would have done.
    pub title: String,
    /// Why it was not made.
    pub why: String,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Mended {
    /// Name, old and new text of each file that changed.
    pub files: Vec<(String, String, String)>,
    /// What was done.
    pub made: Vec<Made>,
    /// What was not.
    pub dropped: Vec<Dropped>,
}

/// Makes every fix that is allowed, until none is left. `look` runs the rules on files and gives what nobody accepted.
pub fn mend(
    files: &[(String, String)],
    allow: Safety,
    look: impl Fn(Vec<SourceFile>) -> (Snapshot, Vec<Finding>),
) -> Mended {
    let mut texts: Vec<(String, String)> = files.to_vec();
    let mut mended = Mended::default();
    let mut refused: BTreeSet<String> = BTreeSet::new();
    let read = |texts: &[(String, String)]| {
        look(texts.iter().map(|(name, text)| SourceFile::new(name.clone(), text.clone())).collect())
    };
    let (mut snapshot, mut findings) = read(&texts);
    for _ in 0..PASSES {
        let (next, tried) = pass(&snapshot, &findings, &texts, allow, &refused);
        if tried.is_empty() {
            break;
        }
        let (after, left) = read(&next);
        let still: BTreeSet<String> = left.iter().map(|finding| identity(&after, finding)).collect();
        let failed: Vec<&Tried> = tried.iter().filter(|one| still.contains(&one.identity)).collect();
        if after.unreadable.len() > snapshot.unreadable.len() || !failed.is_empty() {
            // Those that did not help are left out. Where the text is broken and nobody knows by which: all.
            let broken = failed.is_empty();
            for one in tried.iter().filter(|one| broken || still.contains(&one.identity)) {
                refused.insert(one.identity.clone());
                let why = "afterwards the finding, or a new one, would be there".to_owned();
                mended.dropped.push(Dropped { code: one.made.code, title: one.made.title.clone(), why });
            }
            continue;
        }
        mended.made.extend(tried.into_iter().map(|one| one.made));
        (texts, snapshot, findings) = (next, after, left);
    }
    mended.dropped.extend(not_made(&snapshot, &findings, allow, &refused));
    mended.dropped.sort();
    mended.dropped.dedup();
    for ((name, before), (_, after)) in files.iter().zip(texts) {
        if *before != after {
            mended.files.push((name.clone(), before.clone(), after));
        }
    }
    mended
}

struct Tried {
    identity: String,
    made: Made,
}

/// The same before and after an edit of something else.
fn identity(snapshot: &Snapshot, finding: &Finding) -> String {
    let location = place::locate(snapshot, &finding.place);
    let object = snapshot.object(finding.place.object);
    let parts = [finding.rule.code, &object.kind, &object.namespace, &object.name, &location.path, &finding.message];
    parts.join("\0")
}

fn allowed(fix: &Fix, allow: Safety) -> bool {
    fix.safety <= allow && fix.safety != Safety::Placeholder
}

/// All fixes whose edits do not touch each other.
fn pass(
    snapshot: &Snapshot,
    findings: &[Finding],
    texts: &[(String, String)],
    allow: Safety,
    refused: &BTreeSet<String>,
) -> (Vec<(String, String)>, Vec<Tried>) {
    let mut taken: Vec<Change> = Vec::new();
    let mut tried = Vec::new();
    for finding in findings {
        let Some(fix) = finding.fix.as_ref().filter(|fix| allowed(fix, allow)) else { continue };
        let identity = identity(snapshot, finding);
        let Some(changes) = resolve(snapshot, fix).filter(|changes| !changes.is_empty()) else { continue };
        if refused.contains(&identity) {
            continue;
        }
        let file = snapshot.file(changes[0].file).name.clone();
        let made = Made { code: finding.rule.code, title: fix.title.clone(), file };
        // Two findings may have one fix.
        if changes.iter().all(|change| taken.contains(change)) {
            tried.push(Tried { identity, made });
        } else if !changes.iter().any(|change| taken.iter().any(|other| touch(change, other))) {
            taken.extend(changes);
            tried.push(Tried { identity, made });
        }
    }
    let mut texts = texts.to_vec();
    // From the end to the beginning, so that the places stay where they are.
    taken.sort_by_key(|change| (change.file, std::cmp::Reverse((change.range.start, change.range.end))));
    for Change { file, range, text } in taken {
        let name = &snapshot.file(file).name;
        if let Some((_, whole)) = texts.iter_mut().find(|(other, _)| other == name) {
            whole.replace_range(range, &text);
        }
    }
    (texts, tried)
}

fn touch(one: &Change, other: &Change) -> bool {
    let overlap = |a: &Range<usize>, b: &Range<usize>| a.start <= b.end && b.start <= a.end;
    one.file == other.file && overlap(&one.range, &other.range)
}

/// Why the fixes that are left were not made.
fn not_made(snapshot: &Snapshot, findings: &[Finding], allow: Safety, refused: &BTreeSet<String>) -> Vec<Dropped> {
    let mut dropped = Vec::new();
    for finding in findings {
        let Some(fix) = &finding.fix else { continue };
        if refused.contains(&identity(snapshot, finding)) {
            continue;
        }
        let why = match fix.safety {
            Safety::Placeholder => "it needs a value that only you know",
            Safety::Unsafe if allow < Safety::Unsafe => "it changes how the cluster behaves: --unsafe-fixes makes it",
            _ if snapshot.object(finding.place.object).file.is_none() => "it is not in a file",
            _ if resolve(snapshot, fix).is_none() => "the text there does not allow it",
            _ => "it and another fix touch the same place",
        };
        dropped.push(Dropped { code: finding.rule.code, title: fix.title.clone(), why: why.to_owned() });
    }
    dropped
}
