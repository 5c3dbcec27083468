//! Finds ways to a panic in a linked image.
//!
//! The linker drops what nothing can reach. So an image without a panic handler and without the
//! functions of `core::panicking` can't panic, and one that holds them has a caller somewhere. The
//! callers are found by looking for branch instructions to those functions, and for their addresses
//! among the constants; debug information tells the source line.

use std::{collections::BTreeMap, fmt, fs, path::Path};

use anyhow::{Context, Result, bail};
use gimli::{EndianSlice, LittleEndian};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};

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
        functions.iter().filter(|(_, function)| function.panics).map(|(&at, f)| (at, f)).collect();
    if goals.is_empty() {
        return Ok(Vec::new());
    }

    let lines = Lines::new(&file)?;
    let mut sites = Vec::new();
    for (&start, function) in functions.iter().filter(|(_, function)| !function.panics) {
        for (at, to) in branches(&code(&file, start, function.size), start) {
            if let Some(goal) = goals.get(&to) {
                sites.push(Site {
                    caller: function.name.clone(),
                    callee: goal.name.clone(),
                    lines: lines.of(at),
                });
            }
        }
    }
    for section in file.sections().filter(|section| section.kind() == SectionKind::ReadOnlyData) {
        for word in section.data()?.as_chunks().0 {
            let to = u64::from(u32::from_le_bytes(*word));
            if let Some(goal) = goals.get(&(to & !1)).filter(|_| to & 1 == 1) {
                let caller = format!("a constant in {}", section.name().unwrap_or("?"));
                sites.push(Site { caller, callee: goal.name.clone(), lines: Vec::new() });
            }
        }
    }
    if sites.is_empty() {
        for goal in goals.values() {
            let caller = "something that was not found".into();
            sites.push(Site { caller, callee: goal.name.clone(), lines: Vec::new() });
        }
    }
    Ok(sites)
}

struct Function {
    name: String,
    size: u64,
    /// Part of the panic machinery.
    panics: bool,
}

/// Functions by address, without Thumb's lowest bit.
fn functions(file: &object::File) -> BTreeMap<u64, Function> {
    let mut functions: BTreeMap<u64, Function> = BTreeMap::new();
    for symbol in file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text) {
        let name = format!("{:#}", rustc_demangle::demangle(symbol.name().unwrap_or_default()));
        if name.starts_with('$') || name.is_empty() {
            continue; // mapping symbols
        }
        let panics = is_panic(&name);
        let entry = functions.entry(symbol.address() & !1).or_insert(Function { name, size: 0, panics });
        entry.size = entry.size.max(symbol.size());
        entry.panics |= panics; // identical functions are folded into one
    }
    functions
}

/// Whether a function of this name exists only to panic.
fn is_panic(name: &str) -> bool {
    let core = ["core::", "<core::", "alloc::", "std::"].iter().any(|start| name.starts_with(start));
    let last = name.rsplit("::").next().unwrap_or(name);
    name.starts_with("core::panicking")
        || name.ends_with("rust_begin_unwind")
        || (core && (last.ends_with("_fail") || last.ends_with("_failed") || last.starts_with("panic_")))
}

fn code(file: &object::File, start: u64, size: u64) -> Vec<u8> {
    let section = file.sections().find(|s| s.address() <= start && start + size <= s.address() + s.size());
    let data = section.and_then(|section| section.data_range(start, size).ok().flatten());
    data.unwrap_or_default().to_vec()
}

/// Address and goal of every 32-bit branch in Thumb code (BL, B.W, and the conditional B.W); a call
/// never has another form, and what jumps to another function is out of reach of the short ones.
/// Constants between the instructions may be taken for a branch, but hardly to an exact goal.
fn branches(code: &[u8], start: u64) -> Vec<(u64, u64)> {
    let halves: Vec<u32> = code.as_chunks().0.iter().map(|&half| u16::from_le_bytes(half).into()).collect();
    let mut found = Vec::new();
    let mut i = 0;
    while let Some(&first) = halves.get(i) {
        let at = start + 2 * i as u64;
        let wide = first >> 11 >= 0x1d;
        if let (true, Some(&second)) = (wide, halves.get(i + 1)) {
            if let Some(offset) = branch_offset(first, second) {
                found.push((at, at.wrapping_add(4).wrapping_add_signed(offset)));
            }
            i += 1;
        }
        i += 1;
    }
    found
}

/// How far a branch goes, from four bytes behind its address.
fn branch_offset(first: u32, second: u32) -> Option<i64> {
    if first & 0xf800 != 0xf000 || second & 0x8000 == 0 {
        return None;
    }
    let (s, j1, j2) = (first >> 10 & 1, second >> 13 & 1, second >> 11 & 1);
    if second & 0x1000 != 0 {
        // BL and B.W: S I1 I2 imm10 imm11 0
        let (i1, i2) = (!(j1 ^ s) & 1, !(j2 ^ s) & 1);
        let value = s << 24 | i1 << 23 | i2 << 22 | (first & 0x3ff) << 12 | (second & 0x7ff) << 1;
        return Some(sign_extend(value, 25));
    }
    if second & 0x4000 == 0 && first & 0x0380 != 0x0380 {
        // B<c>.W: S J2 J1 imm6 imm11 0
        let value = s << 20 | j2 << 19 | j1 << 18 | (first & 0x3f) << 12 | (second & 0x7ff) << 1;
        return Some(sign_extend(value, 21));
    }
    None
}

fn sign_extend(value: u32, bits: u32) -> i64 {
    let shift = 32 - bits;
    i64::from((value << shift) as i32 >> shift)
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

    #[test]
    fn decodes_branches() {
        // bl +0x100, b.w -0x10, bne.w +0x20, a move between them
        let code = [
            0x00, 0xf0, 0x80, 0xf8, // bl .+4+0x100
            0x08, 0x46, // mov r0, r1
            0xff, 0xf7, 0xf8, 0xbf, // b.w .+4-0x10
            0x40, 0xf0, 0x10, 0x80, // bne.w .+4+0x20
        ];
        assert_eq!(branches(&code, 0x1000), [(0x1000, 0x1104), (0x1006, 0xffa), (0x100a, 0x102e)]);
    }
}
