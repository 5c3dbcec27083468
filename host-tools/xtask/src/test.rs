//! `cargo xtask test`: everything that must hold before a change is merged.

use std::{
    env, fs,
    io::{BufRead, BufReader, Read},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use anyhow::{Context, Result, bail};

use mote_emulator::profile;

use crate::{
    bench::{code, mcu},
    board::{BOARDS, Board},
    golden,
    image::{App, Samples, Speed},
    keyword, lint, linux, models,
    models::{Found, MLPERF},
    on_target, panics, sensor, setup,
    steps::{Steps, Tally},
    train, twin, wasm,
    workspace::{cargo, run as run_command, shown, target},
};

#[derive(clap::Args)]
pub struct Options {
    /// Random samples per network on the emulated microcontroller; the golden files hold 200
    #[arg(long, default_value_t = 200)]
    samples: usize,
    /// Only this part, of what was set up before
    #[arg(long, value_enum)]
    part: Option<Part>,
    /// Where a part writes its steps for the process that started it
    #[arg(long, hide = true, requires = "part")]
    report: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum Part {
    /// Host, peers, 64-bit Arm, Node and Chromium
    Host,
    /// Emulated microcontrollers
    Boards,
}

impl Part {
    fn name(self) -> &'static str {
        match self {
            Self::Host => "host",
            Self::Boards => "boards",
        }
    }
}

pub fn run(options: &Options) -> Result<()> {
    let mut steps = Steps::default();
    match options.part {
        Some(Part::Host) => host(&mut steps),
        Some(Part::Boards) => boards(&mut steps, options.samples),
        None => {
            setup::add_steps(&mut steps);
            lint::add_steps(&mut steps);
            steps.run("compiling the tests", || {
                run_command(cargo().args(["test", "--release", "--workspace", "--no-run", "--quiet"]))
            });
            beside(&mut steps, &[Part::Host, Part::Boards], options.samples)?;
        }
    }
    match &options.report {
        Some(report) => steps.write(report),
        None => steps.finish(),
    }
}

/// Runs parts beside each other, each a process with its name before its lines: emulators, linkers and most tests are one
/// thread each.
fn beside(steps: &mut Steps, parts: &[Part], samples: usize) -> Result<()> {
    let reports = target()?.join("reports");
    fs::create_dir_all(&reports)?;
    thread::scope(|scope| {
        let start = |part: &Part| {
            let (name, report) = (part.name(), reports.join(part.name()).with_extension("json"));
            (name, scope.spawn(move || alone(name, samples, &report).map(|()| report)))
        };
        let running: Vec<_> = parts.iter().map(start).collect();
        for (name, part) in running {
            let report = part.join().unwrap_or_else(|_| bail!("the thread of part {name} failed"));
            if let Err(error) = report.and_then(|report| steps.take(&report)) {
                steps.run(name, || Err(error));
            }
        }
    });
    Ok(())
}

/// Runs a part in a process of its own.
fn alone(name: &'static str, samples: usize, report: &Path) -> Result<()> {
    let mut part = Command::new(env::current_exe()?);
    part.args(["test", "--part", name, "--samples", &samples.to_string(), "--report"]).arg(report);
    let mut child = part.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let stderr = child.stderr.take().context("no standard error")?;
    let errors = thread::spawn(move || named(name, stderr));
    named(name, child.stdout.take().context("no standard output")?);
    let _ = errors.join();
    match child.wait()? {
        status if status.success() => Ok(()),
        status => bail!("{status}: {}", shown(&part)),
    }
}

/// Prints lines with a name before them.
fn named(name: &str, lines: impl Read) {
    let mut lines = BufReader::new(lines);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).is_ok_and(|read| read > 0) {
        print!("{name:6} | {}", String::from_utf8_lossy(&line));
        line.clear();
    }
}

fn host(steps: &mut Steps) {
    steps.tests("tests on the host", host_tests);
    steps.tests("peers in memory", peer_tests);
    for core in linux::CORES {
        steps.tests(&format!("kernels on {}", core.cpu), || cargo_tests(linux::tests(core)?));
    }
    wasm::add_steps(steps);
}

fn boards(steps: &mut Steps, samples: usize) {
    for board in BOARDS {
        steps.tests(&format!("programs on {}", board.name), || on_target::run_all(board, ""));
        match board.core {
            "m4" => {
                networks(steps, board, MLPERF.iter().map(|(name, _)| *name), samples);
                start_up(steps, board);
            }
            // No network fits beside the app; the programs show that the board starts.
            "m0" => {}
            // The same kernels as on the first board, or (m55) others: a look at every kind of layer.
            _ => networks(steps, board, ["kws", "resnet8"].into_iter(), samples.min(20)),
        }
        if matches!(board.core, "m4" | "m55") {
            families(steps, board);
        }
        if matches!(board.core, "m4" | "m7" | "m55") {
            keyword::add_steps(steps, board);
            sensor::add_steps(steps, board);
        }
    }
    train::add_steps(steps, false);
}

