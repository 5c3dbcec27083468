//! Where regions over rows begin and end: the cut with the least peak of memory, and of those the cheapest; or the cheapest
//! whose peak stays below a limit.
//!
//! Peaks are sums of what is alive, so the placement may still need a little more; the caller compares placements.

use super::rows::over_rows;
use super::{Network, Region};
use crate::cost::choose::StepCosts;
use crate::graph::TensorId;
use mote_runtime::plan::{ALIGN, RegionKind};

/// One plain region with all steps.
pub fn plain(steps: usize) -> Vec<Region> {
    vec![Region::plain(0..steps)]
}

/// The cut with the least peak.
pub fn choose(network: &Network<'_>, costs: &StepCosts) -> Vec<Region> {
    let pieces = pieces(network, costs);
    let least = best(&pieces, usize::MAX, true).map_or(usize::MAX, |cut| cut.peak);
    let Some(cut) = best(&pieces, least, false) else { return plain(network.steps().len()) };
    regions(&pieces, &cut)
}

/// A cut with its peak and its cost.
pub struct Cheapest {
    pub regions: Vec<Region>,
    pub peak: usize,
    pub cost: u64,
}

/// The cheapest cut whose peak is at most `limit`, if there is one.
pub fn cheapest(network: &Network<'_>, costs: &StepCosts, limit: usize) -> Option<Cheapest> {
    let pieces = pieces(network, costs);
    let cut = best(&pieces, limit, false)?;
    Some(Cheapest { regions: regions(&pieces, &cut), peak: cut.peak, cost: cut.cost })
}

fn regions(pieces: &[Vec<Piece>], cut: &Cut) -> Vec<Region> {
    let mut regions: Vec<Region> = Vec::new();
    for &(end, index) in &cut.path {
        let piece = &pieces[end][index];
        match (&piece.region, regions.last_mut()) {
            (Some(region), _) => regions.push(region.clone()),
            (None, Some(last)) if last.kind == RegionKind::Plain => {
                *last = Region::plain(last.steps.start..end)
            }
            (None, _) => regions.push(Region::plain(piece.start..end)),
        }
    }
    regions
}

/// The same cut with `rows` rows at a time wherever rows have one column: calls are fewer, and kernels can share weights
/// between rows, for a little more memory. (Sums that grow row by row take single rows.)
pub fn several(network: &Network<'_>, regions: &[Region], rows: usize) -> Vec<Region> {
    let one_column = |index: &usize| {
        let tensor = network.steps()[*index].output.tensor;
        matches!(network.graph.tensor(tensor).shape[..], [_, _, 1, _])
    };
    let longer = |region: &Region| {
        let fits = region.kind == RegionKind::Rows && region.steps.clone().all(|index| one_column(&index));
        fits.then(|| over_rows(network, region.steps.clone(), region.port, rows)).flatten()
    };
    regions.iter().map(|region| longer(region).unwrap_or_else(|| region.clone())).collect()
}

/// Steps `start .. end` (the index under which it is kept) and what they cost.
struct Piece {
    start: usize,
    /// `None`: a single plain step.
    region: Option<Region>,
    peak: usize,
    cost: u64,
}

/// All pieces, by end.
fn pieces(network: &Network<'_>, costs: &StepCosts) -> Vec<Vec<Piece>> {
    let steps = network.steps();
    let mut pieces: Vec<Vec<Piece>> = (0..=steps.len()).map(|_| Vec::new()).collect();
    for start in 0..steps.len() {
        let (peak, cost) = (plain_peak(network, start), costs.whole[start]);
        pieces[start + 1].push(Piece { start, region: None, peak, cost });
        for (end, ending) in pieces.iter_mut().enumerate().skip(start + 1) {
            // Where the rows of the input can be delivered, there is no need of it as a whole.
            let delivered = network.graph.inputs.first().copied().filter(|_| start == 0);
            let rings = delivered.and_then(|id| over_rows(network, start..end, Some(id), 1));
            // A step that cannot go row by row ends every longer region, too.
            let Some(region) = rings.or_else(|| over_rows(network, start..end, None, 1)) else { break };
            let cost = costs.by_rows[start..end].iter().sum();
            let peak = rows_peak(network, &region);
            ending.push(Piece { start, region: Some(region), peak, cost });
        }
    }
    pieces
}

