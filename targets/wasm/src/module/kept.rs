//! The kernels that the module holds: all, or those that `MOTE_KERNELS` names while it is compiled, separated by commas. The
//! others stay in the table without code, so the linker drops them.

use mote_runtime::engine::{Call, Mismatch};
use mote_runtime::kernels::{Entry, Library};

use crate::kernels::{ENTRIES, check};

/// The module's library.
pub const LIBRARY: Library = Library { entries: &KEPT, check };

static KEPT: [Entry; COUNT] = kept();

const COUNT: usize = match option_env!("MOTE_KERNELS") {
    Some(names) => count(names),
    None => ENTRIES.len(),
};

/// How many of the kernels are named.
const fn count(names: &str) -> usize {
    let (mut count, mut rest) = (0, ENTRIES);
    while let Some((entry, tail)) = rest.split_first() {
        count += named(names, entry.name) as usize;
        rest = tail;
    }
    count
}

const fn kept() -> [Entry; COUNT] {
    let mut kept = [Entry { id: 0, name: "", run: absent }; COUNT];
    let (mut at, mut rest) = (0, ENTRIES);
    while let Some((entry, tail)) = rest.split_first() {
        let named = match option_env!("MOTE_KERNELS") {
            Some(names) => named(names, entry.name),
            None => true,
        };
        if named {
            kept[at] = *entry;
            at += 1;
        }
        rest = tail;
    }
    kept
}

/// Whether `name` is one of `names`.
const fn named(names: &str, name: &str) -> bool {
    let (names, name) = (names.as_bytes(), name.as_bytes());
    let mut start = 0;
    while start < names.len() {
        let mut end = start;
        let mut same = true;
        while end < names.len() && names[end] != b',' {
            same &= end - start < name.len() && names[end] == name[end - start];
            end += 1;
        }
        if same && end - start == name.len() {
            return true;
        }
        start = end + 1;
    }
    false
}

fn absent(_: Call<'_>) -> Result<(), Mismatch> {
    Err(Mismatch)
}
