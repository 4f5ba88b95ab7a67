//! The help of every command.

use clap::{CommandFactory, Parser};
use kubectl_flink::commands::Cli;

use crate::support::Home;

/// The command and all below it.
fn with_subcommands(command: &clap::Command) -> Vec<&clap::Command> {
    std::iter::once(command).chain(command.get_subcommands().flat_map(with_subcommands)).collect()
}

#[test]
fn every_command_has_examples_and_they_parse() {
    let mut cli = Cli::command();
    cli.build();
    for command in with_subcommands(&cli) {
        let name = command.get_bin_name().unwrap();
        let help = command.get_after_long_help().map(ToString::to_string).unwrap_or_default();
        let mut own = 0;
        for line in help.lines() {
            // Without what it is piped to or from.
            for part in line.split(" | ") {
                let part = part.trim().trim_start_matches("source <(").trim_end_matches(')');
                let Some(arguments) = part.strip_prefix("kubectl flink").or(part.strip_prefix("kubectl-flink")) else {
                    continue;
                };
                let words = shlex::split(&format!("flink{arguments}")).unwrap();
                Cli::try_parse_from(words).unwrap_or_else(|error| panic!("{name}: {line}: {error}"));
                own += usize::from(format!("kubectl flink{arguments}").starts_with(name));
            }
        }
        assert!(own > 0, "{name} has no examples:\n{help}");
    }
}

