//! The conformance suite: a table of layers, and for each a plan of one step for a target, its input, and what the
//! portable kernel makes of it. Every kernel must give the same bytes: on the host (`tests/kernels.rs` here), and on the
//! target (`tests/on-target`, whose build script takes the cases from here).
//!
//! Shapes try tails, odd numbers of channels, strides, dilations, padding on all sides and beyond; requantizations
//! try all roundings, clamps, and extreme zero points and factors.

mod attention;
mod elements;
mod floats;
mod norms;
mod pools;
mod products;
mod vectors;
mod windows;

// The builder of plans of one step is that of the runtime's own tests.
#[path = "../../../runtime/tests/support/mod.rs"]
mod support;

use mote_runtime::Error;
use mote_runtime::kernels::Library;
use mote_runtime::kernels::pack::{Packed, Packer, Requant};
use mote_runtime::kernels::requantize::{DOUBLE, SINGLE};
use mote_runtime::kernels::sparse::Block;
use support::{Input, Random, Shape};

/// What targets without a kernel for all layers ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// With so many channels: kernels whose lanes are channels want some.
    Depthwise(usize),
    /// Packed as a sparse layer, with such blocks and room for so many positions; whether weights have seven bits.
    Sparse {
        block: Block,
        strip: usize,
        outputs: usize,
        is_small: bool,
    },
    Other,
}

/// A layer and its input.
pub struct Case {
    pub name: String,
    /// Whether a target with a kernel for such layers must have chosen it.
    pub own: bool,
    pub kind: Kind,
    packed: Packed,
    portable: Packed,
    inputs: Vec<Input>,
    output: Shape,
}

impl Case {
    /// Identifier of the kernel that the target chose.
    pub fn kernel(&self) -> u16 {
        self.packed.kernel
    }

    /// The plan of one step.
    pub fn plan(&self) -> Vec<u8> {
        support::build(&self.packed, &self.inputs, self.output)
    }

    /// Bytes of the inputs.
    pub fn inputs(&self) -> impl Iterator<Item = &[u8]> {
        self.inputs.iter().map(|input| &input.bytes[..])
    }

    /// What the portable kernel gives.
    pub fn expected(&self) -> Vec<u8> {
        let Self { name, portable, inputs, output, .. } = self;
        support::run(portable, inputs, *output).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// What a library says of the step if a byte of a constant is another one.
    pub fn damaged(&self, library: &Library, blob: usize, at: usize, byte: u8) -> Result<Vec<u8>, Error> {
        let mut packed = self.packed.clone();
        packed.blobs[blob][at] = byte;
        support::run_with(library, &packed, &self.inputs, self.output)
    }

    /// What the target's kernel gives, here on the host.
    pub fn found(&self, library: &Library) -> Vec<u8> {
        let Self { name, packed, inputs, output, .. } = self;
        support::run_with(library, packed, inputs, *output).unwrap_or_else(|error| panic!("{name}: {error}"))
    }
}

/// All cases, packed by the target.
pub fn cases(packer: &dyn Packer) -> Vec<Case> {
    let mut cases = windows(packer);
    cases.extend(elements(packer));
    cases
}

/// Convolutions, depthwise layers and pools.
pub fn windows(packer: &dyn Packer) -> Vec<Case> {
    let mut cases = windows::convolutions(packer);
    cases.extend(windows::sparse(packer));
    cases.extend(windows::depthwise(packer));
    cases.extend(pools::pools(packer));
    cases
}

/// Float layers, whose outputs need not be the same in every bit.
pub fn floats(packer: &dyn Packer) -> Vec<Case> {
    let mut cases = floats::convolutions(packer);
    cases.extend(floats::sparse(packer));
    cases.extend(floats::fully_connected(packer));
    cases.extend(floats::depthwise_layers(packer));
    cases.extend(floats::functions(packer));
    cases
}

/// Layers without windows.
pub fn elements(packer: &dyn Packer) -> Vec<Case> {
    let mut cases = elements::fully_connected(packer);
    cases.extend(elements::sums(packer));
    cases.extend(elements::running_sums(packer));
    cases.extend(products::products(packer));
    cases.extend(products::matrices(packer));
    cases.extend(products::tables(packer));
    cases.extend(attention::attention(packer));
    cases.extend(norms::layer_norms(packer));
    cases.extend(vectors::softmaxes(packer));
    cases.extend(vectors::means(packer));
    cases.extend(vectors::matrices(packer));
    cases
}

/// Roundings, clamps and zero points that take every path, for accumulators of `taps` products.
fn requants(random: &mut Random, outputs: usize, taps: usize) -> Vec<(Requant, i32)> {
    let size = 40.0 / (5000.0 * (taps as f64).sqrt());
    let mut each = |factor: f64| -> Vec<f64> {
        (0..outputs).map(|_| random.factor(factor * 0.3, factor * 3.0)).collect()
    };
    let requant =
        |factors, zero_point, min, max, rounding| Requant { factors, zero_point, min, max, rounding };
    vec![
        (requant(each(size), -128, -128, 127, DOUBLE), -128),
        (requant(each(size), -7, -128, 127, DOUBLE), 3),
        (requant(each(size), -20, -20, 90, DOUBLE), 127),
        (requant(each(size), 11, -100, 90, DOUBLE), 0),
        (requant(each(size), 127, -128, 127, SINGLE), -9),
        (requant(each(size), -128, -128, 127, SINGLE).steady(), 4),
        (requant(vec![size], 0, -90, 127, SINGLE).steady(), -128),
        (requant(vec![1e-9], 5, -128, 127, DOUBLE), 1),
        (requant(vec![0.0], -3, -128, 127, SINGLE), 1),
    ]
}

fn bias(random: &mut Random, outputs: usize) -> Vec<i32> {
    (0..outputs).map(|_| random.int(-20000, 20000) as i32).collect()
}
