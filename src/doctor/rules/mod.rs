//! The rules, one file each, and the one list of them.

pub mod config;
pub mod input;
pub mod operator;
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
    &rbac::flk102_role_missing::RULE,
    &rbac::flk103_binding_subject::RULE,
    &rbac::flk104_role_without_lock::RULE,
    &rbac::flk105_jobmanager_rights::RULE,
    &rbac::flk106_taskmanager_rights::RULE,
    &rbac::flk107_kubernetes_namespace::RULE,
    &rbac::flk108_service_account_missing::RULE,
    &rbac::flk109_token_not_mounted::RULE,
    &rbac::flk110_rights_too_wide::RULE,
    &rbac::flk111_native_rights::RULE,
    &rbac::flk112_rights_on_endpoints::RULE,
    &rbac::flk113_unknown_verb::RULE,
    &rbac::flk114_node_list::RULE,
    &config::flk501_log4j_trailing_blank::RULE,
    &config::flk502_log_config_missing::RULE,
    &config::flk503_log4j_one_syntax::RULE,
    &config::flk504_config_file_name::RULE,
    &config::flk505_two_config_files::RULE,
    &config::flk506_config_yaml_invalid::RULE,
    &config::flk507_option_and_group::RULE,
    &config::flk508_option_twice::RULE,
    &config::flk509_line_ignored::RULE,
    &config::flk510_value_format::RULE,
    &config::flk511_properties_ignored::RULE,
    &config::flk512_properties_blanks::RULE,
    &config::flk513_runs_as_root::RULE,
    &config::flk514_image_not_pinned::RULE,
    &config::flk515_images_differ::RULE,
    &config::flk516_restart_strategy::RULE,
    &config::flk517_option_removed::RULE,
    &config::flk518_option_renamed::RULE,
    &config::flk519_java_17_options::RULE,
    &config::flk520_option_unit::RULE,
    &config::flk521_config_map_missing::RULE,
    &config::flk522_version_end_of_life::RULE,
    &config::flk523_option_unknown::RULE,
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
    &operator::flk701_operator_option_forbidden::RULE,
    &operator::flk702_operator_name::RULE,
    &operator::flk703_operator_version::RULE,
    &operator::flk704_operator_standby_without_ha::RULE,
    &operator::flk705_operator_upgrade_mode::RULE,
    &operator::flk706_operator_parallelism::RULE,
    &operator::flk707_operator_memory::RULE,
    &operator::flk708_operator_service_account::RULE,
    &operator::flk709_operator_log_keys::RULE,
    &operator::flk710_operator_spec_missing::RULE,
    &operator::flk711_operator_template_resources::RULE,
    &operator::flk712_operator_error::RULE,
];

/// The rule of a code or a name, in any case.
pub fn find(code: &str) -> Option<&'static Rule> {
    ALL.iter().copied().find(|rule| rule.code.eq_ignore_ascii_case(code) || rule.name.eq_ignore_ascii_case(code))
}
