//! What all members of a network agree on, and the ticket that lets one in.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use mote_modest::compress::Codec;
use mote_modest::local::Recipe;
use mote_modest::seal::Ticket;
use mote_modest::vouch::{Proof, hash};
use mote_modest::{NodeId, Params, device};
use mote_runtime::train::{Conv, Layer, Network, Trainer, Training};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;

use crate::PeerError;

/// A network to train: dense layers with ReLU between them, as a file of JSON tells it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Task {
    /// Of the first parameters.
    pub seed: u64,
    /// Features, hidden units, classes.
    pub widths: Vec<u16>,
    pub recipe: Recipe,
    /// Of updates (`mote_modest::device::codec`).
    pub codec: u8,
    /// Updates are scaled to this 2-norm at most.
    pub clip: f32,
    /// Least and greatest values left out of a mean, a side.
    pub trim: u8,
    pub sample: u8,
    pub aggregators: u8,
    pub enough_permille: u16,
    /// Rounds of silence after which a member is not sampled.
    pub forget: u32,
    /// Times in milliseconds, as in `mote_modest::Params`.
    pub fastest: u32,
    pub ping_timeout: u32,
    pub send_timeout: u32,
    pub watch: u32,
    pub gather: u32,
    /// Who signs tickets.
    #[serde(default = "nobody")]
    pub issuer: NodeId,
}

fn nobody() -> NodeId {
    NodeId([0; 32])
}

impl Task {
    /// # Errors
    /// [`PeerError::Task`]: numbers that make no network, or rules that contradict each other.
    pub fn check(&self) -> Result<(), PeerError> {
        let bad = |why: &str| Err(PeerError::Task(why.into()));
        if self.widths.len() < 2 || self.widths.contains(&0) {
            return bad("widths: features and classes at least, none of them 0");
        }
        if Network::new(&self.layers()).is_err() {
            return bad("widths: too large");
        }
        if device::codec(self.codec).is_none() {
            return bad("codec: 0 (f32), 1 (f16), 2 (int8) or 3 (sign)");
        }
        if !(1..=32).contains(&self.sample) || self.aggregators == 0 || self.aggregators > self.sample {
            return bad("sample: 1 to 32; aggregators: at least 1, at most as many");
        }
        if usize::from(self.sample) <= 2 * usize::from(self.trim) {
            return bad("trim: less than half of sample");
        }
        if !(self.clip > 0.0 && self.recipe.rate.is_finite() && self.recipe.momentum.is_finite()) {
            return bad("clip: above 0; rate and momentum: numbers");
        }
        Ok(())
    }

    /// What tells this task from others: 8 bytes of its hash.
    pub fn id(&self) -> u64 {
        u64::from_le_bytes(self.hash()[..8].try_into().unwrap_or_default())
    }

    fn hash(&self) -> [u8; 32] {
        hash(&postcard::to_allocvec(self).unwrap_or_default())
    }

    pub fn params(&self) -> Params {
        Params {
            beacon: self.hash(),
            sample: self.sample.into(),
            aggregators: self.aggregators.into(),
            enough_permille: self.enough_permille,
            least: 1 + 2 * usize::from(self.trim),
            forget: self.forget,
            fastest: self.fastest.into(),
            ping_timeout: self.ping_timeout.into(),
            send_timeout: self.send_timeout.into(),
            watch: self.watch.into(),
            gather: self.gather.into(),
            ..Params::DEFAULT
        }
    }

    pub fn codec(&self) -> Codec {
        device::codec(self.codec).unwrap_or(Codec::F32)
    }

    pub fn layers(&self) -> Vec<Layer> {
        let mut layers = Vec::new();
        for pair in self.widths.windows(2) {
            let [from, to] = [pair[0], pair[1]].map(usize::from);
            if !layers.is_empty() {
                layers.push(Layer::Relu { len: from });
            }
            layers.push(Layer::Conv(Conv::dense(from, to), Training::All));
        }
        layers
    }

    pub fn parameters(&self) -> usize {
        Network::new(&self.layers()).map_or(0, |network| network.trained())
    }

    pub fn features(&self) -> usize {
        self.widths.first().copied().unwrap_or(0).into()
    }

    /// The first parameters: the same for everybody.
    pub fn initial(&self) -> Vec<f32> {
        let layers = self.layers();
        let Ok(network) = Network::new(&layers) else { return Vec::new() };
        let mut memory = vec![0.0; network.memory(false).total().div_ceil(4)];
        let Ok(mut trainer) = Trainer::new(network, &[], &mut memory, false) else { return Vec::new() };
        trainer.initialize(self.seed);
        trainer.parameters().to_vec()
    }
}

