//! Runs an image under QEMU (`mote_emulator::qemu`) and decodes its log.

use std::{fs, path::Path, time::Duration};

use anyhow::{Result, bail};
use defmt_decoder::{DecodeError, StreamDecoder, Table};
use mote_emulator::qemu;
pub use mote_emulator::qemu::plugin;

use crate::{board::Board, counts::Log};

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
    let mut log = LogReader::new(&fs::read(image)?, settings.echo)?;
    let Settings { count, patience, .. } = settings;
    let run = qemu::Settings { count, patience, devices };
    let outcome = qemu::emulate(board, image, run, |bytes| log.receive(bytes))?;
    if !log.undecoded.is_empty() {
        bail!("an image without a log wrote: {}", String::from_utf8_lossy(&log.undecoded));
    }
    Ok(Outcome { exit: outcome.exit, log: log.lines, console: outcome.console, counts: outcome.counts })
}

/// Decodes the log; an image without one writes nothing.
struct LogReader {
    decoder: Option<Box<dyn StreamDecoder + Send + Sync>>,
    echo: bool,
    lines: Vec<String>,
    /// What an image without a log wrote.
    undecoded: Vec<u8>,
}

impl LogReader {
    fn new(elf: &[u8], echo: bool) -> Result<Self> {
        // The table must outlive its decoder; a run of xtask reads few of them.
        let table: Option<&'static Table> = Table::parse(elf)?.map(|table| &*Box::leak(Box::new(table)));
        Ok(Self {
            decoder: table.map(Table::new_stream_decoder),
            echo,
            lines: Vec::new(),
            undecoded: Vec::new(),
        })
    }

    fn receive(&mut self, bytes: &[u8]) {
        let Some(decoder) = &mut self.decoder else {
            self.undecoded.extend_from_slice(bytes);
            return;
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
                Err(DecodeError::UnexpectedEof) => return,
                Err(DecodeError::Malformed) => self.lines.push("(a damaged line)".into()),
            }
        }
    }
}
