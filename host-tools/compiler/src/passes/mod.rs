//! Rewriting of graphs.
//!
//! A pass takes a graph that keeps the conventions of [`crate::graph`] and leaves one that computes the same: floats
//! up to rounding, integers exactly. [`optimize`] runs them in the order that suits all networks, until nothing
//! changes any more. Each pass is a module with `run(&mut Graph) -> Changes`; `edit` is their common tool.

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
pub mod recognise;
mod report;
pub mod share;
#[cfg(test)]
mod testing;

pub use report::{Changes, Report};
