//! The rules, one file each, and the one list of them.

pub mod network;
pub mod rbac;
pub mod resources;

use super::rule::Rule;

/// Every rule, by code. A new rule is one file, one line here and one folder of fixtures.
pub const ALL: &[&Rule] = &[
    &rbac::flk101_binding_namespace::RULE,
    &network::flk301_port_mismatch::RULE,
    &network::flk302_service_selects_nothing::RULE,
    &network::flk303_rpc_address_unknown::RULE,
    &network::flk304_blob_port_random::RULE,
    &network::flk305_port_range::RULE,
    &network::flk306_network_policy::RULE,
    &network::flk307_mesh_ports::RULE,
    &network::flk308_rest_exposed::RULE,
    &network::flk309_jars_on_several_jobmanagers::RULE,
    &network::flk310_probes::RULE,
    &network::flk311_rest_tls::RULE,
    &network::flk312_web_information::RULE,
    &network::flk313_taskmanager_without_address::RULE,
    &resources::flk401_limit_below_process_size::RULE,
    &resources::flk402_process_size_missing::RULE,
    &resources::flk403_memory_not_set::RULE,
    &resources::flk404_sizes_do_not_fit::RULE,
    &resources::flk405_memory_option_removed::RULE,
    &resources::flk406_requests_missing::RULE,
    &resources::flk407_requests_above_limits::RULE,
    &resources::flk408_too_few_slots::RULE,
    &resources::flk410_managed_memory_unused::RULE,
    &resources::flk411_reactive_mode::RULE,
    &resources::flk412_memory_unit::RULE,
    &resources::flk413_autoscaler_without_reactive::RULE,
];

/// The rule of a code or a name, in any case.
pub fn find(code: &str) -> Option<&'static Rule> {
    ALL.iter().copied().find(|rule| rule.code.eq_ignore_ascii_case(code) || rule.name.eq_ignore_ascii_case(code))
}
