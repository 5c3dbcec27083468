//! Watches a temperature sensor: a reading every half minute, one step of a streaming network for each, and an alarm by
//! a log line and a light as long as the readings are not what the network forecast.
//!
//! Here is only the wiring to a board; [`app`] knows traits, [`model`] alone knows the runtime, [`tmp105`] is the
//! sensor's driver.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod alarm;
#[cfg(target_os = "none")]
mod app;
#[cfg(target_os = "none")]
#[path = "../../log.rs"]
mod log;
#[cfg(target_os = "none")]
mod model;
#[cfg(all(target_os = "none", feature = "paced"))]
mod paced;
#[cfg(target_os = "none")]
mod tmp105;

#[cfg(target_os = "none")]
#[mote_boards::entry]
fn main() -> ! {
    use mote_boards::{Board, CLOCK_HZ, NAME, exit};

    log::info!("mote-sensor on {=str}, {=u32} Hz", NAME, CLOCK_HZ);
    let Some(Board { bus, delay, serial, mut led, .. }) = Board::take() else { exit(1) };
    #[cfg(feature = "paced")]
    let (_, mut clock) = (delay, paced::Paced(serial));
    #[cfg(not(feature = "paced"))]
    let (_, mut clock) = (serial, delay);
    let Err(error) = app::run(bus, &mut clock, &mut led);
    log::error!("{}", error);
    let _ = error; // without a log the code must do
    exit(1)
}

/// On the host the app has nothing to run on.
#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("this is firmware: cargo xtask firmware sensor");
}
