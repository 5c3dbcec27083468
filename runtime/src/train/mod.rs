//! Training on the device: `f32`, without heap, in memory that is told beforehand.
//!
//! A [`Network`] is a chain of layers, each trained as a whole, in its bias alone, or not at all. A [`Trainer`] owns what
//! training it takes ([`Network::memory`]), learns sample by sample, and applies the mean gradient of a batch. With a
//! frozen backbone in front, which an [`crate::Engine`] runs, the network is the head.
//!
//! Nothing here depends on the machine: every sum has one order, the exponential is our own, random numbers are integers'.
//! The same seed and samples give the same bits on a host and on a device. Called by firmware that trains, by the peer and
//! by the simulator.

mod layers;
mod loss;
mod network;
mod pass;
mod trainer;

pub use layers::{conv::Conv, depthwise::Depthwise, norm::GroupNorm, pool::Pool, window::Axis};
pub use loss::Target;
pub use network::{Layer, Memory, Network, NetworkError, Training};
pub use trainer::{Sgd, TrainError, Trainer};

pub use crate::random::Random;
