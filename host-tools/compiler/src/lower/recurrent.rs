//! Recurrent layers, a frame a slice.

use super::{Context, Refused};
use crate::graph::{DType, Op};
use mote_runtime::kernels::recurrent_f32::{GruF32, LstmF32};

pub(super) fn recurrent(cx: &mut Context<'_>) -> Result<(), Refused> {
    let (x, output) = (cx.input(0)?, cx.output()?);
    if cx.dtype(x) != DType::F32 {
        return Err(format!("no {} on {:?}", cx.node.op.name(), cx.dtype(x)));
    }
    let mut parameters = Vec::new();
    for &id in &cx.node.inputs[1..] {
        let data = cx.graph.tensor(id).data.as_ref().ok_or("its parameters are computed at run time")?;
        parameters.push(data.to_f32());
    }
    let half = cx.choices.half_weights;
    let (packed, gates, states) = match (&cx.node.op, &parameters[..]) {
        (&Op::Gru { reset_before }, [weights, bias, initial]) => {
            let size = initial.len();
            (GruF32 { size, weights, half, bias, initial, reset_before }.pack(), 3 * size, size)
        }
        (Op::Lstm, [weights, initial]) => {
            let size = initial.len() / 2;
            (LstmF32 { size, weights, half, initial }.pack(), 4 * size, 2 * size)
        }
        _ => return Err("a recurrent layer with other parameters".into()),
    };
    let by_frames = |id, length: usize| {
        let rows = cx.rows_of(id, length);
        super::Operand { view: rows.view.as_slices(rows.view.rows), ..rows }
    };
    let (input, to) = (by_frames(x, gates), by_frames(output, states));
    let macs = parameters[0].len() as u64 * u64::from(to.view.slices);
    cx.push(macs, packed, vec![input], to, vec![false]).carries = true;
    Ok(())
}

/// All frames of a window in one row.
pub(super) fn collect(cx: &mut Context<'_>) -> Result<(), Refused> {
    let (x, output) = (cx.input(0)?, cx.output()?);
    let (input, output) = (cx.frames(x).all_slices(), cx.frames(output));
    cx.push(0, mote_runtime::kernels::copy::CopyRows.pack(), vec![input], output, vec![false]);
    Ok(())
}
