//! The rules, one file each, and the one list of them.

pub mod input;
pub mod rbac;
pub mod runtime;

use super::rule::Rule;

/// Every rule, by code. A new rule is one file, one line here and one folder of fixtures.
pub const ALL: &[&Rule] = &[
    &input::flk001_unreadable::RULE,
    &input::flk002_key_twice::RULE,
    &input::flk003_object_twice::RULE,
    &input::flk004_suppression_unused::RULE,
    &input::flk005_suppression_unknown::RULE,
    &input::flk006_suppression_expired::RULE,
    &input::flk007_rule_failed::RULE,
    &rbac::flk101_binding_namespace::RULE,
    &runtime::flk601_container_not_starting::RULE,
    &runtime::flk602_container_crashing::RULE,
    &runtime::flk603_out_of_memory::RULE,
    &runtime::flk604_job_not_recoverable::RULE,
    &runtime::flk605_pod_not_scheduled::RULE,
    &runtime::flk606_pod_not_created::RULE,
    &runtime::flk607_volume_not_mounted::RULE,
    &runtime::flk608_no_leader::RULE,
    &runtime::flk609_leader_changes_often::RULE,
    &runtime::flk610_rest_silent::RULE,
    &runtime::flk611_taskmanagers_not_registered::RULE,
    &runtime::flk612_job_failing::RULE,
    &runtime::flk613_checkpoints_failing::RULE,
    &runtime::flk614_checkpoint_overdue::RULE,
    &runtime::flk615_checkpointing_off::RULE,
    &runtime::flk616_savepoint_directory_missing::RULE,
    &runtime::flk617_disruption_budget_blocks::RULE,
    &runtime::flk618_rollout_stuck::RULE,
    &runtime::flk619_probe_failing::RULE,
    &runtime::flk620_job_waits_for_slots::RULE,
];

/// The rule of a code or a name, in any case.
pub fn find(code: &str) -> Option<&'static Rule> {
    ALL.iter().copied().find(|rule| rule.code.eq_ignore_ascii_case(code) || rule.name.eq_ignore_ascii_case(code))
}
