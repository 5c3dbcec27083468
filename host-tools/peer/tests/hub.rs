//! Whole networks in memory: six peers come to the parameters of a plain computation, crashes and devices among them.

use mote_modest::NodeId;
use mote_modest::device::{FromDevice, ToDevice};
use mote_modest::local::Recipe;
use mote_modest::seal::Ticket;
use mote_modest::vouch::{Claim, Delegation, hash};
use mote_modest::{Identity, Membership, Statement, Trust};
use mote_peer::data::Data;
use mote_peer::hub::{Hub, Output};
use mote_peer::mean::{Update, combine};
use mote_peer::state::{Checkpoint, hex, id_of};
use mote_peer::task::{Invite, Task};
use mote_runtime::random::Random;
use std::collections::BTreeMap;
use std::sync::atomic::AtomicU32;

const ISSUER: [u8; 32] = [99; 32];
const DEVICE: [u8; 32] = [50; 32];

fn task(sample: u8, aggregators: u8, enough_permille: u16) -> Task {
    Task {
        seed: 1,
        widths: vec![16, 4],
        recipe: Recipe { rate: 0.05, momentum: 0.9, batch: 4, epochs: 1 },
        codec: 0,
        clip: 1000.0,
        trim: 0,
        sample,
        aggregators,
        enough_permille,
        forget: 20,
        fastest: 1,
        ping_timeout: 100,
        send_timeout: 300,
        watch: 300,
        gather: 500,
        issuer: id_of(&ISSUER),
    }
}

fn secret(n: u8) -> [u8; 32] {
    [n + 1; 32]
}

/// Clouds around class centres; each member's own.
fn data(task: &Task, n: u8) -> Data {
    let mut random = Random::new(n.into());
    let classes: Vec<usize> = (0..20).map(|_| random.below(4) as usize).collect();
    let inputs = classes.iter().flat_map(|class| {
        let class = *class;
        (0..16).map(|i| f32::from(u8::from(i % 4 == class)) + random.unit() - 0.5).collect::<Vec<_>>()
    });
    Data::new(task, inputs.collect(), classes.clone()).unwrap()
}

/// A device behind a port, as its gateway sees it.
struct Device {
    gateway: usize,
    counter: u64,
    rounds: u32,
}

struct World {
    task: Task,
    invites: Vec<Invite>,
    device: Option<(Device, Invite)>,
    hubs: Vec<Option<Hub>>,
    kept: Vec<Checkpoint>,
    /// Frames, by when they come.
    underway: Vec<(u64, NodeId, NodeId, Vec<u8>)>,
    trainings: Vec<(u64, usize, u32, Vec<f32>)>,
    now: u64,
    random: Random,
    /// Hashes of the parameters that rounds began with.
    begun: BTreeMap<u32, Vec<String>>,
    refused: Vec<String>,
}

impl World {
    fn new(task: Task, peers: u8) -> World {
        let ids: Vec<NodeId> = (0..peers).map(|n| id_of(&secret(n))).collect();
        let places: Vec<_> = ids.iter().map(|id| (*id, "127.0.0.1:1".parse().unwrap())).collect();
        let invite = |id: &NodeId| Invite::issue(&ISSUER, &task, *id, 1 << 20, &ids, &places);
        let invites: Vec<Invite> = ids.iter().map(invite).collect();
        let mut world = World {
            task: task.clone(),
            device: None,
            hubs: Vec::new(),
            kept: vec![Checkpoint::default(); invites.len()],
            invites,
            underway: Vec::new(),
            trainings: Vec::new(),
            now: 0,
            random: Random::new(3),
            begun: BTreeMap::new(),
            refused: Vec::new(),
        };
        (0..peers.into()).for_each(|n| world.hubs.push(Some(world.hub(n, None))));
        world
    }

    fn hub(&self, n: usize, checkpoint: Option<Checkpoint>) -> Hub {
        let tickets: Vec<Invite> = self.device.iter().map(|(_, invite)| invite.clone()).collect();
        Hub::new(secret(n as u8), self.invites[n].clone(), &tickets, checkpoint)
    }

    fn crash(&mut self, n: usize) {
        self.hubs[n] = None;
        self.trainings.retain(|(_, of, ..)| *of != n);
    }

    fn restart(&mut self, n: usize) {
        self.hubs[n] = Some(self.hub(n, Some(self.kept[n].clone())));
        if let Some((device, _)) = &self.device
            && device.gateway == n
        {
            self.hello();
        }
    }

