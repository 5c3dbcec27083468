//! Checks that a graph keeps the conventions of [`super`]; run after import and after each pass in tests.

use super::{Graph, TensorId};
use std::collections::HashSet;

/// A broken convention.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[non_exhaustive]
pub enum GraphError {
    #[error("node `{node}` reads tensor {tensor}, which does not exist")]
    DanglingTensor { node: String, tensor: usize },
    #[error("node `{node}` reads `{tensor}` before anything has computed it")]
    Order { node: String, tensor: String },
    #[error("`{tensor}` is computed by more than one node; the second is `{node}`")]
    TwoProducers { node: String, tensor: String },
    #[error("constant `{tensor}` has {elements} elements, its shape needs {expected}")]
    ConstantLength { tensor: String, elements: usize, expected: usize },
    #[error("output `{tensor}` is computed by no node")]
    Output { tensor: String },
}

impl Graph {
    /// Checks operands, order, producers and constant lengths.
    pub fn validate(&self) -> Result<(), GraphError> {
        for tensor in &self.tensors {
            if let Some(data) = &tensor.data
                && data.len() != tensor.len()
            {
                let (elements, expected) = (data.len(), tensor.len());
                let tensor = tensor.name.clone();
                return Err(GraphError::ConstantLength { tensor, elements, expected });
            }
        }
        let mut known: HashSet<TensorId> = self.inputs.iter().copied().collect();
        known.extend((0..self.tensors.len()).map(TensorId).filter(|&id| self.tensor(id).is_constant()));
        for node in &self.nodes {
            for &id in node.inputs.iter().chain(&node.outputs) {
                if id.0 >= self.tensors.len() {
                    return Err(GraphError::DanglingTensor { node: node.name.clone(), tensor: id.0 });
                }
            }
            for &id in &node.inputs {
                if !known.contains(&id) {
                    let tensor = self.tensor(id).name.clone();
                    return Err(GraphError::Order { node: node.name.clone(), tensor });
                }
            }
            for &id in &node.outputs {
                if !known.insert(id) {
                    let tensor = self.tensor(id).name.clone();
                    return Err(GraphError::TwoProducers { node: node.name.clone(), tensor });
                }
            }
        }
        match self.outputs.iter().find(|id| !known.contains(id)) {
            Some(&id) => Err(GraphError::Output { tensor: self.tensor(id).name.clone() }),
            None => Ok(()),
        }
    }
}
