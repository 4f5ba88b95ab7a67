//! FLK604: The JobManager ends because a job in the HA ConfigMaps points to a file that is gone.

use super::{log_of, pods};
use crate::doctor::rule::{Check, rule};
use crate::flink::ha::{HaMap, LostJob};
use crate::flink::log::{telling, unrecoverable};

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
    /// job cannot be recovered. This takes it out of the cluster's ConfigMap, keeps a copy, and starts the JobManager again:
    ///
    /// ```sh
    /// kubectl flink clean-ha ID -n NAMESPACE --job JOB
    /// ```
    ///
    /// With `--probe` it looks first whether the file is gone from the volume or the object store. With `--job dead` it takes out
    /// every job of which that is proven. Such a job has to be submitted again, from a checkpoint in
    /// `execution.checkpointing.dir` where its files are still there; other jobs are not touched. Set
    /// `high-availability.storageDir` to storage that outlives pods, or it happens again.
    FLK604 "job-not-recoverable": Runtime Error, reads [Processes, Pods, HaMaps, Logs], live
}

fn check(cx: &mut Check<'_>) {
    for pod in pods(cx).into_iter().filter(|pod| pod.member.is_jobmanager()) {
        let container = &pod.member.workload.process.container;
        let Some(log) = log_of(cx, &pod, container) else { continue };
        let (Some(failure), Some(telling)) = (unrecoverable(log), telling(log)) else { continue };
        let config = &pod.cluster.config;
        let namespace = config.value("kubernetes.namespace").unwrap_or("default");
        let lost = LostJob::of_log(log, namespace, config.value("kubernetes.cluster-id"));
        let (why, help) = match (lost, &pod.pod.spec) {
            (Some(mut lost), Some(spec)) => {
                let (namespace, names) = lost.config_maps();
                let maps = names.iter().filter_map(|name| cx.find("ConfigMap", namespace, name).present());
                let maps: Vec<HaMap> = maps.filter_map(|map| HaMap::read(&cx.object(map).typed()?)).collect();
                for map in &maps {
                    lost.learn(map);
                }
                (lost.message(), lost.remedy(&pod.cluster.namespace, spec, container))
            }
            _ => (telling.line.trim_end_matches('.').to_owned(), telling.hint.unwrap_or_default().to_owned()),
        };
        let (namespace, name) = (&pod.cluster.namespace, &pod.cluster.name);
        cx.report(pod.member.in_container(""), format!("the JobManager of {name} ends: {why}"))
            .help(help)
            .symptom(format!("Could not recover job with job id {}.", failure.job))
            .cluster(namespace, name);
    }
}
