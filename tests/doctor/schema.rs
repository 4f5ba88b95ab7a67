//! As much of JSON Schema as the schemas of the reports use.

use serde_json::Value;

/// What is wrong with a value by a schema; `root` has the definitions.
pub(crate) fn errors(root: &Value, value: &Value) -> Vec<String> {
    let mut found = Vec::new();
    check(root, root, value, "", &mut found);
    found
}

fn check(root: &Value, schema: &Value, value: &Value, at: &str, found: &mut Vec<String>) {
    if let Some(reference) = schema["$ref"].as_str() {
        let target = root.pointer(reference.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("no {reference}"));
        return check(root, target, value, at, found);
    }
    let mut wrong = |what: String| found.push(format!("{at}: {what}: {value}"));
    if let Some(kind) = schema["type"].as_str() {
        let fits = match kind {
            "object" => value.is_object(),
            "array" => value.is_array(),
            "string" => value.is_string(),
            "integer" => value.is_i64() || value.is_u64(),
            "boolean" => value.is_boolean(),
            other => panic!("type {other}"),
        };
        if !fits {
            wrong(format!("no {kind}"));
        }
    }
    if schema.get("const").is_some_and(|constant| constant != value) {
        wrong("not the constant".to_owned());
    }
    if schema["enum"].as_array().is_some_and(|all| !all.contains(value)) {
        wrong("none of the values".to_owned());
    }
    if schema["minimum"].as_i64().is_some_and(|least| value.as_i64().is_some_and(|value| value < least)) {
        wrong("too small".to_owned());
    }
    if schema["minItems"].as_u64().is_some_and(|least| value.as_array().is_some_and(|v| (v.len() as u64) < least)) {
        wrong("too few".to_owned());
    }
    match schema["pattern"].as_str() {
        Some("^FLK[0-9]{3}$") => {
            let text = value.as_str().unwrap_or_default();
            if text.len() != 6 || !text.starts_with("FLK") || !text[3..].bytes().all(|c| c.is_ascii_digit()) {
                wrong("no code".to_owned());
            }
        }
        Some("^[0-9a-f]{32}$") => {
            let text = value.as_str().unwrap_or_default();
            if text.len() != 32 || !text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c)) {
                wrong("no fingerprint".to_owned());
            }
        }
        Some(other) => panic!("pattern {other}"),
        None => {}
    }
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if value.get(name).is_none() {
            wrong(format!("without {name}"));
        }
    }
    for (name, part) in value.as_object().into_iter().flatten() {
        match schema["properties"].get(name) {
            Some(schema) => check(root, schema, part, &format!("{at}/{name}"), found),
            None if schema["additionalProperties"] == Value::Bool(false) => found.push(format!("{at}: has {name}")),
            None => {}
        }
    }
    if let Some(items) = schema.get("items") {
        for (number, item) in value.as_array().into_iter().flatten().enumerate() {
            check(root, items, item, &format!("{at}/{number}"), found);
        }
    }
}
