//! The operators of a [`Graph`](super::Graph) and their attributes.

use std::sync::Arc;

/// What a node computes. The operands of each operator are listed in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Op {
    /// `x, weights [, bias]`: convolution over time, rows and columns; depthwise if `groups == C_in`.
    Conv { spatial: Spatial, groups: usize },
    /// `x, weights [, bias]`: `y[.., n] = sum_k x[.., k] * weights[n, k] + bias[n]`.
    Dense,
    /// `a, b`: batched matrix product over the last two axes, leading axes broadcast.
    MatMul { transpose_a: bool, transpose_b: bool },
    /// `q, k, v [, bias]`: attention of several heads, `softmax_j(scale * q[i] . k[j] + bias[h, i, j]) * v[j]` in each
    /// head `h`. The last axis of each operand is a vector that holds all heads; all other axes together count the
    /// vectors. The output has a vector for each query, its heads side by side. The bias is a constant.
    Attention(Attention),
    /// `a, b`: elementwise with broadcasting (numpy's rule).
    Binary(BinaryFn),
    /// `x`: elementwise.
    Unary(UnaryFn),
    /// `x` (int8): the code at `code + 128` of 256 codes; an int8 function that is no single [`UnaryFn`].
    Lookup { table: Arc<[i8]> },
    /// `x, slope`: `x` where positive, `slope * x` elsewhere; the slope broadcasts.
    Prelu,
    /// `x`: pooling over time, rows and columns.
    Pool { kind: PoolKind, spatial: Spatial },
    /// `x`: reduction over `axes`.
    Reduce { function: ReduceFn, axes: Vec<usize>, keep_dims: bool },
    /// `x`: `softmax(beta * x)` along `axis`.
    Softmax { axis: usize, beta: f32 },
    /// `x, gamma, beta`: over the last `axes` axes.
    LayerNorm { axes: usize, epsilon: f32 },
    /// `x, gamma, beta, mean, variance`: per last-axis channel; folded away before lowering where possible.
    BatchNorm { epsilon: f32 },
    /// `x0, x1, ..`: along `axis`.
    Concat { axis: usize },
    /// `x`: `start + i * step` along each axis; as many entries as axes; the output shape gives the lengths.
    Slice { starts: Vec<usize>, steps: Vec<usize> },
    /// `x`: constant padding per axis, `(before, after)`, with a real value (a quantized tensor stores its code).
    Pad { pads: Vec<(usize, usize)>, value: f32 },
    /// `x`: `y.shape[i] = x.shape[perm[i]]`.
    Transpose { perm: Vec<usize> },
    /// `x`: the same elements in the shape of the output tensor; costs nothing.
    Reshape,
    /// `x`: the same elements in the shape of the output tensor, which has all frames of `x` in one. Made where a
    /// network runs frame by frame and something needs a window of frames as a whole.
    Collect,
    /// `x, weights, bias, initial`: a gated recurrent unit along axis 1 of `[1, T, 3 * H]`: what the input adds to update
    /// gate, reset gate and candidate, for each frame. Weights `[3 * H, H]` and bias of the recurrence, the initial state
    /// `[H]`; the output is the state behind each frame, `[1, T, H]`:
    /// `z, r = sigmoid(x + R h + b)`, `n = tanh(x + r * (R h + b))`, or `tanh(x + R (r * h) + b)` with
    /// `reset_before`; `h' = (1 - z) * n + z * h`.
    Gru { reset_before: bool },
    /// `x, weights, initial`: a long short-term memory along axis 1 of `[1, T, 4 * H]`: what the input and all biases add
    /// to input gate, output gate, forget gate and candidate. Weights `[4 * H, H]` of the recurrence, the initial states
    /// `[2 * H]`; the output is both states behind each frame, `[1, T, 2 * H]`, hidden state first:
    /// `c' = f * c + i * tanh(g)`, `h' = o * tanh(c')`.
    Lstm,
    /// `x`: repeats axes of length 1 up to the output's shape.
    BroadcastTo,
    /// `x`: resizes rows and columns of `[N, H, W, C]` to the output's shape.
    Resize { mode: ResizeMode, coordinates: ResizeCoordinates },
    /// `x, indices` (constant): picks along `axis`.
    Gather { axis: usize },
    /// `table` (constant, `[P, ..]`): its first rows, along the output's axis `axis`. They stand for frames of a stream in
    /// which frame `t` has row `t mod P` for as long as it lives, so nothing folds them into a constant before it is
    /// known whether the network will stream.
    Recycle { axis: usize },
    /// `x` (float): to the output's quantization.
    Quantize,
    /// `x` (quantized): to float.
    Dequantize,
    /// `x` (quantized): to the output's other quantization.
    Requantize,
    /// `x`: to the output's element type, numbers unscaled.
    Cast,
}

