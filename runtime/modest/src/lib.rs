//! The bridge to decentralized training: a node of a MoDeST network (arXiv 2302.13837) as a state machine.
//!
//! * [`Node`]: `handle(event, now, actions)` and `deadline()`. It does no input or output, owns no clock and no model:
//!   a driver (firmware, a daemon, a simulator) sends what the actions say, keeps parameters and trains.
//! * [`Member`]: a node behind its door: what comes from the network is opened, checked against tickets and views, and
//!   handled.
//! * [`view`], [`changes`], [`order`]: who is a member, how that becomes known, and who takes part in a round.
//! * [`seal`]: signed envelopes, membership tickets, and statements that a node makes of itself.
//! * [`link`]: the line between a device and its gateway; [`device`]: what they say on it, and all of the device's side;
//!   [`slots`]: where its counter outlives resets; [`local`]: a round's training; [`vouch`]: what a member signs that others carry.
//! * [`compress`], [`aggregate`]: how updates become fewer bytes, and how they become one.
//!
//! No heap, no panic. A view has a fixed capacity on a device and grows on a host ([`view::Store`], feature `alloc`).
#![cfg_attr(not(test), no_std)]
#![forbid(unsafe_code)]

#[cfg(feature = "alloc")]
extern crate alloc;

mod advert;
pub mod aggregate;
pub mod changes;
pub mod compress;
pub mod device;
mod error;
pub mod link;
pub mod local;
mod member;
mod message;
mod node;
pub mod order;
mod params;
mod relay;
pub mod seal;
pub mod slots;
pub mod view;
pub mod vouch;

pub use changes::Mark;
pub use error::Error;
pub use member::Member;
pub use message::{HEADER_BYTES, Kind, Message, NodeId};
pub use node::Node;
#[cfg(feature = "alloc")]
pub use params::OwnedAction;
pub use params::{Action, Event, Params};
pub use seal::Identity;
pub use view::{Entry, Membership, Proof, Statement, Store, Trust, View};
