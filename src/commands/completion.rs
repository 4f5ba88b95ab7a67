//! `kubectl flink completion`: completes command lines in shells, through kubectl and without it.
//!
//! Shells ask this program, with `KUBECTL_FLINK_COMPLETE` in its environment and the words of the line after `--`; [`answer`]
//! is what they get. kubectl asks the program `kubectl_complete-flink`, which `completion install` puts beside this one.

mod values;

use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{self, ExitCode};

use clap::{Args, Subcommand};
use clap_complete::CompletionCandidate;
use clap_complete::env::{EnvCompleter, Fish, Powershell, Shells, Zsh};

use self::values::{Asked, with_equals};
use crate::error::{Error, Result};
use crate::output::Ui;

/// Complete commands, flags and names in your shell
///
/// With `kubectl flink completion install`, kubectl completes `kubectl flink ...` in every shell that it completes itself
/// in (see `kubectl completion --help`). The scripts are for those who type `kubectl-flink`.
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "\
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
  kubectl-flink completion powershell | Out-String | Invoke-Expression")]
pub struct CompletionArgs {
    /// What to do.
    #[command(subcommand)]
    pub what: What,
}

/// `kubectl flink completion ...`
#[derive(Debug, Clone, Subcommand)]
pub enum What {
    /// Let kubectl complete `kubectl flink`, in every shell
    Install(InstallArgs),
    /// Print the script that completes `kubectl-flink` in bash
    #[command(after_long_help = "\
Examples:
  # In ~/.bashrc
  source <(kubectl-flink completion bash)")]
    Bash,
    /// Print the script that completes `kubectl-flink` in zsh
    #[command(after_long_help = "\
Examples:
  # In ~/.zshrc, after compinit
  source <(kubectl-flink completion zsh)")]
    Zsh,
    /// Print the script that completes `kubectl-flink` in fish
    #[command(after_long_help = "\
Examples:
  # In ~/.config/fish/config.fish
  kubectl-flink completion fish | source")]
    Fish,
    /// Print the script that completes `kubectl-flink` in PowerShell
    #[command(after_long_help = "\
Examples:
  # In PowerShell's $PROFILE
  kubectl-flink completion powershell | Out-String | Invoke-Expression")]
    Powershell,
}

/// `kubectl flink completion install`
#[derive(Debug, Clone, Args)]
#[command(after_long_help = "\
Examples:
  # Beside kubectl-flink
  kubectl flink completion install

  # In another folder of the PATH
  kubectl flink completion install --dir ~/.local/bin")]
pub struct InstallArgs {
    /// Folder of the PATH to put kubectl_complete-flink in [default: the one that kubectl-flink is in]
    #[arg(long, value_name = "DIR")]
    pub dir: Option<PathBuf>,
}

/// Says that a shell asks, and which; `kubectl` counts as one.
const VARIABLE: &str = "KUBECTL_FLINK_COMPLETE";
/// What is completed, and who answers.
const PROGRAM: &str = "kubectl-flink";
/// bash is not among them: the library's script takes the words as bash has cut them, at each `=`.
const SHELLS: Shells<'static> = Shells(&[&Fish, &Powershell, &Zsh]);
const BASH: &str = include_str!("../../plugin/completion/kubectl-flink.bash");

/// What kubectl looks for on the PATH, and what is in it.
const SHIM: (&str, &str) = if cfg!(windows) {
    ("kubectl_complete-flink.cmd", include_str!("../../plugin/completion/kubectl_complete-flink.cmd"))
} else {
    ("kubectl_complete-flink", include_str!("../../plugin/completion/kubectl_complete-flink"))
};
/// Stands in every shim that this program has written.
const OURS: &str = "Written by `kubectl flink completion install`";

/// Runs the command.
///
/// # Errors
/// There is no place for the shim, or it is taken.
pub fn run(args: &CompletionArgs, ui: &Ui) -> Result<()> {
    match &args.what {
        What::Install(args) => install(args, ui),
        What::Bash => ui.data(BASH),
        What::Zsh => ui.data(script(&Zsh)?),
        What::Fish => ui.data(script(&Fish)?),
        What::Powershell => ui.data(script(&Powershell)?),
    }
}

fn script(shell: &dyn EnvCompleter) -> Result<String> {
    let mut script = Vec::new();
    shell.write_registration(VARIABLE, PROGRAM, PROGRAM, PROGRAM, &mut script)?;
    Ok(String::from_utf8_lossy(&script).trim().to_owned() + "\n")
}

