//! Chooses what the image runs, from the environment:
//!
//! | variable | meaning |
//! |---|---|
//! | `MOTE_PLAN` | the plan, made by `mote convert --stream` for this app's front end; required for a device |
//! | `MOTE_SOUND` | samples of the front end's rate: i16, little-endian, nothing else; without it a second of silence. Not used with the feature `serial` |

use std::{error::Error, fs};

#[path = "../image.rs"]
mod image;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(out) = image::prepare("cargo xtask firmware keyword")? else { return Ok(()) };
    let sound = match image::variable("MOTE_SOUND") {
        Some(file) => {
            println!("cargo::rerun-if-changed={file}");
            fs::read(&file).map_err(|error| format!("MOTE_SOUND {file}: {error}"))?
        }
        None => vec![0; 16_000],
    };
    fs::write(out.join("sound.raw"), sound)?;
    Ok(())
}
