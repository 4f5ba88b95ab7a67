//! Durations as Flink writes them.

use std::time::Duration;

/// Reads `15 s`, `500ms`, `15000` (`TimeUtils.parseDuration`: a whole number and a unit, without one milliseconds). None
/// where it is something else.
pub fn parse(text: &str) -> Option<Duration> {
    let text = text.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().ok()?;
    let nanoseconds: u64 = match unit.trim().to_lowercase().as_str() {
        "ns" | "nano" | "nanos" | "nanosecond" | "nanoseconds" => 1,
        "us" | "µs" | "micro" | "micros" | "microsecond" | "microseconds" => 1_000,
        "" | "ms" | "milli" | "millis" | "millisecond" | "milliseconds" => 1_000_000,
        "s" | "sec" | "secs" | "second" | "seconds" => 1_000_000_000,
        "m" | "min" | "minute" | "minutes" => 60_000_000_000,
        "h" | "hour" | "hours" => 3_600_000_000_000,
        "d" | "day" | "days" => 86_400_000_000_000,
        _ => return None,
    };
    Some(Duration::from_nanos(number.checked_mul(nanoseconds)?))
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn reads_durations_as_flink_does() {
        for (text, milliseconds) in
            [("15 s", 15_000), ("15000", 15_000), ("1 min", 60_000), ("500ms", 500), ("2H", 7_200_000)]
        {
            assert_eq!(parse(text).map(|d| d.as_millis()), Some(milliseconds), "{text}");
        }
        for bad in ["", "s", "1.5 s", "15 lightyears", "-1 s"] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
