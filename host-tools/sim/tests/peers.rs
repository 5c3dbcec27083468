//! The simulator against peers: six members, the task and data of `host-tools/peer/tests/loopback.rs`, whose processes come to
//! the same final parameters, bit for bit.

use mote_modest::vouch::hash;
use mote_modest::{NodeId, Params};
use mote_peer::data::Data;
use mote_peer::mean::{Update, combine};
use mote_peer::state::hex;
use mote_peer::task::Task;
use mote_runtime::random::Random;
use mote_sim::{Merge, Rules, Scenario, Score, modest};
use std::sync::Mutex;
use std::sync::atomic::AtomicU32;

const TASK: &str = r#"{"seed": 1, "widths": [16, 4], "recipe": {"rate": 0.05, "momentum": 0.9, "batch": 4, "epochs": 1},
    "codec": 0, "clip": 1000.0, "trim": 1, "sample": 6, "aggregators": 1, "enough_permille": 1000, "forget": 1000,
    "fastest": 1, "ping_timeout": 1000, "send_timeout": 3000, "watch": 3000, "gather": 60000}"#;
const PEERS: usize = 6;
const ROUNDS: u32 = 12;
/// As in `host-tools/peer/tests/loopback.rs`.
const FINAL: &str = "260f208187fefd5e6a7d686829af9fce1f3d57e4df41a4aab03e4a07c6e004d9";

struct Clouds {
    task: Task,
    data: Vec<Data>,
    /// All means, in the order in which they were judged.
    means: Mutex<Vec<Vec<f32>>>,
}

impl Clouds {
    fn new(trim: u8) -> Clouds {
        let task = Task { trim, ..serde_json::from_str(TASK).unwrap() };
        let data = (0..PEERS as u64).map(|n| {
            let mut random = Random::new(n);
            let classes: Vec<usize> = (0..20).map(|_| random.below(4) as usize).collect();
            let mut inputs = Vec::new();
            for class in &classes {
                inputs.extend((0..16).map(|i| f32::from(u8::from(i % 4 == *class)) + random.unit() - 0.5));
            }
            Data::new(&task, inputs, classes).unwrap()
        });
        let data = data.collect();
        Clouds { task, data, means: Mutex::default() }
    }

    /// What the network comes to, as peers compute it.
    fn alone(&self) -> Vec<f32> {
        let mut parameters = self.task.initial();
        for round in 1..=ROUNDS {
            let updates = (0..PEERS).map(|n| {
                let new = mote_sim::Task::train(self, n, round, &parameters);
                let difference = new.iter().zip(&parameters).map(|(new, old)| new - old).collect();
                Update { from: NodeId([n as u8; 32]), base: [0; 32], difference }
            });
            let (clip, trim) = (self.task.clip, self.task.trim.into());
            parameters = combine(&parameters, &[0; 32], updates.collect(), clip, trim).to_vec();
        }
        parameters
    }

    fn simulated(&self, merge: Merge) -> Vec<f32> {
        let rules = Rules { merge, ..Rules::PLAIN };
        let params = Params { sample: PEERS, ..Params::DEFAULT };
        let calm = Scenario::calm(PEERS, 1);
        let scenario = Scenario { params, rules, rounds: ROUNDS + 2, evaluate_every: 1, threads: 1, ..calm };
        let report = modest::run(&scenario, self).unwrap();
        let at = report.scores.iter().position(|scored| scored.round == ROUNDS).unwrap();
        self.means.lock().unwrap()[at].clone()
    }
}

impl mote_sim::Task for Clouds {
    fn parameters(&self) -> usize {
        self.task.parameters()
    }

    fn initial(&self) -> Vec<f32> {
        self.task.initial()
    }

    fn train(&self, node: usize, round: u32, parameters: &[f32]) -> Vec<f32> {
        let trained = self.data[node].train(&self.task, round, parameters, &AtomicU32::new(round));
        trained.unwrap().unwrap().0
    }

    fn steps(&self, _: usize) -> u32 {
        5
    }

    fn evaluate(&self, parameters: &[f32]) -> Score {
        self.means.lock().unwrap().push(parameters.to_vec());
        Score { value: 0.0, loss: 0.0 }
    }
}

#[test]
fn the_simulator_comes_to_the_parameters_of_the_peers() {
    let clouds = Clouds::new(1);
    let simulated = clouds.simulated(Merge::Trimmed(1));
    assert_eq!(simulated, clouds.alone());
    let bytes: Vec<u8> = simulated.iter().flat_map(|v| v.to_le_bytes()).collect();
    assert_eq!(hex(&NodeId(hash(&bytes))), FINAL);
}

/// Plain means differ in their last bits: the simulator averages parameters in the order in which they came, a peer
/// differences in the order of ids.
#[test]
fn plain_means_differ_by_rounding_alone() {
    let clouds = Clouds::new(0);
    let (simulated, peers) = (clouds.simulated(Merge::Mean), clouds.alone());
    let far = simulated.iter().zip(&peers).map(|(a, b)| (a - b).abs()).fold(0f32, f32::max);
    let largest = peers.iter().fold(0f32, |most, v| most.max(v.abs()));
    println!("{ROUNDS} rounds: at most {far:e} apart, largest parameter {largest}");
    assert!(far < 1e-5 * largest, "{far}");
}
