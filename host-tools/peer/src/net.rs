//! Connections: iroh endpoints, whose id is the key that messages of a peer are known by. No relay and no look-up service is
//! asked; peers are found at the addresses that tickets and other peers tell.

use crate::PeerError;
use iroh::endpoint::{Connection, presets};
use iroh::{Endpoint, EndpointAddr, EndpointId, SecretKey};
use mote_modest::NodeId;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::mpsc;

/// Names the protocol to the other side.
const ALPN: &[u8] = b"mote/modest/1";
/// Frames that wait for a peer; what comes behind them is dropped, and sent again by the protocol.
const WAITING: usize = 64;
const CONNECT: Duration = Duration::from_secs(3);

/// What the network tells.
#[derive(Debug)]
pub struct Heard {
    pub from: NodeId,
    pub bytes: Vec<u8>,
}

type Connections = Arc<Mutex<HashMap<NodeId, Connection>>>;

/// A frame on its way out, and where its peer is said to be.
type Outgoing = (Option<SocketAddr>, Vec<u8>);

/// The endpoint, and a queue for each peer.
pub struct Net {
    endpoint: Endpoint,
    connections: Connections,
    queues: HashMap<NodeId, mpsc::Sender<Outgoing>>,
    heard: mpsc::Sender<Heard>,
    largest: usize,
}

impl Net {
    /// Listens on `at`; frames have at most `largest` bytes.
    ///
    /// # Errors
    /// [`PeerError::Network`].
    pub async fn bind(
        secret: &[u8; 32],
        at: SocketAddr,
        largest: usize,
    ) -> Result<(Net, mpsc::Receiver<Heard>), PeerError> {
        let error = |error: &dyn std::fmt::Display| PeerError::Network(format!("{at}: {error}"));
        let builder = Endpoint::builder(presets::Minimal)
            .secret_key(SecretKey::from_bytes(secret))
            .alpns(vec![ALPN.to_vec()])
            .relay_mode(iroh::RelayMode::Disabled)
            .clear_ip_transports()
            .bind_addr(at)
            .map_err(|e| error(&e))?;
        let endpoint = builder.bind().await.map_err(|e| error(&e))?;
        let (heard, receiver) = mpsc::channel(1024);
        let connections = Connections::default();
        let accepting = (endpoint.clone(), Arc::clone(&connections), heard.clone());
        tokio::spawn(async move {
            let (endpoint, connections, heard) = accepting;
            while let Some(incoming) = endpoint.accept().await {
                let (connections, heard) = (Arc::clone(&connections), heard.clone());
                tokio::spawn(async move {
                    if let Ok(connection) = incoming.await {
                        listen(connection, connections, heard, largest).await;
                    }
                });
            }
        });
        let net = Net { endpoint, connections, queues: HashMap::new(), heard, largest };
        Ok((net, receiver))
    }

    /// The address that it listens on.
    pub fn address(&self) -> Option<SocketAddr> {
        self.endpoint.bound_sockets().into_iter().next()
    }

    /// Sends a frame, connecting first if need be; what cannot be sent is dropped.
    pub fn send(&mut self, to: NodeId, at: Option<SocketAddr>, bytes: Vec<u8>) {
        let queue = self.queues.entry(to).or_insert_with(|| {
            let (sender, mut receiver) = mpsc::channel::<Outgoing>(WAITING);
            let (endpoint, connections) = (self.endpoint.clone(), Arc::clone(&self.connections));
            let (heard, largest) = (self.heard.clone(), self.largest);
            tokio::spawn(async move {
                while let Some((at, bytes)) = receiver.recv().await {
                    for _ in 0..2 {
                        let Some(connection) = reach(&endpoint, &connections, &heard, to, at, largest).await
                        else {
                            break;
                        };
                        if write(&connection, &bytes).await.is_some() {
                            break;
                        }
                        // It was closed, or the other has come up anew.
                        forget(&connections, &to);
                    }
                }
            });
            sender
        });
        // A full queue is a peer that is gone.
        let _ = queue.try_send((at, bytes));
    }

    pub async fn close(self) {
        self.endpoint.close().await;
    }
}

async fn reach(
    endpoint: &Endpoint,
    connections: &Connections,
    heard: &mpsc::Sender<Heard>,
    to: NodeId,
    at: Option<SocketAddr>,
    largest: usize,
) -> Option<Connection> {
    let open = connections.lock().ok()?.get(&to).cloned();
    if let Some(connection) = open.filter(|connection| connection.close_reason().is_none()) {
        return Some(connection);
    }
    let address = EndpointAddr::new(EndpointId::from_bytes(&to.0).ok()?).with_ip_addr(at?);
    let connecting = tokio::time::timeout(CONNECT, endpoint.connect(address, ALPN));
    let connection = connecting.await.ok()?.ok()?;
    tokio::spawn(listen(connection.clone(), Arc::clone(connections), heard.clone(), largest));
    Some(connection)
}

/// One frame, one stream: none waits for another.
async fn write(connection: &Connection, bytes: &[u8]) -> Option<()> {
    let mut stream = tokio::time::timeout(CONNECT, connection.open_uni()).await.ok()?.ok()?;
    stream.write_all(bytes).await.ok()?;
    stream.finish().ok()
}

fn forget(connections: &Connections, id: &NodeId) {
    if let Ok(mut connections) = connections.lock() {
        connections.remove(id);
    }
}

/// Takes frames until the connection ends.
async fn listen(
    connection: Connection,
    connections: Connections,
    heard: mpsc::Sender<Heard>,
    largest: usize,
) {
    let id = NodeId(*connection.remote_id().as_bytes());
    if let Ok(mut connections) = connections.lock() {
        connections.insert(id, connection.clone());
    }
    while let Ok(mut stream) = connection.accept_uni().await {
        let heard = heard.clone();
        tokio::spawn(async move {
            if let Ok(bytes) = stream.read_to_end(largest).await {
                let _ = heard.send(Heard { from: id, bytes }).await;
            }
        });
    }
}
