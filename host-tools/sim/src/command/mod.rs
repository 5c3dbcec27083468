//! The command line of simulations: options, and the figures that they ask for, as JSON. Called by `mote-sim` and by
//! `mote simulate`.

mod page;
mod parse;
mod protocol;
mod text;
mod training;

pub use text::text;

use crate::links::Latencies;
use crate::tasks::{Deal, MovieLens, Pictures};
use crate::{Lie, Merge, Rules, Scenario, SimError, Task, Weigh, trials};
use clap::{Args, Subcommand};
use mote_modest::compress::Codec;
use serde_json::{Value, json};
use std::path::PathBuf;

#[derive(Args, Clone, Debug)]
pub struct Options {
    /// Round-trip times between cities; synthetic ones without it.
    #[arg(long, global = true)]
    latencies: Option<PathBuf>,
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
    #[arg(long, global = true, default_value_t = 2)]
    threads: usize,
    /// Tells every score, not results alone.
    #[arg(long, global = true)]
    curves: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Clone, Debug)]
enum Command {
    /// The protocol alone: agreement on samples, traffic of views, rounds a second.
    Protocol {
        #[arg(long, default_value_t = 1000)]
        nodes: usize,
        #[arg(long, default_value_t = 500)]
        rounds: u32,
        /// Of so many nodes one crashes, leaves, comes back or joins a minute.
        #[arg(long)]
        churn: Option<usize>,
    },
    /// Loss, crashes of aggregators and a partition that heals: does anything stall?
    Stalls {
        #[arg(long, default_value_t = 24)]
        nodes: usize,
        #[arg(long, default_value_t = 10_000)]
        rounds: u32,
        #[arg(long, default_value_t = 20)]
        seeds: u64,
    },
    /// The paper's joining schedule: one node a minute joins 90, ten times.
    Join {
        #[arg(long, default_value_t = 400)]
        rounds: u32,
    },
    /// The paper's crash schedule: 80 of 100 nodes, five a minute. With pictures it is trained, with crashes and without.
    Crash {
        #[arg(long, default_value_t = 600)]
        rounds: u32,
        #[command(flatten)]
        task: TaskOptions,
        /// Writes a page of charts.
        #[arg(long)]
        html: Option<PathBuf>,
    },
    /// MoDeST beside FedAvg, D-SGD and gossip, really trained.
    Train {
        #[command(flatten)]
        runs: RunOptions,
        /// Rounds of D-SGD and gossip, in which all nodes train; 0: none.
        #[arg(long, default_value_t = 12)]
        peer_rounds: u32,
        #[command(flatten)]
        rules: RuleOptions,
    },
    /// The same training with updates and means in fewer bytes.
    Compress {
        #[command(flatten)]
        runs: RunOptions,
        /// Codecs of updates and of means, `UP/DOWN[+KEPT][/TIMES[/ROUNDS]]`: aggregators go on with what `KEPT` makes of
        /// means; so many times the local steps, in so many times fewer rounds, or in so many.
        #[arg(long = "codec", value_parser = parse::coding)]
        codecs: Vec<parse::Coding>,
    },
    /// The same training with other ways to average: mean by samples or participation, with corrected variance, trimmed,
    /// TIES.
    Merge {
        #[command(flatten)]
        runs: RunOptions,
    },
    /// The same training with members that lie, averaged plainly, and with clipping and trimmed means.
    Lies {
        #[command(flatten)]
        runs: RunOptions,
        /// So many members lie.
        #[arg(long, default_value_t = 10)]
        liars: usize,
        /// `flip`, or factors of updates.
        #[arg(long = "lie", value_parser = parse::lie, allow_hyphen_values = true)]
        lies: Vec<Lie>,
        /// Least and greatest values that a trimmed mean leaves out.
        #[arg(long, default_value_t = 2)]
        trim: usize,
    },
}

/// How long something is trained, how often, and what.
#[derive(Args, Clone, Debug)]
struct RunOptions {
    #[arg(long, default_value_t = 100)]
    rounds: u32,
    /// So many runs, with seeds that follow each other.
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    #[command(flatten)]
    task: TaskOptions,
    /// Writes a page of charts of the first seed.
    #[arg(long)]
    html: Option<PathBuf>,
}

/// What is trained.
#[derive(Args, Clone, Debug)]
struct TaskOptions {
    /// Folder of `cifar10-train-jpeg.tar.xz` and `cifar10-test-jpeg.tar.xz`.
    #[arg(long, conflicts_with = "ratings")]
    pictures: Option<PathBuf>,
    /// `ratings.csv` of MovieLens latest-small.
    #[arg(long)]
    ratings: Option<PathBuf>,
    /// Pictures to train with, of all nodes together.
    #[arg(long, default_value_t = 50_000)]
    train_pictures: usize,
    #[arg(long, default_value_t = 2000)]
    test_pictures: usize,
    /// Nodes among which pictures are dealt.
    #[arg(long, default_value_t = 100)]
    nodes: usize,
    /// Deals the pictures of each class by a Dirichlet distribution; without it evenly.
    #[arg(long)]
    alpha: Option<f64>,
    /// Learning rate; the task's own without it.
    #[arg(long)]
    rate: Option<f32>,
    /// Batches of 20 pictures that a node learns from in a round; 5 without it. Of ratings it learns from all.
    #[arg(long)]
    steps: Option<usize>,
    /// Participants a round.
    #[arg(long, default_value_t = 10)]
    sample: usize,
    /// Aggregators a round.
    #[arg(long, default_value_t = 1)]
    aggregators: usize,
}

