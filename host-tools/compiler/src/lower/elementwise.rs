//! Operators that work number by number, with broadcasting.

use super::quantized::{activation_codes, requant_of, rounding};
use super::{Context, Operand, Refused};
use crate::graph::{BinaryFn, DType, Op, Tensor, TensorId, UnaryFn, unary_value};
use mote_runtime::kernels::binary_f32::{BinaryF32, Function as Binary};
use mote_runtime::kernels::binary_s8::{Affine, ExtremeS8, MulS8, SumS8};
use mote_runtime::kernels::lut_s8::LutS8;
use mote_runtime::kernels::pack::{Packed, Requant};
use mote_runtime::kernels::prelu_f32::PreluF32;
use mote_runtime::kernels::prelu_s8::PreluS8;
use mote_runtime::kernels::unary_f32::{Function as Unary, UnaryF32};
use mote_runtime::plan::OperandRecord;

/// How an operand's elements meet the output's: element `i` of the output meets `(i / repeat) mod len`.
/// `None` if the broadcast axes don't lie around one block.
fn pattern(operand: &[usize], output: &[usize]) -> Option<usize> {
    let missing = output.len().checked_sub(operand.len())?;
    let padded = std::iter::repeat_n(1, missing).chain(operand.iter().copied());
    let pairs: Vec<(usize, usize)> =
        padded.zip(output.iter().copied()).filter(|&(_, out)| out != 1).collect();
    let is_shared = |&(own, _): &(usize, usize)| own == 1;
    let inner = pairs.iter().rev().take_while(|pair| is_shared(pair)).count();
    let block = pairs.iter().rev().skip(inner).take_while(|pair| !is_shared(pair)).count();
    let rest = pairs.len() - inner - block;
    let repeat = pairs.iter().rev().take(inner).map(|&(_, out)| out).product();
    match (block, pairs[..rest].iter().all(is_shared)) {
        (0, _) => Some(1), // a single element
        (_, true) => Some(repeat),
        _ => None,
    }
}

/// How the operands of an elementwise step meet its output.
struct Sides {
    operands: [Operand; 2],
    /// How often each element is repeated within a row.
    repeat: [usize; 2],
    output: Operand,
    /// The same holds with all rows joined to one.
    joinable: bool,
}

/// By rows if the operands allow; else as whole tensors, copied out in full where the broadcast is none that the
/// kernels know.
fn sides(cx: &mut Context<'_>, operands: [TensorId; 2], output: TensorId) -> Result<Sides, Refused> {
    if let (Some(a), Some(b)) = (by_rows(cx, operands[0], output), by_rows(cx, operands[1], output)) {
        let (operands, repeat) = ([a.operand, b.operand], [a.repeat, b.repeat]);
        return Ok(Sides {
            operands,
            repeat,
            output: cx.spatial(output),
            joinable: a.joinable && b.joinable,
        });
    }
    let mut whole = |operand| match pattern(cx.shape(operand), cx.shape(output)) {
        Some(repeat) => Ok::<_, Refused>((cx.flat(operand), repeat)),
        None => {
            let (tensor, shape) = (cx.graph.tensor(operand), cx.shape(output).to_vec());
            let name = format!("{} (broadcast)", tensor.name);
            let full = Tensor { name, shape, data: None, ..tensor.clone() };
            let full = cx.graph.add_tensor(full);
            super::movement::broadcast_step(cx, operand, full)?;
            Ok((cx.flat(full), 1))
        }
    };
    let ((a, repeat_a), (b, repeat_b)) = (whole(operands[0])?, whole(operands[1])?);
    Ok(Sides { operands: [a, b], repeat: [repeat_a, repeat_b], output: cx.flat(output), joinable: false })
}

/// One operand beside the rows of the output.
struct Side {
    operand: Operand,
    repeat: usize,
    joinable: bool,
}

