//! What lies between nodes: latencies between cities, bandwidth of each node, loss, partitions.

use crate::SimError;
use mote_runtime::random::Random;
use std::path::Path;

/// Round-trip times between cities, in milliseconds; nodes are dealt to cities in turn.
#[derive(Clone, Debug)]
pub struct Latencies {
    cities: usize,
    round_trips: Vec<f32>,
}

impl Latencies {
    /// A file of as many lines as cities, each with as many numbers, divided by commas. Negative ones are missing: the
    /// way back stands for them, or else the mean of all.
    ///
    /// # Errors
    /// [`SimError::Read`], [`SimError::Latencies`] with the line.
    pub fn read(path: &Path) -> Result<Latencies, SimError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| SimError::Read { path: path.to_owned(), source })?;
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let (cities, mut round_trips) = (lines.len(), Vec::new());
        for (line, text) in lines.iter().enumerate() {
            let numbers: Result<Vec<f32>, _> = text.split(',').map(|n| n.trim().parse()).collect();
            let numbers = numbers.ok().filter(|n: &Vec<f32>| n.len() == cities);
            let numbers = numbers.filter(|n| n.iter().all(|v| v.is_finite()));
            round_trips.extend(numbers.ok_or(SimError::Latencies { line: line + 1, cities })?);
        }
        if cities == 0 {
            return Err(SimError::Latencies { line: 0, cities });
        }
        let known = |v: &&f32| **v >= 0.0;
        let mean = round_trips.iter().filter(known).sum::<f32>()
            / round_trips.iter().filter(known).count().max(1) as f32;
        for at in 0..round_trips.len() {
            let back = round_trips[at % cities * cities + at / cities];
            if round_trips[at] < 0.0 {
                round_trips[at] = if back >= 0.0 { back } else { mean };
            }
        }
        Ok(Latencies { cities, round_trips })
    }

    /// A stand-in where no measurements are at hand: cities at random places of a sphere of the earth's size, light in
    /// fibre (200 km a millisecond) on ways half as long again, and 4 ms of queues.
    pub fn synthetic(cities: usize, seed: u64) -> Latencies {
        let mut random = Random::new(seed);
        let places: Vec<[f32; 3]> = (0..cities)
            .map(|_| {
                let (height, turn) = (2.0 * random.unit() - 1.0, std::f32::consts::TAU * random.unit());
                let radius = (1.0 - height * height).sqrt();
                [radius * turn.cos(), radius * turn.sin(), height]
            })
            .collect();
        let between = |a: &[f32; 3], b: &[f32; 3]| {
            let cosine: f32 = a.iter().zip(b).map(|(a, b)| a * b).sum();
            4.0 + 2.0 * 1.5 * 6371.0 * cosine.clamp(-1.0, 1.0).acos() / 200.0
        };
        let round_trips = places.iter().flat_map(|a| places.iter().map(move |b| between(a, b))).collect();
        Latencies { cities, round_trips }
    }

    /// From node to node, one way, in milliseconds.
    pub fn one_way(&self, from: usize, to: usize) -> f32 {
        self.round_trips[from % self.cities * self.cities + to % self.cities] / 2.0
    }
}

/// The network's state: who is cut off from whom, and until when each node's line is taken.
#[derive(Debug)]
pub struct Links {
    latencies: Latencies,
    /// Bytes a millisecond of each node, up and down.
    bandwidth: Vec<f64>,
    loss_permille: u32,
    /// Nodes of unlike groups don't hear each other.
    pub group: Vec<u8>,
    up: Vec<f64>,
    down: Vec<f64>,
    random: Random,
}

impl Links {
    pub fn new(nodes: usize, latencies: Latencies, bandwidth: f64, loss_permille: u32, seed: u64) -> Links {
        let (group, up, down) = (vec![0; nodes], vec![0.0; nodes], vec![0.0; nodes]);
        let bandwidth = vec![bandwidth; nodes];
        Links { latencies, bandwidth, loss_permille, group, up, down, random: Random::new(seed) }
    }

    /// Gives a node a line so many times as good.
    pub fn widen(&mut self, node: usize, factor: f64) {
        self.bandwidth[node] *= factor;
    }

    /// When what `from` sends at `now` (milliseconds) is there; never, if it gets lost. A fifth of the latency varies.
    pub fn arrival(&mut self, from: usize, to: usize, bytes: usize, now: u64) -> Option<u64> {
        if from == to {
            return Some(now);
        }
        let lost = self.random.below(1000) < self.loss_permille;
        let takes = |node: usize| bytes as f64 / self.bandwidth[node];
        let sent = self.up[from].max(now as f64) + takes(from);
        self.up[from] = sent;
        let latency = f64::from(self.latencies.one_way(from, to) * (0.9 + 0.2 * self.random.unit()));
        if lost || self.group[from] != self.group[to] {
            return None;
        }
        // The line down is taken as long as the bytes need, but these flow while they are being sent.
        let there = (sent + latency).max(self.down[to].max(now as f64) + takes(to));
        self.down[to] = there;
        Some((there.ceil() as u64).max(now + 1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_shared_and_partitions_cut() {
        let mut links = Links::new(3, Latencies::synthetic(3, 1), 100.0, 0, 1);
        let one = links.arrival(0, 1, 100_000, 0).unwrap();
        let two = links.arrival(0, 1, 100_000, 0).unwrap();
        assert!(one >= 1000 && (990..1010).contains(&(two - one)), "{one} {two}");
        links.group[1] = 1;
        assert_eq!((links.arrival(0, 1, 1, 0), links.arrival(1, 2, 1, 0)), (None, None));
        assert!(links.arrival(0, 2, 1, 0).is_some());
    }

    #[test]
    fn what_is_missing_in_a_file_is_the_way_back_and_what_is_wrong_has_a_line() {
        let path = std::env::temp_dir().join(format!("mote-latencies-{}", std::process::id()));
        std::fs::write(&path, "0,10,-0.5\n20,0,-0.5\n40,-0.5,0\n").unwrap();
        let read = Latencies::read(&path).unwrap();
        let ways = [(0, 1), (1, 0), (0, 2), (2, 0), (1, 2)].map(|(a, b)| read.one_way(a, b));
        assert_eq!(ways[..4], [5.0, 10.0, 20.0, 20.0]);
        // Of 0, 10, 20, 0, 40, 0 half the mean.
        assert!((ways[4] - 70.0 / 6.0 / 2.0).abs() < 1e-4);
        std::fs::write(&path, "0,10\n20\n").unwrap();
        assert!(matches!(Latencies::read(&path), Err(SimError::Latencies { line: 2, cities: 2 })));
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn synthetic_latencies_are_a_metric_of_the_right_size() {
        let latencies = Latencies::synthetic(50, 7);
        let all: Vec<f32> = (0..2500).map(|i| latencies.one_way(i / 50, i % 50)).collect();
        assert!((0..2500).all(|i| (all[i] - latencies.one_way(i % 50, i / 50)).abs() < 1e-3));
        let mean = all.iter().sum::<f32>() / 2500.0;
        assert!((50.0..100.0).contains(&mean), "{mean}");
    }
}
