//! Who has which samples.

use mote_runtime::random::Random;

/// How samples are dealt to nodes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Deal {
    /// To everybody as many, of all classes by chance.
    Even,
    /// Each class in shares from a Dirichlet distribution: the smaller `alpha`, the fewer classes has a node.
    Dirichlet { alpha: f64 },
}

impl Deal {
    /// The samples of each node, by number; everybody has one at least.
    pub fn deal(self, classes: &[u8], nodes: usize, seed: u64) -> Vec<Vec<u32>> {
        let mut random = Random::new(seed ^ 0xdea1);
        let mut all: Vec<u32> = (0..classes.len() as u32).collect();
        random.shuffle(&mut all);
        let mut hands = vec![Vec::new(); nodes];
        match self {
            Deal::Even => all.iter().enumerate().for_each(|(i, sample)| hands[i % nodes].push(*sample)),
            Deal::Dirichlet { alpha } => {
                let count = classes.iter().map(|c| usize::from(*c) + 1).max().unwrap_or(0);
                for class in 0..count {
                    let of: Vec<u32> =
                        all.iter().copied().filter(|s| usize::from(classes[*s as usize]) == class).collect();
                    let weights: Vec<f64> = (0..nodes).map(|_| gamma(alpha, &mut random)).collect();
                    let sum: f64 = weights.iter().sum();
                    let (mut reached, mut given) = (0.0, 0);
                    for (hand, weight) in hands.iter_mut().zip(weights) {
                        reached += weight / sum;
                        let end = ((reached * of.len() as f64).round() as usize).clamp(given, of.len());
                        hand.extend_from_slice(&of[given..end]);
                        given = end;
                    }
                }
                for n in 0..nodes {
                    if hands[n].is_empty() {
                        let richest = (0..nodes).max_by_key(|n| hands[*n].len()).unwrap_or(0);
                        let sample = hands[richest].pop();
                        hands[n].extend(sample);
                    }
                }
            }
        }
        hands
    }
}

/// A gamma-distributed number (Marsaglia and Tsang 2000; below 1 by their section 6).
fn gamma(shape: f64, random: &mut Random) -> f64 {
    let unit = |random: &mut Random| (f64::from(random.unit()) + 1e-8).min(1.0);
    if shape < 1.0 {
        return gamma(shape + 1.0, random) * unit(random).powf(1.0 / shape);
    }
    let d = shape - 1.0 / 3.0;
    let c = 1.0 / (9.0 * d).sqrt();
    loop {
        // Box and Muller.
        let (radius, turn) = ((-2.0 * unit(random).ln()).sqrt(), std::f64::consts::TAU * unit(random));
        let normal = radius * turn.cos();
        let v = (1.0 + c * normal).powi(3);
        if v > 0.0 && unit(random).ln() < 0.5 * normal * normal + d - d * v + d * v.ln() {
            return d * v;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sample_is_dealt_once_and_small_alpha_means_few_classes() {
        let classes: Vec<u8> = (0..5000).map(|i| (i % 10) as u8).collect();
        let mut largest = Vec::new();
        for deal in [Deal::Even, Deal::Dirichlet { alpha: 10.0 }, Deal::Dirichlet { alpha: 0.1 }] {
            let hands = deal.deal(&classes, 50, 1);
            let mut all: Vec<u32> = hands.concat();
            all.sort_unstable();
            assert_eq!(all, (0..5000).collect::<Vec<_>>());
            assert!(hands.iter().all(|hand| !hand.is_empty()));
            // The share of each node's commonest class, averaged.
            let share = hands.iter().map(|hand| {
                let of = |class| hand.iter().filter(|s| classes[**s as usize] == class).count();
                (0..10).map(of).max().unwrap_or(0) as f64 / hand.len() as f64
            });
            largest.push(share.sum::<f64>() / 50.0);
        }
        assert!(largest[0] < 0.2 && largest[1] < 0.4 && largest[2] > 0.5, "{largest:?}");
    }
}
