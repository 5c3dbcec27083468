//! Who lives where and when, and what the regions keep, read off a plan.

use mote_runtime::Plan;
use mote_runtime::plan::{OperandRecord, RegionKind, RegionRecord, Space};
use std::ops::Range;

/// A piece of the arena over steps.
#[derive(Clone, Debug)]
pub struct Span {
    pub name: String,
    pub offset: usize,
    pub bytes: usize,
    /// First and last step at which the bytes are needed; the number of steps is the time after the last one.
    pub first: usize,
    pub last: usize,
    pub content: Content,
}

/// What a piece of memory holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// A whole tensor.
    Tensor,
    /// The last slices of a tensor.
    Ring(Slots),
    Scratch,
}

/// How much of a tensor is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slots {
    pub kept: usize,
    /// Slices in all; `None` if endless.
    pub of: Option<usize>,
    pub slice_bytes: usize,
}

impl Slots {
    fn of(view: &OperandRecord) -> Self {
        let of = (view.slices != u32::MAX).then_some(view.slices as usize);
        Self { kept: view.slots as usize, of, slice_bytes: view.slice_bytes() }
    }
}

/// Steps that run together.
#[derive(Clone, Debug)]
pub struct RegionFigures {
    pub kind: RegionKind,
    pub steps: Range<usize>,
    /// Of one run; 0 if endless.
    pub ticks: usize,
    /// Name of the input that is delivered slice by slice.
    pub delivered: Option<String>,
    pub rings: Vec<RingFigures>,
}

/// A tensor of which a region keeps only some slices.
#[derive(Clone, Debug)]
pub struct RingFigures {
    pub name: String,
    pub slots: Slots,
    /// From the start of the state or of the arena.
    pub offset: usize,
    pub bytes: usize,
    /// Outlives a call.
    pub in_state: bool,
    /// Outlives a tick; if not, its memory serves others meanwhile.
    pub kept: bool,
}

impl RegionFigures {
    /// What is kept from tick to tick, each piece of memory once: of rings that lie in place of each other the last.
    pub fn kept(&self) -> Vec<&RingFigures> {
        let mut kept: Vec<&RingFigures> = Vec::new();
        for ring in self.rings.iter().filter(|ring| ring.kept) {
            match kept.iter_mut().find(|other| (other.offset, other.in_state) == (ring.offset, ring.in_state))
            {
                Some(other) => *other = ring,
                None => kept.push(ring),
            }
        }
        kept
    }
}

/// The uses of a tensor.
#[derive(Default)]
struct Uses {
    made: Option<usize>,
    read: Vec<usize>,
    input: bool,
    output: bool,
    /// In which it is made or delivered.
    view: Option<OperandRecord>,
}

struct Network<'p, 'b> {
    plan: &'p Plan<'b>,
    uses: Vec<Uses>,
}

/// All pieces of the arena.
pub fn spans(plan: &Plan<'_>) -> Vec<Span> {
    let network = Network::new(plan);
    let mut spans: Vec<Span> = (0..plan.tensors()).filter_map(|tensor| network.span(tensor)).collect();
    for (index, step) in steps(plan).filter(|(_, step)| step.scratch_bytes > 0) {
        let (offset, bytes) = (step.scratch as usize, step.scratch_bytes as usize);
        let name = plan.step_name(index).to_string();
        spans.push(Span { name, offset, bytes, first: index, last: index, content: Content::Scratch });
    }
    spans
}

