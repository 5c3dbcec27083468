//! Operators that change shapes: reshape and its relatives, transposition, broadcasting, resizing, padding.

use super::build::{Builder, FileNode, Step};
use super::read::{MAX_RANK, elements};
use super::refused::{Refused, refuse};
use crate::graph::shape::reflected;
use crate::graph::{DType, Data, NearestRounding, Op, ResizeCoordinates, ResizeMode, Tensor};
use tract_tflite::tflite::{BuiltinOperator as B, MirrorPadMode, TensorType};

pub(super) fn reshape(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let x = b.any_input(node, 0)?;
    let count = elements(b.shape(x))?;
    let wanted = match b.optional_input(node, 1)? {
        Some(v) if b.is_constant(v) => Some(b.ints_of(v, "the new shape")?),
        _ => node.op.builtin_options_as_reshape_options().and_then(|o| o.new_shape()).map(|v| {
            let numbers: Vec<i64> = v.iter().take(MAX_RANK + 1).map(i64::from).collect();
            // The format's old way to say "a scalar".
            if numbers == [0] { Vec::new() } else { numbers }
        }),
    };
    let shape = match wanted {
        Some(wanted) => resolve(&wanted, count)?,
        None => match b.declared_output(node, 0)? {
            Some(shape) => shape,
            None => {
                return Err(Refused::new("its new shape is computed while the model runs")
                    .instead("a model whose shapes are all fixed"));
            }
        },
    };
    to_shape(b, node, x, &shape)
}

pub(super) fn squeeze(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let x = b.any_input(node, 0)?;
    let dims = b.shape(x).to_vec();
    let options = node.op.builtin_options_as_squeeze_options().and_then(|o| o.squeeze_dims());
    let mut axes = Vec::new();
    for axis in options.iter().flat_map(|v| v.iter()) {
        let axis = axis_of(axis.into(), dims.len())?;
        if dims[axis] != 1 {
            return refuse(format!("axis {axis} of {dims:?} does not have length 1"));
        }
        axes.push(axis);
    }
    let gone = |axis: usize| dims[axis] == 1 && (axes.is_empty() || axes.contains(&axis));
    let shape: Vec<usize> = (0..dims.len()).filter(|&axis| !gone(axis)).map(|axis| dims[axis]).collect();
    to_shape(b, node, x, &shape)
}

pub(super) fn expand_dims(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let x = b.any_input(node, 0)?;
    let mut shape = b.shape(x).to_vec();
    let &[axis] = &b.ints(node, 1, "the axis")?[..] else { return refuse("it names more than one axis") };
    shape.insert(axis_of(axis, shape.len() + 1)?, 1);
    to_shape(b, node, x, &shape)
}

fn to_shape(
    b: &mut Builder<'_>,
    node: &FileNode<'_>,
    x: super::build::V,
    shape: &[usize],
) -> Result<(), Refused> {
    if elements(shape)? != elements(b.shape(x))? {
        return refuse(format!("{:?} and {shape:?} have different numbers of elements", b.shape(x)));
    }
    let target = b.output(node, 0, shape)?;
    b.same_quant(&[x], &target.tensor)?;
    b.emit(Step::new(Op::Reshape, [x]), target).map(|_| ())
}

/// A shape with at most one -1, for `count` elements.
fn resolve(wanted: &[i64], count: usize) -> Result<Vec<usize>, Refused> {
    let wrong = || Refused::new(format!("{count} elements do not fit into {wanted:?}"));
    if wanted.len() > MAX_RANK {
        return refuse(format!("a shape of {} axes is too deep", wanted.len()));
    }
    let known: Vec<usize> =
        wanted.iter().filter(|&&d| d != -1).map_while(|&d| usize::try_from(d).ok()).collect();
    let open = wanted.iter().filter(|&&d| d == -1).count();
    if known.len() + open != wanted.len() || open > 1 {
        return Err(wrong());
    }
    let product = elements(&known)?;
    let rest = match open {
        0 if product == count => 1,
        1 if product != 0 && count.is_multiple_of(product) => count / product,
        _ => return Err(wrong()),
    };
    Ok(wanted.iter().map(|&d| usize::try_from(d).unwrap_or(rest)).collect())
}

