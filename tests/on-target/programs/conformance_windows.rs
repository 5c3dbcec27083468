//! Convolutions and depthwise layers of the conformance suite, by the kernels of this core.
#![no_std]
#![no_main]

mod conformance;

const LEN: usize = include_bytes!(concat!(env!("OUT_DIR"), "/windows.bin")).len();

// SAFETY: constants may lie in any memory that is loaded with the image.
#[unsafe(link_section = ".large")]
static CASES: conformance::Aligned<[u8; LEN]> =
    conformance::Aligned(*include_bytes!(concat!(env!("OUT_DIR"), "/windows.bin")));

#[mote_boards::entry]
fn main() -> ! {
    conformance::run(&CASES.0)
}
