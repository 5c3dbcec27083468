//! The tiny formula: resolution, depth and width for a budget of multiply-accumulates.
//!
//! The paper (arXiv 2010.14819, section 3) fits resolution and depth to the budget over its best models and takes the
//! width that is left. Its closed form for the width, `sqrt(c / (d r^2))`, fails for all but the largest of its networks,
//! since stem and head do not scale with the width. Here resolution and depth are interpolated linearly in the logarithm
//! of the budget through the published networks, and the width is bisected on the exact count. Beyond the published
//! networks the line through the last two goes on, down to half of what the smallest has; below that only the width falls.

use super::{PUBLISHED, Published, TinyNet};
use crate::{Arch, Spec, Weights, build, macs};

/// Rows and columns at a resolution factor of 1.
const SIDE: f64 = 224.0;

/// Limits of what is proposed: beyond, the formula says nothing sensible.
const LEAST_SIDE: usize = 32;
/// Widths in ten-thousandths.
const WIDTHS: (u32, u32) = (500, 20_000);

/// A network for a budget.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    pub spec: Spec,
    pub net: TinyNet,
    /// Factor of the resolution of 224.
    pub resolution: f64,
    pub macs: u64,
}

/// The network that the formula gives for a budget; `None` where not even the thinnest fits it. It never needs more.
pub fn propose(budget: u64, classes: usize) -> Option<Proposal> {
    propose_from(&PUBLISHED, budget, classes)
}

/// The same from other networks, from large to small; at least two.
pub fn propose_from(known: &[Published], budget: u64, classes: usize) -> Option<Proposal> {
    let resolution = interpolate(known, budget, |net| net.resolution).min(1.0);
    let side = LEAST_SIDE.max((SIDE * resolution + 1e-9) as usize);
    let depth = interpolate(known, budget, |net| net.net.depth);
    // Only products with whole numbers of blocks count: three digits tell them apart.
    let depth = (depth * 1e3).round() / 1e3;
    let net = |width: u32| TinyNet { width: f64::from(width) / 1e4, depth };
    let spec = |width| Spec { arch: Arch::TinyNet(net(width)), size: [side; 2], classes };
    let (mut fits, mut over) = WIDTHS;
    if count(&spec(fits)) > budget {
        return None;
    }
    while over - fits > 1 {
        let middle = fits.midpoint(over);
        *(if count(&spec(middle)) <= budget { &mut fits } else { &mut over }) = middle;
    }
    let (spec, net) = (spec(fits), net(fits));
    let macs = count(&spec);
    Some(Proposal { spec, net, resolution: (resolution * 1e3).round() / 1e3, macs })
}

/// Multiply-accumulates, exactly.
fn count(spec: &Spec) -> u64 {
    build(spec, Weights::Shapes).map_or(u64::MAX, |model| macs(&model.graph))
}

/// Linear in the logarithm of the budget between neighbours, and beyond them; at least half of the smallest network's.
fn interpolate(known: &[Published], budget: u64, value: impl Fn(&Published) -> f64) -> f64 {
    let cost = |net: &Published| {
        let spec = Spec { arch: Arch::TinyNet(net.net), size: [net.side; 2], classes: 1000 };
        (count(&spec) as f64).ln()
    };
    let wanted = (budget.max(1) as f64).ln();
    let points: Vec<(f64, f64)> = known.iter().map(|net| (cost(net), value(net))).collect();
    let Some(last) = points.len().checked_sub(2) else { return points.first().map_or(1.0, |point| point.1) };
    let below = (0..=last).find(|&i| points[i + 1].0 <= wanted);
    let ((x0, y0), (x1, y1)) = (points[below.unwrap_or(last)], points[below.unwrap_or(last) + 1]);
    let least = points.last().map_or(0.0, |point| point.1 / 2.0);
    (y0 + (y1 - y0) * (wanted - x0) / (x1 - x0)).max(least)
}
