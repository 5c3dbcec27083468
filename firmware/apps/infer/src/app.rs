//! The app proper. It knows the embedded-hal and embedded-io traits, and nothing of any board.

use embedded_io::Write;

use crate::{log, model::Model, samples};

/// Why the app gave up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[cfg_attr(feature = "log", derive(defmt::Format))]
pub enum Error {
    /// The samples don't have the input's size.
    Samples { sample_bytes: usize, input_bytes: usize },
    /// The console does not take the output.
    Console,
}

/// Runs the model on every sample; `cycles` is the board's free-running cycle counter.
pub fn run(console: &mut impl Write, cycles: impl Fn() -> u32) -> Result<(), Error> {
    let mut model = Model::start()?;
    for index in 0..samples::COUNT {
        samples::write(index, model.input())?;
        let begin = cycles();
        model.run();
        let taken = cycles().wrapping_sub(begin);
        let output = model.output();
        log::info!("sample {=usize}: class {=usize}, {=u32} cycles", index, best(output), taken);
        console.write_all(output).map_err(|_| Error::Console)?;
    }
    console.flush().map_err(|_| Error::Console)
}

/// Index of the largest value of an int8 tensor; the first one where several are equal.
fn best(output: &[u8]) -> usize {
    let mut best = (0, i8::MIN);
    for (index, &byte) in output.iter().enumerate() {
        let value = byte as i8;
        if value > best.1 {
            best = (index, value);
        }
    }
    best.0
}
