//! `clean-ha` without a cluster: its help, and what it refuses.

use crate::support::Home;

#[test]
fn help() {
    let home = Home::new();
    insta::assert_snapshot!(home.help("clean-ha", "--help"), @"
    Show and remove high-availability data that clusters have left behind

    Flink's high-availability ConfigMaps outlive its clusters, and the next JobManager of the same
    cluster-id recovers what stands in them, or dies of it: `Could not recover job with job id ...`.
    Each gets one of five verdicts, with the reason:

      live         a JobManager runs on it: never removed
      recoverable  a job or checkpoint may still be there: removed with --include-recoverable
      dead         what it points to is proven to be gone: removed
      leftover     no job stands in it, and no checkpoint: removed
      unknown      neither is proven: removed with --force; --probe may find out

    Nothing is removed before it was confirmed and a copy was written. A cluster that starts
    meanwhile wins.

    Usage: kubectl flink clean-ha [OPTIONS] [NAME]

    Arguments:
      [NAME]
              Cluster-id whose data to look at [default: all of the namespace]

    Options:
      -A, --all-namespaces
              Look in all namespaces

          --job <ID>
              Only this job of the cluster; repeatable. `dead`: all that are proven so

          --include-recoverable
              Remove recoverable data too: its jobs are lost, but for the copy

          --force
              Remove data of which it is not known whether it is of use

          --probe
              Look, from a pod with the cluster's volumes and plugins, which of the files are there

      -y, --yes[=<BOOL>]
              Do not ask

          --dry-run[=<none|client|server>]
              Only say what would be done; `server` also checks that you may
              
              [default: none]

          --backup-dir <DIR>
              Folder for the copy of what is removed
              
              [default: .]

          --restore <FILE>
              Put back the copy in this file

          --timeout <DURATION>
              How long to wait for pods to end, and for the probe
              
              [default: 5m]

      -o, --output <json|yaml|name>
              Print what was found and done as one document, or the names of what was removed

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Output options:
      -q, --quiet
              Say nothing but warnings and errors

    Examples:
      # What is there, in this namespace?
      kubectl flink clean-ha --dry-run

      # The JobManager dies of a job that cannot be recovered: take this job out, the others stay
      kubectl flink clean-ha flink --job 7601318e4ccd7281759507f40830fea9

      # Look on the storage which files are gone, and remove what points to them
      kubectl flink clean-ha flink --probe --yes

      # Put back what was removed
      kubectl flink clean-ha --restore flink-ha-default-flink-20261121T081500Z.yaml
    ");
    insta::assert_snapshot!(home.help("clean-ha", "-h"), @"
    Show and remove high-availability data that clusters have left behind

    Usage: kubectl flink clean-ha [OPTIONS] [NAME]

    Arguments:
      [NAME]  Cluster-id whose data to look at [default: all of the namespace]

    Options:
      -A, --all-namespaces                  Look in all namespaces
          --job <ID>                        Only this job of the cluster; repeatable. `dead`: all that
                                            are proven so
          --include-recoverable             Remove recoverable data too: its jobs are lost, but for the
                                            copy
          --force                           Remove data of which it is not known whether it is of use
          --probe                           Look, from a pod with the cluster's volumes and plugins,
                                            which of the files are there
      -y, --yes[=<BOOL>]                    Do not ask
          --dry-run[=<none|client|server>]  Only say what would be done; `server` also checks that you
                                            may [default: none]
          --backup-dir <DIR>                Folder for the copy of what is removed [default: .]
          --restore <FILE>                  Put back the copy in this file
          --timeout <DURATION>              How long to wait for pods to end, and for the probe
                                            [default: 5m]
      -o, --output <json|yaml|name>         Print what was found and done as one document, or the names
                                            of what was removed
      -h, --help                            Print help (see more with '--help')
      -V, --version                         Print version

    Output options:
      -q, --quiet  Say nothing but warnings and errors
    ");
}

#[test]
fn what_is_refused() {
    let home = Home::new();
    insta::assert_snapshot!(home.run(&["clean-ha", "flink", "--job", "job-1"]), @"
    ---- stderr
    error: invalid value 'job-1' for '--job <ID>': a job id has 32 hexadecimal digits in lower case; or write `dead` for all that are proven so

    For more information, try '--help'.
    [exit status: 2]
    ");
    insta::assert_snapshot!(home.run(&["clean-ha", "--job", "dead"]), @"
    ---- stderr
    error: the following required arguments were not provided:
      <NAME>

    Usage: kubectl flink clean-ha --job <ID> <NAME>

    For more information, try '--help'.
    [exit status: 2]
    ");
    insta::assert_snapshot!(home.run(&["clean-ha", "--restore", "x.yaml", "--force"]), @"
    ---- stderr
    error: the argument '--restore <FILE>' cannot be used with '--force'

    Usage: kubectl flink clean-ha --restore <FILE> [NAME]

    For more information, try '--help'.
    [exit status: 2]
    ");
    insta::assert_snapshot!(home.run(&["clean-ha"]), @"
    ---- stderr
    error: no kubeconfig found
    hint: set KUBECONFIG, or name a file with --kubeconfig, or create ~/.kube/config
    [exit status: 3]
    ");
}