/// The operand as rows that meet the output's, or as one row that meets each of them.
fn by_rows(cx: &Context<'_>, operand: TensorId, output: TensorId) -> Option<Side> {
    let (from, to) = (cx.shape(operand), cx.shape(output));
    let missing = to.len().checked_sub(from.len())?;
    let from: Vec<usize> = std::iter::repeat_n(1, missing).chain(from.iter().copied()).collect();
    let inner = to.len().saturating_sub(2);
    let ((outer_from, row_from), (outer_to, row_to)) = (from.split_at(inner), to.split_at(inner));
    let repeat = pattern(row_from, row_to)?;
    let joinable = pattern(&from, to) == Some(repeat);
    let row_bytes = (row_from.iter().product::<usize>() * cx.dtype(operand).size()) as u32;
    let view = if outer_from == outer_to {
        let OperandRecord { slices, rows, .. } = cx.spatial(output).view;
        let slice_stride = rows * row_bytes;
        OperandRecord { slots: slices, slices, slice_stride, ..OperandRecord::rows(0, rows, row_bytes) }
    } else if let ([slices_from @ .., 1], [slices_to @ .., _]) = (outer_from, outer_to)
        && slices_from == slices_to
        && slices_to.len() > 1
    {
        // A row for each slice, which meets all rows of the slice.
        let slices = slices_to.iter().product::<usize>() as u32;
        let view = OperandRecord { slots: slices, slices, ..OperandRecord::rows(0, 1, row_bytes) };
        let joinable = pattern(&from, to) == Some(repeat);
        let operand = Operand { tensor: operand, view: view.with_inner(1, 0, 1, 0) };
        return Some(Side { operand, repeat, joinable: joinable && slices == 1 });
    } else if outer_from.iter().all(|&n| n == 1) {
        OperandRecord::rows(0, 1, row_bytes).with_outer(1, 0, 1, 0).with_inner(1, 0, 1, 0)
    } else {
        return None;
    };
    Some(Side { operand: Operand { tensor: operand, view }, repeat, joinable })
}

pub(super) fn binary(cx: &mut Context<'_>) -> Result<(), Refused> {
    let Op::Binary(function) = cx.node.op else { return Err("not a binary operator".into()) };
    let (a, b, output) = (cx.input(0)?, cx.input(1)?, cx.output()?);
    let Sides { operands, repeat, output: to, joinable } = sides(cx, [a, b], output)?;
    let packed = match cx.dtype(output) {
        DType::F32 => {
            let (min, max) = cx.node.activation.limits();
            let function = match function {
                BinaryFn::Add => Binary::Add,
                BinaryFn::Sub => Binary::Sub,
                BinaryFn::Mul => Binary::Mul,
                BinaryFn::Div => Binary::Div,
                BinaryFn::Max => Binary::Max,
                BinaryFn::Min => Binary::Min,
                BinaryFn::SquaredDifference => Binary::SquaredDifference,
                BinaryFn::Pow => Binary::Pow,
            };
            BinaryF32 { function, repeat_a: repeat[0], repeat_b: repeat[1], min, max }.pack()
        }
        DType::I8 => {
            let [first, second] = operands;
            let lens = [first, second, to].map(|operand| operand.view.row_bytes as usize);
            binary_s8(cx, function, [a, b, output], repeat, lens)?
        }
        other => return Err(format!("no {} on {other:?}", function.name())),
    };
    let whole = operands.map(|operand| operand.same_view(&to));
    let macs = u64::from(function == BinaryFn::Mul) * cx.graph.tensor(output).len() as u64;
    cx.push(macs, packed, operands.to_vec(), to, whole.to_vec()).joinable = joinable;
    Ok(())
}

