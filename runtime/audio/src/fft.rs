//! The FFT sizes that a front end can have. A type per size lets the linker drop the others.

use microfft::Complex32;

/// A buffer of `LENGTH` samples that becomes its spectrum in place.
pub trait RealFft: sealed::Sealed {
    const LENGTH: usize;

    /// `LENGTH / 2` bins; the imaginary part of the first one holds the real bin at half the sample rate.
    #[doc(hidden)]
    fn transform(&mut self) -> &mut [Complex32];
}

mod sealed {
    pub trait Sealed {}
}

macro_rules! sizes {
    ($($(#[$only:meta])? $size:literal $function:ident),* $(,)?) => {$(
        $(#[$only])?
        impl sealed::Sealed for [f32; $size] {}

        $(#[$only])?
        impl RealFft for [f32; $size] {
            const LENGTH: usize = $size;

            fn transform(&mut self) -> &mut [Complex32] {
                microfft::real::$function(self)
            }
        }
    )*};
}

sizes! {
    64 rfft_64,
    128 rfft_128,
    256 rfft_256,
    512 rfft_512,
    1024 rfft_1024,
    #[cfg(feature = "fft-2048")] 2048 rfft_2048,
    #[cfg(feature = "fft-4096")] 4096 rfft_4096,
}
