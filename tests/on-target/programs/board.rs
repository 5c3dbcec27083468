//! The board: console, delay, stack painting.
#![no_std]
#![no_main]

use core::hint::black_box;

use embedded_hal::delay::DelayNs;
use embedded_io::Write;
use mote_boards::{Board, exit, stack};

#[mote_boards::entry]
fn main() -> ! {
    let Some(Board { mut console, mut delay, .. }) = Board::take() else { exit(1) };
    defmt::info!("taken twice: {=bool}", Board::take().is_some());

    let painted = stack::paint();
    let nothing = painted.high_water();
    use_stack();
    let used = painted.high_water();
    defmt::info!("stack: {=bool} {=bool}", nothing < 256, (2000..2500).contains(&used));

    pause(&mut delay);
    match console.write_all(b"Mote").and_then(|()| console.flush()) {
        Ok(()) => exit(7),
    }
}

fn pause(delay: &mut impl DelayNs) {
    delay.delay_us(100);
}

#[inline(never)]
fn use_stack() {
    black_box([0u8; 2000]);
}
