//! The app behind `mote profile`: runs a plan that a loader has put into the board's memory, so that one image serves
//! every plan. It holds all kernels of the target, and binds the plan as if it had come over the air.
//!
//! Here is only the wiring to a board; [`app`] does the work, [`job`] knows what the loader writes.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod app;
#[cfg(target_os = "none")]
mod job;
#[cfg(target_os = "none")]
#[path = "../../random.rs"]
mod random;

#[cfg(target_os = "none")]
#[mote_boards::entry]
fn main() -> ! {
    use mote_boards::{Board, exit, stack};

    let Some(Board { mut console, received, work, .. }) = Board::take() else { exit(1) };
    let painted = stack::paint();
    let result =
        app::run(received, work).and_then(|laps| app::report(&mut console, laps, painted.high_water()));
    match result {
        Ok(()) => exit(0),
        Err(error) => exit(error.code()),
    }
}

/// On the host the app has nothing to run on.
#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("this is firmware: mote profile");
}
