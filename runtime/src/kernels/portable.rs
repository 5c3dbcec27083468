//! The portable library: every kernel that defines an operator, with its identifier and its check.

use crate::kernels::{Entry, Library, StepView};
use crate::plan::Fault;

/// Declares the portable kernels: identifier, name, module path of `run` and `check`.
macro_rules! portable {
    ($($id:ident = $code:literal, $name:literal, $run:path, $check:path;)*) => {
        /// Identifiers of the portable kernels, `1..1000`. Never reused for another meaning.
        pub mod id {
            $(#[doc = $name] pub const $id: u16 = $code;)*
        }

        /// Every portable kernel.
        pub const ENTRIES: &[Entry] = &[$(Entry { id: $code, name: $name, run: $run },)*];

        /// Accepts or refuses a step whose kernel is `id`.
        pub const fn check(id: u16, step: &StepView<'_>) -> Result<(), Fault> {
            let _ = step;
            match id {
                $($code => $check(step),)*
                _ => Err(Fault::Code),
            }
        }
    };
}

portable! {}

/// The portable kernels as a library, for plans that come at run time.
pub const PORTABLE: Library = Library { entries: ENTRIES, check };
