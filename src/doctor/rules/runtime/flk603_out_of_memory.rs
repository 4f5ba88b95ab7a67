//! FLK603: A container of a Flink pod was killed because it used more memory than its limit.

use super::pods;
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};

rule! {
    /// A container of a Flink pod was killed because it used more memory than its limit
    ///
    /// ## Why it matters
    ///
    /// The kernel ends the process without a word in its log. A TaskManager takes its jobs down with it, and they run into the
    /// limit again. `kubectl get pods` shows the first of these for a moment, `kubectl describe pod` the others from then on:
    ///
    /// ```text
    /// OOMKilled
    /// Last State:     Terminated
    ///   Reason:       OOMKilled
    ///   Exit Code:    137
    /// ```
    ///
    /// ## Fix
    ///
    /// The container's memory limit has to be at least the process size in Flink's configuration
    /// (`taskmanager.memory.process.size`, `jobmanager.memory.process.size`), in which Flink's `m` is Kubernetes' `Mi`. Where it
    /// is, native memory outgrew its share: raise `taskmanager.memory.jvm-overhead.fraction`, or give RocksDB less than it takes
    /// now.
    FLK603 "out-of-memory": Runtime Error, reads [Processes, Pods], live, transient
}

fn check(cx: &mut Check<'_>) {
    for pod in pods(cx) {
        for (pointer, container) in pod.containers() {
            let killed = |state: Option<&k8s_openapi::api::core::v1::ContainerState>| {
                state
                    .and_then(|state| state.terminated.as_ref())
                    .filter(|ended| ended.reason.as_deref() == Some("OOMKilled"))
                    .cloned()
            };
            let now = killed(container.state.as_ref());
            let Some(ended) = now.clone().or_else(|| killed(container.last_state.as_ref())) else { continue };
            let when = ended.finished_at.map(|time| format!(" at {}", time.0)).unwrap_or_default();
            let times = match container.restart_count {
                0 | 1 => String::new(),
                count => format!(", restarted {count} times"),
            };
            cx.report(
                Place::value(pod.object, format!("{pointer}/{}", if now.is_some() { "state" } else { "lastState" })),
                format!("container {} of pod {} was killed for its memory{when}{times}", container.name, pod.name()),
            )
            .help(
                "raise the container's memory limit to the process size in Flink's configuration, or more of that size to \
                 the JVM overhead",
            )
            .symptom("OOMKilled, exit code 137")
            .cluster(&pod.cluster.namespace, &pod.cluster.name);
        }
    }
}
