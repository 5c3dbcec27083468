//! `mote inspect`: what a plan does and needs.

use crate::failure::{Failure, Outcome, read, write};
use crate::report::{self, Figures, Span, grouped};
use clap::Args;
use mote_runtime::Plan;
use std::fmt::Write;
use std::path::PathBuf;

#[derive(Args)]
pub struct Arguments {
    /// Plan file
    plan: PathBuf,
    /// Report as JSON
    #[arg(long)]
    json: bool,
    /// Draw the memory over time into this file
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let bytes = read(&arguments.plan)?;
    let aligned = mote_compiler::executor::AlignedBytes::from_slice(&bytes);
    if let Err(error) = Plan::parse(aligned.as_ref()) {
        return Err(Failure::Plan { path: arguments.plan.clone(), source: error.into() });
    }
    let figures = Figures::of(&bytes).ok_or_else(|| Failure::Usage("the plan has no figures".into()))?;
    if let Some(path) = &arguments.svg {
        write(path, svg(&figures).as_bytes())?;
    }
    if arguments.json {
        println!("{:#}", report::summary(&bytes));
        return Ok(());
    }
    println!("{}", arguments.plan.display());
    print!("{}", report::headline(&bytes));
    print!("{}", steps(&figures));
    print!("{}", memory_map(&figures));
    Ok(())
}

/// The table of steps.
pub fn steps(figures: &Figures) -> String {
    let mut text = String::from("\n  step  kernel                         MACs    weights  output\n");
    for (i, s) in figures.steps.iter().enumerate() {
        let mark = if s.in_place { "  in place" } else { "" };
        let (macs, weights) = (grouped(s.macs), grouped(s.weight_bytes as u64));
        let _ = writeln!(text, "  {i:>4}  {:<22} {macs:>12} {weights:>10}  {}{mark}", s.kernel, s.output);
        if !s.name.is_empty() {
            let _ = writeln!(text, "        {}", s.name);
        }
    }
    text
}

const MAP_ROWS: usize = 16;
const MAP_COLUMNS: usize = 96;

/// The arena over time: addresses upwards, steps to the right, a letter per tensor.
pub fn memory_map(figures: &Figures) -> String {
    let (arena, ticks) = (figures.arena_bytes, figures.steps.len() + 1);
    if arena == 0 || ticks > MAP_COLUMNS {
        return String::new();
    }
    let wide = (MAP_COLUMNS / ticks).clamp(1, 4);
    let mut text = format!("\n  memory over time ({} bytes, a column per step)\n", grouped(arena as u64));
    let letter =
        |i: usize| char::from(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"[i % 62]);
    for row in (0..MAP_ROWS).rev() {
        let (from, to) = (arena * row / MAP_ROWS, (arena * (row + 1) / MAP_ROWS).max(1));
        let _ = write!(text, "  {:>9} |", from);
        for tick in 0..ticks {
            let covers =
                |s: &Span| s.first <= tick && tick <= s.last && s.offset < to && s.offset + s.bytes > from;
            // Of tensors in place of each other the later one is shown.
            let cell = figures.spans.iter().rposition(covers).map_or('.', letter);
            text.extend(std::iter::repeat_n(cell, wide));
        }
        text.push('\n');
    }
    let mut largest: Vec<usize> = (0..figures.spans.len()).collect();
    largest.sort_by_key(|&i| std::cmp::Reverse(figures.spans[i].bytes));
    for i in largest.into_iter().take(6) {
        let span = &figures.spans[i];
        let _ = writeln!(text, "    {} {:>9} bytes  {}", letter(i), grouped(span.bytes as u64), span.name);
    }
    text
}

/// The same picture as SVG.
fn svg(figures: &Figures) -> String {
    let (width, height, left, top) = (960.0, 420.0, 80.0, 30.0);
    let ticks = (figures.steps.len() + 1) as f64;
    let arena = figures.arena_bytes.max(1) as f64;
    let x = |tick: f64| left + tick * width / ticks;
    let y = |byte: f64| top + height - byte * height / arena;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{}\" height=\"{}\" font-family=\"sans-serif\" \
         font-size=\"11\">\n<text x=\"{left}\" y=\"18\">{} bytes of arena over {} steps</text>\n",
        left + width + 20.0,
        top + height + 30.0,
        grouped(figures.arena_bytes as u64),
        figures.steps.len()
    );
    for (i, span) in figures.spans.iter().enumerate() {
        let (x0, x1) = (x(span.first as f64), x(span.last as f64 + 1.0));
        let (y0, y1) = (y((span.offset + span.bytes) as f64), y(span.offset as f64));
        let name = span.name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
        let hue = i * 67 % 360;
        let _ = writeln!(
            text,
            "<rect x=\"{x0:.1}\" y=\"{y0:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"hsl({hue},60%,70%)\" \
             stroke=\"#333\" stroke-width=\"0.5\"><title>{name}: {} bytes at {}, steps {} to {}</title></rect>",
            x1 - x0,
            y1 - y0,
            span.bytes,
            span.offset,
            span.first,
            span.last
        );
    }
    for part in 0..=4 {
        let byte = arena * f64::from(part) / 4.0;
        let _ = writeln!(text, "<text x=\"8\" y=\"{:.1}\">{}</text>", y(byte) + 4.0, grouped(byte as u64));
    }
    text.push_str("</svg>\n");
    text
}
