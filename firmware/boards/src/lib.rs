//! The boards. Each is one small module that names its clock, its console and its memory map
//! (`memory/<board>.x`); everything above it sees only [`Board`], whose parts implement the
//! embedded-hal and embedded-io traits. A cargo feature chooses the board.
//!
//! May be called by an app's `main.rs`, never by the app's own code, which knows the traits only.
//! The crate also brings what every image needs: vector table and reset code (cortex-m-rt, which
//! switches the floating-point unit on), the panic and fault handlers, and [`stack`] to find out how
//! much stack was used. On the host it is empty.
#![no_std]
#![cfg(target_os = "none")]

#[cfg(feature = "mps2-an386")]
#[path = "mps2_an386.rs"]
mod board;
#[cfg(feature = "mps2-an500")]
#[path = "mps2_an500.rs"]
mod board;
#[cfg(feature = "mps2-an505")]
#[path = "mps2_an505.rs"]
mod board;
#[cfg(feature = "mps3-an547")]
#[path = "mps3_an547.rs"]
mod board;
#[cfg(feature = "microbit")]
#[path = "microbit.rs"]
mod board;
mod fail;
mod interrupts;
#[cfg(feature = "mps2")]
mod mps2;
mod registers;
#[cfg(feature = "mps2")]
mod reserved;
#[cfg(feature = "mps2")]
mod sbcon;
pub mod stack;

#[cfg(feature = "mps2")]
pub use board::{Bus, Clock, Led, Serial};
pub use board::{CLOCK_HZ, Console, NAME};
use cortex_m::delay::Delay;
pub use cortex_m_rt::entry;
#[cfg(feature = "mps2")]
pub use reserved::Kept;
// The logger registers itself by being linked.
#[cfg(feature = "log")]
use defmt_semihosting as _;

/// The parts of the board that apps use.
pub struct Board {
    /// Bytes to and from the outside: results, and what a host sends. Not for logs.
    pub console: Console,
    /// A faster way in, at 921,600 baud: sound.
    #[cfg(feature = "mps2")]
    pub serial: Serial,
    /// I2C at 100 kHz, as sensors are plugged to.
    #[cfg(feature = "mps2")]
    pub bus: Bus,
    /// A light that shows something to the user.
    #[cfg(feature = "mps2")]
    pub led: Led,
    /// Where a loader puts what comes with the image; whatever lies there if none did.
    #[cfg(feature = "mps2")]
    pub received: &'static [u8],
    /// Milliseconds.
    #[cfg(feature = "mps2")]
    pub clock: Clock,
    /// Words that outlive resets.
    #[cfg(feature = "mps2")]
    pub kept: Kept,
    /// Memory beside that of the image, for what has no known size.
    #[cfg(feature = "mps2")]
    pub work: &'static mut [u8],
    /// Busy waiting.
    pub delay: Delay,
}

impl Board {
    /// The board, once; `None` when it was taken before.
    pub fn take() -> Option<Self> {
        #[cfg_attr(feature = "microbit", expect(unused_mut, reason = "an ARMv6-M core has no cycle counter"))]
        let mut core = cortex_m::Peripherals::take()?;
        #[cfg(not(feature = "microbit"))]
        {
            core.DCB.enable_trace();
            core.DWT.enable_cycle_counter();
        }
        Some(Self {
            console: board::console(),
            #[cfg(feature = "mps2")]
            serial: board::serial(),
            #[cfg(feature = "mps2")]
            bus: board::bus(),
            #[cfg(feature = "mps2")]
            led: board::led(),
            #[cfg(feature = "mps2")]
            received: reserved::received(),
            #[cfg(feature = "mps2")]
            clock: board::clock(),
            #[cfg(feature = "mps2")]
            kept: Kept::new(),
            // SAFETY: the core's peripherals were taken, which succeeds once: there is no other reference.
            #[cfg(feature = "mps2")]
            work: unsafe { reserved::work() },
            delay: Delay::new(core.SYST, CLOCK_HZ),
        })
    }
}

/// Cycles since the board was taken, wrapping; always zero in the emulator and on an ARMv6-M core, which have no such
/// counter.
pub fn cycles() -> u32 {
    #[cfg(feature = "microbit")]
    return 0;
    #[cfg(not(feature = "microbit"))]
    cortex_m::peripheral::DWT::cycle_count()
}

/// Ends the program; under a debugger or emulator with this exit code.
pub fn exit(code: i32) -> ! {
    semihosting::process::exit(code)
}
