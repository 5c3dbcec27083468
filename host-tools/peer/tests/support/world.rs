//! A network whose members are killed in turn: five peers, the last of which is the gateway of some devices. How peers and
//! devices live is a matter of [`Peers`] and [`Devices`].

use mote_modest::NodeId;
use mote_modest::local::Recipe;
use mote_modest::vouch::hash;
use mote_peer::data::Data;
use mote_peer::state::{Checkpoint, hex, id_of};
use mote_peer::task::{Invite, Task};
use serde_json::Value;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

const ISSUER: [u8; 32] = [99; 32];
/// The last one is the gateway.
pub const PEERS: usize = 5;
pub const GATEWAY: usize = PEERS - 1;
/// How long anything may take; emulated boards on a busy machine are slow.
const PATIENCE: Duration = Duration::from_secs(300);

pub fn task() -> Task {
    Task {
        seed: 1,
        widths: vec![64, 10],
        recipe: Recipe { rate: 0.05, momentum: 0.9, batch: 4, epochs: 1 },
        codec: 2,
        clip: 1000.0,
        trim: 0,
        sample: 4,
        aggregators: 2,
        // All of them: a board is slower than a peer, and the first ones would do without it.
        enough_permille: 1000,
        forget: 20,
        fastest: 1,
        ping_timeout: 500,
        send_timeout: 2000,
        watch: 3000,
        gather: 3000,
        issuer: id_of(&ISSUER),
    }
}

pub fn secret(n: usize) -> [u8; 32] {
    [n as u8 + 1; 32]
}

pub fn device_secret(n: usize) -> [u8; 32] {
    [n as u8 + 50; 32]
}

/// What a member of the network told, and which it is.
pub type Told = (usize, Value);

/// What a peer is to be.
#[derive(Clone)]
pub struct Plan {
    pub invite: Invite,
    pub address: SocketAddr,
    pub data: PathBuf,
    /// Of devices.
    pub tickets: Vec<Invite>,
    pub lines: Vec<SocketAddr>,
}

pub trait Peers {
    fn start(&mut self, n: usize, plan: &Plan, told: &Sender<Told>);
    /// Ends it at once: nothing is said or written any more.
    fn kill(&mut self, n: usize);
    /// What it has kept.
    fn checkpoint(&self, n: usize) -> Checkpoint;
}

pub trait Devices {
    fn count(&self) -> usize;
    fn start(&mut self, n: usize);
    fn kill(&mut self, n: usize);
    /// Where its gateway reaches it.
    fn line(&self, n: usize) -> SocketAddr;
    /// The counter that it has kept.
    fn counter(&self, n: usize) -> u64;
}

pub struct World<P, D> {
    plans: Vec<Plan>,
    peers: P,
    devices: D,
    told: Receiver<Told>,
    tell: Sender<Told>,
    round: u64,
    /// Trainings by member, and means in which its update is.
    trained: BTreeMap<String, usize>,
    averaged: BTreeMap<String, usize>,
    /// Who made a mean last.
    aggregator: Option<usize>,
    refused: Vec<String>,
    /// Hash of the parameters with which the first training since it was emptied began.
    base: String,
}

