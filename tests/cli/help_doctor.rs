//! The help of the doctor's commands.

use crate::support::Home;

#[test]
fn of_doctor() {
    insta::assert_snapshot!(Home::new().help("doctor", "-h"), @"
    Find what is wrong with Flink clusters, in files and live, and say how to mend it

    Usage: kubectl flink doctor [OPTIONS] [NAME]

    Arguments:
      [NAME]  Cluster to look at [default: all of the namespace]

    Options:
      -A, --all-namespaces      Look in all namespaces
      -f, --filename <PATH>     Look at files instead of a cluster: manifests, flink-conf.yaml,
                                config.yaml, log4j*.properties, a folder with all below it, or - for
                                standard input; repeatable
          --overlay             Look at the cluster as it will be once the files are applied
          --timeout <DURATION>  Time to wait for the cluster's answers, like 10s or 2m [default: 30s]
          --wait[=<DURATION>]   Look again until what may settle by itself has settled, for at most this
                                long, or 5m
      -h, --help                Print help (see more with '--help')
      -V, --version             Print version

    Fixes:
          --fix           Show how the files can be mended; with --write mend them. Of a cluster: print
                          the commands that mend it
          --diff          Show the changes, as --fix alone does
          --write         Write the changes into the files
          --unsafe-fixes  With the fixes that change how something behaves

    Rules:
          --select <RULE>            Look only for these: groups, codes, beginnings of codes or names,
                                     as `kubectl flink rules` lists them, repeatable
          --ignore <RULE>            Do not look for these, repeatable
          --min-severity <SEVERITY>  Show only findings that are at least this bad [default: info]
                                     [possible values: info, warning, error]
          --fail-on <SEVERITY>       Exit with 1 if there is a finding that is at least this bad
                                     [default: error] [possible values: error, warning, info, never]
          --strict                   Exit with 3 if something could not be checked
          --config <FILE>            Settings [default: the nearest .kubectl-flink.yaml, here or above,
                                     up to the repository's top]

    Output options:
      -o, --output <FORMAT[=FILE]>  Format, and the file that it goes to: human, json, yaml, sarif,
                                    junit or github; repeatable [default: human]
      -q, --quiet                   Say nothing but warnings and errors
    ");
    insta::assert_snapshot!(Home::new().help("doctor", "--help"), @"
    Find what is wrong with Flink clusters, in files and live, and say how to mend it

    Looks at the clusters of the namespace, whoever made them, or with -f only at files, without a
    kubeconfig and without a network. Changes nothing. Exits with 1 if there are errors (see --fail-on),
    with 3 if not everything could be looked at.

    Usage: kubectl flink doctor [OPTIONS] [NAME]

    Arguments:
      [NAME]
              Cluster to look at [default: all of the namespace]

    Options:
      -A, --all-namespaces
              Look in all namespaces

      -f, --filename <PATH>
              Look at files instead of a cluster: manifests, flink-conf.yaml, config.yaml,
              log4j*.properties, a folder with all below it, or - for standard input; repeatable

          --overlay
              Look at the cluster as it will be once the files are applied

          --timeout <DURATION>
              Time to wait for the cluster's answers, like 10s or 2m
              
              [default: 30s]

          --wait[=<DURATION>]
              Look again until what may settle by itself has settled, for at most this long, or 5m

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Fixes:
          --fix
              Show how the files can be mended; with --write mend them. Of a cluster: print the commands
              that mend it

          --diff
              Show the changes, as --fix alone does

          --write
              Write the changes into the files

          --unsafe-fixes
              With the fixes that change how something behaves

    Rules:
          --select <RULE>
              Look only for these: groups, codes, beginnings of codes or names, as `kubectl flink rules`
              lists them, repeatable

          --ignore <RULE>
              Do not look for these, repeatable

          --min-severity <SEVERITY>
              Show only findings that are at least this bad

              Possible values:
              - info:    Worth knowing; nothing fails
              - warning: It works until something happens, or works worse than it should
              - error:   It does not work, or loses state
              
              [default: info]

          --fail-on <SEVERITY>
              Exit with 1 if there is a finding that is at least this bad

              Possible values:
              - error:   Errors
              - warning: Errors and warnings
              - info:    Any finding
              - never:   No finding
              
              [default: error]

          --strict
              Exit with 3 if something could not be checked

          --config <FILE>
              Settings [default: the nearest .kubectl-flink.yaml, here or above, up to the repository's
              top]

    Output options:
      -o, --output <FORMAT[=FILE]>
              Format, and the file that it goes to: human, json, yaml, sarif, junit or github;
              repeatable [default: human]
              
              Standard output has exactly one document: of several formats all but one go to files. What
              is only written to files is shown as human text too.

      -q, --quiet
              Say nothing but warnings and errors

    Examples:
      # Why does this cluster not start?
      kubectl flink doctor -n streaming

      # In a pull request
      kubectl flink doctor -f manifests/ -o sarif=doctor.sarif

      # What will be wrong once these files are applied?
      kubectl flink doctor -f manifests/ --overlay

      # What Helm makes
      helm template my-chart | kubectl flink doctor -f -

      # Mend what can be mended in the files
      kubectl flink doctor -f manifests/ --fix --write
    ");
}

#[test]
fn of_explain() {
    insta::assert_snapshot!(Home::new().help("explain", "-h"), @"
    Explain what the doctor's rules find: why it matters, an example, and how to mend it

    Usage: kubectl flink explain [OPTIONS] <RULE>...

    Arguments:
      <RULE>...  Codes or names of rules, as `kubectl flink rules` lists them; or a line of a log; or
                 `-` for a log on standard input

    Options:
      -h, --help     Print help (see more with '--help')
      -V, --version  Print version

    Output options:
      -o, --output <FORMAT>  Output format [default: text for a terminal] [possible values: markdown,
                             json]
      -q, --quiet            Say nothing but warnings and errors
    ");
    insta::assert_snapshot!(Home::new().help("explain", "--help"), @"
    Explain what the doctor's rules find: why it matters, an example, and how to mend it

    Given a line of a log instead of a rule, it says which rules are about it. From the program itself:
    no cluster is asked anything.

    Usage: kubectl flink explain [OPTIONS] <RULE>...

    Arguments:
      <RULE>...
              Codes or names of rules, as `kubectl flink rules` lists them; or a line of a log; or `-`
              for a log on standard input

    Options:
      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Output options:
      -o, --output <FORMAT>
              Output format [default: text for a terminal]

              Possible values:
              - markdown: The Markdown of docs/rules
              - json:     A JSON list

      -q, --quiet
              Say nothing but warnings and errors

    Examples:
      # What a finding means
      kubectl flink explain FLK101

      # By its name, as Markdown
      kubectl flink explain binding-namespace -o markdown

      # Which rule is about this line?
      kubectl flink explain 'Could not recover job with job id 7601318e4ccd7281759507f40830fea9'

      # And about those of a log?
      kubectl logs deployment/flink-jobmanager --previous | kubectl flink explain -
    ");
}

#[test]
fn of_rules() {
    insta::assert_snapshot!(Home::new().help("rules", "-h"), @"
    List the doctor's rules

    Usage: kubectl flink rules [OPTIONS]

    Options:
          --group <GROUP>  Only these: input, rbac, ha, network, resources, config, runtime or operator;
                           codes, beginnings of codes or names too, repeatable
          --rbac           Print the smallest Role and ClusterRole with which the doctor can read what
                           these rules look at
      -h, --help           Print help (see more with '--help')
      -V, --version        Print version

    Output options:
      -o, --output <FORMAT>  Output format [default: table] [possible values: table, json, markdown,
                             log-lines]
      -q, --quiet            Say nothing but warnings and errors
    ");
    insta::assert_snapshot!(Home::new().help("rules", "--help"), @"
    List the doctor's rules

    From the program itself: no cluster is asked anything.

    Usage: kubectl flink rules [OPTIONS]

    Options:
          --group <GROUP>
              Only these: input, rbac, ha, network, resources, config, runtime or operator; codes,
              beginnings of codes or names too, repeatable

          --rbac
              Print the smallest Role and ClusterRole with which the doctor can read what these rules
              look at

      -h, --help
              Print help (see a summary with '-h')

      -V, --version
              Print version

    Output options:
      -o, --output <FORMAT>
              Output format

              Possible values:
              - table:     A table
              - json:      A JSON list, with the documentation
              - markdown:  The table of docs/rules/README.md
              - log-lines: The table of docs/troubleshooting.md: lines of logs, with the rule of each
              
              [default: table]

      -q, --quiet
              Say nothing but warnings and errors

    Examples:
      # All rules
      kubectl flink rules

      # Those on high availability
      kubectl flink rules --group ha

      # The rights that `kubectl flink doctor` needs in a namespace
      kubectl flink rules --rbac | kubectl apply -n streaming -f -
    ");
}
