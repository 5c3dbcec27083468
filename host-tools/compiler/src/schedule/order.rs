//! The order of steps with the least peak of memory, where tensors are whole.
//!
//! What is alive depends on the set of steps that are done, not on their order, so a best-first search over these sets
//! finds the optimum: sets are looked at by the peak on the way to them. Networks have few such sets (a chain has one
//! per step, two branches the product of their lengths); where there are too many, a beam of the best ones of each
//! length goes on instead. An order that gains nothing over the graph's is not given.

use crate::lower::Lowered;
use crate::stream::Network;
use mote_runtime::plan::ALIGN;
use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap, HashSet};

/// Sets of done steps that the exact search looks at.
const SETS: usize = 20_000;
/// Sets of each length that the beam keeps.
const WIDTH: usize = 48;

/// Indices of the steps in an order with a lower peak than theirs; `None` if none was found.
pub fn order(network: &Network<'_>) -> Option<Vec<usize>> {
    let tasks = Tasks::new(network);
    let given: Vec<usize> = (0..tasks.steps.len()).collect();
    let present = tasks.peak(&given);
    let found = tasks.exact(SETS).unwrap_or_else(|| tasks.beam(WIDTH));
    (found.peak < present).then_some(found.order)
}

/// The steps in another order.
pub fn reordered(lowered: &Lowered, order: &[usize]) -> Lowered {
    let steps = order.iter().map(|&index| lowered.steps[index].clone()).collect();
    Lowered { steps, ..lowered.clone() }
}

/// What the order of steps depends on.
struct Tasks {
    steps: Vec<Task>,
    tensors: Vec<Tensor>,
}

#[derive(Default)]
struct Task {
    /// Steps that must be done before.
    after: Vec<usize>,
    reads: Vec<usize>,
    output: usize,
    /// Tensors that the output may overwrite, if nobody else needs them any more.
    in_place: Vec<usize>,
    scratch: usize,
}

#[derive(Default)]
struct Tensor {
    bytes: usize,
    readers: Vec<usize>,
    is_output: bool,
}

/// A set of done steps and how it came to be.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Done {
    peak: Reverse<usize>,
    /// The longer one first: a search that goes ahead finds an end soon.
    length: usize,
    alive: Reverse<usize>,
    /// The graph's order, where nothing else decides.
    order: Reverse<Vec<usize>>,
    set: Set,
}

/// One bit per step.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
struct Set(Vec<u64>);

impl Set {
    fn has(&self, index: usize) -> bool {
        self.0[index / 64] >> (index % 64) & 1 != 0
    }

    fn add(&mut self, index: usize) {
        self.0[index / 64] |= 1 << (index % 64);
    }
}

struct Found {
    peak: usize,
    order: Vec<usize>,
}

impl Tasks {
    fn new(network: &Network<'_>) -> Self {
        let mut ids: Vec<_> = network.tensors().map(|(id, _)| id).collect();
        ids.sort_unstable();
        let index = |id| ids.binary_search(&network.root(id)).ok();
        let mut tensors: Vec<Tensor> = (0..ids.len()).map(|_| Tensor::default()).collect();
        for (id, uses) in network.tensors() {
            if let Some(at) = index(id) {
                tensors[at].bytes = uses.bytes.next_multiple_of(ALIGN);
                tensors[at].readers = uses.read.clone();
                tensors[at].is_output = uses.is_output;
            }
        }
        // Steps that write the same tensor stay in their order, between those that read it before and after.
        let mut touched: Vec<Vec<(usize, bool)>> = vec![Vec::new(); ids.len()];
        let mut steps = Vec::new();
        for (at, step) in network.steps().iter().enumerate() {
            let mut task = Task { scratch: step.packed.scratch.next_multiple_of(ALIGN), ..Task::default() };
            let mut after = BTreeSet::new();
            for (k, operand) in step.inputs.iter().enumerate() {
                let Some(tensor) = index(operand.tensor) else { continue };
                after.extend(touched[tensor].iter().filter(|(_, writes)| *writes).map(|(step, _)| *step));
                let possible = step.may_be_in_place.get(k).copied().unwrap_or(false);
                if possible && operand.same_view(&step.output) {
                    task.in_place.push(tensor);
                }
                task.reads.push(tensor);
            }
            task.reads.iter().for_each(|&tensor| touched[tensor].push((at, false)));
            if let Some(tensor) = index(step.output.tensor) {
                after.extend(touched[tensor].iter().map(|(step, _)| *step).filter(|&step| step != at));
                touched[tensor].push((at, true));
                task.output = tensor;
            }
            task.after = after.into_iter().collect();
            steps.push(task);
        }
        Self { steps, tensors }
    }

