//! Checks of regions and of their steps: schedule, aliases, order.

use super::{Checked, within};
use crate::plan::*;

/// Ticks of a region over rows: more than any picture has rows, few enough to be walked in a moment.
const MAX_TICKS: u32 = 1 << 20;

/// Latest first tick of a step: differences of ticks fit 32 bits.
const MAX_PHASE: u32 = 1 << 30;

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

/// The tensor into which a region's port delivers a slice each tick, if there is one.
struct Driver {
    tensor: Option<u16>,
    slots: u32,
}

impl Driver {
    const fn new(port: Option<OperandRecord>) -> Self {
        match port {
            Some(port) => Self { tensor: Some(port.tensor), slots: port.slots },
            None => Self { tensor: None, slots: 0 },
        }
    }
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

/// How the slices of a tensor come to be.
struct Maker {
    slots: u32,
    every: u32,
    burst: u32,
    phase: u32,
    /// Whether the reader runs before the maker in a tick.
    later: bool,
}

impl Maker {
    /// Slices made when the first outputs of a step with this phase are due.
    #[inline(always)]
    const fn made(&self, phase: u32) -> i64 {
        let ticks = phase as i32 - self.phase as i32 - self.later as i32;
        let calls = if self.every == 1 { ticks } else { ticks.div_euclid(self.every as i32) } as i64 + 1;
        calls * self.burst as i64
    }
}

/// Whether every slice that step `s` reads through operand `i` has been made by an earlier step (or delivered by the
/// port) when it is due, and has not been overwritten.
///
/// Slices and ticks are linear in each other, so one equation of rates and a look at the first outputs are enough:
/// the producer makes slice `r` at tick `phase + r / burst * every`, the consumer needs
/// `o * stride - pad .. + (count - 1) * dilation` at tick `phase + o / burst * every`. Where the newest one has a tensor
/// of its own, it must be exactly the one made last; the ring may then be filled behind the reader.
#[inline(never)]
const fn in_order(plan: &Plan<'_>, region: &RegionRecord, driver: &Driver, s: usize, i: usize) -> bool {
    let (Some(step), Some(input)) = (plan.step(s), plan.operand(i)) else { return false };
    let Some(maker) = maker(plan, region, driver, s, input.tensor) else {
        return true; // Made before the region began.
    };
    let (stride, burst) = (input.outer_stride as u32, step.burst as u32);
    if maker.slots != input.slots || (stride == 0 && input.slices != 1) {
        return false;
    }
    // A later step has not been looked at yet.
    if maker.every == 0 || maker.phase > MAX_PHASE {
        return false;
    }
    // Equal rates: slices wanted per tick = slices made per tick.
    if stride as u64 * burst as u64 * maker.every as u64 != maker.burst as u64 * step.every as u64 {
        return false;
    }
    let made = maker.made(step.phase);
    let (oldest, slices) = (-(input.outer_pad as i64), input.slices as i64);
    let mut newest = input.last_of_window(burst as usize - 1);
    if input.newest != 0 {
        // The newest slice is in a tensor that holds one, all others in the ring.
        match self::maker(plan, region, driver, s, input.newest - 1) {
            Some(maker)
                if !maker.later && maker.slots == 1 && maker.every > 0 && maker.phase <= MAX_PHASE =>
            {
                let same_rate = stride as u64 * maker.every as u64 == step.every as u64;
                if maker.burst != 1 || !same_rate || newest != maker.made(step.phase) - 1 {
                    return false;
                }
            }
            _ => return false,
        }
        newest -= input.outer_dilation as i64;
    }
    let newest = if newest < slices { newest } else { slices - 1 };
    newest < made && (made - 1 - oldest < input.slots as i64 || input.slots >= input.slices)
}

/// The same for a step that makes several slices for each one that it reads: their windows are the same, the first of
/// them decides what must be made, the last what must still be there.
#[inline(never)]
const fn stretched_in_order(
    plan: &Plan<'_>,
    region: &RegionRecord,
    driver: &Driver,
    s: usize,
    i: usize,
) -> bool {
    let (Some(step), Some(input)) = (plan.step(s), plan.operand(i)) else { return false };
    let (Some(output), maker) = (plan.step_output(&step), maker(plan, region, driver, s, input.tensor))
    else {
        return false;
    };
    let Some(maker) = maker else { return true };
    if maker.slots != input.slots || maker.every == 0 || maker.phase > MAX_PHASE || input.newest != 0 {
        return false;
    }
    if step.burst != 1 || maker.burst != 1 || !output.slices.is_multiple_of(input.slices) {
        return false;
    }
    let share = (output.slices / input.slices) as i64;
    let (every, own) = (maker.every as i64, step.every as i64);
    if input.outer_stride as i64 * every != own * share {
        return false;
    }
    let ticks = step.phase as i64 - maker.phase as i64 - maker.later as i64;
    let made = ticks.div_euclid(every) + 1;
    let most = (ticks + (share - 1) * own).div_euclid(every) + 1;
    let (oldest, slices) = (-(input.outer_pad as i64), input.slices as i64);
    let newest = oldest + (input.outer_count as i64 - 1) * input.outer_dilation as i64;
    let newest = if newest < slices { newest } else { slices - 1 };
    newest < made && (most - 1 - oldest < input.slots as i64 || input.slots >= input.slices)
}

/// Who makes the slices of `tensor` in this region: the port (one per tick), the nearest step before `s`, a step after
/// it, or nobody. A step reads mostly what the one before it made, so this search is short.
const fn maker(
    plan: &Plan<'_>,
    region: &RegionRecord,
    driver: &Driver,
    s: usize,
    tensor: u16,
) -> Option<Maker> {
    if let Some(driven) = driver.tensor
        && driven == tensor
    {
        return Some(Maker { slots: driver.slots, every: 1, burst: 1, phase: 0, later: false });
    }
    let (first, steps) = (region.first_step as usize, region.steps as usize);
    let mut n = 0;
    while n < steps {
        // s - 1, s - 2, ... first, then s, s + 1, ... last.
        let p = if n < s - first { s - 1 - n } else { first + n };
        if let Some(step) = plan.step(p)
            && let Some(output) = plan.step_output(&step)
            && output.tensor == tensor
        {
            let (every, burst) = (step.every as u32, step.burst as u32);
            return Some(Maker { slots: output.slots, every, burst, phase: step.phase, later: p >= s });
        }
        n += 1;
    }
    None
}