/// Pieces from the first step to the last: `(end, index)` of each.
struct Cut {
    peak: usize,
    cost: u64,
    path: Vec<(usize, usize)>,
}

/// Of the cuts with peaks up to `limit` the one with the least peak, or with the least cost.
fn best(pieces: &[Vec<Piece>], limit: usize, by_peak: bool) -> Option<Cut> {
    let mut best: Vec<Option<(usize, u64, usize)>> = vec![None; pieces.len()];
    best[0] = Some((0, 0, 0));
    for end in 1..pieces.len() {
        for (index, piece) in pieces[end].iter().enumerate().filter(|(_, piece)| piece.peak <= limit) {
            let Some((peak, cost, _)) = best[piece.start] else { continue };
            let (peak, cost) = (peak.max(piece.peak), cost + piece.cost);
            let rank = |peak: usize, cost: u64| {
                if by_peak { (peak as u64, cost) } else { (cost, peak as u64) }
            };
            if best[end].is_none_or(|(p, c, _)| rank(peak, cost) < rank(p, c)) {
                best[end] = Some((peak, cost, index));
            }
        }
    }
    let (peak, cost, _) = (*best.last()?)?;
    let (mut path, mut end) = (Vec::new(), pieces.len() - 1);
    while end > 0 {
        let (.., index) = best[end]?;
        path.push((end, index));
        end = pieces[end][index].start;
    }
    path.reverse();
    Some(Cut { peak, cost, path })
}

/// Bytes alive while a plain step runs.
fn plain_peak(network: &Network<'_>, index: usize) -> usize {
    let step = &network.steps()[index];
    let mut bytes = outside(network, index, None) + padded(step.packed.scratch);
    let in_place = step.inputs.iter().zip(&step.may_be_in_place).any(|(operand, &possible)| {
        let uses = network.uses(network.root(operand.tensor));
        possible && operand.same_view(&step.output) && uses.is_some_and(|uses| !uses.needed_from(index + 1))
    });
    if !in_place && let Some(uses) = network.uses(step.output.tensor) {
        bytes += padded(uses.bytes);
    }
    bytes
}

/// Bytes alive while a region over rows runs.
fn rows_peak(network: &Network<'_>, region: &Region) -> usize {
    let own = region.rings.iter().filter(|(_, ring)| !ring.shared);
    let (temporary, kept): (Vec<_>, Vec<_>) = own.partition(|(_, ring)| ring.temporary);
    let kept: usize = kept.iter().map(|(_, ring)| padded(ring.bytes())).sum();
    let at = |index: usize| -> usize {
        let alive = temporary.iter().filter(|(id, _)| {
            let uses = network.uses(**id);
            uses.is_some_and(|uses| uses.made.is_none_or(|made| made <= index) && uses.needed_from(index))
        });
        let scratch = padded(network.steps()[index].packed.scratch);
        alive.map(|(_, ring)| padded(ring.bytes())).sum::<usize>() + scratch
    };
    let most = region.steps.clone().map(at).max().unwrap_or(0);
    outside(network, region.steps.start, region.port) + kept + most
}

/// Bytes of whole tensors that exist before step `start` and are needed from there on.
fn outside(network: &Network<'_>, start: usize, delivered: Option<TensorId>) -> usize {
    network
        .tensors()
        .filter(|(id, uses)| {
            uses.made.is_none_or(|made| made < start) && uses.needed_from(start) && Some(*id) != delivered
        })
        .map(|(_, uses)| padded(uses.bytes))
        .sum()
}

fn padded(bytes: usize) -> usize {
    bytes.next_multiple_of(ALIGN)
}
