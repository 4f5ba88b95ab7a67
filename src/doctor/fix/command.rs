//! Fixes of objects that no file has: a command for the user to run.

use serde_json::{Value, json};

use super::{Edit, Fix, Safety};
use crate::doctor::place::Part;
use crate::doctor::snapshot::Snapshot;
use crate::doctor::source::is_cluster_scoped;
use crate::manifests::tree;

/// The command that mends an object of the cluster: `kubectl patch` for its fields, `kubectl edit` for lines in a text.
pub fn command(snapshot: &Snapshot, fix: &Fix) -> Option<String> {
    if fix.safety == Safety::Placeholder {
        return None;
    }
    let places = fix.edits.iter().map(Edit::place);
    let mut ids: Vec<_> = places.map(|place| place.object).collect();
    ids.dedup();
    let [id] = ids.as_slice() else { return None };
    let object = snapshot.object(*id);
    if object.file.is_some() || object.name.is_empty() {
        return None;
    }
    let mut what = format!("{} {}", object.kind.to_lowercase(), object.name);
    if !is_cluster_scoped(&object.kind) && !object.namespace.is_empty() {
        what = format!("{what} -n {}", object.namespace);
    }
    let is_text = |edit: &Edit| {
        matches!(edit.place().part, Part::Within(_)) || matches!(edit, Edit::Append(..) | Edit::InsertAfter(..))
    };
    if fix.edits.iter().any(is_text) {
        return Some(format!("kubectl edit {what}"));
    }
    if fix.edits.iter().any(|edit| matches!(edit, Edit::RemoveDocument(_))) {
        return Some(format!("kubectl delete {what}"));
    }
    let operations: Option<Vec<Value>> = fix.edits.iter().map(|edit| operation(&object.node, edit)).collect();
    let patch = Value::Array(operations?).to_string().replace('\'', "'\\''");
    Some(format!("kubectl patch {what} --type=json -p '{patch}'"))
}

fn operation(node: &tree::Node, edit: &Edit) -> Option<Value> {
    let value = |text: &str| Some(tree::parse(text, 0).ok()??.to_json());
    Some(match edit {
        Edit::Replace(place, new) => {
            if place.part != Part::Value {
                return None;
            }
            let verb = if node.at(&place.pointer).is_some() { "replace" } else { "add" };
            json!({"op": verb, "path": place.pointer, "value": value(new)?})
        }
        Edit::RemoveLine(place) => json!({"op": "remove", "path": place.pointer}),
        Edit::InsertItem(place, item) => match node.at(&place.pointer) {
            Some(_) => json!({"op": "add", "path": format!("{}/-", place.pointer), "value": value(item)?}),
            None => json!({"op": "add", "path": place.pointer, "value": [value(item)?]}),
        },
        Edit::InsertEntry(place, key, new) => {
            let (mut pointer, mut value) = (format!("{}/{}", place.pointer, tree::escape(key)), value(new)?);
            // What is above it has to be made with it.
            while let Some((parent, step)) = pointer.rsplit_once('/') {
                if parent.is_empty() || node.at(parent).is_some_and(|node| !node.is_null()) {
                    break;
                }
                let step = step.replace("~1", "/").replace("~0", "~");
                value = json!({ step: value });
                pointer = parent.to_owned();
            }
            json!({"op": "add", "path": pointer, "value": value})
        }
        Edit::RemoveDocument(_) | Edit::InsertAfter(..) | Edit::Append(..) => return None,
    })
}
