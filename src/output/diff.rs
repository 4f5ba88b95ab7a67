//! `--diff`: two states of an object side by side, as `diff -u` shows them.

use owo_colors::OwoColorize;
use similar::TextDiff;

use crate::manifests::options::is_secret;

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
    let diff = TextDiff::from_lines(before, after);
    let mut text = diff.unified_diff().context_radius(3).header(old, new).to_string();
    for secret in secrets(before).chain(secrets(after)) {
        text = text.replace(secret, "******");
    }
    text.lines().map(|line| colored(line) + "\n").collect()
}

/// The values in lines like `s3.secret-key: value`, also of a configuration inside a ConfigMap.
fn secrets(text: &str) -> impl Iterator<Item = &str> {
    let values = text.lines().filter_map(|line| line.split_once(": ").filter(|(key, _)| is_secret(key)));
    values.map(|(_, value)| value.trim().trim_matches(['"', '\''])).filter(|value| !value.is_empty())
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
    }
}
