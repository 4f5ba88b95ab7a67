//! Edits, byte for byte.

use kubectl_flink::doctor::fix::{Edit, Fix, Safety, command, resolve};
use kubectl_flink::doctor::place::Place;
use kubectl_flink::doctor::snapshot::{Object, ObjectId, Snapshot, SourceFile};
use kubectl_flink::doctor::source;
use kubectl_flink::manifests::tree::Node;

fn edited(name: &str, text: &str, edit: impl Fn(ObjectId) -> Edit) -> Option<String> {
    let mut snapshot = Snapshot::default();
    source::load(&mut snapshot, vec![SourceFile::new(name, text)], "");
    let id = snapshot.objects().next().unwrap();
    let changes = resolve(&snapshot, &Fix::new("", Safety::Safe, edit(id)))?;
    let mut text = text.to_owned();
    for change in changes {
        text.replace_range(change.range, &change.text);
    }
    Some(text)
}

const HEAD: &str = "apiVersion: v1\nkind: A\n";

/// The text behind its head, after an edit; also with the line breaks of Windows.
fn after(body: &str, edit: impl Fn(ObjectId) -> Edit) -> String {
    let text = format!("{HEAD}{body}");
    let unix = edited("a.yaml", &text, &edit);
    let windows = edited("a.yaml", &text.replace('\n', "\r\n"), &edit);
    assert_eq!(windows.map(|text| text.replace("\r\n", "\n")), unix, "{body}");
    match unix {
        Some(text) => text.strip_prefix(HEAD).unwrap_or(&text).to_owned(),
        None => "-".to_owned(),
    }
}

#[test]
fn values_are_replaced() {
    let to = |pointer: &'static str| move |id| Edit::Replace(Place::value(id, pointer), "new".to_owned());
    assert_eq!(after("a: old # why\n", to("/a")), "a: new # why\n");
    assert_eq!(after("a: 'old'\n", to("/a")), "a: new\n");
    assert_eq!(after("a: {b: old, c: d}\n", to("/a/b")), "a: {b: new, c: d}\n");
    assert_eq!(after("a: {b: old, c: d}\n", to("/a")), "-");
    assert_eq!(after("a: [x, old]", to("/a/1")), "a: [x, new]");
    let within =
        |range: std::ops::Range<usize>| move |id| Edit::Replace(Place::within(id, "/a", range.clone()), "z".to_owned());
    assert_eq!(after("a: |\n  x: 1  \n  y: 2\n", within(3..6)), "a: |\n  x: z\n  y: 2\n");
    assert_eq!(after("a: \"x\"\n", within(0..1)), "a: \"z\"\n");
}

#[test]
fn lines_are_removed_and_added() {
    let remove = |pointer: &'static str| move |id| Edit::RemoveLine(Place::value(id, pointer));
    assert_eq!(after("a: 1 # gone\nb: 2\n", remove("/a")), "b: 2\n");
    assert_eq!(after("a:\n- x\n- y\nb: 2\n", remove("/a/0")), "a:\n- y\nb: 2\n");
    assert_eq!(after("a:\n  x: 1\n  y: [1,\n    2]\nb: 2\n", remove("/a/y")), "a:\n  x: 1\nb: 2\n");
    assert_eq!(after("a: {x: 1, y: 2}\n", remove("/a/x")), "-");
    assert_eq!(after("a:\n- x: 1\n  y: 2\n", remove("/a/0/x")), "-");
    let add = |range: std::ops::Range<usize>| {
        move |id| Edit::InsertAfter(Place::within(id, "/a", range.clone()), "k: v".to_owned())
    };
    assert_eq!(after("a: |\n  x: 1\n\n  y: 2\nb: 1\n", add(0..1)), "a: |\n  x: 1\n  k: v\n\n  y: 2\nb: 1\n");
    let append = |id| Edit::Append(Place::value(id, "/a"), "k: v".to_owned());
    assert_eq!(
        after("a: |\n  # c\n  x:\n    y: 1\n\n\nb: 1\n", append),
        "a: |\n  # c\n  x:\n    y: 1\n  k: v\n\n\nb: 1\n"
    );
    assert_eq!(after("a: |-\n    x: 1", append), "a: |-\n    x: 1\n    k: v");
    assert_eq!(after("a: 'x: 1'\n", append), "-");
    let bare = |id| Edit::Append(Place::value(id, ""), "k: v".to_owned());
    assert_eq!(edited("flink-conf.yaml", "x: 1\n\n", bare).unwrap(), "x: 1\nk: v\n\n");
    assert_eq!(edited("flink-conf.yaml", "x: 1", bare).unwrap(), "x: 1\nk: v");
    assert_eq!(edited("flink-conf.yaml", "", bare).unwrap(), "k: v\n");
}

