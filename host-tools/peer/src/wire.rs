//! What peers say to each other on a connection, one postcard frame a stream. Who sent it is proved by the connection.

use mote_modest::seal::Signed;
use mote_modest::vouch::{Delegation, Proof};
use mote_modest::{Entry, Membership, NodeId, Statement};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

#[derive(Debug, Serialize, Deserialize)]
pub enum Wire<'a> {
    Hello(Hello),
    /// Of a node to a node; either may be a device behind its gateway.
    Node {
        from: NodeId,
        to: NodeId,
        message: &'a [u8],
        payload: Payload<'a>,
    },
    /// Asks for the parameters with this hash.
    Fetch {
        hash: [u8; 32],
    },
    Base {
        bytes: &'a [u8],
    },
}

/// Who is here, and who else is known.
#[derive(Debug, Serialize, Deserialize)]
pub struct Hello {
    pub task: u64,
    pub round: u32,
    /// Wants to know the same of the other.
    pub asks: bool,
    /// Has work of a round in hand.
    pub busy: bool,
    pub stated: Vec<Stated>,
    pub routes: Vec<(NodeId, SocketAddr)>,
    pub leaves: Vec<Delegation>,
}

/// What comes with a model.
#[derive(Debug, Serialize, Deserialize)]
pub enum Payload<'a> {
    None,
    /// f32, little-endian.
    Mean(&'a [u8]),
    Update {
        base: [u8; 32],
        counter: u64,
        proof: Proof,
        bytes: &'a [u8],
    },
}

/// A statement with its proof.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Stated {
    pub id: NodeId,
    pub counter: u32,
    pub left: bool,
    pub proof: Signed,
}

impl Stated {
    pub fn of(entry: &Entry<Signed>) -> Stated {
        let Entry { id, counter, membership, proof, .. } = *entry;
        Stated { id, counter, left: membership == Membership::Left, proof }
    }

    pub fn statement(&self) -> Statement {
        let membership = if self.left { Membership::Left } else { Membership::Joined };
        Statement { id: self.id, counter: self.counter, membership }
    }
}