/// Puts the shim into a folder of the PATH.
fn install(args: &InstallArgs, ui: &Ui) -> Result<()> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // An empty one stands for the folder that somebody happens to be in: that is no place to put anything.
    let folders = || std::env::split_paths(&path).filter(|folder| !folder.as_os_str().is_empty());
    let on_path = |file: &str| folders().find(|folder| is_program(&folder.join(file)));
    let folder = match &args.dir {
        Some(folder) => {
            let unusable = |error: io::Error| {
                Error::usage(format!("cannot use {}: {error}", folder.display())).hint("name a folder that is there")
            };
            let real = fs::canonicalize(folder).map_err(unusable)?;
            if !folders().any(|other| fs::canonicalize(other).is_ok_and(|other| other == real)) {
                let name = folder.display();
                return Err(Error::usage(format!(
                    "{name} is not on the PATH: kubectl would not find {} there",
                    SHIM.0
                ))
                .hint("add it to the PATH, or name a folder that is on it"));
            }
            folder.clone()
        }
        None => on_path(&format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX)).ok_or_else(|| {
            Error::could_not_run(format!("{PROGRAM} is not on the PATH")).hint("name a folder of the PATH with --dir")
        })?,
    };
    let file = folder.join(SHIM.0);
    write_shim(&file, ui)?;
    if let Some(first) = on_path(SHIM.0).map(|folder| folder.join(SHIM.0)).filter(|first| !is_same(first, &file)) {
        ui.warn(format_args!("{} comes first on the PATH: kubectl will run that", first.display()));
    }
    Ok(())
}

/// Writes the shim to this file, unless it is there already, or something else is.
fn write_shim(file: &Path, ui: &Ui) -> Result<()> {
    let failed = |error: io::Error| {
        Error::could_not_run(format!("cannot write {}: {error}", file.display()))
            .hint("name another folder of the PATH with --dir")
    };
    let taken = |what: &str| {
        Error::could_not_run(format!("{} {what}", file.display()))
            .hint("remove it, or name another folder of the PATH with --dir")
    };
    let there = match fs::symlink_metadata(file) {
        // To write through a link would change a file that nobody has named.
        Ok(there) if there.is_symlink() => return Err(taken("is a link")),
        Ok(there) if !there.is_file() => return Err(taken("is no file")),
        Ok(_) => Some(fs::read(file).map_err(failed)?),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(failed(error)),
    };
    match &there {
        Some(there) if !String::from_utf8_lossy(there).contains(OURS) => {
            return Err(taken("is there, and not of this program"));
        }
        Some(there) if there == SHIM.1.as_bytes() && is_program(file) => {
            ui.note(format_args!("{} is there already.", file.display()));
        }
        _ => {
            write_program(file, SHIM.1).map_err(failed)?;
            let done = match there {
                Some(_) => format!("Replaced {}, which was older or edited", file.display()),
                None => format!("Wrote {}", file.display()),
            };
            ui.note(format_args!("{done}: kubectl, from 1.26 on, completes `kubectl flink`."));
            ui.note("Where it does not complete itself yet: kubectl completion --help");
        }
    }
    Ok(())
}

fn is_same(one: &Path, other: &Path) -> bool {
    fs::canonicalize(one).ok() == fs::canonicalize(other).ok()
}

/// Writes a program in one step: a shell that asks meanwhile runs the whole of it, or what was there before.
fn write_program(file: &Path, text: &str) -> io::Result<()> {
    let new = file.with_added_extension(format!("{}.new", process::id()));
    let mut opened = File::create_new(&new)?;
    let written = opened.write_all(text.as_bytes()).and_then(|()| make_executable(&opened));
    // Windows renames no file that is open.
    drop(opened);
    written.and_then(|()| fs::rename(&new, file)).inspect_err(|_| {
        let _ = fs::remove_file(&new);
    })
}

/// Whether a shell would run it.
#[cfg(unix)]
fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    fs::metadata(file).is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(file: &Path) -> bool {
    file.is_file()
}

#[cfg(unix)]
fn make_executable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(fs::Permissions::from_mode(0o755))
}

#[cfg(not(unix))]
#[expect(clippy::unnecessary_wraps, reason = "as elsewhere")]
fn make_executable(_: &File) -> io::Result<()> {
    Ok(())
}

