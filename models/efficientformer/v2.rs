//! EfficientFormer V2: depthwise convolutions inside the layer pairs, attention with talking heads on a coarser grid.

use super::{Grid, conv_norm, two_heads};
use crate::common::builder::{Builder, Conv, window};
use mote_compiler::graph::{
    Attention, BinaryFn, HeadLayout, Op, ResizeCoordinates, ResizeMode, TensorId, UnaryFn,
};

/// Sizes of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant {
    pub name: &'static str,
    pub widths: [usize; 4],
    pub depths: [usize; 4],
    /// Blocks with attention at the end of each of the last two stages.
    pub attention: usize,
    /// Of each block of the last two stages; 4 in all others.
    pub expansions: [&'static [usize]; 2],
}

/// The paper's networks, as timm has them.
pub const VARIANTS: [Variant; 4] = [
    Variant {
        name: "efficientformerv2_s0",
        widths: [32, 48, 96, 176],
        depths: [2, 2, 6, 4],
        attention: 2,
        expansions: [&[4, 3, 3, 3, 4, 4], &[4, 3, 3, 4]],
    },
    Variant {
        name: "efficientformerv2_s1",
        widths: [32, 48, 120, 224],
        depths: [3, 3, 9, 6],
        attention: 2,
        expansions: [&[4, 4, 3, 3, 3, 3, 4, 4, 4], &[4, 4, 3, 3, 4, 4]],
    },
    Variant {
        name: "efficientformerv2_s2",
        widths: [32, 64, 144, 288],
        depths: [4, 4, 12, 8],
        attention: 4,
        expansions: [&[4, 4, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4], &[4, 4, 3, 3, 3, 3, 4, 4]],
    },
    Variant {
        name: "efficientformerv2_l",
        widths: [40, 80, 192, 384],
        depths: [5, 5, 15, 10],
        attention: 6,
        expansions: [&[4, 4, 4, 4, 3, 3, 3, 3, 3, 3, 3, 4, 4, 4, 4], &[4, 4, 4, 3, 3, 3, 3, 4, 4, 4]],
    },
];

const EXPANSION: usize = 4;
const HEADS: usize = 8;
/// Of blocks; half as deep where the resolution falls.
const KEY: usize = 32;
/// The stage whose attention sees every second position only.
const COARSE: usize = 2;
const GELU: UnaryFn = UnaryFn::Gelu { approximate: false };

/// Whether attention on a coarser grid can be laid back over the picture.
pub(crate) fn fits(size: [usize; 2]) -> Result<(), String> {
    let grid = size.map(|side| side.div_ceil(16));
    if grid.iter().all(|side| side.is_multiple_of(2)) {
        return Ok(());
    }
    let [rows, columns] = grid;
    Err(format!(
        "its third stage has {rows} x {columns} positions, and attention on half of them is laid back over all, which \
         needs even numbers; multiples of 32 always work"
    ))
}

pub(crate) fn network(b: &mut Builder, variant: &Variant, input: TensorId, classes: usize) -> TensorId {
    let mut x = input;
    for (i, channels) in [(1, variant.widths[0] / 2), (2, variant.widths[0])] {
        x = layer(b, &format!("stem.conv{i}"), x, Conv::window(channels, 3, 2));
        x = b.unary(&format!("stem.act{i}"), GELU, x);
    }
    for (i, (&width, &depth)) in variant.widths.iter().zip(&variant.depths).enumerate() {
        if i > 0 {
            x = downsample(b, &format!("stages.{i}.downsample"), x, width, i == 3);
        }
        let expansions = i.checked_sub(2).and_then(|late| variant.expansions.get(late));
        for j in 0..depth {
            let name = format!("stages.{i}.blocks.{j}");
            if i >= COARSE && j + variant.attention >= depth {
                let mixed = talking_heads(b, &format!("{name}.token_mixer"), x, i == COARSE);
                let scaled = b.layer_scale(&format!("{name}.ls1"), mixed);
                x = b.binary(&format!("{name}.add1"), BinaryFn::Add, x, scaled);
            }
            let expansion = expansions.and_then(|all| all.get(j)).copied().unwrap_or(EXPANSION);
            x = layer_pair(b, &name, x, expansion);
        }
    }
    let x = b.batch_norm("norm", x);
    let x = b.spatial_mean("global_pool", x, false);
    two_heads(b, x, classes)
}

/// A convolution `<name>.conv` with its norm `<name>.bn`.
fn layer(b: &mut Builder, name: &str, x: TensorId, conv: Conv) -> TensorId {
    conv_norm(b, [&format!("{name}.conv"), &format!("{name}.bn")], x, conv)
}

/// 1 x 1, depthwise, 1 x 1, beside a skip path.
fn layer_pair(b: &mut Builder, name: &str, input: TensorId, expansion: usize) -> TensorId {
    let part = |part: &str| format!("{name}.{part}");
    let channels = b.channels(input);
    let x = layer(b, &part("mlp.fc1"), input, Conv::pointwise(expansion * channels));
    let x = b.unary(&part("mlp.fc1.act"), GELU, x);
    let x = layer(b, &part("mlp.mid"), x, Conv::depthwise(expansion * channels, 3, 1));
    let x = b.unary(&part("mlp.mid.act"), GELU, x);
    let x = layer(b, &part("mlp.fc2"), x, Conv::pointwise(channels));
    let x = b.layer_scale(&part("ls2"), x);
    b.binary(&part("add2"), BinaryFn::Add, input, x)
}

