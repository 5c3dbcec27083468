//! Networks in trouble, protocol only.

use mote_sim::modest::run;
use mote_sim::{Change, Protocol, Scenario, trials};

#[test]
fn without_trouble_every_round_has_exactly_its_sample() {
    for aggregators in [1, 2] {
        let calm = Scenario { params: trials::quick(aggregators), rounds: 200, ..Scenario::calm(24, 1) };
        let report = run(&calm, &Protocol).unwrap();
        let exact = report.rounds.iter().take(199).filter(|r| r.trained == 5).count();
        assert_eq!(exact, 199);
        assert!(report.mean_look(0, |l| l.participants) > 0.999);
        assert!(report.mean_look(0, |l| l.members) > 0.999);
    }
}

#[test]
fn the_same_seed_gives_the_same_report_whatever_the_threads() {
    let with = |threads| Scenario { threads, ..trials::troubled(24, 2, 3, 200) };
    let [one, two, other] = [with(1), with(2), Scenario { seed: 4, ..with(1) }];
    let [one, two, other] = [one, two, other].map(|scenario| run(&scenario, &Protocol).unwrap());
    assert_eq!(one, two);
    assert_ne!(one, other);
}

/// 10,000 rounds each: `mote-sim stalls`.
#[test]
fn loss_crashes_of_aggregators_and_a_partition_stall_nobody() {
    for seed in 0..20 {
        let scenario = trials::troubled(24, 1 + seed as usize % 2, seed, 400);
        let report = run(&scenario, &Protocol).unwrap();
        assert!(report.crashes > 10, "{}", report.crashes);
    }
}

#[test]
fn rounds_go_on_while_four_fifths_crash() {
    for seed in 0..3 {
        let report = run(&trials::crashing(seed, 500), &Protocol).unwrap();
        assert_eq!(report.crashes, 80);
    }
}

#[test]
fn who_joins_becomes_known_to_all_and_is_sampled() {
    let report = run(&trials::joining(1, 300), &Protocol).unwrap();
    assert_eq!(report.joined.len(), 10);
    for (node, round) in &report.joined {
        let known = report.known.iter().find(|(_, n, share)| n == node && *share == 1.0);
        let (known, ..) = known.unwrap_or_else(|| panic!("{node} never known to all"));
        assert!(*known < round + 120, "{node}: joined in {round}, known in {known}");
        assert!(report.first_trained[node] < round + 150);
    }
}

#[test]
fn who_joins_through_loss_is_known_all_the_same() {
    for seed in 0..5 {
        let scenario = Scenario { loss_permille: 300, ..trials::joining(seed, 200) };
        let report = run(&scenario, &Protocol).unwrap();
        let late = report.joined.iter().filter(|(_, round)| *round < 100);
        for (node, _) in late {
            assert!(report.first_trained.contains_key(node), "seed {seed}: {node}");
        }
    }
}

#[test]
fn who_has_left_is_sampled_no_more() {
    let leaves = (0..12).map(|n| (30_000 + 1000 * n as u64, Change::Leave(n)));
    let calm = Scenario { params: trials::quick(1), changes: leaves.collect(), ..Scenario::calm(24, 1) };
    let trained = |rounds| {
        let report = run(&Scenario { rounds, ..calm.clone() }, &Protocol).unwrap();
        assert!(report.end > 100_000 || rounds < 400);
        report.loads.iter().take(12).map(|l| l.trained).collect::<Vec<_>>()
    };
    assert!(trained(20).iter().sum::<u32>() > 0);
    assert_eq!(trained(600), trained(400), "they still train");
}

/// A partition so long that either side has forgotten the other: the silent are asked from time to time.
#[test]
fn two_halves_that_forgot_each_other_become_one() {
    for seed in 0..4 {
        let group = (0..24).map(|n| (n % 2) as u8).collect();
        let changes = vec![(60_000, Change::Part(group)), (400_000, Change::Heal)];
        let params = mote_modest::Params { forget: 30, ..trials::quick(1) };
        let scenario = Scenario { params, changes, rounds: 800, look_every: 5, ..Scenario::calm(24, seed) };
        let report = run(&scenario, &Protocol).unwrap();
        let at = |ms: u64| report.rounds.iter().rev().find(|r| r.at < ms).map_or(0, |r| r.round);
        let (parted, healed) = (at(60_000), at(400_000));
        assert!(healed > parted + 80 && healed < 700, "{parted} {healed}");
        let look = |from, to| {
            let looks = report.looks.iter().filter(|l| (from..to).contains(&l.round));
            let all: Vec<f64> = looks.map(|l| l.members).collect();
            all.iter().sum::<f64>() / all.len() as f64
        };
        assert!(look(parted + 50, healed) < 0.7, "seed {seed}: the halves don't see each other");
        let after = look(healed + 40, 800);
        assert!(after > 0.95, "seed {seed}: {after}");
    }
}
