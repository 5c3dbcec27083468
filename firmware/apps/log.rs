//! The log: defmt, or nothing at all, not even the arguments' computation, without the feature `log`. All apps take this
//! file as a module.

#[cfg(feature = "log")]
#[allow(unused_imports)] // not every app warns
pub use defmt::{error, info, warn};

#[cfg(not(feature = "log"))]
macro_rules! nothing {
    ($format:literal $(, $argument:expr)* $(,)?) => {{ if false { $( let _ = &$argument; )* } }};
}
#[cfg(not(feature = "log"))]
#[allow(unused_imports)] // on the host only the app proper is compiled
pub(crate) use {nothing as error, nothing as info, nothing as warn};