pub(super) fn shape(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let x = b.any_input(node, 0)?;
    let dims: Vec<i64> = b.shape(x).iter().map(|&d| d as i64).collect();
    let wide = node.op.builtin_options_as_shape_options().is_some_and(|o| o.out_type() == TensorType::INT64);
    let count = dims.len();
    let data =
        if wide { Data::I64(dims.into()) } else { Data::I32(dims.iter().map(|&d| d as i32).collect()) };
    b.constant_output(node, &[count], data, None)
}

/// FILL and RANGE occur in shape computations, where they are constant.
pub(super) fn fill(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let dims = b.ints(node, 0, "the shape")?;
    let value = b.input(node, 1)?;
    let shape: Option<Vec<usize>> = dims.iter().map(|&d| usize::try_from(d).ok()).collect();
    let Some(shape) = shape.filter(|s| s.len() <= MAX_RANK) else { return refuse("its shape is negative") };
    elements(&shape)?;
    if b.tensor(value).len() != 1 || !b.is_constant(value) {
        return refuse("its value is not one constant number");
    }
    let target = b.output(node, 0, &shape)?;
    let target_type = target.tensor.dtype;
    if target_type != b.tensor(value).dtype {
        return refuse("its value and its output differ in type");
    }
    let value = b.derive(value, "scalar", |v| Ok(crate::graph::Tensor { shape: vec![], ..v.clone() }))?;
    b.emit(Step::new(Op::BroadcastTo, [value]), target).map(|_| ())
}

pub(super) fn range(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let one = |v: Vec<i64>| v.first().copied().ok_or_else(|| Refused::new("an operand is empty"));
    let start = one(b.ints(node, 0, "the start")?)?;
    let limit = one(b.ints(node, 1, "the limit")?)?;
    let step = one(b.ints(node, 2, "the step")?)?;
    let inside = |x: i64| if step > 0 { x < limit } else { x > limit };
    let mut numbers = Vec::new();
    let mut next = Some(start).filter(|_| step != 0);
    while let Some(x) = next.filter(|&x| inside(x)) {
        if numbers.len() == 1 << 16 {
            return refuse("it counts too far");
        }
        numbers.push(x);
        next = x.checked_add(step);
    }
    let count = numbers.len();
    let v = b.any_input(node, 0)?;
    let data = match b.tensor(v).dtype {
        DType::I32 => Data::I32(numbers.iter().map(|&x| x as i32).collect()),
        _ => Data::I64(numbers.into()),
    };
    b.constant_output(node, &[count], data, None)
}

pub(super) fn transpose(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let x = b.any_input(node, 0)?;
    let dims = b.shape(x).to_vec();
    let mut perm = Vec::new();
    for axis in b.ints(node, 1, "the permutation")? {
        perm.push(axis_of(axis, dims.len())?);
    }
    let mut sorted = perm.clone();
    sorted.sort_unstable();
    if !sorted.into_iter().eq(0..dims.len()) {
        return refuse(format!("{perm:?} is no permutation of {} axes", dims.len()));
    }
    let shape: Vec<usize> = perm.iter().map(|&axis| dims[axis]).collect();
    let target = b.output(node, 0, &shape)?;
    b.same_quant(&[x], &target.tensor)?;
    b.emit(Step::new(Op::Transpose { perm }, [x]), target).map(|_| ())
}

pub(super) fn broadcast_to(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let x = b.any_input(node, 0)?;
    let wanted = b.ints(node, 1, "the new shape")?;
    let shape: Option<Vec<usize>> = wanted.iter().map(|&d| usize::try_from(d).ok()).collect();
    let Some(shape) = shape.filter(|s| s.len() <= MAX_RANK) else { return refuse("its shape is negative") };
    if broadcast(b.shape(x), &shape)? != shape {
        return refuse(format!("{:?} does not broadcast to {shape:?}", b.shape(x)));
    }
    let target = b.output(node, 0, &shape)?;
    b.same_quant(&[x], &target.tensor)?;
    b.emit(Step::new(Op::BroadcastTo, [x]), target).map(|_| ())
}

