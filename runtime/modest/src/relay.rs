//! Handing a model on: find the first live candidates of its round, send it to them, and watch over it until it is in
//! other hands. A candidate that does not answer is replaced by the next of the order, at every stage.

use crate::changes::Mark;
use crate::message::{Kind, Message, NodeId};
use crate::order::Key;
use crate::params::{Action, Params};
use crate::view::{Store, View};

/// Candidates that one relay deals with at a time.
pub(crate) const SLOTS: usize = 32;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Stage {
    /// Pinged.
    Asked {
        until: u64,
        tries: u8,
    },
    /// Has answered.
    Ready,
    /// The model is on its way.
    Sent {
        until: u64,
        tries: u8,
    },
    /// Has the model; asked again from time to time.
    Held {
        until: u64,
        tries: u8,
    },
    Gone,
}

#[derive(Clone, Copy, Debug)]
struct Slot {
    id: NodeId,
    since: Mark,
    stage: Stage,
}

#[derive(Clone, Debug)]
pub(crate) struct Relay {
    pub kind: Kind,
    pub round: u32,
    want: usize,
    /// In the order of the round, not of the answers.
    slots: heapless::Vec<Slot, SLOTS>,
    last: Option<Key>,
    exhausted: bool,
    sending: bool,
    restart: Option<u64>,
    finished: bool,
}

impl Relay {
    pub fn new(kind: Kind, round: u32, want: usize) -> Relay {
        let slots = heapless::Vec::new();
        let want = want.clamp(1, SLOTS);
        let (last, restart) = (None, None);
        Relay { kind, round, want, slots, last, exhausted: false, sending: false, restart, finished: false }
    }

    /// Everybody who is to have the model and lives has it.
    pub fn handed_on(&self) -> bool {
        let mut live = self.slots.iter().filter(|s| s.stage != Stage::Gone).peekable();
        self.sending && live.peek().is_some() && live.all(|s| matches!(s.stage, Stage::Held { .. }))
    }

    /// Nothing is left to watch over.
    pub fn finished(&self) -> bool {
        self.finished && self.handed_on()
    }

    pub fn deadline(&self) -> Option<u64> {
        let slots = self.slots.iter().filter_map(|s| match s.stage {
            Stage::Asked { until, .. } | Stage::Sent { until, .. } | Stage::Held { until, .. } => Some(until),
            Stage::Ready | Stage::Gone => None,
        });
        slots.chain(self.restart).min()
    }

    pub fn pong(&mut self, from: &NodeId, since: Mark) {
        for slot in self.slots.iter_mut().filter(|s| s.id == *from) {
            if matches!(slot.stage, Stage::Asked { .. }) {
                (slot.stage, slot.since) = (Stage::Ready, since);
            }
        }
    }

    pub fn received(&mut self, from: &NodeId, accepted: bool, until: u64) {
        for slot in self.slots.iter_mut().filter(|s| s.id == *from) {
            match slot.stage {
                Stage::Sent { .. } | Stage::Held { .. } if !accepted => slot.stage = Stage::Gone,
                Stage::Sent { .. } | Stage::Held { .. } => slot.stage = Stage::Held { until, tries: 0 },
                _ => {}
            }
        }
    }

    pub fn done(&mut self, from: &NodeId) {
        for slot in self.slots.iter_mut().filter(|s| s.id == *from) {
            if matches!(slot.stage, Stage::Sent { .. } | Stage::Held { .. }) {
                slot.stage = Stage::Held { until: u64::MAX, tries: 0 };
                self.finished = true;
            }
        }
    }

    /// Does all that is due at `now`.
    pub fn poll<S: Store>(
        &mut self,
        view: &mut View<S>,
        params: &Params,
        now: u64,
        act: &mut impl FnMut(Action<'_>),
    ) {
        if self.restart.is_some_and(|at| at <= now) {
            self.slots.clear();
            (self.last, self.exhausted, self.sending, self.restart) = (None, false, false, None);
        }
        self.time_out(params, now, act);
        self.refill(view, params, now, act);
        let asked = self.slots.iter().any(|s| matches!(s.stage, Stage::Asked { .. }));
        self.sending |= !asked && self.live() > 0;
        if self.sending {
            for slot in self.slots.iter_mut().filter(|s| s.stage == Stage::Ready) {
                slot.stage = Stage::Sent { until: now.saturating_add(params.send_timeout), tries: 0 };
                act(Action::SendModel { to: slot.id, round: self.round, kind: self.kind, since: slot.since });
            }
        }
        if self.live() == 0 && self.exhausted && self.restart.is_none() {
            self.restart = Some(now.saturating_add(params.send_timeout));
        }
    }

    fn live(&self) -> usize {
        self.slots.iter().filter(|s| s.stage != Stage::Gone).count()
    }

    fn time_out(&mut self, params: &Params, now: u64, act: &mut impl FnMut(Action<'_>)) {
        let (round, kind) = (self.round, self.kind);
        for slot in &mut self.slots {
            let to = slot.id;
            match slot.stage {
                Stage::Asked { until, tries } if until <= now => {
                    slot.stage = if tries < params.resends {
                        act(Action::Send { to, message: Message::Ping { round } });
                        Stage::Asked { until: now.saturating_add(params.ping_timeout), tries: tries + 1 }
                    } else {
                        Stage::Gone
                    };
                }
                Stage::Sent { until, tries } if until <= now => {
                    slot.stage = if tries < params.resends {
                        act(Action::SendModel { to, round, kind, since: slot.since });
                        Stage::Sent { until: now.saturating_add(params.send_timeout), tries: tries + 1 }
                    } else {
                        Stage::Gone
                    };
                }
                Stage::Held { until, tries } if until <= now => {
                    slot.stage = if tries <= params.resends {
                        act(Action::Send { to, message: Message::Holding { round, kind } });
                        Stage::Held { until: now.saturating_add(params.ping_timeout), tries: tries + 1 }
                    } else {
                        Stage::Gone
                    };
                }
                _ => {}
            }
        }
    }

    fn refill<S: Store>(
        &mut self,
        view: &mut View<S>,
        params: &Params,
        now: u64,
        act: &mut impl FnMut(Action<'_>),
    ) {
        let missing = self.want.saturating_sub(self.live());
        if missing == 0 || self.exhausted || self.restart.is_some() {
            return;
        }
        self.slots.retain(|s| s.stage != Stage::Gone);
        let mut found = [(0, NodeId([0; 32])); SLOTS];
        let Some(room) = found.get_mut(..missing) else { return };
        let (count, own) = (view.next(self.round, self.last.as_ref(), room), view.own());
        self.exhausted = count < missing;
        for key @ (_, id) in found.iter().take(count) {
            self.last = Some(*key);
            let stage = if *id == own {
                Stage::Ready
            } else {
                act(Action::Send { to: *id, message: Message::Ping { round: self.round } });
                Stage::Asked { until: now.saturating_add(params.ping_timeout), tries: 0 }
            };
            // `missing` and those that live are `want` together, at most `SLOTS`.
            let _ = self.slots.push(Slot { id: *id, since: Mark::ALL, stage });
        }
    }
}
