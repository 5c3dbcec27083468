//! A device as a member: its gateway runs the node, the device holds the key, the data and the training.
//!
//! On the line: the device says [`FromDevice::Hello`]; the gateway shows the task and the device's ticket
//! ([`ToDevice::Serve`]); the device signs that it is a member, and leave for the gateway ([`FromDevice::Joined`]). In each
//! round that it is sampled for it gets parameters ([`ToDevice::Train`], then their bytes), trains them, and answers with a
//! signed difference ([`FromDevice::Update`], then its bytes). [`Device`] is all of the device's side; firmware gives it a
//! port, a clock, data, and a place for a counter.

use crate::compress::Codec;
use crate::link::{self, Config, Event, Link, PumpError};
use crate::local::{Local, Recipe, Samples};
use crate::seal::{Identity, Signed, Ticket};
use crate::view::{Membership, Statement, Trust};
use crate::vouch::{Claim, Delegation, Proof, hash};
use crate::{Error, NodeId};
use ed25519_dalek::SigningKey;
use embedded_io::{Read, ReadReady, Write};
use mote_runtime::train::{TrainError, Trainer};
use serde::{Deserialize, Serialize};

/// What the gateway says, in postcard.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum ToDevice {
    /// Who is there? A gateway that has come up does not know.
    Who,
    /// The device is to be a member by this ticket, through this gateway, and to state it with this counter.
    Serve { task: u64, issuer: NodeId, until: u32, ticket: Proof, gateway: NodeId, statement: u32 },
    /// Train the parameters behind this: f32, little-endian.
    Train { round: u32, recipe: Recipe, codec: u8 },
}

/// What the device says.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub enum FromDevice {
    /// `parameters`: how many it trains.
    Hello { id: NodeId, parameters: u32, samples: u32 },
    /// It is a member: proof of its statement, and leave for the gateway.
    Joined { statement: u32, proof: Signed, leave: Delegation },
    /// The difference that training has made, in the bytes behind this.
    Update { round: u32, counter: u64, proof: Proof, samples: u32, loss: f32 },
}

/// Bytes of a message without what stands behind it, at most.
pub const HEAD_BYTES: usize = 288;
/// The same of [`ToDevice::Train`] and [`FromDevice::Update`], which share their memory with parameters.
pub const MODEL_HEAD_BYTES: usize = 96;

/// How an update's codec is told; `None` for a number that says nothing.
pub const fn codec(number: u8) -> Option<Codec> {
    match number {
        0 => Some(Codec::F32),
        1 => Some(Codec::F16),
        2 => Some(Codec::Int8),
        3 => Some(Codec::Sign),
        _ => None,
    }
}

/// A place that outlives resets, for one number.
pub trait Keep {
    type Error;
    /// The number stored last; 0 if none ever was.
    ///
    /// # Errors
    /// The place cannot be read.
    fn load(&mut self) -> Result<u64, Self::Error>;
    /// # Errors
    /// The place cannot be written.
    fn store(&mut self, number: u64) -> Result<(), Self::Error>;
}

/// A counter that only rises, also across resets. It is written ahead by [`Counter::BLOCK`], so that flash wears little;
/// a reset skips what is left of the block.
#[derive(Debug)]
struct Counter<K> {
    keep: K,
    next: u64,
    kept: u64,
}

impl<K: Keep> Counter<K> {
    const BLOCK: u64 = 256;

    fn new(mut keep: K) -> Result<Counter<K>, K::Error> {
        let kept = keep.load()?;
        Ok(Counter { keep, next: kept, kept })
    }

    fn next(&mut self) -> Result<u64, K::Error> {
        if self.next >= self.kept {
            let kept = self.next.saturating_add(Self::BLOCK);
            self.keep.store(kept)?;
            self.kept = kept;
        }
        self.next += 1;
        Ok(self.next)
    }
}

/// What has happened, for a log.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Happened {
    /// Signed in for this task.
    Joined {
        task: u64,
    },
    Began {
        round: u32,
    },
    /// Training was given up for something newer.
    Stopped {
        round: u32,
    },
    Trained {
        round: u32,
        loss: f32,
    },
    /// The update is with the gateway; `bytes` of the message.
    Sent {
        round: u32,
        bytes: usize,
    },
}

/// Why a device cannot go on.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum DeviceError<P, K> {
    Port(P),
    Keep(K),
    Train(TrainError),
    /// Memory for messages is too small: needed.
    Room(usize),
}

#[derive(Debug)]
enum Duty {
    Idle,
    Training {
        local: Local,
        round: u32,
        codec: Codec,
        head: usize,
    },
    /// The update lies in the memory for messages.
    Ready {
        round: u32,
        length: usize,
    },
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sending {
    Nothing,
    Words,
    Update,
}

/// A device's side of its membership. `N`: bytes of a packet on the line.
pub struct Device<'m, K, const N: usize> {
    secret: &'m [u8; 32],
    counter: Counter<K>,
    link: Link<N>,
    trainer: Trainer<'m>,
    input: &'m mut [f32],
    /// A message that has come, and later in its place the update.
    message: &'m mut [u8],
    words: [u8; HEAD_BYTES],
    words_length: usize,
    sending: Sending,
    duty: Duty,
    hello: bool,
    /// What [`ToDevice::Serve`] asked for, until it is answered.
    serve: Option<ToDevice>,
    task: Option<u64>,
}

