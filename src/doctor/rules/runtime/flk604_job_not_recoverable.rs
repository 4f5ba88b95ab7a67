//! FLK604: The JobManager ends because a job in the HA ConfigMaps points to a file that is gone.

use super::{log_of, pods};
use crate::doctor::rule::{Check, rule};

rule! {
    /// The JobManager ends because a job in the HA ConfigMaps points to a file that is gone
    ///
    /// ## Why it matters
    ///
    /// High availability keeps only pointers in ConfigMaps; what they point to lies in `high-availability.storageDir`. A new leader
    /// reads every job there is a pointer for, and where the file is gone the process ends, with all other jobs:
    ///
    /// ```text
    /// ERROR org.apache.flink.runtime.entrypoint.ClusterEntrypoint [] - Fatal error occurred in the cluster entrypoint.
    /// java.util.concurrent.CompletionException: org.apache.flink.util.FlinkRuntimeException: Could not recover job with job id 6cc3a3c4e5a1f2b3c4d5e6f708192a3b.
    /// Caused by: java.io.FileNotFoundException: /tmp/flink/ha/default/submittedJobGraph76 (No such file or directory)
    /// ```
    ///
    /// The log names only the first such job. (`SessionDispatcherLeaderProcess.tryRecoverJob`)
    ///
    /// ## Fix
    ///
    /// Put the storage back that the cluster had before, if it is still there. If it is not, as with a folder inside the pod, the
    /// job cannot be recovered: take its pointer out of the cluster's ConfigMap, and set `high-availability.storageDir` to storage
    /// that outlives pods, or it happens again.
    FLK604 "job-not-recoverable": Runtime Error, reads [Processes, Pods, Logs], live
}

fn check(cx: &mut Check<'_>) {
    for pod in pods(cx).into_iter().filter(|pod| pod.member.is_jobmanager()) {
        let Some(log) = log_of(cx, &pod, &pod.member.workload.process.container) else { continue };
        let Some(line) = log.lines().rev().find(|line| line.contains("Could not recover job with job id")) else {
            continue;
        };
        let job = line.rsplit("job id ").next().unwrap_or_default().trim_end_matches('.').to_owned();
        let missing = log.lines().find_map(|line| line.split_once("FileNotFoundException: ")).map(|(_, file)| file);
        let file = missing.map(|file| format!(": {file}")).unwrap_or_default();
        let (namespace, name) = (&pod.cluster.namespace, &pod.cluster.name);
        cx.report(
            pod.member.in_container(""),
            format!("the JobManager of {name} ends because job {job} cannot be recovered{file}"),
        )
        .help(
            "put the storage back that high-availability.storageDir had, or give the job up: take its keys out of the HA \
             ConfigMaps (kubectl flink clean-ha)",
        )
        .symptom(format!("Could not recover job with job id {job}."))
        .cluster(namespace, name);
    }
}
