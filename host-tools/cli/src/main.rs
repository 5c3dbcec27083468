//! The `mote` command.
//!
//! One file per subcommand under [`commands`]; [`failure`] turns every error into what was wrong, where, and what to
//! do; [`npy`], [`picture`] and [`sound`] read the data that people have.

mod commands;
mod failure;
mod npy;
mod picture;
mod report;
mod sound;

use clap::{Parser, Subcommand};

/// Neural networks for small machines: convert, look inside, run, judge.
#[derive(Parser)]
#[command(version, propagate_version = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Convert an ONNX or TFLite network into a plan
    Convert(commands::convert::Arguments),
    /// Show steps, memory and figures of a plan
    Inspect(commands::inspect::Arguments),
    /// Run a plan on a picture or on tensors
    Run(commands::run::Arguments),
    /// Run a plan over a stream: frames or sound
    Stream(commands::stream::Arguments),
    /// Accuracy on a folder of labelled pictures, int8 beside float
    Eval(commands::eval::Arguments),
    /// Convert the bundled network, run it on bundled pictures, show memory and accuracy
    Demo(commands::demo::Arguments),
}

fn main() -> miette::Result<()> {
    let result = match Arguments::parse().command {
        Command::Convert(arguments) => commands::convert::run(&arguments),
        Command::Inspect(arguments) => commands::inspect::run(&arguments),
        Command::Run(arguments) => commands::run::run(&arguments),
        Command::Stream(arguments) => commands::stream::run(&arguments),
        Command::Eval(arguments) => commands::eval::run(&arguments),
        Command::Demo(arguments) => commands::demo::run(&arguments),
    };
    Ok(result?)
}