    /// A device is plugged into a peer.
    fn plug(&mut self, gateway: usize) {
        let invite = Invite::issue(&ISSUER, &self.task, id_of(&DEVICE), 1 << 20, &[], &[]);
        self.device = Some((Device { gateway, counter: 0, rounds: 0 }, invite));
        let kept = self.hubs[gateway].as_ref().unwrap().checkpoint();
        self.hubs[gateway] = Some(self.hub(gateway, Some(kept)));
        self.hello();
    }

    fn hello(&mut self) {
        let Some((Device { gateway, .. }, _)) = self.device else { return };
        let parameters = self.task.parameters() as u32;
        let hello = FromDevice::Hello { id: id_of(&DEVICE), parameters, samples: 20 };
        let now = self.now;
        if let Some(hub) = &mut self.hubs[gateway] {
            hub.device(0, &postcard::to_allocvec(&hello).unwrap(), now);
        }
    }

    fn at_device(&mut self, n: usize, message: &ToDevice, behind: &[u8]) {
        let (answer, update) = match *message {
            ToDevice::Who => return self.hello(),
            ToDevice::Serve { task, issuer, until, ticket, gateway, statement } => {
                let Some((device, _)) = &mut self.device else { return };
                device.counter += 1;
                let leave = Delegation::sign(&DEVICE, task, gateway, device.counter);
                let (id, signature) = (leave.member, ticket.bytes());
                let identity = Identity::new(&DEVICE, issuer, Ticket { task, member: id, until, signature });
                let membership = Membership::Joined;
                let proof = identity.prove(&Statement { id, counter: statement, membership });
                (FromDevice::Joined { statement, proof, leave }, Vec::new())
            }
            ToDevice::Train { round, .. } => {
                let base: Vec<f32> = behind.as_chunks().0.iter().map(|b| f32::from_le_bytes(*b)).collect();
                let trained = data(&self.task, 50).train(&self.task, round, &base, &AtomicU32::new(round));
                let (parameters, loss) = trained.unwrap().unwrap();
                let update: Vec<u8> =
                    parameters.iter().zip(&base).flat_map(|(new, old)| (new - old).to_le_bytes()).collect();
                let Some((device, _)) = &mut self.device else { return };
                device.counter += 1;
                device.rounds += 1;
                let (task, counter) = (self.task.id(), device.counter);
                let claim = Claim { task, round, base: hash(behind), update: hash(&update), counter };
                let proof = claim.sign(&DEVICE);
                (FromDevice::Update { round, counter, proof, samples: 20, loss }, update)
            }
        };
        let bytes = [postcard::to_allocvec(&answer).unwrap(), update].concat();
        let now = self.now;
        if let Some(hub) = &mut self.hubs[n] {
            hub.device(0, &bytes, now);
        }
    }

    fn step(&mut self) {
        self.now += 1;
        let now = self.now;
        let (come, rest): (Vec<_>, _) =
            std::mem::take(&mut self.underway).into_iter().partition(|(at, ..)| *at <= now);
        self.underway = rest;
        for (_, from, to, bytes) in come {
            if let Some(hub) = self.hubs.iter_mut().flatten().find(|hub| hub.id() == to) {
                hub.receive(from, &bytes, now);
            }
        }
        let (ended, rest): (Vec<_>, _) =
            std::mem::take(&mut self.trainings).into_iter().partition(|(at, ..)| *at <= now);
        self.trainings = rest;
        for (_, n, round, base) in ended {
            let trained = data(&self.task, n as u8).train(&self.task, round, &base, &AtomicU32::new(round));
            let (parameters, loss) = trained.unwrap().unwrap();
            if let Some(hub) = &mut self.hubs[n] {
                hub.trained(round, &parameters, loss, now);
            }
        }
        for n in 0..self.hubs.len() {
            let Some(hub) = &mut self.hubs[n] else { continue };
            if hub.deadline().is_some_and(|at| at <= now) {
                hub.tick(now);
            }
            while let Some(hub) = &mut self.hubs[n] {
                let outputs = hub.outputs();
                if outputs.is_empty() {
                    break;
                }
                outputs.into_iter().for_each(|output| self.output(n, output));
            }
        }
    }

