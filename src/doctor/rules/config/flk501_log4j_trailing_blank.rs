//! FLK501: blanks at the end of values in a Log4j file.

use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::model::config::LogFile;
use crate::doctor::rule::{Check, Severity, rule};
use crate::flink::properties::Property;
use crate::flink::version::Version;

rule! {
    /// A value in a Log4j file ends in a blank that Log4j keeps
    ///
    /// ## Why it matters
    ///
    /// In a `.properties` file the blanks before a value are dropped and those behind it are part of it
    /// (`java.util.Properties`). Log4j then looks for a plugin, an appender or a logger with the blank in its name. The process
    /// runs, and `kubectl logs` shows next to nothing. Behind `type` all appenders are lost, not only that one:
    ///
    /// ```text
    /// main ERROR Unable to locate plugin type for CONSOLE
    /// main ERROR Unable to locate appender "ConsoleAppender" for logger config "root"
    /// main ERROR Unable to locate appender "ConsoleAppender " for logger config "root"
    /// ```
    ///
    /// What a blank does was tried with log4j-core 2.17.1 (Flink 1.16.3), 2.24.3 (1.20.5) and 2.25.3 (2.3.0):
    ///
    /// | key | with a blank at its end |
    /// |---|---|
    /// | `*.type` | the plugin is not found; of an appender, its layout or filter: nothing is logged |
    /// | `*.ref`, `appender.*.name` | the appender is not found, unless both have the same blank |
    /// | `logger.*.name` | the logger gets none of its settings |
    /// | `*.additivity` | `true ` is read as false |
    /// | `*.target`, `*.onMatch`, `*.onMismatch`, `*.charset`, `*.policies.*.size` | the default is used |
    /// | `*.fileName`, `*.filePattern` | the file's name ends in a blank |
    /// | `monitorInterval`, `*.strategy.max` | with 2.17.1 the whole file, or the appender, is refused |
    /// | `*.level` | harmless, except for a no-break space or another blank that is not ASCII |
    /// | `*.pattern`, `status`, `name` | harmless |
    ///
    /// Line ends of Windows are harmless: `java.util.Properties` takes CR LF for one line end, and a lone CR too.
    ///
    /// ## Example
    ///
    /// ```properties log4j-console.properties
    /// rootLogger.level = INFO
    /// rootLogger.appenderRef.console.ref = ConsoleAppender
    /// appender.console.name = ConsoleAppender
    /// appender.console.type = CONSOLE\u0020
    /// appender.console.layout.type = PatternLayout
    /// ```
    ///
    /// Use instead:
    ///
    /// ```properties log4j-console.properties
    /// rootLogger.level = INFO
    /// rootLogger.appenderRef.console.ref = ConsoleAppender
    /// appender.console.name = ConsoleAppender
    /// appender.console.type = CONSOLE
    /// appender.console.layout.type = PatternLayout
    /// ```
    ///
    /// ## Fix
    ///
    /// Remove the blank. An editor that shows blanks, or that removes them on saving, keeps them away.
    ///
    /// ## References
    ///
    /// - <https://docs.oracle.com/en/java/javase/17/docs/api/java.base/java/util/Properties.html#load(java.io.Reader)>
    /// - <https://logging.apache.org/log4j/2.x/manual/configuration.html>
    FLK501 "log4j-trailing-blank": Config Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for file in super::log_files(cx) {
        // 1.20 came with log4j-core 2.24, which trims two numbers that 2.17 refused.
        let old = super::versions(cx, file.object).iter().any(|v| v.is_some_and(|v| v < Version::new(1, 20, 0)));
        for property in &file.properties {
            let raw = &file.text[property.value_range.clone()];
            let kept = without_blanks(raw);
            if kept.len() == raw.len() || kept.is_empty() {
                continue;
            }
            let value = property.value.trim_end_matches(is_blank);
            let odd = property.value[value.len()..].chars().any(|c| c > ' ');
            let Some((severity, effect)) = effect(file, property, value, old, odd) else { continue };
            let place = file.place(property.value_range.start + kept.len()..property.value_range.end);
            let blank = name_of(&property.value[value.len()..]);
            cx.report(place.clone(), format!("{} ends in {blank} behind {value:?}: {effect}", property.key))
                .help(format!("remove the {} behind {value}", blank.trim_start_matches("a ")))
                .symptom(symptom(property, value))
                .severity(severity)
                .fix(Fix::new("remove the blank", Safety::Safe, Edit::Replace(place, String::new())));
        }
    }
}

