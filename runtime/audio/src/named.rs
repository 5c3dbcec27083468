//! The front ends of networks that this project runs, with tables in flash.

use crate::{Built, FrontEnd, Logarithm, Recipe, Window};

/// The streaming wakeword network of MLPerf Tiny: 40 filters from 64 ms of 16 kHz sound, every 32 ms.
///
/// The network's int8 input is quantized by [`Rounding::TowardsZero`](crate::Rounding::TowardsZero).
pub mod wakeword {
    use super::*;

    pub const RECIPE: Recipe = Recipe {
        rate: 16_000,
        preemphasis: 0.96875,
        window: 1024,
        shape: Window::Hamming,
        periodic: false,
        hop: 512,
        fft: 1024,
        mels: 40,
        low: 0.0,
        high: 8000.0,
        power_floor: 1e-30,
        mel_floor: 1e-30,
        logarithm: Logarithm::Decibel,
        offset: 52.0,
        scale: 1.0 / 64.0,
        clip: (0.0, 1.0),
    };

    pub static TABLES: Built<1024, 40, { RECIPE.weights() }> = match Built::new(&RECIPE) {
        Ok(tables) => tables,
        Err(_) => panic!("the wakeword recipe contradicts itself"),
    };

    /// At the start of a stream.
    pub const NEW: FrontEnd<'static, 1024, 40> = match FrontEnd::new(&RECIPE, TABLES.tables()) {
        Ok(front) => front,
        Err(_) => panic!("the wakeword tables do not fit the recipe"),
    };
}

/// The spoken-digit networks of `models/continual`: 32 filters from 30 ms of 8 kHz sound, every 16 ms.
pub mod digits {
    use super::*;

    pub const RECIPE: Recipe = Recipe {
        rate: 8_000,
        preemphasis: 0.0,
        window: 240,
        shape: Window::Hann,
        periodic: true,
        hop: 128,
        fft: 256,
        mels: 32,
        low: 60.0,
        high: 3800.0,
        power_floor: 0.0,
        mel_floor: 1e-8,
        logarithm: Logarithm::Natural,
        offset: 16.0,
        scale: 1.0 / 16.0,
        clip: (0.0, 1.0),
    };

    pub static TABLES: Built<240, 32, { RECIPE.weights() }> = match Built::new(&RECIPE) {
        Ok(tables) => tables,
        Err(_) => panic!("the recipe of the digits contradicts itself"),
    };

    /// At the start of a stream.
    pub const NEW: FrontEnd<'static, 256, 32> = match FrontEnd::new(&RECIPE, TABLES.tables()) {
        Ok(front) => front,
        Err(_) => panic!("the tables of the digits do not fit the recipe"),
    };
}