pub(super) fn pad(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let x = b.input(node, 0)?;
    let numbers = b.ints(node, 1, "the padding")?;
    let mut shape = b.shape(x).to_vec();
    if numbers.len() != shape.len() * 2 {
        return refuse(format!("{} padding numbers for {} axes", numbers.len(), shape.len()));
    }
    let mut pads = Vec::with_capacity(shape.len());
    for (length, pair) in shape.iter_mut().zip(numbers.as_chunks::<2>().0) {
        let (Ok(before), Ok(after)) = (u32::try_from(pair[0]), u32::try_from(pair[1])) else {
            return refuse(format!("its padding {pair:?} is negative or too large"));
        };
        let (before, after) = (before as usize, after as usize);
        *length = length.saturating_add(before).saturating_add(after);
        pads.push((before, after));
    }
    elements(&shape)?;
    let target = b.output(node, 0, &shape)?;
    b.arithmetic(&[x], &target.tensor)?;
    b.same_quant(&[x], &target.tensor)?;
    let mut value = 0.0;
    if node.code == B::PADV2
        && let Some(v) = b.optional_input(node, 2)?
    {
        let v = b.widened(v)?;
        let tensor = b.tensor(v);
        let stored = match &tensor.data {
            Some(data) if data.len() == 1 && data.dtype() == target.tensor.dtype => data.to_f32()[0],
            Some(_) => return refuse("its padding value does not fit its input"),
            None => return refuse("its padding value is not constant"),
        };
        value = match target.tensor.quant.as_ref().and_then(|q| q.uniform()) {
            // The kernel of the format writes the stored number as it is.
            Some((scale, zero_point)) => scale * (stored - zero_point as f32),
            None => stored,
        };
    }
    b.emit(Step::new(Op::Pad { pads, value }, [x]), target).map(|_| ())
}

/// Padding by reflection (not by symmetry, which repeats the edge): a gather along each axis that grows.
pub(super) fn mirror_pad(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let mode = node.op.builtin_options_as_mirror_pad_options().map_or(MirrorPadMode::REFLECT, |o| o.mode());
    if mode != MirrorPadMode::REFLECT {
        return Err(Refused::new("padding that repeats the edge").instead("REFLECT, or PAD with zeros"));
    }
    let x = b.any_input(node, 0)?;
    let pads = b.any_input(node, 1)?;
    let numbers = b.ints_of(pads, "the padding")?;
    let mut shape = b.shape(x).to_vec();
    if numbers.len() != shape.len() * 2 {
        return refuse(format!("{} padding numbers for {} axes", numbers.len(), shape.len()));
    }
    let mut grown = Vec::new();
    for (axis, pair) in numbers.as_chunks::<2>().0.iter().enumerate().filter(|(_, pair)| **pair != [0, 0]) {
        let sizes = pair.map(|n| usize::try_from(n).unwrap_or(usize::MAX));
        let Some(places) = reflected(shape[axis], sizes[0], sizes[1]) else {
            return refuse(format!("its padding {pair:?} is no mirror of {} places", shape[axis]));
        };
        grown.push((axis, places));
    }
    let Some(last) = grown.len().checked_sub(1) else {
        return to_shape(b, node, x, &shape);
    };
    let mut y = x;
    for (i, (axis, places)) in grown.into_iter().enumerate() {
        shape[axis] = places.len();
        elements(&shape)?;
        let data: Data = Data::I32(places.iter().map(|&i| i as i32).collect());
        let name = format!("{}/places{axis}", node.name);
        let indices = b.constant(Tensor::constant(name, vec![places.len()], data))?;
        let step = Step::new(Op::Gather { axis }, [y, indices]);
        if i < last {
            let between = b.between(node, &format!("mirrored{axis}"), &shape, x);
            y = b.emit(step, between)?;
        } else {
            let target = b.output(node, 0, &shape)?;
            b.same_quant(&[x], &target.tensor)?;
            b.emit(step, target)?;
        }
    }
    Ok(())
}

