//! Checks of regions and of their steps: indices, schedule, aliases.

use super::order::{Driver, in_order, stretched_in_order};
use super::{Checked, within};
use crate::plan::*;

/// Ticks of a region over rows: more than any picture has rows, few enough to be walked in a moment.
const MAX_TICKS: u32 = 1 << 20;

/// Latest first tick of a step: differences of ticks fit 32 bits.
pub(super) const MAX_PHASE: u32 = 1 << 30;

pub(super) const fn regions(plan: &Plan<'_>) -> Checked {
    // Operands are checked with their steps, which mostly name them one behind the other: `first..seen` are done.
    let first = match plan.step(0) {
        Some(step) => step.operand as usize,
        None => 0,
    };
    let mut seen = first;
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
        let mut port = None;
        if region.port != NONE {
            port = match plan.port(region.port as usize) {
                Some(port) if port.direction == 0 => plan.operand(port.operand as usize),
                _ => None,
            };
            ensure!(port.is_some() && !matches!(kind, RegionKind::Plain), REGIONS, i, Range);
        } else {
            ensure!(!matches!(kind, RegionKind::Endless), REGIONS, i, Range);
        }
        let driver = Driver::new(port);
        let mut s = region.first_step as usize;
        while s < next {
            match check_step(plan, s, &region, kind, &driver) {
                Ok(operands) if operands.start == seen => seen = operands.end,
                Ok(_) => {}
                Err(error) => return Err(error),
            }
            s += 1;
        }
        i += 1;
    }
    ensure!(next == plan.steps(), STEPS, next, Range);
    let mut i = 0;
    while i < plan.operands() {
        if i == first && seen > first {
            i = seen;
            continue;
        }
        match check_operand(plan, i) {
            Ok(seen) => ensure!(seen.newest == 0, OPERANDS, i, Schedule),
            Err(error) => return Err(error),
        }
        i += 1;
    }
    Ok(())
}

/// Checks a step and its operands, whose range it gives.
const fn check_step(
    plan: &Plan<'_>,
    s: usize,
    region: &RegionRecord,
    kind: RegionKind,
    driver: &Driver,
) -> Result<core::ops::Range<usize>, PlanError> {
    let Some(step) = plan.step(s) else {
        return Err(PlanError::Record { section: section::STEPS, index: s as u16, fault: Fault::Range });
    };
    let arena = plan.header.arena as usize;
    let args = plan.core[section::ARGS as usize].bytes.len();
    ensure!((step.kernel as usize) < plan.kernels(), STEPS, s, Range);
    ensure!(within(step.args, step.args_bytes as u32, args), STEPS, s, Range);
    ensure!(step.blob as usize + step.blobs as usize <= plan.blobs(), STEPS, s, Range);
    ensure!(within(step.scratch, step.scratch_bytes, arena), STEPS, s, Range);
    ensure!((step.scratch as usize).is_multiple_of(ALIGN), STEPS, s, Alignment);
    ensure!(step.every > 0 && step.burst > 0 && step.phase <= MAX_PHASE, STEPS, s, Schedule);
    let scratch = Bytes { space: Space::Arena as u8, offset: step.scratch, bytes: step.scratch_bytes };
    let plain = matches!(kind, RegionKind::Plain);
    let in_place = step.flags & step_flags::IN_PLACE_MASK;
    let (first, inputs) = (step.operand as usize, step.inputs as usize);
    let last = first + inputs;
    ensure!(last < plan.operands(), STEPS, s, Range);
    // The output, then the inputs.
    let mut own = scratch;
    let mut i = last;
    loop {
        let seen = match check_operand(plan, i) {
            Ok(seen) => seen,
            Err(error) => return Err(error),
        };
        if i == last {
            // What one call makes has its place: the work of a call is bounded by the memory.
            let made = if plain { seen.slices } else { step.burst as u32 };
            ensure!(seen.slots >= seen.slices || made <= seen.slots, STEPS, s, Schedule);
            ensure!(seen.tensor.space != Space::Constant as u8, STEPS, s, Alias);
            ensure!(seen.tensor.disjoint(&scratch) && seen.newest == 0, STEPS, s, Alias);
            own = seen.tensor;
            i = first;
        } else {
            let k = i - first;
            if in_place != 0 && k < 4 && in_place & (step_flags::IN_PLACE << k) != 0 {
                ensure!(same_place(plan, i, last), STEPS, s, Alias);
            } else {
                ensure!(seen.tensor.disjoint(&own) && seen.tensor.disjoint(&scratch), STEPS, s, Alias);
            }
            if seen.newest != 0 {
                match check_newest(plan, i, kind, &step) {
                    Ok(newest) => {
                        ensure!(newest.disjoint(&own) && newest.disjoint(&scratch), STEPS, s, Alias)
                    }
                    Err(error) => return Err(error),
                }
            }
            let stretched = step.flags & step_flags::STRETCHED != 0;
            let ordered = plain
                || if stretched {
                    stretched_in_order(plan, region, driver, s, i)
                } else {
                    in_order(plan, region, driver, s, i)
                };
            ensure!(ordered, STEPS, s, Schedule);
            i += 1;
        }
        if i == last {
            return Ok(first..last + 1);
        }
    }
}

