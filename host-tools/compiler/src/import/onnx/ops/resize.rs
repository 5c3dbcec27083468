//! Resizing of rows and columns.

use crate::graph::{NearestRounding, Op, ResizeCoordinates, ResizeMode};
use crate::import::onnx::call::{Call, Res, Value, axes_of, reject, reject_for, size_of};
use crate::import::onnx::importer::Importer;

pub(super) fn resize(cx: &mut Importer, call: &Call) -> Res<Value> {
    let x = cx.float_operand(call.input(0)?)?;
    let shape = cx.shape(x).to_vec();
    if !matches!(shape.len(), 3 | 4) {
        return reject_for(format!("an operand with {} axes", shape.len()), "[N, C, H, W] or [N, C, L]");
    }
    let output = output_shape(call, &shape)?;
    if output[..2] != shape[..2] {
        return reject("it resizes the batch or the channels");
    }
    cx.check_shape(&output)?;
    if output == shape {
        return call.input(0).cloned();
    }
    let is_upsample = call.op() == "Upsample";
    let mode = match call.string("mode", "nearest") {
        "nearest" if is_upsample => ResizeMode::Nearest { rounding: NearestRounding::Floor },
        "nearest" => ResizeMode::Nearest {
            rounding: match call.string("nearest_mode", "round_prefer_floor") {
                "round_prefer_floor" => NearestRounding::HalfDown,
                "round_prefer_ceil" => NearestRounding::HalfUp,
                "floor" => NearestRounding::Floor,
                "ceil" => NearestRounding::Ceil,
                other => return reject(format!("nearest_mode = {other}")),
            },
        },
        "linear" | "bilinear" => ResizeMode::Bilinear,
        other => return reject_for(format!("mode = {other}"), "nearest or linear"),
    };
    if call.flag("antialias", false) && (2..shape.len()).any(|i| output[i] < shape[i]) {
        return reject_for("antialias while shrinking", "AveragePool, or antialias = 0");
    }
    let default = if is_upsample { "asymmetric" } else { "half_pixel" };
    let coordinates = match call.string("coordinate_transformation_mode", default) {
        // The symmetric form differs only where a scale does not divide, and that is refused above.
        "half_pixel" | "half_pixel_symmetric" => ResizeCoordinates::HalfPixel { pytorch: false },
        "pytorch_half_pixel" => ResizeCoordinates::HalfPixel { pytorch: true },
        "align_corners" => ResizeCoordinates::AlignCorners,
        "asymmetric" => ResizeCoordinates::Asymmetric,
        other => {
            return reject_for(
                format!("coordinate_transformation_mode = {other}"),
                "half_pixel, pytorch_half_pixel, align_corners or asymmetric",
            );
        }
    };
    let x = cx.channels_last(x)?;
    let mut last = vec![shape[0]];
    last.extend(if shape.len() == 3 { vec![1, output[2]] } else { output[2..].to_vec() });
    last.push(shape[1]);
    let y = cx.node(&call.name, Op::Resize { mode, coordinates }, vec![x], last);
    cx.file_order(y, shape.len()).map(Value::Tensor)
}

fn output_shape(call: &Call, shape: &[usize]) -> Res<Vec<usize>> {
    let upsample = call.op() == "Upsample" || call.opset < 11;
    let axes = match call.ints("axes") {
        Some(axes) => axes_of(axes, shape.len())?,
        None => (0..shape.len()).collect(),
    };
    let mut output = shape.to_vec();
    let sizes = if upsample { None } else { call.optional_constant(3, "sizes")? };
    if let Some(sizes) = sizes.filter(|s| !s.data.is_empty()) {
        if call.string("keep_aspect_ratio_policy", "stretch") != "stretch" {
            return reject_for("keep_aspect_ratio_policy", "sizes in the wanted ratio");
        }
        let sizes = sizes.ints()?;
        if sizes.len() != axes.len() {
            return reject(format!("{} sizes for {} axes", sizes.len(), axes.len()));
        }
        for (&axis, size) in axes.iter().zip(sizes) {
            output[axis] = size_of(size)?;
        }
        return Ok(output);
    }
    let scales = match call.floats("scales") {
        Some(scales) => scales.to_vec(),
        None => call.constant(if upsample { 1 } else { 2 }, "scales")?.reals(),
    };
    if scales.len() != axes.len() {
        return reject(format!("{} scales for {} axes", scales.len(), axes.len()));
    }
    let align = call.string("coordinate_transformation_mode", "") == "align_corners";
    for (&axis, scale) in axes.iter().zip(scales) {
        let exact = shape[axis] as f64 * f64::from(scale);
        // A scale such as 1 / 3 is not exact in single precision.
        let near = exact.round();
        let whole = (exact - near).abs() <= near.abs() * 1e-6;
        if !(exact.is_finite() && whole || align && exact.is_finite()) {
            return reject_for(
                format!("a scale of {scale} on {} positions does not give a whole number", shape[axis]),
                "sizes instead of scales",
            );
        }
        output[axis] = size_of(if whole { near as i64 } else { exact.floor() as i64 })?;
    }
    Ok(output)
}