fn binary_s8(
    cx: &Context<'_>,
    function: BinaryFn,
    [a, b, output]: [TensorId; 3],
    repeat: [usize; 2],
    lens: [usize; 3],
) -> Result<Packed, Refused> {
    let affine = |id| cx.quant(id).map(|(scale, zero_point)| Affine { scale: scale.into(), zero_point });
    let (min, max) = activation_codes(cx, output)?;
    let rounding = rounding(cx.node.rounding);
    Ok(match function {
        BinaryFn::Add | BinaryFn::Sub => {
            let (a, b, output) = (affine(a)?, affine(b)?, affine(output)?);
            let sum = SumS8 { a, b, output, repeat, min, max, rounding };
            // Whether both operands have an element for each of the output's.
            let alike = lens.iter().all(|&len| len == lens[2]);
            if function == BinaryFn::Add {
                cx.choices.packer.add_s8(&sum, alike)
            } else {
                cx.choices.packer.sub_s8(&sum, alike)
            }
        }
        BinaryFn::Mul => {
            let ((sa, zero_a), (sb, zero_b), (so, _)) = (cx.quant(a)?, cx.quant(b)?, cx.quant(output)?);
            let requant = requant_of(cx, vec![f64::from(sa * sb / so)], output)?;
            cx.choices.packer.mul_s8(&MulS8 { zero_a, zero_b, repeat, requant }, lens)
        }
        BinaryFn::Max | BinaryFn::Min => {
            if cx.quant(a)? != cx.quant(output)? || cx.quant(b)? != cx.quant(output)? {
                return Err("int8 maximum and minimum need one scale for inputs and output".into());
            }
            let extreme = ExtremeS8 { repeat };
            if function == BinaryFn::Max { extreme.pack_maximum() } else { extreme.pack_minimum() }
        }
        other => return Err(format!("no int8 {}", other.name())),
    })
}

pub(super) fn unary(cx: &mut Context<'_>) -> Result<(), Refused> {
    let Op::Unary(function) = cx.node.op else { return Err("not a unary operator".into()) };
    let (x, output) = (cx.input(0)?, cx.output()?);
    let packed = match (cx.dtype(x), cx.dtype(output)) {
        (DType::F32, DType::F32) => {
            let (function, p, q) = unary_f32(function);
            cx.choices.packer.unary_f32(&UnaryF32 { function, p, q })
        }
        (DType::I8, DType::I8) => {
            let table = table(cx, x, output, |real| unary_value(function, real))?;
            cx.choices.packer.lut_s8(&LutS8 { table: &table })
        }
        (from, to) => return Err(format!("no {} from {from:?} to {to:?}", function.name())),
    };
    let (input, output) = (cx.spatial(x), cx.spatial(output));
    cx.push(0, packed, vec![input], output, vec![true]).joinable = true;
    Ok(())
}

pub(super) fn lookup(cx: &mut Context<'_>) -> Result<(), Refused> {
    let Op::Lookup { table } = &cx.node.op else { return Err("not a table".into()) };
    let (x, output) = (cx.input(0)?, cx.output()?);
    let table: &[i8; 256] = table[..].try_into().map_err(|_| format!("a table of {} codes", table.len()))?;
    if (cx.dtype(x), cx.dtype(output)) != (DType::I8, DType::I8) {
        return Err("a table of int8 codes for another element type".into());
    }
    let packed = cx.choices.packer.lut_s8(&LutS8 { table });
    let (input, output) = (cx.spatial(x), cx.spatial(output));
    cx.push(0, packed, vec![input], output, vec![true]).joinable = true;
    Ok(())
}

/// Codes of `function` for all input codes.
fn table(
    cx: &Context<'_>,
    x: TensorId,
    output: TensorId,
    function: impl Fn(f64) -> f64,
) -> Result<[i8; 256], Refused> {
    let ((s_in, z_in), (s_out, z_out)) = (cx.quant(x)?, cx.quant(output)?);
    let (min, max) = activation_codes(cx, output)?;
    Ok(std::array::from_fn(|i| {
        let real = f64::from(s_in) * f64::from(i as i32 - 128 - z_in);
        let value = function(real);
        let code = (value / f64::from(s_out)).round() + f64::from(z_out);
        // Not a number (the logarithm of a negative one) becomes the lowest code.
        if code.is_nan() { min as i8 } else { code.clamp(min.into(), max.into()) as i8 }
    }))
}

