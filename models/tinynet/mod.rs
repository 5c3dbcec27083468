//! TinyNet (arXiv 2010.14819): EfficientNet-B0 shrunk in resolution, depth and width together.

pub mod formula;

use crate::common::builder::Builder;
use crate::common::efficientnet::{self, EfficientNet, Kind, Stage, Style, round_channels};
use mote_compiler::graph::{TensorId, UnaryFn};

/// Factors of EfficientNet-B0's width and depth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TinyNet {
    pub width: f64,
    pub depth: f64,
}

/// A network of the paper.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Published {
    pub letter: char,
    pub net: TinyNet,
    /// Factor of the resolution of 224.
    pub resolution: f64,
    /// Rows and columns of the picture.
    pub side: usize,
}

const fn published(letter: char, side: usize, resolution: f64, width: f64, depth: f64) -> Published {
    Published { letter, net: TinyNet { width, depth }, resolution, side }
}

/// Table 6 of the paper, with the factors of timm's definitions.
pub const PUBLISHED: [Published; 5] = [
    published('a', 192, 0.86, 1.0, 1.2),
    published('b', 188, 0.84, 0.75, 1.1),
    published('c', 184, 0.825, 0.54, 0.85),
    published('d', 152, 0.68, 0.54, 0.695),
    published('e', 106, 0.475, 0.51, 0.6),
];

/// Stages of EfficientNet-B0: kernel, channels, blocks, stride of the first block.
const B0: [(usize, usize, usize, usize); 7] = [
    (3, 16, 1, 1),
    (3, 24, 2, 2),
    (5, 40, 2, 2),
    (3, 80, 3, 2),
    (5, 112, 3, 1),
    (5, 192, 4, 2),
    (3, 320, 1, 1),
];

pub(crate) fn network(b: &mut Builder, net: &TinyNet, input: TensorId, classes: usize) -> TensorId {
    let stages = B0.iter().enumerate().map(|(i, &(kernel, channels, blocks, stride))| Stage {
        kind: if i == 0 { Kind::Separable { activated: false } } else { Kind::Inverted },
        repeats: 1.max((blocks as f64 * net.depth).round_ties_even() as usize),
        kernel,
        stride,
        channels: round_channels(channels, net.width),
    });
    let described = EfficientNet {
        stem: 32,
        stages: stages.collect(),
        head: Some(1280.max(round_channels(1280, net.width))),
        style: Style { activation: UnaryFn::Swish, squeeze: true },
    };
    efficientnet::network(b, &described, input, classes)
}
