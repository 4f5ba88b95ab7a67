//! FLK520: durations with a unit where a number is wanted.

use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::rule::{Check, rule};
use crate::flink::options;

rule! {
    /// A duration has a unit, which this Flink version does not take there
    ///
    /// ## Why it matters
    ///
    /// Before 1.20 some options that are durations take plain numbers of milliseconds: `heartbeat.*`, `cluster.registration.*`,
    /// `web.timeout`, `slot.idle.timeout` and others. A unit behind the number keeps the process from starting:
    ///
    /// ```text
    /// Caused by: java.lang.IllegalArgumentException: Could not parse value '10 s' for key 'heartbeat.timeout'.
    /// Caused by: java.lang.NumberFormatException: For input string: "10 s"
    /// ```
    ///
    /// Numbers without a unit are milliseconds in all versions.
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: flink.apache.org/v1beta1
    /// kind: FlinkDeployment
    /// metadata: {name: orders}
    /// spec:
    ///   image: flink:1.19.3
    ///   flinkVersion: v1_19
    ///   serviceAccount: flink
    ///   flinkConfiguration:
    ///     heartbeat.timeout: 10 s
    ///   jobManager: {resource: {memory: 2048m, cpu: 1}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: flink.apache.org/v1beta1
    /// kind: FlinkDeployment
    /// metadata: {name: orders}
    /// spec:
    ///   image: flink:1.19.3
    ///   flinkVersion: v1_19
    ///   serviceAccount: flink
    ///   flinkConfiguration:
    ///     heartbeat.timeout: "10000"
    ///   jobManager: {resource: {memory: 2048m, cpu: 1}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    /// ```
    ///
    /// ## Fix
    ///
    /// Write the number of milliseconds.
    FLK520 "option-unit": Config Error, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for (config, version) in super::configs(cx) {
        let Some(version) = version else { continue };
        for entry in super::written(config) {
            let since = options::find(&entry.key).and_then(|option| option.durations_since);
            if since.is_none_or(|since| version >= since) || entry.value.trim().parse::<i64>().is_ok() {
                continue;
            }
            // Quotes that the file does not know are FLK510's.
            let inner = entry.value.trim().trim_matches(['"', '\'']);
            if inner != entry.value.trim() && inner.parse::<i64>().is_ok() {
                continue;
            }
            let milliseconds = milliseconds(&entry.value);
            let finding = cx.report(
                entry.place.clone(),
                format!(
                    "Flink {version} takes a plain number of milliseconds for {}, not {:?}",
                    entry.key, entry.value
                ),
            );
            finding.symptom(format!("Could not parse value '{}' for key '{}'.", entry.value, entry.key));
            match milliseconds {
                Some(number) => finding.help(format!("write {number}")).fix(Fix::new(
                    format!("write {number}"),
                    Safety::Safe,
                    Edit::Replace(entry.place.clone(), number.to_string()),
                )),
                None => finding.help("write the number of milliseconds"),
            };
        }
    }
}

/// `10 s` in milliseconds (`TimeUtils.parseDuration`).
fn milliseconds(text: &str) -> Option<u64> {
    let text = text.trim();
    let digits = text.find(|c: char| !c.is_ascii_digit())?;
    let number: u64 = text[..digits].parse().ok()?;
    let factor = match text[digits..].trim() {
        "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1,
        "s" | "sec" | "secs" | "second" | "seconds" => 1000,
        "min" | "m" | "minute" | "minutes" => 60_000,
        "h" | "hour" | "hours" => 3_600_000,
        "d" | "day" | "days" => 86_400_000,
        _ => return None,
    };
    number.checked_mul(factor)
}
