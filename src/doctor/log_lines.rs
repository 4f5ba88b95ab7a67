//! Finds the rules whose documentation has a line of a log: what people paste into a search engine.

use super::rule::Rule;
use super::rules::ALL;

/// A line that a rule's documentation shows, as it stands in a log, in events or in an answer of the API server.
#[derive(Debug, Clone)]
pub struct LogLine {
    /// The rule that is about it.
    pub rule: &'static Rule,
    /// The line.
    pub text: String,
    /// What of it is the same wherever it is seen, in order.
    fixed: Vec<String>,
    words: Vec<String>,
}

/// All of them, by rule.
pub fn all() -> Vec<LogLine> {
    ALL.iter().flat_map(|rule| of(rule)).collect()
}

/// Those of which a line of a log may be one, the most alike first; each rule once.
pub fn like<'a>(known: &'a [LogLine], line: &str) -> Vec<&'a LogLine> {
    let words = words(line);
    let said = format!(" {} ", words.join(" "));
    let is_one = |known: &&LogLine| {
        !known.fixed.is_empty() && known.fixed.iter().all(|part| said.contains(&format!(" {part} ")))
    };
    let mut found: Vec<&LogLine> = known.iter().filter(is_one).collect();
    // Fixed words are the same in all; names and numbers tell those apart that share them.
    let alike = |known: &&LogLine| known.words.iter().filter(|word| words.contains(word)).count();
    found.sort_by_key(|known| std::cmp::Reverse(alike(known)));
    let mut seen = Vec::new();
    found.retain(|known| {
        let is_new = !seen.contains(&known.rule.code);
        seen.push(known.rule.code);
        is_new
    });
    found
}

/// The lines in the blocks of text that stand before the example.
fn of(rule: &'static Rule) -> Vec<LogLine> {
    let text = rule.text();
    let mut found = Vec::new();
    let mut in_text = false;
    for line in text.lines().take_while(|line| *line != "## Example") {
        if let Some(language) = line.strip_prefix("```") {
            in_text = language == "text";
        } else if in_text {
            let words = words(line);
            found.push(LogLine { rule, text: line.trim().to_owned(), fixed: fixed(&words), words });
        }
    }
    found
}

/// The words of a line, without what a logger puts before its message; classes without their packages.
fn words(line: &str) -> Vec<String> {
    let message = line.split_once("[] - ").map_or(line, |(_, message)| message);
    let of = |word: &str| {
        let word = word.trim_end_matches(['.', ',', ';']);
        let class = word.rsplit('.').next().unwrap_or(word);
        let is_class = word.matches('.').count() > 1 && class.starts_with(|c: char| c.is_ascii_uppercase());
        (if is_class { class } else { word }).to_owned()
    };
    let words = message.split_whitespace().map(of).filter(|word| !matches!(word.as_str(), "" | "WARN" | "ERROR"));
    words.collect()
}

/// What is left without names, numbers and paths: runs of words that are not too short to mean anything.
fn fixed(words: &[String]) -> Vec<String> {
    // The same message comes wrapped in one exception here and in another there.
    let wraps = |word: &&String| word.ends_with("Exception:") || matches!(word.as_str(), "Caused" | "by:");
    let message = words.iter().position(|word| !wraps(&word)).unwrap_or(0);
    let words = if words.len() - message > 2 { &words[message..] } else { words };
    let is_fixed = |word: &&String| word.chars().all(|c| c.is_alphabetic() || matches!(c, ':' | '(' | ')' | '\''));
    let runs = words.split(|word| !is_fixed(&word));
    let runs: Vec<String> = runs.map(|run| run.join(" ")).filter(|run| run.len() > 3).collect();
    // A single word says something if it is a name, like `OOMKilled`.
    let says = |run: &String| run.len() >= "OOMKilled".len() && run.contains(|c: char| c == ' ' || c.is_uppercase());
    if runs.iter().any(says) { runs } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn codes(line: &str) -> Vec<&'static str> {
        like(&all(), line).into_iter().map(|known| known.rule.code).collect()
    }

    #[test]
    fn lines_with_other_names_and_numbers() {
        for (line, first) in [
            (
                "2026-11-20 12:24:31,930 ERROR org.apache.flink.runtime.entrypoint.ClusterEntrypoint [] - Could not recover job with job id 00000000000000000000000000000001.",
                "FLK203",
            ),
            (
                "configmaps \"prod-cluster-config-map\" is forbidden: User \"system:serviceaccount:streams:runner\" cannot list resource \"configmaps\" in API group \"\" in the namespace \"default\"",
                "FLK107",
            ),
            ("main ERROR Unable to locate appender \"RollingAppender \" for logger config \"root\"", "FLK501"),
            ("Caused by: java.net.UnknownHostException: other-service", "FLK303"),
            ("Plugin flink-s3-fs-presto-2.0.0.jar does not exist. Exiting.", "FLK217"),
            ("    Reason:       OOMKilled", "FLK603"),
            ("OOMKilled", "FLK603"),
        ] {
            assert!(codes(line).contains(&first), "{line}: {:?}", codes(line));
        }
        let forbidden = codes("cannot list resource \"configmaps\" in API group \"\" in the namespace \"default\"");
        assert!(forbidden.is_empty(), "half of a line is none: {forbidden:?}");
    }

    #[test]
    fn lines_that_say_nothing() {
        for line in [
            "",
            "Starting standby",
            "12:00:01 INFO  Job count switched from state RUNNING to FINISHED.",
            "at a.b.C.d(C.java:1)",
        ] {
            assert_eq!(codes(line), [""; 0], "{line}");
        }
    }

    #[test]
    fn every_line_finds_its_rule() {
        let known = all();
        assert!(known.len() > 120, "{}", known.len());
        for line in &known {
            let found = like(&known, &line.text);
            assert!(line.fixed.is_empty() || found.iter().any(|one| one.rule.code == line.rule.code), "{line:?}");
        }
    }
}
