//! Which kernels exist, and the tables that bind a plan to them.

use crate::engine::KernelFn;
use crate::kernels::StepView;
use crate::plan::{Fault, Plan};

/// A kernel that plans can name.
#[derive(Clone, Copy)]
pub struct Entry {
    /// Never reused for another meaning.
    pub id: u16,
    /// `<op>_<dtype>_<variant>`.
    pub name: &'static str,
    pub run: KernelFn,
}

/// A set of kernels and the check of their arguments: of the portable ones, or of a target and the portable ones.
#[derive(Clone, Copy)]
pub struct Library {
    pub entries: &'static [Entry],
    /// Accepts or refuses a step whose kernel is `id`.
    pub check: fn(id: u16, step: &StepView<'_>) -> Result<(), Fault>,
}

impl Library {
    /// The kernel with this identifier.
    pub const fn find(&self, id: u16) -> Option<Entry> {
        find(self.entries, id)
    }
}

/// A library's entries: a target's own kernels, then the portable ones. `N` is the sum of both numbers.
pub const fn joined<const N: usize>(own: &[Entry], others: &[Entry]) -> [Entry; N] {
    let mut entries = [Entry { id: 0, name: "", run: absent }; N];
    let (mut own, mut others) = (own, others);
    let mut i = 0;
    while i < N {
        let rest = if own.is_empty() { &mut others } else { &mut own };
        if let Some((entry, tail)) = rest.split_first() {
            entries[i] = *entry;
            *rest = tail;
        }
        i += 1;
    }
    entries
}

/// Declares a target's kernels, each with identifier, name, `run` and `check`, and the library of its plans: these kernels
/// and the portable ones. Makes `id` (identifiers, never reused for another meaning), `ENTRIES`, `check`, which
/// [`include_plan!`](crate::include_plan) asks for, and the library under the name that stands first.
#[macro_export]
macro_rules! target_library {
    ($(#[$meta:meta])* $library:ident: $($id:ident = $code:literal, $name:literal, $run:path, $check:path;)*) => {
        /// Identifiers of the kernels. Never reused for another meaning.
        pub mod id {
            $(#[doc = $name] pub const $id: u16 = $code;)*
        }

        const OWN: &[$crate::kernels::Entry] =
            &[$($crate::kernels::Entry { id: $code, name: $name, run: $run },)*];

        /// These kernels and the portable ones.
        pub const ENTRIES: &[$crate::kernels::Entry] = &$crate::kernels::library::joined::<
            { OWN.len() + $crate::kernels::portable::ENTRIES.len() },
        >(OWN, $crate::kernels::portable::ENTRIES);

        /// Accepts or refuses a step whose kernel is `id`.
        pub const fn check(id: u16, step: &$crate::kernels::StepView<'_>) -> Result<(), $crate::plan::Fault> {
            match id {
                $($code => $check(step),)*
                _ => $crate::kernels::portable::check(id, step),
            }
        }

        $(#[$meta])*
        pub const $library: $crate::kernels::Library = $crate::kernels::Library { entries: ENTRIES, check };
    };
}

const fn find(entries: &[Entry], id: u16) -> Option<Entry> {
    let mut rest = entries;
    while let Some((entry, tail)) = rest.split_first() {
        if entry.id == id {
            return Some(*entry);
        }
        rest = tail;
    }
    None
}

/// The kernels of one plan, in the order in which the plan lists them.
///
/// [`include_plan!`](crate::include_plan) makes it while compiling, so that the linker keeps only these kernels.
#[derive(Clone, Copy)]
pub struct KernelTable<const N: usize> {
    kernels: [KernelFn; N],
    len: usize,
}

fn absent(_: crate::engine::Call<'_>) -> Result<(), crate::engine::Mismatch> {
    Err(crate::engine::Mismatch)
}

impl<const N: usize> KernelTable<N> {
    /// Looks up every kernel of `plan`; the error is the identifier that is missing, or a table that is too small.
    pub const fn link(plan: &Plan<'_>, entries: &[Entry]) -> Result<Self, u16> {
        let mut kernels: [KernelFn; N] = [absent; N];
        let mut i = 0;
        while let Some(id) = plan.kernel(i) {
            match find(entries, id) {
                Some(entry) if i < N => kernels[i] = entry.run,
                _ => return Err(id),
            }
            i += 1;
        }
        Ok(Self { kernels, len: i })
    }

    /// The kernels of the plan.
    pub fn as_slice(&self) -> &[KernelFn] {
        self.kernels.get(..self.len).unwrap_or(&[])
    }
}
