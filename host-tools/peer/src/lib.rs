//! A Linux machine in a MoDeST network, and the gateway of its devices.
//!
//! * [`task`]: what a network agrees on, and tickets.
//! * [`hub`]: the peer without its network, sans-IO: nodes, parameters, devices. Called by `run`, and by tests that hold
//!   whole networks in memory.
//! * `net`: connections, on iroh: QUIC, a peer's id is its public key. `port`: lines to devices.
//! * `run`: the daemon around it.
//!   (These three: feature `net`.)
//! * [`talk`]: what is said on a line to a device.
//! * [`data`], [`mean`], [`state`], [`wire`]: a member's data and training; updates into one; what outlives a peer; frames.
#![forbid(unsafe_code)]

pub mod data;
pub mod hub;
pub mod mean;
#[cfg(feature = "net")]
pub mod net;
#[cfg(feature = "net")]
pub mod port;
#[cfg(feature = "net")]
pub mod run;
pub mod state;
pub mod talk;
pub mod task;
pub mod wire;

/// Why a peer cannot work.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PeerError {
    #[error("the task makes no sense: {0}")]
    Task(String),
    #[error("the ticket is not accepted: {0}; ask who runs the task for a new one")]
    Ticket(String),
    #[error(
        "the data is not usable: {0}; --data names a folder with inputs.npy (f32) and labels.npy (int64)"
    )]
    Data(String),
    #[error("{path}: {error}")]
    File { path: String, error: String },
    #[error("{0:?} is no id: 64 hexadecimal digits, as `mote peer id` prints them")]
    Id(String),
    #[error("the ticket is for {wanted}, this peer is {own}; --state names the folder with the key")]
    Member { wanted: String, own: String },
    #[error("the network: {0}")]
    Network(String),
}

impl PeerError {
    fn file(path: &std::path::Path, error: &std::io::Error) -> PeerError {
        PeerError::File { path: path.display().to_string(), error: error.to_string() }
    }
}
