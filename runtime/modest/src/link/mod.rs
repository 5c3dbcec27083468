//! The line between a device and its gateway: messages of any length over bytes that may be lost, damaged, or cut off by
//! a reset of either side. Sans-IO and in fixed memory; called by firmware, by the gateway, and by tests.
//!
//! A message travels as a *transfer*: `Open` tells its length and digest, `Ready` from where on the receiver needs it,
//! `Chunk`s follow as far as the window goes, each `Ack` tells how far everything has come. Every time-out begins with
//! `Open` again, so a transfer that was interrupted goes on where it stopped, if the receiver still has the beginning, and
//! else from the start; neither side has to know what happened to the other. Packets are postcard, frames are COBS with a
//! CRC-32 ([`frame`]).
//!
//! Each direction carries one message at a time. Both lie in the caller's memory: what is sent until it is there, what has
//! come until [`Link::release`].

pub mod frame;
mod incoming;
mod io;
mod outgoing;
mod packet;

pub use io::{PumpError, pump};
pub use packet::CHUNK_OVERHEAD;

use frame::{Decoder, Frame};
use incoming::Incoming;
use outgoing::Outgoing;
use packet::Packet;

/// How patient a side is. Times are in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Chunks that may be under way without an acknowledgement.
    pub window: u8,
    /// Without an answer for so long, the transfer is opened again; doubled each time, up to `longest`.
    pub timeout: u64,
    pub longest: u64,
    /// Without any progress for so long, the message is given up.
    pub patience: u64,
}

impl Config {
    /// For serial lines from 115,200 baud on.
    pub const DEFAULT: Config = Config { window: 4, timeout: 200, longest: 5_000, patience: u64::MAX };
}

/// What has become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// One of so many bytes has come; it lies at the beginning of the memory for it, until [`Link::release`].
    Received { length: usize },
    /// The one that was sent is there.
    Sent,
    /// The one that was sent is longer than the other side has room for, and was dropped.
    Refused { room: usize },
}

/// Why nothing could be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum LinkError {
    /// The message before is still on its way.
    Busy,
    /// More bytes than a length can tell.
    Length { bytes: usize },
}

impl core::fmt::Display for LinkError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            LinkError::Busy => write!(f, "the message before is still on its way"),
            LinkError::Length { bytes } => write!(f, "{bytes} bytes are more than a message may have"),
        }
    }
}

impl core::error::Error for LinkError {}

/// What is to be done now.
#[derive(Debug)]
pub enum Polled<'a> {
    /// Bytes for the line.
    Frame(Frame<'a>),
    /// The message that was sent made no progress for [`Config::patience`], and was given up.
    Lost,
    Nothing,
}

/// One end of a line. `N`: bytes of a packet at most, at least 64; a chunk has [`CHUNK_OVERHEAD`] less. The two ends may
/// differ in it.
#[derive(Debug)]
pub struct Link<const N: usize> {
    decoder: Decoder<N>,
    /// A packet on its way out.
    packet: [u8; N],
    incoming: Incoming,
    outgoing: Outgoing,
}

impl<const N: usize> Link<N> {
    const CHUNK: u16 = {
        assert!(N >= 64 && N <= 8192, "a packet has from 64 to 8192 bytes");
        (N - CHUNK_OVERHEAD) as u16
    };

    /// `session`: another number after each reset, so that messages of before and after are told apart.
    pub fn new(session: u32, config: Config) -> Link<N> {
        Link {
            decoder: Decoder::new(),
            packet: [0; N],
            incoming: Incoming::new(Self::CHUNK),
            outgoing: Outgoing::new(session, config, Self::CHUNK),
        }
    }

    /// Begins to send a message, which [`Link::poll`] is to be given until it is [`Event::Sent`].
    ///
    /// # Errors
    /// [`LinkError`].
    pub fn send(&mut self, message: &[u8], now: u64) -> Result<(), LinkError> {
        self.outgoing.begin(message, now)
    }

    /// Is a message on its way?
    pub fn sending(&self) -> bool {
        self.outgoing.active()
    }

    /// Gives up the message on its way, if any.
    pub fn abandon(&mut self) {
        self.outgoing.end();
    }

    /// The message that has come is not needed any more: the next one may take its place.
    pub fn release(&mut self) {
        self.incoming.release();
    }

    /// Does a message wait for [`Link::release`]?
    pub fn waiting(&self) -> bool {
        self.incoming.waiting()
    }

    /// Takes a byte of the line. `room` is memory for a message, the same each time.
    pub fn receive(&mut self, byte: u8, room: &mut [u8], now: u64) -> Option<Event> {
        let packet = Packet::parse(self.decoder.push(byte)?)?;
        match packet {
            Packet::Open { .. } | Packet::Chunk { .. } => self.incoming.take(packet, room),
            Packet::Ready { .. } | Packet::Ack { .. } | Packet::Unknown { .. } | Packet::Refused { .. } => {
                self.outgoing.take(packet, now)
            }
        }
    }

    /// The next thing to do; to be asked until it is [`Polled::Nothing`], and again at [`Link::deadline`] and after bytes
    /// have come. `message`: what is being sent.
    pub fn poll(&mut self, now: u64, message: &[u8]) -> Polled<'_> {
        let packet = match self.incoming.answer() {
            Some(answer) => answer,
            None => match self.outgoing.poll(now, message) {
                outgoing::Next::Packet(packet) => packet,
                outgoing::Next::Lost => return Polled::Lost,
                outgoing::Next::Nothing => return Polled::Nothing,
            },
        };
        // Packets are made to fit.
        let used = packet.write(&mut self.packet).unwrap_or(0);
        Polled::Frame(Frame::new(self.packet.get(..used).unwrap_or_default()))
    }

    /// When to poll without a byte having come.
    pub fn deadline(&self) -> Option<u64> {
        self.outgoing.deadline()
    }
}

/// What a transfer is known by, whoever sends it: 8 bytes of the message's BLAKE2s-256.
fn digest(message: &[u8]) -> u64 {
    use blake2::Digest;
    let hash: [u8; 32] = blake2::Blake2s256::digest(message).into();
    u64::from_le_bytes(hash.first_chunk().copied().unwrap_or_default())
}
