//! The end that receives.

use super::packet::{Id, Packet};
use super::{Event, digest};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Nothing, or what came was released.
    Empty,
    Coming,
    /// All is there, and the caller's.
    Held,
}

#[derive(Debug)]
pub(super) struct Incoming {
    /// The largest chunk that fits a packet.
    chunk: u16,
    /// The last transfer that was opened.
    id: Option<Id>,
    length: usize,
    digest: u64,
    got: usize,
    stage: Stage,
    waiting: bool,
    answer: Option<Packet<'static>>,
}

impl Incoming {
    pub fn new(chunk: u16) -> Incoming {
        let (id, stage, answer) = (None, Stage::Empty, None);
        Incoming { chunk, id, length: 0, digest: 0, got: 0, stage, waiting: false, answer }
    }

    pub fn release(&mut self) {
        if self.stage == Stage::Held {
            self.stage = Stage::Empty;
        }
        self.waiting = false;
    }

    pub fn waiting(&self) -> bool {
        self.waiting
    }

    /// What the sender is to be told. Answers tell how far everything is, so only the last one counts.
    pub fn answer(&mut self) -> Option<Packet<'static>> {
        self.answer.take()
    }

    pub fn take(&mut self, packet: Packet<'_>, room: &mut [u8]) -> Option<Event> {
        match packet {
            Packet::Open { id, length, digest } => self.open(id, length as usize, digest, room),
            Packet::Chunk { id, offset, bytes } => self.chunk(id, offset as usize, bytes, room),
            _ => None,
        }
    }

    fn open(&mut self, id: Id, length: usize, digest: u64, room: &mut [u8]) -> Option<Event> {
        let known = self.id == Some(id) && (self.length, self.digest) == (length, digest);
        let older = self.id.is_some_and(|now| now.session == id.session && now.number > id.number);
        if older {
            return None;
        }
        if known && self.stage != Stage::Coming {
            // Its acknowledgement was lost.
            self.answer = Some(self.ready(id, length));
            return None;
        }
        if self.stage == Stage::Held {
            self.waiting = true;
            return None;
        }
        if length > room.len() {
            self.answer = Some(Packet::Refused { id, room: room.len() as u32 });
            return None;
        }
        // The same message goes on where it stopped, whoever was reset and opens it under another name.
        let goes_on = self.stage == Stage::Coming && (self.length, self.digest) == (length, digest);
        if !goes_on {
            self.got = 0;
        }
        (self.id, self.length, self.digest, self.stage) = (Some(id), length, digest, Stage::Coming);
        self.answer = Some(self.ready(id, self.got));
        self.completed(id, room)
    }

    fn chunk(&mut self, id: Id, offset: usize, bytes: &[u8], room: &mut [u8]) -> Option<Event> {
        if self.id != Some(id) {
            let older = self.id.is_some_and(|now| now.session == id.session && now.number > id.number);
            if !older {
                self.answer = Some(Packet::Unknown { id });
            }
            return None;
        }
        if self.stage != Stage::Coming {
            self.answer = Some(Packet::Ack { id, offset: self.length as u32 });
            return None;
        }
        let end = offset.saturating_add(bytes.len());
        if offset == self.got && end <= self.length {
            // As long as `room` when the transfer was opened.
            let Some(to) = room.get_mut(offset..end) else { return self.lost(id) };
            to.iter_mut().zip(bytes).for_each(|(to, byte)| *to = *byte);
            self.got = end;
        }
        self.answer = Some(Packet::Ack { id, offset: self.got as u32 });
        self.completed(id, room)
    }

    fn completed(&mut self, id: Id, room: &[u8]) -> Option<Event> {
        if self.got < self.length {
            return None;
        }
        if room.get(..self.length).is_none_or(|message| digest(message) != self.digest) {
            return self.lost(id);
        }
        self.stage = Stage::Held;
        Some(Event::Received { length: self.length })
    }

    /// What has come is not what was sent: from the start.
    fn lost(&mut self, id: Id) -> Option<Event> {
        (self.id, self.stage, self.got) = (None, Stage::Empty, 0);
        self.answer = Some(Packet::Unknown { id });
        None
    }

    fn ready(&self, id: Id, offset: usize) -> Packet<'static> {
        Packet::Ready { id, offset: offset as u32, chunk: self.chunk }
    }
}