/// The regions with what they keep.
pub fn regions(plan: &Plan<'_>) -> Vec<RegionFigures> {
    let network = Network::new(plan);
    let regions = (0..).map_while(|index| plan.region(index));
    let figures = regions.enumerate().map(|(index, region)| {
        let rings = (0..plan.tensors()).filter_map(|tensor| {
            let record = plan.tensor(tensor)?;
            let view = network.uses[tensor].view.filter(OperandRecord::is_ring)?;
            let own = network.home(tensor).is_some_and(|home| home.first_step == region.first_step);
            let in_state = record.space == Space::State as u8;
            (own && record.space != Space::Constant as u8).then(|| RingFigures {
                name: plan.tensor_name(tensor).to_string(),
                slots: Slots::of(&view),
                offset: record.offset as usize,
                bytes: record.bytes as usize,
                in_state,
                kept: in_state || !network.is_temporary(tensor, &region),
            })
        });
        let port = plan.port(region.port.into()).filter(|_| index == 0);
        RegionFigures {
            kind: RegionKind::from_code(region.kind).unwrap_or(RegionKind::Plain),
            steps: range(&region),
            ticks: region.ticks as usize,
            delivered: port.map(|port| plan.string(port.name, port.name_bytes).to_string()),
            rings: rings.collect(),
        }
    });
    figures.collect()
}

fn steps<'p>(plan: &'p Plan<'_>) -> impl Iterator<Item = (usize, mote_runtime::plan::StepRecord)> + 'p {
    (0..).map_while(|index| Some((index, plan.step(index)?)))
}

fn range(region: &RegionRecord) -> Range<usize> {
    let first = usize::from(region.first_step);
    first..first + usize::from(region.steps)
}

impl<'p, 'b> Network<'p, 'b> {
    fn new(plan: &'p Plan<'b>) -> Self {
        let mut uses: Vec<Uses> = (0..plan.tensors()).map(|_| Uses::default()).collect();
        for (index, step) in steps(plan) {
            for k in 0..usize::from(step.inputs) {
                let Some(operand) = plan.step_operand(&step, k) else { continue };
                uses[usize::from(operand.tensor)].read.push(index);
                if let Some(newest) = usize::from(operand.newest).checked_sub(1) {
                    uses[newest].read.push(index);
                }
            }
            if let Some(output) = plan.step_output(&step) {
                let made = &mut uses[usize::from(output.tensor)];
                (made.made, made.view) = (Some(index), Some(output));
            }
        }
        for view in (0..).map_while(|index| plan.port_view(0, index)) {
            let input = &mut uses[usize::from(view.tensor)];
            (input.input, input.view) = (true, Some(view));
        }
        for view in (0..).map_while(|index| plan.port_view(1, index)) {
            uses[usize::from(view.tensor)].output = true;
        }
        Self { plan, uses }
    }

    /// The region that a step belongs to.
    fn region_of(&self, step: usize) -> Option<RegionRecord> {
        (0..).map_while(|index| self.plan.region(index)).find(|region| range(region).contains(&step))
    }

    /// The region that makes the slices of a tensor, or takes them one by one.
    fn home(&self, tensor: usize) -> Option<RegionRecord> {
        let uses = &self.uses[tensor];
        if let Some(made) = uses.made {
            return self.region_of(made);
        }
        let first = self.plan.region(0)?;
        let port = self.plan.port(first.port.into())?;
        let delivered = self.plan.operand(port.operand.into())?;
        (usize::from(delivered.tensor) == tensor).then_some(first)
    }

    fn span(&self, tensor: usize) -> Option<Span> {
        let record = self.plan.tensor(tensor).filter(|record| record.space == Space::Arena as u8)?;
        let uses = &self.uses[tensor];
        let end = self.plan.steps();
        let steps = uses.made.iter().chain(&uses.read).copied();
        let steps = steps.chain(uses.input.then_some(0)).chain(uses.output.then_some(end));
        let mut life: Option<(usize, usize)> = None;
        for step in steps {
            let (from, to) = self.needed(tensor, step);
            life = Some(life.map_or((from, to), |(first, last)| (first.min(from), last.max(to))));
        }
        let (first, last) = life?;
        let ring = uses.view.filter(OperandRecord::is_ring).map(|view| Content::Ring(Slots::of(&view)));
        let name = self.plan.tensor_name(tensor).to_string();
        let (offset, bytes) = (record.offset as usize, record.bytes as usize);
        Some(Span { name, offset, bytes, first, last, content: ring.unwrap_or(Content::Tensor) })
    }

