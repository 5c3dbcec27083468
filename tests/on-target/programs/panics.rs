//! A panic is told and ends the program, and the panic check sees that it can happen.
#![no_std]
#![no_main]

use core::hint::black_box;

#[mote_boards::entry]
fn main() -> ! {
    let numbers = [1, 2, 3];
    let index = black_box(5);
    defmt::info!("number {=i32}", numbers[index]);
    mote_boards::exit(0)
}
