//! Runs the programs of `tests/on-target` and compares with what they must do; the README there
//! tells the format of the expectations.

use std::{fmt::Write, fs, path::Path, time::Duration};

use anyhow::{Context, Result, bail};

use crate::{
    board::Board,
    counts::Section,
    image::{self, Speed},
    panics,
    qemu::{self, Outcome, Settings},
    steps::Tally,
    workspace::root,
};

#[derive(clap::Args)]
pub struct Options {
    #[arg(long, default_value = "mps2-an386")]
    board: String,
    /// Only programs whose name contains this
    filter: Option<String>,
}

pub fn run(options: &Options) -> Result<()> {
    let board = Board::by_name(&options.board)?;
    let tally = run_all(board, options.filter.as_deref().unwrap_or_default())?;
    println!("{} passed, {} failed", tally.passed, tally.failed);
    if tally.failed > 0 {
        bail!("{} programs did not do what they must", tally.failed);
    }
    Ok(())
}

/// The programs for cores without 32-bit instructions.
const SMALL: &[&str] = &["board", "panics"];

/// Runs all programs whose name contains the filter.
pub fn run_all(board: &Board, filter: &str) -> Result<Tally> {
    let images = image::build("mote-on-target", board, Speed::Fast, board.name, &[])?;
    let mut sources: Vec<_> = fs::read_dir(root().join("tests/on-target/programs"))?
        .map(|entry| Ok(entry?.path()))
        .collect::<Result<_>>()?;
    sources.retain(|path| path.extension().is_some_and(|extension| extension == "rs"));
    sources.sort();

    let mut tally = Tally::default();
    for source in sources {
        let name = source.file_stem().context("a program without a name")?.to_string_lossy();
        let fits = board.is_mainline() || SMALL.contains(&&*name);
        if !name.contains(filter) || !fits {
            continue;
        }
        match run_one(board, &images.with_file_name(&*name), &source.with_extension("out")) {
            Ok(()) => {
                tally.passed += 1;
                eprintln!("ok     {name}");
            }
            Err(error) => {
                tally.failed += 1;
                eprintln!("FAILED {name}: {error:#}");
            }
        }
    }
    Ok(tally)
}

fn run_one(board: &Board, image: &Path, expectation: &Path) -> Result<()> {
    let expected =
        fs::read_to_string(expectation).with_context(|| format!("reading {}", expectation.display()))?;
    let settings = Settings { count: true, echo: false, patience: Duration::from_secs(60) };
    let outcome = qemu::emulate(board, image, settings)?;
    let found = told(&expected, &outcome, image)?;
    if found != expected {
        bail!("expected\n{expected}found\n{found}");
    }
    Ok(())
}

/// Tells the outcome in the lines of the expectation: all of the log and of the counts, with the
/// fields that the expectation names, and the rest if the expectation asks for it.
fn told(expected: &str, outcome: &Outcome, image: &Path) -> Result<String> {
    let mut text = String::new();
    for line in &outcome.log {
        writeln!(text, "log {}", line.replace('\n', " "))?;
    }
    let asked: Vec<_> = expected.lines().filter_map(|line| line.strip_prefix("count ")).collect();
    let sections = outcome.counts.as_ref().map_or(&[][..], |counts| &counts.sections);
    if !asked.is_empty() {
        for (i, section) in sections.iter().enumerate() {
            let fields = asked.get(i).copied().unwrap_or("total=");
            writeln!(text, "count {}", count_line(section, fields)?)?;
        }
    }
    if expected.lines().any(|line| line.starts_with("console ")) {
        let hex: String = outcome.console.iter().map(|byte| format!("{byte:02x}")).collect();
        writeln!(text, "console {hex}")?;
    }
    if !panics::find(image)?.is_empty() && expected.lines().any(|line| line == "panics") {
        writeln!(text, "panics")?;
    }
    writeln!(text, "exit {}", outcome.exit)?;
    Ok(text)
}

fn count_line(section: &Section, fields: &str) -> Result<String> {
    let told = fields.split(' ').map(|field| {
        let name = field.split('=').next().unwrap_or_default();
        let value = match name {
            "laps" => {
                let laps = section.laps.iter().map(|lap| Ok(lap.total()?.to_string()));
                laps.collect::<Result<Vec<_>>>()?.join("+")
            }
            _ => section.counts.get(name)?.to_string(),
        };
        Ok(format!("{name}={value}"))
    });
    Ok(told.collect::<Result<Vec<_>>>()?.join(" "))
}