    fn output(&mut self, n: usize, output: Output) {
        match output {
            Output::Send { to, bytes } => {
                let at = self.now + 1 + u64::from(self.random.below(8));
                self.underway.push((at, id_of(&secret(n as u8)), to, bytes));
            }
            Output::Train { round, base } => {
                self.trainings.retain(|(_, of, ..)| *of != n);
                let at = self.now + 3 + u64::from(self.random.below(10));
                self.trainings.push((at, n, round, base.to_vec()));
            }
            Output::Device { message, behind, .. } => self.at_device(n, &message, &behind),
            Output::Tell(value) if value["event"] == "train" => {
                let base = value["base"].as_str().unwrap().to_owned();
                self.begun.entry(value["round"].as_u64().unwrap() as u32).or_default().push(base);
            }
            Output::Tell(value) if value["event"] == "refused" => self.refused.push(value.to_string()),
            Output::Tell(_) => {}
            Output::Keep => self.kept[n] = self.hubs[n].as_ref().unwrap().checkpoint(),
        }
    }

    fn round(&self) -> u32 {
        self.hubs.iter().flatten().map(|hub| hub.newest().0).max().unwrap()
    }

    fn until(&mut self, round: u32) {
        let limit = self.now + 200_000;
        while self.round() < round {
            self.step();
            assert!(self.now < limit, "stuck at round {}: {:?}", self.round(), self.refused.last());
        }
    }

    fn accuracy(&self) -> f32 {
        let hub = self.hubs.iter().flatten().max_by_key(|hub| hub.newest().0).unwrap();
        data(&self.task, 200).accuracy(&self.task, &hub.newest().1)
    }
}

/// With everybody in every round, the network is a computation that one loop can do, bit for bit.
#[test]
fn six_peers_come_to_the_parameters_of_one_loop() {
    let task = task(6, 1, 1000);
    let mut world = World::new(task.clone(), 6);
    world.until(24);
    let mut parameters = task.initial();
    for round in 1..=20 {
        let bytes: Vec<u8> = parameters.iter().flat_map(|v| v.to_le_bytes()).collect();
        let base = hash(&bytes);
        assert_eq!(world.begun[&round], vec![hex(&NodeId(base)); 6], "round {round}");
        let updates = (0..6).map(|n| {
            let trained = data(&task, n).train(&task, round, &parameters, &AtomicU32::new(round));
            let new = trained.unwrap().unwrap().0;
            let difference = new.iter().zip(&parameters).map(|(new, old)| new - old).collect();
            Update { from: id_of(&secret(n)), base, difference }
        });
        parameters = combine(&parameters, &base, updates.collect(), task.clip, 0).to_vec();
    }
    assert!(world.accuracy() > 0.9, "{}", world.accuracy());
    assert_eq!(world.refused, Vec::<String>::new());
}

/// A device, a peer that makes means, and the gateway go one after the other; training goes on.
#[test]
fn training_goes_on_when_peers_and_the_gateway_are_killed() {
    let mut world = World::new(task(3, 2, 600), 5);
    world.until(5);
    world.plug(4);
    let joined = world.now;
    while world.device.as_ref().is_some_and(|(device, _)| device.rounds < 5) {
        world.step();
        assert!(world.now < joined + 100_000, "the device was never sampled: {:?}", world.refused);
    }
    // The device is reset: what it was doing is lost, and asked for again.
    world.hello();
    for victim in [1, 4, 0, 4] {
        let before = world.round();
        world.crash(victim);
        world.until(before + 15);
        world.restart(victim);
        world.until(before + 30);
    }
    let rounds = world.device.as_ref().map_or(0, |(device, _)| device.rounds);
    let before = world.now;
    while world.device.as_ref().is_some_and(|(device, _)| device.rounds < rounds + 5) {
        world.step();
        assert!(world.now < before + 100_000, "the device is out for good: {:?}", world.refused);
    }
    assert!(world.accuracy() > 0.9, "{}", world.accuracy());
}

/// All peers are killed at once: the last one that comes back finds the others waiting, and the training goes on from what
/// was kept, not from the beginning. A peer that is alone takes up nothing.
#[test]
fn training_goes_on_when_all_peers_were_down() {
    for back in [vec![0, 1, 2, 3, 4], vec![2, 4]] {
        let mut world = World::new(task(3, 2, 600), 5);
        world.until(20);
        let (before, accuracy) = (world.round(), world.accuracy());
        (0..5).for_each(|n| world.crash(n));
        // What was on its way is lost.
        (0..100).for_each(|_| world.step());
        world.restart(back[0]);
        (0..10_000).for_each(|_| world.step());
        assert_eq!(world.begun.range(before + 1..).count(), 0, "alone");
        back[1..].iter().for_each(|n| world.restart(*n));
        world.until(before + 1);
        assert!(accuracy > 0.9 && world.accuracy() > 0.9, "{accuracy} {}", world.accuracy());
        world.until(before + 20);
    }
}

