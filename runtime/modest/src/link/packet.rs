use serde::{Deserialize, Serialize};

/// A transfer: a number that only rises within a session of its sender.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Id {
    pub session: u32,
    pub number: u32,
}

/// What the two ends say to each other, in postcard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Packet<'a> {
    /// A message begins, or goes on after an interruption.
    Open {
        id: Id,
        length: u32,
        digest: u64,
    },
    /// Answers `Open`: what is before `offset` is there; a chunk may have so many bytes.
    Ready {
        id: Id,
        offset: u32,
        chunk: u16,
    },
    Chunk {
        id: Id,
        offset: u32,
        bytes: &'a [u8],
    },
    /// What is before `offset` is there.
    Ack {
        id: Id,
        offset: u32,
    },
    /// This transfer was never opened, was cut off by a reset, or was damaged after all.
    Unknown {
        id: Id,
    },
    /// The message is longer than there is room.
    Refused {
        id: Id,
        room: u32,
    },
}

/// Bytes of a packet beside those of its chunk, at most.
pub const CHUNK_OVERHEAD: usize = 1 + 5 + 5 + 5 + 2;

impl<'a> Packet<'a> {
    /// `None` for bytes that are no packet, or more than one.
    pub fn parse(bytes: &'a [u8]) -> Option<Packet<'a>> {
        match postcard::take_from_bytes(bytes) {
            Ok((packet, [])) => Some(packet),
            _ => None,
        }
    }

    /// Writes the packet; returns the bytes used. `None` without room for it.
    pub fn write(&self, out: &mut [u8]) -> Option<usize> {
        postcard::to_slice(self, out).ok().map(|used| used.len())
    }
}
