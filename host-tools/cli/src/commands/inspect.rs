//! `mote inspect`: what a plan does and needs.

use crate::failure::{Failure, Outcome};
use crate::files::{check_apart, check_writable, read, write};
use crate::report::{Figures, map, print, print_json, svg};
use clap::Args;
use std::path::PathBuf;

/// Show steps, memory and figures of a plan
///
/// Multiplications, bytes of weights, tables, code, arena and state; what runs row by row or frame by frame, with which
/// rings; and who lives where in the arena, step by step.
#[derive(Args)]
pub struct Arguments {
    /// Plan made by `mote convert`
    plan: PathBuf,
    /// Report as JSON
    #[arg(long)]
    pub json: bool,
    /// Draw the memory over time into this file
    #[arg(long, value_name = "FILE.svg")]
    svg: Option<PathBuf>,
}

pub fn run(arguments: &Arguments) -> Outcome {
    let bytes = read(&arguments.plan)?;
    let figures = Figures::of(&bytes).map_err(Failure::plan(&arguments.plan))?;
    if let Some(path) = &arguments.svg {
        check_writable(path)?;
        check_apart(path, [&arguments.plan])?;
        let name = arguments.plan.file_name().unwrap_or_default().to_string_lossy();
        write(path, svg::draw(&figures, &name).as_bytes())?;
    }
    if arguments.json {
        print_json(&figures.to_json());
        return Ok(());
    }
    let head = format!("{}\n{}", arguments.plan.display(), figures.headline());
    print(&[head, map::steps(&figures), map::memory(&figures)].concat());
    Ok(())
}
