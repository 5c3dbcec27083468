use crate::changes::Mark;
use serde::{Deserialize, Serialize};

/// A node's name: its ed25519 public key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct NodeId(pub [u8; 32]);

/// What a model is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// Trained in the round before, for the aggregators of `round`.
    Trained,
    /// The mean of `round`, for its participants.
    Aggregated,
}

/// What nodes say to each other, in postcard. Parameters travel behind [`Message::Model`] and belong to the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Message<'a> {
    Ping {
        round: u32,
    },
    /// `since`: through this mark the sender wants no changes of views.
    Pong {
        round: u32,
        since: Mark,
    },
    /// The sender's own statement: it is a member, or no more.
    Advertise {
        statement: &'a [u8],
    },
    /// The statement with this counter will be passed on.
    Noted {
        counter: u32,
    },
    /// `changes` of the view behind `since`, complete through `through`; `digest` of the sender's statements.
    Model {
        round: u32,
        kind: Kind,
        since: Mark,
        through: Mark,
        digest: u64,
        changes: &'a [u8],
    },
    /// The model has come, or (`accepted` false) the sender has no use for it.
    Received {
        round: u32,
        kind: Kind,
        accepted: bool,
    },
    /// Asks one who has received a model whether it still sees to it; the answer is `Received` or `Done`.
    Holding {
        round: u32,
        kind: Kind,
    },
    /// What the model was for is in other hands now; nobody has to watch over it any more.
    Done {
        round: u32,
        kind: Kind,
    },
}

/// Bytes of a message without changes or a statement at most.
pub const HEADER_BYTES: usize = 64;

impl<'a> Message<'a> {
    /// Reads a message, and tells what stands behind it: the parameters of a model, else nothing. Nothing is allocated,
    /// and changes stay where they are.
    ///
    /// # Errors
    /// [`Malformed`](crate::Error::Malformed), also for bytes left over.
    pub fn parse(bytes: &'a [u8]) -> Result<(Message<'a>, &'a [u8]), crate::Error> {
        match postcard::take_from_bytes(bytes) {
            Ok((message, rest)) if rest.is_empty() || matches!(message, Message::Model { .. }) => {
                Ok((message, rest))
            }
            _ => Err(crate::Error::Malformed),
        }
    }

    /// Writes the message; returns the bytes used.
    ///
    /// # Errors
    /// [`Room`](crate::Error::Room).
    pub fn write(&self, out: &mut [u8]) -> Result<usize, crate::Error> {
        let have = out.len();
        let changes = match self {
            Message::Model { changes: bytes, .. } | Message::Advertise { statement: bytes } => bytes.len(),
            _ => 0,
        };
        let room = crate::Error::Room { needed: HEADER_BYTES + changes, have };
        postcard::to_slice(self, out).map(|bytes| bytes.len()).map_err(|_| room)
    }
}
