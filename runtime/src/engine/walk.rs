//! The walk through a plan: regions, ticks, steps that are due, and their calls.

use super::{Engine, Error, Observer, call, view};
use crate::plan::{Fault, RegionKind, RegionRecord, StepBytes, StepRecord};

impl<'a> Engine<'a> {
    /// Runs the regions from `index` on; none of them may wait for deliveries.
    pub(super) fn regions_from(
        &mut self,
        mut index: usize,
        observer: &mut impl Observer,
    ) -> Result<(), Error> {
        while let Some(region) = self.plan.region(index) {
            match RegionKind::from_code(region.kind) {
                Some(RegionKind::Plain) => self.plain(&region, observer)?,
                Some(RegionKind::Rows) if region.port == crate::plan::NONE || self.port_is_whole(&region) => {
                    for tick in 0..region.ticks {
                        self.tick_steps(&region, tick, observer)?;
                    }
                }
                _ => return Err(Error::Drive),
            }
            index += 1;
        }
        Ok(())
    }

    /// Runs each step of a plain region once, over all slices.
    fn plain(&mut self, region: &RegionRecord, observer: &mut impl Observer) -> Result<(), Error> {
        for (index, step) in self.steps(region) {
            let slices = self.output_slices(step);
            self.call(index, step, 0, slices as usize, observer)?;
        }
        Ok(())
    }

    /// Runs the steps of a region that are due at `tick`.
    pub(super) fn tick_steps(
        &mut self,
        region: &RegionRecord,
        tick: u32,
        observer: &mut impl Observer,
    ) -> Result<(), Error> {
        // By index: an iterator over records takes three times as long as this for a step that is not due.
        for index in region.step_range() {
            let Some(step) = self.plan.step_bytes(index) else { break };
            let record = StepRecord::of(step);
            let Some(since) = tick.checked_sub(record.phase) else { continue };
            let (calls, rest) = match u32::from(record.every) {
                0 | 1 => (since, 0), // most steps: spares them the division
                every => (since / every, since % every),
            };
            if rest != 0 {
                continue;
            }
            let burst = u32::from(record.burst);
            let first = if burst == 1 { calls } else { calls.saturating_mul(burst) };
            let count = self.output_slices(step).saturating_sub(first).min(burst);
            if count > 0 {
                self.call(index, step, first as usize, count as usize, observer)?;
            }
        }
        Ok(())
    }

    /// The steps of a region, with their indices.
    #[inline(always)]
    fn steps(&self, region: &RegionRecord) -> impl Iterator<Item = (usize, &'a StepBytes)> + use<'a> {
        let range = region.step_range();
        range.clone().zip(self.plan.step_records(range))
    }

    // Once for both kinds of regions: it is a good part of the engine's code.
    #[inline(never)]
    fn call(
        &mut self,
        index: usize,
        step: &'a StepBytes,
        first: usize,
        slices: usize,
        observer: &mut impl Observer,
    ) -> Result<(), Error> {
        let record = StepRecord::of(step);
        let mismatch = Error::Step { index, fault: Fault::Arguments };
        let kernel = self.kernels.get(usize::from(record.kernel)).ok_or(mismatch)?;
        observer.before(index);
        let Ok(call) = call::prepare(self.plan, step, self.arena, self.state, first, slices) else {
            return Err(mismatch);
        };
        if kernel(call).is_err() {
            return Err(mismatch);
        }
        // Nothing of this is left where nobody watches.
        let output = self.plan.step_output(&record);
        let memory = output.and_then(|output| view::memory(self.plan, output.tensor, self.arena, self.state));
        observer.after(index, first..first + slices, memory.unwrap_or(&[]));
        Ok(())
    }

    #[inline(always)]
    fn output_slices(&self, step: &StepBytes) -> u32 {
        self.plan.step_output(&StepRecord::of(step)).map_or(0, |output| output.slices)
    }

    /// Steps whose results leave an endless region: those that the ports name, or else the last one.
    fn result_step(&self, region: &RegionRecord) -> Option<StepRecord> {
        let named =
            (0..).map_while(|i| self.plan.port_of(1, i)).find_map(|i| self.plan.port(i)).map(|p| p.step);
        let last = (region.first_step + region.steps).checked_sub(1)?;
        self.plan.step(named.filter(|&step| step <= last).unwrap_or(last).into())
    }

    /// Ticks still needed after the present one before a result; 0 if this tick gives one.
    pub(super) fn frames_left(&self, region: &RegionRecord) -> u32 {
        let Some(step) = self.result_step(region) else { return 0 };
        let every = u32::from(step.every.max(1));
        match self.tick.checked_sub(step.phase) {
            Some(since) => (every - since % every) % every,
            None => step.phase - self.tick,
        }
    }

    pub(super) fn warm_ticks(&self, region: &RegionRecord) -> u32 {
        let longest = self
            .steps(region)
            .map(|(_, step)| StepRecord::of(step))
            .map(|s| s.phase + u32::from(s.every))
            .max();
        longest.unwrap_or(0)
    }
}
