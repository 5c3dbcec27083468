use crate::changes::Mark;
use crate::message::{Kind, Message, NodeId};

/// What all members of a task agree on. Times are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Params {
    /// Mixed into every order, so that nobody can choose an id by its places beforehand.
    pub beacon: [u8; 32],
    /// Participants a round (s), at most 32.
    pub sample: usize,
    /// Aggregators a round (a).
    pub aggregators: usize,
    /// Models out of 1000 x `sample` that suffice for a mean (sf).
    pub enough_permille: u16,
    /// Fewer models than this are averaged only when the aggregation timeout has run out twice.
    pub least: usize,
    /// Rounds of silence after which a member is no candidate (dk).
    pub forget: u32,
    /// Places behind the sample from which a sender is accepted, for members that did not answer.
    pub slack: usize,
    /// No round is shorter than this: who claims that more have passed is not believed.
    pub fastest: u64,
    /// Rounds that a claim may be ahead of that.
    pub lead: u32,
    pub ping_timeout: u64,
    pub send_timeout: u64,
    /// Between two questions whether a model is still seen to.
    pub watch: u64,
    /// From the first model of a round to its mean, if not enough come.
    pub gather: u64,
    /// How often anything is sent again.
    pub resends: u8,
}

impl Params {
    /// The paper's, for rounds of half a minute.
    pub const DEFAULT: Params = Params {
        beacon: [0; 32],
        sample: 10,
        aggregators: 1,
        enough_permille: 1000,
        least: 3,
        forget: 1000,
        slack: 30,
        fastest: 1000,
        lead: 8,
        ping_timeout: 1000,
        send_timeout: 10_000,
        watch: 20_000,
        gather: 15_000,
        resends: 4,
    };
}

/// What happens to a node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Event<'a> {
    /// The task begins: the first sample trains the initial parameters.
    Start,
    /// From the network, its sender proved ([`crate::seal`]).
    Message {
        from: NodeId,
        message: Message<'a>,
    },
    /// The training that [`Action::Train`] asked for has ended.
    Trained {
        round: u32,
    },
    /// The mean that [`Action::Aggregate`] asked for is there.
    Averaged {
        round: u32,
    },
    /// The node wants to be a member; `round` is about where the others are.
    Join {
        round: u32,
    },
    Leave,
    /// Nobody sees to a round any more, since all members were down: this node takes up the training in `round` with
    /// parameters that the driver has kept.
    Resume {
        round: u32,
    },
    /// A deadline has come.
    Tick,
}

/// What the driver has to do. A message to the node itself is to be handed back as an event.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Action<'a> {
    Send {
        to: NodeId,
        message: Message<'a>,
    },
    /// Send the trained or aggregated parameters of `round`, behind what [`Node::model`](crate::Node::model) makes of
    /// this.
    SendModel {
        to: NodeId,
        round: u32,
        kind: Kind,
        since: Mark,
    },
    /// Keep the parameters that came with this message, as `from`'s.
    Keep {
        from: NodeId,
        round: u32,
    },
    /// Stop training, if any is going on, and train the parameters that came with this message (in round 1 without
    /// one: the initial ones; after [`Event::Resume`]: those that were kept). The result is that of `round + 1`.
    Train {
        round: u32,
    },
    /// Make one of what was kept for `round`.
    Aggregate {
        round: u32,
        models: usize,
    },
}

/// An [`Action`] that outlives the node's borrow, for drivers that handle a node's actions after it.
#[cfg(feature = "alloc")]
#[derive(Clone, Debug, PartialEq)]
pub enum OwnedAction {
    /// The message as bytes.
    Send {
        to: NodeId,
        message: alloc::vec::Vec<u8>,
    },
    SendModel {
        to: NodeId,
        round: u32,
        kind: Kind,
        since: Mark,
    },
    Keep {
        round: u32,
    },
    Train {
        round: u32,
    },
    Aggregate {
        round: u32,
    },
}

#[cfg(feature = "alloc")]
impl From<Action<'_>> for OwnedAction {
    fn from(action: Action<'_>) -> OwnedAction {
        match action {
            Action::Send { to, message } => {
                // Longer ones are made by `Node::model` alone.
                let mut bytes = [0; 512];
                let used = message.write(&mut bytes).unwrap_or(0);
                OwnedAction::Send { to, message: bytes.get(..used).unwrap_or_default().to_vec() }
            }
            Action::SendModel { to, round, kind, since } => OwnedAction::SendModel { to, round, kind, since },
            Action::Keep { round, .. } => OwnedAction::Keep { round },
            Action::Train { round } => OwnedAction::Train { round },
            Action::Aggregate { round, .. } => OwnedAction::Aggregate { round },
        }
    }
}
