//! `mote simulate`: networks of devices that train together, on this machine alone.

use crate::failure::Outcome;
use crate::report::{print, print_json};
use clap::Args;
use mote_sim::command::{self, Options};

/// Simulate networks of devices that train together (MoDeST)
///
/// The nodes' own code on a seeded queue of events: the same seed gives the same figures on every machine. Typical calls:
///
///   mote simulate protocol --nodes 1000 --churn 100
///   mote simulate crash --latencies latencies.txt
///   mote simulate train --pictures cifar10/ --seeds 3 --html report.html
///   mote simulate train --ratings ratings.csv --rounds 400
#[derive(Args)]
#[command(verbatim_doc_comment)]
pub struct Arguments {
    /// Report as JSON
    #[arg(long, global = true)]
    pub json: bool,
    #[command(flatten)]
    options: Options,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let report = command::run(arguments.options.clone())?;
    if arguments.json {
        print_json(&report)
    } else {
        print(&command::text(&report))
    }
    Ok(())
}