/// What a member needs to come in: the task, leave signed by its issuer, and where others are.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Invite {
    pub task: Task,
    pub member: NodeId,
    /// Last round in which it counts.
    pub until: u32,
    pub proof: Proof,
    /// With whom the task begins; who is none of them joins later.
    pub founders: Vec<NodeId>,
    pub peers: Vec<(NodeId, SocketAddr)>,
}

const PREFIX: &str = "mote1-";

impl Invite {
    /// A ticket for `member`, signed by the issuer's secret key.
    pub fn issue(
        secret: &[u8; 32],
        task: &Task,
        member: NodeId,
        until: u32,
        founders: &[NodeId],
        peers: &[(NodeId, SocketAddr)],
    ) -> Invite {
        let proof = Proof::of_ticket(&Ticket::issue(secret, task.id(), member, until).signature);
        let (task, founders, peers) = (task.clone(), founders.to_vec(), peers.to_vec());
        Invite { task, member, until, proof, founders, peers }
    }

    pub fn ticket(&self) -> Ticket {
        let (task, signature) = (self.task.id(), self.proof.bytes());
        Ticket { task, member: self.member, until: self.until, signature }
    }

    pub fn write(&self) -> String {
        let bytes = postcard::to_allocvec(self).unwrap_or_default();
        format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
    }

    /// # Errors
    /// [`PeerError::Ticket`]: no ticket, cut off, or not signed by the task's issuer; those of [`Task::check`].
    pub fn read(text: &str) -> Result<Invite, PeerError> {
        let bad = |why: &str| PeerError::Ticket(why.into());
        let body = text.trim().strip_prefix(PREFIX).ok_or_else(|| bad("it does not begin with mote1-"))?;
        let bytes = URL_SAFE_NO_PAD.decode(body).map_err(|_| bad("a character is missing or wrong"))?;
        let (invite, rest): (Invite, _) =
            postcard::take_from_bytes(&bytes).map_err(|_| bad("it was cut off, or is of another version"))?;
        if !rest.is_empty() {
            return Err(bad("there is something behind it"));
        }
        invite.task.check()?;
        let (issuer, task) = (invite.task.issuer, invite.task.id());
        let held = invite.ticket().check(&issuer, task, &invite.member, 0);
        held.map_err(|_| bad("the issuer of its task did not sign it"))?;
        Ok(invite)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::state::id_of;

    pub fn task() -> Task {
        Task {
            seed: 1,
            widths: vec![64, 10],
            recipe: Recipe { rate: 0.05, momentum: 0.9, batch: 4, epochs: 1 },
            codec: 0,
            clip: 1000.0,
            trim: 0,
            sample: 6,
            aggregators: 1,
            enough_permille: 1000,
            forget: 1000,
            fastest: 1,
            ping_timeout: 300,
            send_timeout: 1000,
            watch: 1000,
            gather: 2000,
            issuer: id_of(&[99; 32]),
        }
    }

    #[test]
    fn tickets_are_read_and_forged_ones_refused() {
        let peers = [(id_of(&[2; 32]), "127.0.0.1:4000".parse().unwrap())];
        let invite = Invite::issue(&[99; 32], &task(), id_of(&[1; 32]), 500, &[id_of(&[1; 32])], &peers);
        let text = invite.write();
        assert_eq!(Invite::read(&text).unwrap(), invite);
        let forged = Invite::issue(&[98; 32], &task(), id_of(&[1; 32]), 500, &[], &peers);
        assert!(matches!(Invite::read(&forged.write()), Err(PeerError::Ticket(_))));
        let longer = Invite { until: 501, ..invite.clone() };
        assert!(Invite::read(&longer.write()).is_err());
        let other = Invite { member: id_of(&[3; 32]), ..invite };
        assert!(Invite::read(&other.write()).is_err());
        for cut in 0..text.len() {
            assert!(Invite::read(&text[..cut]).is_err(), "{cut}");
        }
        assert!(Invite::read("hello").is_err());
    }

    #[test]
    fn a_head_of_64_features_has_650_parameters() {
        assert_eq!((task().parameters(), task().initial().len()), (650, 650));
        assert!(Task { trim: 3, ..task() }.check().is_err());
    }
}
