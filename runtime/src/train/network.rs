//! A chain of layers, checked, and the memory that training it takes.

use super::layers::{conv::Conv, depthwise::Depthwise, norm::GroupNorm, pool::Pool, relu};

/// What of a layer is trained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Training {
    Nothing,
    /// The bias (`beta` of a normalization) alone: its gradient needs no input of the layer.
    Bias,
    All,
}

/// One layer. Pictures are rows of columns of channels; one sample at a time.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum Layer {
    /// Convolution; a dense layer is [`Conv::dense`].
    Conv(Conv, Training),
    Depthwise(Depthwise, Training),
    GroupNorm(GroupNorm, Training),
    Relu {
        len: usize,
    },
    MaxPool(Pool),
    MeanPool(Pool),
}

impl Layer {
    /// Elements of its input.
    pub(super) const fn input(&self) -> Option<usize> {
        match self {
            Layer::Conv(l, _) => volume(l.rows.input, l.columns.input, l.channels),
            Layer::Depthwise(l, _) => volume(l.rows.input, l.columns.input, l.channels),
            Layer::GroupNorm(l, _) => l.positions.checked_mul(l.channels),
            Layer::Relu { len } => Some(*len),
            Layer::MaxPool(l) | Layer::MeanPool(l) => volume(l.rows.input, l.columns.input, l.channels),
        }
    }

    /// Elements of its output; `None` where the shape makes no sense.
    pub(super) const fn output(&self) -> Option<usize> {
        let (rows, columns, channels) = match self {
            Layer::Conv(l, _) => (l.rows, l.columns, l.outputs),
            Layer::Depthwise(l, _) => (l.rows, l.columns, l.channels),
            Layer::MaxPool(l) | Layer::MeanPool(l) => {
                // A place in a window is a byte, 255 is none. Padding of a whole window would leave nothing to take the largest of.
                let (high, wide) = (l.rows, l.columns);
                let (Some(taps), true) = (
                    high.window.checked_mul(wide.window),
                    high.before < high.window
                        && high.after < high.window
                        && wide.before < wide.window
                        && wide.after < wide.window,
                ) else {
                    return None;
                };
                if taps > 255 {
                    return None;
                }
                (high, wide, l.channels)
            }
            Layer::GroupNorm(l, _) => {
                if l.groups == 0 || !l.channels.is_multiple_of(l.groups) {
                    return None;
                }
                return l.positions.checked_mul(l.channels);
            }
            Layer::Relu { len } => return Some(*len),
        };
        match (rows.output(), columns.output()) {
            (Some(high), Some(wide)) => volume(high, wide, channels),
            _ => None,
        }
    }

    /// Writes its output over its input.
    pub(super) const fn in_place(&self) -> bool {
        matches!(self, Layer::GroupNorm(..) | Layer::Relu { .. })
    }

    /// Weights and biases.
    pub const fn parameters(&self) -> (usize, usize) {
        match self {
            Layer::Conv(l, _) => (known(l.weights()), l.outputs),
            Layer::Depthwise(l, _) => (known(l.weights()), l.channels),
            Layer::GroupNorm(l, _) => (l.channels, l.channels),
            _ => (0, 0),
        }
    }

    /// Weights and biases that are trained.
    pub const fn trained(&self) -> (usize, usize) {
        let (weights, biases) = self.parameters();
        match self.training() {
            Training::Nothing => (0, 0),
            Training::Bias => (0, biases),
            Training::All => (weights, biases),
        }
    }

    pub const fn training(&self) -> Training {
        match self {
            Layer::Conv(_, training) | Layer::Depthwise(_, training) | Layer::GroupNorm(_, training) => {
                *training
            }
            _ => Training::Nothing,
        }
    }

    /// Numbers and bytes that the way back needs of the way forward. `first`: the layer's input is the sample, which
    /// the caller has; `below`: something below is trained.
    pub(super) const fn saved(&self, first: bool, below: bool) -> (usize, usize) {
        let weights = matches!(self.training(), Training::All);
        match self {
            Layer::Conv(..) | Layer::Depthwise(..) if weights && !first => (known(self.input()), 0),
            Layer::GroupNorm(l, _) if weights || below => (known(self.output()) + l.groups, 0),
            Layer::Relu { len } if below => (0, relu::mask(*len)),
            Layer::MaxPool(_) if below => (0, known(self.output())),
            _ => (0, 0),
        }
    }
}

const fn volume(rows: usize, columns: usize, channels: usize) -> Option<usize> {
    match rows.checked_mul(columns) {
        Some(positions) => positions.checked_mul(channels),
        None => None,
    }
}

/// A size that [`Network::new`] has seen; a layer that no network holds has none.
const fn known(size: Option<usize>) -> usize {
    match size {
        Some(size) => size,
        None => 0,
    }
}

/// Why a chain of layers is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
#[non_exhaustive]
pub enum NetworkError {
    /// No layer at all.
    Empty,
    /// The layer's numbers contradict each other: a window that fits nowhere, groups that don't divide the channels, a
    /// size of zero, or one beyond memory.
    Shape { layer: usize },
    /// The layer reads another number of elements than the one before makes.
    Length { layer: usize, needed: usize, given: usize },
    /// No layer is trained.
    NothingToTrain,
}

