//! FLK612: A job restarts, fails, or has failed.

use super::{answers, jobs};
use crate::doctor::place::Place;
use crate::doctor::rule::Severity;
use crate::doctor::rule::{Check, rule};

rule! {
    /// A job restarts, fails, or has failed
    ///
    /// ## Why it matters
    ///
    /// A job in `RESTARTING` or `FAILING` does no work; when its restart strategy gives up it is `FAILED` for good, and Flink deletes
    /// its high-availability data with it. The web UI shows the exception, and so does REST:
    ///
    /// ```text
    /// org.apache.flink.runtime.JobException: Recovery is suppressed by FixedDelayRestartBackoffTimeStrategy(maxNumberRestartAttempts=10, backoffTimeMS=1000)
    /// ```
    ///
    /// ## Fix
    ///
    /// Mend what the job's exception says (`/jobs/JOB/exceptions`). A job that has failed is submitted again, from its last
    /// checkpoint or savepoint.
    FLK612 "job-failing": Runtime Error, reads [Processes, Rest], live, transient
}

fn check(cx: &mut Check<'_>) {
    for (cluster, jobmanager, answer) in answers(cx) {
        for (id, name, state) in jobs(answer) {
            let (severity, help) = match state {
                "RESTARTING" | "FAILING" => (
                    Severity::Error,
                    "mend what its exception says: the web UI shows it, and REST under /jobs/JOB/exceptions",
                ),
                "FAILED" => (Severity::Warning, "submit it again, from its last checkpoint or savepoint"),
                _ => continue,
            };
            cx.report(Place::object(jobmanager.object), format!("job {name} ({id}) is {state}"))
                .help(help)
                .severity(severity)
                .cluster(&cluster.namespace, &cluster.name);
        }
    }
}
