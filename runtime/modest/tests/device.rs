//! A device and a gateway on a line in memory: what it signs, resets at any time, and the counter that survives them.

use embedded_io::{ErrorType, Read, ReadReady, Write};
use mote_modest::compress::Codec;
use mote_modest::device::{self, Device, FromDevice, HEAD_BYTES, Happened, Keep, ToDevice};
use mote_modest::link::{Config, Event, Link, Polled};
use mote_modest::local::{Local, Recipe, Samples};
use mote_modest::seal::{Sealer, Ticket};
use mote_modest::vouch::{Claim, Proof, hash};
use mote_modest::{Identity, Membership, NodeId, Statement, Trust};
use mote_runtime::random::Random;
use mote_runtime::train::{Conv, Layer, Network, Trainer, Training};
use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::convert::Infallible;

const TASK: u64 = 5;
const SECRET: [u8; 32] = [3; 32];
const ISSUER: [u8; 32] = [9; 32];
const RECIPE: Recipe = Recipe { rate: 0.1, momentum: 0.9, batch: 4, epochs: 2 };
static LAYERS: [Layer; 1] = [Layer::Conv(Conv::dense(8, 3), Training::All)];
const PARAMETERS: usize = 27;
/// How often the device is reset.
const LIVES: u64 = 60;

#[derive(Default)]
struct Wire {
    to_device: VecDeque<u8>,
    to_gateway: VecDeque<u8>,
}

struct Port<'w>(&'w RefCell<Wire>);

impl ErrorType for Port<'_> {
    type Error = Infallible;
}

impl Read for Port<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> Result<usize, Infallible> {
        let byte = self.0.borrow_mut().to_device.pop_front();
        bytes.iter_mut().zip(byte).for_each(|(to, byte)| *to = byte);
        Ok(usize::from(byte.is_some()))
    }
}

impl ReadReady for Port<'_> {
    fn read_ready(&mut self) -> Result<bool, Infallible> {
        Ok(!self.0.borrow().to_device.is_empty())
    }
}

impl Write for Port<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, Infallible> {
        self.0.borrow_mut().to_gateway.extend(bytes);
        Ok(bytes.len())
    }
    fn flush(&mut self) -> Result<(), Infallible> {
        Ok(())
    }
}

struct Kept<'k>(&'k RefCell<u64>);

impl Keep for Kept<'_> {
    type Error = Infallible;
    fn load(&mut self) -> Result<u64, Infallible> {
        Ok(*self.0.borrow())
    }
    fn store(&mut self, number: u64) -> Result<(), Infallible> {
        *self.0.borrow_mut() = number;
        Ok(())
    }
}

/// Points that a plane can tell apart.
struct Points;

impl Samples for Points {
    fn count(&self) -> usize {
        10
    }
    fn sample(&mut self, index: usize, input: &mut [f32]) -> Option<usize> {
        let mut random = Random::new(index as u64);
        input.iter_mut().for_each(|x| *x = random.unit());
        let class = index % 3;
        *input.get_mut(class)? += 2.0;
        Some(class)
    }
}

fn trainer(memory: &mut [f32]) -> Trainer<'_> {
    Trainer::new(Network::new(&LAYERS).unwrap(), &[], memory, true).unwrap()
}

/// What the device should come to.
fn trained(base: &[f32]) -> Vec<f32> {
    let mut memory = vec![0.0; 4096];
    let mut trainer = trainer(&mut memory);
    let mut local = Local::begin(&mut trainer, RECIPE, 10, base.iter().copied()).unwrap();
    let mut input = [0.0; 8];
    while !local.step(&mut trainer, &mut Points, &mut input).unwrap() {}
    trainer.parameters().to_vec()
}

/// The gateway's end: what it sends, one after the other, and what came.
struct Gateway {
    link: Link<200>,
    room: Vec<u8>,
    now: Vec<u8>,
    came: VecDeque<Vec<u8>>,
}

impl Gateway {
    fn new(session: u32) -> Gateway {
        let (now, came) = (Vec::new(), VecDeque::new());
        Gateway { link: Link::new(session, Config::DEFAULT), room: vec![0; 1024], now, came }
    }

