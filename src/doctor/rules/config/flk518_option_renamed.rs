//! FLK518: options by an old name.

use crate::doctor::fix::{Edit, Fix, Safety};
use crate::doctor::rule::{Check, rule};
use crate::flink::options;

rule! {
    /// An option is set by a deprecated name
    ///
    /// ## Why it matters
    ///
    /// It works: Flink reads the old name too, and warns. Another release may not do so any more, as 2.0 did not for many of
    /// 1.x's. Where both names are set, the old one does nothing.
    ///
    /// ```text
    /// WARN  org.apache.flink.configuration.Configuration [] - Config uses deprecated configuration key 'state.checkpoints.dir' instead of proper key 'execution.checkpointing.dir'
    /// ```
    ///
    /// ## Example
    ///
    /// ```yaml
    /// apiVersion: flink.apache.org/v1beta1
    /// kind: FlinkDeployment
    /// metadata: {name: orders}
    /// spec:
    ///   image: flink:1.20.5
    ///   flinkVersion: v1_20
    ///   serviceAccount: flink
    ///   flinkConfiguration:
    ///     state.checkpoints.dir: s3://flink/checkpoints
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
    ///   image: flink:1.20.5
    ///   flinkVersion: v1_20
    ///   serviceAccount: flink
    ///   flinkConfiguration:
    ///     execution.checkpointing.dir: s3://flink/checkpoints
    ///   jobManager: {resource: {memory: 2048m, cpu: 1}}
    ///   taskManager: {resource: {memory: 2048m, cpu: 1}}
    /// ```
    ///
    /// ## Fix
    ///
    /// Use the new name.
    FLK518 "option-renamed": Config Info, reads [Processes]
}

fn check(cx: &mut Check<'_>) {
    for (config, version) in super::configs(cx) {
        let Some(version) = version else { continue };
        // What the name of high availability does is a matter of its own.
        for entry in super::written(config).filter(|entry| entry.key != "high-availability") {
            let Some(option) = options::find(&entry.key) else { continue };
            let gone = option.removed.is_some_and(|removed| version >= removed);
            let Some((_, name)) = option.renamed.filter(|(since, _)| version >= *since && !gone) else { continue };
            let whole = super::whole_key(cx, entry);
            let both = config.get(&[name]);
            let message = match both {
                Some(_) => format!("{} does nothing: {name}, its name of today, is set too", entry.key),
                None => format!("{} is called {name} in Flink {version}", entry.key),
            };
            let finding = cx.report(entry.key_place.clone(), message);
            match both {
                Some(new) => {
                    finding.help(format!("remove {}", entry.key)).related(new.key_place.clone(), "the one that counts")
                }
                None => finding.help(format!("write {name}")),
            };
            if let Some(place) = whole.filter(|_| both.is_none()) {
                finding.fix(Fix::new(
                    format!("rename it to {name}"),
                    Safety::Safe,
                    Edit::Replace(place, name.to_owned()),
                ));
            }
        }
    }
}
