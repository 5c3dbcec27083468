//! Emulated boards with the firmware `mote-train` behind a gateway, and four Linux peers, on loopback: whatever is killed,
//! training goes on. `cargo xtask firmware train` builds the images, makes the members' data, and runs this.
//!
//! Frames of peers go over TCP here, a connection each, so that nothing of iroh is needed; QUIC, which proves who speaks, is
//! tested in `loopback.rs`. The lines to the boards are those of `mote peer --device tcp:..`.

use mote_modest::local::Recipe;
use mote_modest::slots::{Slots, Words};
use mote_modest::{NodeId, device::Keep};
use mote_peer::data::Data;
use mote_peer::hub::{Hub, Output};
use mote_peer::state::{Checkpoint, hex, id_of};
use mote_peer::talk::{Heard, Talk};
use mote_peer::task::{Invite, Task};
use serde_json::Value;
use std::collections::BTreeMap;
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

const ISSUER: [u8; 32] = [99; 32];
/// The last one is the gateway.
const PEERS: usize = 5;
const GATEWAY: usize = PEERS - 1;
/// How long anything may take; emulated boards on a busy machine are slow.
const PATIENCE: Duration = Duration::from_secs(300);

fn task() -> Task {
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

fn secret(n: usize) -> [u8; 32] {
    [n as u8 + 1; 32]
}

fn device_secret(n: usize) -> [u8; 32] {
    [n as u8 + 50; 32]
}

/// What a member of the network told, and which it is.
type Told = (usize, Value);

/// Of a peer what outlives it.
struct Peer {
    invite: Invite,
    address: SocketAddr,
    data: PathBuf,
    tickets: Vec<Invite>,
    lines: Vec<SocketAddr>,
    kept: Arc<Mutex<Checkpoint>>,
    life: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

impl Peer {
    fn start(&mut self, n: usize, told: &Sender<Told>) {
        let listener = TcpListener::bind(self.address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let killed = Arc::new(AtomicBool::new(false));
        let checkpoint = self.kept.lock().unwrap().clone();
        let mut life = Life {
            n,
            hub: Hub::new(secret(n), self.invite.clone(), &self.tickets, Some(checkpoint)),
            listener,
            lines: self.lines.iter().map(|at| Line::new(*at)).collect(),
            data: Data::read(&self.data, &task()).unwrap(),
            kept: Arc::clone(&self.kept),
            told: told.clone(),
            began: Instant::now(),
        };
        let end = Arc::clone(&killed);
        let thread = std::thread::spawn(move || {
            while !end.load(Ordering::Relaxed) {
                if !life.turn() {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        });
        self.life = Some((killed, thread));
    }

    /// Ends it at once: nothing is said or written any more.
    fn kill(&mut self) {
        let Some((killed, thread)) = self.life.take() else { return };
        killed.store(true, Ordering::Relaxed);
        thread.join().unwrap();
    }
}

/// A line to a board.
struct Line {
    address: SocketAddr,
    stream: Option<TcpStream>,
    talk: Talk,
    again: Instant,
}

impl Line {
    fn new(address: SocketAddr) -> Line {
        static LIVES: AtomicU32 = AtomicU32::new(1);
        let talk = Talk::new(LIVES.fetch_add(1, Ordering::Relaxed), 1 << 14);
        Line { address, stream: None, talk, again: Instant::now() }
    }

    /// Whether it is open now and was not before.
    fn opened(&mut self) -> bool {
        if self.stream.is_some() || self.again > Instant::now() {
            return false;
        }
        self.again = Instant::now() + Duration::from_millis(300);
        self.stream = TcpStream::connect(self.address).ok();
        self.stream.iter().for_each(|stream| stream.set_nonblocking(true).unwrap());
        self.stream.is_some()
    }

    fn turn(&mut self, now: u64) -> Vec<Heard> {
        let Some(stream) = &mut self.stream else { return Vec::new() };
        let due = self.talk.due(now);
        let mut bytes = [0; 512];
        let read = stream.read(&mut bytes);
        // A write that a full line refuses is lost, which the protocol of the line is for.
        let written = if due.is_empty() { Ok(()) } else { stream.write_all(&due) };
        let ended = |error: &std::io::Error| error.kind() != ErrorKind::WouldBlock;
        if matches!(read, Ok(0)) || read.as_ref().is_err_and(ended) || written.as_ref().is_err_and(ended) {
            self.stream = None;
            return Vec::new();
        }
        self.talk.hear(&bytes[..read.unwrap_or(0)], now)
    }
}

/// A peer that lives.
struct Life {
    n: usize,
    hub: Hub,
    listener: TcpListener,
    lines: Vec<Line>,
    data: Data,
    kept: Arc<Mutex<Checkpoint>>,
    told: Sender<Told>,
    began: Instant,
}

impl Life {
    /// Whether anything happened.
    fn turn(&mut self) -> bool {
        let now = self.began.elapsed().as_millis() as u64;
        let mut busy = false;
        while let Ok((mut stream, _)) = self.listener.accept() {
            let mut bytes = Vec::new();
            stream.set_nonblocking(false).unwrap();
            stream.set_read_timeout(Some(Duration::from_secs(2))).unwrap();
            if stream.read_to_end(&mut bytes).is_ok()
                && let Some((from, frame)) = bytes.split_first_chunk()
            {
                self.hub.receive(NodeId(*from), frame, now);
            }
            busy = true;
        }
        for (port, line) in self.lines.iter_mut().enumerate() {
            if line.opened() {
                self.hub.plugged(port);
            }
            for Heard { bytes, .. } in line.turn(now) {
                self.hub.device(port, &bytes, now);
                busy = true;
            }
        }
        if self.hub.deadline().is_some_and(|at| at <= now) {
            self.hub.tick(now);
        }
        let outputs = self.hub.outputs();
        busy |= !outputs.is_empty();
        outputs.into_iter().for_each(|output| self.output(output, now));
        busy
    }

    fn output(&mut self, output: Output, now: u64) {
        match output {
            Output::Send { to, bytes } => {
                // Whoever is not there gets nothing.
                let stream = self.hub.route(&to).and_then(|at| TcpStream::connect(at).ok());
                if let Some(mut stream) = stream {
                    let _ = stream.write_all(&[&self.hub.id().0, &bytes[..]].concat());
                }
            }
            Output::Train { round, base } => {
                let trained = self.data.train(&task(), round, &base, &AtomicU32::new(round)).unwrap();
                let (parameters, loss) = trained.unwrap();
                self.hub.trained(round, &parameters, loss, now);
            }
            Output::Device { port, message, behind } => self.lines[port].talk.order(message, &behind),
            Output::Tell(value) => _ = self.told.send((self.n, value)),
            Output::Keep => *self.kept.lock().unwrap() = self.hub.checkpoint(),
        }
    }
}

/// An emulated board. What its memory keeps without power is in a file.
struct Board {
    name: String,
    image: PathBuf,
    job: PathBuf,
    /// Where the job belongs.
    at: String,
    kept: PathBuf,
    line: SocketAddr,
    life: Option<Child>,
}

/// Bytes of the memory that is kept, and of its last part, which the firmware uses for that.
const KEPT: u64 = 16 << 20;
const LAST: u64 = 4 << 10;

impl Board {
    fn start(&mut self) {
        let mut qemu = Command::new("qemu-system-arm");
        qemu.arg("-M").arg(format!("{},memory-backend=kept", self.name));
        qemu.arg("-object").arg(format!(
            "memory-backend-file,id=kept,size={KEPT},mem-path={},share=on",
            self.kept.display()
        ));
        qemu.args(["-display", "none", "-monitor", "none", "-serial", "null", "-serial"]);
        qemu.arg(format!("tcp:{},server=on,wait=off,nodelay=on", self.line));
        qemu.args(["-semihosting-config", "enable=on,target=native"]);
        qemu.arg("-device").arg(format!("loader,file={},addr={},force-raw=on", self.job.display(), self.at));
        qemu.arg("-kernel").arg(&self.image).stdin(Stdio::null());
        self.life = Some(qemu.spawn().expect("qemu-system-arm: cargo xtask setup"));
    }

    fn kill(&mut self) {
        if let Some(mut child) = self.life.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// The counter that it has kept.
    fn counter(&self) -> u64 {
        struct File(Vec<u8>);
        impl Words for File {
            fn read(&self, index: usize) -> u32 {
                u32::from_le_bytes(self.0.as_chunks().0[index])
            }
            fn write(&mut self, _: usize, _: u32) {}
        }
        let memory = std::fs::read(&self.kept).unwrap();
        Slots(File(memory[(KEPT - LAST) as usize..].to_vec())).load().unwrap()
    }
}

impl Drop for Board {
    fn drop(&mut self) {
        self.kill();
    }
}

struct World {
    peers: Vec<Peer>,
    boards: Vec<Board>,
    told: Receiver<Told>,
    tell: Sender<Told>,
    round: u64,
    /// Trainings by member, and means in which its update is.
    trained: BTreeMap<String, usize>,
    averaged: BTreeMap<String, usize>,
    /// Who made a mean last.
    aggregator: Option<usize>,
    refused: Vec<String>,
}

/// A free place, asked for and given back.
fn place() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

impl World {
    /// `boards`: name, image, and address of the job.
    fn new(folder: &Path, boards: &[(String, PathBuf, String)]) -> World {
        let ids: Vec<NodeId> = (0..PEERS).map(|n| id_of(&secret(n))).collect();
        let places: Vec<(NodeId, SocketAddr)> = ids.iter().map(|id| (*id, place())).collect();
        let invite = |id: &NodeId| Invite::issue(&ISSUER, &task(), *id, u32::MAX, &ids, &places);
        let boards: Vec<Board> = boards
            .iter()
            .enumerate()
            .map(|(n, board)| {
                let (name, image, at) = board.clone();
                let job = folder.join(format!("device-{n}.job"));
                let samples = std::fs::read(folder.join(format!("device-{n}.samples"))).unwrap();
                let (count, rest) = samples.split_first_chunk::<4>().unwrap();
                let (bytes, rest) = rest.split_first_chunk::<4>().unwrap();
                std::fs::write(&job, [&b"MOTR"[..], count, bytes, &device_secret(n), rest].concat()).unwrap();
                let kept = folder.join(format!("device-{n}.memory"));
                std::fs::File::create(&kept).unwrap().set_len(KEPT).unwrap();
                Board { name, image, job, at, kept, line: place(), life: None }
            })
            .collect();
        let device = |n: usize| Invite::issue(&ISSUER, &task(), id_of(&device_secret(n)), u32::MAX, &[], &[]);
        let peers = places.iter().enumerate().map(|(n, (id, address))| Peer {
            invite: invite(id),
            address: *address,
            data: folder.join(format!("peer-{n}")),
            tickets: if n == GATEWAY { (0..boards.len()).map(device).collect() } else { Vec::new() },
            lines: if n == GATEWAY { boards.iter().map(|board| board.line).collect() } else { Vec::new() },
            kept: Arc::default(),
            life: None,
        });
        let (tell, told) = channel();
        let peers: Vec<Peer> = peers.collect();
        let (trained, averaged, refused) = (BTreeMap::new(), BTreeMap::new(), Vec::new());
        World { peers, boards, told, tell, round: 0, trained, averaged, aggregator: None, refused }
    }

    fn start(&mut self, n: usize) {
        self.peers[n].start(n, &self.tell);
    }

    /// Follows what is told until something holds.
    fn until(&mut self, what: &str, holds: impl Fn(&World) -> bool) {
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
                "train" => self.round = self.round.max(value["round"].as_u64().unwrap()),
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
    fn devices(&mut self, what: &str, which: &[usize], count: usize) {
        let ids: Vec<String> = which.iter().map(|n| hex(&id_of(&device_secret(*n)))).collect();
        let of = |world: &World, id: &String| world.averaged.get(id).copied().unwrap_or(0);
        let goals: Vec<usize> = ids.iter().map(|id| of(self, id) + count).collect();
        self.until(what, |world| ids.iter().zip(&goals).all(|(id, goal)| of(world, id) >= *goal));
    }
}

#[test]
#[ignore = "needs images of the firmware: cargo xtask firmware train"]
fn training_goes_on_when_a_device_an_aggregator_and_the_gateway_are_killed() {
    let folder = PathBuf::from(std::env::var_os("MOTE_TRAIN_FOLDER").expect("MOTE_TRAIN_FOLDER"));
    let boards = std::env::var("MOTE_TRAIN_BOARDS").expect("MOTE_TRAIN_BOARDS: name=image@address,..");
    let boards: Vec<_> = boards
        .split(',')
        .map(|board| {
            let (name, rest) = board.split_once('=').unwrap();
            let (image, at) = rest.rsplit_once('@').unwrap();
            (name.to_owned(), PathBuf::from(image), at.to_owned())
        })
        .collect();
    let all: Vec<usize> = (0..boards.len()).collect();
    assert!(all.len() >= 2);
    let mut world = World::new(&folder, &boards);
    (0..PEERS).for_each(|n| world.start(n));
    world.boards.iter_mut().for_each(Board::start);
    world.devices("updates of all boards are in means", &all, 3);

    world.boards[0].kill();
    let counter = world.boards[0].counter();
    assert!(counter > 0);
    world.rounds("a board was killed, rounds go on", 6);
    world.boards[0].start();
    world.devices("it is back", &[0], 2);
    assert!(world.boards[0].counter() > counter, "its counter rises across the reset");

    // Of the Linux peers that are no gateway.
    let before = world.round;
    world.until("a peer makes a mean", |world| {
        world.round > before && world.aggregator.is_some_and(|n| n != GATEWAY)
    });
    let aggregator = world.aggregator.unwrap();
    world.peers[aggregator].kill();
    world.rounds("the aggregator was killed, rounds go on", 6);
    let id = hex(&id_of(&secret(aggregator)));
    let trained = world.trained[&id];
    world.start(aggregator);
    world.until("it is back", |world| world.trained[&id] > trained);

    world.peers[GATEWAY].kill();
    world.rounds("the gateway was killed, rounds go on", 6);
    world.start(GATEWAY);
    world.devices("it is back, with its boards", &all, 2);

    (0..PEERS).for_each(|n| world.peers[n].kill());
    let newest =
        world.peers.iter().map(|peer| peer.kept.lock().unwrap().clone()).max_by_key(|kept| kept.round);
    let test = Data::read(&folder.join("test"), &task()).unwrap();
    let accuracy = test.accuracy(&task(), &newest.unwrap().parameters);
    let before = test.accuracy(&task(), &task().initial());
    println!("on pictures that nobody trained with: {accuracy} right, {before} before training");
    assert!(accuracy > 0.6 && before < 0.4, "{accuracy} {before}");
    // Nothing was refused but what came for a round that is over.
    let wrong: Vec<_> = world
        .refused
        .iter()
        .filter(|text| text.contains("old counter") || text.contains("did not sign"))
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
}
