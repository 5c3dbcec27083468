//! The taps of one output as a list of places, for depthwise layers of any kernel and for pools.

use core::marker::PhantomData;
use core::mem::MaybeUninit;

use mote_runtime::kernels::columns::Columns;

use super::window::Window;

/// Most taps of a kernel.
pub const TAPS: usize = 64;

/// Where the channels of each tap are.
pub struct Taps<'a> {
    starts: [MaybeUninit<*const u8>; TAPS],
    len: usize,
    channels: usize,
    lifetime: PhantomData<&'a [u8]>,
}

impl<'a> Taps<'a> {
    /// No taps yet, of `channels` channels.
    #[inline(always)]
    pub fn new(channels: usize) -> Self {
        Self { starts: [const { MaybeUninit::uninit() }; TAPS], len: 0, channels, lifetime: PhantomData }
    }

    /// Lists the taps of output column `column` over rows of `width` columns: all of them, those outside being `padding`,
    /// or without `padding` those inside. `None` if there is no room, or not all of their channels are there.
    #[inline(always)]
    pub fn list(
        &mut self,
        window: &Window<'a>,
        columns: &Columns,
        column: usize,
        width: usize,
        padding: Option<&'a [u8]>,
    ) -> Option<()> {
        let channels = self.channels;
        let complete = width.checked_mul(channels)? <= window.row_bytes()
            && padding.is_none_or(|padding| padding.len() >= channels)
            && columns.kernel_width.checked_mul(window.count())? <= TAPS;
        if !complete {
            return None;
        }
        let first = (column * columns.stride) as isize - columns.pad_left;
        let mut list = self.starts.iter_mut();
        let mut left = TAPS;
        for start in window.starts() {
            let mut at = first;
            for _ in 0..columns.kernel_width {
                // What lies left of the row wraps to where it has no columns.
                let inside = (at as usize) < width && !start.is_null();
                let place = match padding {
                    _ if inside => start.wrapping_add(at as usize * channels),
                    Some(padding) => padding.as_ptr(),
                    None => core::ptr::null(),
                };
                at += columns.dilation as isize;
                if !place.is_null() {
                    list.next()?.write(place);
                    left -= 1;
                }
            }
        }
        self.len = TAPS - left;
        Some(())
    }

    /// Where the channels of each tap begin, all of which are there.
    #[inline(always)]
    pub fn starts(&self) -> &[*const u8] {
        let starts = self.starts.get(..self.len).unwrap_or_default();
        // SAFETY: the first `len` have been written.
        unsafe { core::slice::from_raw_parts(starts.as_ptr().cast(), starts.len()) }
    }

    /// The channels of each tap.
    #[cfg_attr(mote_mve, allow(dead_code))]
    pub fn places(&self) -> impl Iterator<Item = &'a [u8]> {
        // SAFETY: `list` has found all channels there, for as long as the list says.
        self.starts().iter().map(|start| unsafe { core::slice::from_raw_parts(*start, self.channels) })
    }

    /// Channels of a tap.
    pub fn channels(&self) -> usize {
        self.channels
    }
}
