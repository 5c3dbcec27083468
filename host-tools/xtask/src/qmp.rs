//! Talks to a running emulator: QEMU's machine protocol (QMP), a JSON object a line.

use std::{
    io::{BufRead, BufReader, Write},
    net::{TcpListener, TcpStream},
};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// The emulator, connected.
pub struct Qmp {
    stream: BufReader<TcpStream>,
}

impl Qmp {
    /// Waits for the emulator, which was told to connect (`-qmp tcp:..`), and greets it.
    pub fn accept(listener: &TcpListener) -> Result<Self> {
        let mut qmp = Self { stream: BufReader::new(listener.accept()?.0) };
        qmp.read()?; // its greeting
        qmp.ask("qmp_capabilities", json!({}))?;
        Ok(qmp)
    }

    /// Sets a property of a device.
    pub fn set(&mut self, device: &str, property: &str, value: Value) -> Result<()> {
        let path = format!("/machine/peripheral/{device}");
        self.ask("qom-set", json!({"path": path, "property": property, "value": value}))
    }

    /// Ends the emulator, with exit code 0.
    pub fn quit(&mut self) -> Result<()> {
        // It may be gone before its answer is read.
        self.send(&json!({"execute": "quit"}))
    }

    fn ask(&mut self, command: &str, arguments: Value) -> Result<()> {
        let line = json!({"execute": command, "arguments": arguments});
        self.send(&line)?;
        loop {
            let answer = self.read()?;
            if answer.get("return").is_some() {
                return Ok(());
            }
            if let Some(error) = answer.get("error") {
                bail!("the emulator refuses {line}: {error}");
            }
            // Others are events.
        }
    }

    fn send(&mut self, line: &Value) -> Result<()> {
        Ok(self.stream.get_mut().write_all(format!("{line}\n").as_bytes())?)
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        self.stream.read_line(&mut line).context("the emulator is gone")?;
        serde_json::from_str(&line).with_context(|| format!("the emulator says {line:?}"))
    }
}
