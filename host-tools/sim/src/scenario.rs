//! What a simulation is about.

use crate::Rules;
use crate::links::Latencies;
use mote_modest::Params;

/// What happens to the network.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    Crash(usize),
    /// Comes back with its old view, and joins again.
    Restart(usize),
    /// One that was not there from the beginning joins; it knows `sample` live members.
    Join(usize),
    Leave(usize),
    /// Whoever makes a mean for the newest round right now crashes, and is back after so many milliseconds.
    CrashAggregator {
        back_after: u64,
    },
    /// Nodes of unlike groups don't hear each other from now on.
    Part(Vec<u8>),
    /// Everybody hears everybody.
    Heal,
}

/// A network and its fate. Times are in milliseconds.
#[derive(Clone, Debug)]
pub struct Scenario {
    pub seed: u64,
    pub nodes: usize,
    /// The first of the nodes are members from the beginning.
    pub founders: usize,
    pub params: Params,
    pub latencies: Latencies,
    /// Bytes a millisecond of each node's line.
    pub bandwidth: f64,
    pub loss_permille: u32,
    /// Bytes of a model if the task has no parameters.
    pub model_bytes: usize,
    /// Bytes that a message can spare for a view's changes.
    pub changes_bytes: usize,
    /// One training step, of one in `slow.0` nodes `slow.1` times as long.
    pub step: u64,
    pub slow: (usize, u64),
    pub changes: Vec<(u64, Change)>,
    /// Rounds to be begun.
    pub rounds: u32,
    /// Virtual time without a new round after which the network counts as stalled.
    pub patience: u64,
    /// Rounds between two looks at agreement (0: none) and at the model.
    pub look_every: u32,
    pub evaluate_every: u32,
    pub rules: Rules,
    pub threads: usize,
}

impl Scenario {
    /// `nodes` founders on good lines, nothing happens to them.
    pub fn calm(nodes: usize, seed: u64) -> Scenario {
        Scenario {
            seed,
            nodes,
            founders: nodes,
            params: Params::DEFAULT,
            latencies: Latencies::synthetic(227, 1),
            bandwidth: 12_500.0,
            loss_permille: 0,
            model_bytes: 4 * 85_354,
            changes_bytes: 1 << 20,
            step: 30,
            slow: (usize::MAX, 1),
            changes: Vec::new(),
            rounds: 100,
            patience: 600_000,
            look_every: 10,
            evaluate_every: 10,
            rules: Rules::PLAIN,
            threads: 1,
        }
    }

    /// Milliseconds that `steps` take on `node`.
    pub fn training(&self, node: usize, steps: u32) -> u64 {
        let factor = if node % self.slow.0 == self.slow.0 - 1 { self.slow.1 } else { 1 };
        (u64::from(steps) * self.step * factor).max(1)
    }
}