/// Answers a shell that asks what can come next; None where none does, and the program was called to do something.
///
/// Nothing is said on errors: the person who types has not asked for anything yet.
pub fn answer() -> Option<ExitCode> {
    let shell = std::env::var(VARIABLE).ok()?;
    let mut words = std::env::args_os().skip(1);
    if words.next()? != "--" {
        return None;
    }
    let mut answer = Vec::new();
    let done = answer_to(&shell, words.collect(), &mut answer).and_then(|()| io::stdout().write_all(&answer));
    Some(if done.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn answer_to(shell: &str, mut words: Vec<OsString>, to: &mut dyn Write) -> io::Result<()> {
    match shell {
        "kubectl" => {
            words.insert(0, PROGRAM.into());
            for_kubectl(&words, to)
        }
        "bash" => for_bash(&words, to),
        other => {
            with_equals(&mut words);
            let shell = SHELLS.completer(other).ok_or_else(|| io::Error::other("no such shell"))?;
            let mut command = Asked::new(&words).command();
            shell.write_complete(&mut command, words, std::env::current_dir().ok().as_deref(), to)
        }
    }
}

/// Cobra's protocol: `value<TAB>description` in each line, then `:` and what the shell is to do with them.
///
/// <https://github.com/kubernetes/kubectl/blob/master/pkg/cmd/plugin/plugin_completion.go>
fn for_kubectl(words: &[OsString], to: &mut dyn Write) -> io::Result<()> {
    const NO_SPACE: u8 = 2;
    const NO_FILES: u8 = 4;
    let asked = Asked::new(words).without_files();
    let candidates = complete(&asked, words, None)?;
    // The scripts of cobra take the value alone, and put the flag before it again.
    let flag = match words.last().map(|word| word.to_string_lossy()) {
        Some(word) if word.starts_with("--") => word.find('=').map_or(0, |equals| equals + 1),
        _ => 0,
    };
    let mut directive = if asked.wants_files() { 0 } else { NO_FILES };
    if candidates.iter().any(|candidate| candidate.get_value().to_string_lossy().ends_with(['=', '/', ':'])) {
        directive |= NO_SPACE;
    }
    for candidate in candidates {
        let value = candidate.get_value().to_string_lossy();
        write!(to, "{}", value.get(flag..).unwrap_or_default())?;
        if let Some(help) = candidate.get_help() {
            write!(to, "\t{}", help.to_string().lines().next().unwrap_or_default())?;
        }
        writeln!(to)?;
    }
    writeln!(to, ":{directive}")
}

/// The words are the line, up to the cursor, and the part of its last word that bash replaces.
fn for_bash(words: &[OsString], to: &mut dyn Write) -> io::Result<()> {
    let [line, replaced] = words else { return Err(io::Error::other("a line and a word are needed")) };
    let (line, replaced) = (line.to_string_lossy(), replaced.to_string_lossy());
    let mut words = shlex::split(&line).ok_or_else(|| io::Error::other("a quotation mark is open"))?;
    if line.ends_with(char::is_whitespace) {
        words.push(String::new());
    }
    let kept = words.last().and_then(|word| word.strip_suffix(&*replaced)).map_or(0, str::len);
    let words: Vec<OsString> = words.into_iter().map(Into::into).collect();
    let folder = std::env::current_dir().ok();
    for candidate in complete(&Asked::new(&words), &words, folder.as_deref())? {
        writeln!(to, "{}", candidate.get_value().to_string_lossy().get(kept..).unwrap_or_default())?;
    }
    Ok(())
}

/// What the last word can become. Flags are offered to those who have begun to type one, as kubectl does.
fn complete(asked: &Asked, words: &[OsString], folder: Option<&Path>) -> io::Result<Vec<CompletionCandidate>> {
    let mut words = words.to_vec();
    with_equals(&mut words);
    let last = words.len().checked_sub(1).ok_or_else(|| io::Error::other("there is no word"))?;
    let engine =
        |words: &[OsString]| clap_complete::engine::complete(&mut asked.command(), words.to_vec(), last, folder);
    let is_flag = |word: &OsStr| word.as_encoded_bytes().starts_with(b"-");
    let mut candidates = engine(&words)?;
    if !is_flag(&words[last]) {
        candidates.retain(|candidate| !is_flag(candidate.get_value()));
    } else if words[last] == "-" {
        // The library then offers the short name alone of a flag that has two.
        words[last] = "--".into();
        let mut long = engine(&words)?;
        candidates.retain(|short| !long.iter().any(|long| long.get_id() == short.get_id()));
        long.append(&mut candidates);
        return Ok(long);
    }
    Ok(candidates)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_that_cannot_be_written_leaves_nothing_behind() {
        let folder = tempfile::tempdir().unwrap();
        let taken = folder.path().join("taken");
        fs::create_dir(&taken).unwrap();
        assert!(write_program(&taken, "#!").is_err());
        let left: Vec<_> = folder.path().read_dir().unwrap().map(|file| file.unwrap().file_name()).collect();
        assert_eq!(left, ["taken"]);
    }
}
