//! The figures of other runtimes: `tests/bench/peers.toml`.

use std::fs;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::workspace::root;

#[derive(Deserialize)]
pub struct Peers {
    peer: Vec<Peer>,
}

#[derive(Deserialize)]
struct Peer {
    name: String,
    results: Vec<Figures>,
}

#[derive(Deserialize)]
struct Figures {
    core: String,
    model: String,
    instructions: Option<u64>,
    /// On hardware.
    cycles: Option<u64>,
    arena_bytes: Option<u64>,
    startup_instructions: Option<u64>,
    flash_bytes: Option<u64>,
}

/// Another runtime beside ours.
#[derive(Serialize)]
pub struct Comparison {
    pub name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub instructions: Option<u64>,
    /// Measured on hardware; ours are estimated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cycles: Option<u64>,
    /// Their instructions over ours, or their cycles over our estimated ones: above 1 we are faster.
    pub ratio: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub startup_instructions: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arena_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub flash_bytes: Option<u64>,
}

impl Peers {
    pub fn read() -> Result<Self> {
        let path = root().join("tests/bench/peers.toml");
        let text = fs::read_to_string(&path).with_context(|| format!("reading {}", path.display()))?;
        toml::from_str(&text).with_context(|| format!("reading {}", path.display()))
    }

    /// Everybody who ran this model on this core.
    pub fn beside(&self, model: &str, core: &str, instructions: u64, cycles: Option<u64>) -> Vec<Comparison> {
        let mut beside = Vec::new();
        for peer in &self.peer {
            for theirs in peer.results.iter().filter(|r| r.model == model && r.core == core) {
                let pairs = [(theirs.instructions, Some(instructions)), (theirs.cycles, cycles)];
                let Some((theirs_of_it, ours)) = pairs.into_iter().find_map(|(a, b)| a.zip(b)) else {
                    continue;
                };
                beside.push(Comparison {
                    name: peer.name.clone(),
                    instructions: theirs.instructions,
                    cycles: theirs.cycles,
                    ratio: theirs_of_it as f64 / ours.max(1) as f64,
                    startup_instructions: theirs.startup_instructions,
                    arena_bytes: theirs.arena_bytes,
                    flash_bytes: theirs.flash_bytes,
                });
            }
        }
        beside
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_peers_of_a_model() -> Result<()> {
        let beside = Peers::read()?.beside("vww", "m4", 10_000_000, Some(10_670_000));
        assert!(beside.iter().any(|peer| peer.name == "TinyEngine" && peer.ratio > 1.9 && peer.ratio < 2.0));
        assert!(beside.iter().any(|peer| peer.name == "X-CUBE-AI" && peer.ratio == 1.0));
        assert!(Peers::read()?.beside("nothing", "m4", 1, None).is_empty());
        Ok(())
    }
}
