//! The rules, one file each, and the one list of them.

pub mod rbac;

use super::rule::Rule;

/// Every rule, by code. A new rule is one file, one line here and one folder of fixtures.
pub const ALL: &[&Rule] = &[&rbac::flk101_binding_namespace::RULE];

/// The rule of a code or a name, in any case.
pub fn find(code: &str) -> Option<&'static Rule> {
    ALL.iter().copied().find(|rule| rule.code.eq_ignore_ascii_case(code) || rule.name.eq_ignore_ascii_case(code))
}
