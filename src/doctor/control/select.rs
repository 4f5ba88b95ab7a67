//! Names of rules, as users write them.

use crate::doctor::rule::{Group, Rule};
use crate::doctor::rules;
use crate::error::{Error, Result};

/// Which rules are to look.
#[derive(Debug, Default)]
pub struct Selection {
    select: Vec<String>,
    ignore: Vec<String>,
}

impl Selection {
    /// Checks that everything that is named exists.
    ///
    /// # Errors
    /// A name is nobody's.
    pub fn new(select: &[String], ignore: &[String]) -> Result<Self> {
        for name in select.iter().chain(ignore) {
            check(name)?;
        }
        Ok(Selection { select: select.to_vec(), ignore: ignore.to_vec() })
    }

    /// Whether a rule is to look. What says that the input could not be read is never left out by selecting others.
    pub fn includes(&self, rule: &Rule) -> bool {
        let named = |names: &[String]| names.iter().any(|name| matches(rule, name));
        (self.select.is_empty() || named(&self.select) || rule.is_broken()) && !named(&self.ignore)
    }
}

/// The rules that a name stands for.
///
/// # Errors
/// It stands for none.
pub fn check(name: &str) -> Result<Vec<&'static Rule>> {
    let found: Vec<&'static Rule> = rules::ALL.iter().copied().filter(|rule| matches(rule, name)).collect();
    let is_group = Group::ALL.iter().any(|group| group.name().eq_ignore_ascii_case(name));
    if found.is_empty() && !is_group {
        let mut error = Error::usage(format!("there is no rule, group or beginning of a code {name:?}"));
        if let Some(similar) = similar(name) {
            error = error.hint(format!("did you mean {similar}?"));
        }
        return Err(error.hint("see all rules: kubectl flink rules"));
    }
    Ok(found)
}

/// One rule by its code or its name.
///
/// # Errors
/// There is none.
pub fn one(name: &str) -> Result<&'static Rule> {
    rules::find(name).ok_or_else(|| {
        let mut error = Error::usage(format!("there is no rule {name:?}"));
        if let Some(similar) = similar(name) {
            error = error.hint(format!("did you mean {similar}?"));
        }
        error.hint("see all rules: kubectl flink rules")
    })
}

fn matches(rule: &Rule, name: &str) -> bool {
    let prefix = || {
        let start = rule.code.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        name.len() >= 3 && start
    };
    rule.name.eq_ignore_ascii_case(name) || rule.group.name().eq_ignore_ascii_case(name) || prefix()
}

/// What the user may have meant.
pub fn similar(name: &str) -> Option<&'static str> {
    let name = name.to_lowercase();
    // The beginning of a code is like every code.
    let codes = rules::ALL.iter().flat_map(|rule| [rule.code, rule.name]);
    let codes = codes.filter(|known| !known.starts_with("FLK") || known.len() == name.len());
    let all = codes.chain(Group::ALL.iter().map(|group| group.name()));
    let near = all.map(|known| (strsim::damerau_levenshtein(&name, &known.to_lowercase()), known));
    let (distance, known) = near.min_by_key(|(distance, _)| *distance)?;
    // A code differs from its neighbour by one character: only a slip of the keyboard is worth a guess.
    let limit = if known.starts_with("FLK") { 2 } else { 1 + name.len() / 5 };
    (distance <= limit).then_some(known)
}
