//! The line of a container's log that says why its process ended.

use crate::manifests::secrets;

/// A cause that is known by a phrase in the log.
#[derive(Debug)]
struct Known {
    /// Stands in the line, as it is.
    phrase: &'static str,
    /// What to do about it.
    hint: &'static str,
    /// Starting the process anew, with everything else as it is, ends the same way.
    lasting: bool,
}

/// In the order in which they are looked for: what explains more comes first.
const KNOWN: [Known; 10] = [
    // SessionDispatcherLeaderProcess, when the HA ConfigMap points to a file that is gone.
    Known {
        phrase: "Could not recover job with job id",
        hint: "the HA ConfigMaps point to files that are not in high-availability.storageDir: is the storage shared by \
               all JobManagers, and the one that was used before? To give these jobs up: kubectl flink clean-ha",
        lasting: true,
    },
    Known {
        phrase: "is forbidden: User \"system:serviceaccount:",
        hint: "give the pod a service account whose Role, in the namespace that the message names, allows get, list, \
               watch, create, update, patch and delete on configmaps; if that namespace is not the pod's, set \
               kubernetes.namespace in Flink's configuration",
        lasting: true,
    },
    // FileSystem.getUnguardedFileSystem, UnsupportedFileSystemSchemeException.
    Known {
        phrase: "Could not find a file system implementation for scheme",
        hint: "the file system's plugin is not enabled: for s3:// set the environment variable \
               ENABLE_BUILT_IN_PLUGINS=flink-s3-fs-presto-VERSION.jar with the image's own Flink version",
        lasting: true,
    },
    // docker-entrypoint.sh: "Plugin %s does not exist. Exiting."
    Known {
        phrase: "does not exist. Exiting",
        hint: "ENABLE_BUILT_IN_PLUGINS names a file that is not in the image's /opt/flink/opt: its version has to be \
               the image's",
        lasting: true,
    },
    // ProcessMemoryUtils: "JobManager memory configuration failed: ...", "TaskManager memory configuration failed: ...".
    Known {
        phrase: "memory configuration failed",
        hint: "the sizes in Flink's configuration do not fit together: raise the process size, or lower its parts \
               (taskmanager.memory.managed.size, jobmanager.memory.jvm-overhead.min, ...)",
        lasting: true,
    },
    Known {
        phrase: "Permission denied",
        hint: "Flink runs as user 9999: set fsGroup: 9999 in the pod's securityContext, or make the directory writable",
        lasting: true,
    },
    Known {
        phrase: "Read-only file system",
        hint: "the process writes to a path that is mounted read-only, or the container has readOnlyRootFilesystem",
        lasting: true,
    },
    Known { phrase: "Could not parse value '", hint: "correct this option of Flink's configuration", lasting: true },
    Known {
        phrase: "Unable to execute HTTP request",
        hint: "the object store does not answer: see the endpoint in Flink's configuration (s3.endpoint)",
        lasting: false,
    },
    Known {
        phrase: "java.lang.OutOfMemoryError",
        hint: "the process needs more of the kind of memory that the message names",
        lasting: false,
    },
];

/// What a log says about the end of its process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Telling {
    /// One line, without time stamps and packages of class names.
    pub line: String,
    /// What to do, where the cause is a known one.
    pub hint: Option<&'static str>,
    /// The next start will end the same way.
    pub lasting: bool,
}

/// Picks the most telling line: one with a known cause, else the last `Caused by:`, else the last error, else the last
/// line. None for a log without lines.
pub fn telling(log: &str) -> Option<Telling> {
    let lines: Vec<&str> = log.lines().filter(|line| !is_noise(line)).collect();
    let root = lines.iter().rposition(|line| line.starts_with("Caused by:"));
    for known in &KNOWN {
        let Some(at) = lines.iter().rposition(|line| line.contains(known.phrase)) else { continue };
        let mut line = clean(lines[at]);
        // The bottom of the same stack trace says which file, which host, and perhaps more of what to do.
        let root = root.filter(|root| *root > at);
        if let Some(cause) = root.map(|root| clean(lines[root]))
            && !line.contains(cause.split_once(": ").map_or(cause.as_str(), |(_, message)| message))
        {
            line = shorten(&format!("{line} ({cause})"));
        }
        let known =
            root.and_then(|root| KNOWN.iter().find(|known| lines[root].contains(known.phrase))).unwrap_or(known);
        return Some(Telling { line, hint: Some(known.hint), lasting: known.lasting });
    }
    let at = root
        .or_else(|| lines.iter().rposition(|line| is_error(line)))
        .or_else(|| lines.iter().rposition(|line| line.contains("Exception")))
        .or_else(|| lines.len().checked_sub(1))?;
    Some(Telling { line: clean(lines[at]), hint: None, lasting: false })
}

