//! `--diff`: two states of an object side by side, as `diff -u` shows them.

use owo_colors::OwoColorize;
use similar::TextDiff;

/// The unified diff of two texts, empty where they are the same. `secrets` are shown as `******` on both sides.
pub fn unified(what: &str, before: &str, after: &str, secrets: &[String]) -> String {
    if before == after {
        return String::new();
    }
    let diff = TextDiff::from_lines(before, after);
    let (live, applied) = (format!("live/{what}"), format!("applied/{what}"));
    let mut text = diff.unified_diff().context_radius(3).header(&live, &applied).to_string();
    for secret in secrets.iter().filter(|secret| !secret.is_empty()) {
        text = text.replace(secret.as_str(), "******");
    }
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
        let text =
            super::unified("configmap/x", "a: old\nkey: hunter2\n", "a: new\nkey: hunter2\n", &["hunter2".to_owned()]);
        assert!(text.contains("live/configmap/x") && text.contains("******") && !text.contains("hunter2"), "{text}");
    }
}
