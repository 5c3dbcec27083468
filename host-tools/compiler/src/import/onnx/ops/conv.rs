//! Convolution, and the windows that it shares with pooling.

use crate::graph::{Op, Spatial, TensorId};
use crate::import::onnx::call::{Call, Res, Value, reject, reject_for, size_of};
use crate::import::onnx::importer::{Importer, to_last};
use crate::import::onnx::literal::Literal;
use std::rc::Rc;

pub(super) fn conv(cx: &mut Importer, call: &Call) -> Res<Value> {
    let x = cx.float_operand(call.input(0)?)?;
    let rank = cx.shape(x).len();
    to_last(rank)?;
    let weights = call.constant(1, "weights").map_err(|mut why| {
        why.instead = Some("constant weights".into());
        why
    })?;
    if weights.shape.len() != rank || !weights.is_float() {
        return reject(format!("weights of shape {:?} for an operand with {rank} axes", weights.shape));
    }
    let (outputs, per_group) = (weights.shape[0], weights.shape[1]);
    let groups = size_of(call.int("group", 1))?;
    let channels = cx.shape(x)[1];
    if groups == 0 || per_group.checked_mul(groups) != Some(channels) || !outputs.is_multiple_of(groups) {
        return reject(format!(
            "{groups} group(s) and weights of shape {:?} on {channels} channels",
            weights.shape
        ));
    }
    let size = &weights.shape[2..];
    if call
        .ints("kernel_shape")
        .is_some_and(|k| !k.iter().map(|&k| size_of(k).ok()).eq(size.iter().map(|&s| Some(s))))
    {
        return reject("kernel_shape differs from the shape of the weights");
    }
    let window = Window::read(call, size, &cx.shape(x)[2..])?;
    let weights = cx.conv_weights(weights)?;
    let mut inputs = vec![cx.channels_last(x)?, weights];
    if let Some(bias) = call.optional_constant(2, "bias")? {
        if bias.data.len() != outputs || !bias.is_float() {
            return reject(format!("a bias of shape {:?} for {outputs} channels", bias.shape));
        }
        let bias = if bias.shape.len() == 1 { bias.clone() } else { Rc::new(bias.reshaped(vec![outputs])) };
        inputs.push(cx.constant(&bias)?);
    }
    window.emit(cx, call, |spatial| Op::Conv { spatial, groups }, inputs, outputs, rank)
}

impl Importer<'_> {
    /// `[O, I, (t,) (h,) w]` as the graph's `[O, t, h, w, I]`.
    fn conv_weights(&mut self, weights: &Literal) -> Res<TensorId> {
        let rank = weights.shape.len();
        let last = weights.transposed(&to_last(rank)?);
        let mut shape = vec![1; 5];
        shape[0] = last.shape[0];
        shape[6 - rank..].copy_from_slice(&last.shape[1..]);
        self.new_constant(last.reshaped(shape))
    }
}

/// A window over the spatial axes of the file, its padding explicit.
pub(super) struct Window {
    spatial: Spatial,
    /// Padding at the end that only rounding up (`ceil_mode`) asked for, per axis.
    pub ceil_padding: Vec<usize>,
    output: Vec<usize>,
}