/// A job that a JobManager could not recover, at which it ended.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Unrecoverable {
    /// The job's id.
    pub job: String,
    /// The entry that points to what is missing: `jobGraph-JOB`, `executionPlan-JOB`.
    pub key: Option<String>,
    /// The ConfigMap that holds the entry.
    pub config_map: Option<String>,
    /// A file is not there; otherwise another cause is given.
    pub gone: bool,
    /// That file, where the log names it: S3 does not.
    pub missing: Option<String>,
}

/// Whether a JobManager has recovered its jobs (`SessionDispatcherLeaderProcess.recoverJobs`): this start is not one of
/// those that end at it.
pub fn recovered(log: &str) -> bool {
    log.lines().any(|line| line.contains("Successfully recovered ") && line.contains(" persisted "))
}

/// Finds the job that a JobManager could not recover (`SessionDispatcherLeaderProcess.tryRecoverJob`), in the log of a
/// process that ended at it. Flink names only the first such job.
pub fn unrecoverable(log: &str) -> Option<Unrecoverable> {
    let lines: Vec<&str> = log.lines().collect();
    let (at, rest) = (lines.iter().enumerate().rev())
        .find_map(|(at, line)| Some((at, line.split_once("Could not recover job with job id ")?.1)))?;
    let id = |text: &str| text.chars().take_while(char::is_ascii_alphanumeric).collect::<String>();
    let after = |phrase: &str| lines[at..].iter().find_map(|line| Some(line.split_once(phrase)?.1));
    let key = after("from state handle under ")
        .map(|rest| rest.chars().take_while(|c| c.is_ascii_alphanumeric() || *c == '-').collect::<String>());
    // KubernetesStateHandleStore{configMapName='flink-cluster-config-map'}, in what the store says of itself.
    let maps = lines.iter().filter_map(|line| line.split_once("configMapName='")?.1.split_once('\''));
    // `(Permission denied)` is a FileNotFoundException too.
    let missing = after("FileNotFoundException: ").filter(|rest| {
        ["No such file or directory", "does not exist", "No such file or object", "Item not found", "NoSuchKey", "404"]
            .iter()
            .any(|gone| rest.contains(gone))
    });
    // AmazonS3Exception: The specified key does not exist. (Service: Amazon S3; Status Code: 404; Error Code: NoSuchKey; ...
    let no_such_key = after("NoSuchKey").is_some();
    Some(Unrecoverable {
        job: id(rest),
        gone: missing.is_some() || no_such_key,
        key,
        config_map: maps.map(|(map, _)| map.to_owned()).next_back(),
        missing: missing.map(|rest| path_in(rest).to_owned()),
    })
}

/// The path in what a file system says of a file that is not there: `/a (No such file or directory)`, as Java does,
/// `File does not exist: /a`, `No such file or directory: s3://b/a`, `Item not found: 'gs://b/a'. Note, ...` (GCS connector).
fn path_in(message: &str) -> &str {
    let before = message.split(" (").next().unwrap_or(message).trim();
    if before.starts_with('/') {
        return before;
    }
    let path = before.split_whitespace().find(|word| word.contains('/')).unwrap_or(before);
    path.trim_end_matches('.').trim_matches('\'')
}

/// Stack frames, blank lines, and what the JVM says at every end.
fn is_noise(line: &str) -> bool {
    let text = line.trim();
    text.is_empty()
        || text.starts_with("at ")
        || (text.starts_with("... ") && text.ends_with(" more"))
        || text.starts_with("WARNING: ")
        || text.starts_with("Picked up JAVA_TOOL_OPTIONS")
}

fn is_error(line: &str) -> bool {
    line.contains(" ERROR ")
        || line.starts_with("ERROR")
        || line.contains("Exception in thread")
        || line.contains("FATAL")
}

