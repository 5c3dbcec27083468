//! The taps of one output as a list of places, for depthwise layers of any kernel and for pools; the inner loop of the
//! former.

/// Most taps of a kernel.
pub const TAPS: usize = 64;

/// Where the channels of each tap are.
pub struct Taps<'a> {
    places: [&'a [u8]; TAPS],
    #[cfg(mote_dsp)]
    starts: [*const u8; TAPS],
    len: usize,
    channels: usize,
}

/// Weights of four channels of a tap, twice each, in 16 bits: channels 0 and 2, then 1 and 3.
pub type Weights = [u32; 2];

impl<'a> Taps<'a> {
    /// No taps yet, of `channels` channels.
    pub fn new(channels: usize) -> Self {
        Self {
            places: [&[]; TAPS],
            #[cfg(mote_dsp)]
            starts: [core::ptr::null(); TAPS],
            len: 0,
            channels,
        }
    }

    /// Forgets all taps.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Adds a tap. `None` if there is no room, or `place` does not have all channels.
    #[inline(always)]
    pub fn push(&mut self, place: &'a [u8]) -> Option<()> {
        let kept = self.places.get_mut(self.len).filter(|_| place.len() >= self.channels)?;
        *kept = place;
        #[cfg(mote_dsp)]
        {
            *self.starts.get_mut(self.len)? = place.as_ptr();
        }
        self.len += 1;
        Some(())
    }

    /// Where the channels of each tap begin, all of which are there.
    #[cfg(mote_dsp)]
    pub fn starts(&self) -> &[*const u8] {
        self.starts.get(..self.len).unwrap_or_default()
    }

    /// The channels of each tap.
    #[cfg_attr(mote_mve, allow(dead_code))]
    pub fn places(&self) -> &[&'a [u8]] {
        self.places.get(..self.len).unwrap_or_default()
    }

    /// Channels of a tap.
    #[cfg(mote_dsp)]
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// The sums of four channels from `channel` on. `None` if there are not as many, or weights of as many taps.
    #[inline(always)]
    pub fn sums(&self, channel: usize, weights: &[Weights], start: [i32; 4]) -> Option<[i32; 4]> {
        if channel.checked_add(4)? > self.channels || weights.len() < self.len || self.len == 0 {
            return None;
        }
        #[cfg(mote_dsp)]
        // SAFETY: each place has four channels from `channel` on, and there are weights for each.
        return Some(unsafe { arm::sums(self.starts.get(..self.len)?, channel, weights, start) });
        #[cfg(not(mote_dsp))]
        plain::sums(self.places.get(..self.len)?, channel, weights, start)
    }
}

#[cfg(not(mote_dsp))]
mod plain {
    use super::Weights;
    use crate::kernels::instructions::{sxtb16, sxtb16_ror8};

    pub fn sums(places: &[&[u8]], channel: usize, weights: &[Weights], start: [i32; 4]) -> Option<[i32; 4]> {
        let low = |x: u32, w: u32| i32::from(x as i16) * i32::from(w as i16);
        let high = |x: u32, w: u32| (x as i32 >> 16) * (w as i32 >> 16);
        let [mut a, mut b, mut c, mut d] = start;
        for (place, &[even, odd]) in places.iter().zip(weights) {
            let word = u32::from_le_bytes(*place.get(channel..)?.first_chunk()?);
            let (x, y) = (sxtb16(word), sxtb16_ror8(word));
            (a, b) = (a.wrapping_add(low(x, even)), b.wrapping_add(low(y, odd)));
            (c, d) = (c.wrapping_add(high(x, even)), d.wrapping_add(high(y, odd)));
        }
        Some([a, b, c, d])
    }
}

#[cfg(mote_dsp)]
mod arm {
    use super::Weights;

    /// # Safety
    /// There must be a start; four bytes must be readable `channel` bytes behind each, and weights for each.
    #[inline(always)]
    pub unsafe fn sums(
        starts: &[*const u8],
        channel: usize,
        weights: &[Weights],
        start: [i32; 4],
    ) -> [i32; 4] {
        let [mut a, mut b, mut c, mut d] = start;
        // SAFETY: the caller's promise; `LDR` reads words at any address.
        unsafe {
            core::arch::asm!(
                "2:",
                "ldr {x}, [{starts}], #4",
                "ldrd {even}, {odd}, [{weights}], #8",
                "ldr {x}, [{x}, {channel}]",
                "sxtb16 {y}, {x}",
                "sxtb16 {x}, {x}, ror #8",
                "smlabb {a}, {y}, {even}, {a}",
                "smlatt {c}, {y}, {even}, {c}",
                "smlabb {b}, {x}, {odd}, {b}",
                "smlatt {d}, {x}, {odd}, {d}",
                "cmp {starts}, {end}",
                "bne 2b",
                starts = inout(reg) starts.as_ptr() => _, end = in(reg) starts.as_ptr_range().end,
                weights = inout(reg) weights.as_ptr() => _, channel = in(reg) channel,
                x = out(reg) _, y = out(reg) _, even = out(reg) _, odd = out(reg) _,
                a = inout(reg) a, b = inout(reg) b, c = inout(reg) c, d = inout(reg) d,
                options(readonly, nostack),
            );
        }
        [a, b, c, d]
    }
}
