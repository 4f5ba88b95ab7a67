//! One file a command: its flags, its help, its story from top to bottom.

use std::time::Duration;

/// Parses a duration as kubectl does: `30s`, `5m`, `1h30m`; a bare number is seconds.
///
/// # Errors
/// The text is no duration.
pub fn duration(text: &str) -> Result<Duration, String> {
    if let Ok(seconds) = text.parse::<u64>() {
        return Ok(Duration::from_secs(seconds));
    }
    text.parse::<jiff::SignedDuration>()
        .ok()
        .and_then(|d| Duration::try_from(d).ok())
        .ok_or_else(|| format!("{text:?} is no duration: write 30s, 5m or 1h30m"))
}
