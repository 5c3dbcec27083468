//! Hears keywords: samples in, front end, one step of a streaming network for each frame, detections out: by a log
//! line, and by a light that is on while a keyword lasts.
//!
//! Here is only the wiring to a board; [`app`] knows traits, [`model`] alone knows the runtime, [`sound`] what the
//! network was trained on. `build.rs` tells what is embedded.
#![cfg_attr(target_os = "none", no_std, no_main)]

#[cfg(target_os = "none")]
mod app;
#[cfg(target_os = "none")]
#[path = "../../log.rs"]
mod log;
#[cfg(target_os = "none")]
mod model;
#[cfg(target_os = "none")]
mod sound;

#[cfg(target_os = "none")]
#[mote_boards::entry]
fn main() -> ! {
    use mote_boards::{Board, CLOCK_HZ, NAME, exit, stack};

    log::info!("mote-keyword on {=str}, {=u32} Hz", NAME, CLOCK_HZ);
    #[cfg_attr(not(feature = "results"), expect(unused_variables, unused_mut))]
    let Some(Board { mut console, serial, mut led, .. }) = Board::take() else { exit(1) };
    let painted = stack::paint();
    #[cfg(feature = "serial")]
    let mut sound = sound::Serial::new(serial);
    #[cfg(not(feature = "serial"))]
    let mut sound = {
        let _ = serial;
        sound::EMBEDDED
    };
    let result = app::run(&mut sound, &mut led, |_result| {
        #[cfg(feature = "results")]
        embedded_io::Write::write_all(&mut console, _result).map_err(|_| app::Error::Console)?;
        Ok(())
    });
    let stack_bytes = painted.high_water();
    log::info!("stack: {=usize} bytes", stack_bytes);
    let _ = stack_bytes; // without a log nobody asks
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
    eprintln!("this is firmware: cargo xtask firmware keyword");
}
