//! Rewriting of graphs.
//!
//! A pass takes a graph that keeps the conventions of [`crate::graph`] and leaves one that computes the same: floats
//! up to rounding, integers exactly. [`optimize`] runs them in the order that suits all networks, until nothing
//! changes any more. Each pass is a module with `run(&mut Graph) -> Changes`; `edit` is their common tool.
//!
//! * [`legalize`], [`fold`], [`share`]: canonical forms, constants, common subexpressions.
//! * [`layout`]: transpositions cancelled and moved.
//! * [`recognise`]: activation functions and norms that were written out.
//! * [`fold_batch_norm`], [`fold_scale`], [`fuse_bias`], [`merge_layers`], [`fuse_pad`], [`fuse_activation`]:
//!   into the layers.
//! * [`patterns`]: groups that stay, but have a name.

mod edit;
pub mod fold;
pub mod fold_batch_norm;
pub mod fold_scale;
pub mod fuse_activation;
pub mod fuse_bias;
pub mod fuse_pad;
pub mod layout;
pub mod legalize;
mod linear;
pub mod merge_layers;
pub mod patterns;
pub mod recognise;
mod report;
pub mod share;
#[cfg(test)]
pub(crate) mod testing;

pub use patterns::{Pattern, PatternKind};
pub use report::{Changes, Report};

use crate::graph::Graph;

/// Runs all passes. The graph's inputs and outputs keep their tensors; other tensors may lose their maker.
pub fn optimize(graph: &mut Graph) -> Report {
    let mut report = Report { nodes_before: graph.nodes.len(), ..Report::default() };
    // What is written out must be recognised before its constants disappear in weights.
    settle(graph, &mut report, &EARLY);
    settle(graph, &mut report, &[&EARLY[..], &FOLDING[..]].concat());
    settle(graph, &mut report, &[fuse_activation::run]);
    settle(graph, &mut report, &[legalize::finish]);
    settle(graph, &mut report, &[fold::run, share::run, layout::run]);
    release_unread_constants(graph);
    report.nodes_after = graph.nodes.len();
    report.patterns = patterns::find(graph);
    report
}

type Pass = fn(&mut Graph) -> Changes;

const EARLY: [Pass; 5] = [legalize::run, fold::run, share::run, layout::run, recognise::run];
const FOLDING: [Pass; 5] =
    [fold_batch_norm::run, fold_scale::run, fuse_bias::run, merge_layers::run, fuse_pad::run];

/// More rounds than any network needs: each moves transpositions as far as they go.
const MOST_ROUNDS: usize = 64;

/// Runs passes in turn until none changes anything.
fn settle(graph: &mut Graph, report: &mut Report, passes: &[Pass]) {
    for _ in 0..MOST_ROUNDS {
        let mut changed = false;
        for pass in passes {
            changed |= report.record(pass(graph));
            debug_assert_eq!(graph.validate(), Ok(()));
        }
        if !changed {
            return;
        }
    }
}

/// Folding leaves weights behind that nobody reads any more; large networks have no room for them.
fn release_unread_constants(graph: &mut Graph) {
    let mut read = vec![false; graph.tensors.len()];
    let operands = graph.nodes.iter().flat_map(|node| &node.inputs);
    operands.chain(&graph.outputs).for_each(|id| read[id.0] = true);
    for (tensor, _) in graph.tensors.iter_mut().zip(read).filter(|(_, read)| !read) {
        tensor.data = None;
    }
}

#[cfg(test)]
mod tests;
