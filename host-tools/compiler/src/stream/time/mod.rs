//! A network over a clip as a network over frames.
//!
//! [`by_frames`] follows the time axis from the input through every node and gives each tensor that has one the same
//! form: `[1, T, H, W, C]`, a frame a slice. What looks at several frames must do so through a window (convolution,
//! pool, mean, crop, a dense layer over all frames); the lowered steps can then run frame by frame, with rings of what
//! the windows still need, and give exactly what the clip-wise network gives for every window of the stream. Where that
//! is not so, the node is refused with the [`Rule`] that it breaks.
//!
//! Conditions and terms after L. Hedegaard, "Efficient Online Processing with Deep Neural Networks" (2022), and the
//! Continual Inference papers cited there.

mod axes;
mod nodes;
mod rewrite;
mod rules;

pub use rules::{Rule, Violation, broken, explain};

use crate::graph::Graph;
use axes::Time;

/// What to do with the time axis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stream {
    /// Time axis of the input in the imported graph (channels last); the one behind the batch if not told.
    pub axis: Option<usize>,
    /// Frames from one window to the next; the least that the network's temporal strides allow if not told.
    pub hop: Option<usize>,
    /// The network runs over a whole stream, not over windows of one: zero padding at its start is padding at the
    /// start of the stream, and results that would need padding at its end are not given.
    pub whole: bool,
}

/// The graph with every frame a slice; all violations at once where that cannot be done.
pub fn by_frames(graph: &Graph, stream: &Stream) -> Result<Graph, Vec<Violation>> {
    let input = match graph.inputs[..] {
        [input] => input,
        _ => return Err(vec![Violation::of_graph(Rule::Unsupported, "it has more than one input")]),
    };
    let shape = &graph.tensor(input).shape;
    let axis = stream.axis.unwrap_or(1);
    let batch = usize::from(axis == 0);
    if axis >= shape.len() || shape.get(batch) != Some(&1) {
        let reason = format!(
            "axis {axis} of the input {shape:?} is no time axis (axis {batch} is the batch, which must be 1)"
        );
        return Err(vec![Violation::of_graph(Rule::Unsupported, &reason)]);
    }
    let mut rewriter = rewrite::Rewriter::new(graph, stream);
    rewriter.follow(input, Time::Axis(axis));
    for node in &graph.nodes {
        nodes::rewrite(&mut rewriter, node);
    }
    rewriter.finish()
}
