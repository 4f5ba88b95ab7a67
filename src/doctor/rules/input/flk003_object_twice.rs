//! FLK003: two objects of one kind, namespace and name.

use crate::doctor::place::Place;
use crate::doctor::rule::{Check, rule};

rule! {
    /// An object stands twice in the input, and not the same each time
    ///
    /// ## Why it matters
    ///
    /// `kubectl apply` sends both, one after the other, and what the first one said is gone:
    ///
    /// ```text
    /// deployment.apps/flink-jobmanager created
    /// deployment.apps/flink-jobmanager configured
    /// ```
    ///
    /// Files in different folders, and files beside a `kustomization.yaml`, are not compared: an overlay names its base's objects.
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: ServiceAccount
    /// metadata: {name: flink, namespace: flink}
    /// ---
    /// apiVersion: v1
    /// kind: ServiceAccount
    /// metadata: {name: flink, namespace: flink}
    /// automountServiceAccountToken: false
    /// ```
    ///
    /// Use instead:
    ///
    /// ```yaml
    /// apiVersion: v1
    /// kind: ServiceAccount
    /// metadata: {name: flink, namespace: flink}
    /// automountServiceAccountToken: false
    /// ```
    ///
    /// ## Fix
    ///
    /// Remove the one that is not meant, or give it its own name. The later one counts, here and for `kubectl apply`.
    FLK003 "object-twice": Input Warning, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    let snapshot = cx.snapshot();
    for (earlier, later) in snapshot.replaced() {
        let (first, second) = (snapshot.object(*earlier), snapshot.object(*later));
        let (Some(one), Some(two)) = (first.file, second.file) else { continue };
        let together = one == two || folder(cx, one) == folder(cx, two) && !has_kustomization(cx, folder(cx, one));
        if !together || first.node.to_json() == second.node.to_json() {
            continue;
        }
        cx.report(
            Place::object(*earlier),
            format!("{} stands twice in the input, and only the later one counts", first.reference()),
        )
        .help("remove the one that is not meant, or give it its own name")
        .related(Place::object(*later), "the one that counts");
    }
}

fn folder<'a>(cx: &Check<'a>, file: usize) -> &'a str {
    let name = &cx.snapshot().file(file).name;
    name.rfind(['/', '\\']).map_or("", |end| &name[..end])
}

fn has_kustomization(cx: &Check<'_>, of: &str) -> bool {
    let mut files = cx.snapshot().files().iter().enumerate();
    files.any(|(number, file)| {
        let base = file.name.rsplit(['/', '\\']).next().unwrap_or_default();
        matches!(base, "kustomization.yaml" | "kustomization.yml") && folder(cx, number) == of
    })
}
