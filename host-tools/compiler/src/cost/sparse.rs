//! What a 1x1 convolution costs dense and sparse, and the choice between the two.
//!
//! For each kernel a linear form in what it does at one position: multiplications, entries (see
//! [`mote_runtime::kernels::sparse`]), input channels that are turned around into strips, output channels. The figures in
//! `tables/sparse.json` are fitted to measured layers by `cargo xtask bench sparse --fit` (least squares of the relative
//! errors, no negative factors): times on the host for profiles whose kernels are portable, times in Node for WebAssembly,
//! instructions for Cortex-M.
//! Where a target's dense kernel was not measured, nothing is known, and the layer stays dense.

use mote_runtime::kernels::sparse::{Block, density, entries};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::OnceLock;

/// Fewer zeros than this are not worth a look.
const FEWEST: f64 = 0.25;

/// Entries of a block of output channels are counted in 16 bits.
const MOST_INPUTS: usize = u16::MAX as usize;

/// The measured figures: target's profile, then kernel.
#[derive(Deserialize)]
struct Table {
    unit: String,
    kernels: BTreeMap<String, Figures>,
}

/// Costs at one position.
#[derive(Clone, Copy, Default, Deserialize)]
#[serde(default)]
struct Figures {
    macs: f64,
    entries: f64,
    inputs: f64,
    outputs: f64,
}

/// `[out][in]`.
#[derive(Clone, Copy)]
pub struct Weights<'a, T> {
    pub all: &'a [T],
    pub outputs: usize,
}

/// The kernel that a target has for some blocks.
#[derive(Clone, Copy)]
pub struct Sparse<'a> {
    pub kernel: &'a str,
    /// Whether strips are shorter than the kernel likes them, for want of scratch.
    pub is_short: bool,
}

/// A layer's ways to run, and what they cost.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Choice {
    /// Share of weights that are zero.
    pub zeros: f64,
    /// Of the dense kernel.
    pub dense: f64,
    /// Of the sparse kernel with the best block.
    pub sparse: f64,
    pub block: Block,
    /// Whether the layer became sparse: that costs less, and there is room for its scratch.
    pub is_taken: bool,
}

impl Choice {
    /// Whether the sparse kernel costs less.
    pub fn is_sparse(&self) -> bool {
        self.sparse < self.dense
    }
}

/// In what a profile's costs are told.
pub fn unit(profile: &str) -> Option<&'static str> {
    Some(&table(profile)?.unit)
}

/// Weighs a layer of `positions` positions with a profile's dense kernel and with its sparse one for each kind of blocks;
/// `None` if it has few zeros, or if too little is known.
pub fn weigh<'s, T: Copy + Default + PartialEq>(
    profile: &str,
    dense: &str,
    Weights { all: weights, outputs }: Weights<'_, T>,
    positions: usize,
    sparse: impl Fn(Block) -> Sparse<'s>,
) -> Option<Choice> {
    let zeros = 1.0 - density(weights);
    let inputs = weights.len() / outputs.max(1);
    if zeros < FEWEST || inputs > MOST_INPUTS {
        return None;
    }
    let table = table(profile)?;
    let dense = table.figures(dense, "")?;
    let (macs, ins, outs, positions) =
        (weights.len() as f64, inputs as f64, outputs as f64, positions as f64);
    let dense = positions * (dense.macs * macs + dense.inputs * ins + dense.outputs * outs);
    let of_block = |block: Block| {
        let Sparse { kernel, is_short } = sparse(block);
        let name = format!("/{}x{}", block.outputs, block.inputs);
        let short = if is_short { table.figures(kernel, &format!("{name}/short")) } else { None };
        let figures = short.or_else(|| table.figures(kernel, &name))?;
        let count: usize = entries(weights, outputs, block).iter().map(Vec::len).sum();
        let cost = figures.entries * count as f64 + figures.inputs * ins + figures.outputs * outs;
        Some(Choice { zeros, dense, sparse: positions * cost, block, is_taken: false })
    };
    let choices = Block::ALL.into_iter().filter_map(of_block);
    choices.min_by(|a, b| a.sparse.total_cmp(&b.sparse))
}

