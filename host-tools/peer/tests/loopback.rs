//! Six processes on loopback, from keys and tickets on: in each round all of them begin with the parameters that one loop
//! computes, bit for bit; and a peer that was killed comes back.
#![cfg(feature = "net")]

#[path = "support/npy.rs"]
mod npy;

use mote_modest::NodeId;
use mote_modest::vouch::hash;
use mote_peer::data::Data;
use mote_peer::mean::{Update, combine};
use mote_peer::state::{Folder, hex, id_of, parse_id};
use mote_peer::task::Invite;
use mote_runtime::random::Random;
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicU32;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const TASK: &str = r#"{"seed": 1, "widths": [16, 4], "recipe": {"rate": 0.05, "momentum": 0.9, "batch": 4, "epochs": 1},
    "codec": 0, "clip": 1000.0, "trim": 1, "sample": 6, "aggregators": 1, "enough_permille": 1000, "forget": 1000,
    "fastest": 1, "ping_timeout": 1000, "send_timeout": 3000, "watch": 3000, "gather": 60000}"#;
const PEERS: usize = 6;
/// Hash of the parameters after 12 rounds. Keys are made anew each time; trimmed means don't depend on the order of members.
const FINAL: &str = "260f208187fefd5e6a7d686829af9fce1f3d57e4df41a4aab03e4a07c6e004d9";

fn peer() -> Command {
    Command::new(env!("CARGO_BIN_EXE_mote-peer"))
}

fn lines(command: &mut Command) -> Vec<String> {
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

/// Clouds around class centres; each peer's own.
fn samples(n: usize) -> (Vec<f32>, Vec<i64>) {
    let mut random = Random::new(n as u64);
    let classes: Vec<i64> = (0..20).map(|_| i64::from(random.below(4))).collect();
    let mut inputs = Vec::new();
    for class in &classes {
        inputs.extend((0..16).map(|i| f32::from(u8::from(i % 4 == *class)) + random.unit() - 0.5));
    }
    (inputs, classes)
}

struct Running {
    child: Child,
    events: Receiver<Value>,
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

struct Network {
    folder: PathBuf,
    tickets: Vec<String>,
    places: Vec<String>,
}

impl Network {
    fn new(folder: PathBuf) -> Network {
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("task.json"), TASK).unwrap();
        let at = |n: usize| folder.join(n.to_string());
        let ids: Vec<String> =
            (0..PEERS).map(|n| lines(peer().arg("id").arg("--state").arg(at(n))).remove(0)).collect();
        // Free ports, asked for and given back.
        let sockets: Vec<UdpSocket> = (0..PEERS).map(|_| UdpSocket::bind("127.0.0.1:0").unwrap()).collect();
        let places: Vec<String> = sockets.iter().map(|s| s.local_addr().unwrap().to_string()).collect();
        drop(sockets);
        let mut invite = peer();
        invite
            .arg("invite")
            .arg("--state")
            .arg(folder.join("issuer"))
            .arg("--task")
            .arg(folder.join("task.json"));
        for (id, place) in ids.iter().zip(&places) {
            invite.args(["--member", id, "--founder", id, "--peer", &format!("{id}={place}")]);
        }
        let tickets = lines(&mut invite);
        for n in 0..PEERS {
            let (inputs, classes) = samples(n);
            npy::write(&at(n), &inputs, &classes);
        }
        Network { folder, tickets, places }
    }

    fn start(&self, n: usize) -> Running {
        let at = self.folder.join(n.to_string());
        let mut command = peer();
        command.args(["--join", &self.tickets[n], "--listen", &self.places[n], "--json"]);
        command.arg("--data").arg(&at).arg("--state").arg(&at).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let output = child.stdout.take().unwrap();
        let (sender, events) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = serde_json::from_str(&line).map(|value| sender.send(value));
            }
        });
        Running { child, events }
    }
}

/// Parameters that peers began rounds with: the hash, by round and peer.
type Begun = BTreeMap<u64, BTreeMap<usize, String>>;

/// Reads events until every peer that runs has trained in `round`.
fn follow(running: &[Option<Running>], begun: &mut Begun, round: u64) {
    let patience = Instant::now() + Duration::from_secs(240);
    let lives = running.iter().flatten().count();
    while begun.get(&round).map_or(0, BTreeMap::len) < lives {
        assert!(Instant::now() < patience, "round {round} was not reached: {:?}", begun.last_key_value());
        for (n, peer) in running.iter().enumerate() {
            for event in peer.iter().flat_map(|peer| peer.events.try_iter()) {
                if event["event"] == "train" {
                    let base = event["base"].as_str().unwrap().to_owned();
                    begun.entry(event["round"].as_u64().unwrap()).or_default().insert(n, base);
                }
                assert!(event["event"] != "refused", "{event}");
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

#[test]
fn six_processes_on_loopback() {
    let folder = std::env::temp_dir().join(format!("mote-peer-loopback-{}", std::process::id()));
    let network = Network::new(folder.clone());
    let mut running: Vec<Option<Running>> = (0..PEERS).map(|n| Some(network.start(n))).collect();
    let mut begun = Begun::new();
    follow(&running, &mut begun, 12);
    // The same in one loop.
    let task = Invite::read(&network.tickets[0]).unwrap().task;
    let ids: Vec<NodeId> = (0..PEERS)
        .map(|n| id_of(&Folder::open(&folder.join(n.to_string())).unwrap().secret().unwrap()))
        .collect();
    let mut parameters = task.initial();
    for round in 1..=12u32 {
        let bytes: Vec<u8> = parameters.iter().flat_map(|v| v.to_le_bytes()).collect();
        let base = hash(&bytes);
        let peers = &begun[&u64::from(round)];
        assert_eq!(peers.len(), PEERS, "round {round}");
        for (n, told) in peers {
            assert_eq!(parse_id(told).unwrap().0, base, "round {round}, peer {n}");
        }
        let updates = ids.iter().enumerate().map(|(n, id)| {
            let (inputs, classes) = samples(n);
            let data = Data::new(&task, inputs, classes.iter().map(|c| *c as usize).collect()).unwrap();
            let new = data.train(&task, round, &parameters, &AtomicU32::new(round)).unwrap().unwrap().0;
            let difference = new.iter().zip(&parameters).map(|(new, old)| new - old).collect();
            Update { from: *id, base, difference }
        });
        parameters = combine(&parameters, &base, updates.collect(), task.clip, task.trim.into()).to_vec();
    }
    println!("12 rounds of 6 processes: the parameters of one loop, bit for bit");
    // `host-tools/sim/tests/peers.rs` simulates the same network, and comes to the same numbers.
    let bytes: Vec<u8> = parameters.iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(hex(&NodeId(hash(&bytes))), FINAL);
    // One is killed, and comes back with its checkpoint.
    running[3] = None;
    std::thread::sleep(Duration::from_secs(1));
    running[3] = Some(network.start(3));
    let last = *begun.last_key_value().unwrap().0;
    follow(&running, &mut begun, last + 8);
    drop(running);
    let _ = std::fs::remove_dir_all(folder);
}
