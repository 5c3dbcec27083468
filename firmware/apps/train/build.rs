//! Chooses what the image trains, from the environment:
//!
//! | variable | meaning | default |
//! |---|---|---|
//! | `MOTE_PLAN` | the frozen network, made by `mote convert --dtype int8 --train head` | none: required for a device |
//! | `MOTE_CLASSES` | how many classes the trained layer tells apart | 10 |

use std::{error::Error, fs};

#[path = "../image.rs"]
mod image;

fn main() -> Result<(), Box<dyn Error>> {
    let Some(out) = image::prepare("cargo xtask firmware train")? else { return Ok(()) };
    let classes: usize = image::variable("MOTE_CLASSES").map_or(Ok(10), |text| text.parse())?;
    fs::write(out.join("classes.rs"), format!("{classes}"))?;
    Ok(())
}
