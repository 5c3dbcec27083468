//! `mote-sim`: runs simulations and prints JSON. `mote simulate` is the same.

use clap::Parser;
use mote_sim::command::{Options, run};

#[derive(Parser)]
#[command(about = "Simulates networks of devices that train together (MoDeST)")]
struct Arguments {
    #[command(flatten)]
    options: Options,
}

fn main() -> std::process::ExitCode {
    match run(Arguments::parse().options) {
        Ok(report) => {
            println!("{report:#}");
            std::process::ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            std::process::ExitCode::FAILURE
        }
    }
}
