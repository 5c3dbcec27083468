//! Whether what a step reads has been made: who makes the slices of a tensor, and when.

use super::regions::MAX_PHASE;
use crate::plan::*;

/// Whether every slice that step `s` reads through operand `i` has been made by an earlier step (or delivered by the
/// port) when it is due, and has not been overwritten.
///
/// Slices and ticks are linear in each other, so one equation of rates and a look at the first outputs are enough:
/// the producer makes slice `r` at tick `phase + r / burst * every`, the consumer needs
/// `o * stride - pad .. + (count - 1) * dilation` at tick `phase + o / burst * every`. Where the newest one has a tensor
/// of its own, it must be exactly the one made last; the ring may then be filled behind the reader.
#[inline(never)]
pub(super) const fn in_order(
    plan: &Plan<'_>,
    region: &RegionRecord,
    driver: &Driver,
    s: usize,
    i: usize,
) -> bool {
    let (Some(step), Some(input)) = (plan.step(s), plan.operand(i)) else { return false };
    let Some(maker) = maker(plan, region, driver, s, input.tensor) else {
        return true; // Made before the region began.
    };
    let (stride, burst) = (input.outer_stride as u32, step.burst as u32);
    if maker.slots != input.slots || (stride == 0 && input.slices != 1) || !maker.is_sound() {
        return false;
    }
    // Between two bursts the first output is not the one that waits longest.
    if maker.burst > 1 && !step.every.is_multiple_of(maker.every as u16) {
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
            Some(maker) if !maker.later && maker.slots == 1 && maker.is_sound() => {
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
pub(super) const fn stretched_in_order(
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
    if maker.slots != input.slots || !maker.is_sound() || input.newest != 0 {
        return false;
    }
    if step.burst != 1 || maker.burst != 1 || !output.slices.is_multiple_of(input.slices) {
        return false;
    }
    let Some(share) = output.slices.checked_div(input.slices) else { return false };
    let share = share as i64;
    let (every, own) = (maker.every as i64, step.every as i64);
    if input.outer_stride as i64 * every != own * share {
        return false;
    }
    let made = maker.made(step.phase);
    let ticks = step.phase as i64 - maker.phase as i64 - maker.later as i64;
    let most = (ticks + (share - 1) * own).div_euclid(every) + 1;
    let (oldest, slices) = (-(input.outer_pad as i64), input.slices as i64);
    let newest = input.last_of_window(0);
    let newest = if newest < slices { newest } else { slices - 1 };
    newest < made && (most - 1 - oldest < input.slots as i64 || input.slots >= input.slices)
}

/// The tensor into which a region's port delivers a slice each tick, if there is one.
pub(super) struct Driver {
    tensor: Option<u16>,
    slots: u32,
}

impl Driver {
    pub(super) const fn new(port: Option<OperandRecord>) -> Self {
        match port {
            Some(port) => Self { tensor: Some(port.tensor), slots: port.slots },
            None => Self { tensor: None, slots: 0 },
        }
    }
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
    /// A later step has not been looked at yet.
    #[inline(always)]
    const fn is_sound(&self) -> bool {
        self.every > 0 && self.phase <= MAX_PHASE
    }

    /// Slices made when the first outputs of a step with this phase are due.
    #[inline(always)]
    const fn made(&self, phase: u32) -> i64 {
        let ticks = phase as i32 - self.phase as i32 - self.later as i32;
        // Rounded down; without the panic that `div_euclid` has.
        let calls = match ticks.unsigned_abs().checked_div(self.every) {
            Some(calls) if ticks >= 0 => calls as i64 + 1,
            Some(calls) if calls * self.every == ticks.unsigned_abs() => 1 - calls as i64,
            Some(calls) => -(calls as i64),
            None => 0,
        };
        calls * self.burst as i64
    }
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
