//! The one YAML loader and writer of the program. It reads as kubectl reads: YAML 1.1 booleans and octal numbers.

use serde::Serialize;
use serde_json::Value;

use crate::error::{Error, Result};

/// Reads every document of `text`; `origin` names it in errors. Empty documents are left out, as kubectl does.
pub fn documents(origin: &str, text: &str) -> Result<Vec<Value>> {
    // kubectl takes `0644` for 420 and `yes` for true; the defaults of YAML 1.2 would not.
    let options = serde_saphyr::options! {
        legacy_octal_numbers: true,
        strict_booleans: false,
        with_snippet: false,
    };
    let mut documents: Vec<Value> = serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
        let place = error.location().map(|at| format!(":{}:{}", at.line(), at.column())).unwrap_or_default();
        let what = error.to_string();
        Error::usage(format!("{origin}{place}: not valid YAML: {}", what.lines().next().unwrap_or_default()))
            .hint(format!("see what kubectl makes of it: kubectl create --dry-run=client -f {origin}"))
    })?;
    documents.retain(|document| !document.is_null());
    for document in &mut documents {
        integral_floats_to_integers(document);
    }
    Ok(documents)
}

/// `1e3` is the number 1000 to kubectl; a field that wants an integer refuses `1000.0`.
fn integral_floats_to_integers(value: &mut Value) {
    match value {
        Value::Number(number) if number.is_f64() => {
            #[expect(clippy::cast_possible_truncation, reason = "only whole numbers that a double holds exactly")]
            if let Some(float) = number.as_f64().filter(|f| f.fract() == 0.0 && f.abs() < 9.0e15) {
                *number = (float as i64).into();
            }
        }
        Value::Array(items) => items.iter_mut().for_each(integral_floats_to_integers),
        Value::Object(map) => map.values_mut().for_each(integral_floats_to_integers),
        _ => {}
    }
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
