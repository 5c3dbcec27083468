//! The bridge to decentralized training: a node of a MoDeST network (arXiv 2302.13837) as a state machine.
//!
//! * [`Node`]: `handle(event, now, actions)` and `deadline()`. It does no input or output, owns no clock and no model:
//!   a driver (firmware, a daemon, a simulator) sends what the actions say, keeps parameters and trains.
//! * [`view`], [`order`]: who is a member, and who takes part in a round.
//! * [`seal`]: signed envelopes and membership tickets, the only way in for bytes of the network.
//! * [`aggregate`]: how updates become one.
//!
//! No heap, no panic. A view has a fixed capacity on a device and grows on a host ([`view::Store`], feature `alloc`).
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

pub mod aggregate;
mod error;
mod message;
mod node;
pub mod order;
mod relay;
pub mod seal;
pub mod view;

pub use error::Error;
pub use message::{Kind, Message, NodeId};
pub use node::{Action, Event, Node, Params};
pub use view::{Entry, Membership, Store, View};