/// The networks on an emulated board: outputs as the reference has them, and no way to a panic.
fn networks<'n>(steps: &mut Steps, board: &Board, names: impl Iterator<Item = &'n str>, samples: usize) {
    for name in names {
        let step = format!("{name} on {}", board.name);
        match models::find(name) {
            Ok(Found::Here(model)) => steps.tests(&step, || golden::run(board, &model, samples)),
            Ok(Found::Absent(reason)) => steps.skip(&step, reason),
            Err(error) => steps.run(&step, || Err(error)),
        }
    }
    steps.run(&format!("cifar10 on {}", board.name), || {
        let Found::Here(model) = models::find("cifar10")? else { bail!("the bundled network is missing") };
        let plan = model.convert(board, &[])?;
        let samples = Samples { seed: 1, count: 1 };
        let app = App { board, plan: &plan, samples, log: false, speed: Speed::Fast };
        let image = app.build()?;
        panics::check(&image)?;
        code::check(&image, &models::facts(&plan)?)
    });
    // The image for plans that come at run time holds the parser and every kernel.
    steps.run(&format!("all kernels on {}", board.name), || panics::check(&profile::image(board)?));
}

/// The trained networks of the families: the host's outputs in every byte.
fn families(steps: &mut Steps, board: &Board) {
    for name in models::families() {
        steps.tests(&format!("{name} on {}", board.name), || match models::find(name)? {
            Found::Here(model) => twin::run_both(board, &model, 2),
            Found::Absent(reason) => bail!("{reason}"),
        });
    }
}

/// Most instructions of start-up with a plan that comes at run time. Counts are exact: what is above them is a change.
/// The goal is 20,000 for all; visual wake words has sparse layers, whose check reads every weight (85,195; all dense
/// 28,131), and must not grow.
const START_UP: &[(&str, u64)] =
    &[("ad", 20_000), ("kws", 20_000), ("sww", 20_000), ("vww", 86_000), ("resnet8", 20_000)];

fn start_up(steps: &mut Steps, board: &'static Board) {
    for (name, most) in START_UP {
        let step = format!("start-up of {name} on {}", board.name);
        match models::find(name) {
            Ok(Found::Here(model)) => steps.run(&step, || match mcu::parse_instructions(board, &model)? {
                taken if taken < *most => Ok(()),
                taken => bail!("{taken} instructions, at most {most} are allowed"),
            }),
            Ok(Found::Absent(reason)) => steps.skip(&step, reason),
            Err(error) => steps.run(&step, || Err(error)),
        }
    }
}

/// All tests that cargo knows.
fn host_tests() -> Result<Tally> {
    let mut cargo = cargo();
    cargo.args(["test", "--release", "--workspace", "--no-fail-fast"]);
    cargo_tests(cargo)
}

/// Peers without connections: their own workspace, of which iroh alone would take minutes.
fn peer_tests() -> Result<Tally> {
    let mut cargo = cargo();
    cargo.args([
        "test",
        "--release",
        "--manifest-path",
        "host-tools/peer/Cargo.toml",
        "--no-default-features",
    ]);
    cargo_tests(cargo)
}

/// Tests that cargo runs, with their output, counted.
fn cargo_tests(mut cargo: Command) -> Result<Tally> {
    let mut child = cargo.stdout(Stdio::piped()).spawn()?;
    let mut tally = Tally::default();
    for line in BufReader::new(child.stdout.take().context("cargo has no output")?).lines() {
        let line = line?;
        if let Some(result) = parse(&line) {
            tally.passed += result.passed;
            tally.failed += result.failed;
        }
        println!("{line}");
    }
    let status = child.wait()?;
    if !status.success() && tally.failed == 0 {
        bail!("{status}: {}", shown(&cargo)); // did not compile, or a test program crashed
    }
    Ok(tally)
}

/// Reads `test result: ok. 5 passed; 0 failed; ...`.
fn parse(line: &str) -> Option<Tally> {
    let mut numbers = line
        .strip_prefix("test result: ")?
        .split_once(". ")?
        .1
        .split("; ")
        .map(|part| part.split(' ').next().and_then(|number| number.parse().ok()));
    Some(Tally { passed: numbers.next()??, failed: numbers.next()?? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_tests() {
        let line = "test result: FAILED. 12 passed; 3 failed; 1 ignored; 0 measured; 0 filtered out";
        let tally = parse(line).unwrap_or_default();
        assert_eq!((tally.passed, tally.failed), (12, 3));
        assert!(parse("test plan::parses ... ok").is_none());
    }
}
