//! Six processes on loopback, from keys and tickets on: in each round all of them begin with the parameters that one loop
//! computes, bit for bit; and a peer that was killed comes back.
#![cfg(feature = "net")]

use embedded_io::{ErrorType, ReadReady};
use mote_modest::NodeId;
use mote_modest::device::{Device, DeviceError, Happened, Keep};
use mote_modest::link::Config;
use mote_modest::local::Samples;
use mote_modest::vouch::hash;
use mote_peer::data::Data;
use mote_peer::mean::{Update, combine};
use mote_peer::state::{Folder, id_of, parse_id};
use mote_peer::task::Invite;
use mote_runtime::random::Random;
use mote_runtime::train::{Conv, Layer, Network as TrainedNetwork, Trainer, Training};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::AtomicU32;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

const TASK: &str = r#"{"seed": 1, "widths": [16, 4], "recipe": {"rate": 0.05, "momentum": 0.9, "batch": 4, "epochs": 1},
    "codec": 0, "clip": 1000.0, "trim": 0, "sample": 6, "aggregators": 1, "enough_permille": 1000, "forget": 1000,
    "fastest": 1, "ping_timeout": 1000, "send_timeout": 3000, "watch": 3000, "gather": 60000}"#;
const PEERS: usize = 6;

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

/// A NumPy array of one kind of number.
fn write_npy(path: &Path, descr: &str, shape: &str, bytes: &[u8]) {
    let mut header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}");
    while (header.len() + 11) % 64 != 0 {
        header.push(' ');
    }
    header.push('\n');
    let length = u16::try_from(header.len()).unwrap().to_le_bytes();
    std::fs::write(path, [b"\x93NUMPY\x01\x00", &length[..], header.as_bytes(), bytes].concat()).unwrap();
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
            let inputs: Vec<u8> = inputs.iter().flat_map(|x| x.to_le_bytes()).collect();
            let labels: Vec<u8> = classes.iter().flat_map(|x| x.to_le_bytes()).collect();
            write_npy(&at(n).join("inputs.npy"), "<f4", "(20, 16)", &inputs);
            write_npy(&at(n).join("labels.npy"), "<i8", "(20,)", &labels);
        }
        Network { folder, tickets, places }
    }

    fn start(&self, n: usize, more: &[String]) -> Running {
        let at = self.folder.join(n.to_string());
        let mut command = peer();
        command.args(["--join", &self.tickets[n], "--listen", &self.places[n], "--json"]).args(more);
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
    let mut running: Vec<Option<Running>> = (0..PEERS).map(|n| Some(network.start(n, &[]))).collect();
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
        parameters = combine(&parameters, &base, updates.collect(), task.clip, 0).to_vec();
    }
    println!("12 rounds of 6 processes: the parameters of one loop, bit for bit");
    // One is killed, and comes back with its checkpoint.
    running[3] = None;
    std::thread::sleep(Duration::from_secs(1));
    running[3] = Some(network.start(3, &[]));
    let last = *begun.last_key_value().unwrap().0;
    follow(&running, &mut begun, last + 8);
    drop(running);
    let _ = std::fs::remove_dir_all(folder);
}

/// A serial port that is a TCP connection, as an emulator's.
struct Port(TcpStream);

impl ErrorType for Port {
    type Error = std::io::Error;
}

impl embedded_io::Read for Port {
    fn read(&mut self, bytes: &mut [u8]) -> std::io::Result<usize> {
        std::io::Read::read(&mut self.0, bytes)
    }
}

impl ReadReady for Port {
    fn read_ready(&mut self) -> std::io::Result<bool> {
        match self.0.peek(&mut [0]) {
            // The end comes out of the next read.
            Ok(0) => Err(std::io::ErrorKind::UnexpectedEof.into()),
            Ok(_) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(false),
            Err(error) => Err(error),
        }
    }
}

impl embedded_io::Write for Port {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match std::io::Write::write(&mut self.0, bytes) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => Ok(0),
            other => other,
        }
    }
    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A place in a file.
struct Kept(PathBuf);

impl Keep for Kept {
    type Error = std::io::Error;
    fn load(&mut self) -> std::io::Result<u64> {
        Ok(std::fs::read_to_string(&self.0).ok().and_then(|text| text.parse().ok()).unwrap_or(0))
    }
    fn store(&mut self, number: u64) -> std::io::Result<()> {
        std::fs::write(&self.0, number.to_string())
    }
}

