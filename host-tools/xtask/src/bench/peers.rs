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
    instructions: u64,
    arena_bytes: Option<u64>,
    startup_instructions: Option<u64>,
    flash_bytes: Option<u64>,
}

/// Another runtime beside ours.
#[derive(Serialize)]
pub struct Comparison {
    pub name: String,
    pub instructions: u64,
    /// Their instructions over ours: above 1 we are faster.
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
    pub fn beside(&self, model: &str, core: &str, instructions: u64) -> Vec<Comparison> {
        let mut beside = Vec::new();
        for peer in &self.peer {
            for theirs in peer.results.iter().filter(|r| r.model == model && r.core == core) {
                beside.push(Comparison {
                    name: peer.name.clone(),
                    instructions: theirs.instructions,
                    ratio: theirs.instructions as f64 / instructions.max(1) as f64,
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
        let beside = Peers::read()?.beside("vww", "m4", 10_000_000);
        assert!(beside.iter().any(|peer| peer.name == "TinyEngine" && peer.ratio > 1.9 && peer.ratio < 2.0));
        assert!(Peers::read()?.beside("nothing", "m4", 1).is_empty());
        Ok(())
    }
}
