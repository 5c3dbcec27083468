//! The checks that stand between bytes and a [`Plan`]. All `const fn`, all arithmetic checked or in 64 bits.
//!
//! What a kernel itself demands of its arguments is checked by the kernel's own `check`, when an engine is made.

use super::*;

type Checked = Result<(), PlanError>;

/// Ticks of a region over rows: more than any picture has rows, few enough to be walked in a moment.
const MAX_TICKS: u32 = 1 << 20;

/// Longest record of a table: more than any version will need, and an index times a length never overflows.
const MAX_STRIDE: usize = 4096;

const EMPTY: Table<'static> = Table { bytes: &[], stride: 0, count: 0 };

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

pub(super) const fn sections<'a>(
    bytes: &'a [u8],
    header: &Header,
) -> Result<[Table<'a>; section::CORE], PlanError> {
    let mut core: [Table<'a>; section::CORE] = [EMPTY; section::CORE];
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
            core[kind] =
                Table { bytes: slice(bytes, record.offset as usize, record.bytes as usize), stride, count };
        } else if record.flags & section_flags::REQUIRED != 0 {
            return Err(PlanError::UnknownSection { kind: record.kind });
        }
        i += 1;
    }
    Ok(core)
}

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
    while let Some(operand) = plan.operand(i) {
        match check_operand(plan, i, &operand) {
            Ok(()) => {}
            Err(error) => return Err(error),
        }
        i += 1;
    }
    let mut i = 0;
    while let Some(blob) = plan.blob(i) {
        ensure!(blob.offset as u64 + blob.bytes as u64 <= plan.weights().len() as u64, BLOBS, i, Range);
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
    regions(plan)
}

const fn check_tensor(plan: &Plan<'_>, i: usize, tensor: &TensorRecord) -> Checked {
    let Some(dtype) = DType::from_code(tensor.dtype) else {
        return Err(PlanError::Record { section: section::TENSORS, index: i as u16, fault: Fault::Code });
    };
    let space = match Space::from_code(tensor.space) {
        Some(Space::Arena) => plan.header.arena as u64,
        Some(Space::State) => plan.header.state as u64,
        Some(Space::Constant) => plan.weights().len() as u64,
        None => {
            return Err(PlanError::Record { section: section::TENSORS, index: i as u16, fault: Fault::Code });
        }
    };
    ensure!(tensor.rank as usize <= MAX_RANK, TENSORS, i, Code);
    ensure!(tensor.offset as u64 + tensor.bytes as u64 <= space, TENSORS, i, Range);
    ensure!(tensor.offset & (dtype.size() as u32 - 1) == 0, TENSORS, i, Alignment);
    ensure!(tensor.quant == NONE || (tensor.quant as usize) < plan.quants(), TENSORS, i, Range);
    let mut elements = 1u32;
    let mut axis = 0;
    while axis < MAX_RANK {
        let len = tensor.shape[axis];
        ensure!(len > 0 && (axis < tensor.rank as usize || len == 1), TENSORS, i, Shape);
        let Some(product) = elements.checked_mul(len) else {
            return Err(PlanError::Record {
                section: section::TENSORS,
                index: i as u16,
                fault: Fault::Shape,
            });
        };
        elements = product;
        axis += 1;
    }
    Ok(())
}

const fn check_operand(plan: &Plan<'_>, i: usize, operand: &OperandRecord) -> Checked {
    let Some(tensor) = plan.tensor(operand.tensor as usize) else {
        return Err(PlanError::Record { section: section::OPERANDS, index: i as u16, fault: Fault::Range });
    };
    let size = match DType::from_code(tensor.dtype) {
        Some(dtype) => dtype.size() as u32,
        None => 1,
    };
    let o = operand;
    ensure!(o.slots > 0 && o.slices > 0 && o.rows > 0 && o.row_bytes > 0, OPERANDS, i, Shape);
    ensure!(o.outer_count > 0 && o.inner_count > 0, OPERANDS, i, Shape);
    // Sizes are powers of two: one look at all low bits.
    let low = (o.offset | o.slice_stride | o.row_stride | o.row_bytes) & (size - 1);
    ensure!(low == 0, OPERANDS, i, Alignment);
    ensure!(o.rows == 1 || o.row_stride >= o.row_bytes, OPERANDS, i, Alias);
    // Of a whole tensor only the slices that exist need memory.
    let slots = if o.slots < o.slices { o.slots } else { o.slices };
    let slice = (o.rows - 1) as u64 * o.row_stride as u64 + o.row_bytes as u64;
    ensure!(slots == 1 || o.slice_stride as u64 >= slice, OPERANDS, i, Alias);
    let slices = (slots - 1) as u64 * o.slice_stride as u64;
    ensure!(slice <= u32::MAX as u64 && slices <= u32::MAX as u64, OPERANDS, i, Range);
    ensure!(o.offset as u64 + slices + slice <= tensor.bytes as u64, OPERANDS, i, Range);
    Ok(())
}

