//! Verdicts on recorded situations: a file of `situations/` is what an API server has, what else there was to see, and the
//! verdict on each ConfigMap and job. The code that asks the API server is the program's; only the answers come from here.
#![allow(
    clippy::pedantic,
    clippy::unwrap_used,
    clippy::panic,
    clippy::allow_attributes,
    unreachable_pub,
    missing_docs,
    reason = "tests"
)]

mod handle;
mod server;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;

use kubectl_flink::cluster::Connection;
use kubectl_flink::cluster::discover::Scope;
use kubectl_flink::cluster::ha::verdict::Judged;
use kubectl_flink::cluster::ha::{Look, situations};
use kubectl_flink::cluster::probe::Presence;
use kubectl_flink::manifests::yaml;
use serde_json::Value;

use self::server::Server;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/ha/situations")
}

/// `dead, WHY`: the verdict, and a part of what it rests on.
type Verdicts = BTreeMap<String, String>;

/// What is wrong with the verdicts on one situation; nothing, if they are as they should be. Adds the verdicts and the
/// generations that there were to `seen`.
async fn differences(name: &str, seen: &mut BTreeSet<String>) -> Vec<String> {
    let text = fs::read_to_string(folder().join(name)).unwrap();
    let mut documents = yaml::documents(name, &text).unwrap().into_iter();
    let facts = documents.next().unwrap();
    let server = Server::new(documents.collect(), &facts);
    let connection = Connection { client: server.client(), namespace: "default".to_owned(), context: String::new() };
    // `namespace: null` is all of them.
    let scope = match facts.get("namespace") {
        Some(Value::Null) => Scope::All,
        _ => Scope::Namespace("default".to_owned()),
    };
    let mut found = situations(&connection, &Look { scope, cluster_id: None }, |_| {}).await.unwrap();

    let mut verdicts: BTreeMap<String, Judged> = BTreeMap::new();
    let (mut generations, mut in_pods) = (BTreeMap::new(), BTreeSet::new());
    for situation in &mut found.situations {
        situation.seen = probed(&facts);
        let judgement = situation.judge();
        let maps = situation.state.maps.iter().map(|map| map.name.clone()).zip(judgement.maps);
        verdicts.extend(maps.chain(judgement.jobs));
        in_pods.extend(situation.in_pods());
        let generation = serde_json::to_value(situation.state.generation()).unwrap();
        generations.insert(situation.state.cluster_id.clone(), generation.as_str().unwrap().to_owned());
    }
    seen.extend(verdicts.values().map(|judged| judged.verdict.to_string()));
    seen.extend(generations.values().cloned());

    let expected: Verdicts = serde_json::from_value(facts["verdicts"].clone()).unwrap();
    let mut wrong = Vec::new();
    for of in expected.keys().chain(verdicts.keys()).collect::<BTreeSet<_>>() {
        let (verdict, why) = expected.get(of).and_then(|text| text.split_once(", ")).unwrap_or(("not there", ""));
        match verdicts.get(of) {
            Some(judged) if judged.verdict.to_string() == verdict && judged.why.contains(why) => {}
            Some(Judged { verdict: is, why: because }) => {
                wrong.push(format!("{name}: {of} is {is} ({because}), and should be {verdict} ({why})"));
            }
            None => wrong.push(format!("{name}: {of} is not there, and should be {verdict} ({why})")),
        }
    }
    let lost: Option<BTreeSet<String>> = serde_json::from_value(facts["inPods"].clone()).unwrap();
    let lost = lost.unwrap_or_default();
    if in_pods != lost {
        wrong.push(format!("{name}: {in_pods:?} would go with the pods, and it should be {lost:?}"));
    }
    for (id, generation) in facts["generations"].as_object().into_iter().flatten() {
        if generations.get(id).map(String::as_str) != generation.as_str() {
            wrong.push(format!("{name}: {id} is of {:?}, and should be of {generation}", generations.get(id)));
        }
    }
    wrong
}

fn probed(facts: &Value) -> BTreeMap<String, Presence> {
    let presence = |what: &Value| match what.as_str().unwrap() {
        "there" => Presence::There,
        "gone" => Presence::Gone,
        "folder gone" => Presence::FolderGone,
        why => Presence::Unknown(why.to_owned()),
    };
    let all = facts["probe"].as_object().into_iter().flatten();
    all.map(|(path, what)| (path.clone(), presence(what))).collect()
}

// The lease is watched for as long as a leader takes to renew it: on a clock that waits for nobody.
#[tokio::test(start_paused = true)]
async fn every_situation_has_its_verdicts() {
    let mut names: Vec<_> =
        fs::read_dir(folder()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    let (mut wrong, mut seen) = (Vec::new(), BTreeSet::new());
    for name in &names {
        wrong.extend(differences(name, &mut seen).await);
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    let all = ["live", "recoverable", "dead", "leftover", "unknown"];
    let generations = ["1.12-1.14", "1.15-1.18", "1.15-1.20", "1.19-1.20", "2.x"];
    for kind in all.into_iter().chain(generations) {
        assert!(seen.contains(kind), "no situation with {kind} among {}", names.len());
    }
}
