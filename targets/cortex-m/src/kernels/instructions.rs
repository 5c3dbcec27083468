//! Instructions of the DSP extension as functions; plain Rust elsewhere.
//!
//! Where an instruction sets the sticky flag Q, nobody reads it.

/// Declares instructions with their plain bodies.
macro_rules! instructions {
    ($($(#[$doc:meta])* fn $name:ident($($arg:ident: $type:ty),*) -> $result:ty = $text:literal, $options:tt, $body:expr;)*) => {
        $($(#[$doc])*
        #[inline(always)]
        pub fn $name($($arg: $type),*) -> $result {
            #[cfg(mote_dsp)]
            {
                let result: $result;
                // SAFETY: reads and writes the named registers only, and the core has the instruction: the build
                // script sets the condition.
                unsafe {
                    core::arch::asm!(
                        $text, result = lateout(reg) result, $($arg = in(reg) $arg,)* options $options
                    );
                }
                result
            }
            #[cfg(not(mote_dsp))]
            $body
        })*
    };
}

instructions! {
    /// Bytes 0 and 2, each sign-extended to 16 bits.
    fn sxtb16(word: u32) -> u32 = "sxtb16 {result}, {word}", (pure, nomem, nostack, preserves_flags),
        pair(i16::from(word as i8), i16::from((word >> 16) as i8));

    /// Bytes 1 and 3, each sign-extended to 16 bits.
    fn sxtb16_ror8(word: u32) -> u32 = "sxtb16 {result}, {word}, ror #8", (pure, nomem, nostack, preserves_flags),
        pair(i16::from((word >> 8) as i8), i16::from((word >> 24) as i8));

    /// The upper half of the product.
    fn smmul(a: i32, b: i32) -> i32 = "smmul {result}, {a}, {b}", (pure, nomem, nostack, preserves_flags),
        ((i64::from(a) * i64::from(b)) >> 32) as i32;

    /// The upper half of the product, rounded half up.
    fn smmulr(a: i32, b: i32) -> i32 = "smmulr {result}, {a}, {b}", (pure, nomem, nostack, preserves_flags),
        ((i64::from(a) * i64::from(b) + (1 << 31)) >> 32) as i32;

    /// `acc` plus the upper half of the product.
    fn smmla(a: i32, b: i32, acc: i32) -> i32 = "smmla {result}, {a}, {b}, {acc}", (pure, nomem, nostack, preserves_flags),
        acc.wrapping_add(((i64::from(a) * i64::from(b)) >> 32) as i32);

    /// `acc` plus the upper half of the product, rounded half up.
    fn smmlar(a: i32, b: i32, acc: i32) -> i32 = "smmlar {result}, {a}, {b}, {acc}", (pure, nomem, nostack, preserves_flags),
        acc.wrapping_add(((i64::from(a) * i64::from(b) + (1 << 31)) >> 32) as i32);

    /// `acc` plus the products of both halves.
    fn smlad(x: u32, y: u32, acc: i32) -> i32 = "smlad {result}, {x}, {y}, {acc}", (pure, nomem, nostack), {
        let low = i32::from(x as i16) * i32::from(y as i16);
        acc.wrapping_add(low).wrapping_add((x as i32 >> 16) * (y as i32 >> 16))
    };

    /// Saturates to 8 bits.
    fn ssat8(value: i32) -> i32 = "ssat {result}, #8, {value}", (pure, nomem, nostack),
        value.clamp(-128, 127);
}

/// Two numbers of 16 bits, the first one in the lower half.
#[cfg(not(mote_dsp))]
#[inline(always)]
fn pair(low: i16, high: i16) -> u32 {
    u32::from(low as u16) | u32::from(high as u16) << 16
}
