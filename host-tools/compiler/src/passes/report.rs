//! What the passes did, for `convert` and `inspect` to print.

use super::{Pattern, PatternKind};
use std::collections::BTreeMap;
use std::fmt;

/// What one pass changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes {
    pub pass: &'static str,
    /// Number of times by kind of change.
    pub counts: BTreeMap<&'static str, usize>,
}

impl Changes {
    pub fn new(pass: &'static str) -> Self {
        Self { pass, counts: BTreeMap::new() }
    }

    pub fn count(&mut self, what: &'static str) {
        self.add(what, 1);
    }

    pub fn add(&mut self, what: &'static str, times: usize) {
        if times > 0 {
            *self.counts.entry(what).or_default() += times;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.counts.is_empty()
    }

    /// How often `what` happened.
    pub fn of(&self, what: &str) -> usize {
        self.counts.get(what).copied().unwrap_or(0)
    }
}

/// What [`optimize`](super::optimize) did, summed over all rounds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    pub nodes_before: usize,
    pub nodes_after: usize,
    /// One entry per pass that changed something, in the order in which they first did.
    pub changes: Vec<Changes>,
    /// Groups of operators with a name, in the optimised graph.
    pub patterns: Vec<Pattern>,
}

impl Report {
    /// Adds what a pass did; answers whether it did anything.
    pub(super) fn record(&mut self, changes: Changes) -> bool {
        if changes.is_empty() {
            return false;
        }
        match self.changes.iter_mut().find(|known| known.pass == changes.pass) {
            Some(known) => changes.counts.iter().for_each(|(what, &times)| known.add(what, times)),
            None => self.changes.push(changes),
        }
        true
    }

    /// How often a pass made a change, by the names that [`Changes`] uses.
    pub fn of(&self, pass: &str, what: &str) -> usize {
        self.changes.iter().find(|changes| changes.pass == pass).map_or(0, |changes| changes.of(what))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} operators became {}", self.nodes_before, self.nodes_after)?;
        for Changes { pass, counts } in &self.changes {
            let list: Vec<String> = counts.iter().map(|(what, times)| format!("{what} {times}")).collect();
            writeln!(f, "  {pass}: {}", list.join(", "))?;
        }
        let mut kinds: BTreeMap<PatternKind, usize> = BTreeMap::new();
        self.patterns.iter().for_each(|pattern| *kinds.entry(pattern.kind).or_default() += 1);
        kinds.iter().try_for_each(|(kind, times)| writeln!(f, "  found: {kind} {times}"))
    }
}
