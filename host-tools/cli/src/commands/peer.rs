//! `mote peer`: starts `mote-peer`, a program of its own (`host-tools/peer`), since it brings a network stack that no
//! other command has a use for.

use crate::failure::{Failure, Outcome};
use clap::Args;
use std::ffi::OsString;
use std::path::Path;
use std::process::Command;

const PROGRAM: &str = "mote-peer";

/// Take part in a MoDeST network, alone or as the gateway of devices (starts mote-peer)
#[derive(Args)]
#[command(disable_help_flag = true)]
pub struct Arguments {
    /// Those of mote-peer, which tells them with --help
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    arguments: Vec<OsString>,
}

impl Arguments {
    /// Whether the program is asked for JSON, and so this one.
    pub fn json(&self) -> bool {
        self.arguments.iter().any(|argument| argument == "--json")
    }
}

/// Ends with the program's exit code. The one beside this program is taken, else the one in the search path.
pub fn run(arguments: &Arguments) -> Outcome {
    let name = format!("{PROGRAM}{}", std::env::consts::EXE_SUFFIX);
    let beside = std::env::current_exe().ok().map(|own| own.with_file_name(&name));
    let mut program = match beside.filter(|path| path.is_file()) {
        Some(path) => Command::new(path),
        None => Command::new(&name),
    };
    match program.args(&arguments.arguments).status() {
        Ok(status) => std::process::exit(status.code().unwrap_or(1)),
        Err(error) => Err(Failure::input(
            Path::new(PROGRAM),
            format!(
                "it stands neither beside this program nor in the search path, or cannot be started: {error}"
            ),
            "build it with `cargo install --path host-tools/peer`",
        )),
    }
}