/// Takes off what is before the message: time, level and logger, `Caused by:`, and the packages of class names.
fn clean(line: &str) -> String {
    let mut text = line.trim();
    if is_log_line(text) {
        text = text.split_once(" - ").map_or(text, |(_, message)| message);
    }
    text = text.strip_prefix("Caused by: ").unwrap_or(text);
    if let Some((_, rest)) = text.strip_prefix("Exception in thread ").and_then(|rest| rest.split_once("\" ")) {
        text = rest;
    }
    // fabric8's KubernetesClientException: the request, then the API server's message, then its whole Status.
    if let Some((_, message)) =
        text.split_once("Failure executing: ").and_then(|(_, rest)| rest.split_once(" Message: "))
    {
        return shorten(message.split(" Received status").next().unwrap_or(message).trim_end_matches('.'));
    }
    // `a.b.OuterException: a.b.InnerException: message`: the inner one is enough, without its package.
    let mut class = None;
    while let Some((head, rest)) = text.split_once(": ")
        && let Some(name) = class_name(head)
    {
        (class, text) = (Some(name), rest);
    }
    shorten(&match class {
        Some(class) => format!("{class}: {}", text.trim()),
        None => text.trim().to_owned(),
    })
}

/// `12:24:18,178 INFO  logger [] - message`, with or without a date.
fn is_log_line(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_digit()) && text.contains(" - ")
}

/// The last part of a qualified Java class name.
fn class_name(text: &str) -> Option<&str> {
    let name = text.rsplit_once('.')?.1;
    let qualified = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'$'));
    (qualified && name.starts_with(|c: char| c.is_ascii_uppercase())).then_some(name)
}

