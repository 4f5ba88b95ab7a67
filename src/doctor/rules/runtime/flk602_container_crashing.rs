//! FLK602: A container of a Flink pod ends again and again.

use super::{log_of, pods};
use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};
use crate::flink::log::telling;

rule! {
    /// A container of a Flink pod ends again and again
    ///
    /// ## Why it matters
    ///
    /// The process ends, the kubelet starts it again, each time later. The finding shows the line of the log that says why: of
    /// a cause that is known, else the last `Caused by:`, else the last error.
    ///
    /// ```text
    /// flink-jobmanager-5d9c7b6f4-aaaaa    0/1     CrashLoopBackOff   4 (30s ago)   3m
    /// ```
    ///
    /// ## Fix
    ///
    /// Mend what the line says; other findings of the same cluster often name the setting. The whole log of the process that
    /// ended: `kubectl logs POD --previous`.
    FLK602 "container-crashing": Runtime Error, reads [Processes, Pods, Logs], live, transient
}

fn check(cx: &mut Check<'_>) {
    for pod in pods(cx) {
        for (pointer, container) in pod.containers() {
            let state = container.state.as_ref();
            let crashing = state
                .and_then(|state| state.waiting.as_ref())
                .is_some_and(|waiting| waiting.reason.as_deref() == Some("CrashLoopBackOff"));
            let ended = state.and_then(|state| state.terminated.as_ref());
            let last = ended.or(container.last_state.as_ref().and_then(|state| state.terminated.as_ref()));
            let Some(last) = last.filter(|last| crashing || (ended.is_some() && last.exit_code != 0)) else { continue };
            // These two have findings of their own, FLK603 and FLK604.
            let log = log_of(cx, &pod, &container.name);
            if last.reason.as_deref() == Some("OOMKilled")
                || log.is_some_and(|log| log.contains("Could not recover job with job id"))
            {
                continue;
            }
            let telling = log.and_then(telling);
            let line =
                telling.as_ref().map(|telling| format!(": {}", telling.line.trim_end_matches('.'))).unwrap_or_default();
            let name = pod.name();
            let logs = format!("kubectl logs -n {} {name} -c {} --previous", pod.cluster.namespace, container.name);
            let help = match telling.and_then(|telling| telling.hint) {
                Some(hint) => hint.to_owned(),
                None => format!("mend what its log says: {logs}"),
            };
            cx.report(
                Place::value(pod.object, format!("{pointer}/{}", if ended.is_some() { "state" } else { "lastState" })),
                format!("container {} of pod {name} ends with exit code {}{line}", container.name, last.exit_code),
            )
            .help(help)
            .cluster(&pod.cluster.namespace, &pod.cluster.name);
        }
    }
}