fn unary_f32(function: UnaryFn) -> (Unary, f32, f32) {
    let plain = |f| (f, 0.0, 0.0);
    match function {
        UnaryFn::Relu => plain(Unary::Relu),
        UnaryFn::Relu6 => plain(Unary::Relu6),
        UnaryFn::Clip { min, max } => (Unary::Clip, min, max),
        UnaryFn::LeakyRelu { slope } => (Unary::LeakyRelu, slope, 0.0),
        UnaryFn::Elu { alpha } => (Unary::Elu, alpha, 0.0),
        UnaryFn::Sigmoid => plain(Unary::Sigmoid),
        UnaryFn::Tanh => plain(Unary::Tanh),
        UnaryFn::Swish => plain(Unary::Swish),
        UnaryFn::HardSwish => plain(Unary::HardSwish),
        UnaryFn::HardSigmoid { slope, offset } => (Unary::HardSigmoid, slope, offset),
        UnaryFn::Gelu { approximate: false } => plain(Unary::Gelu),
        UnaryFn::Gelu { approximate: true } => plain(Unary::GeluTanh),
        UnaryFn::Erf => plain(Unary::Erf),
        UnaryFn::Exp => plain(Unary::Exp),
        UnaryFn::Log => plain(Unary::Log),
        UnaryFn::Sqrt => plain(Unary::Sqrt),
        UnaryFn::Rsqrt => plain(Unary::Rsqrt),
        UnaryFn::Reciprocal => plain(Unary::Reciprocal),
        UnaryFn::Square => plain(Unary::Square),
        UnaryFn::Abs => plain(Unary::Abs),
        UnaryFn::Neg => plain(Unary::Neg),
        UnaryFn::Softplus => plain(Unary::Softplus),
        UnaryFn::Mish => plain(Unary::Mish),
        UnaryFn::Floor => plain(Unary::Floor),
        UnaryFn::Ceil => plain(Unary::Ceil),
        UnaryFn::Round => plain(Unary::Round),
        UnaryFn::Sin => plain(Unary::Sin),
        UnaryFn::Cos => plain(Unary::Cos),
    }
}

pub(super) fn prelu(cx: &mut Context<'_>) -> Result<(), Refused> {
    let (x, slope, output) = (cx.input(0)?, cx.input(1)?, cx.output()?);
    let tensor = cx.graph.tensor(slope).clone();
    let Some(data) = &tensor.data else { return Err("the slopes are computed at run time".into()) };
    if pattern(&tensor.shape, cx.shape(x)) != Some(1) {
        return Err("the slopes are not one per channel or one per element".into());
    }
    let slopes = tensor.len();
    let packed = match cx.dtype(x) {
        DType::F32 => PreluF32 { slopes: &data.to_f32() }.pack(),
        DType::I8 => {
            let ((s_in, input_zero_point), (s_out, zero_point)) = (cx.quant(x)?, cx.quant(output)?);
            let (s_slope, slope_zero_point) = cx.quant(slope)?;
            let codes = data.as_i8().ok_or("the slopes are not int8")?;
            let positive = f64::from(s_in) / f64::from(s_out);
            let factors = vec![positive, f64::from(s_in) * f64::from(s_slope) / f64::from(s_out)];
            let requant =
                Requant { factors, zero_point, min: -128, max: 127, rounding: rounding(cx.node.rounding) };
            PreluS8 { slopes: codes, slope_zero_point, input_zero_point, requant }.pack()
        }
        other => return Err(format!("no prelu on {other:?}")),
    };
    let (input, output) = (cx.vectors(x, slopes), cx.vectors(output, slopes));
    cx.push(0, packed, vec![input], output, vec![true]).joinable = true;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::pattern;

    #[test]
    fn blocks_of_matching_axes_are_recognised() {
        assert_eq!(pattern(&[1, 4, 5, 8], &[1, 4, 5, 8]), Some(1));
        assert_eq!(pattern(&[8], &[1, 4, 5, 8]), Some(1));
        assert_eq!(pattern(&[1, 1, 1, 8], &[1, 4, 5, 8]), Some(1));
        assert_eq!(pattern(&[1, 4, 5, 1], &[1, 4, 5, 8]), Some(8));
        assert_eq!(pattern(&[1, 4, 1, 1], &[1, 4, 5, 8]), Some(40));
        assert_eq!(pattern(&[1, 1, 5, 1], &[1, 4, 5, 8]), Some(8));
        assert_eq!(pattern(&[], &[1, 4, 5, 8]), Some(1));
        assert_eq!(pattern(&[4, 1, 8], &[1, 4, 5, 8]), None);
    }
}
