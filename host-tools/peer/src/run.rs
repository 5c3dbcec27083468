//! The daemon: one loop that owns the hub, and everything that waits around it.

use crate::data::Data;
use crate::hub::{Hub, Output};
use crate::net::{Heard, Net};
use crate::port::{Place, Said, serve};
use crate::state::Folder;
use crate::task::Invite;
use crate::{PeerError, state};
use mote_modest::device::ToDevice;
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// What a peer is to be.
pub struct Options {
    pub invite: Invite,
    /// Tickets of devices.
    pub tickets: Vec<Invite>,
    pub data: Data,
    pub folder: Folder,
    pub listen: SocketAddr,
    pub devices: Vec<Place>,
    /// Ends when the network has come to this round; 0: never.
    pub rounds: u32,
    /// What happens, told by objects.
    pub tell: Box<dyn FnMut(&Value) + Send>,
}

struct Trained {
    round: u32,
    result: Result<(Vec<f32>, f32), String>,
}

/// Runs a peer until it is interrupted, or the round of its options has come.
///
/// # Errors
/// [`PeerError`].
pub async fn run(mut options: Options) -> Result<(), PeerError> {
    let secret = options.folder.secret()?;
    let own = state::id_of(&secret);
    if options.invite.member != own {
        let wanted = state::hex(&options.invite.member);
        return Err(PeerError::Member { wanted, own: state::hex(&own) });
    }
    let task = options.invite.task.clone();
    let checkpoint = options.folder.load(task.id());
    let largest = 4 * task.parameters() + (1 << 17);
    let (mut net, mut heard) = Net::bind(&secret, options.listen, largest).await?;
    let resumed = checkpoint.as_ref().map(|checkpoint| checkpoint.round);
    (options.tell)(&json!({"event": "listening", "id": state::hex(&own),
        "address": net.address().map(|at| at.to_string()), "resumes": resumed, "task": task.id()}));
    let mut hub = Hub::new(secret, options.invite.clone(), &options.tickets, checkpoint);
    if let Some(at) = net.address() {
        hub.listening(at);
    }
    let (trained_to, mut trained) = mpsc::channel::<Trained>(4);
    let (said_to, mut said) = mpsc::channel(64);
    let mut orders = Vec::new();
    for (port, place) in options.devices.iter().enumerate() {
        let (sender, receiver) = mpsc::channel::<(ToDevice, Vec<u8>)>(16);
        orders.push(sender);
        tokio::spawn(serve(port, place.clone(), largest, receiver, said_to.clone()));
    }
    let data = Arc::new(options.data.clone());
    let current = Arc::new(AtomicU32::new(0));
    let began = Instant::now();
    let now = || began.elapsed().as_millis() as u64;
    let (mut shown, mut interrupted) = (0, false);
    while !interrupted {
        for output in hub.outputs() {
            match output {
                Output::Send { to, bytes } => net.send(to, hub.route(&to), bytes),
                Output::Train { round, base } => {
                    current.store(round, Ordering::Relaxed);
                    let (data, current, done) = (Arc::clone(&data), Arc::clone(&current), trained_to.clone());
                    let task = task.clone();
                    tokio::task::spawn_blocking(move || {
                        let result = data.train(&task, round, &base, &current).map_err(|e| e.to_string());
                        if let Some(result) = result.transpose() {
                            let _ = done.blocking_send(Trained { round, result });
                        }
                    });
                }
                Output::Device { port, message, behind } => {
                    if let Some(orders) = orders.get(port) {
                        let _ = orders.try_send((message, behind));
                    }
                }
                Output::Tell(value) => (options.tell)(&value),
                Output::Keep => options.folder.save(&hub.checkpoint())?,
            }
        }
        let (round, newest) = hub.newest();
        if round > shown {
            shown = round;
            let accuracy = options.data.accuracy(&task, &newest);
            (options.tell)(&json!({"event": "round", "round": round, "accuracy": accuracy}));
            if options.rounds > 0 && round >= options.rounds {
                break;
            }
        }
        let wait = hub.deadline().map_or(1000, |at| at.saturating_sub(now())).min(1000);
        tokio::select! {
            Some(Heard { from, bytes }) = heard.recv() => hub.receive(from, &bytes, now()),
            Some(Trained { round, result }) = trained.recv() => match result {
                Ok((parameters, loss)) => hub.trained(round, &parameters, loss, now()),
                Err(why) => (options.tell)(&json!({"event": "failed", "round": round, "why": why})),
            },
            Some(said) = said.recv() => match said {
                Said::Plugged { port } => hub.plugged(port),
                Said::Message { port, bytes } => hub.device(port, &bytes, now()),
                Said::Counted { port, up, down } => {
                    (options.tell)(&json!({"event": "line", "port": port, "up": up, "down": down}));
                }
            },
            () = tokio::time::sleep(Duration::from_millis(wait)) => hub.tick(now()),
            _ = tokio::signal::ctrl_c() => interrupted = true,
        }
        if hub.deadline().is_some_and(|at| at <= now()) {
            hub.tick(now());
        }
    }
    current.store(u32::MAX, Ordering::Relaxed);
    options.folder.save(&hub.checkpoint())?;
    net.close().await;
    Ok(())
}
