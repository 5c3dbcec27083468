//! What outlives a peer: its key, and a checkpoint.

use crate::PeerError;
use crate::wire::Stated;
use ed25519_dalek::SigningKey;
use mote_modest::seal::Signed;
use mote_modest::vouch::Delegation;
use mote_modest::{Entry, NodeId};
use serde::{Deserialize, Serialize};
use std::fs;
use std::io::{Read, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

pub fn id_of(secret: &[u8; 32]) -> NodeId {
    NodeId(SigningKey::from_bytes(secret).verifying_key().to_bytes())
}

/// Hexadecimal digits.
pub fn hex(id: &NodeId) -> String {
    id.0.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// # Errors
/// [`PeerError::Id`].
pub fn parse_id(text: &str) -> Result<NodeId, PeerError> {
    let digits = text.trim().as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    let bytes: Option<Vec<u8>> = digits.map(byte).collect();
    let bytes = bytes.and_then(|bytes| bytes.try_into().ok());
    bytes.map(NodeId).ok_or_else(|| PeerError::Id(text.into()))
}

/// An entry of a view.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    stated: Stated,
    from: u32,
    last_round: u32,
    stamp: u32,
    said: u32,
}

impl Row {
    pub fn of(entry: &Entry<Signed>) -> Row {
        let Entry { from, last_round, stamp, said, .. } = *entry;
        Row { stated: Stated::of(entry), from, last_round, stamp, said }
    }

    pub fn entry(&self) -> Entry<Signed> {
        let Row { stated, from, last_round, stamp, said } = *self;
        let mut entry = Entry::heard(stated.statement(), last_round, stated.proof);
        (entry.from, entry.stamp, entry.said) = (from, stamp, said);
        entry
    }
}

/// What a peer goes on with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Checkpoint {
    pub task: u64,
    pub round: u32,
    /// Of claims; the next life begins above.
    pub counter: u64,
    pub view: Vec<Row>,
    pub routes: Vec<(NodeId, SocketAddr)>,
    pub leaves: Vec<Delegation>,
    /// Counters heard of others.
    pub heard: Vec<(NodeId, u64)>,
    pub parameters: Vec<f32>,
}

/// A folder for them.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// # Errors
    /// [`PeerError::File`].
    pub fn open(path: &Path) -> Result<Folder, PeerError> {
        fs::create_dir_all(path).map_err(|error| PeerError::file(path, &error))?;
        Ok(Folder(path.into()))
    }

    /// The peer's secret key, made when it is asked for first.
    ///
    /// # Errors
    /// [`PeerError::File`].
    pub fn secret(&self) -> Result<[u8; 32], PeerError> {
        let path = self.0.join("key");
        let mut secret = [0; 32];
        match fs::File::open(&path) {
            Ok(mut file) => file.read_exact(&mut secret),
            Err(_) => fs::File::open("/dev/urandom")
                .and_then(|mut file| file.read_exact(&mut secret))
                .and_then(|()| {
                    use std::os::unix::fs::OpenOptionsExt;
                    let mut file =
                        fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path)?;
                    file.write_all(&secret)
                }),
        }
        .map_err(|error| PeerError::file(&path, &error))?;
        Ok(secret)
    }

    /// The last checkpoint of this task, if there is a sound one.
    pub fn load(&self, task: u64) -> Option<Checkpoint> {
        let bytes = fs::read(self.0.join("checkpoint")).ok()?;
        let (body, check) = bytes.split_last_chunk::<32>()?;
        if mote_modest::vouch::hash(body) != *check {
            return None;
        }
        let checkpoint: Checkpoint = postcard::from_bytes(body).ok()?;
        (checkpoint.task == task).then_some(checkpoint)
    }

    /// Replaces the checkpoint: whole, or not at all.
    ///
    /// # Errors
    /// [`PeerError::File`].
    pub fn save(&self, checkpoint: &Checkpoint) -> Result<(), PeerError> {
        let mut bytes = postcard::to_allocvec(checkpoint).unwrap_or_default();
        let check = mote_modest::vouch::hash(&bytes);
        bytes.extend(check);
        let (new, path) = (self.0.join("checkpoint.new"), self.0.join("checkpoint"));
        let written = fs::File::create(&new).and_then(|mut file| {
            file.write_all(&bytes)?;
            file.sync_data()
        });
        written.and_then(|()| fs::rename(&new, &path)).map_err(|error| PeerError::file(&path, &error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_checkpoint_is_none() {
        let path = std::env::temp_dir().join(format!("mote-peer-state-{}", std::process::id()));
        let folder = Folder::open(&path).unwrap();
        let secret = folder.secret().unwrap();
        assert_eq!(folder.secret().unwrap(), secret, "kept");
        let checkpoint =
            Checkpoint { task: 3, round: 9, parameters: vec![1.0, 2.0], ..Checkpoint::default() };
        folder.save(&checkpoint).unwrap();
        assert_eq!(folder.load(3), Some(checkpoint));
        assert_eq!(folder.load(4), None);
        let file = path.join("checkpoint");
        let mut bytes = fs::read(&file).unwrap();
        bytes[1] ^= 4;
        fs::write(&file, bytes).unwrap();
        assert_eq!(folder.load(3), None);
        assert_eq!(parse_id(&hex(&id_of(&secret))).unwrap(), id_of(&secret));
        assert!(parse_id("12").is_err());
        let _ = fs::remove_dir_all(path);
    }
}
