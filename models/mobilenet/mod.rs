//! MobileNetV1 (arXiv 1704.04861) and V2 (1801.04381) with width multipliers, as timm has them.

use crate::common::builder::Builder;
use crate::common::efficientnet::{self, EfficientNet, Kind, Stage, Style, round_channels};
use mote_compiler::graph::{TensorId, UnaryFn};

/// One of the MobileNets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MobileNet {
    pub version: Version,
    /// Width in hundredths: factor of all numbers of channels.
    pub percent: usize,
    pub form: Form,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Version {
    V1,
    V2,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Plain,
    /// V1 with a last convolution of at least 1024 channels (timm's `h`).
    Head,
    /// V2 with more blocks, by tenths, but unscaled stem and head (timm's `d`).
    Deep {
        tenths: usize,
    },
}

/// Channels, blocks, stride of the first block.
const V1: [(usize, usize, usize); 5] = [(64, 1, 1), (128, 2, 2), (256, 2, 2), (512, 6, 2), (1024, 2, 2)];
const V2: [(usize, usize, usize); 7] =
    [(16, 1, 1), (24, 2, 2), (32, 3, 2), (64, 4, 2), (96, 3, 1), (160, 3, 2), (320, 1, 1)];

pub(crate) fn network(b: &mut Builder, net: &MobileNet, input: TensorId, classes: usize) -> TensorId {
    let wide = |channels| round_channels(channels, net.percent as f64 / 100.0);
    let (table, last): (&[_], _) = match net.version {
        Version::V1 => (&V1, 1024),
        Version::V2 => (&V2, 1280),
    };
    let stages = table.iter().enumerate().map(|(i, &(channels, blocks, stride))| Stage {
        kind: match net.version {
            Version::V1 => Kind::Separable { activated: true },
            Version::V2 if i == 0 => Kind::Separable { activated: false },
            Version::V2 => Kind::Inverted,
        },
        repeats: match net.form {
            Form::Deep { tenths } if i > 0 && i + 1 < table.len() => (blocks * tenths).div_ceil(10),
            _ => blocks,
        },
        kernel: 3,
        stride,
        channels: wide(channels),
    });
    let fixed = matches!(net.form, Form::Deep { .. });
    let described = EfficientNet {
        stem: if fixed { 32 } else { wide(32) },
        stages: stages.collect(),
        head: match (net.version, net.form) {
            (Version::V1, Form::Plain) => None,
            (_, Form::Deep { .. }) => Some(last),
            _ => Some(last.max(wide(last))),
        },
        style: Style { activation: UnaryFn::Relu6, squeeze: false },
    };
    efficientnet::network(b, &described, input, classes)
}
