//! The end that sends.

use super::packet::{Id, Packet};
use super::{Config, Event, LinkError, digest};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    /// `Open` was sent (`due`: is to be sent), and is not answered.
    Opening {
        due: bool,
    },
    Sending,
}

pub(super) enum Next<'a> {
    Packet(Packet<'a>),
    Lost,
    Nothing,
}

#[derive(Debug)]
pub(super) struct Outgoing {
    config: Config,
    id: Id,
    length: u32,
    digest: u64,
    stage: Stage,
    /// What the other side has, and what was sent.
    acked: u32,
    sent: u32,
    /// Bytes of a chunk: of both sides' the lesser.
    own_chunk: u16,
    chunk: u16,
    /// A hole was told of, and is being filled.
    filling: bool,
    /// The next time-out, and how long it waits.
    until: u64,
    wait: u64,
    /// When there was progress last.
    progress: u64,
}

impl Outgoing {
    pub fn new(session: u32, config: Config, chunk: u16) -> Outgoing {
        Outgoing {
            config,
            id: Id { session, number: 0 },
            length: 0,
            digest: 0,
            stage: Stage::Idle,
            acked: 0,
            sent: 0,
            own_chunk: chunk,
            chunk,
            filling: false,
            until: 0,
            wait: 0,
            progress: 0,
        }
    }

    pub fn active(&self) -> bool {
        self.stage != Stage::Idle
    }

    pub fn end(&mut self) {
        self.stage = Stage::Idle;
    }

    pub fn begin(&mut self, message: &[u8], now: u64) -> Result<(), LinkError> {
        if self.active() {
            return Err(LinkError::Busy);
        }
        let bytes = message.len();
        self.length = u32::try_from(bytes).map_err(|_| LinkError::Length { bytes })?;
        self.digest = digest(message);
        self.id.number = self.id.number.wrapping_add(1);
        self.progress = now;
        self.wait = self.config.timeout;
        self.open();
        Ok(())
    }

    fn open(&mut self) {
        self.stage = Stage::Opening { due: true };
    }

    pub fn take(&mut self, packet: Packet<'_>, now: u64) -> Option<Event> {
        match packet {
            Packet::Ready { id, offset, chunk } if id == self.id && offset <= self.length => {
                if matches!(self.stage, Stage::Opening { .. }) {
                    if offset > self.acked {
                        self.progress = now;
                    }
                    (self.acked, self.sent, self.filling) = (offset, offset, false);
                    self.chunk = chunk.min(self.own_chunk).max(1);
                    self.stage = Stage::Sending;
                    return self.moved(now);
                }
            }
            Packet::Ack { id, offset } if id == self.id && self.stage == Stage::Sending => {
                if offset > self.acked && offset <= self.length {
                    (self.acked, self.filling) = (offset, false);
                    self.sent = self.sent.max(offset);
                    self.progress = now;
                    return self.moved(now);
                }
                // The same answer again: something before what came is missing. Once; then the time-out decides.
                if offset == self.acked && self.sent > offset && !self.filling {
                    (self.sent, self.filling) = (offset, true);
                }
            }
            Packet::Unknown { id } if id == self.id && self.stage == Stage::Sending => self.open(),
            Packet::Refused { id, room } if id == self.id && self.active() => {
                self.end();
                return Some(Event::Refused { room: room as usize });
            }
            _ => {}
        }
        None
    }

    /// There was an answer that says something new.
    fn moved(&mut self, now: u64) -> Option<Event> {
        self.wait = self.config.timeout;
        self.until = now.saturating_add(self.wait);
        if self.acked < self.length {
            return None;
        }
        self.end();
        Some(Event::Sent)
    }

    pub fn poll<'m>(&mut self, now: u64, message: &'m [u8]) -> Next<'m> {
        if !self.active() {
            return Next::Nothing;
        }
        if now.saturating_sub(self.progress) >= self.config.patience {
            self.end();
            return Next::Lost;
        }
        if self.stage != (Stage::Opening { due: true }) && self.until <= now {
            self.wait = self.wait.saturating_mul(2).min(self.config.longest);
            self.open();
        }
        match self.stage {
            Stage::Opening { due: true } => {
                self.stage = Stage::Opening { due: false };
                self.until = now.saturating_add(self.wait);
                let Outgoing { id, length, digest, .. } = *self;
                Next::Packet(Packet::Open { id, length, digest })
            }
            Stage::Sending => self.chunk(message),
            _ => Next::Nothing,
        }
    }

    fn chunk<'m>(&mut self, message: &'m [u8]) -> Next<'m> {
        let window = u32::from(self.config.window.max(1)) * u32::from(self.chunk);
        let end = self.sent.saturating_add(u32::from(self.chunk)).min(self.length);
        if end == self.sent || end - self.acked.min(end) > window {
            return Next::Nothing;
        }
        let Some(bytes) = message.get(self.sent as usize..end as usize) else {
            // Not the message that was begun.
            self.end();
            return Next::Lost;
        };
        let packet = Packet::Chunk { id: self.id, offset: self.sent, bytes };
        self.sent = end;
        Next::Packet(packet)
    }

    pub fn deadline(&self) -> Option<u64> {
        let lost = self.progress.saturating_add(self.config.patience);
        self.active().then_some(match self.stage {
            Stage::Opening { due: true } => 0,
            _ => self.until.min(lost),
        })
    }
}
