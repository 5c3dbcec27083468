//! The log of all apps (each takes this file as a module): defmt, or nothing at all, not even the arguments' computation, without the feature `log`.

#[cfg(feature = "log")]
pub use defmt::{error, info};

#[cfg(not(feature = "log"))]
macro_rules! nothing {
    ($format:literal $(, $argument:expr)* $(,)?) => {{ if false { $( let _ = &$argument; )* } }};
}
#[cfg(not(feature = "log"))]
#[allow(unused_imports)] // on the host only the app proper is compiled
pub(crate) use {nothing as error, nothing as info};