struct Own(Vec<f32>, Vec<i64>);

impl Samples for Own {
    fn count(&self) -> usize {
        self.1.len()
    }
    fn sample(&mut self, index: usize, input: &mut [f32]) -> Option<usize> {
        input.copy_from_slice(self.0.chunks(16).nth(index)?);
        Some(*self.1.get(index)? as usize)
    }
}

/// One life of a device: until its line ends, or it has sent so many updates.
fn live(secret: &[u8; 32], kept: &Path, stream: TcpStream, updates: usize) -> usize {
    static LAYERS: [Layer; 1] = [Layer::Conv(Conv::dense(16, 4), Training::All)];
    stream.set_nonblocking(true).unwrap();
    let (mut memory, mut input, mut message) = (vec![0.0; 4096], [0.0; 16], vec![0; 512]);
    let trainer = Trainer::new(TrainedNetwork::new(&LAYERS).unwrap(), &[], &mut memory, true).unwrap();
    let device = Device::new(secret, Kept(kept.into()), trainer, &mut input, &mut message, Config::DEFAULT);
    let mut device: Device<'_, _, 160> = device.map_err(|_: DeviceError<std::io::Error, _>| ()).unwrap();
    let (inputs, classes) = samples(100 + usize::from(secret[0]));
    let (mut own, mut port, began, mut sent) = (Own(inputs, classes), Port(stream), Instant::now(), 0);
    while sent < updates {
        match device.turn(&mut port, &mut own, began.elapsed().as_millis() as u64) {
            Ok(Some(Happened::Sent { .. })) => sent += 1,
            Ok(Some(_)) => {}
            Ok(None) => std::thread::sleep(Duration::from_micros(200)),
            Err(_) => break,
        }
    }
    sent
}

/// Two devices behind a gateway take part; one is reset, and the gateway is killed and comes back.
#[test]
fn devices_behind_a_gateway() {
    let folder = std::env::temp_dir().join(format!("mote-peer-devices-{}", std::process::id()));
    let network = Network::new(folder.clone());
    let mut more = Vec::new();
    let mut devices = Vec::new();
    for n in [1u8, 2] {
        let secret = [n; 32];
        let id = mote_peer::state::hex(&id_of(&secret));
        let mut invite = peer();
        invite.arg("invite").arg("--state").arg(folder.join("issuer")).arg("--task").arg(folder.join("task.json"));
        let ticket = lines(invite.args(["--member", &id])).remove(0);
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        more.extend(["--device".to_owned(), format!("tcp:{}", listener.local_addr().unwrap()), "--ticket".into(), ticket]);
        let kept = folder.join(format!("device-{n}"));
        // Its first life ends after three updates; a new connection is a new life. The thread ends with the test.
        let (sender, sent) = channel();
        std::thread::spawn(move || {
            for (life, stream) in listener.incoming().map_while(Result::ok).enumerate() {
                let updates = live(&secret, &kept, stream, if life == 0 { 3 } else { usize::MAX });
                let _ = sender.send((life, updates));
            }
        });
        devices.push(sent);
    }
    let mut running: Vec<Option<Running>> = (0..PEERS - 1).map(|n| Some(network.start(n, &[]))).collect();
    running.push(Some(network.start(5, &more)));
    for sent in &devices {
        assert_eq!(sent.recv_timeout(Duration::from_secs(200)).unwrap(), (0, 3), "the first life");
    }
    std::thread::sleep(Duration::from_secs(10));
    running[5] = None;
    let lives: Vec<_> = devices.iter().map(|sent| sent.recv_timeout(Duration::from_secs(20)).unwrap()).collect();
    running[5] = Some(network.start(5, &more));
    std::thread::sleep(Duration::from_secs(20));
    drop(running);
    let after: Vec<_> = devices.iter().map(|sent| sent.recv_timeout(Duration::from_secs(20)).unwrap()).collect();
    println!("updates of the two devices: after a reset {lives:?}, after the gateway came back {after:?}");
    assert!(lives.iter().all(|(life, updates)| *life >= 1 && *updates > 0), "{lives:?}");
    assert!(after.iter().all(|(life, updates)| *life >= 2 && *updates > 0), "{after:?}");
    let _ = std::fs::remove_dir_all(folder);
}