impl Op {
    /// Stable lower-case name, as `inspect` and refusals print it.
    pub fn name(&self) -> &'static str {
        match self {
            Op::Conv { .. } => "conv",
            Op::Dense => "dense",
            Op::MatMul { .. } => "matmul",
            Op::Attention(_) => "attention",
            Op::Binary(f) => f.name(),
            Op::Unary(f) => f.name(),
            Op::Lookup { .. } => "lookup",
            Op::Prelu => "prelu",
            Op::Pool { kind: PoolKind::Max, .. } => "max_pool",
            Op::Pool { kind: PoolKind::Average { .. }, .. } => "average_pool",
            Op::Reduce { function: ReduceFn::Mean, .. } => "mean",
            Op::Reduce { function: ReduceFn::Sum, .. } => "sum",
            Op::Reduce { function: ReduceFn::Max, .. } => "reduce_max",
            Op::Softmax { .. } => "softmax",
            Op::LayerNorm { .. } => "layer_norm",
            Op::BatchNorm { .. } => "batch_norm",
            Op::Concat { .. } => "concat",
            Op::Slice { .. } => "slice",
            Op::Pad { .. } => "pad",
            Op::Transpose { .. } => "transpose",
            Op::Reshape => "reshape",
            Op::Collect => "collect",
            Op::Gru { .. } => "gru",
            Op::Lstm => "lstm",
            Op::BroadcastTo => "broadcast_to",
            Op::Resize { mode: ResizeMode::Nearest { .. }, .. } => "resize_nearest",
            Op::Resize { mode: ResizeMode::Bilinear, .. } => "resize_bilinear",
            Op::Gather { .. } => "gather",
            Op::Recycle { .. } => "recycle",
            Op::Quantize => "quantize",
            Op::Dequantize => "dequantize",
            Op::Requantize => "requantize",
            Op::Cast => "cast",
        }
    }
}

/// Window of a convolution or pool along time, rows and columns (`[t, h, w]`). Networks without a time axis
/// have size 1, stride 1, no padding there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spatial {
    pub size: [usize; 3],
    pub stride: [usize; 3],
    pub dilation: [usize; 3],
    /// `(before, after)`.
    pub pad: [(usize, usize); 3],
}

impl Spatial {
    /// A window over rows and columns only.
    pub fn over_rows_and_columns(
        size: [usize; 2],
        stride: [usize; 2],
        dilation: [usize; 2],
        pad: [(usize, usize); 2],
    ) -> Self {
        Self {
            size: [1, size[0], size[1]],
            stride: [1, stride[0], stride[1]],
            dilation: [1, dilation[0], dilation[1]],
            pad: [(0, 0), pad[0], pad[1]],
        }
    }

    /// Output length along `axis` (0 = time) for `input` slices; `None` if the window does not fit.
    pub fn output_len(&self, axis: usize, input: usize) -> Option<usize> {
        let reach = self.dilation[axis].checked_mul(self.size[axis].checked_sub(1)?)?.checked_add(1)?;
        let padded = input.checked_add(self.pad[axis].0)?.checked_add(self.pad[axis].1)?;
        Some(padded.checked_sub(reach)?.checked_div(self.stride[axis])? + 1)
    }
}

/// How queries, keys and values lie in the operands of an attention.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Attention {
    pub heads: usize,
    /// Factor before the softmax; positive.
    pub scale: f32,
    pub query: HeadLayout,
    pub key: HeadLayout,
    pub value: HeadLayout,
}

/// Where the heads lie in a vector: head `h` is `depth` elements from `offset + h * stride` on. One tensor may so hold
/// queries, keys and values at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeadLayout {
    pub offset: usize,
    pub stride: usize,
    pub depth: usize,
}

