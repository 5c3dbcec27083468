//! Peers as processes of `mote-peer`, which speak QUIC.

use crate::world::{PEERS, Peers, Plan, Told, secret, task};
use mote_peer::state::{Checkpoint, Folder};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::Sender;

pub struct Processes {
    folders: Vec<PathBuf>,
    lives: Vec<Option<Child>>,
}

impl Processes {
    /// Keys and checkpoints are in `folder`.
    pub fn new(folder: &Path) -> Processes {
        let state = |n: usize| {
            let state = folder.join(format!("state-{n}"));
            let _ = std::fs::remove_dir_all(&state);
            std::fs::create_dir_all(&state).unwrap();
            std::fs::write(state.join("key"), secret(n)).unwrap();
            state
        };
        Processes { folders: (0..PEERS).map(state).collect(), lives: (0..PEERS).map(|_| None).collect() }
    }
}

impl Peers for Processes {
    fn start(&mut self, n: usize, plan: &Plan, told: &Sender<Told>) {
        let mut peer = Command::new(env!("CARGO_BIN_EXE_mote-peer"));
        peer.args(["--json", "--join", &plan.invite.write(), "--listen", &plan.address.to_string()]);
        peer.arg("--data").arg(&plan.data).arg("--state").arg(&self.folders[n]);
        for (line, ticket) in plan.lines.iter().zip(&plan.tickets) {
            peer.args(["--device", &format!("tcp:{line}"), "--ticket", &ticket.write()]);
        }
        let mut child = peer.stdout(Stdio::piped()).spawn().unwrap();
        let (output, told) = (child.stdout.take().unwrap(), told.clone());
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let _ = serde_json::from_str(&line).map(|value| told.send((n, value)));
            }
        });
        self.lives[n] = Some(child);
    }

    fn kill(&mut self, n: usize) {
        if let Some(mut child) = self.lives[n].take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    fn checkpoint(&self, n: usize) -> Checkpoint {
        Folder::open(&self.folders[n]).unwrap().load(task().id()).unwrap_or_default()
    }
}

impl Drop for Processes {
    fn drop(&mut self) {
        (0..PEERS).for_each(|n| self.kill(n));
    }
}