#[test]
fn of_the_program() {
    let home = Home::new();
    insta::assert_snapshot!(home.run(&["--help"]), @"
    Run Apache Flink on Kubernetes: highly available clusters from one command, without Java

    Usage: kubectl flink [OPTIONS] <COMMAND>

    Commands:
      up          Bring a highly available Flink session cluster up
      status      Show leader, pods, slots, jobs and high-availability data of Flink clusters
      doctor      Find what is wrong with Flink clusters, in files and live, and say how to mend it
      clean-ha    Show and remove high-availability data that clusters have left behind
      down        Take a Flink cluster down
      render      Write the numbered manifests of a cluster, for kubectl apply or a git repository
      explain     Explain what the doctor's rules find: why it matters, an example, and how to mend it
      rules       List the doctor's rules
      completion  Complete commands, flags and names in your shell
      version     Show the versions of this program, of Kubernetes, and of the Flink clusters in the
                  namespace

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Kubernetes options:
      -n, --namespace <NAMESPACE>
              Namespace to work in [default: the context's]

          --kubeconfig <FILE>
              Path to the kubeconfig file

          --context <NAME>
              Name of the kubeconfig context to use

          --cluster <NAME>
              Name of the kubeconfig cluster to use

          --user <NAME>
              Name of the kubeconfig user to use

      -s, --server <URL>
              Address and port of the Kubernetes API server

          --token <TOKEN>
              Bearer token for authentication to the API server

          --as <USER>
              User to impersonate

          --as-group <GROUP>
              Group to impersonate, repeatable

          --as-uid <UID>
              UID to impersonate

          --as-user-extra <KEY=VALUE>
              What else is known of the user to impersonate, such as scopes=view, repeatable

          --certificate-authority <FILE>
              Path to the certificate authority's certificate

          --client-certificate <FILE>
              Path to the client certificate

          --client-key <FILE>
              Path to the client key

          --insecure-skip-tls-verify[=<BOOL>]
              Do not check the server's certificate: insecure

          --tls-server-name <NAME>
              Name to check the server's certificate against

          --request-timeout <DURATION>
              Time to wait for a single answer of the API server, like 10s or 2m; 0 waits forever
              [default: 30s]

    Output options:
      -q, --quiet
              Say nothing but warnings and errors

    Examples:
      # A highly available session cluster, in the namespace of the context
      kubectl flink up

      # Who leads, which jobs run, is all well?
      kubectl flink status

      # Flags come after `flink`
      kubectl flink --context staging doctor -n streaming

    Exit codes:
      0    fine
      1    not healthy, or findings; with --diff: something would change; of `version`: no server
      2    the command line or a file is wrong; nothing was sent
      3    could not be done, or not be verified
      130  Ctrl-C
    ");
    let version = home.run(&["--version"]);
    assert!(version.starts_with("kubectl flink ") || version.starts_with("kubectl-flink "), "{version}");
}

#[test]
fn of_up() {
    insta::assert_snapshot!(Home::new().help("up", "--help"), @"
    Bring a highly available Flink session cluster up

    Applies the profile's manifests in the order of their numbers (server-side apply), then waits until
    the JobManagers and TaskManagers run, a leader is elected, and Flink's REST API answers with every
    TaskManager. Options that are not given keep what the last `up` of this cluster recorded.

    Usage: kubectl flink up [OPTIONS] [NAME]

    Arguments:
      [NAME]
              Name of the cluster: Flink's cluster-id, and what its objects' names begin with
              
              [default: flink]

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Flink cluster options:
          --flink-version <VERSION>
              Flink version, like 1.20 or 1.20.5 [default: 1.20.5]

          --image <IMAGE>
              Image of both roles [default: apache/flink:VERSION]

          --jobmanager-image <IMAGE>
              Image of the JobManagers, if it is another one

          --taskmanager-image <IMAGE>
              Image of the TaskManagers, if it is another one

          --jobmanagers <N>
              Number of JobManagers; the second and further ones are standbys [default: 1]

          --taskmanagers <N>
              Number of TaskManagers [default: 2]

          --slots <N>
              Task slots of each TaskManager [default: 2]

          --parallelism <N>
              Default parallelism of jobs [default: 2]

          --jobmanager-memory <SIZE>
              Whole memory of a JobManager, as Flink writes sizes [default: 1600m]

          --taskmanager-memory <SIZE>
              Whole memory of a TaskManager, as Flink writes sizes [default: 1728m]

          --jobmanager-cpu <CPU>
              CPU request of a JobManager; it has no CPU limit [default: 200m]

          --taskmanager-cpu <CPU>
              CPU request of a TaskManager; it has no CPU limit [default: 200m]

          --ha-storage <STORAGE>
              Where jobs and checkpoints are kept: s3://BUCKET/FOLDER (or gs, abfs, hdfs, oss), pvc,
              pvc:NAME, host-path:DIR or pod-local [default: pvc where the cluster has a default
              StorageClass, else pod-local]

          --env-from-secret <SECRET>
              Secret whose entries become environment variables of both roles, repeatable

      -D <KEY=VALUE>
              Any Flink option, repeatable

          --expose <HOW>
              How the web UI can be reached: cluster-ip, node-port[=PORT] or load-balancer [default:
              cluster-ip]

          --service-account <NAME>
              Service account of the JobManagers (and of the TaskManagers); no RBAC is made for it, only
              checked

          --taskmanager-service-account <NAME>
              Service account of the TaskManagers; no RBAC is made for it, only checked

          --pull-secret <SECRET>
              Secret to pull the image with, repeatable

          --node-selector <KEY=VALUE>
              Label that a node must have, repeatable

          --toleration <TAINT>
              Taint that the pods bear, as KEY[=VALUE][:EFFECT], repeatable

          --label <KEY=VALUE>
              Label for every object and pod, repeatable

          --annotation <KEY=VALUE>
              Annotation for every object and pod, repeatable

      -f, --filename <DIR>
              Apply the numbered files of this folder instead of the embedded ones

          --reset[=<BOOL>]
              Forget what the last up recorded: every option that is not given has its default

          --dry-run[=<none|client|server>]
              Only say what would happen: `client` changes nothing, `server` lets the API server check
              it too
              
              [default: none]

          --diff[=<BOOL>]
              Show what would change and change nothing; exit code 1 if something would

          --wait[=<BOOL>]
              Wait until the cluster serves
              
              [default: true]

          --timeout <DURATION>
              How long to wait
              
              [default: 5m]

          --force-conflicts[=<BOOL>]
              Take over fields that another field manager owns

          --skip-doctor[=<BOOL>]
              Apply although the doctor finds errors

          --probe[=<BOOL>]
              Before Flink starts, let a short pod like the JobManager's write to the storage, and one
              like a TaskManager's read it

      -o, --output <json|yaml|name>
              Print what was done, as one document or by name

    Output options:
      -q, --quiet
              Say nothing but warnings and errors

    Examples:
      # A cluster named `flink` in the namespace of the context
      kubectl flink up

      # State in S3, credentials from a Secret, a standby JobManager, in a namespace of its own
      kubectl flink up prod -n streaming --ha-storage s3://bucket/flink --env-from-secret s3-credentials
      --jobmanagers 2

      # One more TaskManager; everything else stays as it is
      kubectl flink up --taskmanagers 3

      # What would change?
      kubectl flink up --slots 4 --diff

      # Your own numbered files
      kubectl flink up -f ./manifests
    ");
    // The short help has less, and fits where the long one scrolls.
    let (short, long) = (Home::new().run(&["up", "-h"]), Home::new().run(&["up", "--help"]));
    assert!(short.lines().count() < long.lines().count());
}

#[test]
fn of_render() {
    insta::assert_snapshot!(Home::new().help("render", "--help"), @"
    Write the numbered manifests of a cluster, for kubectl apply or a git repository

    Takes the options of `up` and asks no cluster anything. Applied with kubectl in the order of their
    numbers, the files make the same cluster as `up` with these options. Where `up` would look what
    storage the cluster has, this writes a PersistentVolumeClaim.

    Usage: kubectl flink render [OPTIONS] [NAME]

    Arguments:
      [NAME]
              Name of the cluster: Flink's cluster-id, and what its objects' names begin with
              
              [default: flink]

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Flink cluster options:
          --flink-version <VERSION>
              Flink version, like 1.20 or 1.20.5 [default: 1.20.5]

          --image <IMAGE>
              Image of both roles [default: apache/flink:VERSION]

          --jobmanager-image <IMAGE>
              Image of the JobManagers, if it is another one

          --taskmanager-image <IMAGE>
              Image of the TaskManagers, if it is another one

          --jobmanagers <N>
              Number of JobManagers; the second and further ones are standbys [default: 1]

          --taskmanagers <N>
              Number of TaskManagers [default: 2]

          --slots <N>
              Task slots of each TaskManager [default: 2]

          --parallelism <N>
              Default parallelism of jobs [default: 2]

          --jobmanager-memory <SIZE>
              Whole memory of a JobManager, as Flink writes sizes [default: 1600m]

          --taskmanager-memory <SIZE>
              Whole memory of a TaskManager, as Flink writes sizes [default: 1728m]

          --jobmanager-cpu <CPU>
              CPU request of a JobManager; it has no CPU limit [default: 200m]

          --taskmanager-cpu <CPU>
              CPU request of a TaskManager; it has no CPU limit [default: 200m]

          --ha-storage <STORAGE>
              Where jobs and checkpoints are kept: s3://BUCKET/FOLDER (or gs, abfs, hdfs, oss), pvc,
              pvc:NAME, host-path:DIR or pod-local [default: pvc where the cluster has a default
              StorageClass, else pod-local]

          --env-from-secret <SECRET>
              Secret whose entries become environment variables of both roles, repeatable

      -D <KEY=VALUE>
              Any Flink option, repeatable

          --expose <HOW>
              How the web UI can be reached: cluster-ip, node-port[=PORT] or load-balancer [default:
              cluster-ip]

          --service-account <NAME>
              Service account of the JobManagers (and of the TaskManagers); no RBAC is made for it, only
              checked

          --taskmanager-service-account <NAME>
              Service account of the TaskManagers; no RBAC is made for it, only checked

          --pull-secret <SECRET>
              Secret to pull the image with, repeatable

          --node-selector <KEY=VALUE>
              Label that a node must have, repeatable

          --toleration <TAINT>
              Taint that the pods bear, as KEY[=VALUE][:EFFECT], repeatable

          --label <KEY=VALUE>
              Label for every object and pod, repeatable

          --annotation <KEY=VALUE>
              Annotation for every object and pod, repeatable

          --to <DIR>
              Write one file for each number into this folder, which may not hold other manifests

    Output options:
      -q, --quiet
              Say nothing but warnings and errors

    Examples:
      # To look at
      kubectl flink render

      # Numbered files, to apply in order
      kubectl flink render prod -n streaming --ha-storage s3://bucket/flink --to manifests
      for f in manifests/*.yaml; do kubectl apply -f $f; done
    ");
}

#[test]
fn of_status() {
    insta::assert_snapshot!(Home::new().help("status", "--help"), @"
    Show leader, pods, slots, jobs and high-availability data of Flink clusters

    Works on every Flink cluster of the namespace, whoever made it. Asks Flink itself through the API
    server, so that no port needs to be open. Exits with 1 if something is not healthy, with 3 if that
    could not be found out.

    Usage: kubectl flink status [OPTIONS] [NAME]

    Arguments:
      [NAME]
              Cluster to show [default: all of the namespace]

    Options:
      -A, --all-namespaces
              Look in all namespaces

      -o, --output <FORMAT>
              Output format

              Possible values:
              - wide: A table with more columns
              - json: One JSON document
              - yaml: One YAML document
              - name: Names only

      -w, --watch
              Show it again every 2 seconds; where the output is no terminal, at each change

          --timeout <DURATION>
              Time to wait for the cluster's answers, like 10s or 2m
              
              [default: 10s]

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Output options:
      -q, --quiet
              Say nothing but warnings and errors

    Examples:
      # Every Flink cluster of the namespace, whoever made it
      kubectl flink status

      # In all namespaces, with more columns
      kubectl flink status -A -o wide

      # One cluster, again and again
      kubectl flink status prod -n streaming --watch

      # What is wrong, for a script
      kubectl flink status -o json | jq '.items[] | select(.healthy | not) | .problems'
    ");
}

#[test]
fn of_down() {
    insta::assert_snapshot!(Home::new().help("down", "--help"), @"
    Take a Flink cluster down

    Deletes what `up` made, in reverse: the JobManagers first, so that no job fails for want of
    TaskManagers and Flink keeps what it needs to recover it. Flink's high-availability ConfigMaps stay
    where the storage behind them outlives the pods: the next `up` recovers the jobs. Volumes stay,
    unless --purge-volumes is given.

    Usage: kubectl flink down [OPTIONS] [NAME]

    Arguments:
      [NAME]
              Name of the cluster
              
              [default: flink]

    Options:
      -y, --yes[=<BOOL>]
              Do not ask, also where jobs run or state is lost

          --force[=<BOOL>]
              Go on although it cannot be learnt whether jobs run

          --keep-ha[=<BOOL>]
              Keep Flink's high-availability ConfigMaps, whatever storage is behind them

          --purge-ha[=<BOOL>]
              Remove Flink's high-availability ConfigMaps: no job can be recovered from them any more

          --purge-volumes[=<BOOL>]
              Delete the volumes that `up` made, with the checkpoints and savepoints on them

          --dry-run[=<none|client|server>]
              Only say what would be deleted: `client` changes nothing, `server` lets the API server
              check it too
              
              [default: none]

          --wait[=<BOOL>]
              Wait until everything is gone; the JobManagers are waited for in any case
              
              [default: true]

          --timeout <DURATION>
              How long to wait
              
              [default: 5m]

      -o, --output <json|yaml|name>
              Print what was done, as one document or by name

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Output options:
      -q, --quiet
              Say nothing but warnings and errors

    Examples:
      # The jobs are recovered by the next `up`, where the storage allows it
      kubectl flink down

      # What would be deleted?
      kubectl flink down prod -n streaming --dry-run

      # With all state, for good, without a question
      kubectl flink down prod -n streaming --purge-ha --purge-volumes --yes
    ");
}

#[test]
fn of_completion_and_version() {
    let home = Home::new();
    insta::assert_snapshot!(home.help("completion", "--help"), @"
    Complete commands, flags and names in your shell

    With `kubectl flink completion install`, kubectl completes `kubectl flink ...` in every shell that
    it completes itself in (see `kubectl completion --help`). The scripts are for those who type
    `kubectl-flink`.

    Usage: kubectl flink completion [OPTIONS] <COMMAND>

    Commands:
      install     Let kubectl complete `kubectl flink`, in every shell
      bash        Print the script that completes `kubectl-flink` in bash
      zsh         Print the script that completes `kubectl-flink` in zsh
      fish        Print the script that completes `kubectl-flink` in fish
      powershell  Print the script that completes `kubectl-flink` in PowerShell

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Output options:
      -q, --quiet
              Say nothing but warnings and errors

    Examples:
      # kubectl flink <TAB>, in all shells, from kubectl 1.26 on
      kubectl flink completion install

      # kubectl-flink <TAB>: in ~/.bashrc
      source <(kubectl-flink completion bash)

      # in ~/.zshrc, after compinit
      source <(kubectl-flink completion zsh)

      # in ~/.config/fish/config.fish
      kubectl-flink completion fish | source

      # in PowerShell's $PROFILE
      kubectl-flink completion powershell | Out-String | Invoke-Expression
    ");
    insta::assert_snapshot!(home.help("version", "-h"), @"
    Show the versions of this program, of Kubernetes, and of the Flink clusters in the namespace

    Usage: kubectl flink version [OPTIONS]

    Options:
          --client[=<BOOL>]  Show the version of this program only; no cluster is asked anything
      -o, --output <FORMAT>  Output format [possible values: json, yaml]
      -h, --help             Print help (see more with '--help')
      -V, --version          Print version

    Output options:
      -q, --quiet  Say nothing but warnings and errors
    ");
}