const fn regions(plan: &Plan<'_>) -> Checked {
    let mut next = 0usize;
    let mut i = 0;
    while let Some(region) = plan.region(i) {
        let Some(kind) = RegionKind::from_code(region.kind) else {
            return Err(PlanError::Record { section: section::REGIONS, index: i as u16, fault: Fault::Code });
        };
        ensure!(region.first_step as usize == next, REGIONS, i, Range);
        next += region.steps as usize;
        ensure!(next <= plan.steps(), REGIONS, i, Range);
        let ticks = match kind {
            RegionKind::Plain => region.ticks == 1,
            RegionKind::Rows => region.ticks > 0 && region.ticks <= MAX_TICKS,
            RegionKind::Endless => region.ticks == 0 && region.period > 0,
        };
        ensure!(ticks, REGIONS, i, Shape);
        if region.port != NONE {
            let input = match plan.port(region.port as usize) {
                Some(port) => port.direction == 0,
                None => false,
            };
            ensure!(input && !matches!(kind, RegionKind::Plain), REGIONS, i, Range);
        } else {
            ensure!(!matches!(kind, RegionKind::Endless), REGIONS, i, Range);
        }
        let mut s = region.first_step as usize;
        while s < next {
            match check_step(plan, s, &region, kind) {
                Ok(()) => {}
                Err(error) => return Err(error),
            }
            s += 1;
        }
        i += 1;
    }
    ensure!(next == plan.steps(), STEPS, next, Range);
    Ok(())
}

const fn check_step(plan: &Plan<'_>, s: usize, region: &RegionRecord, kind: RegionKind) -> Checked {
    let Some(step) = plan.step(s) else {
        return Err(PlanError::Record { section: section::STEPS, index: s as u16, fault: Fault::Range });
    };
    ensure!((step.kernel as usize) < plan.kernels(), STEPS, s, Range);
    let args = plan.core[section::ARGS as usize].bytes.len() as u64;
    ensure!(step.args as u64 + step.args_bytes as u64 <= args, STEPS, s, Range);
    ensure!(step.blob as usize + step.blobs as usize <= plan.blobs(), STEPS, s, Range);
    ensure!(step.operand as usize + (step.inputs as usize) < plan.operands(), STEPS, s, Range);
    ensure!(step.scratch as u64 + step.scratch_bytes as u64 <= plan.header.arena as u64, STEPS, s, Range);
    ensure!((step.scratch as usize).is_multiple_of(ALIGN), STEPS, s, Alignment);
    ensure!(step.every > 0 && step.burst > 0, STEPS, s, Schedule);
    let Some(output) = plan.step_output(&step) else {
        return Err(PlanError::Record { section: section::STEPS, index: s as u16, fault: Fault::Range });
    };
    // What one call makes has its place: the work of a call is bounded by the memory.
    let made = if matches!(kind, RegionKind::Plain) { output.slices } else { step.burst as u32 };
    ensure!(output.slots >= output.slices || made <= output.slots, STEPS, s, Schedule);
    let Some(owner) = plan.tensor(output.tensor as usize) else {
        return Err(PlanError::Record { section: section::STEPS, index: s as u16, fault: Fault::Range });
    };
    ensure!(owner.space != Space::Constant as u8, STEPS, s, Alias);
    let arena = owner.space == Space::Arena as u8;
    ensure!(!arena || disjoint(owner.offset, owner.bytes, step.scratch, step.scratch_bytes), STEPS, s, Alias);
    let mut k = 0;
    while k < step.inputs as usize {
        let Some(input) = plan.step_operand(&step, k) else {
            return Err(PlanError::Record { section: section::STEPS, index: s as u16, fault: Fault::Range });
        };
        let Some(tensor) = plan.tensor(input.tensor as usize) else {
            return Err(PlanError::Record { section: section::STEPS, index: s as u16, fault: Fault::Range });
        };
        let in_place = k < 4 && step.flags & (step_flags::IN_PLACE << k) != 0;
        if in_place {
            let same = tensor.space == owner.space
                && tensor.offset as u64 + input.offset as u64 == owner.offset as u64 + output.offset as u64
                && same_view(&input, &output);
            ensure!(same, STEPS, s, Alias);
        } else {
            if tensor.space == owner.space {
                ensure!(disjoint(tensor.offset, tensor.bytes, owner.offset, owner.bytes), STEPS, s, Alias);
            }
            if tensor.space == Space::Arena as u8 {
                let free = disjoint(tensor.offset, tensor.bytes, step.scratch, step.scratch_bytes);
                ensure!(free, STEPS, s, Alias);
            }
        }
        if !matches!(kind, RegionKind::Plain) && !in_region_order(plan, region, s, &step, &input) {
            return Err(PlanError::Record {
                section: section::STEPS,
                index: s as u16,
                fault: Fault::Schedule,
            });
        }
        k += 1;
    }
    Ok(())
}

