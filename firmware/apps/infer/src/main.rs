//! The first app: runs an embedded plan on samples, writes every output tensor to the console as raw
//! bytes, and logs what happened. `build.rs` chooses plan and samples.
//!
//! Here is only the wiring to a board; [`app`] knows traits, [`model`] alone knows the runtime.
#![cfg_attr(target_os = "none", no_std, no_main)]
#![cfg_attr(not(target_os = "none"), allow(dead_code))]

mod app;
mod log;
mod model;
mod samples;

#[cfg(target_os = "none")]
#[mote_boards::entry]
fn main() -> ! {
    use mote_boards::{Board, CLOCK_HZ, NAME, cycles, exit, stack};

    log::info!("mote-infer on {=str}, {=u32} Hz", NAME, CLOCK_HZ);
    let Some(Board { mut console, .. }) = Board::take() else { exit(1) };
    let painted = stack::paint();
    let result = app::run(&mut console, cycles);
    log::info!("stack: {=usize} bytes", painted.high_water());
    match result {
        Ok(()) => exit(0),
        Err(error) => {
            log::error!("{}", error);
            exit(1)
        }
    }
}

/// On the host the app has nothing to run on.
#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("this is firmware: cargo xtask firmware run");
}
