//! Memory behind everything else: reserved piece by piece, never given back. (An instance holds one network, and goes
//! with it.)

use core::arch::wasm32::{memory_grow, memory_size};

const PAGE: usize = 1 << 16;
/// Alignment of all pieces.
const ALIGN: usize = mote_runtime::plan::ALIGN;

/// Where the next piece starts; 0 before the first.
static mut NEXT: usize = 0;

/// `bytes` of zeros; `None` if the engine gives no more.
pub fn reserve(bytes: usize) -> Option<&'static mut [u8]> {
    let end = memory_size(0).checked_mul(PAGE)?;
    // SAFETY: WebAssembly without threads: nothing else reads or writes it meanwhile.
    let start = match unsafe { NEXT } {
        0 => end,
        next => next,
    };
    let next = start.checked_add(bytes.checked_next_multiple_of(ALIGN)?)?;
    if next > end && memory_grow(0, (next - end).div_ceil(PAGE)) == usize::MAX {
        return None;
    }
    // SAFETY: as above.
    unsafe { NEXT = next };
    // SAFETY: pages behind everything that the linker placed, `start..next` of them for this piece alone; the engine fills
    // new pages with zeros.
    Some(unsafe { core::slice::from_raw_parts_mut(start as *mut u8, bytes) })
}

/// `count` values.
pub fn many<T: Copy>(count: usize, value: T) -> Option<&'static mut [T]> {
    const { assert!(align_of::<T>() <= ALIGN) };
    let start = reserve(count.checked_mul(size_of::<T>())?)?.as_mut_ptr().cast::<T>();
    for i in 0..count {
        // SAFETY: inside of what was reserved, and aligned.
        unsafe { start.add(i).write(value) };
    }
    // SAFETY: all of them were written.
    Some(unsafe { core::slice::from_raw_parts_mut(start, count) })
}

/// A value that stays.
pub fn keep<T>(value: T) -> Option<&'static mut T> {
    const { assert!(align_of::<T>() <= ALIGN) };
    let start = reserve(size_of::<T>())?.as_mut_ptr().cast::<T>();
    // SAFETY: reserved for this value alone, and aligned.
    unsafe {
        start.write(value);
        Some(&mut *start)
    }
}
