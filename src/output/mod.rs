//! Everything that the program shows: data on standard output, all else on standard error.

pub mod age;
pub mod diff;
pub mod document;
pub mod findings;
pub mod live;
pub mod table;

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use owo_colors::OwoColorize;

use crate::error::{Error, Result};

/// Decides what goes where. Colour and progress are for terminals; `NO_COLOR` is respected (by anstream).
#[derive(Debug, Clone)]
pub struct Ui {
    /// No steps and no notes; warnings and errors are still shown.
    quiet: bool,
    /// Standard error is a terminal: a running step may redraw its line.
    progress: bool,
}

impl Ui {
    /// A Ui for this process's streams.
    pub fn new(quiet: bool) -> Self {
        Ui { quiet, progress: !quiet && std::io::stderr().is_terminal() }
    }

    /// Writes data to standard output. Ends quietly, by the kind of its error, when the reader has gone.
    pub fn data(&self, text: impl Display) -> Result<()> {
        let mut stdout = anstream::stdout().lock();
        write!(stdout, "{text}")?;
        stdout.flush()?;
        Ok(())
    }

    /// A line about what happens, for the person who waits.
    pub fn note(&self, text: impl Display) {
        if !self.quiet {
            to_stderr(format_args!("{text}"));
        }
    }

    /// A line about something that the user should know although the work goes on.
    pub fn warn(&self, text: impl Display) {
        to_stderr(format_args!("{} {text}", "warning:".yellow().bold()));
    }

    /// An error with its hints, as the last thing that the program says.
    pub fn error(&self, error: &Error) {
        to_stderr(format_args!("{} {}", "error:".red().bold(), error.message));
        for hint in &error.hints {
            to_stderr(format_args!("{} {hint}", "hint:".cyan().bold()));
        }
    }

    /// Begins a step; its line is printed when it ends, with the time that it took.
    pub fn step(&self, doing: impl Into<String>) -> Step {
        let doing = doing.into();
        let bar = self.progress.then(|| {
            let bar = ProgressBar::new_spinner();
            if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
                bar.set_style(style);
            }
            bar.set_message(doing.clone());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        Step { ui: self.clone(), doing, bar, started: Instant::now(), ended: false }
    }

    /// Whether a question can be asked: both ends of the dialogue are terminals.
    pub fn can_prompt(&self) -> bool {
        std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
    }

    /// Asks a yes/no question; anything but yes is no.
    pub async fn confirm(&self, question: impl Display) -> Result<bool> {
        let answer = self.ask(format_args!("{question} [y/N] ")).await?;
        Ok(matches!(answer.to_ascii_lowercase().as_str(), "y" | "yes"))
    }

    /// Asks for a line of text.
    pub async fn ask(&self, prompt: impl Display) -> Result<String> {
        let mut stderr = anstream::stderr();
        write!(stderr, "{prompt}")?;
        stderr.flush()?;
        // On a thread of its own: this one has to hear of Ctrl-C.
        let answer = tokio::task::spawn_blocking(|| {
            let mut answer = String::new();
            std::io::stdin().read_line(&mut answer).map(|_| answer)
        });
        let answer = answer.await.map_err(|error| Error::could_not_run(format!("cannot read an answer: {error}")))?;
        Ok(answer?.trim().to_owned())
    }
}

/// A step that is under way. Dropped without a word it leaves no line behind.
#[derive(Debug)]
pub struct Step {
    ui: Ui,
    doing: String,
    bar: Option<ProgressBar>,
    started: Instant,
    ended: bool,
}

impl Step {
    /// Says what the step is waiting for, where there is a terminal to say it on.
    pub fn progress(&self, what: impl Display) {
        if let Some(bar) = &self.bar {
            bar.set_message(format!("{}: {what}", self.doing));
        }
    }

    /// Ends the step well; `outcome` stands instead of what it was doing.
    pub fn done(mut self, outcome: impl Display) {
        self.end();
        let seconds = self.started.elapsed().as_secs_f64();
        self.ui.note(format_args!("{} {outcome} {}", "✔".green(), format_args!("({seconds:.1} s)").dimmed()));
    }

    /// Ends the step badly; the error that follows says why.
    pub fn failed(mut self) {
        self.end();
        let seconds = self.started.elapsed().as_secs_f64();
        self.ui.note(format_args!("{} {} {}", "✘".red(), self.doing, format_args!("({seconds:.1} s)").dimmed()));
    }

    fn end(&mut self) {
        self.ended = true;
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}

impl Drop for Step {
    fn drop(&mut self) {
        if !self.ended {
            self.end();
        }
    }
}

/// A warning that the API server sent with an answer, shown as kubectl shows it.
pub fn server_warning(text: &str) {
    to_stderr(format_args!("{} {text}", "Warning:".yellow().bold()));
}

/// The one place that writes to standard error. A closed standard error is nobody's to report.
fn to_stderr(line: impl Display) {
    let _ = writeln!(anstream::stderr(), "{line}");
}