#[test]
fn documents_are_removed() {
    let remove = |id| Edit::RemoveDocument(Place::object(id));
    let text = format!("{HEAD}---\n{HEAD}metadata: {{name: b}}\n");
    assert_eq!(edited("a.yaml", &text, remove).unwrap(), format!("{HEAD}metadata: {{name: b}}\n"));
    assert_eq!(edited("a.yaml", HEAD, remove).unwrap(), "");
    assert_eq!(edited("a.yaml", "kind: List\napiVersion: v1\nitems:\n- kind: A\n  apiVersion: v1\n", remove), None);
}

#[test]
fn entries_are_added() {
    let entry = |pointer: &'static str, value: &'static str| {
        move |id| Edit::InsertEntry(Place::value(id, pointer), "k".to_owned(), value.to_owned())
    };
    assert_eq!(after("a:\n  x: 1 # one\nb: 2\n", entry("/a", "v")), "a:\n  x: 1 # one\n  k: v\nb: 2\n");
    assert_eq!(
        after("a:\n  x: |\n    text\n\n# b\nb: 2\n", entry("/a", "v")),
        "a:\n  x: |\n    text\n  k: v\n\n# b\nb: 2\n"
    );
    assert_eq!(after("a:\n- x: 1\n- x: 2\n", entry("/a/0", "v")), "a:\n- x: 1\n  k: v\n- x: 2\n");
    assert_eq!(after("a: {x: 1}\n", entry("/a", "v")), "a: {x: 1, k: v}\n");
    assert_eq!(after("a: { }\n", entry("/a", "v")), "a: {k: v }\n");
    assert_eq!(after("a: {\"x\": 1}\n", entry("/a", "v")), "a: {\"x\": 1, \"k\": \"v\"}\n");
    assert_eq!(after("a:\nb: 2\n", entry("/a", "v")), "a:\n  k: v\nb: 2\n");
    assert_eq!(after("a: 1\n", entry("", "- x\n- y")), "a: 1\nk:\n  - x\n  - y\n");
    assert_eq!(after("a: 1\n", entry("/b/c", "v")), "a: 1\nb:\n  c:\n    k: v\n");
    assert_eq!(after("a: 1", entry("", "v")), "a: 1\nk: v");
}

#[test]
fn items_are_added() {
    let item = |value: &'static str| move |id| Edit::InsertItem(Place::value(id, "/a"), value.to_owned());
    assert_eq!(after("a: [x, y]\n", item("z")), "a: [x, y, z]\n");
    assert_eq!(after("a: []\n", item("z")), "a: [z]\n");
    assert_eq!(after("a: [\"x\"]\n", item("z")), "a: [\"x\", \"z\"]\n");
    assert_eq!(after("a: [\n  x,\n]\n", item("z")), "a: [\n  x, z\n]\n");
    assert_eq!(after("a:\n- x\n- y # why\nb: 1\n", item("z")), "a:\n- x\n- y # why\n- z\nb: 1\n");
    assert_eq!(after("a:\n  - x: 1\n    y: 2\n", item("x: 3\ny: 4")), "a:\n  - x: 1\n    y: 2\n  - x: 3\n    y: 4\n");
}

#[test]
fn a_running_cluster_is_mended_by_a_command() {
    let mut snapshot = Snapshot::default();
    let id = snapshot.add(Object {
        api_version: "v1".to_owned(),
        kind: "Role".to_owned(),
        namespace: "flink".to_owned(),
        name: "flink".to_owned(),
        node: Node::of_json(&serde_json::json!({"metadata": {"name": "flink"}, "rules": [{"verbs": ["get"]}]})),
        file: None,
    });
    let of = |edit| command(&snapshot, &Fix::new("", Safety::Safe, edit)).unwrap_or_else(|| "-".to_owned());
    let commands = [
        of(Edit::InsertItem(Place::value(id, "/rules/0/verbs"), "patch".to_owned())),
        of(Edit::InsertEntry(Place::value(id, "/metadata/annotations"), "a/b".to_owned(), "it's".to_owned())),
        of(Edit::Replace(Place::value(id, "/rules/0/verbs/0"), "list".to_owned())),
        of(Edit::Append(Place::value(id, "/data/x"), "k: v".to_owned())),
    ];
    insta::assert_snapshot!(commands.join("\n"), @r#"
    kubectl patch role flink -n flink --type=json -p '[{"op":"add","path":"/rules/0/verbs/-","value":"patch"}]'
    kubectl patch role flink -n flink --type=json -p '[{"op":"add","path":"/metadata/annotations","value":{"a/b":"it'\''s"}}]'
    kubectl patch role flink -n flink --type=json -p '[{"op":"replace","path":"/rules/0/verbs/0","value":"list"}]'
    kubectl edit role flink -n flink
    "#);
}
