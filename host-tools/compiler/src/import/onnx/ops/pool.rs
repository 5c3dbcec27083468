//! Pooling with a window and over everything.

use super::conv::Window;
use crate::graph::{Op, PoolKind, ReduceFn};
use crate::import::onnx::call::{Call, Res, Value, reject, reject_for, size_of};
use crate::import::onnx::importer::{Importer, to_last};

pub(super) fn pool(cx: &mut Importer, call: &Call) -> Res<Value> {
    call.only_first_output("the indices of the maxima")?;
    let value = call.input(0)?;
    let x = cx.operand(value)?;
    let is_max = call.op() == "MaxPool";
    let quantized_maximum = is_max && cx.graph.tensor(x).quant.is_some();
    if !cx.is_float(value) && !quantized_maximum {
        return reject("pooling of integers");
    }
    let shape = cx.shape(x).to_vec();
    to_last(shape.len())?;
    let Some(size) = call.ints("kernel_shape") else { return reject("kernel_shape is missing") };
    let size = size.iter().map(|&s| size_of(s)).collect::<Res<Vec<_>>>()?;
    let window = Window::read(call, &size, &shape[2..])?;
    let kind = if is_max {
        PoolKind::Max
    } else {
        let included = call.flag("count_include_pad", false);
        // Positions that only rounding up adds never count. With padding that does count, some windows would
        // need one divisor and some another.
        if included && window.has_own_padding() && window.ceil_padding.iter().any(|&e| e > 0) {
            return reject_for(
                "ceil_mode together with count_include_pad and padding",
                "ceil_mode = 0, or count_include_pad = 0",
            );
        }
        PoolKind::Average { include_padding: included && window.has_own_padding() && window.is_padded() }
    };
    let x = cx.channels_last(x)?;
    window.emit(cx, call, |spatial| Op::Pool { kind, spatial }, vec![x], shape[1], shape.len())
}

pub(super) fn global(cx: &mut Importer, call: &Call) -> Res<Value> {
    let x = cx.float_operand(call.input(0)?)?;
    let rank = cx.shape(x).len();
    let x = cx.channels_last(x)?;
    let mut shape = cx.shape(x).to_vec();
    let axes: Vec<usize> = (1..shape.len() - 1).collect();
    axes.iter().for_each(|&axis| shape[axis] = 1);
    let function = if call.op() == "GlobalMaxPool" { ReduceFn::Max } else { ReduceFn::Mean };
    let y = cx.node(&call.name, Op::Reduce { function, axes, keep_dims: true }, vec![x], shape);
    cx.file_order(y, rank).map(Value::Tensor)
}
