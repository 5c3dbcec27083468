//! Telling others that the node is a member, or none any more, until enough of them have noted it.

use crate::NodeId;
use crate::changes;
use crate::message::Message;
use crate::order::Key;
use crate::params::{Action, Params};
use crate::view::{Store, View};

/// Members that must have noted an advertisement: any of them may crash before it passes it on.
const NOTES: usize = 3;
/// Members that are told at a time, at most.
const SLOTS: usize = 32;

#[derive(Clone, Debug)]
pub(crate) struct Advert {
    counter: u32,
    /// In whose order the members are told; the next one each time.
    round: u32,
    until: u64,
    noted: heapless::Vec<NodeId, NOTES>,
}

impl Advert {
    pub fn new(counter: u32, round: u32) -> Advert {
        Advert { counter, round, until: 0, noted: heapless::Vec::new() }
    }

    pub fn deadline(&self) -> u64 {
        self.until
    }

    /// Have enough noted it?
    pub fn noted(&mut self, by: NodeId, counter: u32) -> bool {
        if counter == self.counter && !self.noted.contains(&by) {
            // Full is enough.
            let _ = self.noted.push(by);
        }
        self.noted.is_full()
    }

    /// Tells a sample of the members when it is time; returns whether all is said.
    pub fn poll<S: Store>(
        &mut self,
        view: &mut View<S>,
        params: &Params,
        now: u64,
        act: &mut impl FnMut(Action<'_>),
    ) -> bool {
        if self.until > now {
            return false;
        }
        let own = view.own();
        let mut found: [Key; SLOTS + 1] = [(0, NodeId([0; 32])); SLOTS + 1];
        let room = found.get_mut(..=params.sample.min(SLOTS)).unwrap_or_default();
        let count = view.next(self.round, None, room);
        let others = found.iter().take(count).map(|(_, id)| *id).filter(|id| *id != own);
        if others.clone().all(|id| self.noted.contains(&id)) {
            return true;
        }
        let mut bytes = [0; changes::STATEMENT_ROOM];
        let Some(entry) = view.get(&own) else { return true };
        let used = changes::write_statement(entry, &mut bytes);
        let statement = bytes.get(..used).unwrap_or_default();
        for to in others {
            act(Action::Send { to, message: Message::Advertise { statement } });
        }
        self.until = now.saturating_add(params.send_timeout);
        self.round = self.round.saturating_add(1);
        false
    }
}
