//! A plan on an emulated board, with the counts of every step.
//!
//! One image a board (`firmware/apps/profile`) serves all plans: QEMU's loader puts the plan into the board's memory. The
//! last inference has a marker behind every step; the one before has none, and gives the total.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    Error, Result,
    board::Board,
    counts::Counts,
    image::{self, Speed},
    qemu::{self, Settings},
};

/// A plan and what it asks for.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    pub plan: &'a [u8],
    /// Bytes that the plan works in: arena, state and a slice of the input.
    pub memory: usize,
    /// Of a stream: number of the frame with the first result, from 0; else 0.
    pub first_ready: usize,
    /// Of a stream: frames from result to result; else 1.
    pub every: usize,
}

/// What a run told.
pub struct Profile {
    /// Parsing, checking against all kernels, binding.
    pub start_up: Counts,
    /// One inference, or one frame of a stream that brings a result.
    pub inference: Counts,
    /// Steps that ran in it, in the plan's order. What watching costs (markers count as nothing, but the code around calls
    /// is another) is taken out again, in equal parts of all calls; what is missing to [`Profile::inference`] is the
    /// engine's work between the steps.
    pub steps: Vec<StepCounts>,
    /// Most stack in use.
    pub stack_bytes: u32,
}

/// Counts of one step.
pub struct StepCounts {
    /// Index in the plan.
    pub step: usize,
    /// Calls of its kernel.
    pub calls: usize,
    pub counts: Counts,
}

/// The image for a board, built by cargo if it is not up to date.
pub fn image(board: &Board) -> Result<PathBuf> {
    image::build("mote-profile", board, Speed::Fast, board.name, &[])
}

/// Runs a plan in this image.
pub fn run(board: &Board, image: &Path, subject: &Subject<'_>) -> Result<Profile> {
    let place = image::reserved(image, "_received")?;
    let work = image::reserved(image, "_work")?;
    let job = job(subject);
    let memory = subject.memory as u64 + 3 * ALIGN;
    for (what, needed, place) in [("the plan", job.len() as u64, &place), ("arena and state", memory, &work)]
    {
        let given = place.end - place.start;
        if needed > given {
            return Err(Error::TooLarge { board: board.name, what, needed, given });
        }
    }
    let file = image.with_file_name(format!("job-{}.bin", unique()));
    fs::write(&file, &job).map_err(Error::file(&file))?;
    let loader = format!("loader,file={},addr={:#x},force-raw=on", file.display(), place.start);
    let devices = ["-device".into(), loader];
    let settings = Settings { count: true, patience: Duration::from_secs(1800), devices: &devices };
    let outcome = qemu::emulate(board, image, settings, |_| {});
    let _ = fs::remove_file(&file);
    let outcome = outcome?;
    if outcome.exit != 0 {
        return Err(Error::Ended { code: outcome.exit });
    }
    let mut log = outcome.counts.ok_or_else(|| wrong("there are none"))?;
    let start_up = log.take("start-up", 0)?.counts;
    let (stack_bytes, laps) =
        report(&outcome.console).ok_or_else(|| wrong("the image's report is incomplete"))?;
    // The later one first: it would have another number behind the earlier one.
    let observed = log.take("inference", runs(subject) - 1)?;
    let inference = log.take("inference", runs(subject) - 1 - subject.every.max(1))?.counts;
    if laps.len() != observed.laps.len() {
        return Err(wrong(format!("{} laps, but {} steps ran", observed.laps.len(), laps.len())));
    }
    let mut steps: BTreeMap<usize, StepCounts> = BTreeMap::new();
    for (&step, lap) in laps.iter().zip(&observed.laps) {
        let step = usize::from(step);
        match steps.get_mut(&step) {
            Some(sum) => {
                sum.calls += 1;
                sum.counts.add(lap);
            }
            None => {
                steps.insert(step, StepCounts { step, calls: 1, counts: lap.clone() });
            }
        }
    }
    let without = |sum: StepCounts| {
        let counts = sum.counts.without_share(&observed.counts, &inference, sum.calls, laps.len());
        StepCounts { counts, ..sum }
    };
    let steps = steps.into_values().map(without).collect();
    Ok(Profile { start_up, inference, steps, stack_bytes })
}

const ALIGN: u64 = 16;

/// Inferences, or frames: the last two results are looked at, not the first.
fn runs(subject: &Subject<'_>) -> usize {
    subject.first_ready + 1 + 2 * subject.every.max(1)
}

/// What the loader writes: see `firmware/apps/profile/src/job.rs`.
fn job(subject: &Subject<'_>) -> Vec<u8> {
    const MARK: u32 = 0x4554_4f4d;
    const SEED: u32 = 1;
    let words = [MARK, subject.plan.len() as u32, runs(subject) as u32, SEED];
    words.iter().flat_map(|word| word.to_le_bytes()).chain(subject.plan.iter().copied()).collect()
}

/// Stack and the step of each lap, as the image wrote them: step of each lap (u16), number of laps (u32), stack (u32).
fn report(console: &[u8]) -> Option<(u32, Vec<u16>)> {
    let (rest, stack) = console.split_last_chunk()?;
    let (rest, laps) = rest.split_last_chunk()?;
    let start = rest.len().checked_sub(2 * u32::from_le_bytes(*laps) as usize)?;
    let laps = rest.get(start..)?.as_chunks().0.iter().map(|&step| u16::from_le_bytes(step)).collect();
    Some((u32::from_le_bytes(*stack), laps))
}

fn unique() -> String {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static JOBS: AtomicUsize = AtomicUsize::new(0);
    format!("{}-{}", std::process::id(), JOBS.fetch_add(1, Ordering::Relaxed))
}

fn wrong(reason: impl Into<String>) -> Error {
    Error::Counts(reason.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_report() {
        let read = report(&[9, 9, 1, 0, 2, 0, 2, 0, 0, 0, 0, 4, 0, 0]);
        assert_eq!(read, Some((1024, vec![1, 2])));
        assert_eq!(report(&[1, 0, 0, 0, 0, 0, 0, 0]), None);
    }

    #[test]
    fn looks_at_two_results_behind_the_first() {
        let plain = Subject { plan: &[7; 16], memory: 0, first_ready: 0, every: 1 };
        assert_eq!(runs(&plain), 3);
        let job = job(&plain);
        assert_eq!((job.len(), &job[..4], job[8]), (32, &b"MOTE"[..], 3));
        assert_eq!(runs(&Subject { first_ready: 14, every: 2, ..plain }), 19);
    }
}