impl core::fmt::Display for NetworkError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            NetworkError::Empty => write!(f, "a network without layers"),
            NetworkError::Shape { layer } => write!(f, "layer {layer}: its numbers contradict each other"),
            NetworkError::Length { layer, needed, given } => {
                write!(f, "layer {layer} reads {needed} elements, the one before makes {given}")
            }
            NetworkError::NothingToTrain => write!(f, "no layer is trained"),
        }
    }
}

impl core::error::Error for NetworkError {}

/// Bytes of memory, by what they are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    pub parameters: usize,
    pub gradients: usize,
    pub momentum: usize,
    /// Inputs, normalized values, masks and places that the way back needs.
    pub saved: usize,
    /// The values and slopes of two neighbouring layers, and weights being transposed.
    pub work: usize,
}

impl Memory {
    pub const fn total(&self) -> usize {
        self.parameters + self.gradients + self.momentum + self.saved + self.work
    }
}

/// Sizes of everything, in numbers (`marks`: in bytes).
#[derive(Clone, Copy, Debug)]
pub(super) struct Sizes {
    pub trained: usize,
    pub frozen: usize,
    pub saved: usize,
    pub marks: usize,
    pub widest: usize,
    pub scratch: usize,
}

/// A chain of layers whose shapes fit each other.
#[derive(Clone, Copy, Debug)]
pub struct Network<'l> {
    layers: &'l [Layer],
    /// The lowest layer that is trained.
    lowest: usize,
    input: usize,
    output: usize,
    pub(super) sizes: Sizes,
}

impl<'l> Network<'l> {
    /// Checks the layers, the first of which reads the sample.
    pub const fn new(layers: &'l [Layer]) -> Result<Self, NetworkError> {
        let [first, ..] = layers else { return Err(NetworkError::Empty) };
        let Some(input) = first.input() else { return Err(NetworkError::Shape { layer: 0 }) };
        let mut sizes = Sizes { trained: 0, frozen: 0, saved: 0, marks: 0, widest: 0, scratch: 0 };
        let (mut len, mut lowest, mut rest, mut index) = (input, None, layers, 0);
        while let [layer, above @ ..] = rest {
            let (Some(needed), Some(output)) = (layer.input(), layer.output()) else {
                return Err(NetworkError::Shape { layer: index });
            };
            if needed != len {
                return Err(NetworkError::Length { layer: index, needed, given: len });
            }
            // Sums of sizes stay far from overflow.
            let (weights, biases) = layer.parameters();
            if needed == 0 || output == 0 || needed > LARGEST || output > LARGEST || weights > LARGEST {
                return Err(NetworkError::Shape { layer: index });
            }
            let (numbers, marks) = layer.saved(index == 0, lowest.is_some());
            let (trained_weights, trained_biases) = layer.trained();
            let trained = trained_weights + trained_biases;
            sizes.trained += trained;
            sizes.frozen += weights + biases - trained;
            sizes.saved += numbers;
            sizes.marks += marks;
            sizes.widest = larger(sizes.widest, output);
            if let (Layer::Conv(conv, _), true) = (layer, lowest.is_some()) {
                sizes.scratch = larger(sizes.scratch, conv.scratch());
            }
            if trained > 0 && lowest.is_none() {
                lowest = Some(index);
            }
            len = output;
            rest = above;
            index += 1;
        }
        let Some(lowest) = lowest else { return Err(NetworkError::NothingToTrain) };
        Ok(Self { layers, lowest, input, output: len, sizes })
    }

    pub const fn layers(&self) -> &'l [Layer] {
        self.layers
    }

    /// The lowest layer that is trained: no slope goes below it.
    pub const fn lowest(&self) -> usize {
        self.lowest
    }

    /// Elements of a sample.
    pub const fn input(&self) -> usize {
        self.input
    }

    /// Elements of an answer.
    pub const fn output(&self) -> usize {
        self.output
    }

    /// Numbers that are trained: of each layer in order its weights, then its biases.
    pub const fn trained(&self) -> usize {
        self.sizes.trained
    }

    /// Numbers that are not: of each layer in order its weights, then its biases.
    pub const fn frozen(&self) -> usize {
        self.sizes.frozen
    }

    /// What training takes beside the samples and the frozen numbers.
    pub const fn memory(&self, momentum: bool) -> Memory {
        let Sizes { trained, saved, marks, widest, scratch, .. } = self.sizes;
        Memory {
            parameters: 4 * trained,
            gradients: 4 * trained,
            momentum: if momentum { 4 * trained } else { 0 },
            saved: 4 * saved + marks.next_multiple_of(4),
            work: 4 * (2 * widest + scratch),
        }
    }
}

/// The largest tensor; elements.
const LARGEST: usize = 1 << 24;

const fn larger(a: usize, b: usize) -> usize {
    if a > b { a } else { b }
}