    fn say(&mut self, message: &ToDevice, behind: &[u8], now: u64) {
        let mut bytes = [0; HEAD_BYTES];
        let head = postcard::to_slice(message, &mut bytes).unwrap();
        self.now = [head, behind].concat();
        self.link.send(&self.now, now).unwrap();
    }

    fn turn(&mut self, wire: &RefCell<Wire>, now: u64) {
        loop {
            let Some(byte) = wire.borrow_mut().to_gateway.pop_front() else { break };
            if let Some(Event::Received { length }) = self.link.receive(byte, &mut self.room, now) {
                self.came.push_back(self.room[..length].to_vec());
                self.link.release();
            }
        }
        while let Polled::Frame(frame) = self.link.poll(now, &self.now) {
            wire.borrow_mut().to_device.extend(frame);
        }
    }
}

#[test]
fn a_device_signs_in_and_trains_whenever_it_is_reset() {
    let id = Sealer::new(&SECRET, TASK, 0).id();
    let issuer = Sealer::new(&ISSUER, TASK, 0).id();
    let gateway_id = NodeId([77; 32]);
    let ticket = Ticket::issue(&ISSUER, TASK, id, 100);
    let judge = Identity::new(&ISSUER, issuer, ticket);
    let base: Vec<f32> = (0..PARAMETERS).map(|i| (i as f32 - 13.0) / 20.0).collect();
    let bytes: Vec<u8> = base.iter().flat_map(|v| v.to_le_bytes()).collect();
    let wanted = trained(&base);
    let (wire, kept) = (RefCell::new(Wire::default()), RefCell::new(0));
    let mut random = Random::new(1);
    let (mut now, mut round, mut counters, mut resets) = (0, 0, HashSet::new(), 0);
    let mut gateway = Gateway::new(1);
    let mut train = true;
    while resets <= LIVES {
        // A life of the device; the first ones are short.
        let life = if resets < LIVES { random.below(150) } else { 5000 };
        let before = counters.len();
        resets += 1;
        let (mut memory, mut input, mut message) = (vec![0.0; 4096], [0.0; 8], vec![0; 500]);
        let device = Device::<_, 128>::new(
            &SECRET,
            Kept(&kept),
            trainer(&mut memory),
            &mut input,
            &mut message,
            Config::DEFAULT,
        );
        let mut device: Device<'_, _, 128> =
            device.map_err(|_: device::DeviceError<Infallible, _>| ()).unwrap();
        let mut joined = false;
        for _ in 0..life {
            now += 1;
            let happened = device.turn(&mut Port(&wire), &mut Points, now).unwrap();
            if let Some(Happened::Sent { bytes, .. }) = happened {
                assert!(bytes < 96 + PARAMETERS + 2, "{bytes}");
            }
            gateway.turn(&wire, now);
            if let Some(came) = gateway.came.pop_front() {
                match device::parse(&came).unwrap() {
                    (FromDevice::Hello { id: told, parameters, samples }, []) => {
                        assert_eq!((told, parameters, samples), (id, PARAMETERS as u32, 10));
                        gateway.link.abandon();
                        let ticket = Proof::of_ticket(&ticket.signature);
                        let (task, until, gateway_id) = (TASK, 100, gateway_id);
                        let serve = ToDevice::Serve {
                            task,
                            issuer,
                            until,
                            ticket,
                            gateway: gateway_id,
                            statement: 4,
                        };
                        gateway.say(&serve, &[], now);
                        train = true;
                    }
                    (FromDevice::Joined { statement, proof, leave }, []) => {
                        let membership = Membership::Joined;
                        let stated = Statement { id, counter: statement, membership };
                        assert!(judge.holds(&stated, &proof, 1) && statement == 4);
                        assert_eq!((leave.check(TASK), leave.gateway), (Ok(()), gateway_id));
                        joined = true;
                    }
                    (FromDevice::Update { round: of, counter, proof, samples, .. }, update) => {
                        let (base, update_hash) = (hash(&bytes), hash(update));
                        let claim = Claim { task: TASK, round: of, base, update: update_hash, counter };
                        assert_eq!((claim.check(&id, &proof), samples), (Ok(()), 10));
                        assert!(counters.insert(counter), "a counter twice");
                        let mut difference = vec![0.0; PARAMETERS];
                        Codec::Int8.decode(update, 0, &mut difference).unwrap();
                        for ((base, difference), wanted) in bytes_of(&bytes).zip(difference).zip(&wanted) {
                            assert!((base + difference - wanted).abs() < 0.01);
                        }
                        train = true;
                    }
                    other => panic!("{other:?}"),
                }
            }
            if joined && train && !gateway.link.sending() {
                round += 1;
                gateway.say(&ToDevice::Train { round, recipe: RECIPE, codec: 2 }, &bytes, now);
                train = false;
            }
        }
        // A whole life is long enough.
        assert!(resets <= LIVES || counters.len() > before + 50, "{} updates", counters.len() - before);
        if resets == 40 {
            // The gateway comes up again, and asks who is there.
            gateway = Gateway::new(2);
            gateway.say(&ToDevice::Who, &[], now);
        }
    }
    assert!(*kept.borrow() >= 256 * LIVES, "a counter was written back");
}

