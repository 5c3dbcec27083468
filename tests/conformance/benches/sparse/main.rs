//! Sparse 1x1 convolutions beside dense ones, on the host, one thread: `cargo xtask bench sparse`.
//!
//! The 1x1 layers of MobileNetV1 (224 x 224) with random weights, of which a share is zero, by blocks of output
//! channels. Both kernels of a layer run in turn, again and again; the best round of each counts. `--samples` prints
//! each measured layer on a line of its own (JSON), also with the shortest strips, for the fit of the cost model;
//! `--plan FILE --core CORE` writes a plan of such layers for a microcontroller or for WebAssembly instead, in int8 or, with
//! `--f32`, in floats, with portable kernels or, with `--own`, those of the core. `--quick`: fewer layers.

mod layer;
mod plan;
#[path = "../../../../runtime/tests/support/mod.rs"]
mod support;

use layer::Layer;
use mote_runtime::kernels::pack::{Packer, Portable};
use mote_runtime::kernels::sparse::{Block, LEAST};

/// Positions, input channels, output channels.
type Shape = (usize, usize, usize);

/// Positions, input channels, output channels, how often the network has it.
type Shapes = [(usize, usize, usize, usize)];

const LAYERS: [(usize, usize, usize, usize); 9] = [
    (112 * 112, 32, 64, 1),
    (56 * 56, 64, 128, 1),
    (56 * 56, 128, 128, 1),
    (28 * 28, 128, 256, 1),
    (28 * 28, 256, 256, 1),
    (14 * 14, 256, 512, 1),
    (14 * 14, 512, 512, 5),
    (7 * 7, 512, 1024, 1),
    (7 * 7, 1024, 1024, 1),
];

const BLOCKS: [Block; 3] = [Block::of(1, 1), Block::of(2, 1), Block::of(4, 1)];

fn main() {
    let options: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |name: &str| options.iter().any(|option| option == name);
    let value = |name: &str| {
        let at = options.iter().position(|option| option == name)?;
        Some(options.get(at + 1).unwrap_or_else(|| panic!("a value behind {name}")).as_str())
    };
    if let Some(file) = value("--plan") {
        return plan::write(
            file,
            value("--core").unwrap_or("m4"),
            wanted("--own"),
            wanted("--f32"),
            wanted("--quick"),
        );
    }
    let layers = if wanted("--quick") { &LAYERS[4..7] } else { &LAYERS };
    let percents: &[u64] = if wanted("--quick") { &[90] } else { &[0, 30, 50, 70, 80, 90, 95] };
    for float in [true, false] {
        match (wanted(if float { "--int8" } else { "--f32" }), wanted("--samples")) {
            (true, _) => {}
            (false, true) => samples(float, layers, percents),
            (false, false) => compare(float, layers, percents),
        }
    }
}

/// Prints how much faster sparse layers are than dense ones, all in all and each.
fn compare(float: bool, layers: &Shapes, percents: &[u64]) {
    let dtype = if float { "f32" } else { "int8" };
    println!("{dtype}: 1x1 layers of MobileNetV1, times as fast as dense; blocks of 1, 2, 4 output channels");
    let mut crossing: [Vec<(f64, f64)>; 3] = Default::default();
    for &percent in percents {
        for (block, crossing) in BLOCKS.into_iter().zip(&mut crossing) {
            let (mut dense_total, mut sparse_total, mut bytes, mut dense_bytes) = (0.0, 0.0, 0, 0);
            let mut by_layer = Vec::new();
            for &(positions, inputs, outputs, times) in layers {
                let shape = (positions, inputs, outputs);
                let layer = Layer::new(float, shape, percent, block, longest(float, block), &Portable);
                let (dense, sparse) = layer.measure();
                dense_total += dense * times as f64;
                sparse_total += sparse * times as f64;
                bytes += layer.stream_bytes() * times;
                dense_bytes += layer.dense.blobs[0].len() * times;
                by_layer.push(format!("{:5.2}", dense / sparse));
            }
            crossing.push((percent as f64, dense_total / sparse_total));
            println!(
                "  {percent:2} % zeros, {}x1: {:5.2} x ({:8.0} -> {:8.0} us), weights {:.3} of the bytes; layers {}",
                block.outputs,
                dense_total / sparse_total,
                dense_total,
                sparse_total,
                bytes as f64 / dense_bytes as f64,
                by_layer.join(" ")
            );
        }
    }
    for (block, points) in BLOCKS.into_iter().zip(&crossing) {
        let at = points
            .windows(2)
            .find(|pair| pair[0].1 < 1.0 && pair[1].1 >= 1.0)
            .map(|pair| pair[0].0 + (pair[1].0 - pair[0].0) * (1.0 - pair[0].1) / (pair[1].1 - pair[0].1));
        match at {
            Some(at) => println!("  blocks of {}x1 are as fast as dense at {at:.0} % zeros", block.outputs),
            None => println!("  blocks of {}x1: no crossing within what was measured", block.outputs),
        }
    }
}

/// Prints each measured layer as a line of JSON, with strips as long as they are worth and as short as can be.
fn samples(float: bool, layers: &Shapes, percents: &[u64]) {
    let dtype = if float { "f32" } else { "int8" };
    for (&percent, block) in percents.iter().flat_map(|percent| BLOCKS.map(|block| (percent, block))) {
        for &(positions, inputs, outputs, _) in layers {
            for (strip, short) in [(longest(float, block), false), (LEAST, true)] {
                let layer = Layer::new(float, (positions, inputs, outputs), percent, block, strip, &Portable);
                let (dense, sparse) = layer.measure();
                println!(
                    r#"{{"dtype": "{dtype}", "positions": {positions}, "inputs": {inputs}, "outputs": {outputs}, "block": {}, "short": {short}, "entries": {}, "dense_us": {dense:.2}, "sparse_us": {sparse:.2}}}"#,
                    block.outputs, layer.entries
                );
            }
        }
    }
}

/// Positions of a strip.
fn longest(float: bool, block: Block) -> usize {
    if float { Portable.strip_f32(block) } else { Portable.strip_s8(block) }
}
