//! What the app measures itself, written to the console behind the outputs for `cargo xtask bench`: the step
//! of each lap of the last inference (u16), the number of laps (u32), the most stack in use (u32).
//!
//! Laps exist with the feature `laps` only: the steps of a plan run in an order that depends on its regions,
//! and the counting plugin knows when a lap ends, but not which step ran.

use embedded_io::Write;
use mote_runtime::Observer;

use crate::app::Error;

/// Sets a marker after each step and remembers which step it was.
#[derive(Default)]
pub struct Laps {
    #[cfg(feature = "laps")]
    steps: Steps,
}

impl Laps {
    /// Forgets the laps so far.
    pub fn clear(&mut self) {
        #[cfg(feature = "laps")]
        self.steps.clear();
    }

    fn steps(&self) -> &[u16] {
        #[cfg(feature = "laps")]
        return &self.steps;
        #[cfg(not(feature = "laps"))]
        &[]
    }
}

#[cfg(feature = "laps")]
type Steps = heapless::Vec<u16, 32768>;

#[cfg(feature = "laps")]
impl Observer for Laps {
    fn after(&mut self, step: usize, _: core::ops::Range<usize>, _: &[u8]) {
        mote_cortex_m::mark::lap();
        mote_cortex_m::mark::pause();
        // A lap too many shows on the host, where the numbers of laps differ.
        let _ = self.steps.push(step as u16);
        mote_cortex_m::mark::resume();
    }
}

#[cfg(not(feature = "laps"))]
impl Observer for Laps {}

/// Writes the report.
pub fn write(console: &mut impl Write, laps: &Laps, stack_bytes: usize) -> Result<(), Error> {
    let mut write = |bytes: &[u8]| console.write_all(bytes).map_err(|_| Error::Console);
    for step in laps.steps() {
        write(&step.to_le_bytes())?;
    }
    write(&(laps.steps().len() as u32).to_le_bytes())?;
    write(&(stack_bytes as u32).to_le_bytes())?;
    console.flush().map_err(|_| Error::Console)
}
