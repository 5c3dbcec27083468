//! Convolution, pooling and resizing.

use super::algebra::dot;
use super::{Array, Outcome};
use crate::graph::{NearestRounding, PoolKind, ResizeCoordinates, ResizeMode, Spatial};

pub(super) fn conv(
    x: &Array,
    weights: &Array,
    bias: Option<&Array>,
    spatial: &Spatial,
    groups: usize,
    output: &[usize],
) -> Outcome {
    let input = Volume::of(&x.shape)?;
    let out = Volume::of(output)?;
    check_window(&input, &out, spatial)?;
    let &[c_out, kt, kh, kw, depth] = &weights.shape[..] else { return Err("weights have five axes") };
    let fits = [kt, kh, kw] == spatial.size
        && groups > 0
        && depth * groups == input.channels
        && c_out == out.channels
        && c_out.is_multiple_of(groups)
        && bias.is_none_or(|bias| bias.values.len() == c_out);
    if !fits {
        return Err("the weights don't fit the operand");
    }
    let per_group = c_out / groups;
    let mut values = Vec::with_capacity(output.iter().product());
    for (batch, position) in out.positions() {
        let start = values.len();
        values.extend((0..c_out).map(|o| bias.map_or(0.0, |bias| bias.values[o])));
        for (tap, source) in taps(&input, spatial, position) {
            let pixel = input.offset(batch, source);
            for o in 0..c_out {
                let first = pixel + o / per_group * depth;
                let w = (o * kt * kh * kw + tap) * depth;
                values[start + o] += dot(&x.values[first..first + depth], &weights.values[w..w + depth]);
            }
        }
    }
    Ok(Array { shape: output.to_vec(), values })
}

pub(super) fn pool(x: &Array, kind: PoolKind, spatial: &Spatial, output: &[usize]) -> Outcome {
    let input = Volume::of(&x.shape)?;
    let out = Volume::of(output)?;
    check_window(&input, &out, spatial)?;
    if input.channels != out.channels {
        return Err("a pool keeps its channels");
    }
    let whole = spatial.size.iter().product::<usize>() as f64;
    let mut values = Vec::with_capacity(output.iter().product());
    for (batch, position) in out.positions() {
        let pixels: Vec<usize> =
            taps(&input, spatial, position).map(|(_, source)| input.offset(batch, source)).collect();
        for channel in 0..input.channels {
            let lane = pixels.iter().map(|pixel| x.values[pixel + channel]);
            values.push(match kind {
                PoolKind::Max => lane.fold(f64::NEG_INFINITY, f64::max),
                PoolKind::Average { include_padding: true } => lane.sum::<f64>() / whole,
                PoolKind::Average { include_padding: false } => {
                    lane.sum::<f64>() / pixels.len().max(1) as f64
                }
            });
        }
    }
    Ok(Array { shape: output.to_vec(), values })
}

pub(super) fn resize(
    x: &Array,
    mode: ResizeMode,
    coordinates: ResizeCoordinates,
    output: &[usize],
) -> Outcome {
    let (&[n, rows, columns, channels], &[n_out, out_rows, out_columns, c_out]) = (&x.shape[..], output)
    else {
        return Err("a resize has four axes");
    };
    if n != n_out || channels != c_out || rows == 0 || columns == 0 {
        return Err("a resize keeps batch and channels");
    }
    let row_sources = axis_sources(mode, coordinates, rows, out_rows);
    let column_sources = axis_sources(mode, coordinates, columns, out_columns);
    let mut values = Vec::with_capacity(output.iter().product());
    for batch in 0..n {
        for (r0, r1, fr) in &row_sources {
            for (c0, c1, fc) in &column_sources {
                for channel in 0..channels {
                    let at = |r: &usize, c: &usize| {
                        x.values[((batch * rows + r) * columns + c) * channels + channel]
                    };
                    let top = at(r0, c0) * (1.0 - fc) + at(r0, c1) * fc;
                    let bottom = at(r1, c0) * (1.0 - fc) + at(r1, c1) * fc;
                    values.push(top * (1.0 - fr) + bottom * fr);
                }
            }
        }
    }
    Ok(Array { shape: output.to_vec(), values })
}

