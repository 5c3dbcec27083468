//! Where things are, and how other programs are started.

use std::{
    env,
    ffi::OsStr,
    io::ErrorKind,
    path::{Path, PathBuf},
    process::Command,
    sync::OnceLock,
};

use crate::{Error, Result};

/// The workspace's root: `MOTE_SOURCES`, or where this crate was compiled.
pub fn root() -> &'static Path {
    static ROOT: OnceLock<PathBuf> = OnceLock::new();
    // This crate is two folders below the root.
    let own = || Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap_or(Path::new("."));
    ROOT.get_or_init(|| env::var_os("MOTE_SOURCES").map_or_else(|| own().into(), PathBuf::from))
}

/// Cargo's target folder.
pub fn target() -> Result<&'static Path> {
    static TARGET: OnceLock<PathBuf> = OnceLock::new();
    if let Some(target) = TARGET.get() {
        return Ok(target);
    }
    if !root().join("firmware").is_dir() {
        return Err(Error::NoSources(root().into()));
    }
    let metadata = capture(cargo().args(["metadata", "--no-deps", "--format-version", "1"]))?;
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap_or_default();
    let target = metadata["target_directory"]
        .as_str()
        .ok_or_else(|| Error::Counts("cargo metadata names no target folder".into()))?;
    Ok(TARGET.get_or_init(|| target.into()))
}

/// The data that tests and benchmarks use but the repository does not hold: `MOTE_DATA`, or
/// `../shared/data`. `None` where it is absent.
pub fn data() -> Option<PathBuf> {
    let folder = env::var_os("MOTE_DATA").map_or_else(|| root().join("../shared/data"), PathBuf::from);
    folder.is_dir().then_some(folder)
}

/// Cargo, in the workspace's root.
pub fn cargo() -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Any program, started in the workspace's root.
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root());
    command
}

/// Whether a program can be started at all.
pub fn available(program: &str) -> bool {
    command(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

/// Runs a command, its output on ours; an error unless it succeeds.
pub fn run(command: &mut Command) -> Result<()> {
    let status = command.status().map_err(|error| unstarted(command, error))?;
    if !status.success() {
        return Err(Error::Failed { command: shown(command), status, output: String::new() });
    }
    Ok(())
}

/// Runs a command and returns what it writes to standard output; an error unless it succeeds.
pub fn capture(command: &mut Command) -> Result<String> {
    let output = command.output().map_err(|error| unstarted(command, error))?;
    if !output.status.success() {
        let text = String::from_utf8_lossy(&output.stderr).trim_end().to_owned();
        return Err(Error::Failed { command: shown(command), status: output.status, output: text });
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Why a command was not even started.
pub fn unstarted(command: &Command, error: std::io::Error) -> Error {
    let program = command.get_program().to_string_lossy().into_owned();
    // The folder that it would run in may be what is missing.
    match error.kind() {
        ErrorKind::NotFound if !root().is_dir() => Error::NoSources(root().into()),
        ErrorKind::NotFound => Error::NoProgram(program),
        _ => Error::Start { program, error },
    }
}

/// The command as one would type it, without its environment.
pub fn shown(command: &Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    words.map(|word| word.to_string_lossy()).collect::<Vec<_>>().join(" ")
}
