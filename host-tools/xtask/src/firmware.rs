//! `cargo xtask firmware`: build an image with a model, run it, check it.

use std::{path::PathBuf, time::Duration};

use anyhow::{Result, bail};
use mote_emulator::profile;

use crate::{
    board::Board,
    golden,
    image::{self, App, Samples, Speed},
    keyword,
    models::{self, Found, Model},
    panics,
    qemu::{self, Settings},
    sensor,
    steps::{Steps, Tally},
    train, twin,
};

#[derive(clap::Subcommand)]
pub enum Firmware {
    /// Run an image with this model under QEMU
    Run(Options),
    /// Check that an image with this model can't panic
    Check {
        #[command(flatten)]
        options: Options,
        /// The image for plans that come at run time, which holds every kernel
        #[arg(long)]
        every_kernel: bool,
    },
    /// Check an image with an MLPerf Tiny network, and compare its outputs under QEMU with the reference
    Golden(Options),
    /// Check an image with this model, and compare its outputs under QEMU with the host's
    Twin(Options),
    /// Let the keyword app listen to a recording under QEMU
    Keyword(keyword::Options),
    /// Let the sensor app watch an emulated sensor under QEMU, and compare with the host
    Sensor(sensor::Options),
    /// Let emulated boards train behind a gateway, with peers, while they are killed in turn; and compare a training with
    /// the host's, bit for bit
    Train {
        /// Peers are processes of `mote-peer`, which speak QUIC; iroh is built for that, which takes minutes
        #[arg(long)]
        iroh: bool,
    },
    /// All tests of the keyword app and the sensor app on a board
    Apps {
        #[arg(long, default_value = "mps2-an386")]
        board: String,
    },
}

#[derive(clap::Args)]
pub struct Options {
    #[arg(long, default_value = "mps2-an386")]
    board: String,
    /// Short name (kws, vww, ad, sww, resnet8, cifar10, efficientformer, tinynet, mobilenet) or file (.tflite, .onnx, .mote)
    #[arg(long, default_value = "cifar10")]
    model: String,
    /// How many random samples to run on
    #[arg(long, default_value_t = 2)]
    samples: usize,
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Optimise the code for speed or for size
    #[arg(long, value_enum, default_value = "fast")]
    opt: Speed,
    /// Further arguments for `mote convert`, after `--`
    #[arg(last = true)]
    convert: Vec<String>,
}

pub fn run(firmware: &Firmware) -> Result<()> {
    match firmware {
        Firmware::Run(options) => start(options),
        Firmware::Check { options, every_kernel } => check(options, *every_kernel),
        Firmware::Golden(options) => compare(options, "the reference", golden::run),
        Firmware::Twin(options) => compare(options, "the host", twin::run_both),
        Firmware::Keyword(options) => keyword::run(options),
        Firmware::Sensor(options) => sensor::run(options),
        Firmware::Train { iroh } => train::run(*iroh),
        Firmware::Apps { board } => apps(Board::by_name(board)?),
    }
}

fn apps(board: &Board) -> Result<()> {
    let mut steps = Steps::default();
    keyword::add_steps(&mut steps, board);
    sensor::add_steps(&mut steps, board);
    steps.finish()
}

fn start(options: &Options) -> Result<()> {
    let (board, image) = build(options, true)?;
    eprintln!("{} on the emulated {}:", image.display(), board.name);
    let settings = Settings { count: true, echo: true, patience: Duration::from_secs(600) };
    let outcome = qemu::emulate(board, &image, settings)?;
    for section in outcome.counts.iter().flat_map(|counts| &counts.sections) {
        println!("{}: {} instructions", section.name, section.counts.total()?);
    }
    if outcome.exit != 0 {
        bail!("the image ended with code {}", outcome.exit);
    }
    Ok(())
}

fn check(options: &Options, every_kernel: bool) -> Result<()> {
    // Without logs: formatting text may panic, and what is shipped can do without it.
    let image = match every_kernel {
        true => profile::image(Board::by_name(&options.board)?)?,
        false => build(options, false)?.1,
    };
    panics::check(&image)?;
    let image::Sizes { flash, ram } = image::sizes(&image)?;
    println!("{}: no way to a panic; {flash} bytes of flash, {ram} bytes of static RAM", image.display());
    Ok(())
}

fn compare(options: &Options, with: &str, run: fn(&Board, &Model, usize) -> Result<Tally>) -> Result<()> {
    let model = model(options)?;
    let Tally { passed, failed } = run(Board::by_name(&options.board)?, &model, options.samples)?;
    println!("{}: {passed} checks passed, {failed} failed", model.name);
    if failed > 0 {
        bail!("{failed} outputs differ from {with}");
    }
    Ok(())
}

fn model(options: &Options) -> Result<Model> {
    match models::find(&options.model)? {
        Found::Here(model) => Ok(model),
        Found::Absent(reason) => bail!("{reason}"),
    }
}

fn build(options: &Options, log: bool) -> Result<(&'static Board, PathBuf)> {
    let board = Board::by_name(&options.board)?;
    let plan = model(options)?.convert(board, &options.convert)?;
    let samples = Samples { seed: options.seed, count: options.samples };
    let app = App { board, plan: &plan, samples, log, speed: options.opt };
    Ok((board, app.build()?))
}
