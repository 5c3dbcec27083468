//! The training app: boards that train the last layer of a network as members of a MoDeST network, and what that costs.
//!
//! Members have pictures that nobody else has. Those of the boards go in as they are; of the peers the features, which the
//! same frozen network makes on the host.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use mote_modest::local::{Local, Recipe, Samples};
use mote_runtime::{
    random::Random,
    train::{Conv, Layer, Network, Trainer, Training},
};

use crate::{
    board::Board,
    image::{self, Speed},
    kernels, models,
    models::Model,
    npy, panics,
    qemu::{self, Settings},
    steps::{Steps, Tally},
    workspace::{cargo, root, run as run_command, target},
};

/// Boards of the test; the first one is measured.
const BOARDS: [&str; 2] = ["mps2-an386", "mps2-an500"];
const PEERS: usize = 5;
const CLASSES: usize = 10;
/// Samples of each member, and of the test.
const SAMPLES: usize = 20;
const TEST: usize = 100;
/// As `firmware/apps/train/src/measure.rs` has it.
const RECIPE: Recipe = Recipe { rate: 0.05, momentum: 0.9, batch: 4, epochs: 2 };
const SEED: u64 = 1;

/// `cargo xtask firmware train`.
pub fn run(iroh: bool) -> Result<()> {
    let mut steps = Steps::default();
    add_steps(&mut steps, iroh);
    steps.finish()
}

pub fn add_steps(steps: &mut Steps, iroh: bool) {
    steps.run("training of boards and peers", || network(iroh));
    for board in BOARDS {
        steps.tests(&format!("training on {board}"), || {
            let board = Board::by_name(board)?;
            let tally = measured(board)?.1;
            shipped(board)?;
            Ok(Tally { passed: tally.passed + 2, ..tally })
        });
    }
}

/// `cargo xtask bench train`.
pub fn bench() -> Result<()> {
    measured(Board::by_name(BOARDS[0])?)?.0.print();
    Ok(())
}

/// The network in front of the classifier that comes with the project.
pub fn plan(board: &Board) -> Result<PathBuf> {
    let path = root().join("models/cifar10/cifar10_small.onnx");
    let arguments = models::bundled_arguments(&[]).chain(["--train", "head"]);
    let arguments: Vec<String> = arguments.map(String::from).collect();
    Model { name: "cifar10-features".into(), path }.convert(board, &arguments)
}

fn build(board: &Board, plan: &Path, features: &str) -> Result<PathBuf> {
    let environment = [("MOTE_PLAN", plan.display().to_string()), ("MOTE_CLASSES", CLASSES.to_string())];
    Ok(image::build("mote-train", board, Speed::Fast, &format!("{}{features}", board.name), &environment)?)
}

/// Whether the image that is shipped has no way to a panic, and no kernel too many.
fn shipped(board: &Board) -> Result<()> {
    let plan = plan(board)?;
    let image = build(board, &plan, "")?;
    panics::check(&image)?;
    kernels::check(&image, &models::facts(&plan)?)?;
    let image::Sizes { flash, ram } = image::sizes(&image)?;
    eprintln!("  {flash} bytes of flash, {ram} of static RAM");
    Ok(())
}

/// Pictures as the frozen network takes them, int8, with their classes.
struct Pictures {
    pixels: Vec<i8>,
    classes: Vec<u8>,
}

const SIDE: usize = 32;
const PIXELS: usize = SIDE * SIDE * 3;

impl Pictures {
    /// Stripes: each class has its own colour, direction and width; place, strength and noise are the picture's.
    fn new(member: u64, count: usize) -> Pictures {
        let mut random = Random::new(1000 + member);
        let classes: Vec<u8> = (0..count).map(|n| (n % CLASSES) as u8).collect();
        let mut pixels = Vec::with_capacity(count * PIXELS);
        for &class in &classes {
            let (phase, strength) = (random.below(32) as usize, 60.0 + 50.0 * random.unit());
            let width = 3 + usize::from(class) % 5;
            for at in 0..PIXELS {
                let (row, column, channel) = (at / (SIDE * 3), at / 3 % SIDE, at % 3);
                let along = [row, column, row + column][usize::from(class) % 3] + phase;
                let light = (along / width).is_multiple_of(2) == (channel == usize::from(class) % 3);
                let value = if light { strength } else { -strength };
                pixels.push((value + 60.0 * (random.unit() - 0.5)).clamp(-128.0, 127.0) as i8);
            }
        }
        Pictures { pixels, classes }
    }

    fn bytes(&self) -> Vec<u8> {
        self.pixels.iter().map(|pixel| *pixel as u8).collect()
    }

