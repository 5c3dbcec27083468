//! `conv_s8_dsp`: `conv2d_s8` without groups, for channels whose accumulators fit 24 bits.
//!
//! Constants: 0 weights in blocks of four output channels (`block`), the taps of each kernel row in the order of
//! `expand`, zeros in missing channels; 1 per block the start of the sums and the scales ([`Block`]). Scratch: the
//! expanded inputs of two positions, then one run.
//!
//! Two positions are expanded, then multiplied with all blocks, the last one of an odd number alone.
//! A run that meets padding is put together in scratch first, so the inner loop knows nothing of borders.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;
#[cfg(feature = "pack")]
pub(super) use pack::{LIMITS, blocks, settle, weights};

use mote_runtime::engine::{Call, Mismatch, Rows};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::columns::Columns;
use mote_runtime::kernels::s8::{require, s8_mut};
use mote_runtime::kernels::target_s8::ConvArgs;
use mote_runtime::plan::Fault;

use super::block::{self, Block, Divided, Layer, Pairs, Run, pairs};
use super::expand::{expand_at, steps};
use super::instructions::sxtb16;
use super::stage::Stage;
use super::window::{ROWS, Runs, Window};

/// Bytes of scratch for this many positions.
const fn scratch(positions: usize, kernel_rows: usize, run: usize) -> usize {
    positions * kernel_rows * steps(run) * 4 + run
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = match ConvArgs::checked(step) {
        Ok(args) => args,
        Err(fault) => return Err(fault),
    };
    let (inputs, outputs) = (args.in_channels as usize, args.out_channels as usize);
    let kernel_rows = args.kernel_rows as usize;
    require!(kernel_rows > 0 && kernel_rows <= ROWS && step.window(0) == kernel_rows, Shape);
    let run = inputs as u64 * args.kernel_width as u64;
    let weights = run.div_ceil(4) * 2 * args.kernel_rows as u64 * (outputs as u64).div_ceil(4) * 8;
    require!(run < 1 << 24 && weights < 1 << 28, Arguments);
    let (run, kernel_rows, blocks) = (run as usize, args.kernel_rows as usize, outputs.div_ceil(4));
    require!(step.blob_is(0, steps(run) * kernel_rows * blocks * 8, 4), Shape);
    require!(step.blob_is(1, blocks * size_of::<Block>(), 4), Shape);
    require!(step.scratch_bytes() >= scratch(2, kernel_rows, run), Shape);
    Ok(())
}

/// Computes the rows of a call.
pub fn run<const ROUNDING: u8>(call: Call<'_>) -> Result<(), Mismatch>
where
    [(); 1]: Run<1, ROUNDING>,
    [(); 2]: Run<2, ROUNDING>,
    (): Pairs<ROUNDING>,
{
    let Call { given, mut output, scratch } = call;
    let args = ConvArgs::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    let in_channels = args.in_channels as usize;
    let run = args.kernel_width as usize * in_channels;
    let run_steps = steps(run);
    let steps = args.kernel_rows as usize * run_steps;
    let (x, run_bytes) = scratch.split_at_mut_checked(2 * steps * 4).ok_or(Mismatch)?;
    let layer =
        Layer { weights: given.constants(0)?, blocks: given.constants(1)?, zero_point: args.zero_point };
    let conv = Conv::<ROUNDING> {
        in_channels,
        out_channels: args.out_channels as usize,
        columns: args.columns(),
        run,
        run_steps,
        steps,
        input_zero_point: args.input_zero_point as u8,
        stage: Stage { zero_point: args.zero_point, min: args.min, max: args.max },
        layer: Divided::new(&layer, steps, args.out_channels as usize).ok_or(Mismatch)?,
    };
    let width = source.row_bytes().checked_div(in_channels).ok_or(Mismatch)?;
    let mut room = Room {
        x: bytemuck::try_cast_slice_mut(x).map_err(|_| Mismatch)?,
        run: run_bytes.get_mut(..run).ok_or(Mismatch)?,
    };
    output.for_each(|slice, row, to| {
        conv.row(source.window(slice, row), width, &mut room, s8_mut(to))?;
        conv.stage.clamp(s8_mut(to));
        Ok(())
    })
}

/// Everything of a convolution but its rows.
struct Conv<'a, const ROUNDING: u8> {
    in_channels: usize,
    out_channels: usize,
    columns: Columns,
    /// Bytes of a run.
    run: usize,
    /// Steps of a run.
    run_steps: usize,
    /// Steps of a position.
    steps: usize,
    input_zero_point: u8,
    stage: Stage,
    layer: Divided<'a>,
}

struct Room<'a> {
    /// Expanded inputs.
    x: &'a mut [u32],
    /// A run that meets padding.
    run: &'a mut [u8],
}

