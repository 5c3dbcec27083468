//! EfficientFormer: pooling mixers, and attention in the last blocks of the last stage.

use super::{Grid, conv_norm, two_heads};
use crate::common::builder::{Builder, Conv, window};
use mote_compiler::graph::{Attention, BinaryFn, HeadLayout, Op, ReduceFn, TensorId, UnaryFn};

/// Sizes of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Variant {
    pub name: &'static str,
    pub widths: [usize; 4],
    pub depths: [usize; 4],
    /// Blocks with attention, at the end of the last stage.
    pub attention: usize,
}

/// The paper's table 1 in its appendix, as timm has it.
pub const VARIANTS: [Variant; 3] = [
    Variant { name: "efficientformer_l1", widths: [48, 96, 224, 448], depths: [3, 2, 6, 4], attention: 1 },
    Variant { name: "efficientformer_l3", widths: [64, 128, 320, 512], depths: [4, 4, 12, 6], attention: 4 },
    Variant { name: "efficientformer_l7", widths: [96, 192, 384, 768], depths: [6, 6, 18, 8], attention: 8 },
];

const EXPANSION: usize = 4;
const POOL: usize = 3;
const HEADS: usize = 8;
const KEY: usize = 32;
const VALUE: usize = 4 * KEY;

pub(crate) fn network(b: &mut Builder, variant: &Variant, input: TensorId, classes: usize) -> TensorId {
    let mut x = input;
    for (i, channels) in [(1, variant.widths[0] / 2), (2, variant.widths[0])] {
        let names = [&format!("stem.conv{i}")[..], &format!("stem.norm{i}")];
        x = conv_norm(b, names, x, Conv::window(channels, 3, 2));
        x = b.unary(&format!("stem.act{i}"), UnaryFn::Relu, x);
    }
    for (i, (&width, &depth)) in variant.widths.iter().zip(&variant.depths).enumerate() {
        if i > 0 {
            let name = format!("stages.{i}.downsample");
            let names = [&format!("{name}.conv")[..], &format!("{name}.norm")];
            x = conv_norm(b, names, x, Conv::window(width, 3, 2));
        }
        let attention = if i == 3 { variant.attention.min(depth) } else { 0 };
        let blocks = format!("stages.{i}.blocks");
        let pooled = depth - attention;
        for j in 0..pooled {
            x = pooling_block(b, &format!("{blocks}.{j}"), x);
        }
        if attention > 0 {
            x = attention_blocks(b, &blocks, pooled, attention, x);
        }
    }
    if let &[_, rows, columns, channels] = b.shape(x) {
        x = b.reshape("flat", x, &[1, rows * columns, channels]);
    }
    let x = b.layer_norm("norm", x);
    let shape = vec![1, b.channels(x)];
    let mean = Op::Reduce { function: ReduceFn::Mean, axes: vec![1], keep_dims: false };
    let x = b.node("global_pool", mean, vec![x], shape);
    two_heads(b, x, classes)
}

/// Each position gets the mean of its neighbourhood less itself, then a layer pair of its own.
fn pooling_block(b: &mut Builder, name: &str, input: TensorId) -> TensorId {
    let part = |part: &str| format!("{name}.{part}");
    let channels = b.channels(input);
    let mean = b.average_pool(&part("token_mixer.pool"), input, window(POOL, 1));
    let mixed = b.binary(&part("token_mixer"), BinaryFn::Sub, mean, input);
    let scaled = b.layer_scale(&part("ls1"), mixed);
    let x = b.binary(&part("add1"), BinaryFn::Add, input, scaled);
    let names = [&part("mlp.fc1")[..], &part("mlp.norm1")];
    let inner = conv_norm(b, names, x, Conv::pointwise(EXPANSION * channels));
    let inner = b.unary(&part("mlp.act"), UnaryFn::Gelu { approximate: false }, inner);
    let names = [&part("mlp.fc2")[..], &part("mlp.norm2")];
    let inner = conv_norm(b, names, inner, Conv::pointwise(channels));
    let scaled = b.layer_scale(&part("ls2"), inner);
    b.binary(&part("add2"), BinaryFn::Add, x, scaled)
}

/// Blocks over all positions as a sequence. In timm a module that flattens stands before them and counts as one.
fn attention_blocks(b: &mut Builder, blocks: &str, first: usize, count: usize, input: TensorId) -> TensorId {
    let &[_, rows, columns, channels] = b.shape(input) else { unreachable!("stages make pictures") };
    let mut x = b.reshape(&format!("{blocks}.{first}"), input, &[1, rows * columns, channels]);
    for j in first + 1..=first + count {
        x = attention_block(b, &format!("{blocks}.{j}"), x, Grid { rows, columns, step: 1 });
    }
    b.reshape(&format!("{blocks}.picture"), x, &[1, rows, columns, channels])
}

fn attention_block(b: &mut Builder, name: &str, input: TensorId, grid: Grid) -> TensorId {
    let part = |part: &str| format!("{name}.{part}");
    let channels = b.channels(input);
    let x = b.layer_norm(&part("norm1"), input);
    let x = attention(b, &part("token_mixer"), x, grid);
    let x = b.layer_scale(&part("ls1"), x);
    let middle = b.binary(&part("add1"), BinaryFn::Add, input, x);
    let x = b.layer_norm(&part("norm2"), middle);
    let x = b.dense(&part("mlp.fc1"), x, EXPANSION * channels);
    let x = b.unary(&part("mlp.act"), UnaryFn::Gelu { approximate: false }, x);
    let x = b.dense(&part("mlp.fc2"), x, channels);
    let x = b.layer_scale(&part("ls2"), x);
    b.binary(&part("add2"), BinaryFn::Add, middle, x)
}

/// Each head has its query, key and value side by side.
fn attention(b: &mut Builder, name: &str, input: TensorId, grid: Grid) -> TensorId {
    let part = |part: &str| format!("{name}.{part}");
    let channels = b.channels(input);
    let stride = 2 * KEY + VALUE;
    let qkv = b.dense(&part("qkv"), input, HEADS * stride);
    let positions = grid.rows * grid.columns;
    let bias = grid.bias(b, name, HEADS);
    b.beside(part("attention_bias_idxs"), vec![positions, positions]);
    let place = |offset, depth| HeadLayout { offset, stride, depth };
    let attention = Attention {
        heads: HEADS,
        scale: (KEY as f32).sqrt().recip(),
        query: place(0, KEY),
        key: place(KEY, KEY),
        value: place(2 * KEY, VALUE),
    };
    let x =
        b.node(name, Op::Attention(attention), vec![qkv, qkv, qkv, bias], vec![1, positions, HEADS * VALUE]);
    b.dense(&part("proj"), x, channels)
}
