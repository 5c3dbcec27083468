//! Runs an image under QEMU: output, console, exit code, and instruction counts by the plugin.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::{
        atomic::{AtomicUsize, Ordering},
        mpsc::{self, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use crate::{
    Error, Result,
    board::Board,
    counts::Log,
    workspace::{capture, command, root, run, target, unstarted},
};

/// What a run came to.
pub struct Outcome {
    pub exit: i32,
    /// The bytes written to the board's console.
    pub console: Vec<u8>,
    /// Instruction counts, if they were asked for.
    pub counts: Option<Log>,
}

#[derive(Clone, Copy)]
pub struct Settings<'a> {
    /// Count instructions with the plugin.
    pub count: bool,
    /// Give up after this long.
    pub patience: Duration,
    /// Further devices: arguments of QEMU. The first serial port behind the console is the board's `serial`.
    pub devices: &'a [String],
}

/// Runs the image on the machine that stands in for the board. `output` gets what the image writes by semihosting, piece
/// by piece.
pub fn emulate(
    board: &Board,
    image: &Path,
    settings: Settings<'_>,
    output: impl FnMut(&[u8]),
) -> Result<Outcome> {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    let folder = target()?.join("qemu");
    fs::create_dir_all(&folder).map_err(Error::file(&folder))?;
    // Runs at the same time keep their files apart.
    let name = format!("{}-{}", std::process::id(), RUNS.fetch_add(1, Ordering::Relaxed));
    let file = |kind: &str| folder.join(format!("{name}.{kind}"));
    let (console, counts) = (file("console"), file("counts"));

    let mut qemu = command(QEMU);
    qemu.args(["-M", board.name, "-display", "none", "-monitor", "none"])
        .arg("-serial")
        .arg(option("file:", &console))
        .args(settings.devices)
        .args(["-semihosting-config", "enable=on,target=native"])
        .arg("-kernel")
        .arg(image)
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    if settings.count {
        let plugin = plugin(&folder)?;
        // Cores without the marking hint mark by another instruction: `tests/bench/qemu-count`.
        let markers = if board.is_mainline() { "" } else { ",markers=mov" };
        qemu.arg("-plugin").arg(format!("{},out={}{markers}", plugin.display(), counts.display()));
    }

    let child = qemu.spawn().map_err(|error| unstarted(&qemu, error))?;
    let exit = follow(child, settings.patience, output)?;
    let outcome = Outcome {
        exit,
        console: fs::read(&console).unwrap_or_default(),
        counts: if settings.count { Some(Log::read(&counts)?) } else { None },
    };
    for file in [console, counts] {
        let _ = fs::remove_file(file); // may not exist
    }
    Ok(outcome)
}

/// Fails where boards cannot be emulated: to be called before long work for the emulator.
pub fn check() -> Result<()> {
    capture(command(QEMU).arg("--version")).map(drop)
}

/// The emulator's program.
pub const QEMU: &str = "qemu-system-arm";

/// Hands over what the emulator writes until it ends; its exit code.
fn follow(mut child: Child, patience: Duration, mut receive: impl FnMut(&[u8])) -> Result<i32> {
    let stdout = child.stdout.take();
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let Some(mut stdout) = stdout else { return };
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stdout.read(&mut buffer) {
            if sender.send(buffer[..length].to_vec()).is_err() {
                break;
            }
        }
    });

    let failed = |error| Error::Start { program: QEMU.into(), error };
    let end = Instant::now() + patience;
    loop {
        match receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(bytes) => receive(&bytes),
            Err(RecvTimeoutError::Disconnected) => break,
            Err(RecvTimeoutError::Timeout) => {
                child.kill().map_err(failed)?;
                child.wait().map_err(failed)?;
                return Err(Error::Unfinished { seconds: patience.as_secs() });
            }
        }
    }
    let status = child.wait().map_err(failed)?;
    status.code().ok_or_else(|| Error::Failed { command: QEMU.into(), status, output: String::new() })
}

/// The counting plugin, compiled unless it is newer than its sources.
pub fn plugin(folder: &Path) -> Result<PathBuf> {
    let sources = root().join("tests/bench/qemu-count");
    let plugin = folder.join("libcount.so");
    let modified = |path: &Path| path.metadata().and_then(|metadata| metadata.modified());
    let newest = fs::read_dir(&sources)
        .and_then(|entries| {
            entries.map(|entry| modified(&entry?.path())).collect::<std::io::Result<Vec<_>>>()
        })
        .map_err(Error::file(&sources))?;
    if modified(&plugin).is_ok_and(|built| newest.iter().all(|&source| source <= built)) {
        return Ok(plugin);
    }
    // As a whole or not at all: another run may load it at the same time.
    let part = folder.join(format!("libcount.{}.so", std::process::id()));
    run(command("cc")
        .args(["-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o"])
        .arg(&part)
        .args(["count.c", "thumb.c", "a64.c"].map(|name| sources.join(name))))?;
    fs::rename(&part, &plugin).map_err(Error::file(&plugin))?;
    Ok(plugin)
}

fn option(prefix: &str, path: &Path) -> std::ffi::OsString {
    let mut option = std::ffi::OsString::from(prefix);
    option.push(path);
    option
}
