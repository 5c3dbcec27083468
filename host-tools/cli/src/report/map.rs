//! The plan's steps and memory as text.

use super::memory::{Content, RegionFigures, Span};
use super::{Figures, grouped, short};
use mote_runtime::plan::RegionKind;
use std::fmt::Write;

/// The table of steps, region by region.
pub fn steps(figures: &Figures) -> String {
    let mut text = String::from(
        "\n  step  kernel                             MACs     weights  output, and the node it comes from\n",
    );
    for region in &figures.regions {
        if figures.regions.len() > 1 || region.kind != RegionKind::Plain {
            text += &heading(region);
        }
        for i in region.steps.clone() {
            let Some(s) = figures.steps.get(i) else { break };
            let (macs, weights) = (grouped(s.macs), grouped(s.weight_bytes as u64));
            let _ = write!(text, "  {i:>4}  {:<26} {macs:>12} {weights:>11}  {}", s.kernel, s.output);
            if s.in_place {
                text += ", in place";
            }
            if s.burst > 1 {
                let _ = write!(text, ", {} rows every {} ticks", s.burst, s.every);
            } else if s.every > 1 {
                let _ = write!(text, ", every {} ticks", s.every);
            }
            text.push('\n');
            if let [(_, chosen), others @ ..] = &s.candidates[..] {
                let cost = |cost: u32| grouped(cost.into());
                let others: Vec<String> =
                    others.iter().map(|(kernel, of)| format!("{kernel} {}", cost(*of))).collect();
                let _ = writeln!(
                    text,
                    "        chosen at about {} instructions; {}",
                    cost(*chosen),
                    others.join(", ")
                );
            }
            if let Some(weighed) = &s.weighed {
                let choice = match (s.is_sparse(), weighed.sparse < weighed.dense) {
                    (true, _) => "sparse",
                    (false, false) => "dense",
                    // The choice saw more than costs.
                    (false, true) => "dense, for memory or as asked",
                };
                let _ = writeln!(
                    text,
                    "        {choice}: {:.1} % zeros; dense {}, sparse {} in blocks of {}x{} ({})",
                    100.0 * weighed.zeros,
                    grouped(weighed.dense as u64),
                    grouped(weighed.sparse as u64),
                    weighed.block_outputs,
                    weighed.block_inputs,
                    figures.unit()
                );
            }
            if !s.name.is_empty() {
                let _ = writeln!(text, "        {}", short(&s.name, 100));
            }
        }
    }
    text
}

/// What a region is, before its steps.
fn heading(region: &RegionFigures) -> String {
    let rings = region.kept();
    let bytes = grouped(rings.iter().map(|ring| ring.bytes as u64).sum());
    let from = region.delivered.as_ref().map_or("", |_| "; the input is delivered slice by slice");
    let kept = format!("{} rings, {bytes} bytes{from}", rings.len());
    match region.kind {
        RegionKind::Plain => "  -- whole tensors\n".into(),
        RegionKind::Rows => format!("  -- row by row, {} ticks: {kept}\n", region.ticks),
        RegionKind::Endless => format!("  -- frame by frame: {kept}\n"),
    }
}

/// Rows and columns of the map.
const ROWS: usize = 20;
const COLUMNS: usize = 96;
/// Pieces that the legend names.
const NAMED: usize = 16;
const LETTERS: &[u8; 62] = b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";

/// The arena over time: addresses upwards, steps to the right, a letter per piece of memory.
pub fn memory(figures: &Figures) -> String {
    let (arena, times) = (figures.arena_bytes, figures.steps.len() + 1);
    let mut text = String::new();
    if arena > 0 {
        let _ = writeln!(
            text,
            "\n  arena over time: {} bytes upwards, steps to the right",
            grouped(arena as u64)
        );
        text += &regions(figures, times);
        for row in (0..ROWS).rev() {
            let (from, to) = (arena * row / ROWS, (arena * (row + 1) / ROWS).max(1));
            let _ = write!(text, "  {:>11} |", grouped(from as u64));
            text.extend(columns(times).map(|steps| cell(figures, from..to, steps)));
            text.push('\n');
        }
        text += &legend(figures);
    }
    let state: Vec<_> = figures.state().collect();
    if !state.is_empty() {
        let _ =
            writeln!(text, "\n  state: {} bytes that outlive a frame", grouped(figures.state_bytes as u64));
        for ring in state {
            let (frames, bytes) = (ring.slots.kept, grouped(ring.bytes as u64));
            let s = if frames == 1 { " " } else { "s" };
            let _ =
                writeln!(text, "      {bytes:>10} bytes  {frames:>4} frame{s} of {}", short(&ring.name, 70));
        }
    }
    text
}

