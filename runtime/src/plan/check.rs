//! The checks that stand between bytes and a [`Plan`]. All `const fn`, all arithmetic checked or in 64 bits.
//!
//! What a kernel itself demands of its arguments is checked by the kernel's own `check`, when an engine is made.
//!
//! This is most of what a device does at start-up with a plan that came at run time: each record is read as few times
//! as possible, and 64 bits are used only where 32 could overflow.

/// Refuses with the fault unless the condition holds.
macro_rules! ensure {
    ($condition:expr, $section:ident, $index:expr, $fault:ident) => {
        if !$condition {
            return Err(PlanError::Record {
                section: section::$section,
                index: $index as u16,
                fault: Fault::$fault,
            });
        }
    };
}

mod order;
mod regions;

use super::*;

type Checked = Result<(), PlanError>;

/// Longest record of a table: more than any version will need, and an index times a length never overflows.
const MAX_STRIDE: usize = 4096;

pub(super) const EMPTY: Table<'static> = Table { bytes: &[], stride: 0, count: 0 };

/// Smallest record size by core section; 0 where the section is plain bytes.
const SIZES: [usize; section::CORE] = [
    0,
    TensorRecord::SIZE,
    QuantRecord::SIZE,
    OperandRecord::SIZE,
    StepRecord::SIZE,
    RegionRecord::SIZE,
    2,
    0,
    BlobRecord::SIZE,
    0,
    PortRecord::SIZE,
    FillRecord::SIZE,
];

pub(super) const fn header(bytes: &[u8]) -> Result<Header, PlanError> {
    let Some(header) = Header::read(bytes, 0) else {
        return Err(PlanError::Truncated { needed: Header::SIZE as u32, found: bytes.len() as u32 });
    };
    let [a, b, c, d, e, f, g, h] = LABEL;
    if header.label_low != u32::from_le_bytes([a, b, c, d])
        || header.label_high != u32::from_le_bytes([e, f, g, h])
    {
        return Err(PlanError::Label);
    }
    if header.endian != ENDIAN_MARK {
        return Err(PlanError::Endian);
    }
    if header.version > VERSION || header.version < OLDEST_VERSION {
        return Err(PlanError::Version { found: header.version, oldest: OLDEST_VERSION, newest: VERSION });
    }
    if header.length as usize != bytes.len() {
        return Err(PlanError::Truncated { needed: header.length, found: bytes.len() as u32 });
    }
    Ok(header)
}

/// The section record of `kind`.
pub(super) const fn find(bytes: &[u8], header: &Header, kind: u16) -> Option<SectionRecord> {
    let mut i = 0;
    while i < header.sections as usize {
        match SectionRecord::read(bytes, Header::SIZE + i * SectionRecord::SIZE) {
            Some(record) if record.kind == kind => return Some(record),
            Some(_) => {}
            None => return None,
        }
        i += 1;
    }
    None
}

#[inline(always)]
pub(super) const fn sections<'a>(
    bytes: &'a [u8],
    header: &Header,
    core: &mut [Table<'a>; section::CORE],
) -> Checked {
    let mut seen = 0u32;
    let mut i = 0;
    while i < header.sections as usize {
        let at = Header::SIZE + i * SectionRecord::SIZE;
        let Some(record) = SectionRecord::read(bytes, at) else {
            return Err(PlanError::Truncated {
                needed: (at + SectionRecord::SIZE) as u32,
                found: bytes.len() as u32,
            });
        };
        let kind = record.kind as usize;
        if record.offset as u64 + record.bytes as u64 > bytes.len() as u64 {
            return Err(PlanError::Section { kind: record.kind });
        }
        if kind < section::CORE && kind != 0 {
            let size = SIZES[kind];
            let stride = record.stride as usize;
            let fits = if size == 0 {
                kind != section::WEIGHTS as usize || (record.offset as usize).is_multiple_of(ALIGN)
            } else {
                stride >= size
                    && stride <= MAX_STRIDE
                    && record.bytes % record.stride == 0
                    && record.bytes / record.stride <= NONE as u32
            };
            if !fits || seen & (1 << kind) != 0 {
                return Err(PlanError::Section { kind: record.kind });
            }
            seen |= 1 << kind;
            let count = if size == 0 { 0 } else { record.bytes as usize / stride };
            core[kind] = Table {
                bytes: slice(bytes, record.offset as usize, record.bytes as usize),
                stride: stride as u16,
                count,
            };
        } else if record.flags & section_flags::REQUIRED != 0 {
            return Err(PlanError::UnknownSection { kind: record.kind });
        }
        i += 1;
    }
    Ok(())
}

#[inline(never)]
pub(super) const fn records(plan: &Plan<'_>) -> Checked {
    let mut i = 0;
    while let Some(tensor) = plan.tensor(i) {
        match check_tensor(plan, i, &tensor) {
            Ok(()) => {}
            Err(error) => return Err(error),
        }
        i += 1;
    }
    let mut i = 0;
    while let Some(blob) = plan.blob(i) {
        ensure!(within(blob.offset, blob.bytes, plan.weights().len()), BLOBS, i, Range);
        i += 1;
    }
    let mut i = 0;
    while let Some(port) = plan.port(i) {
        ensure!((port.operand as usize) < plan.operands() && port.direction <= 1, PORTS, i, Range);
        i += 1;
    }
    let mut i = 0;
    while let Some(fill) = plan.fill(i) {
        let bytes = fill.count as u64 * fill.bytes as u64;
        ensure!(fill.offset as u64 + bytes <= plan.header.state as u64, FILLS, i, Range);
        ensure!(fill.bytes == 1 || fill.bytes == 2 || fill.bytes == 4, FILLS, i, Code);
        i += 1;
    }
    regions::regions(plan)
}

/// Whether `offset .. offset + bytes` lies inside of `len` bytes.
const fn within(offset: u32, bytes: u32, len: usize) -> bool {
    offset as usize <= len && bytes as usize <= len - offset as usize
}

const fn check_tensor(plan: &Plan<'_>, i: usize, tensor: &TensorRecord) -> Checked {
    let Some(dtype) = DType::from_code(tensor.dtype) else {
        return Err(PlanError::Record { section: section::TENSORS, index: i as u16, fault: Fault::Code });
    };
    let space = match Space::from_code(tensor.space) {
        Some(Space::Arena) => plan.header.arena as usize,
        Some(Space::State) => plan.header.state as usize,
        Some(Space::Constant) => plan.weights().len(),
        None => {
            return Err(PlanError::Record { section: section::TENSORS, index: i as u16, fault: Fault::Code });
        }
    };
    ensure!(tensor.rank as usize <= MAX_RANK, TENSORS, i, Code);
    ensure!(within(tensor.offset, tensor.bytes, space), TENSORS, i, Range);
    ensure!(tensor.offset & (dtype.size() as u32 - 1) == 0, TENSORS, i, Alignment);
    ensure!(tensor.quant == NONE || (tensor.quant as usize) < plan.quants(), TENSORS, i, Range);
    // The product of all axes fits 32 bits; it is 0 where one of them is. Beyond the rank they are 1.
    let (mut elements, mut high) = (1u32, 0);
    let mut axis = 0;
    while axis < MAX_RANK {
        let len = tensor.shape[axis];
        ensure!(len == 1 || axis < tensor.rank as usize, TENSORS, i, Shape);
        let product = elements as u64 * len as u64;
        elements = product as u32;
        high |= (product >> 32) as u32;
        axis += 1;
    }
    ensure!(elements > 0 && high == 0, TENSORS, i, Shape);
    Ok(())
}
