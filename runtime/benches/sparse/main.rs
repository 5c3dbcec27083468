//! Sparse 1x1 convolutions beside dense ones, on the host, one thread: `cargo xtask bench sparse`.
//!
//! The 1x1 layers of MobileNetV1 (224 x 224) with random weights, of which a share is zero, by blocks of output
//! channels. Both kernels of a layer run in turn, again and again; the best round of each counts. `--samples` prints
//! each measured layer on a line of its own (JSON), for the fit of the cost model; `--plan FILE` writes a plan of such
//! layers for a microcontroller instead.

mod layer;
mod plan;
#[path = "../../tests/support/mod.rs"]
mod support;

use layer::Layer;
use mote_runtime::kernels::sparse::Block;

/// Positions, input channels, output channels, how often the network has it.
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

/// Positions that the host's plans have room for.
const STRIP: usize = 32;

fn main() {
    let options: Vec<String> = std::env::args().skip(1).collect();
    let wanted = |name: &str| options.iter().any(|option| option == name);
    if let Some(at) = options.iter().position(|option| option == "--plan") {
        return plan::write(options.get(at + 1).expect("a file behind --plan"));
    }
    let samples = wanted("--samples");
    let layers = if wanted("--quick") { &LAYERS[4..7] } else { &LAYERS };
    for float in [true, false] {
        if wanted(if float { "--int8" } else { "--f32" }) {
            continue;
        }
        let dtype = if float { "f32" } else { "int8" };
        if !samples {
            println!(
                "{dtype}: 1x1 layers of MobileNetV1, times as fast as dense; blocks of 1, 2, 4 output channels"
            );
        }
        let mut crossing: [Vec<(f64, f64)>; 3] = Default::default();
        let percents: &[u64] = if wanted("--quick") { &[90] } else { &[0, 30, 50, 70, 80, 90, 95] };
        for &percent in percents {
            for (block, crossing) in BLOCKS.into_iter().zip(&mut crossing) {
                let (mut dense_total, mut sparse_total, mut bytes, mut dense_bytes) = (0.0, 0.0, 0, 0);
                let mut by_layer = Vec::new();
                for &(positions, inputs, outputs, times) in layers {
                    let shape = (positions, inputs, outputs);
                    let layer = Layer::new(float, shape, percent, block, STRIP);
                    let (dense, sparse) = layer.measure();
                    dense_total += dense * times as f64;
                    sparse_total += sparse * times as f64;
                    bytes += layer.stream_bytes() * times;
                    dense_bytes += layer.dense.blobs[0].len() * times;
                    by_layer.push(dense / sparse);
                    if samples {
                        println!(
                            r#"{{"dtype": "{dtype}", "positions": {positions}, "inputs": {inputs}, "outputs": {outputs}, "block": {}, "entries": {}, "dense_us": {dense:.2}, "sparse_us": {sparse:.2}}}"#,
                            block.outputs, layer.entries
                        );
                    }
                }
                crossing.push((percent as f64, dense_total / sparse_total));
                if !samples {
                    let each: Vec<String> = by_layer.iter().map(|ratio| format!("{ratio:5.2}")).collect();
                    println!(
                        "  {percent:2} % zeros, {}x1: {:5.2} x ({:8.0} -> {:8.0} us), weights {:.3} of the bytes; layers {}",
                        block.outputs,
                        dense_total / sparse_total,
                        dense_total,
                        sparse_total,
                        bytes as f64 / dense_bytes as f64,
                        each.join(" ")
                    );
                }
            }
        }
        for (block, points) in BLOCKS.into_iter().zip(&crossing) {
            if samples {
                break;
            }
            let at = points.windows(2).find(|pair| pair[0].1 < 1.0 && pair[1].1 >= 1.0).map(|pair| {
                pair[0].0 + (pair[1].0 - pair[0].0) * (1.0 - pair[0].1) / (pair[1].1 - pair[0].1)
            });
            match at {
                Some(at) => {
                    println!("  blocks of {}x1 are as fast as dense at {at:.0} % zeros", block.outputs)
                }
                None => println!("  blocks of {}x1: no crossing within what was measured", block.outputs),
            }
        }
    }
}