/// The steps that each column of the map stands for.
fn columns(times: usize) -> impl Iterator<Item = std::ops::Range<usize>> {
    let wide = (COLUMNS / times).clamp(1, 4);
    let count = (times * wide).min(COLUMNS);
    (0..count).map(move |column| {
        let first = column * times / count;
        first..((column + 1) * times / count).max(first + 1)
    })
}

fn cell(figures: &Figures, bytes: std::ops::Range<usize>, steps: std::ops::Range<usize>) -> char {
    let covers = |span: &Span| {
        span.first < steps.end
            && steps.start <= span.last
            && span.offset < bytes.end
            && span.offset + span.bytes > bytes.start
    };
    // Of pieces in place of each other the later one is shown.
    figures.spans.iter().rposition(covers).map_or('.', letter)
}

fn letter(index: usize) -> char {
    char::from(LETTERS[index % LETTERS.len()])
}

/// The line above the map that tells the regions, if there are any but whole tensors.
fn regions(figures: &Figures, times: usize) -> String {
    if figures.regions.iter().all(|region| region.kind == RegionKind::Plain) {
        return String::new();
    }
    let of = |step: usize| figures.regions.iter().position(|region| region.steps.contains(&step));
    let owners: Vec<Option<usize>> = columns(times).map(|steps| of(steps.start)).collect();
    let mut text = format!("  {:>11}  ", "");
    for run in owners.chunk_by(|a, b| a == b) {
        let name = match run[0].map(|index| figures.regions[index].kind) {
            Some(RegionKind::Rows) => "rows",
            Some(RegionKind::Endless) => "frames",
            _ => "",
        };
        let wide = run.len();
        text += &match name {
            "" => " ".repeat(wide),
            _ => {
                let line: String = format!("{name:-<wide$}").chars().take(wide.saturating_sub(2)).collect();
                format!("[{line}]")
            }
        };
    }
    text.push('\n');
    text
}

/// What is alive at the fullest step.
fn legend(figures: &Figures) -> String {
    let alive = |step: usize| {
        let spans = figures.spans.iter().enumerate();
        spans.filter(move |(_, span)| span.first <= step && step <= span.last)
    };
    let sum = |step: usize| alive(step).map(|(_, span)| span.bytes).sum::<usize>();
    let fullest = (0..figures.steps.len()).rev().max_by_key(|&step| sum(step)).unwrap_or(0);
    let mut pieces: Vec<(usize, &Span)> = alive(fullest).collect();
    pieces.sort_by_key(|(_, span)| std::cmp::Reverse(span.bytes));
    let mut text = format!("  alive at step {fullest}, the fullest:\n");
    for &(index, span) in pieces.iter().take(NAMED) {
        let bytes = grouped(span.bytes as u64);
        let _ = writeln!(
            text,
            "    {} {bytes:>10} bytes  {}{}",
            letter(index),
            content(span),
            short(&span.name, 60)
        );
    }
    if pieces.len() > NAMED {
        let _ = writeln!(text, "    and {} smaller pieces", pieces.len() - NAMED);
    }
    text
}

/// What a piece holds, to be put before its name.
pub fn content(span: &Span) -> String {
    match span.content {
        Content::Tensor => String::new(),
        Content::Scratch => "scratch of ".into(),
        Content::Ring(slots) => match slots.of {
            Some(all) => format!("{} of {all} rows of ", slots.kept),
            None if slots.kept == 1 => "a frame of ".into(),
            None => format!("{} frames of ", slots.kept),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_step_has_a_column() {
        for times in [1, 2, 30, 31, 96, 97, 400] {
            let columns: Vec<_> = columns(times).collect();
            assert!(columns.len() <= COLUMNS);
            assert_eq!((columns[0].start, columns[columns.len() - 1].end), (0, times));
            assert!((0..times).all(|step| columns.iter().any(|column| column.contains(&step))));
        }
    }
}
