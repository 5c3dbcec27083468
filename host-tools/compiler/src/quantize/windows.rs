//! Second-order statistics of what a layer's weights are multiplied with.

use crate::graph::{Graph, Node, Op, Spatial};

/// Positions that are looked at, over all samples.
const POSITIONS: usize = 4096;

/// Values of a tensor for each sample.
pub(super) type Batch = Vec<Vec<f32>>;

/// The windows of a convolution; a dense layer's are single positions.
pub(super) struct Windows {
    spatial: Spatial,
    /// Lengths of time, rows and columns; axes that are not there are 1.
    input: [usize; 3],
    output: [usize; 3],
    channels: usize,
    pub groups: usize,
}

/// Covariances within the windows of one group of channels.
pub(super) struct Moments {
    /// `[n, n]`, of the values that the quantized layer reads.
    pub own: Vec<f64>,
    /// `[n, n]`: the quantized network's value by row, the float network's by column.
    pub cross: Vec<f64>,
}

impl Windows {
    /// `None` for other operators, and for several pictures in one tensor.
    pub fn of(graph: &Graph, node: &Node) -> Option<Self> {
        let shape = &graph.tensor(*node.inputs.first()?).shape;
        let channels = (*shape.last()?).max(1);
        match &node.op {
            Op::Conv { spatial, groups } if shape[0] == 1 => {
                let output = lengths(&graph.tensor(node.outputs[0]).shape);
                let (spatial, groups) = (spatial.clone(), (*groups).max(1));
                Some(Self { spatial, input: lengths(shape), output, channels, groups })
            }
            Op::Dense => {
                let all = [1, 1, shape.iter().product::<usize>() / channels];
                let spatial = Spatial { size: [1; 3], stride: [1; 3], dilation: [1; 3], pad: [(0, 0); 3] };
                Some(Self { spatial, input: all, output: all, channels, groups: 1 })
            }
            _ => None,
        }
    }

    pub fn taps(&self) -> usize {
        self.spatial.size.iter().product()
    }

    /// Length of one group's window.
    pub fn len(&self) -> usize {
        self.taps() * (self.channels / self.groups)
    }

    /// For each tap of a window: the share of output positions at which it lies inside the input.
    pub fn shares(&self) -> Vec<f64> {
        let share = |axis: usize, tap: usize| {
            let inside = |&o: &usize| self.at(axis, o, tap).is_some();
            (0..self.output[axis]).filter(inside).count() as f64 / self.output[axis].max(1) as f64
        };
        self.each_tap().map(|[t, h, w]| share(0, t) * share(1, h) * share(2, w)).collect()
    }

    /// Mean of each channel over samples and positions.
    pub fn means(&self, batch: &Batch) -> Vec<f64> {
        let (mut sums, mut positions) = (vec![0.0; self.channels], 0usize);
        for position in batch.iter().flat_map(|values| values.chunks(self.channels)) {
            sums.iter_mut().zip(position).for_each(|(sum, &x)| *sum += f64::from(x));
            positions += 1;
        }
        sums.iter().map(|sum| sum / positions.max(1) as f64).collect()
    }

    /// Covariances of each group, over some positions of all samples; with them the number of positions.
    pub fn moments(&self, quantized: &Batch, float: &Batch) -> (Vec<Moments>, usize) {
        let (n, all) = (self.len(), self.output.iter().product::<usize>());
        let each = (POSITIONS / quantized.len().max(1)).clamp(1, all.max(1));
        let mut sums: Vec<Sums> = (0..self.groups).map(|_| Sums::new(n)).collect();
        // As many windows at a time as the cache holds.
        let row = self.taps() * self.channels;
        let block = ((1 << 15) / row.max(1)).clamp(8, 256) / 8 * 8;
        let (mut own, mut other) = (Vec::new(), Vec::new());
        for (sample, (quantized, float)) in quantized.iter().zip(float).enumerate() {
            // Another start for each sample, so that not always the same columns are met.
            let start = (sample as f64 * 0.618_033_988_75).fract();
            let positions: Vec<usize> = (0..each)
                .map(|k| (((k as f64 + start) * all as f64 / each as f64) as usize).min(all - 1))
                .collect();
            for positions in positions.chunks(block) {
                self.gather(quantized, positions, &mut own);
                self.gather(float, positions, &mut other);
                for (group, sums) in sums.iter_mut().enumerate() {
                    let q = self.by_element(&own, positions.len(), group);
                    let f = self.by_element(&other, positions.len(), group);
                    sums.add(&q, &f, positions.len());
                }
            }
        }
        let count = each * quantized.len();
        (sums.into_iter().map(|sums| sums.moments(count)).collect(), count)
    }