/// A message of a few terminal lines at most, without passwords.
pub fn shorten(text: &str) -> String {
    const MOST: usize = 400;
    let text = &secrets::hide_in_addresses(text);
    match text.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_that_flink_cannot_read() {
        let log = "ERROR org.apache.flink.runtime.entrypoint.ClusterEntrypoint [] - Could not start cluster entrypoint.\n\
                   java.lang.IllegalArgumentException: Could not parse value 'nonsense' for key 'pekko.ask.timeout'.\n\
                   Caused by: java.lang.NumberFormatException: text does not start with a number\n";
        let telling = telling(log).unwrap();
        assert!(telling.line.contains("for key 'pekko.ask.timeout'"), "{}", telling.line);
        assert!(telling.lasting);
    }

    #[test]
    fn job_that_cannot_be_recovered() {
        let log = "\
12:24:18,178 INFO  org.apache.flink.runtime.entrypoint.ClusterEntrypoint        [] -  JVM Options:
12:24:31,900 ERROR org.apache.flink.runtime.entrypoint.ClusterEntrypoint        [] - Fatal error occurred in the cluster entrypoint.
java.util.concurrent.CompletionException: org.apache.flink.util.FlinkRuntimeException: Could not recover job with job id 76.
\tat java.base/java.lang.Thread.run(Thread.java:840) [?:?]
Caused by: org.apache.flink.util.FlinkRuntimeException: Could not recover job with job id 76.
\t... 4 more
Caused by: org.apache.flink.util.FlinkException: Could not retrieve submitted JobGraph from state handle under jobGraph-76.
Caused by: java.io.FileNotFoundException: /tmp/flink-ha/default/submittedJobGraph76 (No such file or directory)
\tat java.base/java.io.FileInputStream.open0(Native Method) ~[?:?]
WARNING: System::setSecurityManager will be removed in a future release
12:24:32,011 INFO  org.apache.flink.runtime.blob.BlobServer                     [] - Stopped BLOB server at 0.0.0.0:6124
";
        let telling = telling(log).unwrap();
        assert_eq!(
            telling.line,
            "FlinkRuntimeException: Could not recover job with job id 76. (FileNotFoundException: \
             /tmp/flink-ha/default/submittedJobGraph76 (No such file or directory))"
        );
        assert!(telling.lasting && telling.hint.unwrap().contains("clean-ha"));
        // The file is there, and may not be read: giving the job up would lose it for nothing.
        let denied = super::telling(&log.replace("No such file or directory", "Permission denied")).unwrap();
        assert!(denied.hint.unwrap().contains("fsGroup"), "{denied:?}");
    }

    #[test]
    fn which_job_and_which_file() {
        let log = "\
2026-11-21 08:00:00,000 INFO  o.a.f.r.jobmanager.DefaultJobGraphStore [] - Retrieved job ids [7601318e4ccd7281759507f40830fea9] from KubernetesStateHandleStore{configMapName='flink-cluster-config-map'}
2026-11-21 08:00:01,000 ERROR o.a.f.r.entrypoint.ClusterEntrypoint [] - Fatal error occurred in the cluster entrypoint.
java.util.concurrent.CompletionException: org.apache.flink.util.FlinkRuntimeException: Could not recover job with job id 7601318e4ccd7281759507f40830fea9.
Caused by: org.apache.flink.util.FlinkException: Could not retrieve submitted JobGraph from state handle under jobGraph-7601318e4ccd7281759507f40830fea9. This indicates that the retrieved state handle is broken. Try cleaning the state handle store.
Caused by: java.io.FileNotFoundException: /tmp/flink/ha/default/submittedJobGraph76 (No such file or directory)
";
        let job = "7601318e4ccd7281759507f40830fea9";
        let found = unrecoverable(log).unwrap();
        assert_eq!((found.job.as_str(), found.key), (job, Some(format!("jobGraph-{job}"))));
        assert_eq!(found.config_map.as_deref(), Some("flink-cluster-config-map"));
        assert_eq!(found.missing.as_deref(), Some("/tmp/flink/ha/default/submittedJobGraph76"));
        let denied = unrecoverable(&log.replace("No such file or directory", "Permission denied")).unwrap();
        assert_eq!((denied.job.as_str(), denied.gone, denied.missing), (job, false, None));
        let presto = "com.amazonaws.services.s3.model.AmazonS3Exception: The specified key does not exist. (Service: Amazon \
                      S3; Status Code: 404; Error Code: NoSuchKey; Request ID: 18EA; Proxy: null)";
        let on_s3 = log.lines().filter(|line| !line.contains("FileNotFound")).collect::<Vec<_>>().join("\n");
        let on_s3 = unrecoverable(&format!("{on_s3}\nCaused by: {presto}")).unwrap();
        assert_eq!((on_s3.gone, on_s3.missing), (true, None));
        for (message, path) in [
            ("No such file or directory: s3a://b/ha/submittedJobGraph76", "s3a://b/ha/submittedJobGraph76"),
            (
                "Item not found: 'gs://b/ha/submittedJobGraph76'. Note, it is possible that the live version is still \
                 available but the requested generation is deleted.",
                "gs://b/ha/submittedJobGraph76",
            ),
            ("File does not exist: /ha/submittedJobGraph76", "/ha/submittedJobGraph76"),
        ] {
            let local = "/tmp/flink/ha/default/submittedJobGraph76 (No such file or directory)";
            assert_eq!(unrecoverable(&log.replace(local, message)).unwrap().missing.as_deref(), Some(path));
        }
        assert_eq!(unrecoverable("all is well"), None);
    }

    #[test]
    fn memory_that_does_not_fit() {
        let log = "\
[ERROR] Could not get JVM parameters and dynamic configurations properly.
Exception in thread \"main\" org.apache.flink.configuration.IllegalConfigurationException: TaskManager memory configuration failed: Sum of x (1 bytes) exceed y (2 bytes).
\tat org.apache.flink.runtime.util.bash.BashJavaUtils.main(BashJavaUtils.java:56)
Caused by: org.apache.flink.configuration.IllegalConfigurationException: Sum of x (1 bytes) exceed y (2 bytes).
[ERROR] The execution result is empty.
";
        let telling = telling(log).unwrap();
        assert!(
            telling.line.starts_with("IllegalConfigurationException: TaskManager memory configuration failed: Sum")
        );
        assert!(telling.hint.unwrap().contains("process size"));
    }

    #[test]
    fn a_refusal_of_the_api_server() {
        let log = "Caused by: org.apache.flink.kubernetes.shaded.io.fabric8.kubernetes.client.KubernetesClientException: \
                   Failure executing: GET at: https://10.96.0.1:443/api. Message: configmaps \"x\" is forbidden: User \
                   \"system:serviceaccount:a:b\" cannot list resource \"configmaps\". Received status: Status(code=403).";
        let telling = telling(log).unwrap();
        assert_eq!(
            telling.line,
            "configmaps \"x\" is forbidden: User \"system:serviceaccount:a:b\" cannot list resource \"configmaps\""
        );
        assert!(telling.lasting);
    }

    #[test]
    fn causes_before_errors_before_last_lines() {
        let line = |log: &str| telling(log).map(|telling| telling.line);
        let both = "Caused by: a.b.C: deep\n2026-11-20 22:31:21,942 ERROR a.b.X [] - shut down - hard\nbye";
        assert_eq!(line(both).as_deref(), Some("C: deep"));
        let error = "2026-11-20 22:31:21,942 ERROR a.b.X [] - shut down - hard\nbye";
        assert_eq!(line(error).as_deref(), Some("shut down - hard"));
        assert_eq!(line("one\n\nbash: /nope: not found\n").as_deref(), Some("bash: /nope: not found"));
        assert_eq!(line("\n\tat a.b(C.java)\n"), None);
    }

    #[test]
    fn a_line_of_any_length_is_cut_between_characters() {
        assert!(clean(&"ä".repeat(1000)).ends_with("ä…"));
    }
}