/// A free place, asked for and given back.
pub fn place() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl<P: Peers, D: Devices> World<P, D> {
    /// `folder` holds the peers' data; the first `founders` peers and the gateway begin, the others join.
    pub fn new(folder: &Path, founders: usize, peers: P, devices: D) -> World<P, D> {
        let ids: Vec<NodeId> = (0..PEERS).map(|n| id_of(&secret(n))).collect();
        let begin = |n: usize| n < founders || n == GATEWAY;
        let founders: Vec<NodeId> = (0..PEERS).filter(|n| begin(*n)).map(|n| ids[n]).collect();
        let places: Vec<(NodeId, SocketAddr)> = ids.iter().map(|id| (*id, place())).collect();
        let invite = |id: &NodeId| Invite::issue(&ISSUER, &task(), *id, u32::MAX, &founders, &places);
        let device = |n: usize| Invite::issue(&ISSUER, &task(), id_of(&device_secret(n)), u32::MAX, &[], &[]);
        let plan = |(n, (id, address)): (usize, &(NodeId, SocketAddr))| {
            let behind = if n == GATEWAY { devices.count() } else { 0 };
            Plan {
                invite: invite(id),
                address: *address,
                data: folder.join(format!("peer-{n}")),
                tickets: (0..behind).map(device).collect(),
                lines: (0..behind).map(|n| devices.line(n)).collect(),
            }
        };
        let plans = places.iter().enumerate().map(plan).collect();
        let (tell, told) = channel();
        let (trained, averaged, refused) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        World {
            plans,
            peers,
            devices,
            told,
            tell,
            round: 0,
            trained,
            averaged,
            aggregator: None,
            refused,
            base: String::new(),
        }
    }

    fn start(&mut self, n: usize) {
        self.peers.start(n, &self.plans[n], &self.tell);
    }

    fn checkpoints(&self) -> Vec<Checkpoint> {
        (0..PEERS).map(|n| self.peers.checkpoint(n)).collect()
    }

    /// Follows what is told until something holds.
    fn until(&mut self, what: &str, holds: impl Fn(&World<P, D>) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !holds(self) {
            assert!(
                Instant::now() < end,
                "{what}: not within {PATIENCE:?}; round {}, trained {:?}, refused {:?}",
                self.round,
                self.trained,
                self.refused.last()
            );
            let Ok((n, value)) = self.told.recv_timeout(Duration::from_millis(100)) else { continue };
            let member = || value["member"].as_str().unwrap_or_default().to_owned();
            match value["event"].as_str().unwrap_or_default() {
                "train" => {
                    self.round = self.round.max(value["round"].as_u64().unwrap());
                    if self.base.is_empty() {
                        self.base = value["base"].as_str().unwrap().to_owned();
                    }
                }
                "trained" => *self.trained.entry(member()).or_default() += 1,
                "mean" => {
                    self.aggregator = Some(n);
                    for of in value["of"].as_array().unwrap() {
                        *self.averaged.entry(of.as_str().unwrap().to_owned()).or_default() += 1;
                    }
                }
                "refused" => self.refused.push(value.to_string()),
                _ => {}
            }
        }
        println!("round {}: {what}", self.round);
    }

    fn rounds(&mut self, what: &str, count: u64) {
        let goal = self.round + count;
        self.until(what, |world| world.round >= goal);
    }

    /// So many further trainings of each device, in means.
    fn updates(&mut self, what: &str, which: &[usize], count: usize) {
        let ids: Vec<String> = which.iter().map(|n| hex(&id_of(&device_secret(*n)))).collect();
        let of = |world: &World<P, D>, id: &String| world.averaged.get(id).copied().unwrap_or(0);
        let goals: Vec<usize> = ids.iter().map(|id| of(self, id) + count).collect();
        self.until(what, |world| ids.iter().zip(&goals).all(|(id, goal)| of(world, id) >= *goal));
    }

    /// Kills a device, whoever made a mean last, and the gateway, one after the other: training goes on, and whoever comes
    /// back takes part again.
    pub fn trouble(&mut self) {
        let all: Vec<usize> = (0..self.devices.count()).collect();
        assert!(all.len() >= 2);
        (0..PEERS).for_each(|n| self.start(n));
        all.iter().for_each(|n| self.devices.start(*n));
        self.updates("updates of all devices are in means", &all, 3);

        self.devices.kill(0);
        let counter = self.devices.counter(0);
        assert!(counter > 0);
        self.rounds("a device was killed, rounds go on", 6);
        self.devices.start(0);
        self.updates("it is back", &[0], 2);
        assert!(self.devices.counter(0) > counter, "its counter rises across the reset");

        // Of the peers that are no gateway.
        let before = self.round;
        self.until("a peer makes a mean", |world| {
            world.round > before && world.aggregator.is_some_and(|n| n != GATEWAY)
        });
        let aggregator = self.aggregator.unwrap();
        self.peers.kill(aggregator);
        self.rounds("the aggregator was killed, rounds go on", 6);
        let trained = self.trainings(aggregator);
        self.start(aggregator);
        self.until("it is back", |world| world.trainings(aggregator) > trained);

        self.peers.kill(GATEWAY);
        self.rounds("the gateway was killed, rounds go on", 6);
        self.start(GATEWAY);
        self.updates("it is back, with its devices", &all, 2);
    }

    /// Kills all peers at once; they go on from what they have kept.
    pub fn outage(&mut self) {
        (0..PEERS).for_each(|n| self.peers.kill(n));
        while self.told.try_recv().is_ok() {}
        let kept = self.checkpoints();
        let hashes: Vec<String> = kept.iter().map(|kept| hash_of(&kept.parameters)).collect();
        self.round = kept.iter().map(|kept| kept.round.into()).max().unwrap();
        self.base.clear();
        (0..PEERS).for_each(|n| self.start(n));
        self.rounds("all peers were down, rounds go on", 1);
        assert!(hashes.contains(&self.base), "not from the beginning, nor from anything else");
        let all: Vec<usize> = (0..self.devices.count()).collect();
        self.updates("devices are back, too", &all, 2);
    }

    /// Ends all, and judges the newest parameters with what nobody trained with.
    pub fn end(mut self, folder: &Path) {
        (0..PEERS).for_each(|n| self.peers.kill(n));
        let newest = self.checkpoints().into_iter().max_by_key(|kept| kept.round);
        let test = Data::read(&folder.join("test"), &task()).unwrap();
        let accuracy = test.accuracy(&task(), &newest.unwrap().parameters);
        let before = test.accuracy(&task(), &task().initial());
        println!("on samples that nobody trained with: {accuracy} right, {before} before training");
        assert!(accuracy > 0.6 && before < 0.4, "{accuracy} {before}");
        // Nothing was refused but what came for a round that is over.
        let wrong = |text: &&String| text.contains("old counter") || text.contains("did not sign");
        let wrong: Vec<_> = self.refused.iter().filter(wrong).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
    }

    fn trainings(&self, n: usize) -> usize {
        self.trained.get(&hex(&id_of(&secret(n)))).copied().unwrap_or(0)
    }
}

fn hash_of(parameters: &[f32]) -> String {
    let bytes: Vec<u8> = parameters.iter().flat_map(|v| v.to_le_bytes()).collect();
    hex(&NodeId(hash(&bytes)))
}