    /// Count and bytes of samples, classes, samples: the job of the app without its key.
    fn job(&self) -> Vec<u8> {
        let words = [self.classes.len() as u32, PIXELS as u32].map(u32::to_le_bytes);
        [words.as_flattened(), &self.classes, &self.bytes()].concat()
    }

    /// Codes of the features, by the host.
    fn features(&self, plan: &Path) -> Result<Vec<u8>> {
        let input = npy::write("|i1", &[self.classes.len(), SIDE, SIDE, 3], &self.bytes())?;
        models::outputs(plan, &input, &folder()?)
    }

    /// A folder as `mote peer --data` takes it.
    fn write(&self, to: &Path, plan: &Path, scale: f32, zero_point: i32) -> Result<()> {
        fs::create_dir_all(to)?;
        let codes = self.features(plan)?;
        let inputs: Vec<u8> =
            codes.iter().flat_map(|code| real(*code as i8, scale, zero_point).to_le_bytes()).collect();
        let labels: Vec<u8> = self.classes.iter().flat_map(|class| i64::from(*class).to_le_bytes()).collect();
        let (count, features) = (self.classes.len(), codes.len() / self.classes.len());
        fs::write(to.join("inputs.npy"), npy::write("<f4", &[count, features], &inputs)?)?;
        fs::write(to.join("labels.npy"), npy::write("<i8", &[count], &labels)?)?;
        Ok(())
    }
}

fn real(code: i8, scale: f32, zero_point: i32) -> f32 {
    scale * (i32::from(code) - zero_point) as f32
}

fn folder() -> Result<PathBuf> {
    let folder = target()?.join("train");
    fs::create_dir_all(&folder)?;
    Ok(folder)
}

/// Two boards, a gateway and four peers: `host-tools/peer/tests/boards.rs`.
fn network(iroh: bool) -> Result<()> {
    let (folder, mut boards) = (folder()?, Vec::new());
    for (n, name) in BOARDS.iter().enumerate() {
        let board = Board::by_name(name)?;
        let plan = plan(board)?;
        let image = build(board, &plan, "")?;
        let at = image::reserved(&image, "_received")?.start;
        // The image that measures has the same path.
        let copy = folder.join(format!("{name}.elf"));
        fs::copy(&image, &copy)?;
        boards.push(format!("{name}={}@{at:#x}", copy.display()));
        fs::write(folder.join(format!("device-{n}.samples")), Pictures::new(n as u64, SAMPLES).job())?;
        if n == 0 {
            let (scale, zero_point) = models::facts(&plan)?.output_quantization()?;
            for peer in 0..PEERS {
                let pictures = Pictures::new(100 + peer as u64, SAMPLES);
                pictures.write(&folder.join(format!("peer-{peer}")), &plan, scale, zero_point)?;
            }
            Pictures::new(200, TEST).write(&folder.join("test"), &plan, scale, zero_point)?;
        }
    }
    let mut test: Command = cargo();
    test.args(["test", "--release", "--manifest-path", "host-tools/peer/Cargo.toml"]);
    if !iroh {
        test.arg("--no-default-features");
    }
    test.args(["--test", "boards", "--", "--ignored", "--nocapture"])
        .env("MOTE_TRAIN_FOLDER", &folder)
        .env("MOTE_TRAIN_BOARDS", boards.join(","));
    Ok(run_command(&mut test)?)
}

