//! Functions of a linked image, and which of them call which.

use std::collections::{BTreeMap, BTreeSet};

use object::{Object, ObjectSection, ObjectSymbol, SectionKind, SymbolKind};

/// A function of an image.
#[derive(Debug, Default)]
pub struct Function {
    /// Several where identical functions were folded into one.
    pub names: Vec<String>,
    pub size: u64,
}

impl Function {
    pub fn name(&self) -> &str {
        self.names.first().map_or("?", |name| name)
    }
}

/// Functions by address, without Thumb's lowest bit.
pub fn functions(file: &object::File) -> BTreeMap<u64, Function> {
    let mut functions: BTreeMap<u64, Function> = BTreeMap::new();
    for symbol in file.symbols().filter(|symbol| symbol.kind() == SymbolKind::Text) {
        let name = format!("{:#}", rustc_demangle::demangle(symbol.name().unwrap_or_default()));
        if name.starts_with('$') || name.is_empty() {
            continue; // mapping symbols
        }
        let entry = functions.entry(symbol.address() & !1).or_default();
        entry.size = entry.size.max(symbol.size());
        entry.names.push(name);
    }
    functions
}

/// Everything that `from` can get to by calls, itself included.
pub fn reached(file: &object::File, functions: &BTreeMap<u64, Function>, from: u64) -> BTreeSet<u64> {
    let (mut found, mut open) = (BTreeSet::from([from]), vec![from]);
    while let Some(start) = open.pop() {
        let Some(function) = functions.get(&start) else { continue };
        for (_, to) in branches(&code(file, start, function.size), start) {
            if functions.contains_key(&to) && found.insert(to) {
                open.push(to);
            }
        }
    }
    found
}

/// The sections that hold constants. Where strings are among them, the section has another kind.
pub fn constants<'f, 'd>(file: &'f object::File<'d>) -> impl Iterator<Item = object::Section<'d, 'f>> {
    file.sections()
        .filter(|section| matches!(section.kind(), SectionKind::ReadOnlyData | SectionKind::ReadOnlyString))
}

/// The bytes of a function.
pub fn code(file: &object::File, start: u64, size: u64) -> Vec<u8> {
    let section = file.sections().find(|s| s.address() <= start && start + size <= s.address() + s.size());
    let data = section.and_then(|section| section.data_range(start, size).ok().flatten());
    data.unwrap_or_default().to_vec()
}

/// Address and goal of every 32-bit branch in Thumb code (BL, B.W, and the conditional B.W); a call
/// never has another form, and what jumps to another function is out of reach of the short ones.
/// Constants between the instructions may be taken for a branch, but hardly to an exact goal.
pub fn branches(code: &[u8], start: u64) -> Vec<(u64, u64)> {
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

#[cfg(test)]
mod tests {
    use super::*;

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
