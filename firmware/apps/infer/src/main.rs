//! The first app: runs an embedded plan on samples, writes the outputs to the console, and logs what
//! happened. `build.rs` chooses plan and samples.
//!
//! Here is only the wiring to a board; [`app`] knows traits, [`model`] alone knows the runtime.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod app;
#[cfg(target_os = "none")]
#[path = "../../log.rs"]
mod log;
#[cfg(target_os = "none")]
mod model;
#[cfg(target_os = "none")]
#[path = "../../random.rs"]
mod random;
#[cfg(target_os = "none")]
mod samples;

#[cfg(target_os = "none")]
#[mote_boards::entry]
fn main() -> ! {
    use mote_boards::{Board, CLOCK_HZ, NAME, cycles, exit, stack};

    log::info!("mote-infer on {=str}, {=u32} Hz", NAME, CLOCK_HZ);
    let Some(Board { mut console, .. }) = Board::take() else { exit(1) };
    let painted = stack::paint();
    let result = app::run(&mut console, cycles).and_then(|()| {
        let stack_bytes = painted.high_water();
        log::info!("stack: {=usize} bytes", stack_bytes);
        app::report(&mut console, stack_bytes)
    });
    match result {
        Ok(()) => exit(0),
        Err(error) => {
            log::error!("{}", error);
            let _ = error; // without a log the code must do
            exit(1)
        }
    }
}

/// On the host the app has nothing to run on.
#[cfg(not(target_os = "none"))]
fn main() {
    eprintln!("this is firmware: cargo xtask firmware run");
}