impl HeadLayout {
    /// Length that a vector must have at least.
    pub fn reach(&self, heads: usize) -> usize {
        self.offset + heads.saturating_sub(1) * self.stride + self.depth
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BinaryFn {
    Add,
    Sub,
    Mul,
    Div,
    Max,
    Min,
    SquaredDifference,
    Pow,
}

impl BinaryFn {
    pub fn name(self) -> &'static str {
        match self {
            BinaryFn::Add => "add",
            BinaryFn::Sub => "sub",
            BinaryFn::Mul => "mul",
            BinaryFn::Div => "div",
            BinaryFn::Max => "maximum",
            BinaryFn::Min => "minimum",
            BinaryFn::SquaredDifference => "squared_difference",
            BinaryFn::Pow => "pow",
        }
    }
}

/// Elementwise functions of one operand. Int8 ones become 256-entry tables.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum UnaryFn {
    Relu,
    Relu6,
    Clip {
        min: f32,
        max: f32,
    },
    LeakyRelu {
        slope: f32,
    },
    Elu {
        alpha: f32,
    },
    Sigmoid,
    Tanh,
    Swish,
    HardSwish,
    /// `clamp(slope * x + offset, 0, 1)`.
    HardSigmoid {
        slope: f32,
        offset: f32,
    },
    /// Exact (`erf`), or the `tanh` approximation.
    Gelu {
        approximate: bool,
    },
    Erf,
    Exp,
    Log,
    Sqrt,
    Rsqrt,
    Reciprocal,
    Square,
    Abs,
    Neg,
    Softplus,
    Mish,
    Floor,
    Ceil,
    Round,
    Sin,
    Cos,
}

impl UnaryFn {
    pub fn name(self) -> &'static str {
        match self {
            UnaryFn::Relu => "relu",
            UnaryFn::Relu6 => "relu6",
            UnaryFn::Clip { .. } => "clip",
            UnaryFn::LeakyRelu { .. } => "leaky_relu",
            UnaryFn::Elu { .. } => "elu",
            UnaryFn::Sigmoid => "sigmoid",
            UnaryFn::Tanh => "tanh",
            UnaryFn::Swish => "swish",
            UnaryFn::HardSwish => "hard_swish",
            UnaryFn::HardSigmoid { .. } => "hard_sigmoid",
            UnaryFn::Gelu { .. } => "gelu",
            UnaryFn::Erf => "erf",
            UnaryFn::Exp => "exp",
            UnaryFn::Log => "log",
            UnaryFn::Sqrt => "sqrt",
            UnaryFn::Rsqrt => "rsqrt",
            UnaryFn::Reciprocal => "reciprocal",
            UnaryFn::Square => "square",
            UnaryFn::Abs => "abs",
            UnaryFn::Neg => "neg",
            UnaryFn::Softplus => "softplus",
            UnaryFn::Mish => "mish",
            UnaryFn::Floor => "floor",
            UnaryFn::Ceil => "ceil",
            UnaryFn::Round => "round",
            UnaryFn::Sin => "sin",
            UnaryFn::Cos => "cos",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PoolKind {
    Max,
    /// `include_padding`: padded positions count in the divisor.
    Average {
        include_padding: bool,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReduceFn {
    Mean,
    Sum,
    Max,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResizeMode {
    Nearest { rounding: NearestRounding },
    Bilinear,
}

/// How a source coordinate becomes an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NearestRounding {
    Floor,
    Ceil,
    /// Ties down (ONNX `round_prefer_floor`).
    HalfDown,
    /// Ties up (ONNX `round_prefer_ceil`, TFLite).
    HalfUp,
}

/// Source coordinate of output position `i`, for `n_in` source and `n_out` output positions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResizeCoordinates {
    /// `(i + 0.5) * n_in / n_out - 0.5`; with one output position and `pytorch`, 0.
    HalfPixel { pytorch: bool },
    /// `i * (n_in - 1) / (n_out - 1)`.
    AlignCorners,
    /// `i * n_in / n_out`.
    Asymmetric,
}

/// Clamp behind an operator.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Activation {
    None,
    Relu,
    Relu6,
    Clip { min: f32, max: f32 },
}

impl Activation {
    /// Real limits of the clamp.
    pub fn limits(self) -> (f32, f32) {
        match self {
            Activation::None => (f32::NEG_INFINITY, f32::INFINITY),
            Activation::Relu => (0.0, f32::INFINITY),
            Activation::Relu6 => (0.0, 6.0),
            Activation::Clip { min, max } => (min, max),
        }
    }
}

/// How an integer kernel rounds when it requantizes; see the runtime's `requantize` module for the arithmetic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rounding {
    /// Once, by a factor that may be moved to a near one: where scales are no more exact than that.
    Single,
    /// Once, by the factor that the scales give.
    SingleExact,
    Double,
}
