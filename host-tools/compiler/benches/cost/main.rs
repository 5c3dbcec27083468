//! What steps cost on each core: `cargo xtask bench cost [--core m4,m7,m33,m55]` writes `src/cost/tables`.
//!
//! Random networks and known ones run on the emulated boards, with a count for every step. From all of them come the
//! factors of each kernel's cost ([`fit`]), and once for every known network from all others: how far its total is off
//! then is the error that the table keeps.

mod fit;
mod layers;
mod networks;

// Its other readers are tests.
#[allow(dead_code)]
#[path = "../../tests/golden/mod.rs"]
mod golden;

use fit::Sample;
use layers::Format;
use mote_compiler::cost::table::{Checked, Cost, Figures, Table, key, plain};
use mote_compiler::cost::{ENGINE, Feature, Work};
use mote_compiler::executor::AlignedBytes;
use mote_compiler::graph::Rounding;
use mote_compiler::stream::Rows;
use mote_compiler::targets;
use mote_emulator::board::Board;
use mote_emulator::profile::{self, Subject};
use mote_runtime::Plan;
use mote_runtime::plan::{RegionKind, target};
use std::collections::BTreeMap;
use std::path::Path;

/// Random networks of each number format, with whole tensors and again row by row.
const INT8: u64 = 48;
const FLOAT: u64 = 16;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let cores =
        arguments.iter().position(|argument| argument == "--core").and_then(|at| arguments.get(at + 1));
    for core in cores.map_or("m4,m7,m33,m55", |cores| cores).split(',') {
        let board = Board::by_core(core).unwrap_or_else(|error| panic!("{error}"));
        let table = measure(board);
        tell(&table);
        let path = Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("src/cost/tables")
            .join(&table.target)
            .with_extension("json");
        let text = serde_json::to_string_pretty(&table).expect("a table is JSON");
        std::fs::write(&path, text + "\n").unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

fn measure(board: &'static Board) -> Table {
    let target = targets::by_name(board.plan_target).map_or(0, |profile| profile.code);
    let image = profile::image(board).unwrap_or_else(|error| panic!("{error}"));
    let mut samples = Vec::new();
    let mut run = |network: Option<&str>, plan: &[u8]| match sample(board, &image, network, plan) {
        Ok(more) => samples.extend(more),
        Err(error) => eprintln!("left out {}: {error}", network.unwrap_or("a random network")),
    };
    for rows in [Rows::Off, Rows::Auto] {
        for seed in 0..INT8 {
            let rounding = if seed % 3 == 0 { Rounding::Single } else { Rounding::Double };
            // Now and then the kernels that the target's packer would not choose: they may be compared with its own.
            let others = other_targets(board.core, seed).into_iter();
            for target in others.chain([target]) {
                if let Some(network) = layers::network(seed, Format::Int8(rounding), target, rows) {
                    run(None, &network.plan);
                }
            }
        }
        for seed in 0..FLOAT {
            if let Some(network) = layers::network(1000 + seed, Format::F32, target, rows) {
                run(None, &network.plan);
            }
        }
    }
    for (name, plan) in networks::all(target) {
        run(Some(&name), &plan);
    }
    keep(board, &samples);
    table(board, &samples)
}

/// Targets whose plans a core can run beside its own ones.
fn other_targets(core: &str, seed: u64) -> Vec<u16> {
    match (core, seed % 4) {
        (_, 0) => vec![target::PORTABLE],
        ("m55", 2) => vec![target::CORTEX_M4],
        _ => Vec::new(),
    }
}

/// What was measured goes to the target folder, for whoever looks for better features.
fn keep(board: &Board, samples: &[Sample]) {
    let write = || -> Option<()> {
        let folder = mote_emulator::workspace::target().ok()?.join("bench");
        std::fs::create_dir_all(&folder).ok()?;
        let file = folder.join(format!("cost-{}.json", board.core));
        std::fs::write(&file, serde_json::to_string(samples).ok()?).ok()
    };
    if write().is_none() {
        eprintln!("the measurements themselves were not kept");
    }
}

/// Every step of a plan, and the engine.
fn sample(
    board: &'static Board,
    image: &Path,
    network: Option<&str>,
    bytes: &[u8],
) -> mote_emulator::Result<Vec<Sample>> {
    let aligned = AlignedBytes::from_slice(bytes);
    let plan = Plan::parse(aligned.as_ref()).unwrap_or_else(|error| panic!("{error}"));
    let endless = plan.region(0).filter(|region| region.kind == RegionKind::Endless as u8);
    let result = endless.and_then(|_| plan.step(plan.port(plan.port_of(1, 0)?)?.step.into()));
    let (first_ready, every) = result.map_or((0, 1), |step| (step.phase as usize, step.every.into()));
    let subject =
        Subject { plan: bytes, memory: plan.arena_bytes() + plan.state_bytes(), first_ready, every };
    let profile = profile::run(board, image, &subject)?;
    let cycles = |counts: &mote_emulator::counts::Counts| match board.core {
        "m4" => counts.m4_cycles().map(|cycles| Some(cycles as f64)),
        _ => Ok(None),
    };
    let works = Work::of_plan(&plan);
    let network = network.map(str::to_owned);
    let mut samples = Vec::new();
    let (mut rest, mut rest_cycles) = (profile.inference.total()? as f64, cycles(&profile.inference)?);
    for step in &profile.steps {
        let Some(&work) = works.get(step.step) else { continue };
        let (value, cycles) = (step.counts.total()? as f64, cycles(&step.counts)?);
        rest -= value;
        rest_cycles = rest_cycles.zip(cycles).map(|(rest, cycles)| rest - cycles);
        samples.push(Sample { network: network.clone(), work, value, cycles });
    }
    if let Some(&work) = works.last() {
        samples.push(Sample {
            network,
            work,
            value: rest.max(0.0),
            cycles: rest_cycles.map(|rest| rest.max(0.0)),
        });
    }
    Ok(samples)
}

fn table(board: &Board, samples: &[Sample]) -> Table {
    let names: Vec<&str> = {
        let mut names: Vec<&str> = samples.iter().filter_map(|sample| sample.network.as_deref()).collect();
        names.sort_unstable();
        names.dedup();
        names
    };
    let mut networks = BTreeMap::new();
    for name in names {
        // Other plans of the same network would give it away.
        let family = |name: &str| name.split(' ').next().unwrap_or(name).to_owned();
        let (own, others): (Vec<_>, Vec<_>) = samples
            .iter()
            .partition(|sample| sample.network.as_deref().is_some_and(|other| family(other) == family(name)));
        let kernels = figures(&others, false);
        let of = |sample: &Sample| units(&kernels, &sample.work);
        let own = own.into_iter().filter(|sample| sample.network.as_deref() == Some(name));
        let own: Vec<(f64, Option<f64>)> = own.map(|sample| (sample.value, of(sample))).collect();
        let unknown = own.iter().filter(|(_, estimated)| estimated.is_none()).count();
        if unknown > 0 {
            eprintln!("{name}: {unknown} steps have kernels that no other network has");
        }
        // What only this network has cannot be judged; the rest of it can.
        let own = own.iter().filter_map(|(value, estimated)| Some((*value, (*estimated)?)));
        let (measured, estimated) =
            own.fold((0.0, 0.0), |sum, (value, estimated)| (sum.0 + value, sum.1 + estimated));
        networks.insert(name.to_owned(), Checked { measured, estimated: estimated.round() });
    }
    let error = |float: bool| {
        let those = networks.iter().filter(|(name, _)| name.contains("f32") == float);
        rounded(those.map(|(_, network): (_, &Checked)| network.error().abs()).fold(0.0, f64::max))
    };
    Table {
        target: board.plan_target.into(),
        unit: "instructions".into(),
        measured: format!("{} on the emulated {}", board.cpu, board.name),
        error: error(false),
        float_error: error(true),
        networks,
        kernels: figures(&samples.iter().collect::<Vec<_>>(), true),
    }
}

fn units(kernels: &BTreeMap<String, Figures>, work: &Work) -> Option<f64> {
    let table = Table {
        target: String::new(),
        unit: String::new(),
        measured: String::new(),
        error: 0.0,
        float_error: 0.0,
        networks: BTreeMap::new(),
        kernels: kernels.clone(),
    };
    table.cost(work).map(|Cost { units, .. }| units)
}

fn figures(samples: &[&Sample], with_cycles: bool) -> BTreeMap<String, Figures> {
    // Kernels that differ in their rounding only are looked at together, all functions and each.
    let mut groups: BTreeMap<(&str, u32), Vec<&Sample>> = BTreeMap::new();
    for &sample in samples {
        let work = &sample.work;
        groups.entry((plain(work.kernel), 0)).or_default().push(sample);
        if work.function != 0 {
            groups.entry((plain(work.kernel), work.function)).or_default().push(sample);
        }
    }
    let mut all = BTreeMap::new();
    for ((_, function), samples) in groups {
        let values: Vec<(Work, f64)> = samples.iter().map(|sample| (sample.work, sample.value)).collect();
        let cycles: Option<Vec<(Work, f64)>> = samples.iter().map(|s| Some((s.work, s.cycles?))).collect();
        let mut cycles = cycles.filter(|_| with_cycles).map(|cycles| fit::fit(&cycles)).unwrap_or_default();
        for (kernel, cost) in fit::fit(&values) {
            let cost = round(cost);
            let own: Vec<_> = values.iter().filter(|(work, _)| work.kernel == kernel).collect();
            let error = |(work, value): &(Work, f64)| {
                let estimated: f64 = cost.iter().map(|(feature, factor)| factor * feature.of(work)).sum();
                (estimated - value).abs() / value.max(1.0)
            };
            let error = own.iter().map(|sample| error(sample)).sum::<f64>() / own.len() as f64;
            let name = if function == 0 { kernel.to_owned() } else { key(kernel, function) };
            let cycles = cycles.remove(kernel).map(round).unwrap_or_default();
            all.insert(name, Figures { samples: own.len(), error: rounded(error), cycles, cost });
        }
    }
    all
}

fn round(factors: BTreeMap<Feature, f64>) -> BTreeMap<Feature, f64> {
    factors.into_iter().map(|(feature, factor)| (feature, rounded(factor))).collect()
}

/// To four digits.
fn rounded(value: f64) -> f64 {
    format!("{value:.3e}").parse().unwrap_or(value)
}

fn tell(table: &Table) {
    println!("\n{}: {}", table.target, table.measured);
    println!("  {:27} {:>7} {:>6}  cost", "kernel", "samples", "error");
    for (kernel, figures) in &table.kernels {
        let cost: Vec<String> = figures
            .cost
            .iter()
            .map(|(feature, factor)| {
                let feature = serde_json::to_value(feature).ok();
                format!("{factor} {}", feature.as_ref().and_then(|name| name.as_str()).unwrap_or("?"))
            })
            .collect();
        let kernel = if kernel == ENGINE { "(engine)" } else { kernel };
        println!(
            "  {kernel:27} {:>7} {:>5.1}%  {}",
            figures.samples,
            100.0 * figures.error,
            cost.join(" + ")
        );
    }
    println!("  {:27} {:>12} {:>12} {:>7}", "network, left out", "measured", "estimated", "error");
    for (name, network) in &table.networks {
        println!(
            "  {name:27} {:>12} {:>12} {:>+6.1}%",
            network.measured,
            network.estimated,
            100.0 * network.error()
        );
    }
    println!(
        "  largest error: {:.1} % of int8 networks, {:.1} % of float ones",
        100.0 * table.error,
        100.0 * table.float_error
    );
}
