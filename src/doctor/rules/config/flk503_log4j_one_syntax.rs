//! FLK503: a Log4j file in the syntax of Log4j 1.

use crate::doctor::rule::{Check, rule};
use crate::flink::version::Version;

rule! {
    /// The Log4j file is written for Log4j 1, which Flink has not had since 1.11
    ///
    /// ## Why it matters
    ///
    /// From 1.11 on Flink comes with Log4j 2. It reads no key that begins with `log4j.`, has no appender then, and says nothing
    /// of it: after the line of the start script the log stays empty.
    ///
    /// ```text
    /// Starting standalonesession as a console application on host flink-jobmanager-7d4b9c6f5-x2x7p.
    /// ```
    ///
    /// ## Example
    ///
    /// ```properties log4j-console.properties
    /// log4j.rootLogger=INFO, console
    /// log4j.appender.console=org.apache.log4j.ConsoleAppender
    /// log4j.appender.console.layout=org.apache.log4j.PatternLayout
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
    /// appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss,SSS} %-5p %-60c %x - %m%n
    /// ```
    ///
    /// ## Fix
    ///
    /// Write the file anew in the syntax of Log4j 2; `log4j-console.properties` of Flink's distribution is a start.
    ///
    /// ## References
    ///
    /// - <https://nightlies.apache.org/flink/flink-docs-stable/docs/deployment/advanced/logging/>
    FLK503 "log4j-one-syntax": Config Warning, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    // The other ones are for the clients, and for processes that do not run in a container.
    for file in super::log_files(cx).into_iter().filter(|file| file.name == super::CONSOLE_LOG) {
        let versions = super::versions(cx, file.object);
        let old = !versions.is_empty() && versions.iter().all(|v| v.is_some_and(|v| v < Version::new(1, 11, 0)));
        // Some files are written for both.
        let two =
            |key: &str| ["rootLogger", "appender.", "appenders", "logger."].iter().any(|start| key.starts_with(start));
        let one = file.properties.iter().find(|property| property.key.starts_with("log4j."));
        let Some(first) = one.filter(|_| !old && !file.properties.iter().any(|property| two(&property.key))) else {
            continue;
        };
        cx.report(
            file.place(first.key_range.clone()),
            format!("{} is written for Log4j 1: Flink's Log4j 2 reads no {} and logs nothing", file.name, first.key),
        )
        .help("write it in the syntax of Log4j 2: rootLogger.level, rootLogger.appenderRef.console.ref, appender.console.type");
    }
}
