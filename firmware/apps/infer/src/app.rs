//! The app proper. It knows the embedded-hal and embedded-io traits, and nothing of any board.

use embedded_io::Write;
use mote_runtime::Progress;

use crate::{
    log,
    model::{self, Model},
    samples,
};

/// Why the app gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "log", derive(defmt::Format))]
pub enum Error {
    /// The engine refused.
    Model(mote_runtime::Error),
    /// The model was started before: its memory is taken.
    Taken,
    /// The samples don't have the input's size.
    Samples { given: usize, needed: usize },
    /// The console does not take the output.
    Console,
}

impl From<mote_runtime::Error> for Error {
    fn from(error: mote_runtime::Error) -> Self {
        Self::Model(error)
    }
}

/// Runs the model on every sample and writes each output tensor as raw bytes. `cycles` is the board's
/// free-running cycle counter.
pub fn run(console: &mut impl Write, cycles: impl Fn() -> u32) -> Result<(), Error> {
    let mut model = Model::start()?;
    log::info!("arena: {=usize} bytes, state: {=usize} bytes", model::ARENA_BYTES, model::STATE_BYTES);
    for index in 0..samples::COUNT {
        let begin = cycles();
        let fill = |format: &_, first, bytes: &mut _| samples::write(index, format, first, bytes);
        let progress = model.run(fill)?;
        let taken = cycles().wrapping_sub(begin);
        if let Progress::Pending { frames_left } = progress {
            log::info!("sample {=usize}: {=u32} frames left, {=u32} cycles", index, frames_left, taken);
            let _ = frames_left;
            continue;
        }
        let output = model.output()?;
        log::info!("sample {=usize}: class {=usize}, {=u32} cycles", index, model::best(output), taken);
        let _ = taken; // without a log nobody asks
        console.write_all(output.bytes()).map_err(|_| Error::Console)?;
    }
    Ok(())
}

/// Writes what the app measured itself behind the outputs, for `cargo xtask bench`: the most stack in use (u32).
pub fn report(console: &mut impl Write, stack_bytes: usize) -> Result<(), Error> {
    console.write_all(&(stack_bytes as u32).to_le_bytes()).map_err(|_| Error::Console)?;
    console.flush().map_err(|_| Error::Console)
}
