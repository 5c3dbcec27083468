//! Simulates networks of [`mote_modest::Node`]s: the nodes' own code, driven by a seeded queue of events instead of
//! sockets and clocks. The same scenario gives the same results on every machine, with any number of threads.
//!
//! * [`Scenario`]: how many nodes, what lies between them, who crashes, joins, lies, and when.
//! * [`modest::run`]: the simulation; protocol only, or with a [`Task`] that is really trained.
//! * [`links`]: latencies, bandwidth, loss and partitions.
//!
//! * [`baselines`]: FedAvg, D-SGD and gossip on the same tasks and lines; [`tasks`]: what is trained.
//! * [`html`]: a page of charts.
//! * [`trials`]: networks in trouble.
//! * [`command`]: options and figures of the command line.
//!
//! Called by `mote-sim`, the command of this crate, by `mote simulate`, and by tests.
#![forbid(unsafe_code)]

pub mod baselines;
pub mod command;
mod error;
pub mod html;
pub mod links;
pub mod modest;
mod pool;
mod rules;
mod scenario;
mod task;
pub mod tasks;
pub mod trials;

pub use error::SimError;
pub use rules::{Lie, Merge, Rules, Update, Weigh};
pub use scenario::{Change, Scenario};
pub use task::{Protocol, Score, Task};
