//! `-o json|yaml`: one document on standard output.

use serde::Serialize;

use crate::error::{Error, Result};
use crate::manifests::yaml;

/// The machine-readable formats that every command with data offers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Indented JSON with a newline at its end.
    Json,
    /// YAML in block style.
    Yaml,
}

/// Renders `value` as one document.
pub fn render(value: &impl Serialize, format: Format) -> Result<String> {
    match format {
        Format::Json => serde_json::to_string_pretty(value)
            .map(|text| text + "\n")
            .map_err(|e| Error::could_not_run(format!("cannot write JSON: {e}"))),
        Format::Yaml => yaml::to_string(value),
    }
}
