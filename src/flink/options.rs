//! Every option that Flink has, from 1.16 on: its type, and what became of its name.
//!
//! The table is made from the `ConfigOption` constants of Flink's own classes; its head says how.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use super::version::Version;

/// What an option takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Boolean,
    /// A number, with or without a fraction.
    Number,
    /// `10 s`, or a number of milliseconds.
    Duration,
    /// `1600m`.
    Memory,
    /// One of a few names.
    Choice,
    /// Several values with semicolons between them.
    List,
    /// `a:b,c:d`.
    Map,
    /// Any text, or a type that is not known.
    Text,
}

/// An option, under one of its names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FlinkOption {
    /// The name.
    pub key: &'static str,
    /// What it takes.
    pub kind: Kind,
    /// The first version that does not read it.
    pub removed: Option<Version>,
    /// The first version that has another name for it, and that name. The old one is still read, unless it was removed.
    pub renamed: Option<(Version, &'static str)>,
    /// Before this version a duration had to be a plain number of milliseconds.
    pub durations_since: Option<Version>,
}

static ALL: LazyLock<BTreeMap<&'static str, FlinkOption>> = LazyLock::new(|| {
    let lines = include_str!("options/all.tsv").lines().filter(|line| !line.starts_with('#'));
    lines.filter_map(parse).map(|option| (option.key, option)).collect()
});

fn parse(line: &'static str) -> Option<FlinkOption> {
    let mut columns = line.split('\t');
    let mut next = || columns.next();
    let (key, kind, removed, renamed, name, durations) = (next()?, next()?, next()?, next()?, next()?, next()?);
    let kind = match kind {
        "Boolean" => Kind::Boolean,
        "Integer" | "Long" | "Double" | "Float" => Kind::Number,
        "Duration" => Kind::Duration,
        "MemorySize" => Kind::Memory,
        "Enum" => Kind::Choice,
        "List" => Kind::List,
        "Map" => Kind::Map,
        _ => Kind::Text,
    };
    Some(FlinkOption {
        key,
        kind,
        removed: Version::lenient(removed),
        renamed: Version::lenient(renamed).map(|since| (since, name)),
        durations_since: Version::lenient(durations),
    })
}

/// The option of this name.
pub fn find(key: &str) -> Option<&'static FlinkOption> {
    ALL.get(key)
}

/// Those that the newest version reads under this very name.
pub fn current() -> impl Iterator<Item = &'static FlinkOption> {
    ALL.values().filter(|option| option.removed.is_none() && option.renamed.is_none())
}

/// The option whose name is nearest to one that no option has, if it is so near that it was meant: two letters at most are
/// wrong.
pub fn nearest(key: &str) -> Option<&'static str> {
    let near = ALL.keys().filter(|known| known.len().abs_diff(key.len()) <= 2);
    let (distance, known) = near.map(|known| (strsim::osa_distance(known, key), *known)).min()?;
    (key.len() >= 8 && (1..=2).contains(&distance)).then_some(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_whole() {
        let lines: Vec<&str> = include_str!("options/all.tsv").lines().filter(|line| !line.starts_with('#')).collect();
        assert!(lines.is_sorted());
        assert_eq!(ALL.len(), lines.len());
    }

    #[test]
    fn what_became_of_a_name() {
        let option = find("state.checkpoints.dir").unwrap();
        assert_eq!(option.renamed, Some((Version::new(1, 20, 0), "execution.checkpointing.dir")));
        assert_eq!(option.removed, None);
        assert_eq!(find("security.ssl.enabled").unwrap().removed, Some(Version::new(2, 0, 0)));
        assert_eq!(find("heartbeat.timeout").unwrap().durations_since, Some(Version::new(1, 20, 0)));
        assert_eq!(find("pipeline.jars").unwrap().kind, Kind::List);
    }

    #[test]
    fn what_was_meant() {
        assert_eq!(nearest("taskmanager.numberOfTaskSlot"), Some("taskmanager.numberOfTaskSlots"));
        assert_eq!(nearest("execution.checkpointing.intervall"), Some("execution.checkpointing.interval"));
        assert_eq!(nearest("taskmanager.numberOfTaskSlots"), None);
        assert_eq!(nearest("my.own.option"), None);
    }
}