const fn disjoint(a: u32, a_bytes: u32, b: u32, b_bytes: u32) -> bool {
    a_bytes == 0
        || b_bytes == 0
        || a as u64 + a_bytes as u64 <= b as u64
        || b as u64 + b_bytes as u64 <= a as u64
}

const fn same_view(a: &OperandRecord, b: &OperandRecord) -> bool {
    a.slots == b.slots
        && a.slice_stride == b.slice_stride
        && a.rows == b.rows
        && a.row_stride == b.row_stride
        && a.row_bytes == b.row_bytes
}

/// Whether every slice that `step` reads through `input` has been made by an earlier step (or delivered by the
/// port) when it is due, and has not been overwritten.
///
/// Slices and ticks are linear in each other, so one equation of rates and a look at the first output are enough:
/// the producer makes slice `r` at tick `phase + r / burst * every`, the consumer needs
/// `o * stride - pad .. + (count - 1) * dilation` at tick `phase + o / burst * every`.
const fn in_region_order(
    plan: &Plan<'_>,
    region: &RegionRecord,
    s: usize,
    step: &StepRecord,
    input: &OperandRecord,
) -> bool {
    // Who makes the slices: the port (one per tick), a step of this region before or after, or nobody here.
    let mut every = 0i64;
    let mut phase = 0i64;
    let mut burst = 1i64;
    let mut later = false;
    let mut slots = 0i64;
    let port = match plan.port(region.port as usize) {
        Some(port) if region.port != NONE => plan.operand(port.operand as usize),
        _ => None,
    };
    if let Some(port) = port
        && port.tensor == input.tensor
    {
        every = 1;
        slots = port.slots as i64;
    }
    let mut p = region.first_step as usize;
    while p < region.first_step as usize + region.steps as usize {
        if let Some(producer) = plan.step(p)
            && let Some(output) = plan.step_output(&producer)
            && output.tensor == input.tensor
            && every == 0
        {
            every = producer.every as i64;
            phase = producer.phase as i64;
            burst = producer.burst as i64;
            slots = output.slots as i64;
            later = p >= s;
        }
        p += 1;
    }
    if every == 0 {
        return true; // Made before the region began.
    }
    let (stride, dilation) = (input.outer_stride as i64, input.outer_dilation as i64);
    if slots != input.slots as i64 || (stride == 0 && input.slices != 1) {
        return false;
    }
    let reach = (input.outer_count as i64 - 1) * dilation;
    let own_burst = step.burst as i64;
    // Equal rates: slices wanted per tick = slices made per tick.
    if stride * own_burst * every != burst * step.every as i64 {
        return false;
    }
    let mut o = 0;
    let mut newest_made = -1;
    while o < own_burst {
        // The first output of which all slices lie behind the start, so that no clamp hides an error.
        let newest_wanted = o * stride - input.outer_pad as i64 + reach;
        let ticks = step.phase as i64 - phase - later as i64;
        let made = (ticks.div_euclid(every) + 1) * burst;
        if newest_wanted >= made && newest_wanted < input.slices as i64 {
            return false;
        }
        if made - 1 > newest_made {
            newest_made = made - 1;
        }
        let oldest_wanted = o * stride - input.outer_pad as i64;
        if newest_made - oldest_wanted >= slots && slots < input.slices as i64 {
            return false;
        }
        o += 1;
    }
    true
}
