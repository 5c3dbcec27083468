//! What a driver does for its nodes: checks what comes, keeps parameters, has them trained, and makes means.

use super::{Coded, Hub, Member, Output, bytes_of, values_of};
use crate::mean::{Update, combine, common_base};
use crate::wire::{Payload, Wire};
use mote_modest::device::ToDevice;
use mote_modest::vouch::{Claim, hash};
use mote_modest::{Event, Kind, Mark, Membership, Message, NodeId, OwnedAction};
use serde_json::json;
use std::sync::Arc;

/// What came with a message, checked.
pub(super) enum Model {
    Mean(Arc<Vec<f32>>),
    Update(Update),
}

/// Bytes of a view's changes in a message, at most.
const CHANGES: usize = 1 << 16;
/// How long an aggregator waits for a base before it asks somebody else for it.
const FETCH_AGAIN: u64 = 1000;

impl Hub {
    /// Hands on what nodes of this peer said to each other.
    pub(super) fn deliver(&mut self, now: u64) {
        while let Some((to, bytes)) = self.local.pop_front() {
            if let Ok(Wire::Node { from, message, payload, .. }) = postcard::from_bytes(&bytes) {
                self.message(from, to, message, &payload, now);
            }
        }
    }

    /// Takes what a member said to a node that lives here.
    pub(super) fn message(
        &mut self,
        from: NodeId,
        to: NodeId,
        message: &[u8],
        payload: &Payload<'_>,
        now: u64,
    ) {
        let Ok((message, [])) = Message::parse(message) else {
            return self.refuse(&from, "a message that is none");
        };
        let Some(node) = self.hosted.get(&to).and_then(|hosted| hosted.node.as_ref()) else { return };
        let entry = node.view().get(&from);
        let member = from == to || entry.is_some_and(|entry| entry.membership == Membership::Joined);
        // Who advertises brings the proof along, which the node checks.
        if !member && !matches!(message, Message::Advertise { .. }) {
            return;
        }
        let model = match self.check(from, &message, payload) {
            Ok(model) => model,
            Err(why) => return self.refuse(&from, why),
        };
        self.handle(to, Event::Message { from, message }, model, now);
    }

