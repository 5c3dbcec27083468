//! Blocks of EfficientNet's kind, of which TinyNet and MobileNet consist, and the network around them.
//!
//! MobileNet: arXiv 1704.04861, 1801.04381; squeeze and excitation: 1709.01507; EfficientNet: 1905.11946. Names of
//! modules and rules of rounding are timm's (`_efficientnet_blocks.py`, `_efficientnet_builder.py`).

use super::builder::{Builder, Conv};
use mote_compiler::graph::{BinaryFn, TensorId, UnaryFn};

/// A network: stem, stages, head.
pub(crate) struct EfficientNet {
    pub stem: usize,
    pub stages: Vec<Stage>,
    /// Channels of the last convolution; without it the last block's output is classified.
    pub head: Option<usize>,
    pub style: Style,
}

/// Blocks in a row; only the first has the stride.
pub(crate) struct Stage {
    pub kind: Kind,
    pub repeats: usize,
    pub kernel: usize,
    pub stride: usize,
    pub channels: usize,
}

#[derive(Clone, Copy, PartialEq)]
pub(crate) enum Kind {
    /// Depthwise, then 1 x 1. With `activated` the 1 x 1 convolution has an activation, too, and no block a skip path
    /// (MobileNetV1).
    Separable { activated: bool },
    /// 1 x 1 to six times the channels, depthwise, 1 x 1 back.
    Inverted,
}

/// Channels inside an inverted residual block for each at its input.
const EXPANSION: usize = 6;

/// What all blocks have in common.
#[derive(Clone, Copy)]
pub(crate) struct Style {
    pub activation: UnaryFn,
    /// Squeeze and excitation with a quarter of the block's input channels.
    pub squeeze: bool,
}

/// Channels times a width, as a multiple of 8 that is not more than a tenth smaller.
pub(crate) fn round_channels(channels: usize, width: f64) -> usize {
    let wanted = channels as f64 * width;
    let rounded = 8.max((wanted + 4.0) as usize / 8 * 8);
    if (rounded as f64) < 0.9 * wanted { rounded + 8 } else { rounded }
}

pub(crate) fn network(b: &mut Builder, net: &EfficientNet, input: TensorId, classes: usize) -> TensorId {
    let style = net.style;
    let mut x = b.conv("conv_stem", input, Conv::window(net.stem, 3, 2));
    x = norm(b, "bn1", x, Some(style));
    for (i, stage) in net.stages.iter().enumerate() {
        for j in 0..stage.repeats {
            let stride = if j == 0 { stage.stride } else { 1 };
            x = block(b, &format!("blocks.{i}.{j}"), x, stage, stride, style);
        }
    }
    if let Some(channels) = net.head {
        x = b.conv("conv_head", x, Conv::pointwise(channels));
        x = norm(b, "bn2", x, Some(style));
    }
    let pooled = b.spatial_mean("global_pool", x, false);
    b.dense("classifier", pooled, classes)
}

fn block(
    b: &mut Builder,
    name: &str,
    input: TensorId,
    stage: &Stage,
    stride: usize,
    style: Style,
) -> TensorId {
    let Stage { kind, kernel, channels, .. } = *stage;
    let inputs = b.channels(input);
    let part = |part: &str| format!("{name}.{part}");
    let (mut x, mut inner, mut norms) = (input, inputs, 1..);
    let mut next = || part(&format!("bn{}", norms.next().unwrap_or(0)));
    if kind == Kind::Inverted {
        inner = EXPANSION * inputs;
        x = b.conv(&part("conv_pw"), x, Conv::pointwise(inner));
        x = norm(b, &next(), x, Some(style));
    }
    x = b.conv(&part("conv_dw"), x, Conv::depthwise(inner, kernel, stride));
    x = norm(b, &next(), x, Some(style));
    if style.squeeze {
        x = squeeze_excite(b, &part("se"), x, inputs / 4, style);
    }
    let (last, activated) = match kind {
        Kind::Inverted => ("conv_pwl", false),
        Kind::Separable { activated } => ("conv_pw", activated),
    };
    x = b.conv(&part(last), x, Conv::pointwise(channels));
    x = norm(b, &next(), x, activated.then_some(style));
    let skips = stride == 1 && inputs == channels && !activated;
    if skips { b.binary(&part("add"), BinaryFn::Add, x, input) } else { x }
}

/// A batch normalisation, with the activation behind it if there is one.
fn norm(b: &mut Builder, name: &str, x: TensorId, style: Option<Style>) -> TensorId {
    let x = b.batch_norm(name, x);
    style.map_or(x, |style| b.unary(&format!("{name}.act"), style.activation, x))
}

fn squeeze_excite(b: &mut Builder, name: &str, input: TensorId, reduced: usize, style: Style) -> TensorId {
    let part = |part: &str| format!("{name}.{part}");
    let channels = b.channels(input);
    let mut x = b.spatial_mean(&part("mean"), input, true);
    x = b.conv(&part("conv_reduce"), x, Conv::pointwise(reduced).with_bias());
    x = b.unary(&part("act1"), style.activation, x);
    x = b.conv(&part("conv_expand"), x, Conv::pointwise(channels).with_bias());
    x = b.unary(&part("gate"), UnaryFn::Sigmoid, x);
    b.binary(&part("gated"), BinaryFn::Mul, input, x)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_round_to_multiples_of_eight() {
        let cases =
            [(16, 0.75, 16), (24, 0.75, 24), (40, 0.54, 24), (320, 0.51, 160), (16, 0.35, 8), (32, 1.4, 48)];
        for (channels, width, rounded) in cases {
            assert_eq!(round_channels(channels, width), rounded, "{channels} x {width}");
        }
    }
}
