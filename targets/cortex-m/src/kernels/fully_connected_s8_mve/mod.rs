//! `fully_connected_s8_mve`: `fully_connected_s8`.
//!
//! Input 0: one row that holds one or several vectors, or rows that together are one. Constants: 0 weights in blocks of
//! four outputs (`mve::dot`), 1 per block the start of the sums and the scales. Scratch: a vector of inputs, unless
//! vectors are whole ones of the processor: then they are read where they are. (Only rows that make up one vector are
//! then added up one by one.)

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch, Rows};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::s8::{require, s8, s8_mut};
use mote_runtime::kernels::target_s8::DenseArgs;
use mote_runtime::plan::Fault;

use super::mve::dot::{Layer, Loops, STEP, Weights, steps};
use super::mve::stage::{Block, Stage};

/// Bytes of scratch.
const fn scratch(inputs: usize) -> usize {
    if inputs.is_multiple_of(STEP) { 0 } else { STEP * steps(inputs) }
}

/// Accepts a step only if [`run`] can serve it.
pub const fn check(step: &StepView<'_>) -> Result<(), Fault> {
    let args = match DenseArgs::checked(step) {
        Ok(args) => args,
        Err(fault) => return Err(fault),
    };
    let (inputs, outputs) = (args.inputs as usize, args.outputs as usize);
    let (row, to, window) = (step.row_len(0), step.row_len(1), step.window(0));
    if row > inputs {
        require!(window == 1 && row.is_multiple_of(inputs) && to == row / inputs * outputs, Shape);
    } else {
        require!(row as u64 * window as u64 == inputs as u64 && to == outputs, Shape);
    }
    require!(window == 1 && step.within(0) || window > 1, Shape);
    let blocks = outputs.div_ceil(4);
    let weights = steps(inputs) as u64 * blocks as u64 * size_of::<Weights>() as u64;
    require!(weights < 1 << 28 && step.blob_is(0, weights as usize, 4), Shape);
    require!(step.blob_is(1, blocks * size_of::<Block>(), 4), Shape);
    let (given, whole) = (step.scratch_bytes(), STEP * steps(inputs));
    require!(given >= whole || given == scratch(inputs), Shape);
    Ok(())
}

/// Computes the rows of a call.
pub fn run<const ROUNDING: u8>(call: Call<'_>) -> Result<(), Mismatch>
where
    for<'a> Layer<'a>: Loops<ROUNDING>,
{
    let Call { given, mut output, scratch } = call;
    let args = DenseArgs::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    let inputs = args.inputs as usize;
    let layer = Layer {
        weights: given.constants(0)?,
        blocks: given.constants(1)?,
        steps: steps(inputs),
        out_channels: args.outputs as usize,
        stage: Stage::new(args.zero_point, args.min, args.max),
    };
    let padding = args.input_zero_point as i8;
    let x = s8_mut(scratch);
    output.for_each(|slice, row, to| {
        let (rows, to) = (source.window(slice, row), s8_mut(to));
        if !x.is_empty() {
            copied(&layer, rows, inputs, padding, x, to)?;
        } else if rows.len() == 1 {
            layer.positions(s8(rows.get(0).ok_or(Mismatch)?), inputs, to)?;
        } else {
            by_rows::<ROUNDING>(&layer, rows, source.row_bytes(), padding, to)?;
        }
        layer.stage.clamp(to);
        Ok(())
    })
}

/// Vectors that are put together in `x`.
fn copied<const ROUNDING: u8>(
    layer: &Layer<'_>,
    rows: Rows<'_>,
    inputs: usize,
    padding: i8,
    x: &mut [i8],
    to: &mut [i8],
) -> Result<(), Mismatch>
where
    for<'a> Layer<'a>: Loops<ROUNDING>,
{
    if rows.len() == 1 {
        let vectors = s8(rows.get(0).ok_or(Mismatch)?).chunks_exact(inputs.max(1));
        for (to, vector) in to.chunks_exact_mut(layer.out_channels.max(1)).zip(vectors) {
            x.iter_mut().zip(vector).for_each(|(to, from)| *to = *from);
            layer.positions(x, 0, to)?;
        }
        return Ok(());
    }
    let part = inputs.checked_div(rows.len()).ok_or(Mismatch)?;
    for (k, x) in x.chunks_exact_mut(part.max(1)).enumerate().take(rows.len()) {
        match rows.get(k) {
            Some(row) => x.iter_mut().zip(s8(row)).for_each(|(to, from)| *to = *from),
            None => x.fill(padding),
        }
    }
    layer.positions(x, 0, to)
}

/// One vector of several rows.
#[inline(never)]
fn by_rows<const ROUNDING: u8>(
    layer: &Layer<'_>,
    rows: Rows<'_>,
    row_len: usize,
    padding: i8,
    to: &mut [i8],
) -> Result<(), Mismatch> {
    let blocks = layer.weights.chunks_exact(layer.steps.max(1)).zip(layer.blocks);
    for (to, (weights, block)) in to.chunks_mut(4).zip(blocks) {
        let mut sums = [0i32; 4];
        for (c, sum) in sums.iter_mut().enumerate() {
            let mut weights = weights.iter().filter_map(|step| step.get(c)).flatten();
            for k in 0..rows.len() {
                let row = rows.get(k).map(s8);
                for i in 0..row_len {
                    let x = row.map_or(Some(padding), |row| row.get(i).copied()).ok_or(Mismatch)?;
                    let w = weights.next().ok_or(Mismatch)?;
                    *sum = sum.wrapping_add(i32::from(x) * i32::from(*w));
                }
            }
        }
        let codes = layer.stage.codes::<ROUNDING>(sums, block);
        to.iter_mut().zip(codes).for_each(|(to, code)| *to = code);
    }
    Ok(())
}
