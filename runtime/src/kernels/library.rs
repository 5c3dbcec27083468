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
    /// By ascending identifiers.
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

/// A library's entries: the portable kernels, then a target's own. `N` is the sum of both numbers.
pub const fn joined<const N: usize>(portable: &[Entry], own: &[Entry]) -> [Entry; N] {
    let mut entries = [Entry { id: 0, name: "", run: absent }; N];
    let (mut portable, mut own) = (portable, own);
    let mut i = 0;
    while i < N {
        let rest = if portable.is_empty() { &mut own } else { &mut portable };
        if let Some((entry, tail)) = rest.split_first() {
            entries[i] = *entry;
            *rest = tail;
        }
        i += 1;
    }
    entries
}

/// Whether identifiers ascend, which is what [`Library::find`] relies on.
pub const fn ascending(entries: &[Entry]) -> bool {
    let mut rest = entries;
    while let [first, tail @ ..] = rest {
        if let [second, ..] = tail
            && first.id >= second.id
        {
            return false;
        }
        rest = tail;
    }
    true
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
        >($crate::kernels::portable::ENTRIES, OWN);

        const _: () = assert!($crate::kernels::library::ascending(ENTRIES));

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
    while let Some((below, [entry, above @ ..])) = rest.split_at_checked(rest.len() / 2) {
        if entry.id == id {
            return Some(*entry);
        }
        rest = if id < entry.id { below } else { above };
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
    /// A table without kernels, for [`fill`](Self::fill).
    pub const fn empty() -> Self {
        Self { kernels: [absent; N], len: 0 }
    }

    /// Looks up every kernel of `plan` among `entries`, which ascend; the error is the identifier that is missing, or
    /// that of the first kernel too many.
    pub const fn link(plan: &Plan<'_>, entries: &[Entry]) -> Result<Self, u16> {
        let mut table = Self::empty();
        match table.fill(plan, entries) {
            Ok(()) => Ok(table),
            Err(id) => Err(id),
        }
    }

    /// [`link`](Self::link) where the table lies: no place of it is written or moved that `plan` does not need.
    pub const fn fill(&mut self, plan: &Plan<'_>, entries: &[Entry]) -> Result<(), u16> {
        self.len = 0;
        while let Some(id) = plan.kernel(self.len) {
            match find(entries, id) {
                Some(entry) if self.len < N => self.kernels[self.len] = entry.run,
                _ => return Err(id),
            }
            self.len += 1;
        }
        Ok(())
    }

    /// The kernels of the plan.
    pub fn as_slice(&self) -> &[KernelFn] {
        self.kernels.get(..self.len).unwrap_or(&[])
    }
}

#[cfg(test)]
mod tests {
    use crate::kernels::PORTABLE;

    #[test]
    fn finds_every_kernel_and_no_other() {
        for entry in PORTABLE.entries {
            assert_eq!(PORTABLE.find(entry.id).map(|found| found.name), Some(entry.name));
        }
        let absent = (0..=u16::MAX).filter(|&id| PORTABLE.find(id).is_none()).count();
        assert_eq!(absent, (1 << 16) - PORTABLE.entries.len());
    }
}