    /// Windows with all channels, one after the other; zeros outside.
    fn gather(&self, values: &[f32], positions: &[usize], rows: &mut Vec<f32>) {
        rows.clear();
        let [_, height, width] = self.output;
        for &position in positions {
            let out = [position / (height * width), position / width % height, position % width];
            for tap in self.each_tap() {
                let at: Option<Vec<usize>> = (0..3).map(|axis| self.at(axis, out[axis], tap[axis])).collect();
                match at.as_deref() {
                    Some(&[t, h, w]) => {
                        let from = ((t * self.input[1] + h) * self.input[2] + w) * self.channels;
                        rows.extend_from_slice(&values[from..from + self.channels]);
                    }
                    _ => rows.extend(std::iter::repeat_n(0.0, self.channels)),
                }
            }
        }
    }

    /// One group's windows with the positions innermost.
    fn by_element(&self, rows: &[f32], count: usize, group: usize) -> Vec<f32> {
        let (row, own) = (self.taps() * self.channels, self.channels / self.groups);
        let mut elements = Vec::with_capacity(self.len() * count);
        for tap in 0..self.taps() {
            for channel in 0..own {
                let from = tap * self.channels + group * own + channel;
                elements.extend(rows[from..].iter().step_by(row).take(count));
            }
        }
        elements
    }

    fn each_tap(&self) -> impl Iterator<Item = [usize; 3]> + use<> {
        let [times, rows, columns] = self.spatial.size;
        (0..times).flat_map(move |t| (0..rows).flat_map(move |h| (0..columns).map(move |w| [t, h, w])))
    }

    /// Where a tap reads along an axis; `None` outside.
    fn at(&self, axis: usize, output: usize, tap: usize) -> Option<usize> {
        let at = output * self.spatial.stride[axis] + tap * self.spatial.dilation[axis];
        at.checked_sub(self.spatial.pad[axis].0).filter(|&at| at < self.input[axis])
    }
}

/// Lengths of time, rows and columns.
fn lengths(shape: &[usize]) -> [usize; 3] {
    let inner = &shape[1..shape.len().saturating_sub(1).max(1)];
    let mut lengths = [1; 3];
    lengths.iter_mut().rev().zip(inner.iter().rev()).for_each(|(length, &n)| *length = n);
    lengths
}

/// Sums over positions.
struct Sums {
    own: Vec<f64>,
    cross: Vec<f64>,
    quantized: Vec<f64>,
    float: Vec<f64>,
}

impl Sums {
    fn new(n: usize) -> Self {
        Self { own: vec![0.0; n * n], cross: vec![0.0; n * n], quantized: vec![0.0; n], float: vec![0.0; n] }
    }

    /// Adds `count` windows, given element by element.
    fn add(&mut self, quantized: &[f32], float: &[f32], count: usize) {
        let n = self.quantized.len();
        let element = |i: usize| i * count..(i + 1) * count;
        for i in 0..n {
            let q = &quantized[element(i)];
            self.quantized[i] += q.iter().map(|&x| f64::from(x)).sum::<f64>();
            self.float[i] += float[element(i)].iter().map(|&x| f64::from(x)).sum::<f64>();
            for j in 0..=i {
                self.own[i * n + j] += f64::from(dot(q, &quantized[element(j)]));
            }
            for j in 0..n {
                self.cross[i * n + j] += f64::from(dot(q, &float[element(j)]));
            }
        }
    }

