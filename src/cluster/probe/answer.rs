//! What a probe's pod says: lines of its log, or of its termination message. No I/O.

/// What begins each line; all others are of the image, of Java, of Flink's log.
const MARK: &str = "kubectl-flink-probe ";

/// What the pod says of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Answer {
    There,
    Gone,
    FolderGone,
    /// The file was written and waits to be read.
    Written,
    /// It has in it what was written.
    Read,
    Deleted,
    NotDeleted(String),
    Unknown(String),
}

/// The answers in a text, each with the number of its path, which is below `count`. What is no whole answer is none: a
/// termination message may be cut anywhere.
pub(super) fn parse(text: &str, count: usize) -> Vec<(usize, Answer)> {
    // A line without its end is still being written.
    let lines = text.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    lines.filter_map(|line| answer(line.strip_prefix(MARK)?)).filter(|(number, _)| *number < count).collect()
}

fn answer(line: &str) -> Option<(usize, Answer)> {
    let (number, answer) = line.split_once(' ')?;
    let (word, message) = answer.split_once(' ').map_or((answer, None), |(word, message)| (word, Some(message)));
    let message = message.map(|message| message.trim().to_owned());
    let answer = match (word, message) {
        ("there", None) => Answer::There,
        ("gone", None) => Answer::Gone,
        ("folder-gone", None) => Answer::FolderGone,
        ("written", None) => Answer::Written,
        ("read", None) => Answer::Read,
        ("deleted", None) => Answer::Deleted,
        ("not-deleted", Some(message)) => Answer::NotDeleted(message),
        ("unknown", Some(message)) => Answer::Unknown(message),
        _ => return None,
    };
    Some((number.parse().ok()?, answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_whole_lines_of_the_probe_count() {
        let text = "Picked up JAVA_TOOL_OPTIONS: x\n\
                    kubectl-flink-probe 0 there\n\
                    kubectl-flink-probe 2 gone\n\
                    kubectl-flink-probe 1 unknown AccessDeniedException: s3://a/b: gone \n\
                    kubectl-flink-probe 3 folder-gone\n\
                    kubectl-flink-probe 9 there\n\
                    kubectl-flink-probe 4 gone or not\n\
                    kubectl-flink-probe -1 there\n\
                    kubectl-flink-probe x there\n\
                    kubectl-flink-probe 4 Gone\n\
                    kubectl-flink-probe 4 unknown\n\
                    # kubectl-flink-probe 4 gone\n\
                    kubectl-flink-probe 4 gone";
        assert_eq!(
            parse(text, 5),
            [
                (0, Answer::There),
                (2, Answer::Gone),
                (1, Answer::Unknown("AccessDeniedException: s3://a/b: gone".into())),
                (3, Answer::FolderGone),
            ]
        );
        let text = "kubectl-flink-probe 0 written\nkubectl-flink-probe 0 not-deleted rm: no (as user 9999)\n";
        assert_eq!(parse(text, 1), [(0, Answer::Written), (0, Answer::NotDeleted("rm: no (as user 9999)".into()))]);
    }
}
