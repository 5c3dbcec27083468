//! Static placement of blocks with known lives in one arena.
//!
//! Offline dynamic storage allocation is NP-hard; greedy placement by decreasing size into the lowest gap is what
//! the best runtimes do (XNNPACK, TFLM). Here several orders are tried, and where none meets the lower bound a
//! seeded local search over orders follows.

use mote_runtime::plan::ALIGN;

/// Bytes that are needed from step `first` to step `last`, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    pub bytes: usize,
    pub first: usize,
    pub last: usize,
}

impl Block {
    fn meets(&self, other: &Block) -> bool {
        self.first <= other.last && other.first <= self.last
    }
}

/// Offsets for all blocks, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layout {
    pub offsets: Vec<usize>,
    pub arena: usize,
    /// Largest sum of bytes alive at one step, alignment included.
    pub lower_bound: usize,
}

/// Rounds of the local search; each costs one placement.
const SEARCH_ROUNDS: usize = 2000;

/// What blocks are sorted by, smallest first.
type Key = fn(&Block) -> (usize, usize);

/// Places the blocks so that none overlaps another that lives at the same time.
pub fn place(blocks: &[Block]) -> Layout {
    let steps = blocks.iter().map(|b| b.last + 1).max().unwrap_or(0);
    let alive = |step: usize| blocks.iter().filter(move |b| b.first <= step && step <= b.last);
    let padded = |b: &Block| b.bytes.next_multiple_of(ALIGN);
    let lower_bound = (0..steps).map(|step| alive(step).map(padded).sum()).max().unwrap_or(0);

    let keys: [Key; 4] = [
        |b| (usize::MAX - b.bytes, b.first),
        |b| (usize::MAX - b.bytes * (b.last - b.first + 1), b.first),
        |b| (usize::MAX - (b.last - b.first), usize::MAX - b.bytes),
        |b| (b.first, usize::MAX - b.bytes),
    ];
    let mut best: Option<(usize, Vec<usize>)> = None;
    let mut consider = |order: Vec<usize>| -> usize {
        let (arena, offsets) = in_order(blocks, &order);
        if best.as_ref().is_none_or(|(least, _)| arena < *least) {
            best = Some((arena, offsets));
        }
        best.as_ref().map_or(arena, |(least, _)| *least)
    };
    let mut least = usize::MAX;
    for key in keys {
        let mut order: Vec<usize> = (0..blocks.len()).collect();
        order.sort_by_key(|&i| key(&blocks[i]));
        least = consider(order);
    }
    let mut random = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = |bound: usize| {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random % bound as u64) as usize
    };
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    order.sort_by_key(|&i| usize::MAX - blocks[i].bytes);
    for _ in 0..SEARCH_ROUNDS {
        if least <= lower_bound || blocks.len() < 3 || blocks.len() > 400 {
            break;
        }
        let mut candidate = order.clone();
        let (from, to) = (next(blocks.len()), next(blocks.len()));
        let moved = candidate.remove(from);
        candidate.insert(to, moved);
        let before = least;
        least = consider(candidate.clone());
        if least <= before && in_order(blocks, &candidate).0 <= before {
            order = candidate;
        }
    }
    let (arena, offsets) = best.unwrap_or_default();
    Layout { offsets, arena, lower_bound }
}

/// Puts each block of `order` into the lowest gap that fits.
fn in_order(blocks: &[Block], order: &[usize]) -> (usize, Vec<usize>) {
    let mut offsets = vec![0; blocks.len()];
    let mut placed: Vec<usize> = Vec::new();
    let mut arena = 0;
    for &i in order {
        let block = &blocks[i];
        let mut taken: Vec<(usize, usize)> = placed
            .iter()
            .filter(|&&j| blocks[j].meets(block))
            .map(|&j| (offsets[j], (offsets[j] + blocks[j].bytes).next_multiple_of(ALIGN)))
            .collect();
        taken.sort_unstable();
        let mut at = 0;
        for (start, end) in taken {
            if at + block.bytes <= start {
                break;
            }
            at = at.max(end);
        }
        offsets[i] = at;
        arena = arena.max((at + block.bytes).next_multiple_of(ALIGN));
        placed.push(i);
    }
    (arena, offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(blocks: &[Block]) -> Layout {
        let layout = place(blocks);
        for (i, a) in blocks.iter().enumerate() {
            assert_eq!(layout.offsets[i] % ALIGN, 0);
            assert!(layout.offsets[i] + a.bytes <= layout.arena);
            for (j, b) in blocks.iter().enumerate().take(i) {
                let apart = layout.offsets[i] + a.bytes <= layout.offsets[j]
                    || layout.offsets[j] + b.bytes <= layout.offsets[i];
                assert!(apart || !a.meets(b), "blocks {i} and {j} overlap");
            }
        }
        layout
    }

    #[test]
    fn a_chain_needs_its_two_largest_neighbours() {
        let chain = [100, 400, 300, 50].map(|b| b * ALIGN);
        let blocks: Vec<Block> =
            chain.iter().enumerate().map(|(i, &bytes)| Block { bytes, first: i, last: i + 1 }).collect();
        let layout = check(&blocks);
        assert_eq!(layout.arena, 700 * ALIGN);
        assert_eq!(layout.lower_bound, layout.arena);
    }

    #[test]
    fn random_lives_never_overlap() {
        let mut seed = 1u64;
        let mut next = |bound: u64| {
            seed = seed.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (seed >> 33) % bound
        };
        for _ in 0..50 {
            let blocks: Vec<Block> = (0..next(30))
                .map(|_| {
                    let first = next(20) as usize;
                    Block { bytes: next(1000) as usize, first, last: first + next(6) as usize }
                })
                .collect();
            let layout = check(&blocks);
            assert!(layout.arena >= layout.lower_bound.saturating_sub(blocks.len() * ALIGN));
        }
    }
}