    fn nothing_done(&self) -> Done {
        let made: HashSet<usize> = self.steps.iter().map(|step| step.output).collect();
        let inputs = self.tensors.iter().enumerate().filter(|(id, _)| !made.contains(id));
        let alive = inputs.map(|(_, tensor)| tensor.bytes).sum();
        let set = Set(vec![0; self.steps.len().div_ceil(64)]);
        Done { peak: Reverse(alive), length: 0, alive: Reverse(alive), order: Reverse(Vec::new()), set }
    }

    /// Steps that can be next.
    fn ready<'a>(&'a self, done: &'a Set) -> impl Iterator<Item = usize> + 'a {
        let ready = |&step: &usize| !done.has(step) && self.steps[step].after.iter().all(|&s| done.has(s));
        (0..self.steps.len()).filter(ready)
    }

    /// One step more.
    fn then(&self, done: &Done, step: usize) -> Done {
        let task = &self.steps[step];
        let mut next = done.clone();
        next.set.add(step);
        next.order.0.push(step);
        next.length += 1;
        let mut dead: Vec<usize> = task.reads.clone();
        dead.sort_unstable();
        dead.dedup();
        let needed = |tensor: usize| {
            let tensor = &self.tensors[tensor];
            tensor.is_output || tensor.readers.iter().any(|&reader| !next.set.has(reader))
        };
        dead.retain(|&tensor| tensor != task.output && !needed(tensor));
        let output = self.tensors[task.output].bytes;
        let in_place = task.in_place.iter().filter(|tensor| dead.contains(tensor));
        let taken = in_place.map(|&tensor| self.tensors[tensor].bytes).max().unwrap_or(0);
        // Another step may have begun the same tensor.
        let begun = task.after.iter().any(|&before| self.steps[before].output == task.output);
        let made = if begun { 0 } else { output };
        let during = done.alive.0 + made.saturating_sub(taken) + task.scratch;
        let dead: usize = dead.iter().map(|&tensor| self.tensors[tensor].bytes).sum();
        let kept = if needed(task.output) { made } else { 0 };
        next.alive = Reverse(done.alive.0 + kept - dead.min(done.alive.0 + kept));
        next.peak = Reverse(done.peak.0.max(during));
        next
    }

    /// All ways to go on: only one, if a step costs nothing, since to do it at once is never wrong.
    fn nexts(&self, done: &Done) -> Vec<Done> {
        let mut nexts = Vec::new();
        for step in self.ready(&done.set) {
            let next = self.then(done, step);
            if next.peak == done.peak && next.alive >= done.alive {
                return vec![next];
            }
            nexts.push(next);
        }
        nexts
    }

    fn peak(&self, order: &[usize]) -> usize {
        order.iter().fold(self.nothing_done(), |done, &step| self.then(&done, step)).peak.0
    }

    /// The optimum, unless there are more sets than `limit`.
    fn exact(&self, limit: usize) -> Option<Found> {
        let mut seen = HashSet::new();
        let mut open = BinaryHeap::from([self.nothing_done()]);
        while let Some(done) = open.pop() {
            if done.length == self.steps.len() {
                return Some(Found { peak: done.peak.0, order: done.order.0 });
            }
            if seen.len() > limit {
                return None;
            }
            if seen.insert(done.set.clone()) {
                open.extend(self.nexts(&done).into_iter().filter(|next| !seen.contains(&next.set)));
            }
        }
        None
    }

