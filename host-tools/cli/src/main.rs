//! The `mote` command.
//!
//! One file per subcommand under [`commands`]; [`failure`] turns every error into what was wrong, where, and what to
//! do; [`files`], [`npy`], [`picture`] and [`sound`] read the data that people have; [`report`] tells what a plan does
//! and needs.

mod commands;
mod failure;
mod files;
mod npy;
mod picture;
mod report;
mod sound;

use clap::{Parser, Subcommand};
use std::process::ExitCode;

/// Neural networks for small machines: convert, look inside, run, judge.
///
/// A network is converted once into a plan, a flat .mote file that firmware and this tool run with the same results:
///
///   mote convert net.tflite -o net.mote
///   mote inspect net.mote
///   mote run net.mote --input picture.jpg
///
/// With --json, standard output is one JSON object: the report, or {"error": {"kind", "message", "where", "help"}}.
/// The exit code is 0, 1 where the work failed, or 2 where the arguments are wrong.
#[derive(Parser)]
#[command(version, propagate_version = true, verbatim_doc_comment)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Convert(Box<commands::convert::Arguments>),
    Inspect(commands::inspect::Arguments),
    Run(commands::run::Arguments),
    Stream(commands::stream::Arguments),
    Eval(commands::eval::Arguments),
    Profile(commands::profile::Arguments),
    Estimate(commands::estimate::Arguments),
    Bundle(commands::bundle::Arguments),
    Simulate(Box<commands::simulate::Arguments>),
    Peer(commands::peer::Arguments),
    Demo(commands::demo::Arguments),
    Archs(commands::family::Arguments),
    Tinynet(commands::tinynet::Arguments),
}

fn main() -> ExitCode {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) if error.use_stderr() && std::env::args().any(|argument| argument == "--json") => {
            println!("{:#}", failure::usage_json(&error));
            return ExitCode::from(2);
        }
        Err(error) => error.exit(),
    };
    let (json, outcome) = match &arguments.command {
        Command::Convert(arguments) => (arguments.json, commands::convert::run(arguments)),
        Command::Inspect(arguments) => (arguments.json, commands::inspect::run(arguments)),
        Command::Run(arguments) => (arguments.json, commands::run::run(arguments)),
        Command::Stream(arguments) => (arguments.json, commands::stream::run(arguments)),
        Command::Eval(arguments) => (arguments.json, commands::eval::run(arguments)),
        Command::Profile(arguments) => (arguments.json, commands::profile::run(arguments)),
        Command::Estimate(arguments) => (arguments.json, commands::estimate::run(arguments)),
        Command::Bundle(arguments) => (arguments.json, commands::bundle::run(arguments)),
        Command::Simulate(arguments) => (arguments.json, commands::simulate::run(arguments)),
        Command::Peer(arguments) => (arguments.json(), commands::peer::run(arguments)),
        Command::Demo(arguments) => (arguments.json, commands::demo::run(arguments)),
        Command::Archs(arguments) => (arguments.json, commands::family::archs(arguments)),
        Command::Tinynet(arguments) => (arguments.json, commands::tinynet::run(arguments)),
    };
    let Err(failure) = outcome else { return ExitCode::SUCCESS };
    let code = failure.exit_code();
    if json {
        println!("{:#}", failure.to_json());
    } else {
        eprintln!("Error: {:?}", miette::Report::new(failure));
    }
    ExitCode::from(code)
}
