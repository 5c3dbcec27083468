//! Pools.

use mote_runtime::kernels::pack::Packer;
use mote_runtime::kernels::pool_s8::PoolS8;

use crate::support::Random;
use crate::windows::Window;
use crate::{Case, Kind};

const POOLS: &[Window] = &[
    pool((6, 6), 16, (3, 3)).pad(1, 1, 1, 1),
    pool((7, 9), 48, (3, 3)).stride(2).pad(0, 0, 1, 1),
    pool((4, 5), 3, (2, 2)),
    pool((8, 8), 12, (2, 2)).stride(2),
    pool((5, 7), 13, (3, 3)).stride(2).pad(1, 1, 1, 1),
    pool((9, 9), 9, (3, 3)).dilation(2).pad(2, 2, 2, 2),
    pool((8, 8), 20, (8, 8)),
    pool((9, 9), 8, (9, 9)),
    pool((25, 1), 64, (15, 1)).pad(3, 0, 3, 0),
    pool((1, 12), 7, (1, 5)).pad(0, 4, 0, 4),
    pool((6, 5), 17, (1, 1)).stride(2),
    pool((5, 5), 33, (3, 2)).pad(-1, -2, 0, 0),
    pool((3, 3), 40, (3, 3)).pad(3, 3, 3, 3),
];

const fn pool(size: (usize, usize), channels: usize, kernel: (usize, usize)) -> Window {
    Window::new(size, (channels, channels), kernel)
}

/// Whether padding counts, zero point, clamp.
const KINDS: &[(bool, i32, i32, i32)] =
    &[(false, 0, -128, 127), (true, -128, -128, 127), (true, 127, -100, 127), (false, 5, -20, 60)];

pub fn pools(packer: &dyn Packer) -> Vec<Case> {
    let mut random = Random(6);
    let mut cases = Vec::new();
    for w in POOLS {
        for (kind, &(include_padding, zero_point, min, max)) in KINDS.iter().enumerate() {
            let layer = PoolS8 {
                channels: w.inputs,
                kernel_rows: w.kernel.0,
                kernel_width: w.kernel.1,
                stride: w.stride,
                dilation: w.dilation,
                pad_left: w.pad.1,
                include_padding,
                zero_point,
                min,
                max,
            };
            let mut input = w.input(&mut random);
            if kind == 1 {
                // The largest sums that there are, and ties.
                input.bytes.iter_mut().for_each(|code| *code = if *code < 200 { 128 } else { 127 });
            }
            let functions = [
                ("max", packer.max_pool_s8(&layer), layer.pack_max()),
                ("average", packer.average_pool_s8(&layer), layer.pack_average()),
            ];
            cases.extend(functions.map(|(function, packed, portable)| Case {
                name: format!("{function} pool {w:?} {layer:?}"),
                own: false,
                kind: Kind::Other,
                packed,
                portable,
                inputs: vec![input.clone()],
                output: w.output(w.inputs),
            }));
        }
    }
    cases
}
