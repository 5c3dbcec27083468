//! 1x1 convolutions with few weights other than zero: dense or sparse, whatever costs less, where there is room for it.

use super::{Choices, Context};
use crate::cost::sparse::{Choice, Strip, weigh};
use crate::graph::TensorId;
use crate::targets::{self, Profile};
use mote_runtime::kernels::conv2d_f32::ConvF32;
use mote_runtime::kernels::conv2d_s8::ConvS8;
use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::sparse::{Block, LEAST};
use mote_runtime::kernels::spmm_f32::{self, SpmmF32};
use mote_runtime::kernels::spmm_s8::{self, SpmmS8};
use mote_runtime::plan::target;
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
        let weigh = |profile: &Profile, strip| {
            let kernels = (kernel(profile, &dense), "spmm_s8", strip);
            weigh(profile.name, kernels, layer.weights, layer.out_channels, positions)
        };
        let (choice, sparse) = self.choose(weigh, spmm_s8::longest);
        let Some((block, strip)) = sparse else { return (dense, choice) };
        let sparse = SpmmS8 {
            weights: layer.weights,
            bias: layer.bias,
            out_channels: layer.out_channels,
            stride: layer.stride,
            input_zero_point: layer.input_zero_point,
            requant: &layer.requant,
        };
        (sparse.pack(block, strip), choice)
    }

    /// [`Context::dense_or_sparse_s8`] for floats.
    pub(super) fn dense_or_sparse_f32(
        &self,
        layer: &ConvF32<'_>,
        positions: usize,
    ) -> (Packed, Option<Choice>) {
        let dense = self.choices.packer.conv_f32(layer);
        if !is_pointwise(layer.kernel_rows, layer.kernel_width, layer.groups, layer.pad_left) {
            return (dense, None);
        }
        let weigh = |profile: &Profile, strip| {
            let kernels = (kernel(profile, &dense), "spmm_f32", strip);
            weigh(profile.name, kernels, layer.weights, layer.out_channels, positions)
        };
        let (choice, sparse) = self.choose(weigh, spmm_f32::longest);
        let Some((block, strip)) = sparse else { return (dense, choice) };
        let ConvF32 { weights, half, bias, out_channels, stride, min, max, .. } = *layer;
        let sparse = SpmmF32 { weights, half, bias, out_channels, stride, min, max };
        (sparse.pack(block, strip), choice)
    }

    /// What `weigh` says of this layer, and block and positions of the strip if it is to be sparse.
    fn choose(
        &self,
        weigh: impl Fn(&Profile, Strip) -> Option<Choice>,
        longest: fn(Block) -> usize,
    ) -> (Option<Choice>, Option<(Block, usize)>) {
        let profile = self.choices.profile();
        let room = self.output().map_or(Room::None, |output| self.choices.rooms.of(output));
        let strip = if room == Room::Scarce || is_small(profile) { Strip::Shortest } else { Strip::Longest };
        let choice = weigh(profile, strip);
        let chosen = choice.filter(|choice| room != Room::None && choice.is_sparse());
        let sparse = chosen.map(|Choice { block, .. }| match strip {
            Strip::Longest => (block, longest(block)),
            Strip::Shortest => (block, LEAST),
        });
        (choice, sparse)
    }
}

impl Choices<'_> {
    fn profile(&self) -> &'static Profile {
        targets::profile(self.target)
    }
}

/// Whether an output position reads one input position and nothing else.
fn is_pointwise(kernel_rows: usize, kernel_width: usize, groups: usize, pad_left: isize) -> bool {
    (kernel_rows, kernel_width, groups, pad_left) == (1, 1, 1, 0)
}

fn kernel(profile: &Profile, packed: &Packed) -> &'static str {
    profile.library.find(packed.kernel).map_or("", |entry| entry.name)
}

/// Machines without registers for long strips.
fn is_small(profile: &Profile) -> bool {
    !matches!(profile.code, target::PORTABLE | target::AARCH64 | target::WASM | target::WASM_RELAXED)
}
