//! 1x1 convolutions with few weights other than zero: dense or sparse, whatever costs less.

use super::{Choices, Context};
use crate::cost::sparse::{Choice, weigh};
use crate::targets::{self, Profile};
use mote_runtime::kernels::conv2d_f32::ConvF32;
use mote_runtime::kernels::conv2d_s8::ConvS8;
use mote_runtime::kernels::pack::Packed;
use mote_runtime::kernels::spmm_f32::SpmmF32;
use mote_runtime::kernels::spmm_s8::SpmmS8;
use mote_runtime::plan::target;

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
        let profile = self.choices.profile();
        let kernels = (kernel(profile, &dense), "spmm_s8");
        let choice = weigh(profile.name, kernels, layer.weights, layer.out_channels, positions);
        let Some(chosen) = choice.filter(Choice::is_sparse) else { return (dense, choice) };
        let sparse = SpmmS8 {
            weights: layer.weights,
            bias: layer.bias,
            out_channels: layer.out_channels,
            stride: layer.stride,
            input_zero_point: layer.input_zero_point,
            requant: &layer.requant,
        };
        (sparse.pack(chosen.block, strip(profile)), choice)
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
        let profile = self.choices.profile();
        let kernels = (kernel(profile, &dense), "spmm_f32");
        let choice = weigh(profile.name, kernels, layer.weights, layer.out_channels, positions);
        let Some(chosen) = choice.filter(Choice::is_sparse) else { return (dense, choice) };
        let ConvF32 { weights, half, bias, out_channels, stride, min, max, .. } = *layer;
        let sparse = SpmmF32 { weights, half, bias, out_channels, stride, min, max };
        (sparse.pack(chosen.block, strip(profile)), choice)
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

/// Positions for which there is room in the scratch: all that vector registers take, or little memory.
fn strip(profile: &Profile) -> usize {
    match profile.code {
        target::PORTABLE | target::AARCH64 | target::WASM | target::WASM_RELAXED => 32,
        _ => 4,
    }
}
