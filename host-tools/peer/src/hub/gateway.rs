//! Devices: who is behind a port, in whose name this peer runs a node.

use super::{Coded, Hosted, Hub, Member, Output, Speaker};
use mote_modest::device::{FromDevice, ToDevice, parse};
use mote_modest::vouch::{Claim, hash};
use mote_modest::{Event, Mark, Membership, Node, NodeId, Statement, Trust, View};
use serde_json::json;

impl Hub {
    /// A line to a device is there.
    pub fn plugged(&mut self, port: usize) {
        self.outputs.push(Output::Device { port, message: ToDevice::Who, behind: Vec::new() });
    }

    /// What a device said.
    pub fn device(&mut self, port: usize, bytes: &[u8], now: u64) {
        match parse(bytes) {
            Ok((FromDevice::Hello { id, parameters, samples }, [])) => {
                self.ports.retain(|_, known| *known != id);
                self.ports.insert(port, id);
                let member = crate::state::hex(&id);
                self.tell(json!({"event": "device", "member": member, "port": port, "samples": samples}));
                if parameters as usize != self.task.parameters() {
                    return self.refuse(&id, "a device that trains another network");
                }
                self.serve(port, id);
            }
            Ok((FromDevice::Joined { statement, proof, leave }, [])) => {
                let id = leave.member;
                let stated = Statement { id, counter: statement, membership: Membership::Joined };
                let right = self.ports.get(&port) == Some(&id)
                    && leave.gateway == self.own
                    && leave.check(self.task.id()).is_ok()
                    && self.identity().holds(&stated, &proof, self.round);
                if !right {
                    return self.refuse(&id, "a device without a ticket, or with a wrong signature");
                }
                self.leaves.insert(id, leave);
                match self.hosted.get_mut(&id) {
                    // The device was reset; its node goes on.
                    Some(hosted) => {
                        hosted.port = Some(port);
                        if let Some((round, base)) = hosted.training.clone() {
                            self.train_device(port, round, &base);
                        }
                    }
                    None => self.host(port, id, proof, now),
                }
            }
            Ok((FromDevice::Update { round, counter, proof, loss, .. }, update)) => {
                let Some(&id) = self.ports.get(&port) else { return };
                let training = self.hosted.get(&id).and_then(|hosted| hosted.training.clone());
                let Some((of, base)) = training else { return };
                let base = hash(&super::bytes_of(&base));
                let claim = Claim { task: self.task.id(), round, base, update: hash(update), counter };
                if of != round || claim.check(&id, &proof).is_err() {
                    return self.refuse(&id, "an update of another round, or not signed by the device");
                }
                let coded = Coded { base, counter, proof, bytes: update.to_vec() };
                self.ended(id, round, coded, loss, now);
            }
            _ => self.tell(json!({"event": "refused", "port": port, "why": "a message that is none"})),
        }
        self.deliver(now);
    }

    fn serve(&mut self, port: usize, id: NodeId) {
        if !self.began() {
            return;
        }
        let Some(invite) = self.tickets.get(&id) else {
            return self.refuse(&id, "a device for which there is no ticket (--ticket)");
        };
        let own = self.hosted.get(&self.own).and_then(|hosted| hosted.node.as_ref());
        let hosted = self.hosted.get(&id).and_then(|hosted| hosted.node.as_ref());
        let counter = |node: &Member| node.view().get(&id).map_or(0, |entry| entry.counter);
        // A node that lives here keeps its statement.
        let statement = hosted.map(counter).unwrap_or_else(|| own.map_or(0, counter) + 1);
        let (until, ticket) = (invite.until, invite.proof);
        let (task, issuer, gateway) = (self.task.id(), self.task.issuer, self.own);
        let message = ToDevice::Serve { task, issuer, until, ticket, gateway, statement };
        self.outputs.push(Output::Device { port, message, behind: Vec::new() });
    }

    /// Devices that came before the own node began.
    pub(super) fn welcome_devices(&mut self) {
        let ports: Vec<(usize, NodeId)> = self.ports.iter().map(|(port, id)| (*port, *id)).collect();
        ports.into_iter().for_each(|(port, id)| self.serve(port, id));
    }

    fn host(&mut self, port: usize, id: NodeId, proof: mote_modest::seal::Signed, now: u64) {
        let Some(own) = self.hosted.get(&self.own).and_then(|hosted| hosted.node.as_ref()) else { return };
        let params = self.task.params();
        let entries = own.view().entries().to_vec();
        let round = self.round;
        let speaker = Speaker::Device { judge: self.identity(), proof };
        let node = Node::new(params, View::new(id, &params, entries), speaker, Mark::START);
        self.hosted.insert(id, Hosted::new(node, Some(port)));
        // Others must know whom its messages come from before they come.
        self.greet(false);
        self.handle(id, Event::Join { round }, None, now);
        let member = crate::state::hex(&id);
        self.tell(json!({"event": "serving", "member": member, "port": port, "round": round}));
    }
}
