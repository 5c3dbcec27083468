//! Trains on its own data, as a member of a MoDeST network: a frozen int8 network makes features of its samples, the last
//! layer is trained in floats. Its gateway (`mote peer --device`) is at the other end of the board's serial port.
//!
//! Here is only the wiring to a board; [`app`] knows traits, [`features`] alone knows the engine, [`head`] what is trained,
//! [`job`] what a loader put into the board's memory: the key and the samples.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(all(target_os = "none", not(feature = "measure")))]
mod app;
#[cfg(target_os = "none")]
mod features;
#[cfg(target_os = "none")]
mod head;
#[cfg(target_os = "none")]
mod job;
#[cfg(target_os = "none")]
#[path = "../../log.rs"]
mod log;
#[cfg(all(target_os = "none", feature = "measure"))]
mod measure;

/// Why the app gave up.
#[derive(Debug, Clone, Copy, PartialEq)]
#[cfg_attr(feature = "log", derive(defmt::Format))]
#[cfg(target_os = "none")]
pub enum Error {
    /// The engine refused.
    Engine(mote_runtime::Error),
    /// Something was started before: its memory is taken.
    Taken,
    /// There is no job in the board's memory, or one for another network: bytes that a sample has, and should have.
    Job { given: usize, needed: usize },
    /// The frozen network gives no int8 features.
    Features,
    /// Training refused.
    Train(mote_runtime::train::TrainError),
    /// Memory for messages is too small.
    Room,
    /// The console does not take the results.
    #[cfg(feature = "measure")]
    Console,
}

#[cfg(target_os = "none")]
#[mote_boards::entry]
fn main() -> ! {
    use mote_boards::{Board, CLOCK_HZ, NAME, exit};

    log::info!("mote-train on {=str}, {=u32} Hz", NAME, CLOCK_HZ);
    let Some(board) = Board::take() else { exit(1) };
    #[cfg(feature = "measure")]
    let result = measure::run(board.received, board.console);
    #[cfg(not(feature = "measure"))]
    let result = {
        let Board { serial, mut clock, kept, received, .. } = board;
        let keep = mote_modest::slots::Slots(Retained(kept));
        app::run(received, serial, keep, || clock.milliseconds()).map(|never| match never {})
    };
    match result {
        Ok(()) => exit(0),
        Err(error) => {
            log::error!("{}", error);
            let _ = error; // without a log the code must do
            exit(1)
        }
    }
}

/// The board's memory that outlives resets.
#[cfg(all(target_os = "none", not(feature = "measure")))]
struct Retained(mote_boards::Kept);

#[cfg(all(target_os = "none", not(feature = "measure")))]
impl mote_modest::slots::Words for Retained {
    fn read(&self, index: usize) -> u32 {
        self.0.read(index)
    }

    fn write(&mut self, index: usize, value: u32) {
        self.0.write(index, value);
    }
}

/// On the host the app has nothing to run on.
#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("this is firmware: cargo xtask firmware train");
}