fn is_blank(c: char) -> bool {
    c.is_whitespace() || matches!(c, '\u{200b}' | '\u{feff}')
}

/// The part of a value's text before the blanks at its end, those that are written as escapes included.
fn without_blanks(raw: &str) -> &str {
    let mut rest = raw;
    loop {
        let mut cut = rest.trim_end_matches(is_blank);
        if cut.len() < rest.len() && cut.bytes().rev().take_while(|byte| *byte == b'\\').count() % 2 == 1 {
            cut = &cut[..cut.len() - 1];
        }
        let escapes = ["\\u0020", "\\u00a0", "\\u00A0", "\\u0009", "\\t", "\\r"];
        let cut = escapes.iter().find_map(|escape| cut.strip_suffix(escape)).unwrap_or(cut);
        if cut.len() == rest.len() {
            return rest;
        }
        rest = cut;
    }
}

fn name_of(blanks: &str) -> &'static str {
    match blanks.chars().next() {
        Some('\t') => "a tab",
        Some('\r') => "a carriage return",
        Some('\u{a0}') => "a no-break space",
        Some(' ') => "a blank",
        _ => "an invisible character",
    }
}

/// What comes of it, as far as it does any harm.
fn effect(file: &LogFile, property: &Property, value: &str, old: bool, odd: bool) -> Option<(Severity, &'static str)> {
    let (error, warning) = (|text| Some((Severity::Error, text)), |text| Some((Severity::Warning, text)));
    let key = property.key.as_str();
    let has = |last: &str, wanted: &str| {
        file.properties.iter().any(|other| other.key.ends_with(last) && other.value == wanted)
    };
    let (group, last) = key.rsplit_once('.').unwrap_or(("", key));
    match last {
        "type" if !group.is_empty() => error("Log4j knows no plugin of that name"),
        "ref" if !has(".name", &property.value) => error("no appender has that name"),
        "name" if group.starts_with("appender.") && !has(".ref", &property.value) => {
            error("nothing refers to that name")
        }
        "name" if group.starts_with("logger.") => warning("no logger has that name"),
        "additivity" if group != "rootLogger" && value == "true" => warning("Log4j reads it as false"),
        "target" | "onMatch" | "onMismatch" | "charset" => warning("Log4j uses the default instead"),
        "size" if group.contains(".policies.") => warning("Log4j cannot read the size and uses the default"),
        "fileName" | "filePattern" => warning("the file's name ends so too"),
        "monitorInterval" if old || odd => error("Log4j refuses the whole file"),
        "max" if group.ends_with(".strategy") && (old || odd) => warning("Log4j refuses the appender's strategy"),
        "level" if odd => warning("Log4j knows no such level"),
        _ if (key == "rootLogger" || group == "logger") && value.contains(',') => error("no appender has that name"),
        _ if group == "property" => {
            let user = |other: &&Property| other.key != key && other.value.contains(&format!("${{{last}}}"));
            let users = || file.properties.iter().filter(user);
            // Where it is not the end of what it is put into, the blank is seen all the same.
            users().find_map(|user| effect_of_use(user))
        }
        _ => None,
    }
}

fn effect_of_use(user: &Property) -> Option<(Severity, &'static str)> {
    match user.key.rsplit('.').next()? {
        "type" | "ref" | "name" => Some((Severity::Error, "it is part of a name that Log4j looks for")),
        "fileName" | "filePattern" => Some((Severity::Warning, "it is part of a file's name")),
        _ => None,
    }
}

fn symptom(property: &Property, value: &str) -> String {
    let kept = &property.value;
    match property.key.rsplit('.').next() {
        Some("type") => format!("main ERROR Unable to locate plugin type for {kept}"),
        Some("ref") => format!("main ERROR Unable to locate appender \"{kept}\" for logger config \"root\""),
        Some("monitorInterval" | "max") => format!("java.lang.NumberFormatException: For input string: \"{kept}\""),
        Some("level") => {
            format!("main WARN Error while converting string [{kept}] to type [class org.apache.logging.log4j.Level]")
        }
        Some("size") => format!("main ERROR FileSize unable to parse bytes: {kept}"),
        _ => format!("main ERROR Unable to locate appender \"{value}\" for logger config \"root\""),
    }
}