/// Frames in the name of others, replays, forged and damaged updates.
#[test]
fn attackers_are_refused() {
    use mote_modest::{Kind, Mark, Message};
    use mote_peer::wire::{Payload, Wire};
    let task = task(6, 1, 1000);
    let mut world = World::new(task.clone(), 6);
    world.until(4);
    let (victim, liar) = (world.hubs[0].as_ref().unwrap().id(), id_of(&secret(1)));
    let round = world.round() + 1;
    let base = hash(&[0]);
    let send = |world: &mut World, endpoint: NodeId, from: NodeId, payload: Payload<'_>, kind: Kind| {
        let before = world.refused.len();
        let since = Mark::ALL;
        let model = Message::Model { round, kind, since, through: since, digest: 0, changes: &[] };
        let mut message = [0; 128];
        let used = model.write(&mut message).unwrap();
        let wire = Wire::Node { from, to: victim, message: &message[..used], payload };
        let now = world.now;
        world.hubs[0].as_mut().unwrap().receive(endpoint, &postcard::to_allocvec(&wire).unwrap(), now);
        for output in world.hubs[0].as_mut().unwrap().outputs() {
            world.output(0, output);
        }
        world.refused[before..].join(" ")
    };
    let sound = vec![0; 4 * task.parameters()];
    let signed = |bytes: &[u8], secret: &[u8; 32], counter: u64| {
        let claim = Claim { task: task.id(), round: round - 1, base, update: hash(bytes), counter };
        claim.sign(secret)
    };
    let big = 1 << 40;
    let told = send(&mut world, liar, id_of(&secret(2)), Payload::Mean(&sound), Kind::Aggregated);
    assert!(told.contains("another's"), "{told}");
    let mut infinite = sound.clone();
    infinite[..4].copy_from_slice(&f32::INFINITY.to_le_bytes());
    for bad in [&infinite[..], &sound[..8], &[]] {
        let told = send(&mut world, liar, liar, Payload::Mean(bad), Kind::Aggregated);
        assert!(told.contains("a mean of"), "{told}");
    }
    let proof = signed(&sound, &secret(2), big);
    let told = send(
        &mut world,
        liar,
        liar,
        Payload::Update { base, counter: big, proof, bytes: &sound },
        Kind::Trained,
    );
    assert!(told.contains("did not sign"), "{told}");
    for bad in [&infinite[..], &sound[..8]] {
        let proof = signed(bad, &secret(1), big);
        let told = send(
            &mut world,
            liar,
            liar,
            Payload::Update { base, counter: big, proof, bytes: bad },
            Kind::Trained,
        );
        assert!(told.contains("cannot be read"), "{told}");
    }
    let long = vec![0; sound.len() + 1];
    let proof = signed(&long, &secret(1), big);
    let told = send(
        &mut world,
        liar,
        liar,
        Payload::Update { base, counter: big, proof, bytes: &long },
        Kind::Trained,
    );
    assert!(told.contains("too long"), "{told}");
    let proof = signed(&sound, &secret(1), big);
    let payload = || Payload::Update { base, counter: big, proof, bytes: &sound };
    assert_eq!(send(&mut world, liar, liar, payload(), Kind::Trained), "", "a sound one is no attack");
    assert_eq!(send(&mut world, liar, liar, payload(), Kind::Trained), "", "nor is sending it again");
    let old = signed(&sound, &secret(1), big - 1);
    let told = send(
        &mut world,
        liar,
        liar,
        Payload::Update { base, counter: big - 1, proof: old, bytes: &sound },
        Kind::Trained,
    );
    assert!(told.contains("old counter"), "{told}");
    let told = send(&mut world, liar, liar, Payload::Mean(&sound), Kind::Trained);
    assert!(told.contains("do not belong"), "{told}");
    // A stranger is not heard at all; made-up bytes do nothing.
    let stranger = id_of(&[77; 32]);
    assert_eq!(send(&mut world, stranger, stranger, Payload::Mean(&sound), Kind::Aggregated), "");
    let mut random = Random::new(1);
    for _ in 0..20_000 {
        let bytes: Vec<u8> = (0..random.below(80)).map(|_| random.bits() as u8 % 40).collect();
        let now = world.now;
        world.hubs[0].as_mut().unwrap().receive(liar, &bytes, now);
    }
    world.hubs[0].as_mut().unwrap().outputs();
    let before = world.round();
    world.until(before + 5);
}
