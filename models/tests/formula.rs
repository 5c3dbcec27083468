//! The tiny formula against the networks that were published.

use mote_models::tinynet::formula::{propose, propose_from};
use mote_models::tinynet::{PUBLISHED, Published};
use mote_models::{Arch, Spec, Weights, build, macs};

#[test]
fn the_others_predict_each_width() {
    for (left_out, known) in PUBLISHED.into_iter().enumerate() {
        let Published { letter, net, side, .. } = known;
        // Of a budget beyond all others nobody knows: within them the formula interpolates.
        let inside = (1..PUBLISHED.len() - 1).contains(&left_out);
        let mut others = PUBLISHED.to_vec();
        others.remove(left_out);
        let spec = Spec { arch: Arch::TinyNet(net), size: [side; 2], classes: 1000 };
        let budget = macs(&build(&spec, Weights::Shapes).unwrap().graph);
        let found = propose_from(&others, budget, 1000).unwrap();
        let error = found.net.width / net.width - 1.0;
        let how = if inside { "interpolated" } else { "extrapolated" };
        println!("{letter}, {how}: width {} against {}: {:+.1} %", found.net.width, net.width, 100.0 * error);
        assert!(error.abs() <= 0.05 || !inside, "{letter}: {}", found.net.width);
    }
}

#[test]
fn a_budget_between_d_and_c() {
    let found = propose(75_000_000, 1000).unwrap();
    let digits = |x: f64| format!("{x:.3}");
    let factors = [found.resolution, found.net.depth, found.net.width].map(digits);
    assert_eq!(factors, ["0.763", "0.783", "0.521"], "{found:?}");
    assert!(found.macs <= 75_000_000 && found.macs > 72_000_000);
}

#[test]
fn budgets_hold() {
    for millions in [2, 5, 8, 24, 50, 101, 250, 337, 900] {
        let found = propose(millions * 1_000_000, 10).unwrap();
        println!(
            "{millions} M: {} at {}, {} multiply-accumulates",
            found.spec.arch, found.spec.size[0], found.macs
        );
        assert!(found.macs <= millions * 1_000_000);
        assert!(found.macs >= millions * 750_000, "{millions} M: {} is little", found.macs);
    }
    assert_eq!(propose(100_000, 10), None);
}