/// What a step asks of its operands.
struct Seen {
    tensor: Bytes,
    newest: u16,
    slots: u32,
    slices: u32,
}

/// Checks operand `i`; its tensor was checked before.
#[inline(always)]
const fn check_operand(plan: &Plan<'_>, i: usize) -> Result<Seen, PlanError> {
    let Some(o) = plan.operand(i) else {
        return Err(PlanError::Record { section: section::OPERANDS, index: i as u16, fault: Fault::Range });
    };
    let Some(tensor) = plan.tensor(o.tensor as usize) else {
        return Err(PlanError::Record { section: section::OPERANDS, index: i as u16, fault: Fault::Range });
    };
    ensure!(o.slots > 0 && o.slices > 0 && o.rows > 0 && o.row_bytes > 0, OPERANDS, i, Shape);
    ensure!(o.outer_count > 0 && o.inner_count > 0, OPERANDS, i, Shape);
    // Sizes are powers of two: one look at all low bits.
    let size = match DType::from_code(tensor.dtype) {
        Some(dtype) => dtype.size() as u32,
        None => 1,
    };
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
    let tensor = Bytes { space: tensor.space, offset: tensor.offset, bytes: tensor.bytes };
    Ok(Seen { tensor, newest: o.newest, slots: o.slots, slices: o.slices })
}

/// Checks the tensor that holds the newest slice of operand `i`: it is of the same kind, and a slice fits.
#[inline(never)]
const fn check_newest(
    plan: &Plan<'_>,
    i: usize,
    kind: RegionKind,
    step: &StepRecord,
) -> Result<Bytes, PlanError> {
    let range = PlanError::Record { section: section::OPERANDS, index: i as u16, fault: Fault::Range };
    let Some(o) = plan.operand(i) else { return Err(range) };
    let (Some(tensor), Some(ring)) = (plan.tensor(o.newest as usize - 1), plan.tensor(o.tensor as usize))
    else {
        return Err(range);
    };
    ensure!(matches!(kind, RegionKind::Endless), OPERANDS, i, Schedule);
    ensure!(step.burst == 1 && o.outer_count > 1 && o.outer_dilation > 0, OPERANDS, i, Schedule);
    ensure!(tensor.dtype == ring.dtype, OPERANDS, i, Code);
    let slice = (o.rows - 1) as u64 * o.row_stride as u64 + o.row_bytes as u64;
    ensure!(slice <= tensor.bytes as u64, OPERANDS, i, Range);
    Ok(Bytes { space: tensor.space, offset: tensor.offset, bytes: tensor.bytes })
}

/// A piece of a space, inside of it: no sum overflows.
#[derive(Clone, Copy)]
struct Bytes {
    space: u8,
    offset: u32,
    bytes: u32,
}

impl Bytes {
    #[inline(always)]
    const fn disjoint(&self, other: &Self) -> bool {
        self.space != other.space
            || self.offset.wrapping_add(self.bytes) <= other.offset
            || other.offset.wrapping_add(other.bytes) <= self.offset
            || self.bytes == 0
            || other.bytes == 0
    }
}

/// Whether two operands are the same rows of memory.
#[inline(never)]
const fn same_place(plan: &Plan<'_>, a: usize, b: usize) -> bool {
    let (Some(a), Some(b)) = (plan.operand(a), plan.operand(b)) else { return false };
    let (Some(of), Some(other)) = (plan.tensor(a.tensor as usize), plan.tensor(b.tensor as usize)) else {
        return false;
    };
    of.space == other.space
        && of.offset as u64 + a.offset as u64 == other.offset as u64 + b.offset as u64
        && a.slots == b.slots
        && a.slice_stride == b.slice_stride
        && a.rows == b.rows
        && a.row_stride == b.row_stride
        && a.row_bytes == b.row_bytes
}