    fn moments(mut self, count: usize) -> Moments {
        let (n, count) = (self.quantized.len(), count as f64);
        for i in 0..n {
            for j in 0..n {
                let (a, b) = (self.quantized[i] / count, self.float[j] / count);
                self.cross[i * n + j] = self.cross[i * n + j] / count - a * b;
            }
            for j in 0..=i {
                let (a, b) = (self.quantized[i] / count, self.quantized[j] / count);
                let covariance = self.own[i * n + j] / count - a * b;
                self.own[i * n + j] = covariance;
                self.own[j * n + i] = covariance;
            }
        }
        Moments { own: self.own, cross: self.cross }
    }
}

/// Eight sums side by side, which the compiler makes vectors of.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let (a8, a_rest) = a.as_chunks::<8>();
    let (b8, b_rest) = b.as_chunks::<8>();
    let mut sums = [0.0f32; 8];
    for (a, b) in a8.iter().zip(b8) {
        for k in 0..8 {
            sums[k] += a[k] * b[k];
        }
    }
    let rest: f32 = a_rest.iter().zip(b_rest).map(|(a, b)| a * b).sum();
    sums.iter().sum::<f32>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn windows(input: [usize; 3], channels: usize, groups: usize) -> Windows {
        let spatial =
            Spatial { size: [1, 3, 3], stride: [1; 3], dilation: [1; 3], pad: [(0, 0), (1, 1), (1, 1)] };
        Windows { spatial, input, output: input, channels, groups }
    }

    #[test]
    fn taps_outside_count_less() {
        let edge = 0.75;
        let expected = [edge * edge, edge, edge * edge, edge, 1.0, edge, edge * edge, edge, edge * edge];
        assert_eq!(windows([1, 4, 4], 2, 1).shares(), expected);
    }

    #[test]
    fn covariances_of_windows() {
        let windows = windows([1, 5, 4], 4, 2);
        let value = |i: usize, salt: usize| ((i * 7919 + salt * 104_729) % 211) as f32 / 100.0 - 1.0;
        let batch = |salt: usize| -> Batch {
            (0..2).map(|sample| (0..80).map(|i| value(i, salt + sample)).collect()).collect()
        };
        let (quantized, float) = (batch(1), batch(5));
        let (moments, count) = windows.moments(&quantized, &float);
        assert_eq!((moments.len(), count, windows.len()), (2, 40, 18));
        let at = |values: &[f32], y: usize, x: usize, tap: usize, channel: usize| {
            let (y, x) = ((y + tap / 3).checked_sub(1), (x + tap % 3).checked_sub(1));
            match (y, x) {
                (Some(y @ 0..5), Some(x @ 0..4)) => f64::from(values[(y * 4 + x) * 4 + channel]),
                _ => 0.0,
            }
        };
        for (group, i, j) in [(0, 0, 17), (1, 5, 5), (1, 16, 3)] {
            let mut sums = [0.0; 5];
            for (q, f) in quantized.iter().zip(&float) {
                for (y, x) in (0..5).flat_map(|y| (0..4).map(move |x| (y, x))) {
                    let read = |values: &[f32], k: usize| at(values, y, x, k / 2, group * 2 + k % 2);
                    let (a, b, c) = (read(q, i), read(q, j), read(f, j));
                    let terms = [a, b, c, a * b, a * c];
                    sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term / 40.0);
                }
            }
            let moments = &moments[group];
            assert!((moments.own[i * 18 + j] - (sums[3] - sums[0] * sums[1])).abs() < 1e-6);
            assert!((moments.own[j * 18 + i] - (sums[3] - sums[0] * sums[1])).abs() < 1e-6);
            assert!((moments.cross[i * 18 + j] - (sums[4] - sums[0] * sums[2])).abs() < 1e-6);
        }
    }
}
