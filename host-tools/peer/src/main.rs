//! `mote-peer`, which `mote peer` starts.
#![forbid(unsafe_code)]

use clap::{Parser, Subcommand};
use mote_peer::PeerError;
use mote_peer::data::Data;
use mote_peer::port::Place;
use mote_peer::run::{self, Options};
use mote_peer::state::{self, Folder};
use mote_peer::task::{Invite, Task};
use serde_json::{Value, json};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;

/// Take part in a MoDeST network: train on local data, average with others, without a server
///
/// Who runs a task makes tickets for the ids of its members; each member starts with its own ticket:
///
///   mote peer id --state a/
///   mote peer invite --state issuer/ --task task.json --member ID [--founder ID] [--peer ID=ADDRESS]
///   mote peer --join TICKET --data samples/ --state a/
///   mote peer --join TICKET --data samples/ --state a/ --device /dev/ttyACM0 --ticket TICKET-OF-DEVICE
#[derive(Parser)]
#[command(name = "mote peer", version, args_conflicts_with_subcommands = true, verbatim_doc_comment)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    join: Option<Join>,
}

#[derive(Subcommand)]
enum Command {
    /// Print the id of the peer whose key lies in this folder; makes a key if there is none
    Id {
        #[arg(long)]
        state: PathBuf,
    },
    /// Print tickets, one a line, in the order of the members
    Invite {
        /// Folder with the key of who runs the task
        #[arg(long)]
        state: PathBuf,
        /// JSON file of the task (host-tools/peer/README.md)
        #[arg(long)]
        task: PathBuf,
        /// Id of a member; repeat
        #[arg(long, required = true)]
        member: Vec<String>,
        /// Id of a member that the task begins with; repeat. Others join later
        #[arg(long)]
        founder: Vec<String>,
        /// Where a peer is: ID=ADDRESS; repeat
        #[arg(long)]
        peer: Vec<String>,
        /// Last round in which the tickets count
        #[arg(long, default_value_t = u32::MAX)]
        until: u32,
    },
}

#[derive(clap::Args)]
struct Join {
    /// This peer's ticket
    #[arg(long, value_name = "TICKET")]
    join: String,
    /// Folder with inputs.npy (f32, samples x features) and labels.npy (int64)
    #[arg(long)]
    data: PathBuf,
    /// Folder of key and checkpoint
    #[arg(long, default_value = "mote-peer")]
    state: PathBuf,
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// A device behind this peer: a serial port (/dev/ttyUSB0@115200; without a rate 921600) or tcp:HOST:PORT; repeat
    #[arg(long)]
    device: Vec<Place>,
    /// The ticket of a device; repeat
    #[arg(long, value_name = "TICKET")]
    ticket: Vec<String>,
    /// End when the network has come to this round
    #[arg(long, default_value_t = 0)]
    rounds: u32,
    /// Events as JSON, one a line
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let json = cli.join.as_ref().is_some_and(|join| join.json);
    let result = match (cli.command, cli.join) {
        (Some(Command::Id { state }), _) => id(&state),
        (Some(Command::Invite { state, task, member, founder, peer, until }), _) => {
            invite(&state, &task, &member, &founder, &peer, until)
        }
        (None, Some(join)) => take_part(join),
        (None, None) => {
            let _ = <Cli as clap::CommandFactory>::command().print_help();
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            if json {
                println!("{}", json!({"error": {"message": error.to_string()}}));
            } else {
                eprintln!("error: {error}");
            }
            ExitCode::FAILURE
        }
    }
}

fn id(state: &std::path::Path) -> Result<(), PeerError> {
    println!("{}", state::hex(&state::id_of(&Folder::open(state)?.secret()?)));
    Ok(())
}

fn invite(
    state: &std::path::Path,
    task: &std::path::Path,
    members: &[String],
    founders: &[String],
    peers: &[String],
    until: u32,
) -> Result<(), PeerError> {
    let secret = Folder::open(state)?.secret()?;
    let file = |error: &dyn std::fmt::Display| PeerError::File {
        path: task.display().to_string(),
        error: error.to_string(),
    };
    let text = std::fs::read_to_string(task).map_err(|e| file(&e))?;
    let mut task: Task = serde_json::from_str(&text).map_err(|e| file(&e))?;
    task.issuer = state::id_of(&secret);
    task.check()?;
    let ids =
        |texts: &[String]| texts.iter().map(|text| state::parse_id(text)).collect::<Result<Vec<_>, _>>();
    let founders = ids(founders)?;
    let place = |text: &String| {
        let bad =
            || PeerError::Task(format!("--peer {text}: ID=ADDRESS is needed, such as 12..ef=127.0.0.1:4000"));
        let (id, at) = text.split_once('=').ok_or_else(bad)?;
        Ok((state::parse_id(id)?, at.parse().map_err(|_| bad())?))
    };
    let peers = peers.iter().map(place).collect::<Result<Vec<_>, PeerError>>()?;
    for member in ids(members)? {
        println!("{}", Invite::issue(&secret, &task, member, until, &founders, &peers).write());
    }
    Ok(())
}

fn take_part(join: Join) -> Result<(), PeerError> {
    let invite = Invite::read(&join.join)?;
    let tickets = join.ticket.iter().map(|text| Invite::read(text)).collect::<Result<Vec<_>, _>>()?;
    let data = Data::read(&join.data, &invite.task)?;
    let folder = Folder::open(&join.state)?;
    let tell: Box<dyn FnMut(&Value) + Send> = if join.json {
        Box::new(|value| println!("{value}"))
    } else {
        Box::new(|value| println!("{}", words(value)))
    };
    let Join { listen, device: devices, rounds, .. } = join;
    let options = Options { invite, tickets, data, folder, listen, devices, rounds, tell };
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let runtime = runtime.map_err(|error| PeerError::Network(error.to_string()))?;
    let result = runtime.block_on(run::run(options));
    // A training that goes on is for nothing now.
    runtime.shutdown_background();
    result
}

/// An event as a line for people.
fn words(value: &Value) -> String {
    let text = |key: &str| match &value[key] {
        Value::String(text) => text.chars().take(64).collect(),
        other => other.to_string(),
    };
    let short = |key: &str| text(key).chars().take(8).collect::<String>();
    match text("event").as_str() {
        "listening" => format!("peer {} on {}", text("id"), text("address")),
        "founded" => format!("begun by {} members", text("members")),
        "joining" => format!("joining {} known members at round {}", text("members"), text("round")),
        "train" => format!("round {}: {} trains", text("round"), short("member")),
        "trained" => {
            format!(
                "round {}: {} has trained, loss {}, {} bytes",
                text("round"),
                short("member"),
                text("loss"),
                text("bytes")
            )
        }
        "mean" => format!(
            "round {}: mean of {} updates made here",
            text("round"),
            value["of"].as_array().map_or(0, Vec::len)
        ),
        "round" => format!("round {}: accuracy on own data {}", text("round"), text("accuracy")),
        "device" => {
            format!("device {} on line {}, {} samples", short("member"), text("port"), text("samples"))
        }
        "serving" => format!("device {} is a member through this peer", short("member")),
        "line" => format!("line {}: {} bytes up, {} down", text("port"), text("up"), text("down")),
        "refused" => format!("refused from {}: {}", short("from"), text("why")),
        _ => value.to_string(),
    }
}
