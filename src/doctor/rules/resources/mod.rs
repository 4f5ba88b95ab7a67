//! Memory, CPU and slots.

pub mod flk401_limit_below_process_size;
pub mod flk402_process_size_missing;
pub mod flk403_memory_not_set;
pub mod flk404_sizes_do_not_fit;
pub mod flk405_memory_option_removed;
pub mod flk406_requests_missing;
pub mod flk407_requests_above_limits;
pub mod flk408_too_few_slots;
pub mod flk410_managed_memory_unused;
pub mod flk411_reactive_mode;
pub mod flk412_memory_unit;
pub mod flk413_autoscaler_without_reactive;

use k8s_openapi::api::core::v1::Container;

use crate::doctor::model::Member;
use crate::doctor::model::config::{Config, Entry};
use crate::doctor::place::Place;
use crate::doctor::rule::Check;
use crate::doctor::snapshot::ObjectId;
use crate::flink::memory::{JOBMANAGER_PROCESS_SIZE, MemorySize, TASKMANAGER_PROCESS_SIZE};
use crate::flink::quantity::Quantity;

/// The option of the whole size of this member's process.
fn process_size_key(member: &Member) -> &'static str {
    if member.is_jobmanager() { JOBMANAGER_PROCESS_SIZE } else { TASKMANAGER_PROCESS_SIZE }
}

/// A size of the configuration, where it is written out and Flink can read it.
fn size<'a>(member: &'a Member, key: &str) -> Option<(&'a Entry, MemorySize)> {
    let entry = member.config.get(&[key]).filter(|entry| entry.is_literal())?;
    Some((entry, entry.value.parse().ok()?))
}

/// The memory limit of the container that runs Flink: where it is, how it is written, and how much it is.
fn memory_limit(member: &Member) -> Option<(Place, String, Quantity)> {
    let (_, container) = member.container()?;
    let text = container.resources.as_ref()?.limits.as_ref()?.get("memory")?.0.clone();
    let limit = text.parse().ok()?;
    Some((member.in_container("resources/limits/memory"), text, limit))
}

/// The HorizontalPodAutoscaler that sets the replicas of a member.
fn autoscaler(cx: &Check<'_>, member: &Member) -> Option<ObjectId> {
    cx.of_kind_in("HorizontalPodAutoscaler", member.workload.namespace()).into_iter().find(|id| {
        let object = cx.object(*id);
        let target = |key: &str| object.node.string_at(&format!("/spec/scaleTargetRef/{key}"));
        target("kind") == Some(&member.workload.kind) && target("name") == Some(&member.workload.name)
    })
}

/// Whether the scheduler fits a job to the slots that there are: reactive mode, or the adaptive scheduler.
fn is_elastic(config: &Config) -> bool {
    let is = |key: &str, value: &str| config.value(key).is_some_and(|text| text.trim().eq_ignore_ascii_case(value));
    is("scheduler-mode", "reactive")
        || is("jobmanager.scheduler", "adaptive")
        || is("jobmanager.scheduler", "AdaptiveBatch")
        || is("execution.runtime-mode", "batch")
}

/// Every container of a member's pods, with its place in their specification.
fn containers(member: &Member) -> Vec<(String, &Container)> {
    let Some(spec) = member.workload.template.spec.as_ref() else { return Vec::new() };
    let init = spec.init_containers.iter().flatten().enumerate();
    let init = init.map(|(number, container)| (format!("initContainers/{number}"), container));
    let main = spec.containers.iter().enumerate();
    main.map(|(number, container)| (format!("containers/{number}"), container)).chain(init).collect()
}
