//! The boards that firmware is built for and QEMU stands in for.

use anyhow::{Context, Result};

pub struct Board {
    /// As the features of mote-boards name it; QEMU's machine has the same name.
    pub name: &'static str,
    /// Short name of the core: `m4`.
    pub core: &'static str,
    pub triple: &'static str,
    /// The compiler's name of the core.
    pub cpu: &'static str,
    /// What `mote convert --target` calls it.
    pub plan_target: &'static str,
}

pub const BOARDS: &[Board] = &[Board {
    name: "mps2-an386",
    core: "m4",
    triple: "thumbv7em-none-eabihf",
    cpu: "cortex-m4",
    plan_target: "cortex-m4",
}];

impl Board {
    pub fn by_name(name: &str) -> Result<&'static Self> {
        let names = || BOARDS.iter().map(|board| board.name).collect::<Vec<_>>().join(", ");
        BOARDS
            .iter()
            .find(|board| board.name == name)
            .with_context(|| format!("no board {name}; there are {}", names()))
    }

    pub fn by_core(core: &str) -> Result<&'static Self> {
        let cores = || BOARDS.iter().map(|board| board.core).collect::<Vec<_>>().join(", ");
        BOARDS
            .iter()
            .find(|board| board.core == core)
            .with_context(|| format!("no core {core}; there are {}", cores()))
    }

    /// The environment variable that hands flags to the compiler for this target only.
    pub fn rustflags(&self) -> (String, String) {
        let triple = self.triple.to_uppercase().replace('-', "_");
        (format!("CARGO_TARGET_{triple}_RUSTFLAGS"), format!("-Ctarget-cpu={}", self.cpu))
    }
}
