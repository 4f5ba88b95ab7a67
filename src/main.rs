//! `kubectl-flink`, which kubectl finds as `kubectl flink`: parse, run, error to exit code.

use std::process::ExitCode;
use std::time::Duration;

use clap::Parser;
use kubectl_flink::cluster::cleanup;
use kubectl_flink::commands::{Cli, completion};
use kubectl_flink::error::{Error, Kind};
use kubectl_flink::output::Ui;

/// How long an end may take that leaves nothing behind.
const CLEANUP: Duration = Duration::from_secs(5);

/// Until somebody wants the command to end: Ctrl-C, a terminal that is closed, a job that is cancelled.
async fn interrupted() {
    #[cfg(unix)]
    {
        use std::io::IsTerminal;

        use tokio::signal::unix::{SignalKind, signal};
        let mut kinds = vec![SignalKind::interrupt(), SignalKind::terminate()];
        // nohup, under which standard input is no terminal, wants it not to be heard.
        if std::io::stdin().is_terminal() {
            kinds.push(SignalKind::hangup());
        }
        let mut signals: Vec<_> = kinds.into_iter().filter_map(|kind| signal(kind).ok()).collect();
        if signals.is_empty() {
            std::future::pending::<()>().await;
        }
        futures::future::select_all(signals.iter_mut().map(|signal| Box::pin(signal.recv()))).await;
    }
    #[cfg(not(unix))]
    {
        let _ = tokio::signal::ctrl_c().await;
    }
}

fn main() -> ExitCode {
    if let Some(answered) = completion::answer() {
        return answered;
    }
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        // Help and version are no errors, though clap hands them out as such.
        Err(error) => {
            let code = if error.use_stderr() { Kind::Usage.exit_code() } else { 0 };
            let _ = error.print();
            return ExitCode::from(code);
        }
    };
    let ui = Ui::new(cli.quiet);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            ui.error(&Error::could_not_run(format!("cannot start: {error}")));
            return ExitCode::from(Kind::CouldNotRun.exit_code());
        }
    };
    let result = runtime.block_on(async {
        let result = tokio::select! {
            result = cli.run(&ui) => result,
            () = interrupted() => Err(Error::new(Kind::Interrupted, "interrupted")
                .hint("what was done so far stays done; run the same command again to go on")),
        };
        cleanup::finish(CLEANUP).await;
        result
    });
    // Connections that linger must not keep a command from ending.
    runtime.shutdown_background();
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // `--diff` has said all that it has to say.
            if !error.message.is_empty() && error.kind != Kind::BrokenPipe {
                ui.error(&error);
            }
            ExitCode::from(error.kind.exit_code())
        }
    }
}
