//! `fully_connected_s8_simd128`: `fully_connected_s8`.
//!
//! Input 0: one row that holds one or several vectors, or rows that together are one. Constants: as of `conv_s8_simd128`.
//! Scratch: the inputs of a vector, widened.

#[cfg(feature = "pack")]
mod pack;
#[cfg(feature = "pack")]
pub use pack::pack;

use mote_runtime::engine::{Call, Mismatch, Rows};
use mote_runtime::kernels::StepView;
use mote_runtime::kernels::s8::{require, s8, s8_mut};
use mote_runtime::kernels::target_s8::DenseArgs;
use mote_runtime::plan::Fault;

use super::gemm::{self, GROUP, Layer, Pairs, memory, widen, widen_one};
use super::stage::Stage;

/// Bytes of scratch: a group of vectors.
const fn scratch(inputs: usize) -> usize {
    memory(inputs) * size_of::<Pairs>()
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
        require!(step.within(0), Shape);
    } else {
        require!(row as u64 * window as u64 == inputs as u64 && to == outputs, Shape);
    }
    if let Err(fault) = gemm::check(step, inputs as u64, outputs, args.form) {
        return Err(fault);
    }
    require!(step.scratch_bytes() >= scratch(inputs), Shape);
    Ok(())
}

/// Computes the rows of a call.
pub fn run(call: Call<'_>) -> Result<(), Mismatch> {
    let Call { given, mut output, scratch: room } = call;
    let args = DenseArgs::read(given.args(), 0).ok_or(Mismatch)?;
    let source = given.source(0)?;
    let inputs = args.inputs as usize;
    let stage = Stage::new(args.zero_point, args.min, args.max);
    let layer = Layer::new(&given, inputs, args.outputs as usize, stage, args.form)?;
    let padding = args.input_zero_point as i8;
    let room = room.get_mut(..scratch(inputs)).ok_or(Mismatch)?;
    output.for_each(|slice, row, to| {
        let (rows, to) = (source.window(slice, row), s8_mut(to));
        if source.row_bytes() > inputs {
            let x = s8(rows.get(0).ok_or(Mismatch)?);
            let group = bytemuck::try_cast_slice_mut(room).map_err(|_| Mismatch)?;
            return several(&layer, x, group, to);
        }
        let x: &mut [i16] = bytemuck::try_cast_slice_mut(room).map_err(|_| Mismatch)?;
        let x = x.get_mut(..2 * memory(inputs)).ok_or(Mismatch)?;
        gather(rows, source.row_bytes(), padding, x);
        layer.position(x, to)
    })
}

/// The vectors of a row, four at a time; those behind the last one are as the last one.
fn several(layer: &Layer<'_>, x: &[i8], group: &mut [Pairs], to: &mut [i8]) -> Result<(), Mismatch> {
    let positions = (GROUP * layer.out_channels).max(1);
    for (x, to) in x.chunks(GROUP * layer.inputs).zip(to.chunks_mut(positions)) {
        let mut vectors = x.chunks_exact(layer.inputs.max(1));
        let mut last: &[i8] = &[];
        let four = [(); GROUP].map(|()| {
            last = vectors.next().unwrap_or(last);
            last
        });
        widen(four, layer.group, group);
        layer.positions(group, to)?;
    }
    Ok(())
}

/// Widens the rows of a vector, side by side.
fn gather(rows: Rows<'_>, row_bytes: usize, padding: i8, x: &mut [i16]) {
    if let (1, Some(row)) = (rows.len(), rows.get(0)) {
        return widen_one(s8(row), x);
    }
    let mut to = x.iter_mut();
    for row in rows.in_turn() {
        match row {
            Some(row) => s8(row).iter().zip(&mut to).for_each(|(from, to)| *to = i16::from(*from)),
            None => (&mut to).take(row_bytes).for_each(|to| *to = padding.into()),
        }
    }
    to.for_each(|to| *to = 0);
}