    /// Sizes before memory, signatures before use, numbers before sums.
    fn check(
        &mut self,
        from: NodeId,
        message: &Message<'_>,
        payload: &Payload<'_>,
    ) -> Result<Option<Model>, &'static str> {
        let count = self.task.parameters();
        let kind = match message {
            Message::Model { kind, round, .. } => Some((kind, *round)),
            _ => None,
        };
        match (kind, payload) {
            (None, Payload::None) => Ok(None),
            (Some((Kind::Aggregated, _)), Payload::Mean(bytes)) => {
                let values = values_of(bytes, count).ok_or("a mean of another length, or not finite")?;
                Ok(Some(Model::Mean(Arc::new(values))))
            }
            (Some((Kind::Trained, round)), &Payload::Update { base, counter, proof, bytes }) => {
                let codec = self.task.codec();
                if bytes.len() > codec.bytes(count) {
                    return Err("an update that is too long");
                }
                let update = hash(bytes);
                let (task, trained) = (self.task.id(), round.saturating_sub(1));
                let claim = Claim { task, round: trained, base, update, counter };
                claim.check(&from, &proof).map_err(|_| "an update that it did not sign")?;
                // The same one may come again; another needs a greater counter.
                let seen = self.claims.get(&from);
                let again = seen.is_some_and(|(last, of)| *last == counter && *of == update);
                if !again && seen.is_some_and(|(last, _)| counter <= *last) {
                    return Err("an update with an old counter");
                }
                let mut difference = vec![0.0; count];
                codec.decode(bytes, 0, &mut difference).map_err(|_| "an update that cannot be read")?;
                self.claims.insert(from, (counter, update));
                Ok(Some(Model::Update(Update { from, base, difference })))
            }
            _ => Err("parameters that do not belong to the message"),
        }
    }

    pub(super) fn handle(&mut self, id: NodeId, event: Event<'_>, model: Option<Model>, now: u64) {
        let Some(mut node) = self.hosted.get_mut(&id).and_then(|hosted| hosted.node.take()) else { return };
        let mut actions = Vec::new();
        if let Err(error) = node.handle(event, now, &mut |action| actions.push(OwnedAction::from(action))) {
            let from = match event {
                Event::Message { from, .. } => from,
                _ => id,
            };
            self.refuse(&from, &error.to_string());
        }
        self.round = self.round.max(node.round());
        let mut aggregates = false;
        for action in actions {
            match action {
                OwnedAction::Send { to, message } => self.post(id, to, &message, Payload::None),
                OwnedAction::SendModel { to, round, kind, since } => {
                    self.model(id, &mut node, (to, round, kind, since))
                }
                OwnedAction::Keep { round } => {
                    if let (Some(Model::Update(update)), Some(hosted)) = (&model, self.hosted.get_mut(&id)) {
                        if hosted.kept.0 != round {
                            hosted.kept = (round, Vec::new());
                        }
                        hosted.kept.1.push(update.clone());
                    }
                }
                OwnedAction::Train { round } => self.train(id, round, &model),
                OwnedAction::Aggregate { round } => {
                    if let Some(hosted) = self.hosted.get_mut(&id) {
                        hosted.lacking = Some((round, 0, now));
                        aggregates = true;
                    }
                }
            }
        }
        if let Some(hosted) = self.hosted.get_mut(&id) {
            hosted.node = Some(node);
        }
        if aggregates {
            self.aggregate(id, now);
        }
    }

    fn post(&mut self, from: NodeId, to: NodeId, message: &[u8], payload: Payload<'_>) {
        let wire = Wire::Node { from, to, message, payload };
        let bytes = postcard::to_allocvec(&wire).unwrap_or_default();
        if self.hosted.contains_key(&to) {
            self.local.push_back((to, bytes));
        } else {
            let to = self.leaves.get(&to).map_or(to, |leave| leave.gateway);
            self.outputs.push(Output::Send { to, bytes });
        }
    }

    fn model(&mut self, id: NodeId, node: &mut Member, (to, round, kind, since): (NodeId, u32, Kind, Mark)) {
        let mut changes = vec![0; CHANGES];
        let message = node.model(round, kind, since, &mut changes);
        let mut bytes = vec![0; 512 + CHANGES];
        let Ok(used) = message.write(&mut bytes) else { return };
        let Some(hosted) = self.hosted.get(&id) else { return };
        match kind {
            Kind::Aggregated => {
                let Some(mean) = hosted.mean.clone() else { return };
                self.post(id, to, &bytes[..used], Payload::Mean(&bytes_of(&mean)));
            }
            Kind::Trained => {
                let Some(Coded { base, counter, proof, bytes: update }) = hosted.trained.clone() else {
                    return;
                };
                let payload = Payload::Update { base, counter, proof, bytes: &update };
                self.post(id, to, &bytes[..used], payload);
            }
        }
    }

    fn train(&mut self, id: NodeId, round: u32, model: &Option<Model>) {
        let base = match model {
            Some(Model::Mean(mean)) => Arc::clone(mean),
            _ => Arc::new(self.task.initial()),
        };
        let hash = NodeId(self.remember(Arc::clone(&base)));
        let Some(hosted) = self.hosted.get_mut(&id) else { return };
        hosted.training = Some((round, Arc::clone(&base)));
        let port = hosted.port;
        let member = crate::state::hex(&id);
        self.tell(json!({"event": "train", "round": round, "member": member, "device": port.is_some(),
            "base": crate::state::hex(&hash)}));
        match port {
            None => self.outputs.push(Output::Train { round, base }),
            Some(port) => self.train_device(port, round, &base),
        }
    }

    pub(super) fn train_device(&mut self, port: usize, round: u32, base: &[f32]) {
        let message = ToDevice::Train { round, recipe: self.task.recipe, codec: self.task.codec };
        self.outputs.push(Output::Device { port, message, behind: bytes_of(base) });
    }

    /// The peer's own training has ended: `parameters` came of what [`Output::Train`] gave.
    pub fn trained(&mut self, round: u32, parameters: &[f32], loss: f32, now: u64) {
        let own = self.own;
        let Some(base) = self.hosted.get(&own).and_then(|hosted| hosted.training.clone()) else { return };
        let (of, base) = base;
        if of != round || base.len() != parameters.len() {
            return;
        }
        let mut difference: Vec<f32> =
            parameters.iter().zip(base.iter()).map(|(new, old)| new - old).collect();
        let codec = self.task.codec();
        let mut bytes = vec![0; codec.bytes(difference.len())];
        let mut scratch = vec![0.0; difference.len()];
        let Ok(used) = codec.encode(&mut difference, 0, &mut scratch, &mut bytes) else {
            return self.tell(json!({"event": "failed", "round": round, "why": "training left the numbers"}));
        };
        bytes.truncate(used);
        self.counter += 1;
        let (task, counter, base, update) =
            (self.task.id(), self.counter, hash(&bytes_of(&base)), hash(&bytes));
        let proof = Claim { task, round, base, update, counter }.sign(&self.secret);
        self.ended(own, round, Coded { base, counter, proof, bytes }, loss, now);
    }

    /// A member's training has ended with this update.
    pub(super) fn ended(&mut self, id: NodeId, round: u32, coded: Coded, loss: f32, now: u64) {
        let Some(hosted) = self.hosted.get_mut(&id) else { return };
        let (bytes, device) = (coded.bytes.len(), hosted.port.is_some());
        hosted.training = None;
        hosted.trained = Some(coded);
        let member = crate::state::hex(&id);
        self.tell(
            json!({"event": "trained", "round": round, "member": member, "device": device, "loss": loss,
            "bytes": bytes}),
        );
        self.handle(id, Event::Trained { round }, None, now);
        self.deliver(now);
        self.outputs.push(Output::Keep);
    }

    /// Makes the mean that a node was told to, or asks for the base that it lacks.
    pub(super) fn aggregate(&mut self, id: NodeId, now: u64) {
        let Some(hosted) = self.hosted.get_mut(&id) else { return };
        let Some((round, asked, at)) = hosted.lacking else { return };
        let updates = &hosted.kept.1;
        let Some(hash) = common_base(updates).filter(|_| hosted.kept.0 == round) else {
            hosted.lacking = None;
            return;
        };
        let Some((_, base)) = self.bases.iter().find(|(of, _)| *of == hash) else {
            if at <= now {
                let from = updates[asked % updates.len()].from;
                hosted.lacking = Some((round, asked + 1, now + FETCH_AGAIN));
                let to = self.leaves.get(&from).map_or(from, |leave| leave.gateway);
                self.send(to, &Wire::Fetch { hash });
            }
            return;
        };
        let base = Arc::clone(base);
        hosted.lacking = None;
        let updates = std::mem::take(&mut hosted.kept.1);
        let members: Vec<String> = updates.iter().map(|update| crate::state::hex(&update.from)).collect();
        let mean = combine(&base, &hash, updates, self.task.clip, self.task.trim.into());
        hosted.mean = Some(Arc::clone(&mean));
        self.remember(mean);
        self.tell(json!({"event": "mean", "round": round, "of": members}));
        self.handle(id, Event::Averaged { round }, None, now);
        self.outputs.push(Output::Keep);
    }

    /// Parameters that were asked for; whatever else comes is left alone.
    pub(super) fn base(&mut self, bytes: &[u8], now: u64) {
        let of = hash(bytes);
        let wanted: Vec<NodeId> = self
            .hosted
            .iter()
            .filter(|(_, h)| h.lacking.is_some() && common_base(&h.kept.1) == Some(of))
            .map(|(id, _)| *id)
            .collect();
        let Some(values) = values_of(bytes, self.task.parameters()).filter(|_| !wanted.is_empty()) else {
            return;
        };
        self.remember(Arc::new(values));
        wanted.into_iter().for_each(|id| self.aggregate(id, now));
    }
}
