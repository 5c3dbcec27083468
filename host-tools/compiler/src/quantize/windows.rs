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

/// Covariances of the `n` values in the windows of one group of channels, `[n, n]`.
pub(super) struct Moments(pub Vec<f64>);

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
    pub fn moments(&self, batch: &Batch) -> (Vec<Moments>, usize) {
        let (n, all) = (self.len(), self.output.iter().product::<usize>());
        let each = (POSITIONS / batch.len().max(1)).clamp(1, all.max(1));
        let mut sums: Vec<Sums> = (0..self.groups).map(|_| Sums::new(n)).collect();
        // As many windows at a time as the cache holds.
        let row = self.taps() * self.channels;
        let block = ((1 << 15) / row.max(1)).clamp(8, 256) / 8 * 8;
        let mut rows = Vec::new();
        for (sample, values) in batch.iter().enumerate() {
            // Another start for each sample, so that not always the same columns are met.
            let start = (sample as f64 * 0.618_033_988_75).fract();
            let positions: Vec<usize> = (0..each)
                .map(|k| (((k as f64 + start) * all as f64 / each as f64) as usize).min(all - 1))
                .collect();
            for positions in positions.chunks(block) {
                self.gather(values, positions, &mut rows);
                for (group, sums) in sums.iter_mut().enumerate() {
                    sums.add(&self.by_element(&rows, positions.len(), group), positions.len());
                }
            }
        }
        let count = each * batch.len();
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

/// Sums over positions: of the values, and of their products below the diagonal.
struct Sums {
    values: Vec<f64>,
    products: Vec<f64>,
}

impl Sums {
    fn new(n: usize) -> Self {
        Self { values: vec![0.0; n], products: vec![0.0; n * n] }
    }

    /// Adds `count` windows, given element by element.
    fn add(&mut self, elements: &[f32], count: usize) {
        let n = self.values.len();
        let element = |i: usize| &elements[i * count..(i + 1) * count];
        for i in 0..n {
            let own = element(i);
            self.values[i] += own.iter().map(|&x| f64::from(x)).sum::<f64>();
            for j in 0..=i {
                self.products[i * n + j] += f64::from(dot(own, element(j)));
            }
        }
    }

    fn moments(self, count: usize) -> Moments {
        let (n, count) = (self.values.len(), count.max(1) as f64);
        let mut covariances = self.products;
        for (i, j) in (0..n).flat_map(|i| (0..=i).map(move |j| (i, j))) {
            let means = self.values[i] / count * (self.values[j] / count);
            let covariance = covariances[i * n + j] / count - means;
            covariances[i * n + j] = covariance;
            covariances[j * n + i] = covariance;
        }
        Moments(covariances)
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
        let batch: Batch = (0..2).map(|sample| (0..80).map(|i| value(i, sample)).collect()).collect();
        let (moments, count) = windows.moments(&batch);
        assert_eq!((moments.len(), count, windows.len()), (2, 40, 18));
        let at = |values: &[f32], y: usize, x: usize, tap: usize, channel: usize| {
            let (y, x) = ((y + tap / 3).checked_sub(1), (x + tap % 3).checked_sub(1));
            match (y, x) {
                (Some(y @ 0..5), Some(x @ 0..4)) => f64::from(values[(y * 4 + x) * 4 + channel]),
                _ => 0.0,
            }
        };
        for (group, i, j) in [(0, 0, 17), (1, 5, 5), (1, 16, 3)] {
            let mut means = [0.0; 3];
            for values in &batch {
                for (y, x) in (0..5).flat_map(|y| (0..4).map(move |x| (y, x))) {
                    let read = |k: usize| at(values, y, x, k / 2, group * 2 + k % 2);
                    let terms = [read(i), read(j), read(i) * read(j)];
                    means.iter_mut().zip(terms).for_each(|(mean, term)| *mean += term / 40.0);
                }
            }
            let expected = means[2] - means[0] * means[1];
            let Moments(found) = &moments[group];
            assert!((found[i * 18 + j] - expected).abs() < 1e-6 && found[i * 18 + j] == found[j * 18 + i]);
        }
    }
}
