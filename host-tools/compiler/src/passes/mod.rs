//! Rewriting of graphs.
//!
//! A pass takes a graph that keeps the conventions of [`crate::graph`] and leaves one that computes the same.