pub(super) fn resize(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let (align, half) = if node.code == B::RESIZE_BILINEAR {
        let o = node.op.builtin_options_as_resize_bilinear_options();
        o.map_or((false, false), |o| (o.align_corners(), o.half_pixel_centers()))
    } else {
        let o = node.op.builtin_options_as_resize_nearest_neighbor_options();
        o.map_or((false, false), |o| (o.align_corners(), o.half_pixel_centers()))
    };
    let coordinates = match (align, half) {
        (true, true) => return refuse("align_corners and half_pixel_centers exclude each other"),
        (true, false) => ResizeCoordinates::AlignCorners,
        (false, true) => ResizeCoordinates::HalfPixel { pytorch: false },
        (false, false) => ResizeCoordinates::Asymmetric,
    };
    let mode = match (node.code, coordinates) {
        (B::RESIZE_BILINEAR, _) => ResizeMode::Bilinear,
        (_, ResizeCoordinates::Asymmetric) => ResizeMode::Nearest { rounding: NearestRounding::Floor },
        // `floor((i + 0.5) * scale)` is the half-pixel coordinate rounded half up.
        _ => ResizeMode::Nearest { rounding: NearestRounding::HalfUp },
    };
    let x = b.input(node, 0)?;
    let &[batch, _, _, channels] = b.shape(x) else {
        return refuse(format!("its input has shape {:?} instead of four axes", b.shape(x)));
    };
    let size = b.ints(node, 1, "the new size")?;
    let &[rows @ 1..=0x7FFF_FFFF, columns @ 1..=0x7FFF_FFFF] = &size[..] else {
        return refuse(format!("its size {size:?} is wrong"));
    };
    let shape = [batch, rows as usize, columns as usize, channels];
    elements(&shape)?;
    let target = b.output(node, 0, &shape)?;
    b.arithmetic(&[x], &target.tensor)?;
    b.same_quant(&[x], &target.tensor)?;
    b.emit(Step::new(Op::Resize { mode, coordinates }, [x]), target).map(|_| ())
}

/// Blocks of pixels to channels and back, as a transposition between two reshapes.
pub(super) fn block_to_depth(b: &mut Builder<'_>, node: &FileNode<'_>) -> Result<(), Refused> {
    let to_space = node.code == B::DEPTH_TO_SPACE;
    let block = if to_space {
        node.op.builtin_options_as_depth_to_space_options().map(|o| o.block_size())
    } else {
        node.op.builtin_options_as_space_to_depth_options().map(|o| o.block_size())
    };
    let Some(n) = block.and_then(|n| usize::try_from(n).ok()).filter(|n| (1..=4096).contains(n)) else {
        return refuse("its block size is missing or wrong");
    };
    let x = b.input(node, 0)?;
    let &[batch, rows, columns, channels] = b.shape(x) else {
        return refuse(format!("its input has shape {:?} instead of four axes", b.shape(x)));
    };
    let divides = match to_space {
        true => channels.is_multiple_of(n * n),
        false => rows.is_multiple_of(n) && columns.is_multiple_of(n),
    };
    if !divides {
        return refuse(format!("{:?} does not divide into blocks of {n}", b.shape(x)));
    }
    // Both directions swap the two inner axes of four: in a block, rows lie outside of columns.
    let (split, shape) = if to_space {
        let rest = channels / (n * n);
        ([batch * rows, columns, n, n * rest], [batch, rows * n, columns * n, rest])
    } else {
        let (rows, columns) = (rows / n, columns / n);
        ([batch * rows, n, columns, n * channels], [batch, rows, columns, n * n * channels])
    };
    let target = b.output(node, 0, &shape)?;
    b.same_quant(&[x], &target.tensor)?;
    let blocks = b.between(node, "blocks", &split, x);
    let blocks = b.emit(Step::new(Op::Reshape, [x]), blocks)?;
    let swapped = b.between(node, "swapped", &[split[0], split[2], split[1], split[3]], x);
    let swapped = b.emit(Step::new(Op::Transpose { perm: vec![0, 2, 1, 3] }, [blocks]), swapped)?;
    b.emit(Step::new(Op::Reshape, [swapped]), target).map(|_| ())
}

/// Numpy's rule.
pub(super) fn broadcast(a: &[usize], b: &[usize]) -> Result<Vec<usize>, Refused> {
    let rank = a.len().max(b.len());
    let length = |shape: &[usize], axis: usize| match (axis + shape.len()).checked_sub(rank) {
        Some(own) => shape[own],
        None => 1,
    };
    let mut shape = Vec::with_capacity(rank);
    for axis in 0..rank {
        shape.push(match (length(a, axis), length(b, axis)) {
            (x, y) if x == y => x,
            (1, y) => y,
            (x, 1) => x,
            _ => return refuse(format!("{a:?} and {b:?} do not broadcast")),
        });
    }
    elements(&shape)?;
    Ok(shape)
}

/// An axis that may count from the end.
pub(super) fn axis_of(axis: i64, rank: usize) -> Result<usize, Refused> {
    let from_start = if axis < 0 { axis.checked_add(rank as i64).unwrap_or(-1) } else { axis };
    match usize::try_from(from_start) {
        Ok(found) if found < rank => Ok(found),
        _ => refuse(format!("axis {axis} does not exist in {rank} axes")),
    }
}
