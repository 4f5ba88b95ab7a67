//! `--diff`: two states of an object side by side, as `diff -u` shows them.

use std::collections::BTreeSet;

use owo_colors::OwoColorize;
use similar::TextDiff;

use crate::manifests::secrets::{self, HIDDEN};

/// The unified diff of two texts, empty where they are the same. Values of options that hold secrets are shown as `******`
/// wherever they stand.
pub fn unified(what: &str, before: &str, after: &str) -> String {
    between(&format!("live/{what}"), &format!("applied/{what}"), before, after)
}

/// The same for a file that is edited, as `git diff` shows it and `patch -p1` takes it.
pub fn of_file(name: &str, before: &str, after: &str) -> String {
    let name = name.trim_start_matches("./").trim_start_matches('/');
    between(&format!("a/{name}"), &format!("b/{name}"), before, after)
}

fn between(old: &str, new: &str, before: &str, after: &str) -> String {
    if before == after {
        return String::new();
    }
    let (old_secrets, new_secrets) = (secrets::ranges(before), secrets::ranges(after));
    let known: BTreeSet<&str> = old_secrets.iter().map(|range| &before[range.clone()]).collect();
    let mark = |secret: &str| {
        let note = if known.contains(secret) { "" } else { " (changed)" };
        format!("{HIDDEN}{note}")
    };
    let before_shown = secrets::replaced(before, &old_secrets, |_| HIDDEN.to_owned());
    let after_shown = secrets::replaced(after, &new_secrets, mark);
    let diff = TextDiff::from_lines(&before_shown, &after_shown);
    let text = diff.unified_diff().context_radius(3).header(old, new).to_string();
    text.lines().map(|line| colored(line) + "\n").collect()
}

fn colored(line: &str) -> String {
    match line.as_bytes() {
        [b'+', b'+', ..] | [b'-', b'-', ..] => line.bold().to_string(),
        [b'+', ..] => line.green().to_string(),
        [b'-', ..] => line.red().to_string(),
        [b'@', ..] => line.cyan().to_string(),
        _ => line.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn secrets_are_not_shown() {
        let record =
            |value| format!("options: '{{\"dynamic\":[\"s3.secret-key={value}\"]}}'\ns3.secret-key: {value}\n");
        let text = super::unified("configmap/x", &record("hunter2"), &record("\"hunter3\""));
        assert!(text.contains("live/configmap/x") && text.contains("s3.secret-key: ******"), "{text}");
        assert!(!text.contains("hunter"), "{text}");
        assert!(text.contains("+s3.secret-key: \"****** (changed)\""), "{text}");
        assert!(super::unified("x", &record("a"), &format!("{}b: 1\n", record("a"))).matches("changed").count() == 0);
    }
}
