//! FLK007: a rule that panicked.

use crate::doctor::rule::{Check, rule};

rule! {
    /// A rule failed: a mistake of this program
    ///
    /// ## Why it matters
    ///
    /// The rule did not look at everything, so its silence says nothing. The other rules did run. Such a run never ends with exit
    /// code 0.
    ///
    /// ```text
    /// error[FLK007]: rule FLK101 failed: index out of bounds
    /// ```
    ///
    /// ## Fix
    ///
    /// Report it with the input that it failed on. Until it is mended, `--ignore` with the rule's code leaves it out.
    FLK007 "rule-failed": Input Error, reads [Processes]
}

/// It is `doctor::engine` that catches a rule that fails, and `doctor::control` that reports it.
fn check(_: &mut Check<'_>) {}
