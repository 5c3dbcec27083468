//! What happens when nothing works any more: the image says so and ends with a code of its own.

use core::panic::PanicInfo;

use cortex_m_rt::{ExceptionFrame, exception};

const EXIT_PANIC: i32 = 101;
const EXIT_HARD_FAULT: i32 = 102;

#[panic_handler]
#[cfg_attr(not(feature = "log"), allow(unused_variables))]
fn panic(info: &PanicInfo) -> ! {
    #[cfg(feature = "log")]
    defmt::error!("{}", defmt::Display2Format(info));
    crate::exit(EXIT_PANIC)
}

// SAFETY: the handler touches nothing that the interrupted code owns but the log, which it may find
// half written: it gives up after that.
#[exception]
unsafe fn HardFault(frame: &ExceptionFrame) -> ! {
    #[cfg(feature = "log")]
    defmt::error!("hard fault at {=u32:#x}", frame.pc());
    let _ = frame;
    crate::exit(EXIT_HARD_FAULT)
}
