//! What the program reads from YAML into objects, and how it writes them. `tree` is the one parser behind it.

use serde::Serialize;
use serde_json::Value;

use super::tree;
use crate::error::{Error, Result};

/// Reads every document of `text`; `origin` names it in errors. Empty documents are left out, as kubectl does.
pub fn documents(origin: &str, text: &str) -> Result<Vec<Value>> {
    let mut documents = Vec::new();
    for document in tree::split(text) {
        let node = tree::parse(document.text, document.offset).map_err(|error| not_valid(origin, text, &error))?;
        documents.extend(node.filter(|node| !node.is_null()).map(|node| node.to_json()));
    }
    Ok(documents)
}

/// A text that cannot be read, as the user reads it.
pub fn not_valid(origin: &str, text: &str, error: &tree::ParseError) -> Error {
    let (line, column) = tree::line_and_column(text, error.at);
    Error::usage(format!("{origin}:{line}:{column}: not valid YAML: {}", error.message))
        .hint(format!("see what kubectl makes of it: kubectl create --dry-run=client -f {origin}"))
}

/// Writes one document in block style; multi-line strings as literal blocks, long lines never folded.
pub fn to_string(value: &impl Serialize) -> Result<String> {
    let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
    let mut text = serde_saphyr::to_string_with_options(value, options)
        .map_err(|error| Error::could_not_run(format!("cannot write YAML: {error}")))?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    Ok(text)
}