/// What training costs on a board; exact instructions.
struct Costs {
    board: String,
    /// The frozen network, once a sample.
    features: u64,
    /// A sample's training, means; and what an update adds to the last of a batch.
    sample: u64,
    update: u64,
    /// Hashes of base and update, and the signature.
    signing: u64,
    /// Bytes, by part.
    memory: Vec<(&'static str, u32)>,
}

/// Trains on the emulated board and on the host: the same features and the same parameters, bit for bit.
fn measured(board: &Board) -> Result<(Costs, Tally)> {
    let plan = plan(board)?;
    let image = build(board, &plan, ",measure")?;
    let pictures = Pictures::new(0, SAMPLES);
    let job = folder()?.join(format!("measure-{}.job", board.name));
    let samples = pictures.job();
    let (head, rest) = samples.split_at(8);
    fs::write(&job, [&b"MOTR"[..], head, &[7; 32], rest].concat())?;
    let at = image::reserved(&image, "_received")?.start;
    let loader = format!("loader,file={},addr={at:#x},force-raw=on", job.display());
    let settings = Settings { count: true, echo: false, patience: Duration::from_secs(600) };
    let outcome = qemu::emulate_with(board, &image, settings, &["-device".into(), loader])?;
    if outcome.exit != 0 {
        bail!("the image ended with code {}", outcome.exit);
    }
    let log = outcome.counts.context("no instruction counts")?;
    let of = |name: &str| {
        let sections = log.sections.iter().filter(|section| section.name == name);
        sections.map(|section| section.counts.total()).collect::<mote_emulator::Result<Vec<_>>>()
    };
    let (features, mut sections) = (of("inference")?, of("section")?);
    let signing = sections.pop().context("no section")?;
    let updates = |step: usize| {
        (step % SAMPLES + 1).is_multiple_of(RECIPE.batch.into()) || step % SAMPLES + 1 == SAMPLES
    };
    let mean = |with: bool| -> u64 {
        let steps =
            sections.iter().enumerate().filter(|(step, _)| updates(*step) == with).map(|(_, count)| *count);
        steps.clone().sum::<u64>() / steps.count().max(1) as u64
    };
    let expected = pictures.features(&plan)?;
    let width = expected.len() / SAMPLES;
    let (codes, rest) =
        outcome.console.split_at_checked(expected.len()).context("the app told too little")?;
    let parameters = (width + 1) * CLASSES;
    let (trained, rest) = rest.split_at_checked(4 * parameters).context("the app told too little")?;
    let words: Vec<[u8; 4]> = rest.as_chunks().0.to_vec();
    let [scale, zero_point, sizes @ ..] = &words[..] else { bail!("the app told too little") };
    let (scale, zero_point) = (f32::from_le_bytes(*scale), i32::from_le_bytes(*zero_point));
    if codes != expected {
        bail!("the board's features are not the host's");
    }
    let host = train(&expected, &pictures.classes, width, (scale, zero_point))?;
    let host: Vec<u8> = host.iter().flat_map(|number| number.to_le_bytes()).collect();
    if trained != host {
        bail!("the board's parameters are not the host's");
    }
    let parts = [
        "arena",
        "state",
        "features of 64 samples",
        "sample",
        "training",
        "message",
        "line and device",
        "stack",
    ];
    let memory = parts.into_iter().zip(sizes.iter().map(|bytes| u32::from_le_bytes(*bytes))).collect();
    let costs = Costs {
        board: board.name.into(),
        features: features.iter().sum::<u64>() / features.len().max(1) as u64,
        sample: mean(false),
        update: mean(true).saturating_sub(mean(false)),
        signing,
        memory,
    };
    Ok((costs, Tally { passed: 2, failed: 0 }))
}

/// The same on the host.
fn train(codes: &[u8], classes: &[u8], width: usize, quant: (f32, i32)) -> Result<Vec<f32>> {
    struct Own<'a>(&'a [u8], &'a [u8], usize, (f32, i32));
    impl Samples for Own<'_> {
        fn count(&self) -> usize {
            self.1.len()
        }
        fn sample(&mut self, index: usize, input: &mut [f32]) -> Option<usize> {
            let codes = self.0.chunks_exact(self.2).nth(index)?;
            input.iter_mut().zip(codes).for_each(|(to, code)| *to = real(*code as i8, self.3.0, self.3.1));
            self.1.get(index).map(|class| usize::from(*class))
        }
    }
    let layers = [Layer::Conv(Conv::dense(width, CLASSES), Training::All)];
    let network = Network::new(&layers).map_err(|error| anyhow::anyhow!("{error}"))?;
    let mut memory = vec![0.0; network.memory(true).total().div_ceil(4)];
    let refused = |error: mote_runtime::train::TrainError| anyhow::anyhow!("{error}");
    let mut trainer = Trainer::new(network, &[], &mut memory, true).map_err(refused)?;
    trainer.initialize(SEED);
    let base = trainer.parameters().to_vec();
    let mut own = Own(codes, classes, width, quant);
    let mut local = Local::begin(&mut trainer, RECIPE, classes.len(), base.into_iter()).map_err(refused)?;
    let mut input = vec![0.0; width];
    while !local.step(&mut trainer, &mut own, &mut input).map_err(refused)? {}
    Ok(trainer.parameters().to_vec())
}

impl Costs {
    fn print(&self) {
        let Costs { board, features, sample, update, signing, memory } = self;
        println!("training a head on the emulated {board}, exact instructions:");
        println!("  features of a sample, once      {features:>12}");
        println!("  training sample                 {sample:>12}");
        println!("  update, once a batch            {update:>12}");
        println!("  hashes and signature, a round   {signing:>12}");
        println!("bytes of memory:");
        for (part, bytes) in memory {
            println!("  {part:<31} {bytes:>12}");
        }
    }
}
