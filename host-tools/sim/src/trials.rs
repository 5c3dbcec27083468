//! Networks in trouble: the scenarios that tests and the command run.

use crate::{Change, Scenario};
use mote_modest::Params;
use mote_runtime::random::Random;

/// Short times, so that many rounds pass in little virtual time.
pub fn quick(aggregators: usize) -> Params {
    Params {
        beacon: [7; 32],
        sample: 5,
        aggregators,
        forget: 1000,
        slack: 24,
        fastest: 100,
        ping_timeout: 400,
        send_timeout: 1000,
        watch: 3000,
        gather: 2000,
        resends: 2,
        ..Params::DEFAULT
    }
}

/// A fifth of all messages gets lost, somebody who is making a mean crashes every 20 s and is back a minute later, and
/// for the second fifth of the time the network is two.
pub fn troubled(nodes: usize, aggregators: usize, seed: u64, rounds: u32) -> Scenario {
    // Between one and three seconds a round.
    let time = 2000 * u64::from(rounds);
    let crashes = (1..time / 20_000).map(|n| (20_000 * n, Change::CrashAggregator { back_after: 60_000 }));
    let mut random = Random::new(seed);
    let group = (0..nodes).map(|_| random.below(2) as u8).collect();
    let parting = [(time / 5, Change::Part(group)), (2 * time / 5, Change::Heal)];
    Scenario {
        params: quick(aggregators),
        loss_permille: 200,
        changes: crashes.chain(parting).collect(),
        rounds,
        model_bytes: 10_000,
        changes_bytes: 2048,
        look_every: 0,
        patience: 120_000,
        ..Scenario::calm(nodes, seed)
    }
}

/// The paper's crash schedule: from 300 s on, 5 nodes a minute crash, until 80 of 100 have. A training takes 3 s.
pub fn crashing(seed: u64, rounds: u32) -> Scenario {
    let mut order: Vec<usize> = (0..100).collect();
    Random::new(seed ^ 80).shuffle(&mut order);
    let crashes = order.iter().take(80).enumerate();
    let crashes = crashes.map(|(n, node)| (300_000 + 60_000 * (n as u64 / 5), Change::Crash(*node)));
    let params = Params { forget: 20, enough_permille: 800, resends: 1, slack: 90, ..Params::DEFAULT };
    Scenario { params, changes: crashes.collect(), rounds, step: 300, ..Scenario::calm(100, seed) }
}

/// The paper's joining schedule: 90 nodes, then one more a minute, ten times.
pub fn joining(seed: u64, rounds: u32) -> Scenario {
    let joins = (0..10).map(|n| (120_000 + 60_000 * n as u64, Change::Join(90 + n)));
    let calm = Scenario::calm(100, seed);
    Scenario { founders: 90, changes: joins.collect(), rounds, step: 300, look_every: 1, ..calm }
}

/// Of every `each` nodes one crashes, leaves or comes back a minute, in turn by chance.
pub fn churning(nodes: usize, seed: u64, rounds: u32, each: usize) -> Scenario {
    let mut random = Random::new(seed ^ 5);
    let calm = Scenario::calm(nodes, seed);
    let founders = nodes * 9 / 10;
    let mut absent: Vec<usize> = (founders..nodes).collect();
    let (mut crashed, mut live) = (Vec::new(), (0..founders).collect::<Vec<usize>>());
    let mut changes = Vec::new();
    let pause = 60_000 * each as u64 / nodes as u64;
    for n in 1..u64::from(rounds) * 30_000 / pause.max(1) {
        let pick = |from: &mut Vec<usize>, random: &mut Random| {
            (!from.is_empty()).then(|| from.swap_remove(random.below(from.len() as u32) as usize))
        };
        let change = match random.below(4) {
            0 => pick(&mut live, &mut random).map(|node| {
                crashed.push(node);
                Change::Crash(node)
            }),
            1 => pick(&mut live, &mut random).map(Change::Leave),
            2 => pick(&mut crashed, &mut random).map(|node| {
                live.push(node);
                Change::Restart(node)
            }),
            _ => absent.pop().map(|node| {
                live.push(node);
                Change::Join(node)
            }),
        };
        changes.extend(change.map(|change| (pause * n, change)));
    }
    Scenario { founders, changes, rounds, ..calm }
}
