//! What is trained: a dense layer from the features to the classes; and all memory that this takes.

use mote_modest::device::{Device, HEAD_BYTES, Keep};
use mote_runtime::train::{Conv, Layer, Network, Trainer, Training};
use static_cell::ConstStaticCell;

use crate::{Error, features::FEATURES};

const CLASSES: usize = include!(concat!(env!("OUT_DIR"), "/classes.rs"));
static LAYERS: [Layer; 1] = [Layer::Conv(Conv::dense(FEATURES, CLASSES), Training::All)];
const NETWORK: Network<'static> = match Network::new(&LAYERS) {
    Ok(network) => network,
    Err(_) => panic!("the frozen network gives no features"),
};

/// Bytes of a packet on the line.
pub const PACKET: usize = 160;
/// Numbers of the trainer.
pub const TRAINER: usize = NETWORK.memory(true).total() / 4;
/// Bytes of a message: parameters that come, and the update that goes.
pub const MESSAGE: usize = {
    let needed = Device::<Nowhere, PACKET>::message_bytes(NETWORK.trained());
    if needed > HEAD_BYTES { needed } else { HEAD_BYTES }
};

static NUMBERS: ConstStaticCell<[f32; TRAINER]> = ConstStaticCell::new([0.0; TRAINER]);
static INPUT: ConstStaticCell<[f32; FEATURES]> = ConstStaticCell::new([0.0; FEATURES]);
static MESSAGES: ConstStaticCell<[u8; MESSAGE]> = ConstStaticCell::new([0; MESSAGE]);

/// All memory of training and of the line, but that of the device itself.
pub struct Memory {
    pub trainer: Trainer<'static>,
    pub input: &'static mut [f32],
    pub message: &'static mut [u8],
}

/// Hands it out; once.
pub fn memory() -> Result<Memory, Error> {
    let numbers = NUMBERS.try_take().ok_or(Error::Taken)?;
    let input = INPUT.try_take().ok_or(Error::Taken)?;
    let message = MESSAGES.try_take().ok_or(Error::Taken)?;
    let trainer = Trainer::new(NETWORK, &[], numbers, true).map_err(Error::Train)?;
    Ok(Memory { trainer, input, message })
}

/// A place for nothing: sizes are the same for all.
pub enum Nowhere {}

impl Keep for Nowhere {
    type Error = Nowhere;

    fn load(&mut self) -> Result<u64, Nowhere> {
        match *self {}
    }

    fn store(&mut self, _: u64) -> Result<(), Nowhere> {
        match *self {}
    }
}
