//! Output that is shown again and again, for `--watch`.

use std::io::IsTerminal;

use super::Ui;
use crate::error::Result;

/// Shows the newest text: on a terminal in place of the last, elsewhere after it.
#[derive(Debug)]
pub struct Live {
    redraw: bool,
    shown: bool,
}

impl Live {
    /// For this process's standard output.
    pub fn new() -> Self {
        Live { redraw: std::io::stdout().is_terminal(), shown: false }
    }

    /// Whether a text takes the place of the last, so that what changes all the time can be shown each time.
    pub fn redraws(&self) -> bool {
        self.redraw
    }

    /// Shows `text`; `separator` goes between one text and the next where nothing is redrawn.
    pub fn show(&mut self, ui: &Ui, text: &str, separator: &str) -> Result<()> {
        let first = !std::mem::replace(&mut self.shown, true);
        if !self.redraw {
            return ui.data(format_args!("{}{text}", if first { "" } else { separator }));
        }
        // The first time the screen is cleared; then each line over the one before it, which does not flicker.
        let home = if first { "\x1b[2J\x1b[H" } else { "\x1b[H" };
        let lines = text.replace('\n', "\x1b[K\n");
        ui.data(format_args!("{home}{lines}\x1b[J"))
    }
}

impl Default for Live {
    fn default() -> Self {
        Live::new()
    }
}