    /// Steps from the first to the last at which a use by `step` needs the tensor: all of the region where its bytes
    /// must survive until the next tick.
    fn needed(&self, tensor: usize, step: usize) -> (usize, usize) {
        let region = self.region_of(step).filter(|region| region.kind != RegionKind::Plain as u8);
        let Some(region) = region else { return (step, step) };
        if self.is_temporary(tensor, &region) {
            return (step, step);
        }
        let steps = range(&region);
        (steps.start, steps.end.saturating_sub(1))
    }

    /// Made (or delivered) and used up within a tick of the region: everything that a frame leaves in the arena.
    fn is_temporary(&self, tensor: usize, region: &RegionRecord) -> bool {
        if region.kind == RegionKind::Endless as u8 {
            return true;
        }
        let uses = &self.uses[tensor];
        let home = self.home(tensor).is_some_and(|home| home.first_step == region.first_step);
        let phase = |step: usize| self.plan.step(step).map(|step| step.phase);
        let made = uses.made.map_or(Some(0), phase);
        let at_once = uses.read.iter().all(|&read| range(region).contains(&read) && phase(read) == made);
        let burst = uses.made.and_then(|made| self.plan.step(made)).map_or(1, |step| u32::from(step.burst));
        home && at_once && !uses.output && uses.view.is_some_and(|view| view.slots <= burst)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mote_compiler::convert::{Options, convert};
    use mote_compiler::executor::AlignedBytes;
    use mote_compiler::stream::Rows;
    use mote_compiler::stream::time::Stream;
    use std::path::Path;

    /// Pieces that live at the same time are apart, but for those that a step makes in place of another; together they
    /// are the arena.
    fn check(plan: &Plan<'_>) {
        let spans = spans(plan);
        let meet = |a: &Span, b: &Span| {
            let times = a.first <= b.last && b.first <= a.last;
            times && a.offset < b.offset + b.bytes && b.offset < a.offset + a.bytes
        };
        for (i, a) in spans.iter().enumerate() {
            for b in &spans[..i] {
                assert!(!meet(a, b) || a.offset == b.offset, "{a:?} meets {b:?}");
            }
        }
        let top = spans.iter().map(|span| span.offset + span.bytes).max().unwrap_or(0);
        assert_eq!(top.next_multiple_of(mote_runtime::plan::ALIGN), plan.arena_bytes());
    }

    #[test]
    fn lives_are_those_that_the_addresses_were_chosen_for() {
        let model = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/cifar10/cifar10_small.onnx");
        let model = std::fs::read(model).unwrap();
        for rows in [Rows::Auto, Rows::Off] {
            let plan = convert(&model, &Options { rows, ..Options::default() }).unwrap().plan;
            let aligned = AlignedBytes::from_slice(&plan);
            let plan = Plan::parse(aligned.as_ref()).unwrap();
            check(&plan);
            let regions = regions(&plan);
            let by_rows = regions.iter().filter(|region| region.kind == RegionKind::Rows);
            let rings: usize = by_rows.map(|region| region.rings.len()).sum();
            assert_eq!(rings > 0, rows == Rows::Auto);
        }
    }

    #[test]
    fn frames_leave_nothing_in_the_arena() {
        let model =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../../models/continual/digits_conv/digits_conv.onnx");
        let options = Options { stream: Some(Stream::default()), ..Options::default() };
        let plan = convert(&std::fs::read(model).unwrap(), &options).unwrap().plan;
        let aligned = AlignedBytes::from_slice(&plan);
        let plan = Plan::parse(aligned.as_ref()).unwrap();
        check(&plan);
        let regions = regions(&plan);
        let kept = regions[0].kept();
        assert!(kept.iter().all(|ring| ring.in_state));
        let bytes: usize =
            kept.iter().map(|ring| ring.bytes.next_multiple_of(mote_runtime::plan::ALIGN)).sum();
        assert_eq!(bytes, plan.state_bytes());
    }
}
