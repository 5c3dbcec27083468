//! The boards that firmware is built for and QEMU stands in for.

use std::fs;

use crate::{Error, Result, workspace::root};

/// A board, and the core on it.
#[derive(Debug)]
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

const V6: &str = "thumbv6m-none-eabi";
const V7: &str = "thumbv7em-none-eabihf";
const V8: &str = "thumbv8m.main-none-eabihf";

pub const BOARDS: &[Board] = &[
    board("mps2-an386", "m4", V7, "cortex-m4"),
    board("mps2-an500", "m7", V7, "cortex-m7"),
    board("mps2-an505", "m33", V8, "cortex-m33"),
    board("mps3-an547", "m55", V8, "cortex-m55"),
    board("microbit", "m0", V6, "cortex-m0"),
];

const fn board(name: &'static str, core: &'static str, triple: &'static str, cpu: &'static str) -> Board {
    Board { name, core, triple, cpu, plan_target: cpu }
}

impl Board {
    pub fn by_name(name: &str) -> Result<&'static Self> {
        find(name, |board| board.name)
    }

    pub fn by_core(core: &str) -> Result<&'static Self> {
        find(core, |board| board.core)
    }

    /// Bytes of flash and of RAM, from the board's memory map.
    pub fn memory(&self) -> Result<(u64, u64)> {
        // Large constants lie in the second one of two kinds of flash.
        Ok((self.length("FLASH")? + self.length("QSPI").unwrap_or(0), self.length("RAM")?))
    }

    /// Bytes of a region of the board's memory map.
    fn length(&self, region: &str) -> Result<u64> {
        let path = root().join("firmware/boards/memory").join(self.name).with_extension("x");
        let text = fs::read_to_string(&path).map_err(Error::file(&path))?;
        let length = || -> Option<u64> {
            let line = text.lines().find(|line| line.trim_start().starts_with(region))?;
            let length = line.rsplit_once("LENGTH = ")?.1.trim();
            let (number, unit) = length.split_at(length.find(|c: char| !c.is_ascii_digit())?);
            let unit = match unit {
                "K" => 1 << 10,
                "M" => 1 << 20,
                _ => return None,
            };
            Some(number.parse::<u64>().ok()? * unit)
        };
        length().ok_or_else(|| Error::Unexpected { path, reason: format!("no length of {region}") })
    }

    /// Whether the core has 32-bit instructions, among them the hints by which images mark what is measured.
    pub fn is_mainline(&self) -> bool {
        self.triple != V6
    }

    /// The environment variable that hands flags to the compiler for this target only.
    pub fn rustflags(&self) -> (String, String) {
        let triple = self.triple.to_uppercase().replace(['-', '.'], "_");
        (format!("CARGO_TARGET_{triple}_RUSTFLAGS"), format!("-Ctarget-cpu={}", self.cpu))
    }
}

fn find(name: &str, of: fn(&Board) -> &'static str) -> Result<&'static Board> {
    BOARDS.iter().find(|board| of(board) == name).ok_or_else(|| {
        let known = BOARDS.iter().map(of).collect::<Vec<_>>().join(", ");
        Error::NoBoard { name: name.into(), known }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_maps_tell_their_lengths() -> Result<()> {
        assert_eq!(Board::by_name("microbit")?.memory()?, (256 << 10, 16 << 10));
        for board in BOARDS {
            assert!(board.memory()?.0 >= 1 << 18, "{}", board.name);
        }
        Ok(())
    }
}
