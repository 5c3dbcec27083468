//! Runs an image under QEMU: log, console, exit code, and instruction counts by the plugin.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, anyhow, bail};
use defmt_decoder::{DecodeError, StreamDecoder, Table};

use crate::{
    board::Board,
    counts::Log,
    workspace::{command, root, run, target},
};

/// What a run came to.
pub struct Outcome {
    pub exit: i32,
    /// The decoded lines of the log, as `INFO text`.
    pub log: Vec<String>,
    /// The bytes written to the board's console.
    pub console: Vec<u8>,
    /// Instruction counts, if they were asked for.
    pub counts: Option<Log>,
}

#[derive(Clone, Copy)]
pub struct Settings {
    /// Count instructions with the plugin.
    pub count: bool,
    /// Print log lines as they come.
    pub echo: bool,
    /// Give up after this long.
    pub patience: Duration,
}

/// Runs the image on the machine that stands in for the board.
pub fn emulate(board: &Board, image: &Path, settings: Settings) -> Result<Outcome> {
    emulate_with(board, image, settings, &[])
}

/// The same with further devices: arguments of QEMU. The first serial port behind the console is the board's `serial`.
pub fn emulate_with(board: &Board, image: &Path, settings: Settings, devices: &[String]) -> Result<Outcome> {
    let folder = target()?.join("qemu");
    fs::create_dir_all(&folder)?;
    // Runs at the same time keep their files apart.
    let file = |kind: &str| folder.join(format!("{}.{kind}", std::process::id()));
    let (console, counts) = (file("console"), file("counts"));

    let mut qemu = command("qemu-system-arm");
    qemu.args(["-M", board.name, "-display", "none", "-monitor", "none"])
        .arg("-serial")
        .arg(option("file:", &console))
        .args(devices)
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

    let child = qemu.spawn().context("starting qemu-system-arm (cargo xtask setup installs it)")?;
    let mut log = LogReader::new(&fs::read(image)?, settings.echo)?;
    let exit = follow(child, settings.patience, |bytes| log.receive(bytes))?;
    let outcome = Outcome {
        exit,
        log: log.lines,
        console: fs::read(&console).unwrap_or_default(),
        counts: if settings.count { Some(Log::read(&counts)?) } else { None },
    };
    for file in [console, counts] {
        let _ = fs::remove_file(file); // may not exist
    }
    Ok(outcome)
}

/// Hands over what the emulator writes until it ends; its exit code.
fn follow(mut child: Child, patience: Duration, mut receive: impl FnMut(&[u8]) -> Result<()>) -> Result<i32> {
    let mut stdout = child.stdout.take().context("the emulator has no output")?;
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = stdout.read(&mut buffer) {
            if sender.send(buffer[..length].to_vec()).is_err() {
                break;
            }
        }
    });

    let end = Instant::now() + patience;
    let result = loop {
        match receiver.recv_timeout(end.saturating_duration_since(Instant::now())) {
            Ok(bytes) => {
                if let Err(error) = receive(&bytes) {
                    break Err(error);
                }
            }
            Err(RecvTimeoutError::Disconnected) => break Ok(()),
            Err(RecvTimeoutError::Timeout) => {
                break Err(anyhow!("the image has not ended after {} s", patience.as_secs()));
            }
        }
    };
    if result.is_err() {
        child.kill()?;
    }
    let status = child.wait()?;
    result?;
    status.code().with_context(|| format!("the emulator was ended: {status}"))
}

/// Decodes the log; an image without one writes nothing.
struct LogReader {
    decoder: Option<Box<dyn StreamDecoder + Send + Sync>>,
    echo: bool,
    lines: Vec<String>,
}

impl LogReader {
    fn new(elf: &[u8], echo: bool) -> Result<Self> {
        // The table must outlive its decoder; a run of xtask reads few of them.
        let table: Option<&'static Table> = Table::parse(elf)?.map(|table| &*Box::leak(Box::new(table)));
        Ok(Self { decoder: table.map(Table::new_stream_decoder), echo, lines: Vec::new() })
    }

    fn receive(&mut self, bytes: &[u8]) -> Result<()> {
        let Some(decoder) = &mut self.decoder else {
            bail!("an image without a log wrote: {}", String::from_utf8_lossy(bytes));
        };
        decoder.received(bytes);
        loop {
            match decoder.decode() {
                Ok(frame) => {
                    let level = frame.level().map_or("", |level| level.as_str()).to_uppercase();
                    let line = format!("{level} {}", frame.display_message());
                    if self.echo {
                        eprintln!("  {line}");
                    }
                    self.lines.push(line.trim().into());
                }
                Err(DecodeError::UnexpectedEof) => return Ok(()),
                Err(DecodeError::Malformed) => self.lines.push("(a damaged line)".into()),
            }
        }
    }
}

/// The counting plugin, compiled unless it is newer than its sources.
pub fn plugin(folder: &Path) -> Result<PathBuf> {
    let sources = root().join("tests/bench/qemu-count");
    let plugin = folder.join("libcount.so");
    let modified = |path: &Path| path.metadata().and_then(|metadata| metadata.modified());
    let newest =
        fs::read_dir(&sources)?.map(|entry| modified(&entry?.path())).collect::<Result<Vec<_>, _>>()?;
    if modified(&plugin).is_ok_and(|built| newest.iter().all(|&source| source <= built)) {
        return Ok(plugin);
    }
    run(command("cc")
        .args(["-O2", "-Wall", "-Wextra", "-shared", "-fPIC", "-o"])
        .arg(&plugin)
        .args(["count.c", "thumb.c", "a64.c"].map(|name| sources.join(name))))
    .context("compiling tests/bench/qemu-count")?;
    Ok(plugin)
}

fn option(prefix: &str, path: &Path) -> std::ffi::OsString {
    let mut option = std::ffi::OsString::from(prefix);
    option.push(path);
    option
}