impl Table {
    /// Figures of a kernel, or of the same kernel with another rounding or other weights; `form` is the rest of the name.
    fn figures(&self, kernel: &str, form: &str) -> Option<&Figures> {
        let plain = || ["_double", "_relu", "_w16"].iter().find_map(|ending| kernel.strip_suffix(ending));
        let of = |kernel: &str| self.kernels.get(&format!("{kernel}{form}"));
        of(kernel).or_else(|| of(plain()?))
    }
}

/// Figures for a profile: its own, or those of one with the same kernels.
fn table(profile: &str) -> Option<&'static Table> {
    static TABLES: OnceLock<BTreeMap<String, Table>> = OnceLock::new();
    let tables =
        TABLES.get_or_init(|| serde_json::from_str(include_str!("tables/sparse.json")).unwrap_or_default());
    tables.get(match profile {
        "cortex-m0" | "cortex-m7" | "cortex-m33" => "cortex-m4",
        "aarch64" => "portable",
        "wasm-relaxed" => "wasm",
        own => own,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `[out][in]` with so many zeros of a hundred, in blocks of `height` output channels.
    fn weights(inputs: usize, outputs: usize, percent: usize, height: usize) -> Vec<i8> {
        let scattered =
            |o: usize, i: usize| ((o / height) * 7919 + i * 104_729) * 2_654_435_761 % 99_991 % 100;
        (0..outputs * inputs).map(|at| i8::from(scattered(at / inputs, at % inputs) >= percent)).collect()
    }

    #[test]
    fn the_table_is_read_and_knows_all_that_is_asked() {
        let all = weights(256, 256, 90, 1);
        let weigh = |profile, dense, kernel| {
            let sparse = |_| Sparse { kernel, is_short: false };
            super::weigh(profile, dense, Weights { all: &all, outputs: 256 }, 196, sparse)
        };
        for (profile, dense, sparse) in [
            ("portable", "conv2d_s8", "spmm_s8"),
            ("cortex-m0", "conv2d_s8", "spmm_s8"),
            ("cortex-m4", "conv_s8_dsp_double", "spmm_s8_dsp_double"),
            ("cortex-m55", "conv_s8_mve", "spmm_s8_dsp_relu"),
            ("wasm", "conv_s8_simd128", "spmm_s8_simd128"),
            ("wasm-relaxed", "conv_f32_simd128", "spmm_f32_simd128"),
        ] {
            assert!(unit(profile).is_some(), "{profile}");
            let choice = weigh(profile, dense, sparse);
            assert!(choice.is_some_and(|c| c.dense > 0.0 && c.sparse > 0.0), "{profile}: {choice:?}");
        }
        assert!(weigh("portable", "conv_s8_new", "spmm_s8").is_none());
    }

    #[test]
    fn more_zeros_make_layers_sparse_and_blocks_are_found() {
        let weigh = |percent, height| {
            let all = weights(256, 256, percent, height);
            let sparse = |_| Sparse { kernel: "spmm_f32", is_short: false };
            super::weigh("portable", "conv2d_f32", Weights { all: &all, outputs: 256 }, 196, sparse)
        };
        assert_eq!(weigh(10, 1), None);
        let costs: Vec<f64> = [40, 70, 80, 90].map(|percent| weigh(percent, 1).unwrap().sparse).to_vec();
        assert!(costs.is_sorted_by(|a, b| a > b), "{costs:?}");
        assert!(weigh(90, 1).unwrap().is_sparse());
        assert_eq!(weigh(90, 1).unwrap().block, Block::of(1, 1));
        assert_ne!(weigh(90, 4).unwrap().block, Block::of(1, 1));
    }
}
