//! One training by itself. Marked for the counter: the frozen network on each sample (inferences), each sample's training,
//! and the signing of the update (sections). The console gets what the host computes again: codes of the features, trained
//! parameters; behind them sizes.

use core::convert::Infallible;

use embedded_io::Write;
use mote_boards::stack;
use mote_cortex_m::mark;
use mote_modest::{
    device::Device,
    local::{Local, Recipe},
    slots::{Slots, Words},
    vouch::{Claim, hash},
};

use crate::{
    Error,
    features::{self, Features},
    head::{self, MESSAGE, PACKET, TRAINER},
    job::Job,
};

/// As `host-tools/xtask/src/train.rs` has it.
const RECIPE: Recipe = Recipe { rate: 0.05, momentum: 0.9, batch: 4, epochs: 2 };
const SEED: u64 = 1;

/// A device's memory, to know how much it is; nothing is kept.
struct NoWords;

impl Words for NoWords {
    fn read(&self, _: usize) -> u32 {
        0
    }

    fn write(&mut self, _: usize, _: u32) {}
}

pub fn run(received: &'static [u8], mut console: impl Write<Error = Infallible>) -> Result<(), Error> {
    let painted = stack::paint();
    let job = Job::read(received)?;
    let mut features = Features::make(&job)?;
    let head::Memory { mut trainer, input, message } = head::memory()?;
    trainer.initialize(SEED);
    for (to, number) in message.as_chunks_mut().0.iter_mut().zip(trainer.parameters()) {
        *to = number.to_le_bytes();
    }
    let (numbers, _) = message.as_chunks();
    let base = numbers.get(..trainer.parameters().len()).unwrap_or_default();
    let base = base.iter().map(|bytes| f32::from_le_bytes(*bytes));
    let mut local = Local::begin(&mut trainer, RECIPE, job.count, base).map_err(Error::Train)?;
    loop {
        mark::begin_section();
        let done = local.step(&mut trainer, &mut features, input);
        mark::end_section();
        if done.map_err(Error::Train)? {
            break;
        }
    }
    mark::begin_section();
    let (base, update) = (hash(message), hash(message));
    let claim = Claim { task: 1, round: 1, base, update, counter: 1 };
    core::hint::black_box(claim.sign(job.secret));
    mark::end_section();
    let stack = painted.high_water();
    let (codes, scale, zero_point) = features.told();
    let mut tell = |bytes: &[u8]| console.write_all(bytes).map_err(|_| Error::Console);
    for code in codes.as_flattened() {
        tell(&code.to_le_bytes())?;
    }
    for number in trainer.parameters() {
        tell(&number.to_le_bytes())?;
    }
    tell(&scale.to_le_bytes())?;
    tell(&zero_point.to_le_bytes())?;
    let [arena, state, codes] = features::MEMORY;
    let line = size_of::<Device<'static, Slots<NoWords>, PACKET>>();
    let sizes = [arena, state, codes, 4 * input.len(), 4 * TRAINER, MESSAGE, line, stack];
    sizes.iter().try_for_each(|size| tell(&(*size as u32).to_le_bytes()))
}
