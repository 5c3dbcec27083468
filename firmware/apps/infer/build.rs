//! Chooses what the image runs, from the environment:
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `MOTE_PLAN` | the plan, made by `mote convert` | none: required for a device |
//! | `MOTE_SAMPLES` | file of samples, raw bytes as the input tensor has them, one behind the other | random samples |
//! | `MOTE_SAMPLE_COUNT` | how many samples | 2 |
//! | `MOTE_SEED` | seed of the random samples (`tests/golden/README.md`) | 1 |

use std::{error::Error, fs};

#[path = "../image.rs"]
mod image;

use image::variable;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(out) = image::prepare("cargo xtask firmware run")? else { return Ok(()) };
    fs::write(out.join("samples.rs"), samples()?)?;
    Ok(())
}

fn samples() -> Result<String, Box<dyn Error>> {
    let count: usize = variable("MOTE_SAMPLE_COUNT").map_or(Ok(2), |text| text.parse())?;
    let source = match variable("MOTE_SAMPLES") {
        Some(file) => {
            println!("cargo::rerun-if-changed={file}");
            let file = fs::canonicalize(&file).map_err(|error| format!("MOTE_SAMPLES {file}: {error}"))?;
            format!("Source::Embedded {{ bytes: include_bytes!({file:?}) }}")
        }
        None => {
            let seed: u64 = variable("MOTE_SEED").map_or(Ok(1), |text| text.parse())?;
            format!("Source::Random {{ seed: {seed} }}")
        }
    };
    Ok(format!("pub const COUNT: usize = {count};\nconst SOURCE: Source = {source};\n"))
}
