//! What a rule found.

use super::fix::Fix;
use super::place::Place;
use super::rule::{Rule, Severity};

/// One thing that is wrong, in one place.
#[derive(Debug, Clone)]
pub struct Finding {
    /// The rule.
    pub rule: &'static Rule,
    /// How bad it is: the rule's severity, unless the user says otherwise.
    pub severity: Severity,
    /// Where.
    pub place: Place,
    /// The cause, in one line without a period.
    pub message: String,
    /// What to do, in one line without a period; empty where the rule's documentation has to be read.
    pub help: String,
    /// The line that Flink's log, or an event, shows of it.
    pub symptom: Option<String>,
    /// Other places that have to do with it, each with what it has.
    pub related: Vec<(Place, String)>,
    /// How to mend it.
    pub fix: Option<Fix>,
    /// A command that mends it in a running cluster.
    pub command: Option<String>,
    /// Namespace and name of the cluster.
    pub cluster: Option<(String, String)>,
}

impl Finding {
    pub(super) fn new(rule: &'static Rule, place: Place, message: String, cluster: Option<(String, String)>) -> Self {
        Finding {
            rule,
            severity: rule.severity,
            place,
            message,
            help: String::new(),
            symptom: None,
            related: Vec::new(),
            fix: None,
            command: None,
            cluster,
        }
    }

    /// Says what to do.
    pub fn help(&mut self, help: impl Into<String>) -> &mut Self {
        self.help = help.into();
        self
    }

    /// Says what a log or an event shows of it.
    pub fn symptom(&mut self, symptom: impl Into<String>) -> &mut Self {
        self.symptom = Some(symptom.into());
        self
    }

    /// Points at another place.
    pub fn related(&mut self, place: Place, message: impl Into<String>) -> &mut Self {
        self.related.push((place, message.into()));
        self
    }

    /// Says how to mend it.
    pub fn fix(&mut self, fix: Fix) -> &mut Self {
        self.fix = Some(fix);
        self
    }

    /// Says which command mends it in a running cluster.
    pub fn command(&mut self, command: impl Into<String>) -> &mut Self {
        self.command = Some(command.into());
        self
    }

    /// Makes it less bad, or worse, than the rule's findings are.
    pub fn severity(&mut self, severity: Severity) -> &mut Self {
        self.severity = severity;
        self
    }

    /// Says whose it is, where the place does not tell.
    pub fn cluster(&mut self, namespace: &str, name: &str) -> &mut Self {
        self.cluster = Some((namespace.to_owned(), name.to_owned()));
        self
    }
}
