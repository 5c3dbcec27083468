//! The cheapest kernel of each step, and what steps cost at once and row by row.

use super::table::Figures;
use super::{Table, Work};
use crate::graph::Graph;
use crate::import::Refusal;
use crate::lower::{Choices, Lowered, Step, lower};
use mote_runtime::kernels::Library;
use mote_runtime::kernels::pack::{Packed, Packer};

/// A kernel that could compute a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Identifier of the kernel.
    pub kernel: u16,
    /// With whole tensors, in the units of the target's table.
    pub cost: f64,
}

/// How a target's kernels are chosen.
#[derive(Clone, Copy)]
pub struct Chooser<'a> {
    pub kernels: &'a Library,
    /// Where there is none, the target's first packer decides.
    pub table: Option<&'a Table>,
    /// Asked besides the first one.
    pub others: &'a [&'static dyn Packer],
    /// Kernels with more scratch than this are not taken where another one has less.
    pub scratch: usize,
}

/// [`lower`] with the kernel of each step that costs least, of those that all packers offer; what the target's own packer
/// offers stands where no other one is cheaper by more than both figures can be doubted. The candidates stand at the steps
/// ([`Step::candidates`]), the chosen one first, where there are several and all were measured.
pub fn lower_cheapest(
    graph: &mut Graph,
    choices: &Choices<'_>,
    chooser: &Chooser<'_>,
) -> Result<Lowered, Vec<Refusal>> {
    let before = graph.clone();
    let mut lowered = lower(graph, choices)?;
    let Some(table) = chooser.table else { return Ok(lowered) };
    let mut offers: Vec<Vec<Packed>> = lowered.steps.iter().map(|step| vec![step.packed.clone()]).collect();
    for &packer in chooser.others {
        // Packers differ in kernels only: the steps are the same.
        let other = lower(&mut before.clone(), &Choices { packer, ..*choices })?;
        for (offers, step) in offers.iter_mut().zip(other.steps) {
            // Sparse ones have figures of their own (`super::sparse`), and were weighed with the first packer's.
            if !step.is_sparse() && offers.iter().all(|offer| offer.kernel != step.packed.kernel) {
                offers.push(step.packed);
            }
        }
    }
    for (step, offers) in lowered.steps.iter_mut().zip(offers) {
        choose(graph, step, offers, table, chooser);
    }
    Ok(lowered)
}

fn choose(graph: &Graph, step: &mut Step, offers: Vec<Packed>, table: &Table, chooser: &Chooser<'_>) {
    let cost = |packed: &Packed| {
        let with = Step { packed: packed.clone(), ..step.clone() };
        let work = Work::of_step(graph, chooser.kernels, &with, false);
        Some((table.cost(&work)?.units, table.figures(work.kernel).map_or(0.0, Figures::doubt)))
    };
    let costs: Option<Vec<(f64, f64)>> = offers.iter().map(cost).collect();
    // Without a figure for one of them, the target's first choice stands.
    let Some(costs) = costs.filter(|costs| costs.len() > 1) else { return };
    let (first, first_error) = (offers[0].kernel, costs[0].1);
    let mut candidates: Vec<(Packed, f64, f64)> = offers
        .into_iter()
        .zip(costs)
        .map(|(packed, (cost, error))| {
            let doubt = if packed.kernel == first { 0.0 } else { first_error + error };
            (packed, cost, cost * (1.0 + doubt))
        })
        .collect();
    candidates.sort_by(|(a, _, a_cost), (b, _, b_cost)| {
        let excess = |packed: &Packed| packed.scratch.saturating_sub(chooser.scratch);
        excess(a).cmp(&excess(b)).then(a_cost.total_cmp(b_cost))
    });
    step.candidates =
        candidates.iter().map(|(packed, cost, _)| Candidate { kernel: packed.kernel, cost: *cost }).collect();
    if let Some((packed, ..)) = candidates.into_iter().next() {
        step.packed = packed;
    }
}

/// What each step costs at once and row by row; a target without a table counts calls of kernels.
#[derive(Clone, Debug)]
pub struct StepCosts {
    pub whole: Vec<u64>,
    pub by_rows: Vec<u64>,
}

impl StepCosts {
    pub fn of(graph: &Graph, lowered: &Lowered, kernels: &Library, table: Option<&Table>) -> Self {
        let cost = |step: &Step, by_rows: bool| -> u64 {
            let rows = u64::from(step.output.view.rows);
            let units = table.and_then(|table| table.cost(&Work::of_step(graph, kernels, step, by_rows)));
            match units {
                Some(cost) => cost.units.round() as u64,
                // What is not known is taken to cost as much either way, but for the calls.
                None => CALL * if by_rows { rows } else { 1 },
            }
        };
        let costs = |by_rows| lowered.steps.iter().map(|step| cost(step, by_rows)).collect::<Vec<_>>();
        let whole = costs(false);
        // Rows never save work, whatever a fit says.
        let rows = lowered.steps.iter().map(|step| u64::from(step.output.view.rows));
        let by_rows = costs(true).into_iter().zip(whole.iter().zip(rows));
        Self { by_rows: by_rows.map(|(cost, (whole, rows))| cost.max(whole + rows)).collect(), whole }
    }
}

/// About what a call costs, in instructions.
const CALL: u64 = 600;
