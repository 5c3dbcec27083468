//! Finds ways to a panic in a linked image.
//!
//! The linker drops what nothing can reach. So an image without a panic handler and without the
//! functions of `core::panicking` can't panic, and one that holds them has a caller somewhere. The
//! callers are found by looking for branch instructions to those functions, and for their addresses
//! among the constants; debug information tells the source line.

use std::{collections::BTreeMap, fmt, fs, path::Path};

use anyhow::{Context, Result, bail};
use gimli::{EndianSlice, LittleEndian};
use object::{Object, ObjectSection};

use crate::calls::{Function, branches, code, constants, functions};

/// One way to a panic.
#[derive(Debug, PartialEq, Eq)]
pub struct Site {
    /// The function that can panic.
    pub caller: String,
    /// What it calls.
    pub callee: String,
    /// Source lines, innermost first, if known.
    pub lines: Vec<String>,
}

impl fmt::Display for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} calls {}", self.caller, self.callee)?;
        for line in &self.lines {
            write!(f, "\n    at {line}")?;
        }
        Ok(())
    }
}

/// Fails with a list if the image can panic.
pub fn check(image: &Path) -> Result<()> {
    let sites = find(image)?;
    if sites.is_empty() {
        return Ok(());
    }
    let list: Vec<_> = sites.iter().map(|site| format!("  {site}")).collect();
    bail!("{} ways to a panic in {}:\n{}", sites.len(), image.display(), list.join("\n"));
}

/// All ways to a panic.
pub fn find(image: &Path) -> Result<Vec<Site>> {
    let data = fs::read(image).with_context(|| format!("reading {}", image.display()))?;
    let file = object::File::parse(&*data)?;
    let functions = functions(&file);
    if functions.is_empty() {
        bail!("{} has no symbols: nothing can be said about panics", image.display());
    }
    let goals: BTreeMap<u64, &Function> =
        functions.iter().filter(|(_, function)| panics(function)).map(|(&at, f)| (at, f)).collect();
    if goals.is_empty() {
        return Ok(Vec::new());
    }

    let lines = Lines::new(&file)?;
    let mut sites = Vec::new();
    for (&start, function) in functions.iter().filter(|(_, function)| !panics(function)) {
        for (at, to) in branches(&code(&file, start, function.size), start) {
            if let Some(goal) = goals.get(&to) {
                sites.push(Site {
                    caller: function.name().into(),
                    callee: goal.name().into(),
                    lines: lines.of(at),
                });
            }
        }
    }
    for section in constants(&file) {
        for word in section.data()?.as_chunks().0 {
            let to = u64::from(u32::from_le_bytes(*word));
            if let Some(goal) = goals.get(&(to & !1)).filter(|_| to & 1 == 1) {
                let caller = format!("a constant in {}", section.name().unwrap_or("?"));
                sites.push(Site { caller, callee: goal.name().into(), lines: Vec::new() });
            }
        }
    }
    if sites.is_empty() {
        for goal in goals.values() {
            let caller = "something that was not found".into();
            sites.push(Site { caller, callee: goal.name().into(), lines: Vec::new() });
        }
    }
    Ok(sites)
}

/// Whether it, or an identical function that was folded into it, exists only to panic.
fn panics(function: &Function) -> bool {
    function.names.iter().any(|name| is_panic(name))
}

/// Whether a function of this name exists only to panic.
fn is_panic(name: &str) -> bool {
    let core = ["core::", "<core::", "alloc::", "std::"].iter().any(|start| name.starts_with(start));
    let last = name.rsplit("::").next().unwrap_or(name);
    name.starts_with("core::panicking")
        || name.ends_with("rust_begin_unwind")
        || (core && (last.ends_with("_fail") || last.ends_with("_failed") || last.starts_with("panic_")))
}

/// Source lines by address.
struct Lines<'a> {
    context: addr2line::Context<EndianSlice<'a, LittleEndian>>,
}

impl<'a> Lines<'a> {
    fn new(file: &object::File<'a>) -> Result<Self> {
        let load = |id: gimli::SectionId| -> Result<_> {
            let section = file.section_by_name(id.name());
            let data = section.map(|section| section.data()).transpose()?.unwrap_or_default();
            Ok(EndianSlice::new(data, LittleEndian))
        };
        let context = addr2line::Context::from_dwarf(gimli::Dwarf::load(load)?)?;
        Ok(Self { context })
    }

    /// The line of an address and of the calls that were inlined around it.
    fn of(&self, address: u64) -> Vec<String> {
        let mut lines = Vec::new();
        let Ok(mut frames) = self.context.find_frames(address).skip_all_loads() else { return lines };
        while let Ok(Some(frame)) = frames.next() {
            let Some(location) = frame.location else { continue };
            if let (Some(file), Some(line)) = (location.file, location.line) {
                lines.push(format!("{file}:{line}"));
            }
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_panic_functions() {
        for name in [
            "core::panicking::panic_fmt",
            "core::panicking::panic_bounds_check",
            "core::option::unwrap_failed",
            "core::slice::index::slice_index_fail",
            "core::slice::copy_from_slice_impl::len_mismatch_fail",
            "core::cell::panic_already_borrowed",
            "rust_begin_unwind",
            "__rustc::rust_begin_unwind",
        ] {
            assert!(is_panic(name), "{name}");
        }
        for name in ["main", "mote_runtime::engine::Engine::run", "core::fmt::write", "app::may_fail"] {
            assert!(!is_panic(name), "{name}");
        }
    }
}