fn bytes_of(bytes: &[u8]) -> impl Iterator<Item = f32> {
    bytes.chunks(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()))
}

/// What the classic head takes on a device: memory in all, and bytes on the line in a round.
#[test]
fn a_head_of_64_features_and_10_classes_fits_12_kb() {
    static HEAD: [Layer; 1] = [Layer::Conv(Conv::dense(64, 10), Training::All)];
    const PACKET: usize = 160;
    type Head<'m> = Device<'m, Kept<'m>, PACKET>;
    let network = Network::new(&HEAD).unwrap();
    let training = network.memory(true).total();
    let message = Head::message_bytes(network.trained());
    // The host's pointers are wider than a device's: there it is less.
    let memory = training + message + 4 * network.input() + size_of::<Head<'_>>();
    println!(
        "head 64 -> 10: {memory} bytes: training {training}, message {message}, line and state {}",
        size_of::<Head<'_>>()
    );
    assert!(memory < 12 * 1024, "{memory}");
    let parameters = vec![0.25f32; network.trained()];
    let base: Vec<u8> = parameters.iter().flat_map(|v| v.to_le_bytes()).collect();
    for (codec, name) in [(0, "f32"), (1, "f16"), (2, "int8"), (3, "sign")] {
        let (wire, kept) = (RefCell::new(Wire::default()), RefCell::new(0));
        let (mut memory, mut input, mut room) = (vec![0.0; training / 4], [0.0; 64], vec![0; message]);
        let trainer = Trainer::new(network, &[], &mut memory, true).unwrap();
        let device = Device::new(&SECRET, Kept(&kept), trainer, &mut input, &mut room, Config::DEFAULT);
        let mut device: Head<'_> = device.map_err(|_: device::DeviceError<Infallible, _>| ()).unwrap();
        let mut gateway = Gateway::new(1);
        gateway.room.resize(message, 0);
        let id = Sealer::new(&SECRET, TASK, 0).id();
        let ticket = Ticket::issue(&ISSUER, TASK, id, 9);
        let (ticket, issuer) = (Proof::of_ticket(&ticket.signature), Sealer::new(&ISSUER, TASK, 0).id());
        let serve = ToDevice::Serve { task: TASK, issuer, until: 9, ticket, gateway: id, statement: 1 };
        let (mut bytes, mut counting, mut now, mut said) = ([0, 0], false, 0, 0);
        loop {
            now += 1;
            assert!(now < 10_000, "{name}");
            if said < 2 && !gateway.link.sending() && gateway.came.len() == [1, 2][said] {
                counting = said == 1;
                match said {
                    0 => gateway.say(&serve, &[], now),
                    _ => gateway.say(&ToDevice::Train { round: 1, recipe: RECIPE, codec }, &base, now),
                }
                said += 1;
            }
            let happened = device.turn(&mut Port(&wire), &mut Points, now).unwrap();
            let up = wire.borrow().to_gateway.len();
            gateway.turn(&wire, now);
            let down = wire.borrow().to_device.len();
            if counting {
                bytes = [bytes[0] + up, bytes[1] + down];
            }
            if matches!(happened, Some(Happened::Sent { .. })) {
                break;
            }
        }
        println!("head 64 -> 10, update in {name}: {} bytes up and {} down a round", bytes[0], bytes[1]);
        let update = device::codec(codec).unwrap().bytes(network.trained());
        assert!(bytes[0] < update + 96 + 400 && bytes[1] < base.len() + 500, "{bytes:?}");
    }
}