impl<const ROUNDING: u8> Conv<'_, ROUNDING>
where
    [(); 1]: Run<1, ROUNDING>,
    [(); 2]: Run<2, ROUNDING>,
    (): Pairs<ROUNDING>,
{
    /// Computes one output row.
    fn row(
        &self,
        window: Rows<'_>,
        width: usize,
        room: &mut Room<'_>,
        to: &mut [i8],
    ) -> Result<(), Mismatch> {
        let mut kept = Window::empty();
        kept.look_up(&window, width * self.in_channels).ok_or(Mismatch)?;
        let window = &kept;
        let columns = to.len().checked_div(self.out_channels).ok_or(Mismatch)?;
        let whole = window.is_complete() && self.columns.dilation == 1;
        let interior = if whole { self.columns.interior(columns, width) } else { 0..0 };
        let (mut column, mut to) = (0, to);
        while column < columns {
            let left = columns - column;
            let inside = if column < interior.start { 0 } else { interior.end.saturating_sub(column) };
            let in_pairs = if self.layer.is_whole() { inside & !1 } else { 0 };
            let positions = match (in_pairs, inside) {
                (0, 0) => left.min(2),
                (0, _) => 1,
                _ => in_pairs,
            };
            let (now, rest) = to.split_at_mut_checked(positions * self.out_channels).ok_or(Mismatch)?;
            let first = (column * self.columns.stride) as isize - self.columns.pad_left;
            if inside > 0 {
                let (at, stride) =
                    (first as usize * self.in_channels, self.columns.stride * self.in_channels);
                let runs = Runs::new(window, at, stride, self.run, positions).ok_or(Mismatch)?;
                if in_pairs > 0 {
                    let x = self.room_for::<2>(room)?;
                    pairs(&runs, x, &self.layer, now, self.out_channels).ok_or(Mismatch)?;
                } else {
                    let x = self.room_for::<1>(room)?;
                    runs.expand(0, x).ok_or(Mismatch)?;
                    block::positions(x, &self.layer, [now]).ok_or(Mismatch)?;
                }
            } else if positions == 1 {
                self.padded::<1>(window, first, room, now)?;
            } else {
                self.padded::<2>(window, first, room, now)?;
            }
            (column, to) = (column + positions, rest);
        }
        Ok(())
    }

    /// Where the steps of `P` positions go.
    #[inline(always)]
    fn room_for<'r, const P: usize>(&self, room: &'r mut Room<'_>) -> Result<&'r mut [[u32; P]], Mismatch> {
        room.x.as_chunks_mut().0.get_mut(..self.steps).ok_or(Mismatch)
    }

    /// Computes `P` neighbouring positions that may meet padding, the first of which reads from column `first` on.
    #[inline(always)]
    fn padded<const P: usize>(
        &self,
        window: &Window<'_>,
        first: isize,
        room: &mut Room<'_>,
        to: &mut [i8],
    ) -> Result<(), Mismatch>
    where
        [(); P]: Run<P, ROUNDING>,
    {
        let x = room.x.as_chunks_mut::<P>().0.get_mut(..self.steps).ok_or(Mismatch)?;
        for (x, row) in x.chunks_exact_mut(self.run_steps.max(1)).zip(window.rows()) {
            self.expand_padded(x.as_flattened_mut(), P, row, first, room.run);
        }
        let mut pixels = to.chunks_exact_mut(self.out_channels.max(1));
        let pixels = core::array::from_fn(|_| pixels.next().unwrap_or_default());
        block::positions(x, &self.layer, pixels).ok_or(Mismatch)
    }

    /// Expands runs of which not all taps, or none, lie inside the input, or that are apart. A row of padding is empty.
    #[inline(never)]
    fn expand_padded(&self, x: &mut [u32], positions: usize, row: &[u8], first: isize, run: &mut [u8]) {
        if row.is_empty() {
            x.fill(sxtb16(u32::from_le_bytes([self.input_zero_point; 4])));
            return;
        }
        for p in 0..positions {
            // What lies left of the row wraps to where it has no bytes.
            let first = first + (p * self.columns.stride) as isize;
            let at = (first as usize).wrapping_mul(self.in_channels);
            if self.columns.dilation == 1 {
                expand_at(x, positions, p, row, at, self.run, self.input_zero_point);
            } else {
                self.put_together(row, at, run);
                expand_at(x, positions, p, run, 0, self.run, 0);
            }
        }
    }

    /// A run whose taps are apart.
    #[inline(never)]
    fn put_together(&self, row: &[u8], mut at: usize, run: &mut [u8]) {
        for pixel in run.chunks_exact_mut(self.in_channels.max(1)) {
            match row.get(at..).and_then(|row| row.get(..pixel.len())) {
                Some(from) => pixel.iter_mut().zip(from).for_each(|(to, from)| *to = *from),
                None => pixel.fill(self.input_zero_point),
            }
            at = at.wrapping_add(self.columns.dilation * self.in_channels);
        }
    }
}
