//! What the loader writes, little-endian: [`MARK`], bytes of the plan, number of inferences or frames, seed of the random
//! inputs (u32 each), then the plan. `host-tools/emulator/src/profile.rs` makes it.

/// Says that a loader was there.
const MARK: u32 = 0x4554_4f4d;

/// A plan, and what to do with it.
pub struct Job {
    /// 16-byte aligned, as the place of all this is.
    pub plan: &'static [u8],
    /// Inferences, or frames of a stream. The last one is watched step by step.
    pub runs: u32,
    pub seed: u32,
}

impl Job {
    /// Reads it; `None` if no loader was there.
    pub fn read(received: &'static [u8]) -> Option<Self> {
        let (head, rest) = received.split_first_chunk::<16>()?;
        let [mark, bytes, runs, seed] = [0, 4, 8, 12].map(|at| {
            let word = head.get(at..).and_then(|tail| tail.first_chunk());
            word.map_or(0, |word| u32::from_le_bytes(*word))
        });
        (mark == MARK).then_some(())?;
        Some(Self { plan: rest.get(..bytes as usize)?, runs, seed })
    }
}
