//! `version` without a cluster; with one it is in tests/e2e.

use crate::support::{Home, NoServer};

#[test]
fn of_the_program_alone() {
    let (home, server) = (Home::new(), NoServer::new());
    home.file(".kube/config", &server.kubeconfig);
    insta::assert_snapshot!(home.run(&["version", "--client"]), @"Client Version: v0.1.0");
    insta::assert_snapshot!(home.run(&["version", "--client", "-o", "yaml"]).replace("arm64", "amd64"), @"
    clientVersion:
      gitVersion: v0.1.0
      platform: linux/amd64
    ");
    let json: serde_json::Value =
        serde_json::from_str(&home.stdout(&["version", "--client=true", "-o", "json"])).unwrap();
    assert_eq!(json["clientVersion"]["gitVersion"], concat!("v", env!("CARGO_PKG_VERSION")));
    assert_eq!(json.as_object().unwrap().len(), 1);
}

#[test]
fn without_a_cluster() {
    let home = Home::new();
    insta::assert_snapshot!(home.run(&["version"]), @"
    Client Version: v0.1.0
    ---- stderr
    error: no kubeconfig found
    hint: set KUBECONFIG, or name a file with --kubeconfig, or create ~/.kube/config
    hint: the version of this program alone: kubectl flink version --client
    [exit status: 1]
    ");
    let json = home.run(&["version", "-o", "json"]);
    assert!(json.starts_with("{\n  \"clientVersion\"") && json.ends_with("[exit status: 1]\n"), "{json}");
}

#[test]
fn of_a_wrong_command_line() {
    let (home, server) = (Home::new(), NoServer::new());
    home.file(".kube/config", &server.kubeconfig);
    let shown = home.run(&["version", "--as-uid", "7"]);
    assert!(shown.contains("--as-uid") && shown.ends_with("[exit status: 2]\n"), "{shown}");
}
