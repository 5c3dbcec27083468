//! What is said on a line to a device, sans-IO: bytes in, bytes and messages out. Called by `port`, and by tests.

use mote_modest::device::{FromDevice, HEAD_BYTES, ToDevice, parse};
use mote_modest::link::{Config, Event, Link, Polled};

/// Bytes of a packet on the gateway's side; the device may take less.
const PACKET: usize = 1024;

/// The gateway's end of a line.
pub struct Talk {
    link: Link<PACKET>,
    room: Vec<u8>,
    message: Vec<u8>,
    /// What is to be said next: of each kind the newest.
    words: Option<Vec<u8>>,
    train: Option<Vec<u8>>,
    up: u64,
    down: u64,
}

/// A message of the device.
#[derive(Debug)]
pub struct Heard {
    pub bytes: Vec<u8>,
    /// With an update: bytes on the line since the one before, up and down.
    pub counted: Option<(u64, u64)>,
}

impl Talk {
    /// `session`: another number in each life of the gateway; `largest`: bytes of a message at most.
    pub fn new(session: u32, largest: usize) -> Talk {
        Talk {
            link: Link::new(session, Config::DEFAULT),
            room: vec![0; largest],
            message: Vec::new(),
            words: None,
            train: None,
            up: 0,
            down: 0,
        }
    }

    /// Something is to be said, as soon as nothing else is.
    pub fn order(&mut self, message: ToDevice, behind: &[u8]) {
        let mut bytes = [0; HEAD_BYTES];
        let Ok(head) = postcard::to_slice(&message, &mut bytes) else { return };
        let whole = Some([head, behind].concat());
        match message {
            ToDevice::Train { .. } => {
                // A round that is over need not be sent to its end.
                if self.link.sending() && self.message.len() > HEAD_BYTES {
                    self.link.abandon();
                }
                self.train = whole;
            }
            _ => self.words = whole,
        }
    }

    /// Bytes that are due on the line.
    pub fn due(&mut self, now: u64) -> Vec<u8> {
        if !self.link.sending()
            && let Some(next) = self.words.take().or_else(|| self.train.take())
        {
            self.message = next;
            let _ = self.link.send(&self.message, now);
        }
        let mut bytes = Vec::new();
        while let Polled::Frame(frame) = self.link.poll(now, &self.message) {
            bytes.extend(frame);
        }
        self.down += bytes.len() as u64;
        bytes
    }

    /// When [`Talk::due`] is to be asked without a byte having come.
    pub fn deadline(&self) -> Option<u64> {
        self.link.deadline()
    }

    /// Takes bytes of the line.
    pub fn hear(&mut self, bytes: &[u8], now: u64) -> Vec<Heard> {
        self.up += bytes.len() as u64;
        let mut heard = Vec::new();
        for byte in bytes {
            let Some(Event::Received { length }) = self.link.receive(*byte, &mut self.room, now) else {
                continue;
            };
            let bytes = self.room[..length].to_vec();
            self.link.release();
            let update = matches!(parse(&bytes), Ok((FromDevice::Update { .. }, _)));
            let counted = update.then(|| (std::mem::take(&mut self.up), std::mem::take(&mut self.down)));
            heard.push(Heard { bytes, counted });
        }
        heard
    }
}