/// What happens to updates.
#[derive(Args, Clone, Debug)]
struct RuleOptions {
    /// How updates travel: f32, f16, int8, sign, top:PERMILLE, project:COORDINATES.
    #[arg(long, default_value = "f32", value_parser = parse::codec)]
    up: Codec,
    /// How means travel.
    #[arg(long, default_value = "f32", value_parser = parse::codec)]
    down: Codec,
    /// mean, trimmed:COUNT, variance, ties:PERMILLE.
    #[arg(long, default_value = "mean", value_parser = parse::merge)]
    merge: Merge,
    /// How much each update counts in a mean: evenly, by its samples, or by participation (FedAU).
    #[arg(long, default_value = "evenly", value_parser = parse::weigh)]
    weigh: Weigh,
    /// Updates longer than the round's median are shortened to it.
    #[arg(long)]
    clip: bool,
    /// So many nodes lie: `flip`, or a factor.
    #[arg(long, default_value_t = 0)]
    liars: usize,
    #[arg(long, default_value = "flip", value_parser = parse::lie, allow_hyphen_values = true)]
    lie: Lie,
}

/// Runs what the options ask for.
///
/// # Errors
/// [`SimError`]: files that can't be read, a network that stalls.
pub fn run(options: Options) -> Result<Value, SimError> {
    let latencies = options.latencies.as_deref().map(Latencies::read).transpose()?;
    let Options { seed, threads, curves, .. } = options;
    let with = |scenario: Scenario| match &latencies {
        Some(latencies) => Scenario { latencies: latencies.clone(), threads, ..scenario },
        None => Scenario { threads, ..scenario },
    };
    Ok(match options.command {
        Command::Protocol { nodes, rounds, churn } => {
            let scenario = match churn {
                Some(each) => trials::churning(nodes, seed, rounds, each),
                None => Scenario { rounds, ..Scenario::calm(nodes, seed) },
            };
            protocol::calm(&with(scenario))?
        }
        Command::Stalls { nodes, rounds, seeds } => {
            let mut runs = Vec::new();
            for aggregators in [1, 2] {
                for seed in seed..seed + seeds {
                    let scenario = with(trials::troubled(nodes, aggregators, seed, rounds));
                    runs.push(protocol::stalls(&scenario, aggregators));
                }
            }
            let stalled = runs.iter().filter(|run| run["stalled"] != Value::Null).count();
            json!({ "stalled": stalled, "runs": runs })
        }
        Command::Join { rounds } => protocol::joining(&with(trials::joining(seed, rounds)))?,
        Command::Crash { rounds, task, .. } if task.pictures.is_none() && task.ratings.is_none() => {
            protocol::crashing(&with(trials::crashing(seed, rounds)), &crate::Protocol)?
        }
        Command::Crash { rounds, task, html } => {
            let trained = task.read(seed)?;
            training::crashes(&with(trials::crashing(seed, rounds)), trained.as_task(), html, curves)?
        }
        Command::Train { runs, peer_rounds, rules } => {
            let RuleOptions { up, down, merge, weigh, clip, liars, lie } = rules;
            let rules = Rules { up, down, kept: None, merge, weigh, clip, liars, lie };
            training::compare(&runs.plan(seed, curves, &with), rules, peer_rounds)?
        }
        Command::Compress { runs, codecs } => training::compress(&runs.plan(seed, curves, &with), &codecs)?,
        Command::Merge { runs } => training::merges(&runs.plan(seed, curves, &with))?,
        Command::Lies { runs, liars, lies, trim } => {
            training::lies(&runs.plan(seed, curves, &with), liars, &lies, trim)?
        }
    })
}

/// A task that was read.
enum Trained {
    Pictures(Box<Pictures>),
    MovieLens(Box<MovieLens>),
}

impl Trained {
    fn as_task(&self) -> &dyn Task {
        match self {
            Trained::Pictures(task) => task.as_ref(),
            Trained::MovieLens(task) => task.as_ref(),
        }
    }
}

impl RunOptions {
    fn plan<'a>(
        &'a self,
        seed: u64,
        curves: bool,
        with: &'a dyn Fn(Scenario) -> Scenario,
    ) -> training::Plan<'a> {
        let RunOptions { rounds, seeds, ref task, ref html } = *self;
        training::Plan { rounds, seeds: seed..seed + seeds, task, html: html.as_deref(), with, curves }
    }
}

impl TaskOptions {
    fn read(&self, seed: u64) -> Result<Trained, SimError> {
        if let Some(path) = &self.ratings {
            return Ok(Trained::MovieLens(Box::new(MovieLens::read(path, seed)?.at(self.rate))));
        }
        let folder = self.pictures.as_deref().ok_or(SimError::NoTask)?;
        let counts = (self.train_pictures, self.test_pictures);
        let pictures = Pictures::read(folder, counts, self.nodes, self.deal(), seed)?;
        Ok(Trained::Pictures(Box::new(pictures.at(self.rate, self.steps))))
    }

    /// The same task with another seed; files are not read again where data don't depend on it.
    fn again(&self, task: Trained, seed: u64) -> Result<Trained, SimError> {
        Ok(match task {
            Trained::Pictures(task) => Trained::Pictures(Box::new(task.again(self.nodes, self.deal(), seed))),
            Trained::MovieLens(_) => self.read(seed)?,
        })
    }

    fn deal(&self) -> Deal {
        self.alpha.map_or(Deal::Even, |alpha| Deal::Dirichlet { alpha })
    }

    fn scenario(&self, task: &Trained, rounds: u32, seed: u64) -> Scenario {
        let nodes = if let Trained::MovieLens(task) = task { task.users() } else { self.nodes };
        let calm = Scenario::calm(nodes, seed);
        let params =
            mote_modest::Params { sample: self.sample, aggregators: self.aggregators, ..calm.params };
        Scenario { rounds, params, evaluate_every: (rounds / 40).max(1), ..calm }
    }
}
