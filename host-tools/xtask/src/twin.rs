//! Compares outputs of an emulated microcontroller with the host's: the same plan, the same random samples.

use anyhow::{Result, bail};

use crate::{
    board::Board,
    golden,
    models::{self, Model},
    npy,
    steps::Tally,
    workspace::target,
};

/// Checks the image of this model as [`golden::run`] does, and runs it on `count` random samples; each output that
/// equals the host's in every byte is a test passed.
pub fn run_both(board: &Board, model: &Model, count: usize) -> Result<Tally> {
    const SEED: u64 = 1;
    let plan = model.convert(board, &[])?;
    let console = golden::checked_run(board, &plan, SEED, count)?;

    let facts = models::facts(&plan)?;
    let (dtype, shape) = facts.input()?;
    if dtype != "int8" {
        bail!("the input of {} is {dtype}: there are samples for int8 only", model.name);
    }
    let length: usize = shape.iter().product();
    let samples: Vec<u8> = (0..count * length).map(|index| (golden::word(SEED, index) >> 56) as u8).collect();
    let whole: Vec<_> = [count].iter().chain(shape.iter().skip(1)).copied().collect();
    let input = npy::write("|i1", &whole, &samples)?;
    let expected = models::outputs(&plan, &input, &target()?.join("twins"))?;

    let length = expected.len() / count.max(1);
    if length == 0 || console.len() < expected.len() {
        bail!("{} bytes of output instead of {}", console.len(), expected.len());
    }
    let mut tally = golden::CHECKED;
    for (index, (own, hosts)) in console.chunks(length).zip(expected.chunks(length)).enumerate() {
        if own == hosts {
            tally.passed += 1;
        } else {
            tally.failed += 1;
            eprintln!("{}: sample {index} gives {own:?}, on the host {hosts:?}", model.name);
        }
    }
    Ok(tally)
}