fn downsample(b: &mut Builder, name: &str, input: TensorId, width: usize, attends: bool) -> TensorId {
    let convolved = layer(b, &format!("{name}.conv"), input, Conv::window(width, 3, 2));
    if !attends {
        return convolved;
    }
    let attended = coarser_attention(b, &format!("{name}.attn"), input, width);
    b.binary(name, BinaryFn::Add, attended, convolved)
}

/// Attention of every second position to all.
fn coarser_attention(b: &mut Builder, name: &str, input: TensorId, width: usize) -> TensorId {
    let part = |part: &str| format!("{name}.{part}");
    let &[_, rows, columns, channels] = b.shape(input) else { unreachable!("stages make pictures") };
    let (key, value) = (KEY / 2, 4 * KEY / 2);
    let local = b.conv(&part("q.local"), input, Conv::depthwise(channels, 3, 2).with_bias());
    let picked = b.average_pool(&part("q.pool"), input, window(1, 2));
    let q = b.binary(&part("q.add"), BinaryFn::Add, local, picked);
    let q = layer(b, &part("q.proj"), q, Conv::pointwise(HEADS * key));
    let k = layer(b, &part("k"), input, Conv::pointwise(HEADS * key));
    let v = layer(b, &part("v"), input, Conv::pointwise(HEADS * value));
    let v_local = layer(b, &part("v_local"), v, Conv::depthwise(HEADS * value, 3, 2));
    let bias = Grid { rows, columns, step: 2 }.bias(b, name, HEADS);
    let place = |depth| HeadLayout { offset: 0, stride: depth, depth };
    let scale = (key as f32).sqrt().recip();
    let attention =
        Attention { heads: HEADS, scale, query: place(key), key: place(key), value: place(value) };
    let shape = b.shape(v_local).to_vec();
    let x = b.node(name, Op::Attention(attention), vec![q, k, v, bias], shape);
    let x = b.binary(&part("add"), BinaryFn::Add, x, v_local);
    let x = b.unary(&part("act"), GELU, x);
    layer(b, &part("proj"), x, Conv::pointwise(width))
}

/// Attention whose heads mix their scores before and behind the softmax; on every second position if `coarse`.
fn talking_heads(b: &mut Builder, name: &str, input: TensorId, coarse: bool) -> TensorId {
    let part = |part: &str| format!("{name}.{part}");
    let &[_, full_rows, full_columns, channels] = b.shape(input) else {
        unreachable!("stages make pictures")
    };
    let value = 4 * KEY;
    let mut x = input;
    if coarse {
        x = layer(b, &part("stride_conv"), x, Conv::depthwise(channels, 3, 2));
    }
    let &[_, rows, columns, _] = b.shape(x) else { unreachable!("layers make pictures") };
    let positions = rows * columns;
    let q = layer(b, &part("q"), x, Conv::pointwise(HEADS * KEY));
    let k = layer(b, &part("k"), x, Conv::pointwise(HEADS * KEY));
    let v = layer(b, &part("v"), x, Conv::pointwise(HEADS * value));
    let v_local = layer(b, &part("v_local"), v, Conv::depthwise(HEADS * value, 3, 1));
    let (q, k) = (by_heads(b, &part("q"), q, KEY), by_heads(b, &part("k"), k, KEY));
    let v = by_heads(b, &part("v"), v, value);

    let per_head = vec![1, HEADS, positions, positions];
    let product = Op::MatMul { transpose_a: false, transpose_b: true };
    let scores = b.node(&part("scores"), product, vec![q, k], per_head.clone());
    let scores = b.times(&part("scaled"), scores, (KEY as f32).sqrt().recip());
    let bias = Grid { rows, columns, step: 1 }.bias(b, name, HEADS);
    let scores = b.binary(&part("biased"), BinaryFn::Add, scores, bias);
    let scores = mix_heads(b, &part("talking_head1"), scores);
    let weights = b.node(&part("softmax"), Op::Softmax { axis: 3, beta: 1.0 }, vec![scores], per_head);
    let weights = mix_heads(b, &part("talking_head2"), weights);
    let product = Op::MatMul { transpose_a: false, transpose_b: false };
    let x = b.node(&part("values"), product, vec![weights, v], vec![1, HEADS, positions, value]);
    let x = b.transpose(&part("values.heads_last"), x, &[0, 2, 1, 3]);
    let x = b.reshape(&part("values.picture"), x, &[1, rows, columns, HEADS * value]);

    let mut x = b.binary(&part("add"), BinaryFn::Add, x, v_local);
    if coarse {
        let (mode, coordinates) = (ResizeMode::Bilinear, ResizeCoordinates::HalfPixel { pytorch: false });
        let shape = vec![1, full_rows, full_columns, HEADS * value];
        x = b.node(&part("upsample"), Op::Resize { mode, coordinates }, vec![x], shape);
    }
    let x = b.unary(&part("act"), GELU, x);
    layer(b, &part("proj"), x, Conv::pointwise(channels))
}

/// `[1, heads, positions, depth]` of a picture that has the heads of each position side by side.
fn by_heads(b: &mut Builder, name: &str, x: TensorId, depth: usize) -> TensorId {
    let positions = b.shape(x)[1] * b.shape(x)[2];
    let x = b.reshape(&format!("{name}.split"), x, &[1, positions, HEADS, depth]);
    b.transpose(&format!("{name}.heads_first"), x, &[0, 2, 1, 3])
}

/// A 1 x 1 convolution over the heads of `[1, heads, queries, keys]`.
fn mix_heads(b: &mut Builder, name: &str, x: TensorId) -> TensorId {
    let x = b.transpose(&format!("{name}.heads_last"), x, &[0, 2, 3, 1]);
    let x = b.conv(name, x, Conv::pointwise(HEADS).with_bias());
    b.transpose(&format!("{name}.heads_first"), x, &[0, 3, 1, 2])
}
