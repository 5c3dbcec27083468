//! `lut_s8_mve`: `lut_s8`, 16 codes at a time: one load gathers the entries of all lanes.
//!
//! Input 0 and output: rows of equal length, in place or not. Constant 0: 256 codes; entry `x as u8` belongs to code
//! `x`. No scratch.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch};
pub use mote_runtime::kernels::lut_s8::check;

#[cfg(not(mote_mve))]
use super::lut_s8_dsp::plain as look_up;
use super::lut_s8_dsp::rows;

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    rows(call, look_up)
}

#[cfg(mote_mve)]
fn look_up(table: &[u8; 256], from: Option<&[u8]>, to: &mut [u8]) {
    let (len, start) = (to.len(), to.as_mut_ptr());
    // SAFETY: both rows have `len` codes, and the loop's last turn reads and writes only those that are left; each is
    // read before it is written in its place. Offsets are bytes, and the table has 256 of them.
    unsafe {
        core::arch::asm!(
            "wlstp.8 lr, r4, 3f",
            "2:",
            "vldrb.u8 q0, [r1], #16",
            "vldrb.u8 q1, [r2, q0]",
            "vstrb.8 q1, [r3], #16",
            "letp lr, 2b",
            "3:",
            inlateout("r1") from.map_or(start.cast_const(), <[u8]>::as_ptr) => _,
            in("r2") table.as_ptr(),
            inlateout("r3") start => _,
            in("r4") len,
            out("lr") _,
            out("d0") _, out("d1") _, out("d2") _, out("d3") _,
            options(nostack),
        );
    }
}
