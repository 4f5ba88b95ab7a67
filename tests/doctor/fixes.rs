//! What `--fix` makes of the fixtures.

use kubectl_flink::doctor::fix::{Mended, Safety, mend};
use kubectl_flink::doctor::rules::ALL;
use kubectl_flink::doctor::snapshot::SourceFile;

use crate::fixtures::{Run, inputs};

fn mended(files: &[(String, String)], live: bool) -> Mended {
    mend(files, Safety::Unsafe, |files: Vec<SourceFile>| {
        let run = Run::new(files, live);
        let findings = run.findings().cloned().collect();
        (run.snapshot, findings)
    })
}

#[test]
fn fixes_mend_what_they_are_for() {
    let mut wrong = Vec::new();
    for rule in ALL {
        for (name, files) in inputs(rule.code) {
            let live = name.ends_with(".live.yaml");
            let name = format!("{}/{name}", rule.code);
            let mut texts: Vec<(String, String)> = files.into_iter().map(|file| (file.name, file.text)).collect();
            let before = texts.clone();
            let first = mended(&texts, live);
            for dropped in &first.dropped {
                if dropped.why.contains("afterwards") || dropped.why.contains("touch") {
                    wrong.push(format!("{name}: {dropped:?}"));
                }
            }
            for (file, before, after) in first.files {
                // What is not edited stays: each line that is gone was in an edit, and edits are small.
                let kept = |line: &&str| after.contains(line.trim_end());
                let gone: Vec<&str> = before.lines().filter(|line| !kept(line)).collect();
                if gone.len() > before.lines().count() / 2 {
                    wrong.push(format!("{name}: {} lines are gone", gone.len()));
                }
                texts.iter_mut().filter(|(name, _)| *name == file).for_each(|(_, text)| text.clone_from(&after));
            }
            if texts == before {
                continue;
            }
            let second = mended(&texts, live);
            if !second.files.is_empty() {
                wrong.push(format!("{name}: not idempotent: {:?}", second.made));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
