//! What layers compute, forward and backward, over slices of `f32`. Called by `train::pass` alone, which knows where
//! everything lies. `None` means that a slice is shorter than the layer's shape says; a checked network never gives it.
//! Sizes are at least 1 (`Network::new`), which the compiler can't see: `max(1)` where they divide leaves no way to a panic.
//! All sums have a fixed order, so results are the same on every machine.

pub mod conv;
pub mod depthwise;
pub mod norm;
pub mod pool;
pub mod relu;
pub mod window;

/// Adds the channels of all positions to `sums`, one for each channel, if there are any: the gradient of a bias.
pub fn add_positions(dy: &[f32], sums: &mut [f32]) {
    if sums.is_empty() {
        return;
    }
    for dy in dy.chunks_exact(sums.len().max(1)) {
        for (sum, dy) in sums.iter_mut().zip(dy) {
            *sum += dy;
        }
    }
}