/// For each output position: the two source positions, and the share of the second.
fn axis_sources(
    mode: ResizeMode,
    coordinates: ResizeCoordinates,
    n_in: usize,
    n_out: usize,
) -> Vec<(usize, usize, f64)> {
    let (input, output) = (n_in as f64, n_out as f64);
    let last = n_in - 1;
    let coordinate = |i: usize| match coordinates {
        ResizeCoordinates::HalfPixel { pytorch: true } if n_out == 1 => 0.0,
        ResizeCoordinates::HalfPixel { .. } => (i as f64 + 0.5) * input / output - 0.5,
        ResizeCoordinates::AlignCorners if n_out == 1 => 0.0,
        ResizeCoordinates::AlignCorners => i as f64 * (input - 1.0) / (output - 1.0),
        ResizeCoordinates::Asymmetric => i as f64 * input / output,
    };
    let source = |i: usize| match mode {
        ResizeMode::Nearest { rounding } => {
            let x = coordinate(i);
            let rounded = match rounding {
                NearestRounding::Floor => x.floor(),
                NearestRounding::Ceil => x.ceil(),
                NearestRounding::HalfDown => (x - 0.5).ceil(),
                NearestRounding::HalfUp => (x + 0.5).floor(),
            };
            let index = (rounded.max(0.0) as usize).min(last);
            (index, index, 0.0)
        }
        ResizeMode::Bilinear => {
            let x = coordinate(i).clamp(0.0, last as f64);
            let index = x.floor() as usize;
            (index, (index + 1).min(last), x - x.floor())
        }
    };
    (0..n_out).map(source).collect()
}

/// A tensor seen as `[N, T, H, W, C]`.
struct Volume {
    batch: usize,
    lengths: [usize; 3],
    channels: usize,
}

impl Volume {
    fn of(shape: &[usize]) -> Result<Volume, &'static str> {
        Ok(match *shape {
            [batch, w, channels] => Volume { batch, lengths: [1, 1, w], channels },
            [batch, h, w, channels] => Volume { batch, lengths: [1, h, w], channels },
            [batch, t, h, w, channels] => Volume { batch, lengths: [t, h, w], channels },
            _ => return Err("a window operator needs three to five axes"),
        })
    }

    fn offset(&self, batch: usize, [t, h, w]: [usize; 3]) -> usize {
        let [lt, lh, lw] = self.lengths;
        (((batch * lt + t) * lh + h) * lw + w) * self.channels
    }

    fn positions(&self) -> impl Iterator<Item = (usize, [usize; 3])> + use<> {
        let ([lt, lh, lw], batch) = (self.lengths, self.batch);
        (0..batch * lt * lh * lw)
            .map(move |i| (i / (lt * lh * lw), [i / (lh * lw) % lt, i / lw % lh, i % lw]))
    }
}

fn check_window(input: &Volume, out: &Volume, spatial: &Spatial) -> Result<(), &'static str> {
    let fits = |axis: usize| {
        let length = spatial.output_len(axis, input.lengths[axis]);
        // An importer may ask for less than the window yields, never for more.
        length.is_some_and(|length| out.lengths[axis] <= length)
    };
    let sane = spatial.size.iter().chain(&spatial.stride).chain(&spatial.dilation).all(|&n| n > 0);
    match sane && input.batch == out.batch && (0..3).all(fits) {
        true => Ok(()),
        false => Err("the window doesn't fit the operand"),
    }
}

/// The taps of the window at `position` that lie inside the operand, with their source positions.
fn taps(
    input: &Volume,
    spatial: &Spatial,
    position: [usize; 3],
) -> impl Iterator<Item = (usize, [usize; 3])> + use<> {
    let ([_, kh, kw], lengths, spatial) = (spatial.size, input.lengths, spatial.clone());
    (0..spatial.size.iter().product::<usize>()).filter_map(move |tap| {
        let within = [tap / (kh * kw), tap / kw % kh, tap % kw];
        let mut source = [0; 3];
        for axis in 0..3 {
            let padded = position[axis] * spatial.stride[axis] + within[axis] * spatial.dilation[axis];
            let index = padded.checked_sub(spatial.pad[axis].0)?;
            source[axis] = (index < lengths[axis]).then_some(index)?;
        }
        Some((tap, source))
    })
}
