//! 1x1 convolutions with few weights other than zero: dense or sparse, whatever costs less, where there is room for it.

use super::Context;
use crate::cost::sparse::{Choice, Sparse, Weights, weigh};
use crate::graph::TensorId;
use crate::targets::{self, Profile};
use mote_runtime::kernels::conv2d_f32::ConvF32;
use mote_runtime::kernels::conv2d_s8::ConvS8;
use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::sparse::{Block, LEAST};
use mote_runtime::kernels::spmm_f32::SpmmF32;
use mote_runtime::kernels::spmm_s8::SpmmS8;
use std::collections::HashMap;

/// How much scratch a sparse kernel may take for its strip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// For as many positions as its machine has registers for.
    Ample,
    /// For the shortest strip.
    Scarce,
    /// None: the layer is dense.
    None,
}

/// Room of each layer.
#[derive(Clone, Debug)]
pub struct Rooms {
    of_all: Room,
    /// By output, where it is less.
    of_some: HashMap<TensorId, Room>,
}

impl Rooms {
    /// The same for all layers.
    pub fn all(room: Room) -> Self {
        Self { of_all: room, of_some: HashMap::new() }
    }

    fn of(&self, output: TensorId) -> Room {
        self.of_some.get(&output).copied().unwrap_or(self.of_all)
    }

    /// Gives the layer with this output less.
    pub fn tighten(&mut self, output: TensorId) {
        let less = if self.of(output) == Room::Ample { Room::Scarce } else { Room::None };
        self.of_some.insert(output, less);
    }
}

impl Context<'_> {
    /// The cheaper of the dense kernel, packed already, and the sparse one; `positions` in one inference.
    pub(super) fn dense_or_sparse_s8(
        &self,
        layer: &ConvS8<'_>,
        dense: Packed,
        positions: usize,
    ) -> (Packed, Option<Choice>) {
        if !is_pointwise(layer.kernel_rows, layer.kernel_width, layer.groups, layer.pad_left) {
            return (dense, None);
        }
        let sparse = SpmmS8 {
            weights: layer.weights,
            bias: layer.bias,
            out_channels: layer.out_channels,
            stride: layer.stride,
            input_zero_point: layer.input_zero_point,
            requant: &layer.requant,
        };
        let packer = self.choices.packer;
        let pack = |block, strip| packer.spmm_s8(&sparse, block, strip);
        let weights = Weights { all: layer.weights, outputs: layer.out_channels };
        self.choose(weights, dense, positions, |block| packer.strip_s8(block), pack)
    }

    /// [`Context::dense_or_sparse_s8`] for floats.
    pub(super) fn dense_or_sparse_f32(
        &self,
        layer: &ConvF32<'_>,
        positions: usize,
    ) -> (Packed, Option<Choice>) {
        let packer = self.choices.packer;
        let dense = packer.conv_f32(layer);
        if !is_pointwise(layer.kernel_rows, layer.kernel_width, layer.groups, layer.pad_left) {
            return (dense, None);
        }
        let ConvF32 { weights, half, bias, out_channels, stride, min, max, .. } = *layer;
        let sparse = SpmmF32 { weights, half, bias, out_channels, stride, min, max };
        let pack = |block, strip| packer.spmm_f32(&sparse, block, strip);
        let weights = Weights { all: weights, outputs: out_channels };
        self.choose(weights, dense, positions, |block| packer.strip_f32(block), pack)
    }

    /// The cheaper one of `dense` and what `pack` makes of blocks and strips; and what both cost.
    fn choose<T: Copy + Default + PartialEq>(
        &self,
        weights: Weights<'_, T>,
        dense: Packed,
        positions: usize,
        longest: impl Fn(Block) -> usize,
        pack: impl Fn(Block, usize) -> Packed,
    ) -> (Packed, Option<Choice>) {
        let profile = targets::profile(self.choices.target);
        let room = self.output().map_or(Room::None, |output| self.choices.rooms.of(output));
        let strip = |block| if room == Room::Scarce { LEAST } else { longest(block) };
        let sparse = |block| {
            let packed = pack(block, strip(block));
            Sparse { kernel: kernel(profile, &packed), is_short: strip(block) < longest(block) }
        };
        let choice = weigh(profile.name, kernel(profile, &dense), weights, positions, sparse);
        match choice {
            Some(choice) if room != Room::None && choice.is_sparse() => {
                (pack(choice.block, strip(choice.block)), Some(Choice { is_taken: true, ..choice }))
            }
            _ => (dense, choice),
        }
    }
}

/// Whether an output position reads one input position and nothing else.
fn is_pointwise(kernel_rows: usize, kernel_width: usize, groups: usize, pad_left: isize) -> bool {
    (kernel_rows, kernel_width, groups, pad_left) == (1, 1, 1, 0)
}

fn kernel(profile: &Profile, packed: &Packed) -> &'static str {
    profile.library.find(packed.kernel).map_or("", |entry| entry.name)
}