impl<'m, K: Keep, const N: usize> Device<'m, K, N> {
    /// Bytes of [`Device::new`]'s `message` for so many parameters.
    pub const fn message_bytes(parameters: usize) -> usize {
        MODEL_HEAD_BYTES + 4 * parameters
    }

    /// `input`: memory for a sample. The line's session is a number of the counter's, so no two lives share one.
    ///
    /// # Errors
    /// [`DeviceError::Room`], [`DeviceError::Keep`].
    pub fn new<P>(
        secret: &'m [u8; 32],
        keep: K,
        trainer: Trainer<'m>,
        input: &'m mut [f32],
        message: &'m mut [u8],
        config: Config,
    ) -> Result<Device<'m, K, N>, DeviceError<P, K::Error>> {
        let needed = Self::message_bytes(trainer.parameters().len());
        if message.len() < needed.max(HEAD_BYTES) {
            return Err(DeviceError::Room(needed));
        }
        let mut counter = Counter::new(keep).map_err(DeviceError::Keep)?;
        let session = counter.next().map_err(DeviceError::Keep)? as u32;
        Ok(Device {
            secret,
            counter,
            link: Link::new(session, config),
            trainer,
            input,
            message,
            words: [0; HEAD_BYTES],
            words_length: 0,
            sending: Sending::Nothing,
            duty: Duty::Idle,
            hello: true,
            serve: None,
            task: None,
        })
    }

    /// One turn: what is due on the line, and a sample of training if any is under way. To be called for ever, with a
    /// clock in milliseconds.
    ///
    /// # Errors
    /// [`DeviceError`]: the device cannot go on.
    pub fn turn<P: Read + ReadReady + Write>(
        &mut self,
        port: &mut P,
        samples: &mut impl Samples,
        now: u64,
    ) -> Result<Option<Happened>, DeviceError<P::Error, K::Error>> {
        let happened = match self.pump(port, now)? {
            Some(Event::Received { length }) => self.received(length, samples.count()),
            Some(Event::Sent | Event::Refused { .. }) => self.sent(),
            None => None,
        };
        if happened.is_some() {
            return Ok(happened);
        }
        self.answer(samples.count(), now)?;
        let Duty::Training { local, round, .. } = &mut self.duty else { return Ok(None) };
        let round = *round;
        if self.link.waiting() {
            self.rest();
            return Ok(Some(Happened::Stopped { round }));
        }
        match local.step(&mut self.trainer, samples, self.input) {
            Ok(false) => Ok(None),
            Ok(true) => self.trained(samples.count(), now),
            Err(error) => {
                self.rest();
                Err(DeviceError::Train(error))
            }
        }
    }

    fn pump<P: Read + ReadReady + Write>(
        &mut self,
        port: &mut P,
        now: u64,
    ) -> Result<Option<Event>, DeviceError<P::Error, K::Error>> {
        let (mut none, length) = ([], self.words_length);
        let (room, message): (&mut [u8], &[u8]) = match (self.sending, &self.duty) {
            // What is held cannot be written over, so nothing needs room.
            (Sending::Update, Duty::Ready { length, .. }) => {
                (&mut none, self.message.get(..*length).unwrap_or_default())
            }
            _ => (&mut *self.message, self.words.get(..length).unwrap_or_default()),
        };
        match link::pump(&mut self.link, port, room, message, now) {
            Ok(event) => Ok(event),
            Err(PumpError::Port(error)) => Err(DeviceError::Port(error)),
            // It will be said again when the gateway asks.
            Err(PumpError::Lost) => {
                self.sending = Sending::Nothing;
                Ok(None)
            }
        }
    }

    fn received(&mut self, length: usize, count: usize) -> Option<Happened> {
        let whole = self.message.get(..length)?;
        let Ok((message, parameters)) = postcard::take_from_bytes::<ToDevice>(whole) else {
            self.link.release();
            return None;
        };
        if let ToDevice::Train { round, recipe, codec: number } = message
            && let Some(codec) = codec(number)
        {
            let head = whole.len() - parameters.len();
            let (numbers, _) = parameters.as_chunks();
            let base = numbers.iter().map(|bytes| f32::from_le_bytes(*bytes));
            let sound = base.clone().all(f32::is_finite) && parameters.len() == 4 * base.len();
            if sound && let Ok(local) = Local::begin(&mut self.trainer, recipe, count, base) {
                self.duty = Duty::Training { local, round, codec, head };
                return Some(Happened::Began { round });
            }
        }
        match message {
            ToDevice::Who => self.hello = true,
            ToDevice::Serve { .. } => self.serve = Some(message),
            ToDevice::Train { .. } => {}
        }
        self.rest();
        None
    }

    fn sent(&mut self) -> Option<Happened> {
        let was = core::mem::replace(&mut self.sending, Sending::Nothing);
        let Duty::Ready { round, length } = self.duty else { return None };
        if was != Sending::Update {
            return None;
        }
        self.rest();
        Some(Happened::Sent { round, bytes: length })
    }

    /// Nothing is being trained, and the next message may come.
    fn rest(&mut self) {
        self.duty = Duty::Idle;
        self.link.release();
    }

    /// Says what is to be said, if nothing else is on its way.
    fn answer<P>(&mut self, samples: usize, now: u64) -> Result<(), DeviceError<P, K::Error>> {
        if self.link.sending() {
            return Ok(());
        }
        if let Duty::Ready { length, .. } = self.duty {
            let message = self.message.get(..length).unwrap_or_default();
            if self.link.send(message, now).is_ok() {
                self.sending = Sending::Update;
            }
            return Ok(());
        }
        let words = if core::mem::take(&mut self.hello) {
            let id = NodeId(SigningKey::from_bytes(self.secret).verifying_key().to_bytes());
            let parameters = self.trainer.parameters().len() as u32;
            FromDevice::Hello { id, parameters, samples: samples as u32 }
        } else if let Some(serve) = self.serve.take() {
            match self.joined(serve)? {
                Some(words) => words,
                None => return Ok(()),
            }
        } else {
            return Ok(());
        };
        let Ok(used) = postcard::to_slice(&words, &mut self.words) else { return Ok(()) };
        self.words_length = used.len();
        if self.link.send(used, now).is_ok() {
            self.sending = Sending::Words;
        }
        Ok(())
    }

    fn joined<P>(&mut self, serve: ToDevice) -> Result<Option<FromDevice>, DeviceError<P, K::Error>> {
        let ToDevice::Serve { task, issuer, until, ticket, gateway, statement } = serve else {
            return Ok(None);
        };
        let counter = self.counter.next().map_err(DeviceError::Keep)?;
        let leave = Delegation::sign(self.secret, task, gateway, counter);
        let id = leave.member;
        let ticket = Ticket { task, member: id, until, signature: ticket.bytes() };
        let identity = Identity::new(self.secret, issuer, ticket);
        let proof = identity.prove(&Statement { id, counter: statement, membership: Membership::Joined });
        self.task = Some(task);
        Ok(Some(FromDevice::Joined { statement, proof, leave }))
    }

    /// Makes the message of the update, in the place of the parameters that training began with.
    fn trained<P>(&mut self, samples: usize, now: u64) -> Result<Option<Happened>, DeviceError<P, K::Error>> {
        let Duty::Training { local, round, codec, head } = &self.duty else { return Ok(None) };
        let (loss, round, codec, head) = (local.loss(), *round, *codec, *head);
        let values = self.trainer.parameters_mut();
        let end = head + 4 * values.len();
        let bytes = self.message.get(head..end).unwrap_or_default();
        let base = hash(bytes);
        let (numbers, _) = bytes.as_chunks();
        for (value, base) in values.iter_mut().zip(numbers) {
            *value -= f32::from_le_bytes(*base);
        }
        let needed = MODEL_HEAD_BYTES + codec.bytes(values.len());
        let Some(out) = self.message.get_mut(MODEL_HEAD_BYTES..needed) else {
            return Err(DeviceError::Room(needed));
        };
        let Some(task) = self.task.filter(|_| crate::aggregate::finite(values).is_ok()) else {
            self.rest();
            return Ok(None);
        };
        let used = codec.encode(values, 0, &mut [], out).map_err(|_| DeviceError::Room(needed))?;
        let update = hash(out.get(..used).unwrap_or_default());
        let counter = self.counter.next().map_err(DeviceError::Keep)?;
        let proof = Claim { task, round, base, update, counter }.sign(self.secret);
        let words = FromDevice::Update { round, counter, proof, samples: samples as u32, loss };
        let mut head = [0; MODEL_HEAD_BYTES];
        let Ok(words) = postcard::to_slice(&words, &mut head) else { return Ok(None) };
        // The head is of no fixed length; the update stands right behind it.
        let length = words.len() + used;
        let from = MODEL_HEAD_BYTES.checked_sub(words.len()).ok_or(DeviceError::Room(needed))?;
        if let Some(to) = self.message.get_mut(from..MODEL_HEAD_BYTES) {
            to.copy_from_slice(words);
        }
        for at in 0..length {
            if let Some(byte) = self.message.get(from + at).copied()
                && let Some(to) = self.message.get_mut(at)
            {
                *to = byte;
            }
        }
        self.duty = Duty::Ready { round, length };
        self.answer(samples, now)?;
        Ok(Some(Happened::Trained { round, loss }))
    }
}

/// Reads a message of the device, and what stands behind it.
///
/// # Errors
/// [`Error::Malformed`].
pub fn parse(message: &[u8]) -> Result<(FromDevice, &[u8]), Error> {
    postcard::take_from_bytes(message).map_err(|_| Error::Malformed)
}
