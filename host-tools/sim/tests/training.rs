//! Small trainings on a synthetic task: what is trained is the same whoever computes it, and as good as with a server.

use mote_modest::compress::Codec;
use mote_runtime::random::Random;
use mote_sim::baselines::{self, Baseline};
use mote_sim::modest::run;
use mote_sim::{Lie, Merge, Rules, Scenario, Score, Task, trials};

/// Linear regression in 50 dimensions: each node has 40 samples of the same law.
struct Line(Vec<f32>);

const SIZE: usize = 50;

impl Line {
    fn new() -> Line {
        let mut random = Random::new(77);
        Line((0..SIZE).map(|_| random.unit() - 0.5).collect())
    }

    fn sample(&self, random: &mut Random) -> (Vec<f32>, f32) {
        let x: Vec<f32> = (0..SIZE).map(|_| 2.0 * random.unit() - 1.0).collect();
        let y = x.iter().zip(&self.0).map(|(x, w)| x * w).sum::<f32>() + 0.1 * (random.unit() - 0.5);
        (x, y)
    }
}

impl Task for Line {
    fn parameters(&self) -> usize {
        SIZE
    }

    fn initial(&self) -> Vec<f32> {
        vec![0.0; SIZE]
    }

    fn train(&self, node: usize, _: u32, parameters: &[f32]) -> Vec<f32> {
        let (mut new, mut random) = (parameters.to_vec(), Random::new(node as u64));
        for _ in 0..40 {
            let (x, y) = self.sample(&mut random);
            let error = x.iter().zip(&new).map(|(x, w)| x * w).sum::<f32>() - y;
            new.iter_mut().zip(&x).for_each(|(w, x)| *w -= 0.02 * error * x);
        }
        new
    }

    fn steps(&self, _: usize) -> u32 {
        2
    }

    fn evaluate(&self, parameters: &[f32]) -> Score {
        let value = parameters.iter().zip(&self.0).map(|(a, b)| f64::from(a - b).powi(2)).sum();
        Score { value, loss: value }
    }
}

fn scenario(rules: Rules, threads: usize) -> Scenario {
    let params = mote_modest::Params { sample: 10, ..trials::quick(1) };
    Scenario { params, rules, threads, rounds: 61, evaluate_every: 20, ..Scenario::calm(40, 3) }
}

fn error(rules: Rules) -> f64 {
    run(&scenario(rules, 1), &Line::new()).unwrap().scores.last().unwrap().score.value
}

#[test]
fn parameters_don_t_depend_on_threads_and_equal_fedavg_s_as_far_as_sums_do() {
    let [one, four] = [1, 4].map(|threads| run(&scenario(Rules::PLAIN, threads), &Line::new()).unwrap());
    assert_eq!(one, four);
    let server = baselines::run(&scenario(Rules::PLAIN, 2), &Line::new(), Baseline::FedAvg);
    for (ours, theirs) in one.scores.iter().zip(&server.scores) {
        // The same samples and trainings; updates are summed in the order in which they come.
        assert_eq!(ours.round, theirs.round);
        assert!((ours.score.value - theirs.score.value).abs() < 1e-3 * theirs.score.value + 1e-6);
    }
    assert!(server.scores.last().unwrap().score.value < 0.02);
}

#[test]
fn peers_without_samples_need_more_bytes_for_less() {
    let ours = run(&scenario(Rules::PLAIN, 2), &Line::new()).unwrap();
    for baseline in [Baseline::DSgd, Baseline::Gossip] {
        let theirs = baselines::run(&scenario(Rules::PLAIN, 2), &Line::new(), baseline);
        let ours_bytes = ours.traffic.models as f64 / 61.0;
        assert!(theirs.bytes as f64 / 61.0 > 1.9 * ours_bytes, "{baseline:?}");
        assert!(theirs.scores.last().unwrap().score.value < 0.05, "{baseline:?} learns");
    }
}

#[test]
fn coded_updates_train_nearly_as_well_in_fewer_bytes() {
    let plain = error(Rules::PLAIN);
    for (up, down) in [
        (Codec::F16, Codec::F16),
        (Codec::Int8, Codec::Int8),
        (Codec::Sign, Codec::Int8),
        (Codec::TopK { permille: 200 }, Codec::F32),
    ] {
        let coded = error(Rules { up, down, ..Rules::PLAIN });
        assert!(coded < plain + 0.1, "{up:?} {down:?}: {coded} beside {plain}");
    }
}

#[test]
fn liars_are_clipped_and_trimmed() {
    let lying = Rules { liars: 6, lie: Lie::Scaled(-8.0), ..Rules::PLAIN };
    let (plain, lied) = (error(Rules::PLAIN), error(lying));
    let held = error(Rules { clip: true, merge: Merge::Trimmed(3), ..lying });
    assert!(held < 0.1 * lied && held < plain + 0.1, "{plain} {lied} {held}");
}