impl Window {
    /// Reads strides, dilations, padding and rounding; `size` and `input` cover the spatial axes.
    pub fn read(call: &Call, size: &[usize], input: &[usize]) -> Res<Self> {
        let axes = size.len();
        if !(1..=3).contains(&axes) || input.len() != axes {
            return reject(format!("a window over {axes} axes of {} ", input.len()));
        }
        let read = |name: &str, default: usize, least: usize, count: usize| -> Res<Vec<usize>> {
            let Some(given) = call.ints(name).filter(|v| !v.is_empty()) else {
                return Ok(vec![default; count]);
            };
            let all = given.iter().map(|&v| size_of(v)).collect::<Res<Vec<_>>>();
            match all {
                Ok(all) if all.len() == count && all.iter().all(|&v| (least..1 << 20).contains(&v)) => {
                    Ok(all)
                }
                _ => reject(format!("{name} = {given:?}")),
            }
        };
        let stride = read("strides", 1, 1, axes)?;
        let dilation = read("dilations", 1, 1, axes)?;
        let pads = read("pads", 0, 0, 2 * axes)?;
        let auto_pad = call.string("auto_pad", "NOTSET");
        let ceil = call.flag("ceil_mode", false);
        let mut spatial = Spatial { size: [1; 3], stride: [1; 3], dilation: [1; 3], pad: [(0, 0); 3] };
        let (mut ceil_padding, mut output) = (Vec::new(), Vec::new());
        for i in 0..axes {
            let at = 3 - axes + i;
            let reach = size[i].checked_sub(1).and_then(|n| n.checked_mul(dilation[i])).map(|n| n + 1);
            let Some(reach) = reach.filter(|&r| r <= 1 << 24) else {
                return reject(format!("a window of size {size:?}"));
            };
            let mut pad = match auto_pad {
                "NOTSET" | "" => (pads[i], pads[axes + i]),
                "VALID" => (0, 0),
                "SAME_UPPER" | "SAME_LOWER" => {
                    let out = input[i].div_ceil(stride[i]);
                    let total = (out.saturating_sub(1) * stride[i] + reach).saturating_sub(input[i]);
                    let (small, large) = (total / 2, total - total / 2);
                    if auto_pad == "SAME_UPPER" { (small, large) } else { (large, small) }
                }
                other => return reject_for(format!("auto_pad = {other}"), "NOTSET with explicit pads"),
            };
            let mut extra = 0;
            if ceil {
                let Some(room) = (input[i] + pad.0 + pad.1).checked_sub(reach) else {
                    return reject("a window larger than its operand");
                };
                let mut steps = room.div_ceil(stride[i]);
                // No window starts in the padding at the end.
                if steps > 0 && steps * stride[i] >= input[i] + pad.0 {
                    steps -= 1;
                }
                extra = (steps * stride[i]).saturating_sub(room);
                // Fewer windows than rounding down would give: the padding at the end shrinks.
                pad.1 =
                    (pad.1 + extra).saturating_sub(room.saturating_sub(steps * stride[i] + stride[i] - 1));
            }
            spatial.size[at] = size[i];
            spatial.stride[at] = stride[i];
            spatial.dilation[at] = dilation[i];
            spatial.pad[at] = pad;
            let Some(length) = spatial.output_len(at, input[i]) else {
                return reject("a window larger than its operand");
            };
            ceil_padding.push(extra);
            output.push(length);
        }
        Ok(Self { spatial, ceil_padding, output })
    }

    pub fn is_padded(&self) -> bool {
        self.spatial.pad != [(0, 0); 3]
    }

    /// Padding as the file gave it, without what rounding up added.
    pub fn has_own_padding(&self) -> bool {
        let pads = &self.spatial.pad[3 - self.ceil_padding.len()..];
        pads.iter().zip(&self.ceil_padding).any(|(&(before, after), &extra)| before > 0 || after > extra)
    }

    /// Adds the node, whose first operand is channels last, and answers its output in the file's order.
    pub fn emit(
        self,
        cx: &mut Importer,
        call: &Call,
        op: impl FnOnce(Spatial) -> Op,
        inputs: Vec<TensorId>,
        channels: usize,
        rank: usize,
    ) -> Res<Value> {
        let mut shape = vec![cx.shape(inputs[0])[0]];
        if rank == 3 {
            shape.push(1);
        }
        shape.extend(&self.output);
        shape.push(channels);
        cx.check_shape(&shape)?;
        let y = cx.node(&call.name, op(self.spatial), inputs, shape);
        cx.file_order(y, rank).map(Value::Tensor)
    }
}