    /// A good order: of all sets of a length, those with the lowest peaks go on.
    fn beam(&self, width: usize) -> Found {
        let mut front = vec![self.nothing_done()];
        for _ in 0..self.steps.len() {
            let mut nexts: Vec<Done> = front.iter().flat_map(|done| self.nexts(done)).collect();
            nexts.sort_by(|a, b| b.cmp(a));
            let mut seen = HashSet::new();
            nexts.retain(|done| seen.insert(done.set.clone()));
            nexts.truncate(width);
            front = nexts;
        }
        let best = front.into_iter().next().unwrap_or_else(|| self.nothing_done());
        Found { peak: best.peak.0, order: best.order.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Steps as `(reads, bytes of the output)`; tensor 0 is the input, of `input` bytes, tensor `i + 1` what step `i`
    /// makes; the last one is the output.
    fn tasks(input: usize, steps: &[(&[usize], usize)]) -> Tasks {
        let mut tensors = vec![Tensor { bytes: input, ..Tensor::default() }];
        let mut tasks = Vec::new();
        for (at, &(reads, bytes)) in steps.iter().enumerate() {
            reads.iter().for_each(|&tensor| tensors[tensor].readers.push(at));
            tensors.push(Tensor { bytes, ..Tensor::default() });
            let after = reads.iter().filter_map(|tensor| tensor.checked_sub(1)).collect();
            tasks.push(Task { after, reads: reads.to_vec(), output: at + 1, ..Task::default() });
        }
        tensors.last_mut().unwrap().is_output = true;
        Tasks { steps: tasks, tensors }
    }

    /// The best of all orders, found by trying all.
    fn least(tasks: &Tasks, done: &Done) -> usize {
        let ready: Vec<usize> = tasks.ready(&done.set).collect();
        if ready.is_empty() {
            return done.peak.0;
        }
        ready.into_iter().map(|step| least(tasks, &tasks.then(done, step))).min().unwrap()
    }

    #[test]
    fn branches_are_run_one_after_the_other() {
        // Two branches, each wide and then narrow, given level by level: both wide tensors are alive at once.
        let steps: &[(&[usize], usize)] = &[(&[0], 100), (&[0], 100), (&[1], 10), (&[2], 10), (&[3, 4], 10)];
        let tasks = tasks(20, steps);
        assert_eq!(tasks.peak(&[0, 1, 2, 3, 4]), 220);
        let found = tasks.exact(SETS).unwrap();
        // The input, a wide tensor and the narrow ones on both sides of it.
        assert_eq!((found.peak, found.order), (130, vec![0, 2, 1, 3, 4]));
        assert_eq!(tasks.beam(WIDTH).peak, 130);
    }

    #[test]
    fn a_chain_stays_as_it_is() {
        let tasks = tasks(50, &[(&[0], 70), (&[1], 20), (&[2], 90)]);
        let found = tasks.exact(SETS).unwrap();
        assert_eq!((found.peak, found.order), (120, vec![0, 1, 2]));
    }

    #[test]
    fn random_graphs_are_ordered_best() {
        let mut seed = 7u64;
        let mut next = |bound: usize| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) as usize % bound
        };
        let mut gained = 0;
        for _ in 0..60 {
            let mut reads: Vec<Vec<usize>> = Vec::new();
            for at in 0..8 {
                let (a, b) = (next(at + 1), next(at + 1));
                reads.push(if a == b { vec![a] } else { vec![a, b] });
            }
            let steps: Vec<_> = reads.iter().map(|reads| (&reads[..], 1 + next(100))).collect();
            let tasks = tasks(1 + next(100), &steps);
            let found = tasks.exact(SETS).unwrap();
            assert_eq!(found.peak, least(&tasks, &tasks.nothing_done()));
            assert_eq!(found.peak, tasks.peak(&found.order));
            let beam = tasks.beam(WIDTH);
            assert_eq!(beam.peak, tasks.peak(&beam.order));
            assert!(beam.peak >= found.peak);
            gained += usize::from(found.peak < tasks.peak(&[0, 1, 2, 3, 4, 5, 6, 7]));
        }
        assert!(gained > 10, "{gained}");
    }
}
