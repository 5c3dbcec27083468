//! Peers as threads: frames go over TCP, a connection each, so that nothing of iroh is needed.

use crate::world::{PEERS, Peers, Plan, Told, secret, task};
use mote_modest::NodeId;
use mote_peer::data::Data;
use mote_peer::hub::{Hub, Output};
use mote_peer::state::Checkpoint;
use mote_peer::talk::{Heard, Talk};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::mpsc::Sender;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

#[derive(Default)]
struct Peer {
    kept: Arc<Mutex<Checkpoint>>,
    life: Option<(Arc<AtomicBool>, JoinHandle<()>)>,
}

pub struct Threads([Peer; PEERS]);

impl Threads {
    pub fn new() -> Threads {
        Threads(Default::default())
    }
}

impl Peers for Threads {
    fn start(&mut self, n: usize, plan: &Plan, told: &Sender<Told>) {
        let listener = TcpListener::bind(plan.address).unwrap();
        listener.set_nonblocking(true).unwrap();
        let killed = Arc::new(AtomicBool::new(false));
        let kept = Arc::clone(&self.0[n].kept);
        let checkpoint = kept.lock().unwrap().clone();
        let mut life = Life {
            n,
            hub: Hub::new(secret(n), plan.invite.clone(), &plan.tickets, Some(checkpoint)),
            listener,
            lines: plan.lines.iter().map(|at| Line::new(*at)).collect(),
            data: Data::read(&plan.data, &task()).unwrap(),
            kept,
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
        self.0[n].life = Some((killed, thread));
    }

    fn kill(&mut self, n: usize) {
        let Some((killed, thread)) = self.0[n].life.take() else { return };
        killed.store(true, Ordering::Relaxed);
        thread.join().unwrap();
    }

    fn checkpoint(&self, n: usize) -> Checkpoint {
        self.0[n].kept.lock().unwrap().clone()
    }
}

/// A line to a device.
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
